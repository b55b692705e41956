# SPDX-License-Identifier: Apache-2.0
"""Calls in which nothing is wrong, though it may look so. Nobody may be accused."""

import re
import struct

from lab import BOB6, RELAY4, RELAY6, ns
from parties import LOUD, SILENT, Party, port_of
from scenes.quality import share
from scenes.theatre import FINE, HEALTHY, QUIET, SECONDS, about, merged, ports_of, rows, scene
from scenes.webrtc import dtls_call, ice_call


@scene(HEALTHY)
def plain(t, name):
    t.call(name)
    return FINE


@scene(HEALTHY)
def plain_with_rtcp(t, name):
    for party in t.call(name):
        party.rtcp = True
        party.hear_rtcp()
    return FINE


# Signalling that changes nothing, or much.

@scene(HEALTHY, ("hold", lambda a: a.sdp(direction="sendonly")), ("zero-address", lambda a: a.sdp(address="0.0.0.0")),
       ("moved", lambda a: a.sdp(port=a.port + 2)), ("t38", lambda a: fax(a)))
def reinvite_refused_with_488(t, name, offer):
    """The relay hears of the offer alone."""
    a, _ = t.call(name)
    t.stage.at(3.0, lambda: t.reinvite(name, offer(a), None))
    return FINE


def on_hold(t, name, offer, answer, goes_on=(), at=2.0):
    a, b = t.call(name)

    def reinvite():
        t.reinvite(name, offer(a), answer(b))
        a.on, b.on = "A" in goes_on, "B" in goes_on
    t.stage.at(at, reinvite)
    return a, b


ZERO = ("zero-address", lambda a: a.sdp(address="0.0.0.0"), lambda b: b.sdp(direction="recvonly"))
SENDONLY = ("sendonly", lambda a: a.sdp(direction="sendonly"), lambda b: b.sdp(direction="recvonly"))
RECVONLY = ("recvonly", lambda a: a.sdp(direction="recvonly"), lambda b: b.sdp(direction="sendonly"))
INACTIVE = ("inactive", lambda a: a.sdp(direction="inactive"), lambda b: b.sdp(direction="inactive"))


@scene(HEALTHY, ZERO, SENDONLY, INACTIVE, ("answered-sendrecv", lambda a: a.sdp(address="0.0.0.0"), lambda b: b.sdp()))
def hold_in_silence(t, name, offer, answer):
    """He who holds sends nothing: he has not stopped."""
    on_hold(t, name, offer, answer)
    return {**QUIET, "B from": "note hold", "A to": "note hold"}


@scene(HEALTHY, ZERO, SENDONLY)
def hold_with_music(t, name, offer, answer):
    on_hold(t, name, offer, answer, goes_on="A")
    return rows(A_from="fine", B_to="fine", B_from="note hold", A_to="note hold")


@scene(HEALTHY, ZERO, SENDONLY, INACTIVE)
def hold_while_the_held_speaks(t, name, offer, answer):
    """The held one does not care."""
    on_hold(t, name, offer, answer, goes_on="B")
    return {**QUIET, "B from": "note hold", "A to": "note hold"}


@scene(HEALTHY, RECVONLY)
def hold_by_the_other_side(t, name, offer, answer):
    on_hold(t, name, offer, answer, goes_on="B")
    return rows(A_from="note hold", B_to="note hold", B_from="fine", A_to="fine")


@scene(HEALTHY)
def both_hold(t, name):
    a, b = t.call(name)
    t.stage.at(2.0, lambda: (t.reinvite(name, a.sdp(direction="sendonly"), b.sdp(direction="recvonly")), setattr(b, "on", False)))
    t.stage.at(4.0, lambda: (t.reinvite(name, b.sdp(direction="inactive"), a.sdp(direction="inactive"), by="B"), setattr(a, "on", False)))
    return rows(A_from="note hold", A_to="note hold", B_from="note hold", B_to="note hold")


@scene(HEALTHY, ("zero-address", "0.0.0.0", "sendrecv"), ("sendonly", None, "sendonly"))
def resumed_lately(t, name, address, direction):
    """Held, and resumed 2 s ago."""
    a, b = on_hold(t, name, lambda a: a.sdp(address=address, direction=direction), lambda b: b.sdp(direction="recvonly"))

    def resume():
        t.reinvite(name, a.sdp(), b.sdp())
        a.on = b.on = True
    t.stage.at(SECONDS - 2.0, resume)
    return QUIET


