# SPDX-License-Identifier: Apache-2.0
"""What a party sends is missing, comes from elsewhere, or cannot be used."""

import os
import struct

from parties import SILENT, port_of
from scenes.theatre import FAULTS, RELAY4, about, rows, scene


@scene(FAULTS)
def void_address(t, name):
    a = t.party("alice")
    t.call(name, a, offer=a.sdp(address="10.9.9.9"))
    a.on = False
    return rows(A_from="fault void-address", B_to="fault void-address", B_from="harmless", A_to="fault void-address never-sent")


@scene(FAULTS)
def source_refused(t, name):
    a, b = t.alone("alice"), t.party("bob")
    t.call(name, a, b)
    real, a.socket = a.socket, t.stranger(a)     # all of it comes from the other host
    real.close()
    return about("A", "fault source-refused", back_heard="fault unreachable source-refused")


def moves(t, name, take, a=None, back_heard="harmless fine source-refused"):
    a, _ = t.call(name, a)
    t.stage.at(2.0, lambda: take(a))
    del t.pairs[name]
    # If nobody refuses what is sent to where A was, nobody can know what reaches A at its new host.
    return about("A", "fault source-refused", back_heard=back_heard)


@scene(FAULTS)
def moved_to_another_host(t, name):
    def take(a):
        a.extra, a.socket = [a.socket], t.stranger(a)
        a.kept = a.extra.pop()                   # stays open, and is silent
    return moves(t, name, take)


@scene(FAULTS)
def moved_with_new_ssrc(t, name):
    def take(a):
        a.kept, a.socket = a.socket, t.stranger(a)
        a.ssrc += 500_000
    return moves(t, name, take)


@scene(FAULTS)
def moved_and_closed_the_old_port(t, name):
    def take(a):
        old, a.socket = a.socket, t.stranger(a)
        old.close()
    return moves(t, name, take, t.alone("alice"), back_heard="fault unreachable")


@scene(FAULTS)
def contested(t, name):
    a = t.party("alice")
    t.call(name, a, offer=a.sdp(address="10.9.9.9"))
    a.extra = [t.stranger(a)]
    return rows(A_from="fault contested", B_to="fault contested", B_from="harmless", A_to="fault contested void-address")


@scene(FAULTS)
def old_port(t, name):
    a, b = t.call(name)
    moved = t.party("bob")

    def reinvite():
        to_b, to_a = t.reinvite(name, a.sdp(), moved.sdp())
        assert to_a != a.to[1], "the re-INVITE was to move alice's port"
        moved.to, moved.on, b.on = (RELAY4, to_b), True, False
        t.pair(name, a, moved)
    t.stage.at(1.0, reinvite)
    return about("A", "note old-port", "fine")       # it is passed on, and B hears all of it


@scene(FAULTS)
def never_sent(t, name):
    t.call(name)[1].on = False
    return about("B", "fault never-sent")


@scene(FAULTS)
def neither_sent(t, name):
    a, b = t.call(name)
    a.on = b.on = False
    return rows(A_from="fault never-sent", B_from="fault never-sent", A_to="not-fine never-sent nothing-to-send", B_to="not-fine never-sent nothing-to-send")


@scene(FAULTS)
def stopped(t, name):
    a, _ = t.call(name)
    t.stage.at(1.5, lambda: setattr(a, "on", False))
    return about("A", "fault stopped")


@scene(FAULTS)
def stopped_with_rtcp(t, name):
    a, b = t.call(name)
    a.rtcp = True
    b.hear_rtcp()
    t.stage.at(3.0, lambda: setattr(a, "on", False))
    return about("A", "fault stopped")


@scene(FAULTS)
def only_rtcp(t, name):
    a, b = t.call(name)
    b.on, b.rtcp = False, True
    a.hear_rtcp()
    return about("B", "fault only-rtcp")


@scene(FAULTS)
def unknown_payload_type(t, name):
    t.call(name)[0].type = 97
    return about("A", "fault unknown-payload-type")


