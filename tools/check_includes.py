#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The include arrows of docs/architecture.md, checked: a folder may include what its row lists, and itself."""

import os
import re
import sys

# What may be seen of calls from outside: the front door and what it hands out.
SESSIONS = ["control/manager", "control/view", "control/rtpproxy", "control/command", "control/session", "control/call",
            "control/ports", "control/request"]
# The longest matching prefix counts, so a row does not speak for folders below it that have one. Tests and bench may
# include anything.
ARROWS = {
    "relay/base": [],
    "relay/core": ["relay/base"],
    "relay/io": ["relay/base"],
    "relay/io/dpdk": ["relay/io", "relay/netlink", "relay/base"],
    "relay/netlink": ["relay/base"],
    "relay/rights": ["relay/base"],
    "relay/bpf": ["relay/core", "relay/netlink", "relay/rights", "relay/base"],
    "relay/srtp": ["relay/core", "relay/base"],
    "relay/dtls": ["relay/core", "relay/base"],
    "relay/media": ["relay/core", "relay/base"],
    "relay/worker": ["relay/core", "relay/io", "relay/base"],
    "codecs": ["relay/core", "relay/base"],
    "recorder": ["codecs", "relay/core", "relay/base"],
    "control/value": ["relay/base"],
    # SDP names what the core's tables of suites, fingerprints and static payload types explain.
    "control/sdp": ["relay/core/srtp/srtp_suite.hpp", "relay/core/dtls/fingerprint.hpp",
                    "relay/core/rtp/static_types.hpp", "relay/base"],
    "control/log": ["relay/base"],
    "control/diagnose": ["relay/core", "relay/base"],
    # The rooms of control, from the ground up: addresses and ports, what a message asks, the model, negotiation
    # with one party, many calls and their time, commands, the rtpproxy protocol's sessions, what is told, and
    # the front door. The record knows the model, and no command. Dictionaries of the NG protocol (control/value) are
    # read and written by that protocol; only the view of `query` makes one beside it.
    "control/ports": ["relay/core", "relay/io", "relay/base"],
    "control/request": ["control/ports", "control/sdp", "relay/core", "relay/io", "relay/base"],
    "control/call": ["control/ports", "control/request", "control/sdp", "control/diagnose", "relay/core", "relay/io",
                     "relay/base"],
    "control/negotiate": ["control/call", "control/ports", "control/request", "control/sdp", "relay/core",
                          "relay/base"],
    "control/record": ["control/call", "control/rtpproxy/session.hpp", "control/sdp",
                       "relay/worker/transport_table.hpp", "relay/core", "relay/base"],
    "control/session": ["control/call", "control/ports", "control/request", "control/sdp", "control/diagnose",
                        "relay/worker", "relay/core", "relay/io", "relay/base"],
    "control/command": ["control/session", "control/negotiate", "control/call", "control/ports", "control/request",
                        "control/sdp", "relay/worker", "relay/core", "relay/io", "relay/base"],
    "control/rtpproxy": ["control/command", "control/session", "control/call", "control/ports", "control/request",
                         "control/sdp", "relay/worker", "relay/core", "relay/io", "relay/base"],
    "control/view": ["control/rtpproxy", "control/command", "control/session", "control/call", "control/ports",
                     "control/request", "control/sdp", "control/value", "control/diagnose", "relay/worker",
                     "relay/core", "relay/io", "relay/base"],
    "control/manager": ["control/record", "control/view", "control/rtpproxy", "control/command", "control/session",
                        "control/call", "control/ports", "control/request", "control/sdp", "control/diagnose",
                        "relay/worker", "relay/core", "relay/io", "relay/base"],
    # What watching systems are sent. It knows calls, and no protocol.
    "control/telemetry": SESSIONS + ["control/diagnose", "control/sdp", "control/value", "relay/core", "relay/base"],
    # Events are told of calls from outside, like a view; their outputs are protocols.
    "control/events": ["control/rtpproxy/session.hpp", "control/session", "control/call", "control/diagnose",
                       "control/log/printable_json.hpp", "relay/core", "relay/base"],
    "control/config": SESSIONS + ["control/events/settings.hpp", "control/telemetry/settings.hpp", "recorder/settings.hpp", "relay/core", "relay/base"],
    # Rooms of the protocols, from the ground up. The folder itself has what all of them share.
    "control/protocol": SESSIONS + ["control/log", "relay/core", "relay/io", "relay/base"],
    "control/protocol/connections": ["control/protocol", "control/log", "relay/io", "relay/base"],
    "control/protocol/http": ["control/protocol/connections", "control/protocol", "control/sdp", "control/log",
                              "relay/base"],
    "control/protocol/events": ["control/events", "control/protocol/http", "control/protocol", "control/log",
                                "relay/base"],
    "control/protocol/ng": SESSIONS + ["control/protocol/http", "control/protocol/connections", "control/protocol",
                                       "control/sdp", "control/value", "control/log", "relay/io", "relay/base"],
    "control/protocol/rtpproxy": SESSIONS + ["control/protocol/connections", "control/protocol", "control/log",
                                             "relay/core", "relay/io", "relay/base"],
    "control/protocol/cli": SESSIONS + ["control/protocol/ng", "control/protocol/connections", "control/protocol",
                                        "control/log", "relay/base"],
    "control/protocol/pages": SESSIONS + ["control/protocol/cli", "control/protocol/ng", "control/protocol/http",
                                          "control/telemetry/settings.hpp", "control/value", "control/log", "relay/base"],
    "tools": ["control", "relay", "codecs", "recorder"],
}
# What the sans-IO core must never see.
FORBIDDEN_IN_CORE = re.compile(r"<(sys/|netinet/|arpa/|poll|thread|mutex|fstream|iostream|spdlog|unistd|event2)")
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def folder_row(path):
    rows = [row for row in ARROWS if path == row or path.startswith(row + "/")]
    return max(rows, key=len) if rows else None


def may_include(row, path):
    """Whether files of the folder `row` may include `path`."""
    own = folder_row(os.path.dirname(path))
    for allowed in ARROWS[row] + [row]:
        if allowed in ARROWS:
            if own == allowed:
                return True
        elif path == allowed or path.startswith(allowed + "/"):
            return True
    return False


def main():
    os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    problems, files = [], 0
    for top in ("relay", "control", "codecs", "recorder", "tools"):
        for where, _, names in os.walk(top):
            for name in names:
                if not name.endswith((".hpp", ".cpp")):
                    continue
                files += 1
                path = os.path.join(where, name)
                row = folder_row(where)
                for number, line in enumerate(open(path), 1):
                    match = INCLUDE.match(line)
                    if not match:
                        continue
                    own, system = match.groups()
                    if system and where.startswith("relay/core") and FORBIDDEN_IN_CORE.match(f"<{system}"):
                        problems.append(f"{path}:{number}: the core must not see <{system}>")
                    if not own or "/" not in own:
                        continue
                    if not may_include(row, own):
                        problems.append(f"{path}:{number}: {row} must not include {own}")
    print("\n".join(problems) if problems else f"include arrows: {files} files follow the table")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