@scene(HEALTHY)
def one_sends_as_signalled(t, name):
    a, b = t.party("alice"), t.party("bob")
    t.call(name, a, b, offer=a.sdp(direction="sendonly"), answer=b.sdp(direction="recvonly"))
    b.on = False
    return rows(A_from="fine", B_to="fine", B_from="note hold", A_to="note hold")


@scene(HEALTHY)
def announcement_by_flag(t, name):
    t.call(name, flags=["unidirectional"])[0].on = False
    return {**QUIET, "B from": "fine", "A to": "fine"}


@scene(HEALTHY)
def codec_changes(t, name):
    a, b = t.call(name)
    a.type = b.type = 8

    def reinvite():
        t.reinvite(name, a.sdp(types="0"), b.sdp(types="0"))
        a.type = b.type = 0
    t.stage.at(4.0, reinvite)
    return FINE


@scene(HEALTHY)
def port_changes(t, name):
    a, b = t.call(name)
    moved = t.party("bob")

    def reinvite():
        to_a, to_b = t.reinvite(name, moved.sdp(), a.sdp(), by="B")
        a.to, moved.to = (RELAY4, to_a), (RELAY4, to_b)
        b.on, moved.on = False, True
    del t.pairs[name]            # another socket goes on hearing
    t.stage.at(4.0, reinvite)
    return QUIET


# Beginning and end.

@scene(HEALTHY)
def rings(t, name):
    t.offer(name, t.party("alice"))
    return {"A from": "harmless", "A to": "harmless", "party 2 from": "harmless", "party 2 to": "harmless"}


@scene(HEALTHY)
def rings_with_early_media(t, name):
    a, b = t.party("alice"), t.party("bob")
    b.to, b.on = (RELAY4, port_of(t.offer(name, a))), True
    return {"A from": "harmless", "A to": "harmless", "party 2 from": "harmless", "party 2 to": "harmless"}


@scene(HEALTHY, ("after-9-s", SECONDS - 3.0), ("after-6-s", 6.0))
def late_answer(t, name, seconds):
    a, b = t.party("alice"), t.party("bob")
    b.to = (RELAY4, port_of(t.offer(name, a)))

    def answer():
        a.to = (RELAY4, port_of(t.answer(name, b)))
        a.on = b.on = True
    t.stage.at(seconds, answer)
    return FINE


@scene(HEALTHY, ("after-2-s", 2.0), ("after-8-s", 8.0))
def early_media(t, name, seconds):
    a, b = t.party("alice"), t.party("bob")
    b.to, b.on = (RELAY4, port_of(t.offer(name, a))), True     # before its SDP came

    def answer():
        a.to, a.on = (RELAY4, port_of(t.answer(name, b))), True
    t.stage.at(seconds, answer)
    # What came before the answer is kept for half a second alone (LAT-14).
    return {**FINE, "B from": "harmless", "A to": "harmless"}


@scene(HEALTHY)
def media_late_after_the_answer(t, name):
    a, b = t.call(name)
    a.on = b.on = False
    t.stage.at(3.5, lambda: (setattr(a, "on", True), setattr(b, "on", True)))
    return FINE


@scene(HEALTHY)
def call_of_two_seconds(t, name):
    a, b = t.call(name)
    t.stage.at(2.0, lambda: (t.end(name), a.close(), b.close()))
    return FINE


@scene(HEALTHY, ("at-once", 0), ("after-1-s", 1.0))
def deleted_before_media(t, name, seconds):
    a, b = t.call(name)
    a.on = b.on = False
    t.stage.at(seconds, lambda: t.end(name))
    return QUIET


@scene(HEALTHY)
def deleted_unanswered(t, name):
    t.offer(name, t.party("alice"))
    t.stage.at(3.0, lambda: t.end(name))
    return {"A from": "harmless", "A to": "harmless", "party 2 from": "harmless", "party 2 to": "harmless"}


@scene(HEALTHY, ("2-s", 2.0), ("half-a-second", 0.5))
def phone_closes_before_the_end(t, name, seconds):
    """The BYE takes a while: the phone's port is closed already, and its host refuses what comes."""
    a, b = t.call(name, b=t.alone("bob"))
    del t.pairs[name]            # B does not hear, and wants it so

    def close():
        b.on = False
        b.socket.close()
    t.stage.at(9.0 - seconds, close)
    t.stage.at(9.0, lambda: (t.end(name), setattr(a, "on", False)))
    return {**QUIET, "A from": "fine"}


# Silence that was meant.

