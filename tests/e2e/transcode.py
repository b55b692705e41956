#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls between parties that have no codec in common: sipp (PCMA) and baresip (Opus, G.722, GSM, L16) through Kamailio, whose script
asks the relay to transcode. Each end judges by sox what its own program decoded. Halfway the calls are asked what the relay does.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from calls import callee_scenario, caller_scenario  # noqa: E402
from lab import BOB, RELAY4, Lab, Relay, Skip, inside, need, run, tone_pcap, wait_for  # noqa: E402
from secure import ALICE_HZ, BOB_HZ, Phone, near  # noqa: E402
from sip_browsers import Sipp  # noqa: E402
from verdict import FAILED, check, exit_status  # noqa: E402

# What the proxy's script calls it, and baresip. Its G.726 is left out: it packs the codes of G726-32 as AAL2-G726-32 has them.
CODECS = {"opus": "opus/48000/2", "G722": "G722/8000", "GSM": "GSM/8000", "L16": "L16/16000/1"}
MODULE_OF = {"opus": "opus", "G722": "g722", "GSM": "gsm", "L16": "l16"}


def middle(relay):
    """In the middle of a call: its packets flow both ways, and what `explain` says. Returns the call."""
    wait_for(lambda: relay.ctl("list").get("calls"), 8, "the call")
    show = lambda: relay.ctl("show", relay.ctl("list")["calls"][0]["call_id"])
    wait_for(lambda: all(sum(s["packets"] for s in leg["medias"][0]["received"]) >= 75 for leg in show()["legs"]), 10, "audio each way")
    return show()


def sent_types(call):
    """The payload types that each party sends, by tag order."""
    return [sorted({s["payload_type"] for s in leg["medias"][0]["received"]}) for leg in call["legs"]]


def sipp_calls(lab, relay, codec):
    """sipp in alice calls baresip in bob, whom the proxy offers `codec` alone."""
    what = f"sipp (PCMA) calls baresip ({codec})"
    bob = Phone(lab, "bob", BOB, "", BOB_HZ, codecs=CODECS[codec], modules=(MODULE_OF[codec],))
    wait_for(lambda: "5060" in run(*inside("bob", "ss", "-lun")).stdout, 5, "the callee")
    sipp = Sipp(lab, "caller", caller_scenario(f"only-{codec}", tone_pcap(lab, "caller", ALICE_HZ, 8, 0xA11CE), 6000, hold=False), f"{RELAY4}:5060")
    call = middle(relay)
    sipp.judge(what, expects=BOB_HZ)
    finish(relay, bob, what, call)


def baresip_calls(lab, relay, codec):
    """baresip in bob, who has `codec` alone, calls sipp in alice, whom the proxy offers PCMA."""
    what = f"baresip ({codec}) calls sipp (PCMA)"
    sipp = Sipp(lab, "callee", callee_scenario(tone_pcap(lab, "callee", ALICE_HZ, 8, 0xB0B), hold=False, ends_after=6000))
    sipp.listens()
    bob = Phone(lab, "bob", BOB, "", BOB_HZ, "-e", f"/dial sip:sipp-PCMA@{RELAY4}", codecs=CODECS[codec], modules=(MODULE_OF[codec],))
    call = middle(relay)
    sipp.judge(what, expects=BOB_HZ)
    finish(relay, bob, what, call)


def finish(relay, bob, what, call):
    wait_for(lambda: not relay.ctl("list")["calls"], 8, "the end of the call")
    bob.hangs_up()
    heard = bob.hears()
    types = sent_types(call)
    check(near(heard, ALICE_HZ), f"{what}: baresip hears {heard} Hz")
    check(types[0] != types[1], f"{what}: the parties send the payload types {types}")
    drops = [{reason: count for reason, count in leg["medias"][0]["drops"].items() if "rtcp" not in reason} for leg in call["legs"]]
    check(not any(drops), f"{what}: dropped {drops}, RTCP aside")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    parser.add_argument("--media-threads", type=int, help="as the relay's option; default: its own")
    parser.add_argument("--codec", choices=CODECS, action="append", help="only calls with this codec")
    arguments = parser.parse_args()
    options = [] if arguments.media_threads is None else [f"--media-threads={arguments.media_threads}"]
    try:
        need("kamailio", "baresip", "sipp", "sox", "tcpdump", "ip", "pgrep", "ss")
        with Lab() as lab:
            relay = Relay(lab, os.path.abspath(arguments.build), "--delete-delay=0", "--num-threads=1", *options)
            lab.start_kamailio("kamailio-transcode.cfg")
            for codec in arguments.codec or CODECS:
                for play in (sipp_calls, baresip_calls):
                    running = len(lab.processes)
                    try:
                        play(lab, relay, codec)
                    except RuntimeError as problem:
                        check(False, f"{play.__name__} {codec}: {problem}")
                    for process in lab.processes[running:]:
                        if process.poll() is None:
                            process.kill()
                    for folder in ("bob-phone", "bob-heard"):
                        run("rm", "-rf", lab.path(folder))
            check(relay.used_pairs() == 0, "no port is left in use")
            if FAILED:
                lab.print_logs(1500)
    except Skip as why:
        print(f"SKIP: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
