#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls that fail, through a real Kamailio: 486, 404, no answer, a caller who hangs up while it rings. With the lines of README.md as
they stand there, and with the configurations of this folder, none of them leaves a session or a port behind; a refused re-INVITE leaves its call alone.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import os
import re
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from flows import Phone, Rtp, both_ways, establish, hang_up
from lab import ALICE, BOB, Lab, Relay, Skip, inside, need, run, wait_for
from verdict import FAILED, check, exit_status

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = ("kex", "tm", "tmx", "sl", "rr", "pv", "maxfwd", "textops", "siputils", "sanity", "nathelper")
# Put before the lines of the README: with it the proxy forwards to the request's own address.
PREAMBLE = """#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
listen=udp:203.0.113.1:5060
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
""" + "".join(f'loadmodule "{name}.so"\n' for name in MODULES)
NO_ANSWER = 'modparam("tm", "fr_timer", 1500)\nmodparam("tm", "fr_inv_timer", 1500)\n'


def readme_configuration():
    """The first block of the README that loads the module."""
    with open(os.path.join(HERE, "..", "..", "README.md"), encoding="utf-8") as f:
        blocks = re.findall(r"```\n(loadmodule.*?)```", f.read(), re.S)
    return PREAMBLE + NO_ANSWER + blocks[0]


def file_configuration(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        text = f.read()
    # Behind the last module, so that nobody waits for two minutes.
    at = text.rindex("loadmodule")
    at = text.index("\n", at) + 1
    return text[:at] + NO_ANSWER + text[at:]


def nothing_left(relay, what):
    try:
        wait_for(lambda: relay.used_pairs() == 0 and not relay.ctl("list")["calls"], 5, what)
        check(True, f"{what}: nothing is left")
    except RuntimeError:
        check(False, f"{what}: {relay.used_pairs()} port pairs and {len(relay.ctl('list')['calls'])} calls are left")
        relay.ctl("terminate", "--all")


def refused(alice, bob, relay, a, name, code):
    alice.invite(f"{name}-{code}", "one", a.sdp())
    request = bob.receive("INVITE")
    check(relay.used_pairs() > 0, f"{name}, {code}: the offer took ports")
    bob.reply(request, code)
    bob.receive("ACK")
    alice.ack_failure(alice.receive(code))
    nothing_left(relay, f"{name}, {code}")


def unanswered(alice, bob, relay, a, name):
    alice.invite(f"{name}-silence", "one", a.sdp())
    request = bob.receive("INVITE")
    bob.reply(request, 180)
    failure = alice.receive(408, 480, 500)
    alice.ack_failure(failure)
    nothing_left(relay, f"{name}, no answer")
    bob.reply(bob.receive("CANCEL"), 200)
    bob.reply(request, 487)


def cancelled(alice, bob, relay, a, name):
    alice.invite(f"{name}-cancel", "one", a.sdp())
    request = bob.receive("INVITE")
    bob.reply(request, 180)
    alice.receive(180)
    alice.cancel()
    bob.reply(bob.receive("CANCEL"), 200)
    bob.reply(request, 487)
    bob.receive("ACK")
    alice.ack_failure(alice.receive(487))
    nothing_left(relay, f"{name}, cancelled")


def refused_reinvite(alice, bob, relay, a, b, name):
    establish(alice, bob, a, b, f"{name}-reinvite")
    alice.in_dialogue("INVITE", a.sdp(direction="sendonly"))
    request = bob.receive("INVITE")
    bob.reply(request, 488)
    bob.receive("ACK")
    alice.ack_failure(alice.receive(488))
    both_ways(a, b, f"{name}, after a refused re-INVITE")
    hang_up(alice, bob)
    nothing_left(relay, f"{name}, after the call")


def play(lab, relay, number, name, configuration):
    print(f"-- {name}", flush=True)
    path = lab.path(f"kamailio-{number}.cfg")
    with open(path, "w", encoding="utf-8") as f:
        f.write(configuration)
    proxy = lab.start("core", "kamailio", "-f", path, "-DD", "-m", "64", "-M", "8", "-Y", lab.directory, log=f"kamailio-{number}.log")
    listens = lambda: "5060" in run(*inside("core", "ss", "-lun")).stdout
    wait_for(listens, 10, "Kamailio")
    alice = Phone("alice", ALICE, 5070 + number, f"alice{number}")
    # Where the configurations send every call of this caller.
    bob = Phone("bob", BOB, 5060 if "flows" not in name else 5061, f"bob{number}")
    alice.callee = f"sip:one@{BOB}:{bob.port}"
    a, b = Rtp("alice", ALICE, 4100 + 20 * number, 0xA0 + number), Rtp("bob", BOB, 4100 + 20 * number, 0xB0 + number)
    try:
        for code in (486, 404):
            refused(alice, bob, relay, a, name, code)
        unanswered(alice, bob, relay, a, name)
        cancelled(alice, bob, relay, a, name)
        refused_reinvite(alice, bob, relay, a, b, name)
    except (RuntimeError, OSError, AttributeError, IndexError) as problem:
        check(False, f"{name}: {type(problem).__name__} {problem} in {[frame.lineno for frame in traceback.extract_tb(problem.__traceback__)]}")
        relay.ctl("terminate", "--all")
        print(lab.log(f"kamailio-{number}.log")[-3000:])
    for endpoint in (alice, bob, a, b):
        endpoint.socket.close()
    proxy.terminate()
    wait_for(lambda: not listens(), 10, "the end of Kamailio")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    arguments = parser.parse_args()
    try:
        need("kamailio", "ip", "ss")
        with Lab() as lab:
            relay = Relay(lab, os.path.abspath(arguments.build), "--delete-delay=0", "--num-threads=1", "--listen-rtpp=udp:127.0.0.1:22222")
            play(lab, relay, 0, "README.md", readme_configuration())
            for number, name in enumerate(("kamailio.cfg", "kamailio-flows.cfg", "kamailio-rtpproxy.cfg"), 1):
                play(lab, relay, number, name, file_configuration(name))
            if FAILED:
                print(lab.log("relay.log")[-2000:])
        return exit_status()
    except Skip as why:
        print(f"SKIP: {why}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
