# SPDX-License-Identifier: Apache-2.0
"""Keys that do not fit, replays, handshakes and checks of ICE that fail."""

from parties import Srtp, port_of
from scenes.theatre import FAULTS, KEY_A, RELAY4, about, crypto, scene
from scenes.webrtc import dtls_call, ice_call


@scene(FAULTS)
def no_key(t, name):
    """A offers SDES, and the answer is plain, which the relay refuses."""
    a = t.party("alice")
    a.srtp = Srtp(KEY_A)
    _, b = t.call(name, a, offer=a.sdp(profile="RTP/SAVP", extra=crypto(KEY_A)))
    a.to = (RELAY4, t.held_ports(name)["A"])
    b.on = False
    return {"A from": "fault no-key", "A to": "fault no-key answer-refused", "party 2 from": "fault answer-refused", "party 2 to": "fault answer-refused no-key"}


@scene(FAULTS, ("from-the-start", 0), ("later", 3.0))
def not_authentic(t, name, after):
    a, _ = t.secure_call(name, key_of_a=KEY_A if after else bytes(30))
    if after:
        t.stage.at(after, lambda: setattr(a, "srtp", Srtp(bytes(30))))
    return about("A", "fault not-authentic")


@scene(FAULTS)
def not_authentic_toward_plain(t, name):
    a, _ = secure_to_plain(t, name)
    a.srtp = Srtp(bytes(30))
    return about("A", "fault not-authentic")


@scene(FAULTS)
def roll_over_mismatch(t, name):
    t.secure_call(name)[0].roll_over = 1
    return about("A", "fault roll-over-mismatch")


def secure_to_plain(t, name):
    """A speaks SRTP by SDES, and B plain RTP."""
    a, b = t.party("alice"), t.party("bob")
    a.srtp = Srtp(KEY_A)
    b.to = (RELAY4, port_of(t.offer(name, a, a.sdp(profile="RTP/SAVP", extra=crypto(KEY_A)), transport_protocol="RTP/AVP")))
    a.to = (RELAY4, port_of(t.answer(name, b)))
    a.on = b.on = True
    return a, b


@scene(FAULTS, ("toward-srtp", lambda t, name: t.secure_call(name)), ("toward-plain", secure_to_plain))
def starts_again(t, name, begin):
    """Under the old key and SSRC from a lower number: all of it is taken for replayed (SRT-4)."""
    a, _ = begin(t, name)
    a.sequence = 5000
    t.stage.at(3.0, lambda: setattr(a, "sequence", 100))
    return about("A", "fault replayed")


@scene(FAULTS, ("each-3-s", 150, 100), ("each-second", 50, 200))
def starts_again_and_again(t, name, every, first):
    """A loop of music whose numbers begin anew each time, from 3 s on: nothing of it is new."""
    a, _ = t.secure_call(name)

    def before(party):
        if party.made >= 150 and party.made % every == 0:
            party.sequence = first
    a.before = before
    return about("A", "fault replayed")


# DTLS.

@scene(FAULTS, ("relay-waits", False), ("relay-begins", True))
def dtls_never_started(t, name, relay_begins):
    _, b, handshake = dtls_call(t, name, relay_begins)
    handshake.silent, b.on = True, False
    return about("B", "fault no-handshake", back="harmless", back_heard="fault no-handshake")


@scene(FAULTS)
def dtls_plain_rtp_instead(t, name):
    _, b, handshake = dtls_call(t, name, relay_begins=True)
    handshake.silent, b.on = True, True
    return about("B", "fault no-handshake", back="harmless", back_heard="fault no-handshake")


@scene(FAULTS, ("relay-waits", False), ("relay-begins", True))
def wrong_fingerprint(t, name, relay_begins):
    dtls_call(t, name, relay_begins, other_certificate=True)
    expected = about("B", "fault wrong-certificate", back="harmless", back_heard="fault wrong-certificate")
    t.expect_at(3.0, name, expected)
    return expected


# ICE.

@scene(FAULTS)
def ice_without_checks(t, name):
    _, b, agent = ice_call(t, name)
    agent.checks = agent.answers = b.on = False
    return about("B", "fault no-pair", back="harmless", back_heard="fault no-pair")


@scene(FAULTS, ("password", "password"), ("ufrag", "ufrag"))
def ice_of_an_earlier_sdp(t, name, what):
    _, b, agent = ice_call(t, name)
    setattr(agent, what, "x" * 24)
    agent.answers = b.on = False
    return about("B", "fault ice-refused", back="harmless", back_heard="fault ice-refused")


@scene(FAULTS)
def ice_party_falls_silent(t, name):
    """It worked, and then nothing more comes, checks neither. Consent lasts 30 s."""
    _, b, agent = ice_call(t, name)

    def silence():
        agent.checks = agent.answers = b.on = False
    t.stage.at(2.0, silence)
    return about("B", "fault stopped no-pair", back_heard="harmless")
