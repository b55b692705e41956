#!/usr/bin/env python3
"""The include arrows of docs/architecture.md, checked: a folder may include what its row lists, and itself."""

import os
import re
import sys

# The longest matching prefix counts. Tests and bench may include anything.
ARROWS = {
    "relay/base": [],
    "relay/core": ["relay/base"],
    "relay/io": ["relay/base"],
    "relay/netlink": ["relay/base"],
    "relay/rights": ["relay/base"],
    "relay/bpf": ["relay/core", "relay/netlink", "relay/rights", "relay/base"],
    "relay/dpdk": ["relay/io", "relay/netlink", "relay/base"],
    "relay/srtp": ["relay/core", "relay/base"],
    "relay/dtls": ["relay/core", "relay/base"],
    "relay/worker": ["relay/core", "relay/io", "relay/base"],
    "codecs": ["relay/core", "relay/base"],
    "recorder": ["codecs", "relay/core", "relay/base"],
    "control/value": ["relay/base"],
    "control/sdp": ["relay/base"],
    "control/log": ["relay/base"],
    "control/diagnose": ["relay/core", "relay/base"],
    "control/session": ["control/sdp", "control/value", "control/diagnose", "relay/worker", "relay/core", "relay/io", "relay/base"],
    "control/config": ["control/session", "recorder/settings.hpp", "relay/core", "relay/base"],
    "control/protocol": ["control/diagnose", "control/session", "control/sdp", "control/value", "control/log", "relay/core", "relay/io", "relay/base"],
    "tools": ["control", "relay", "codecs", "recorder"],
}
# What the sans-IO core must never see.
FORBIDDEN_IN_CORE = re.compile(r"<(sys/|netinet/|arpa/|poll|thread|mutex|fstream|iostream|spdlog|unistd|event2)")
# Operating-system headers of the one place in control that speaks to the network.
INCLUDE = re.compile(r'^\s*#\s*include\s+(?:"([^"]+)"|<([^>]+)>)')


def folder_row(path):
    rows = [row for row in ARROWS if path == row or path.startswith(row + "/")]
    return max(rows, key=len) if rows else None


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
                    allowed = ARROWS[row] + [row]
                    if not any(own == prefix or own.startswith(prefix + "/") for prefix in allowed):
                        problems.append(f"{path}:{number}: {row} must not include {own}")
    print("\n".join(problems) if problems else f"include arrows: {files} files follow the table")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
