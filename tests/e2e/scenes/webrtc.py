# SPDX-License-Identifier: Apache-2.0
"""Parties with ICE and DTLS-SRTP: STUN by hand (RFC 8489), the handshake by OpenSSL (hostile/dtls_party.py)."""

import contextlib
import hashlib
import hmac
import os
import re
import struct
import sys
import time
import zlib

from lab import RELAY4
from parties import port_of

E2E = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
COOKIE = 0x2112a442
UFRAG, PASSWORD = "bobs", "bobs-password-of-22-characters"


def ends():
    """The module of DTLS ends; an ImportError says what is missing here."""
    for folder in ("field", "hostile"):
        path = os.path.join(E2E, folder)
        if path not in sys.path:
            sys.path.append(path)
    import dtls_party
    return dtls_party


def datagrams(sock):
    """What waits in a socket: (source, octets)."""
    while True:
        try:
            data, source = sock.recvfrom(4096)
        except OSError:
            return
        yield source[:2], data


class Handshake:
    """The DTLS of a party, worked at each tick; the party speaks once it has keys."""

    def __init__(self, party, is_client, other_certificate=False):
        self.party, self.got, self.silent = party, [], False
        self.end = ends().End(self, is_client)
        self.fingerprint = self.end.certificate.fingerprint
        if other_certificate:
            self.fingerprint = self.fingerprint[:-2] + ("00" if self.fingerprint[-2:] != "00" else "11")

    # What an End asks of its party.

    def drain(self):
        self.got += [(time.monotonic(), source, data) for source, data in datagrams(self.party.socket) if 20 <= data[0] <= 63]

    def send(self, relay, octets):
        with contextlib.suppress(OSError):
            self.party.socket.sendto(octets, relay)

    @property
    def srtp(self):
        return self.party.srtp

    @srtp.setter
    def srtp(self, keys):
        self.party.srtp, self.party.on = keys, True

    # What the stage asks of a party.

    def tick(self):
        self.end.relay = self.party.to
        if not self.silent and self.end.keys is None and self.party.to:
            self.end.work()

    def close(self):
        self.end.session.close()


def dtls_call(t, name, relay_begins, other_certificate=False):
    """A speaks plain RTP, and B by DTLS-SRTP."""
    a, b = t.party("alice"), t.party("bob")
    handshake = Handshake(b, is_client=not relay_begins, other_certificate=other_certificate)
    t.stage.parties.append(handshake)
    reply = t.offer(name, a, transport_protocol="UDP/TLS/RTP/SAVP", SDES="off")
    b.to = (RELAY4, port_of(reply))
    lines = f"a=setup:{'passive' if relay_begins else 'active'}\r\n{handshake.fingerprint}\r\n"
    a.to = (RELAY4, port_of(t.answer(name, b, b.sdp(profile="UDP/TLS/RTP/SAVP", extra=lines))))
    a.on = True
    return a, b, handshake


# STUN.

def attribute(kind, value):
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def message(kind, transaction, attributes, password):
    """With MESSAGE-INTEGRITY and FINGERPRINT."""
    head = lambda size: struct.pack("!HHI", kind, size, COOKIE) + transaction
    digest = hmac.new(password.encode(), head(len(attributes) + 24) + attributes, hashlib.sha1).digest()
    attributes += attribute(0x0008, digest)
    crc = zlib.crc32(head(len(attributes) + 8) + attributes) ^ 0x5354554e
    return head(len(attributes) + 8) + attributes + attribute(0x8028, struct.pack("!I", crc))


class IceAgent:
    """The controlled agent of a party with one host candidate. `password`: what it takes for that of the relay."""

    def __init__(self, party):
        self.party, self.ufrag, self.password = party, None, None
        self.checks, self.answers = True, True
        self.ticks = 0

    def lines(self):
        p = self.party
        return (f"a=ice-ufrag:{UFRAG}\r\na=ice-pwd:{PASSWORD}\r\na=rtcp-mux\r\n"
                f"a=candidate:1 1 UDP 2130706431 {p.address} {p.port} typ host\r\n")

    def reads(self, sdp):
        self.ufrag, self.password = (re.search(rf"a=ice-{what}:(\S+)", sdp)[1] for what in ("ufrag", "pwd"))

    def tick(self):
        self.ticks += 1
        if not self.party.to:
            return
        for source, data in datagrams(self.party.socket):
            if self.answers and data[:2] == b"\0\1" and len(data) >= 20:
                port, address = source[1] ^ COOKIE >> 16, bytes(int(n) for n in source[0].split("."))
                mapped = struct.pack("!BBH", 0, 1, port) + struct.pack("!I", int.from_bytes(address, "big") ^ COOKIE)
                self.party.socket.sendto(message(0x0101, data[8:20], attribute(0x0020, mapped), PASSWORD), source)
        if self.checks and self.ticks % 25 == 1:
            attributes = (attribute(0x0006, f"{self.ufrag}:{UFRAG}".encode()) + attribute(0x0024, struct.pack("!I", 1862270975)) +
                          attribute(0x8029, b"\1\2\3\4\5\6\7\x08"))
            self.party.socket.sendto(message(0x0001, os.urandom(12), attributes, self.password), self.party.to)

    def close(self):
        pass


def ice_call(t, name):
    """A speaks plain RTP, and B has ICE."""
    a, b = t.party("alice"), t.party("bob")
    agent = IceAgent(b)
    t.stage.parties.append(agent)
    reply = t.offer(name, a, ICE="force", rtcp_mux=["offer"])
    agent.reads(reply["sdp"])
    b.to = (RELAY4, port_of(reply))
    a.to = (RELAY4, port_of(t.answer(name, b, b.sdp(extra=agent.lines()))))
    a.on = b.on = True
    return a, b, agent