def pauses(t, name, sdp, speech, silence):
    """Both talk; then B says that it is silent, and sends nothing more for 8 s."""
    a, b = t.party("alice"), t.party("bob")
    for party in (a, b):
        party.type, party.payload, party.clock = speech
    t.call(name, a, b, offer=sdp(a), answer=sdp(b))
    t.stage.at(3.0, lambda: silence(b))
    return {**QUIET, "A from": "fine", "B to": "fine"}


def with_codec(types, *lines):
    return lambda party: re.sub(r"(a=rtpmap.*\r\n)+", "".join(f"a={line}\r\n" for line in lines), party.sdp(types=types))


def then_nothing(party, kind, payload):
    """One packet of this, and the party is silent."""
    party.type, party.payload = kind, payload
    party.made, party.before = 0, lambda p: setattr(p, "on", False)


G729 = with_codec("18", "rtpmap:18 G729/8000", "fmtp:18 annexb=yes")
OPUS = with_codec("96", "rtpmap:96 opus/48000/2", "fmtp:96 usedtx=1")
G711 = with_codec("8 13", "rtpmap:8 PCMA/8000", "rtpmap:13 CN/8000")


@scene(HEALTHY)
def dtx_of_g729_annex_b(t, name):
    return pauses(t, name, G729, (18, LOUD[:20], 160), lambda b: then_nothing(b, 18, b"\x55\x22"))


@scene(HEALTHY)
def dtx_of_g729_with_the_last_frame(t, name):
    """The descriptor of silence follows a frame of speech in the same packet."""
    return pauses(t, name, G729, (18, LOUD[:20], 160), lambda b: then_nothing(b, 18, LOUD[:10] + b"\x55\x22"))


@scene(HEALTHY)
def dtx_of_opus(t, name):
    return pauses(t, name, OPUS, (96, b"\x78" + LOUD[:70], 960), lambda b: then_nothing(b, 96, b"\x78"))


@scene(HEALTHY)
def dtx_of_opus_with_refresh(t, name):
    def refresh(b):
        b.payload, b.every, b.clock = b"\x78", 20, 19200      # each 400 ms
    return pauses(t, name, OPUS, (96, b"\x78" + LOUD[:70], 960), refresh)


@scene(HEALTHY)
def comfort_noise_of_g711(t, name):
    return pauses(t, name, G711, (8, LOUD, 160), lambda b: then_nothing(b, 13, b"\x40"))


@scene(HEALTHY)
def comfort_noise_each_two_seconds(t, name):
    def refresh(b):
        b.type, b.payload, b.every, b.clock = 13, b"\x40", 100, 16000
    return pauses(t, name, G711, (8, LOUD, 160), refresh)


@scene(HEALTHY)
def mutes_itself_later(t, name):
    a, _ = t.call(name)
    t.stage.at(3.0, lambda: setattr(a, "payload", SILENT))
    return QUIET


@scene(HEALTHY)
def sender_that_halts_twice(t, name):
    """For 400 ms it sends nothing and goes on with the next number and time."""
    a, _ = t.call(name)
    for at in (6.0, 9.0):
        t.stage.at(at, lambda: setattr(a, "on", False))
        t.stage.at(at + 0.4, lambda: setattr(a, "on", True))
    return about("A", "harmless")


# Kinds of media.

@scene(HEALTHY)
def video_beside_audio(t, name):
    voices, pictures = (t.party("alice"), t.party("bob")), (t.party("alice"), t.party("bob"))

    def sdp(voice, picture):
        video = picture.sdp(types="97").replace("m=audio", "m=video").replace("a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000", "a=rtpmap:97 H264/90000")
        return merged(voice.sdp(), video)
    to_b = ports_of(t.offer(name, None, sdp(voices[0], pictures[0])))
    to_a = ports_of(t.answer(name, None, sdp(voices[1], pictures[1])))
    for who, ports in ((0, to_a), (1, to_b)):
        for party, port in zip((voices[who], pictures[who]), ports):
            party.to, party.on = (RELAY4, port), True
        pictures[who].type, pictures[who].payload, pictures[who].clock = 97, LOUD * 5, 1800
    return {**FINE, **{f"{row} 2": "fine" for row in FINE}}


