#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Five complaints and the three commands that lead to their causes: plays the five calls over a network, asks about them as an operator
would, and checks what is said. With --print the commands and their output are printed: docs/operations.md has them.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Lab, Relay, Skip, inside, need, run
from scenes import arriving, leaving  # noqa: F401  (they register their scenes)
from scenes.theatre import FAULTS, OTHER, SECONDS, Theatre
from verdict import check, exit_status

# Complaint, the scene that causes it, its Call-ID, and what `explain` is to say.
COMPLAINTS = (
    ("Since my colleague changed the network I hear nothing, and I am still heard.", "moved-to-another-host", "a84b4c76e66710@atlanta", "source-refused"),
    ("The voice breaks up.", "loss-behind-the-relay-5", "3848276298220188511@biloxi", "lossy-behind"),
    ("The line is dead quiet, but the call stands.", "silence-alaw", "7j9kd2mq@chicago", "silence"),
    ("I hear the caller, who does not hear me.", "never-sent", "f81d4fae7dec11d0@boston", "never-sent"),
)
REFUSED = ("The call does not come about at all.", "12013223@denver")


def asks(t, *words):
    """A command as an operator types it, and its output; the parties speak on meanwhile. The socket is not shown: the default one needs
    no option."""
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.Popen([os.path.join(t.relay.build, "rtpferryctl"), f"--socket={t.relay.socket}", *words], stdout=output, stderr=subprocess.STDOUT)
        end = time.monotonic() + 20
        while done.poll() is None and time.monotonic() < end:
            t.stage.play(0.1)
        done.kill()
        done.wait()
        output.seek(0)
        return f"$ rtpferryctl {' '.join(words)}\n{output.read()}".rstrip()


def page(t, prints):
    scenes = dict(FAULTS)
    for _, name, call, _ in COMPLAINTS:
        scenes[name](t, call)
    calls = [t.call(f"call-{number}@elsewhere") for number in range(3)]
    t.stage.play(SECONDS)
    t.ask("set", name="max-sessions", value="1")
    refused = t.offer(REFUSED[1], t.party("alice"))
    check(refused["result"] == "error", f"the call is refused: {refused}")
    listed = asks(t, "list", "--sort=severity")
    worst = [line for line in listed.splitlines() if "@" in line]
    check(len(worst) >= len(COMPLAINTS) + len(calls) and "elsewhere" in worst[-1] and "elsewhere" not in worst[0], "list: the bad calls stand first")
    if prints:
        print(listed)
    for complaint, _, call, cause in COMPLAINTS:
        told = asks(t, "explain", call)
        sentences = [line for line in told.splitlines() if re.match(r"(fine|note|fault) ", line)]
        check(any(f"({cause})" in line for line in sentences) and len(sentences) == 4, f"{call}: {cause}: {sentences}")
        traced = asks(t, "trace", call, "--count=4", "--seconds=5")
        check(len([line for line in traced.splitlines() if ">" in line]) == 4, f"{call}: four packets of it")
        if prints:
            print(f"\n**{complaint}**\n\n{told}\n\n{traced}", flush=True)
    told = asks(t, "explain", REFUSED[1])
    check("refused" in told and "session" in told.lower(), f"{REFUSED[1]}: {told.splitlines()[:3]}")
    if prints:
        print(f"\n**{REFUSED[0]}**\n\n{told}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--print", action="store_true", help="print the commands and what they said")
    arguments = parser.parse_args()
    try:
        need("ip")
        with Lab() as lab:
            run(*inside("alice", "ip", "addr", "add", OTHER + "/24", "dev", "eth0"))
            relay = Relay(lab, os.path.abspath(arguments.build), "--offload=off", "--timeout=60", "--num-threads=1")
            relay.offload = "off"
            t = Theatre(lab, relay)
            page(t, arguments.print)
            t.stage.clear()
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    except Exception:
        traceback.print_exc()
        return 1
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
