#!/usr/bin/env python3
"""publish and subscribe by WebRTC: a party with ICE and DTLS, made by aiortc, publishes a tone from bob; another one
and a plain phone in alice subscribe to it. Nobody speaks SIP or WHIP: this script carries the SDP. Judged by the tone.

Exit status: 0 passed, 1 failed, 77 this machine cannot (needs root and python3-aiortc).
"""

import argparse
import json
import os
import queue
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from browsers import Phone  # noqa: E402
from lab import Lab, Relay, Skip, inside, need, ns, wait_for  # noqa: E402
from parties import Ng  # noqa: E402
from verdict import check, exit_status  # noqa: E402

TONE_HZ = 700
CALL = "published"


def interpreter():
    """A Python that has aiortc: this one, or that of the system."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import aiortc"], capture_output=True, check=False).returncode == 0:
            return python
    raise Skip("python3-aiortc is not installed")


class WebRtc:
    """aiortc_party.py in a namespace."""

    def __init__(self, lab, where, python):
        self.log = open(lab.path(f"aiortc-{len(lab.processes)}.log"), "w+", encoding="utf-8")
        command = inside(where, python, os.path.join(HERE, "aiortc_party.py"))
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log, text=True)
        lab.processes.append(self.process)
        self.answers = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.next(30)

    def read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.log.seek(0)
        self.answers.put({"error": "the party is gone: " + self.log.read()[-500:]})

    def next(self, seconds):
        try:
            answer = self.answers.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"aiortc does not answer within {seconds} s") from None
        if "error" in answer:
            raise RuntimeError(f"aiortc: {answer['error']}")
        return answer

    def ask(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()
        return self.next(20)


def in_time(after):
    return "never" if after is None else f"after {after:.2f} s"


def said(reply, what):
    check(reply["result"] == "ok", f"{what}: {reply['result']} {reply.get('error-reason', '')}")
    return reply.get("sdp", "")


def play(lab, relay, python):
    ng = Ng(ns("core"))
    publisher, subscriber = WebRtc(lab, "bob", python), WebRtc(lab, "bob", python)
    phone = Phone(4000, 1200, 11, types="8")
    try:
        offer = publisher.ask("offer", hertz=TONE_HZ)["sdp"]
        # aiortc cannot read an a=rtcp line without an address (RFC 3605 allows it); with rtcp-mux nobody needs one.
        keys = {"codec": {"accept": ["PCMA"]}, "flags": ["no-rtcp-attribute"]}
        answer = said(ng.ask("publish", CALL, from_tag="P", sdp=offer, **keys), "publish")
        for line in ("a=ice-ufrag:", "a=candidate:", "a=fingerprint:", "a=setup:active", "a=rtcp-mux"):
            check(line in answer, f"the answer to the publisher has {line}")
        publisher.ask("take", sdp=answer)
        state = publisher.ask("connected", seconds=10)["state"]
        check(state == "connected", f"the publisher is {state}")

        offer = said(ng.ask("subscribe request", CALL, from_tag="P", to_tag="S", flags=["WebRTC"]), "subscribe request")
        text = subscriber.ask("answer", sdp=offer)["sdp"]
        said(ng.ask("subscribe answer", CALL, to_tag="S", sdp=text), "subscribe answer")
        state = subscriber.ask("connected", seconds=10)["state"]
        check(state == "connected", f"the subscriber is {state}")
        after = subscriber.ask("hears", hertz=TONE_HZ, seconds=5)["after"]
        check(after is not None, f"the subscriber hears {TONE_HZ} Hz {in_time(after)}")
        after = subscriber.ask("hears", hertz=1200, seconds=1)["after"]
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
