# SPDX-License-Identifier: Apache-2.0
"""A call on hold is ended by the media timeout, or a dead call is never ended."""
REFERENCE = "sipwise/rtpengine #1832, #1818, #1856, #938; signalwire/freeswitch #1947; sipsorcery-org/sipsorcery #884"
RIGHT = "timeout ends calls whose media may flow and does not; calls on hold (RFC 3264 §8.4) live until silent-timeout; offers until offer-timeout."
LIMIT = 60
SLOW = True
from kit import *


def play(w):
    r = w.relay("--timeout=3", "--silent-timeout=9", "--offer-timeout=6", "--delete-delay=0")
    ng = Ng()
    def setup(name, direction=None, talk=True):
        a, b = w.party(A), w.party(B)
        a.pt = b.pt = 8
        out = ng.offer(name, a.sdp(types="8"))
        if direction == "offer":
            return a, b, out[0].port, None
        back = ng.answer(name, b.sdp(types="8"))
        if talk:
            for _ in range(3):
                a.send(back[0].port), b.send(out[0].port)
                w.listen(0.02)
        if direction:
            other = {"sendonly": "recvonly", "inactive": "inactive"}[direction]
            out = ng.offer(name, a.sdp(types="8", direction=direction, version=2), to_tag="b")
            back = ng.answer(name, b.sdp(types="8", direction=other, version=2))
        return a, b, out[0].port, back[0].port
    begin = time.monotonic()
    calls = {name: setup(name, how) for name, how in (("dead", None), ("held sendonly", "sendonly"), ("held inactive", "inactive"), ("offer", "offer"), ("one talks", None), ("rtcp alone", None))}
    setup("never", None, talk=False)
    ends = {}
    names = [*calls, "never"]
    while time.monotonic() < begin + 14 and len(ends) < len(names):
        a, b, to_b, to_a = calls["one talks"]
        a.send(to_a)
        a, b, to_b, to_a = calls["rtcp alone"]
        a.send(to_a, receiver_report(a.ssrc, b.ssrc) + sdes(a.ssrc), rtcp=True)
        for name in names:
            if name not in ends and ng.ask("query", name, may_fail=True)["result"] != "ok":
                ends[name] = round(time.monotonic() - begin, 1)
        w.listen(0.25)
    for name, low, high in (("dead", 2.5, 6), ("never", 2.5, 6), ("held sendonly", 8, 13), ("held inactive", 8, 13), ("offer", 5, 9)):
        got = ends.get(name)
        w.check(got is not None and low <= got <= high, f"{name}: ended after {got} s, right is {low} to {high}")
    w.equal("one talks: ended", ends.get("one talks"), None)
    w.note(f"ends: {ends}")
