# SPDX-License-Identifier: Apache-2.0
"""The process is stopped for longer than `timeout`, and its parties go on sending; then the calls go on, and nobody hears the past."""
REFERENCE = "row C-13: process stopped: calls live; at most 200 ms of old sound"
RIGHT = "Plain, encrypted and rtpproxy calls live, whose packets waited; who is silent afterwards is still ended; old sound is dropped as stale-after-pause."
import contextlib
import os
import signal
import time

from beside import live_call
from kit import A, B, Rtpproxy, Ng, Srtp, fields

TIMEOUT, STOPPED, OLD = 3, 6, 0.2
PERIOD = 0.02
BELOW = bool(os.environ.get("FIELD_CASE_OFFLOAD"))  # the kernel goes on with plain media while the process stands still


class Call:
    """Two parties that speak; which of their packets were sent while the relay stood still."""

    def __init__(self, w, name):
        self.name, self.a, self.b = name, w.party(A), w.party(B)
        self.stopped = self.resumed = None

    def agree(self, ng, is_encrypted=False):
        how = {}
        if is_encrypted:
            self.a.srtp = Srtp()
            how = {"types": "0", "profile": "RTP/SAVP", "extra": self.a.srtp.line()}
        to_b = ng.offer(self.name, self.a.sdp(**how), transport_protocol="RTP/AVP", DTLS="off", ICE="remove")
        to_a = ng.answer(self.name, self.b.sdp(types="0"))
        self.to = (to_a[0].port, to_b[0].port)
        return self

    def agree_rtpproxy(self, rtpproxy):
        first = rtpproxy.ask(f"U {self.name} {self.a.ip} {self.a.port} a")
        second = rtpproxy.ask(f"L {self.name} {self.b.ip} {self.b.port} a b")
        self.to = (int(second.split()[0]), int(first.split()[0]))
        return self

    def speak(self):
        self.a.send(self.to[0]), self.b.send(self.to[1])

    def numbers(self):
        return self.a.seq, self.b.seq

    def judge(self, w):
        """Of what was sent meanwhile at most 200 ms were heard, and of what came later all."""
        for who, other, i in ((self.b, self.a, 0), (self.a, self.b, 1)):
            seen = {fields(p)["seq"] for p in who.heard(other)}
            old = [n for n in seen if self.stopped[i] <= n < self.resumed[i]]
            new = range(self.resumed[i] + 3, other.seq)  # one may be under way as it wakes up
            missing = [n for n in new if n not in seen]
            if BELOW and not self.a.srtp:
                w.check(len(old) >= (self.resumed[i] - self.stopped[i]) * 0.95, f"{self.name}: the kernel forwarded only {len(old)} packets from {'ab'[i]}")
            else:
                w.check(len(old) <= OLD / PERIOD + 2, f"{self.name}: {len(old)} old packets were heard, from {'ab'[i]}")
            w.check(len(missing) <= 2, f"{self.name}: {len(missing)} of {len(new)} packets from {'ab'[i]} missing afterwards")
            w.note(f"{self.name}: {len(old)} of {self.resumed[i] - self.stopped[i]} old packets from {'ab'[i]} heard")


def speak(w, calls, seconds):
    begin = time.monotonic()
    for tick in range(round(seconds / PERIOD)):
        for call in calls:
            call.speak()
        w.listen(max(0, begin + (tick + 1) * PERIOD - time.monotonic()))


def play(w):
    relay = w.relay(f"--timeout={TIMEOUT}", "--listen-rtpp=udp:127.0.0.1:22222")
    ng, rtpproxy = Ng(), Rtpproxy()
    calls = [Call(w, f"plain-{n}").agree(ng) for n in range(4)]
    calls += [Call(w, f"encrypted-{n}").agree(ng, is_encrypted=True) for n in range(2)]
    calls += [Call(w, f"rtpproxy-{n}").agree_rtpproxy(rtpproxy) for n in range(2)]
    gone = Call(w, "gone").agree(ng)
    speak(w, [*calls, gone], 1)
    for call in calls:
        call.stopped = call.numbers()
    os.kill(relay.process.pid, signal.SIGSTOP)
    try:
        speak(w, calls, STOPPED)
    finally:
        os.kill(relay.process.pid, signal.SIGCONT)
    for call in calls:
        call.resumed = call.numbers()
    speak(w, calls, 1)
    alive = relay.ctl("list", text=True)
    for call in [*calls, gone]:
        w.check(call.name in alive, f"{call.name} was ended by the clock")
    with contextlib.nullcontext() if BELOW else live_call(w):  # whose parties are in this namespace
        speak(w, calls, TIMEOUT + 3)
    w.listen(0.2)
    for call in calls:
        call.judge(w)
    w.check(ng.ask("query", "gone", may_fail=True)["result"] == "error", "a call whose parties are gone is not ended any more")
    w.check("nothing ran for" in relay.log, "the log says nothing about the pause")
    w.check("stale-after-pause" in relay.ctl("show", "encrypted-0", text=True), "show does not count what was dropped")
