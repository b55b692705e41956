# SPDX-License-Identifier: Apache-2.0
"""No descriptor is left: listeners wait, the log says it once, the operator gets in, and it recovers."""
REFERENCE = "CTL-12"
RIGHT = "A listener pauses for a second instead of asking again at once."
import os
import resource
import time

from beside import Spent, live_call
from listeners import HTTP, NG, PING, PONG, Stream, crowd, every_listener, operator_gets_in, turn_all


def play(w):
    relay = every_listener(w)
    pid = relay.process.pid
    live = Stream(NG)
    w.check(live.ask(PING, PONG), "NG over TCP is not answered at all")
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with live_call(w):
        time.sleep(1)
        in_use = max(int(fd) for fd in os.listdir(f"/proc/{pid}/fd")) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (in_use + 20, before[1]))
        spent = Spent(relay)
        idle = crowd(100, NG) + crowd(100, HTTP)
        turn_all(idle, 4)
        w.note(f"{spent.cores():.2f} cores, {spent.logged()} octets of log")
        w.check(spent.cores() < 0.3, f"the daemon spends {spent.cores():.2f} cores")
        w.check(spent.logged() < 20_000, f"the daemon writes {spent.logged()} octets of log")
        live.heard = b""
        w.check(live.ask(PING.replace(b"p ", b"q "), b"q d6:result4:ponge"), "the live NG client is not answered")
        operator_gets_in(w, relay, "no descriptor is left")
        w.equal("lines that say so", relay.log.count("no connection can be taken"), 1)
        w.check("no descriptor was left" in relay.ctl("doctor", text=True), "doctor does not say it")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        w.check(Stream(NG).ask(b"n d7:command4:pinge", b"n d6:result4:ponge", 5), "it does not recover")
        for each in idle:
            each.close()