@scene(HEALTHY)
def video_declined(t, name):
    a, b = t.party("alice"), t.party("bob")

    def sdp(voice, port):
        video = t.party(voice.where[len(ns("")):]).sdp(types="97").replace("a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000", "a=rtpmap:97 H264/90000")
        return merged(voice.sdp(), re.sub(r"m=audio (\d+)", lambda m: f"m=video {m[1] if port is None else port}", video))
    b.to = (RELAY4, ports_of(t.offer(name, None, sdp(a, None)))[0])
    a.to = (RELAY4, ports_of(t.answer(name, None, sdp(b, 0)))[0])
    a.on = b.on = True
    return {**FINE, **{f"{row} 2": "note declined" for row in FINE}}


@scene(HEALTHY)
def srtp_both(t, name):
    t.secure_call(name)
    return FINE


@scene(HEALTHY)
def srtp_one_side(t, name):
    t.half_secure_call(name)
    return FINE


@scene(HEALTHY, ("relay-waits", False), ("relay-begins", True))
def dtls(t, name, relay_begins):
    dtls_call(t, name, relay_begins)
    return FINE


@scene(HEALTHY)
def ice(t, name):
    ice_call(t, name)
    return FINE


@scene(HEALTHY)
def ice_with_some_wrong_checks(t, name):
    """A few checks of an earlier password are normal around a restart."""
    _, _, agent = ice_call(t, name)
    right = agent.password

    def now(password):
        agent.password = password
    t.stage.at(9.0, lambda: now("x" * 24))
    t.stage.at(10.6, lambda: now(right))
    return QUIET


@scene(HEALTHY)
def dtmf(t, name):
    a, b = t.party("alice"), t.party("bob")
    events = with_codec("8 101", "rtpmap:8 PCMA/8000", "rtpmap:101 telephone-event/8000", "fmtp:101 0-15")
    t.call(name, a, b, offer=events(a), answer=events(b))

    def before(party):
        step = party.made % 100
        party.type, party.clock = (101, 0) if step < 8 else (8, 160 if step > 8 else 1440)
        party.payload = struct.pack("!BBH", 5, 0x8a if step > 4 else 0x0a, 160 * (step + 1)) if step < 8 else LOUD
    a.before = before
    return FINE


def fax(party):
    return re.sub(r"m=audio (\d+).*", r"m=image \1 udptl t38\r\na=T38FaxVersion:0\r\n", party.sdp(), flags=re.S)


@scene(HEALTHY)
def t38(t, name):
    a, b = t.call(name)
    del t.pairs[name]            # they count RTP

    def udptl(party):
        party.sequence = (party.sequence + 1) & 0xffff
        return struct.pack("!H", party.sequence) + b"\x01\x00" + b"\x00\x00"      # no signal, without redundancy

    def reinvite():
        to_b, to_a = t.reinvite(name, fax(a), fax(b))
        a.to, b.to = (RELAY4, to_a), (RELAY4, to_b)
        for party in (a, b):
            party.make, party.sequence = udptl, 0
    t.stage.at(3.0, reinvite)
    return FINE


@scene(HEALTHY)
def three_by_subscription(t, name):
    """A third party listens to A."""
    t.call(name)
    c = t.party("bob")
    reply = t.ng.ask("subscribe request", name, from_tag="A", to_tag="C")
    said = t.ng.ask("subscribe answer", name, to_tag="C", sdp=c.sdp(direction="recvonly"))
    assert reply["result"] == said["result"] == "ok", (reply, said)
    return {**FINE, "C from": "harmless", "C to": "fine"}


@scene(HEALTHY)
def recorded(t, name):
    t.call(name, flags=["record-call"])
    return FINE


@scene(HEALTHY)
def ipv6_on_one_side(t, name):
    b = t.party("bob", BOB6)
    reply = t.offer(name, a := t.party("alice"), address_family="IP6")
    b.to = (RELAY6, port_of(reply))
    a.to = (RELAY4, port_of(t.answer(name, b, address_family="IP4")))
    a.on = b.on = True
    return FINE


@scene(HEALTHY)
def rtcp_mux(t, name):
    a, b = t.party("alice"), t.party("bob")
    t.call(name, a, b, offer=a.sdp(extra="a=rtcp-mux\r\n"), answer=b.sdp(extra="a=rtcp-mux\r\n"))
    for party in (a, b):
        def make(p):
            return p.report() if p.made % 50 == 0 else p.packet()
        party.make = make
    return FINE


# Numbers and sources.

@scene(HEALTHY, ("plain", lambda t, name: t.call(name)), ("srtp", lambda t, name: t.secure_call(name)), ("toward-srtp", lambda t, name: t.half_secure_call(name)))
def sequence_wraps(t, name, begin):
    a, _ = begin(t, name)
    a.sequence = 65536 - 200

    def before(party):
        if party.sequence == 65535 and party.srtp:
            party.roll_over = 1
    a.before = before
    return FINE


