# SPDX-License-Identifier: Apache-2.0
"""Clients that read all and ask without end: pings of WebSocket, pipelined HTTP, huge headers, chunked bodies, NG."""
REFERENCE = "CTL-12, CTL-4"
RIGHT = "Each client gets its turn; the live call and its client do not wait."
import time

from beside import Spent, live_call
from listeners import CLASSIC, HTTP, NG, PING, Stream, every_listener, frame, get, operator_gets_in, upgrade

SECONDS = 3


def play(w):
    relay = every_listener(w, "--log-level=6")  # 7 would log each command
    kinds = {"NG": (NG, b"", PING * 500), "HTTP": (HTTP, b"", get() * 300), "WebSocket pings": (HTTP, upgrade(), frame(b"p" * 100, 9) * 300),
             "WebSocket": (HTTP, upgrade(), frame(PING) * 300), "rtpproxy": (CLASSIC, b"", b"V\n" * 1000),
             "headers": (HTTP, b"", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 4000),
             "one header": (HTTP, b"", b"GET / HTTP/1.1\r\nX: " + b"x" * 60000),
             "chunks": (HTTP, b"", b"POST /ng HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 5000)}
    spent = Spent(relay)
    with live_call(w):
        for name, (port, first, again) in kinds.items():
            flood = [Stream(port, first) for _ in range(8)]
            end, opened = time.monotonic() + SECONDS, 8
            while time.monotonic() < end:
                for at, each in enumerate(flood):
                    if each.closed:
                        each.close()
                        flood[at] = each = Stream(port, first)
                        opened += 1
                    if not each.rest:
                        each.rest = again
                    each.turn()
                    each.heard = each.heard[-100:]
                time.sleep(0.001)
            w.check(Stream(NG).ask(b"n%s d7:command4:pinge" % name.encode().replace(b" ", b"-"), b"6:result4:pong"), f"{name}: NG is not answered")
            w.check(opened < 100 or "head" in name or name in ("one header", "chunks"), f"{name}: clients that ask are closed")
            for each in flood:
                each.close()
        operator_gets_in(w, relay, "floods of requests")
    w.check(spent.grown() < 64 << 20, f"the daemon has grown by {spent.grown() >> 20} MB")
    w.check(spent.logged() < 4 << 20, f"the daemon writes {spent.logged() >> 10} kB of log")
