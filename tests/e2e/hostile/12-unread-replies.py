# SPDX-License-Identifier: Apache-2.0
"""Clients ask and never read: memory stays, and they are closed."""
REFERENCE = "CTL-12"
RIGHT = "Nothing is read while replies are unread; who takes nothing for 10 s is closed."
LIMIT = 90
from beside import Spent, live_call
from kit import A, Ng, plain
from listeners import CLASSIC, HTTP, NG, Stream, closed_by_reason, every_listener, frame, get, turn_all, upgrade

TIMES = 150_000


def play(w):
    relay = every_listener(w)
    ng = Ng()
    for n in range(200):  # replies are large then
        ng.raw({"command": "offer", "call-id": f"call-{n:04}-{'x' * 60}", "from-tag": "a", "sdp": plain(A, 21000)})
    spent = Spent(relay)
    kinds = {"NG list": (NG, b"".join(b"l%d d7:command4:list5:limiti1000ee" % n for n in range(TIMES))),
             "NG list, one cookie": (NG, b"l d7:command4:list5:limiti1000ee" * TIMES),
             "HTTP metrics": (HTTP, get("/metrics") * (TIMES // 4)),
             "WebSocket list": (HTTP, upgrade() + b"".join(frame(b"w%d d7:command4:list5:limiti1000ee" % n) for n in range(TIMES))),
             "WebSocket pings": (HTTP, upgrade() + frame(b"p" * 120, 9) * TIMES),
             "rtpproxy": (CLASSIC, b"V\n" * (4 * TIMES))}
    with live_call(w):
        deaf = [Stream(port, octets) for port, octets in kinds.values() for _ in range(3)]
        most = 0
        for _ in range(60):  # 30 s at the most
            turn_all(deaf, 0.5, reads=False)
            most = max(most, spent.grown())
            if all(each.closed for each in deaf):
                break
        taken = sum(len(kinds[name][1]) for name in kinds) * 3 - sum(len(each.rest) for each in deaf)
    w.note(f"{taken >> 10} kB taken, {most >> 20} MB more memory at most, {spent.cores():.2f} cores")
    w.check(most < 48 << 20, f"the daemon has grown by {most >> 20} MB")
    closed = closed_by_reason(relay)
    w.check(closed.get("unread", 0) >= 12, f"clients that do not read are not closed: {closed}")