@scene(FAULTS, ("both-follow-not", False), ("one-follows", True))
def codec_mismatch(t, name, b_follows):
    a, b = t.call(name)

    def reinvite():
        t.reinvite(name, a.sdp(types="0"), b.sdp(types="0"))
        if b_follows:
            b.type = 0
    t.stage.at(1.0, reinvite)
    if b_follows:
        return about("A", "fault codec-mismatch")
    return rows(A_from="fault codec-mismatch", B_to="fault codec-mismatch", B_from="fault codec-mismatch", A_to="fault codec-mismatch")


@scene(FAULTS, ("alaw", 8, SILENT, False), ("ulaw", 0, b"\xff" * 160, False), ("encrypted", 8, SILENT, True))
def silence(t, name, kind, payload, encrypted):
    _, b = t.secure_call(name) if encrypted else t.call(name)
    b.type, b.payload = kind, payload
    return about("B", "fault silence")


@scene(FAULTS)
def rate_limited(t, name):
    t.call(name)[0].burst = 12    # 600 packets a second
    return about("A", "fault rate-limited", "fault rate-limited broken-up")


# Sequence numbers (SSR-4): after a step the first packet is refused, until a second one confirms it.

STEPS = [(f"{'back' if step < 0 else 'ahead'}-{abs(step)}-{'encrypted' if encrypts else 'plain'}", step, encrypts)
         for step in (-101, -500, -5000, -30000, 500, 5000, 30000) for encrypts in (False, True)]


@scene(FAULTS, *STEPS)
def steps_again_and_again(t, name, step, encrypts):
    a, _ = t.half_secure_call(name) if encrypts else t.call(name)
    a.sequence = 40000

    def before(party):
        if party.made % 5 == 0:
            party.sequence = (party.sequence + step) & 0xffff
    a.before = before
    # A step by 101 costs one packet in ten, which is where a fault begins. Of leaps that need no confirmation all packets pass.
    said = "not-fine" if step in (-101, 500) else "fault"
    return about("A", f"{said} sequence-jumps broken-up lossy")


@scene(FAULTS, ("far-apart", 20000, False), ("near", 1500, False), ("toward-srtp", 20000, True))
def two_streams_one_ssrc(t, name, apart, encrypts):
    """Two senders behind one address, each counting for itself."""
    a, _ = t.half_secure_call(name) if encrypts else t.call(name)
    a.burst = 2

    def before(party):
        party.sequence = (party.sequence + (apart if party.made % 2 else -apart - 1)) & 0xffff
    a.before = before
    return about("A", "fault sequence-jumps broken-up")


@scene(FAULTS, ("each-packet", 1), ("each-second", 2), ("each-fifth", 5))
def many_ssrcs(t, name, every):
    a, _ = t.call(name)

    def before(party):
        if party.made > 25 and party.made % every == 0:
            party.ssrc += 1000
    a.before = before
    return about("A", "fault ssrcs-refused", "fault ssrcs-refused broken-up")


@scene(FAULTS)
def twenty_ssrcs_in_turn(t, name):
    a, _ = t.call(name)
    own, numbers = a.ssrc, [0] * 20

    def before(party):
        turn = party.made % 20
        numbers[turn] += 1
        party.ssrc, party.sequence = own + turn * 1000, numbers[turn]
    a.before = before
    return about("A", "fault ssrcs-refused", "fault ssrcs-refused broken-up")


def stun(party):
    return struct.pack("!HHI", 1, 0, 0x2112a442) + os.urandom(12)


def dtls(party):
    return struct.pack("!BHHIHH", 22, 0xfefd, 0, 0, party.made & 0xffff, 40) + b"\1\0\0\x1c" + bytes(36)


def garbage(party):
    return b"\x55" + bytes(60)


@scene(FAULTS, ("stun", stun), ("dtls", dtls), ("garbage", garbage))
def no_rtp(t, name, make):
    """WebRTC, or something else, where plain RTP was agreed."""
    t.call(name)[0].make = make
    return about("A", "fault malformed")
