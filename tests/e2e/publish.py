#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""publish and subscribe by WebRTC: a party with ICE and DTLS, made by aiortc, publishes a tone from bob; another one
and a plain phone in alice subscribe to it. Nobody speaks SIP or WHIP: this script carries the SDP. Judged by the tone.

Exit status: 0 passed, 1 failed, 77 this machine cannot (needs root and python3-aiortc).
"""

import argparse
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from lab import Lab, Relay, Skip, need, ns, wait_for  # noqa: E402
from parties import Ng  # noqa: E402
from verdict import check, exit_status  # noqa: E402
from web_parties import Aiortc, interpreter  # noqa: E402
from web_phone import Phone  # noqa: E402

TONE_HZ = 700
CALL = "published"


def in_time(after):
    return "never" if after is None else f"after {after:.2f} s"


def said(reply, what):
    check(reply["result"] == "ok", f"{what}: {reply['result']} {reply.get('error-reason', '')}")
    return reply.get("sdp", "")


def play(lab, relay, python):
    ng = Ng(ns("core"))
    publisher, subscriber = Aiortc(lab, "bob", python), Aiortc(lab, "bob", python)
    phone = Phone(4000, 1200, 11, types="8")
    try:
        offer = publisher.make(hertz=TONE_HZ).offer()
        # aiortc cannot read an a=rtcp line without an address (RFC 3605 allows it); with rtcp-mux nobody needs one.
        keys = {"codec": {"accept": ["PCMA"]}, "flags": ["no-rtcp-attribute"]}
        answer = said(ng.ask("publish", CALL, from_tag="P", sdp=offer, **keys), "publish")
        for line in ("a=ice-ufrag:", "a=candidate:", "a=fingerprint:", "a=setup:active", "a=rtcp-mux"):
            check(line in answer, f"the answer to the publisher has {line}")
        publisher.take(answer)
        state = publisher.ask("connected", seconds=10)["state"]
        check(state == "connected", f"the publisher is {state}")

        offer = said(ng.ask("subscribe request", CALL, from_tag="P", to_tag="S", flags=["WebRTC"]), "subscribe request")
        text = subscriber.make().answer(offer)
        said(ng.ask("subscribe answer", CALL, to_tag="S", sdp=text), "subscribe answer")
        state = subscriber.ask("connected", seconds=10)["state"]
        check(state == "connected", f"the subscriber is {state}")
        after = subscriber.hears(TONE_HZ, 5)
        check(after is not None, f"the subscriber hears {TONE_HZ} Hz {in_time(after)}")
        after = subscriber.hears(1200, 1)
        check(after is None, f"the subscriber hears 1200 Hz {in_time(after)}, which nobody sends")

        plain = {"transport-protocol": "RTP/AVP", "rtcp-mux": ["demux"]}
        reply = ng.ask("subscribe request", CALL, from_tag="P", to_tag="F", **plain)
        offer = said(reply, "subscribe request of a phone")
        check("a=ice-" not in offer and "a=fingerprint" not in offer, "the phone is offered plain RTP")
        said(ng.ask("subscribe answer", CALL, to_tag="F", sdp=phone.sdp("recvonly")), "subscribe answer of a phone")
        after = phone.hears(TONE_HZ, 5)
        check(after is not None, f"the phone hears {TONE_HZ} Hz {in_time(after)}")
    finally:
        phone.close()
        ng.ask("delete", CALL, **{"delete delay": 0})
    wait_for(lambda: relay.used_pairs() == 0, 5, "ports to be closed")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="directory with the built programs")
    arguments = parser.parse_args()
    try:
        need("ip")
        python = interpreter()
        with Lab() as lab:
            play(lab, Relay(lab, os.path.abspath(arguments.build)), python)
    except Skip as why:
        print(f"skipped: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