@scene(HEALTHY, ("plain", lambda t, name: t.call(name)), ("toward-srtp", lambda t, name: t.half_secure_call(name)))
def ssrc_changes(t, name, begin):
    a, _ = begin(t, name)

    def change():
        a.ssrc, a.sequence, a.timestamp = a.ssrc + 300_000, 9000, 77
    for at in (4.0, 8.0):
        t.stage.at(at, change)
    return FINE


SINGLE = [(f"{abs(step)}-{'encrypted' if encrypts else 'plain'}", step, encrypts) for step in (-101, -500, -5000, -30000) for encrypts in (False, True)]


@scene(HEALTHY, *SINGLE)
def steps_back_once(t, name, step, encrypts):
    """Music on hold begins its own numbering: one packet is refused, and speech goes on."""
    a, _ = t.half_secure_call(name) if encrypts else t.call(name)
    a.sequence = 40000

    def jump():
        a.sequence += step
    t.stage.at(6.0, jump)
    return about("A", "harmless")


@scene(HEALTHY, ("5000-plain", 5000, False), ("5000-encrypted", 5000, True), ("30000-plain", 30000, False), ("30000-encrypted", 30000, True))
def leaps_once(t, name, step, encrypts):
    a, _ = t.half_secure_call(name) if encrypts else t.call(name)
    t.stage.at(6.0, lambda: setattr(a, "sequence", a.sequence + step))
    return about("A", "harmless")


@scene(HEALTHY)
def loss_of_one_percent(t, name):
    t.call(name)[0].lose = lambda n: n % 100 == 50
    return about("A", "harmless")


@scene(HEALTHY)
def one_hole_of_100_ms(t, name):
    t.call(name)[0].lose = lambda n: 450 <= n < 455
    return about("A", "harmless")


@scene(HEALTHY)
def loss_that_is_over(t, name):
    """A hundred packets were lost in the first seconds of the call; since then it is whole."""
    t.call(name)[0].lose = lambda n: n < 40 and n % 2 == 0
    return about("A", "harmless")


@scene(HEALTHY)
def few_swapped(t, name):
    a, _ = t.call(name)
    kept = []

    def make(party):
        packet = party.packet()
        if party.made % 25 == 0:                # waits for the next one
            kept.append(packet)
            return b""
        return packet

    def lose(n):
        return n % 25 == 0
    a.make, a.lose = make, lose

    def before(party):
        if kept and party.made % 25 == 2:       # it comes after its successor
            party.socket.sendto(kept.pop(), party.to)
    a.before = before
    return about("A", "harmless")


@scene(HEALTHY)
def listener_reports_no_loss(t, name):
    a, b = t.call(name)
    b.rtcp, b.about = True, a
    a.hear_rtcp()
    return FINE


@scene(HEALTHY, ("other-host", 1), ("half-of-all", 25))
def stranger_sends_too(t, name, each):
    """He is refused; the party is heard whole."""
    a, _ = t.call(name)
    stranger = t.stranger(a)

    def before(party):
        if party.made % 50 < each:
            stranger.sendto(struct.pack("!BBHII", 0x80, 8, party.made & 0xffff, party.made * 160, 666) + SILENT, party.to)
    a.before = before
    return about("A", "note other-source-too" if each > 1 else "harmless", "fine" if each == 1 else "harmless")


@scene(HEALTHY)
def second_socket_of_the_party(t, name):
    """A second stream under the same SSRC from another port of the party: refused, and the first is heard whole."""
    a, _ = t.call(name)
    second = Party(a.where, a.address, t.party("alice").port + 2, a.ssrc)
    second.to, second.on, second.sequence = a.to, True, 30000
    t.stage.parties.append(second)
    return about("A", "note other-source-too", "fine")


@scene(HEALTHY)
def silent_frames_between_words(t, name):
    _, b = t.call(name)
    b.before = lambda party: setattr(party, "payload", SILENT if party.made // 100 % 2 else LOUD)
    return FINE


@scene(HEALTHY)
def loss_of_duplicates_only(t, name):
    """Sends all twice on purpose, and the network loses a tenth of the copies: each packet comes."""
    a, _ = t.call(name)
    lost = share(100)
    a.before = lambda party: setattr(party, "copies", 1 if lost(party.made) else 2)
    return about("A", "harmless")
