# SPDX-License-Identifier: Apache-2.0
"""A permitted source begins TLS handshakes as fast as it can: commands and media do not wait, other clients of TLS get their turn."""
REFERENCE = "CTL-12"
RIGHT = "Handshakes have a budget of the control thread, sources take turns."
import socket
import ssl
import time

from beside import Spent, live_call
from kit import A, RELAY
from listeners import HTTPS, NG, PING, PONG, Stream, client_hello, every_listener, operator_gets_in

SECONDS = 4


def over_tls():
    """Whether a client from loopback is answered over TLS, and after how long."""
    began = time.monotonic()
    try:
        with socket.create_connection(("127.0.0.1", HTTPS), 5) as raw, ssl._create_unverified_context().wrap_socket(raw) as s:
            s.sendall(b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return b"200" in s.recv(100), time.monotonic() - began
    except OSError:
        return False, time.monotonic() - began


def play(w):
    relay = every_listener(w)
    live, hello = Stream(NG), client_hello()
    w.check(live.ask(PING, PONG), "NG over TCP is not answered at all")
    spent = Spent(relay)
    with live_call(w):
        flood, begun, end, others = [], 0, time.monotonic() + SECONDS, []
        next_look = time.monotonic() + 1
        while time.monotonic() < end:
            flood.append(Stream(HTTPS, hello, host=RELAY, source=A))
            begun += 1
            for each in flood[-2:]:
                each.turn()
            if len(flood) > 200:
                flood.pop(0).close()
            if begun % 8 == 0:
                time.sleep(0.002)
            if time.monotonic() > next_look:
                next_look += 1
                others.append(over_tls())
        cores = spent.cores()
        live.heard = b""
        w.check(live.ask(PING.replace(b"p ", b"q "), b"q d6:result4:ponge"), "the live NG client is not answered")
        operator_gets_in(w, relay, "a flood of handshakes")
    w.note(f"{begun} handshakes begun in {SECONDS} s, {cores:.2f} cores; another client: {[f'{t:.2f}' for _, t in others]} s")
    w.check(begun > 500, f"the attack is weak: {begun} handshakes")
    w.check(cores < 0.5, f"the daemon spends {cores:.2f} cores")
    w.check(others and all(good for good, _ in others), f"another client of TLS is not served: {others}")
    w.check(spent.grown() < 64 << 20, f"the daemon has grown by {spent.grown() >> 20} MB")
