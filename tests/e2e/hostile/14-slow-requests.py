# SPDX-License-Identifier: Apache-2.0
"""Requests that never end, octet by octet, on every listener: 10 s each; silence alone ends no NG client."""
REFERENCE = "CTL-12"
RIGHT = "A header, a command, a frame, a handshake has 10 s; NG is never closed for idleness."
LIMIT = 60
import time

from beside import Spent, live_call
from listeners import CLASSIC, HTTP, HTTPS, NG, PING, PONG, TEXT, Stream, client_hello, every_listener, frame, get, turn_all, upgrade

SECONDS = 13


def play(w):
    relay = every_listener(w)
    spent = Spent(relay)
    # What is said at once, and then octet by octet.
    slow = {"NG bencode": (NG, b"c d262000:", b"x"), "NG cookie": (NG, b"", b"c"), "NG JSON": (NG, b'c {"a":"', b"x"),
            "HTTP header": (HTTP, b"GET / HTTP/1.1\r\n", b"a"), "HTTP headers": (HTTP, b"GET / HTTP/1.1\r\n", b"a:b\r\n"),
            "HTTP empty lines": (HTTP, b"", b"\r\n"),
            "HTTP body": (HTTP, b"POST /ng HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200000\r\n\r\n", b"x"),
            "HTTP second request": (HTTP, get(), b"G"), "TLS record": (HTTPS, b"\x16\x03", b""),
            "TLS hello": (HTTPS, client_hello()[:-1], b""), "TLS nothing": (HTTPS, b"", b""),
            "WebSocket header": (HTTP, upgrade() + b"\x81", b""), "WebSocket frame": (HTTP, upgrade() + b"\x81\xfe\x40\0mask", b"x"),
            "WebSocket fragments": (HTTP, upgrade() + frame(b"x", 1, False), frame(b"", 9)),
            "text": (TEXT, b"list", b" "), "rtpproxy": (CLASSIC, b"V", b" ")}
    quiet = {"NG silent": Stream(NG), "NG idle": Stream(NG), "rtpproxy silent": Stream(CLASSIC), "WebSocket idle": Stream(HTTP, upgrade())}
    w.check(quiet["NG idle"].ask(PING, PONG), "NG over TCP is not answered at all")
    with live_call(w):
        clients = [(name, each, drop) for name, (port, first, drop) in slow.items() for each in [Stream(port, first) for _ in range(8)]]
        ended = {}
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            for name, each, drop in clients:
                if not each.closed and len(each.rest) < 100:
                    each.rest += drop
                if not each.turn():
                    ended.setdefault(name, time.monotonic() - began)
            turn_all(list(quiet.values()), 0.01)
        cores = spent.cores()
    for name in slow:
        open_still = sum(not each.closed for n, each, _ in clients if n == name)
        w.check(open_still == 0, f"{name}: {open_still} of 8 are open after {SECONDS} s")
        w.check(ended.get(name, SECONDS) > 8, f"{name}: ended after {ended.get(name, SECONDS):.1f} s")
    for name, each in quiet.items():
        w.check(each.turn(), f"{name}: was closed")
    w.check(cores < 0.4, f"the daemon spends {cores:.2f} cores")
    w.check(spent.grown() < 64 << 20, f"the daemon has grown by {spent.grown() >> 20} MB")
