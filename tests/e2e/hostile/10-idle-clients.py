# SPDX-License-Identifier: Apache-2.0
"""Thousands of clients that say nothing, on every listener: the next client and the operator get in, a client that talks stays."""
REFERENCE = "CTL-12"
RIGHT = "The oldest silent connections give way; nobody is locked out."
from beside import Spent, live_call
from listeners import ALL, HTTP, NG, PING, PONG, Stream, closed_by_reason, crowd, every_listener, get, operator_gets_in, turn_all


def play(w):
    relay = every_listener(w)
    spent = Spent(relay)
    with live_call(w):
        live = Stream(NG)
        w.check(live.ask(PING, PONG), "NG over TCP is not answered at all")
        for name, port in ALL.items():
            idle = crowd(1100, port)
            live.heard = b""
            w.check(live.ask(PING.replace(b"p ", b"q%d " % port), b"6:result4:pong"), f"{name}: the live NG client is cut off")
            w.check(Stream(NG).ask(b"n%d d7:command4:pinge" % port, b"6:result4:pong"), f"{name}: the next NG client is locked out")
            w.check(Stream(HTTP).ask(get(), b"pong\n"), f"{name}: the next HTTP client is locked out")
            operator_gets_in(w, relay, f"{name}: 1,100 idle clients")
            for each in idle:
                each.close()
            turn_all([live], 0.2)
        w.check(spent.cores() < 0.5, f"the daemon spends {spent.cores():.2f} cores")
    w.check(spent.grown() < 32 << 20, f"the daemon has grown by {spent.grown() >> 20} MB")
    closed = closed_by_reason(relay)
    w.check(closed.get("source-full", 0) > 3000, f"metrics say {closed}")
    w.check("source-full" in relay.ctl("doctor", text=True), "doctor does not say that connections gave way")
