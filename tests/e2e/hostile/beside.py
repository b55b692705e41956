# SPDX-License-Identifier: Apache-2.0
"""What goes on beside an attack and may not suffer: a live call, a client of NG that is answered; and what the daemon spends.

    with live_call(w) as call:        # a plain call between its own parties, in a process of its own
        ...the attack...
    # at the end: no packet of the call may be missing, and NG must have answered each ping in time
"""
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "field"))
from kit import A, B, Ng, Party, World

PERIOD = 0.02
SECONDS_FOR_REPLY = 1.0  # a proxy waits this long before it asks again (Kamailio's rtpengine_tout_ms)


class Beside:
    """What the live call and its client saw; filled in when the `with` block ends."""
    sent = heard = slowest_reply = unanswered = 0


@contextlib.contextmanager
def live_call(w, call="beside", replies=True, loss=0):
    """A call whose parties both speak while the block runs. Afterwards `loss` packets at most are missing, and with `replies`
    every ping of NG that was sent each 100 ms got its reply within a second."""
    saw = Beside()
    process = subprocess.Popen([sys.executable, os.path.abspath(__file__), call], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        ready = process.stdout.readline()
        if ready != "speaking\n":
            w.check(False, f"the call beside cannot be made: {ready}{process.stdout.read()}")
        yield saw
    finally:
        process.stdin.close()
        text = process.stdout.read()
        process.wait(10)
    saw.__dict__.update(json.loads(text))
    w.note(f"beside: {saw.heard} of {saw.sent} packets heard, slowest reply {saw.slowest_reply * 1000:.0f} ms")
    w.check(saw.sent > 0 and saw.sent - saw.heard <= loss, f"the call beside lost {saw.sent - saw.heard} of {saw.sent} packets")
    if replies:
        w.check(saw.unanswered == 0, f"{saw.unanswered} pings of NG had no reply within a second")


class Spent:
    """Processor time, memory and log of a relay since this object was made."""
    def __init__(self, relay):
        self.relay, self.began, self.log = relay, time.monotonic(), os.path.getsize(relay.log_file)
        self.cpu, self.memory = self.processor(), self.resident()

    def processor(self):
        with open(f"/proc/{self.relay.process.pid}/stat") as f:
            words = f.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self):
        with open(f"/proc/{self.relay.process.pid}/statm") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def cores(self):
        return (self.processor() - self.cpu) / (time.monotonic() - self.began)

    def grown(self):
        """Octets of memory more than at the beginning."""
        return self.resident() - self.memory

    def logged(self):
        """Octets of log since the beginning."""
        return os.path.getsize(self.relay.log_file) - self.log

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.relay.process.pid}/fd"))


def speak(call):
    """The process beside: makes the call, speaks until its input ends, prints what was seen."""
    w, ng = World("", ""), Ng()
    a, b = Party(w, A, port=20100), Party(w, B, port=20200)
    to_b = ng.offer(call, a.sdp())[0].port
    to_a = ng.answer(call, b.sdp())[0].port
    ng.s.setblocking(False)
    print("speaking", flush=True)
    pings, slowest, unanswered = {}, 0.0, 0
    begin, tick = time.monotonic(), 0
    while not select.select([sys.stdin], [], [], 0)[0]:  # readable at its end
        a.send(to_a), b.send(to_b)
        if tick % 5 == 0:
            pings[b"ping%d" % tick] = time.monotonic()
            ng.s.send(b"ping%d " % tick + b"d7:command4:pinge")
        tick += 1
        w.listen(max(0, begin + tick * PERIOD - time.monotonic()))
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while True:
                asked = pings.pop(ng.s.recv(65535).split(b" ")[0], None)
                if asked:
                    slowest = max(slowest, time.monotonic() - asked)
                    unanswered += time.monotonic() - asked > SECONDS_FOR_REPLY
        for ping, asked in list(pings.items()):
            if time.monotonic() - asked > SECONDS_FOR_REPLY:
                unanswered += 1
                del pings[ping]
    w.listen(0.5)
    ng.s.setblocking(True)
    ng.ask("delete", call, from_tag="a")
    sent, heard = a.sent + b.sent, len(a.heard(b)) + len(b.heard(a))
    w.close()
    print(json.dumps({"sent": sent, "heard": heard, "slowest_reply": slowest, "unanswered": unanswered}))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    speak(sys.argv[1])
