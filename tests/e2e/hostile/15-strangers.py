# SPDX-License-Identifier: Apache-2.0
"""Somebody who is not in control-allow connects to every listener: closed at accept, before TLS and before a byte is read."""
REFERENCE = "CTL-12, CTL-2, C-05"
RIGHT = "Strangers cost an accept; those who may speak are served."
import time

from beside import Spent, live_call
from kit import A, RELAY, X
from listeners import ALL, NG, PING, PONG, Stream, client_hello, closed_by_reason, crowd, every_listener, get, turn_all


def play(w):
    relay = every_listener(w)
    said = {"NG": PING, "HTTP": get(), "HTTPS": client_hello(), "text": b"list totals\n", "rtpproxy": b"V\n"}
    spent = Spent(relay)
    with live_call(w):
        for name, port in ALL.items():
            stranger = Stream(port, said[name], host=RELAY, source=X)
            turn_all([stranger], 0.3)
            w.check(stranger.closed and not stranger.heard, f"{name}: a stranger gets {stranger.heard!r}, closed: {stranger.closed}")
        friend = Stream(NG, host=RELAY, source=A)
        w.check(friend.ask(PING, PONG), "a source of control-allow is not served")
        end, tried = time.monotonic() + 3, 0
        while time.monotonic() < end:
            for each in crowd(64, ALL["HTTPS"], said["HTTPS"], host=RELAY, source=X):
                each.close()
            tried += 64
        w.check(spent.logged() < 20_000, f"the daemon writes {spent.logged()} octets of log")
    w.note(f"{tried} connections of a stranger in 3 s, {spent.cores():.2f} cores")
    w.check(spent.cores() < 0.5, f"the daemon spends {spent.cores():.2f} cores")
    w.check(closed_by_reason(relay).get("not-allowed", 0) >= len(ALL), "metrics do not count strangers")
