# SPDX-License-Identifier: Apache-2.0
"""Nothing attacks: the call beside and its client are as they should be, so that a fault of another case is the attack's."""
REFERENCE = "the frame of these cases"
RIGHT = "All packets arrive, all pings are answered, the daemon spends little."
import time

from beside import Spent, live_call


def play(w):
    relay = w.relay()
    spent = Spent(relay)
    with live_call(w) as call:
        time.sleep(1)
    w.check(call.sent >= 90, f"the call beside sent only {call.sent} packets in a second")
    w.check(spent.cores() < 0.5, f"the daemon spends {spent.cores():.2f} cores")
