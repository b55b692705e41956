# SPDX-License-Identifier: Apache-2.0
"""Speech that arrives with holes, twice or late."""

import random

from scenes.theatre import FAULTS, SECONDS, about, scene

BAD = "fault broken-up"


def share(per_thousand, after=0):
    """Loses so many packets of 1,000, each by itself, of those after the first `after`; the same ones in each run."""
    lot = random.Random(per_thousand)
    # Of each 40 packets the same number: the share holds in every window.
    picked = [set(lot.sample(range(40), round(per_thousand * 40 / 1000))) for _ in range(100)]
    return lambda n: n > after and n % 40 in picked[n // 40 % 100]


@scene(FAULTS, ("2.5", 25, "note lossy"), ("5", 50, "note lossy"), ("15", 150, BAD), ("40", 400, BAD))
def loss_percent(t, name, per_thousand, said):
    t.call(name)[0].lose = share(per_thousand)
    return about("A", said)


@scene(FAULTS, ("5", 50, "note lossy"), ("15", 150, BAD))
def loss_toward_srtp(t, name, per_thousand, said):
    t.half_secure_call(name)[0].lose = share(per_thousand)
    return about("A", said)


@scene(FAULTS, ("5", 50, "note lossy"), ("15", 150, BAD))
def loss_of_srtp(t, name, per_thousand, said):
    t.secure_call(name)[0].lose = share(per_thousand)
    return about("A", said)


@scene(FAULTS)
def loss_both_ways(t, name):
    for party in t.call(name):
        party.lose = share(50)
    return about("A", "note lossy", back="note lossy", back_heard="note lossy")


@scene(FAULTS, ("240-ms-twice", ((350, 362), (450, 462))), ("500-ms", ((420, 445),)), ("240-ms-thrice", ((300, 312), (400, 412), (500, 512))))
def holes(t, name, missing):
    t.call(name)[0].lose = lambda n: any(first <= n < end for first, end in missing)
    return about("A", "note lossy interrupted")


@scene(FAULTS)
def halts_now(t, name):
    """It stopped 3 s before anybody asks."""
    a, _ = t.call(name)
    t.stage.at(SECONDS - 3.0, lambda: setattr(a, "on", False))
    return about("A", "not-fine interrupted stopped broken-up", "not-fine interrupted stopped broken-up")


@scene(FAULTS, ("15-of-5-s", 150, 5.0, "not-fine lossy broken-up"), ("40-of-4-s", 400, 4.0, BAD), ("10-of-5-s", 100, 5.0, "note lossy"))
def loss_lately(t, name, per_thousand, seconds, said):
    """The whole call looks well."""
    t.call(name)[0].lose = share(per_thousand, after=int((SECONDS - seconds) * 50))
    return about("A", said)


@scene(FAULTS, ("each", 1, "note duplicated"), ("tenth", 10, "note duplicated"), ("thrice", 0, "note duplicated"))
def duplicates(t, name, every, said):
    a, _ = t.call(name)
    if every == 0:
        a.copies = 3
    else:
        a.before = lambda party: setattr(party, "copies", 2 if party.made % every == 0 else 1)
    return about("A", said, "harmless")


@scene(FAULTS)
def jitter(t, name):
    """Each packet is up to 200 ms off its time: told by its time stamp, so that the parties' clock has no part in it."""
    a, _ = t.call(name)
    lot = random.Random(1)
    a.before = lambda party: setattr(party, "timestamp", party.made * 160 + lot.randrange(1600))
    return about("A", "note lossy")
