"""Ends of DTLS-SRTP by OpenSSL, and datagrams that anybody could write (RFC 6347). For the attacks on handshakes.

An End speaks over sockets that a kit.Party has opened; it begins anew where OpenSSL gives up, as phones do.
"""
import datetime
import os
import struct
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

import kit

PROFILE = b"SRTP_AES128_CM_SHA1_80"
HELLO, SERVER_HELLO, VERIFY, CERTIFICATE, DONE = 1, 2, 3, 11, 14


def certificate():
    """A key and its self-signed certificate, for OpenSSL."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "party")])
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30)).sign(key, hashes.SHA256()))
    return crypto.PKey.from_cryptography_key(key), crypto.X509.from_cryptography(made)


class End:
    """One side of a handshake through the first socket of `party` with `relay` (address, port)."""
    shared = None

    def __init__(self, party, is_client):
        End.shared = End.shared or certificate()
        self.party, self.is_client, self.relay = party, is_client, None
        self.key, self.certificate = End.shared
        self.taken, self.keys, self.begun = 0, None, 0
        self.begin()

    @property
    def fingerprint(self):
        return "a=fingerprint:sha-256 " + self.certificate.digest("sha256").decode()

    def lines(self, setup):
        return f"a=setup:{setup}\n{self.fingerprint}"

    def begin(self):
        context = SSL.Context(SSL.DTLS_METHOD)
        context.use_privatekey(self.key)
        context.use_certificate(self.certificate)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        context.set_tlsext_use_srtp(PROFILE)
        self.context, self.ssl = context, SSL.Connection(context, None)
        self.ssl.set_ciphertext_mtu(1200)
        self.ssl.set_connect_state() if self.is_client else self.ssl.set_accept_state()
        self.begun += 1
        self.next_begin = time.monotonic() + 1

    def work(self):
        """Takes what arrived and sends what there is to say. Call it often: OpenSSL's timer runs in it."""
        self.party.drain()
        for _, source, data in self.party.got[self.taken:]:
            if 20 <= data[0] <= 63 and source == self.relay and self.keys is None:
                self.ssl.bio_write(data)
                self.step()
        self.taken = len(self.party.got)
        self.step()

    def step(self):
        if self.keys is None and (self.is_client or self.taken or self.party.got):
            try:
                self.ssl.do_handshake()
                exported = self.ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", 60)
                client, server = exported[:16] + exported[32:46], exported[16:32] + exported[46:60]
                mine, theirs = (client, server) if self.is_client else (server, client)
                self.keys = kit.Srtp(mine), kit.Srtp(theirs)
                self.party.srtp = self.keys[0]
            except SSL.WantReadError:
                pass
            except SSL.Error:
                self.flush()
                if time.monotonic() < self.next_begin:
                    return
                self.begin()
        self.flush()

    def flush(self):
        """Each record is a datagram."""
        try:
            octets = self.ssl.bio_read(65536)
        except SSL.WantReadError:
            return
        while octets:
            length = 13 + int.from_bytes(octets[11:13], "big")
            if self.relay:
                self.party.send(self.relay, octets[:length])
            octets = octets[length:]

    def heard(self):
        """RTP that this end could decrypt."""
        plain = [self.keys[1].unprotect(p) for _, _, p in self.party.got if self.keys and len(p) > 22 and p[0] >> 6 == 2 and not 192 <= p[1] <= 223]
        return [p for p in plain if p]


def complete(ends, seconds, each=lambda: None):
    """Works until all ends have keys; the time that took, or None."""
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        each()
        for end in ends:
            end.work()
        if all(end.keys for end in ends):
            return time.monotonic() - began
        time.sleep(0.002)
    return None


# ---------------------------------------------------------------- datagrams of anybody

def record(kind, body, epoch=0, number=0):
    return struct.pack("!BHHHIH", kind, 0xfefd, epoch, 0, number, len(body)) + body


def message(kind, body, sequence=0, offset=0, size=None):
    piece = body[offset:] if size is None else body[offset:offset + size]
    u24 = lambda n: struct.pack("!I", n)[1:]
    return record(22, bytes([kind]) + u24(len(body)) + struct.pack("!H", sequence) + u24(offset) + u24(len(piece)) + piece, 0, sequence)


def hello(cookie=b"", random=None, extensions=b""):
    """The body of a ClientHello that offers what a phone offers."""
    ciphers = bytes.fromhex("c02bc02fc009c013")
    use_srtp = struct.pack("!HHHHB", 14, 5, 2, 1, 0)
    groups = bytes.fromhex("000a00040002001d") + bytes.fromhex("000d0006000404030401") + use_srtp + extensions
    return (b"\xfe\xfd" + (random or os.urandom(32)) + b"\0" + bytes([len(cookie)]) + cookie + struct.pack("!H", len(ciphers)) + ciphers + b"\1\0"
            + struct.pack("!H", len(groups)) + groups)


def server_hello():
    return b"\xfe\xfd" + os.urandom(32) + b"\0" + b"\xc0\x2b" + b"\0"


def alert(level, description):
    return record(21, bytes([level, description]))


FORGED = {
    "three of 25 octets": [message(SERVER_HELLO, b"")] * 3,
    "alerts": [alert(1, 0), alert(2, 40), alert(2, 80)],
    "garbage": [record(22, os.urandom(60)), record(20, b"\1"), os.urandom(12), b"\x16" * 40],
    "a hello": [message(HELLO, hello())] * 8,
    "a short first piece": [message(HELLO, hello(), 0, 0, 20), message(HELLO, hello(), 0, 20)],
    "a HelloVerifyRequest": [message(VERIFY, b"\xfe\xff\x14" + os.urandom(20))],
    "a ServerHello": [message(SERVER_HELLO, server_hello())],
    "a ServerHelloDone": [message(DONE, b"", n) for n in range(3)],
    "another certificate": [message(SERVER_HELLO, server_hello()), message(CERTIFICATE, b"\0\0\0", 1)],
}


class HalfOpen:
    """A client that brings its cookie back and then says nothing more."""
    def __init__(self, w, ip, relay):
        self.party, self.relay, self.random = w.party(ip), relay, os.urandom(32)
        self.octets_in = self.octets_out = 0
        self.say(message(HELLO, hello(random=self.random)))

    def say(self, datagram):
        self.octets_out += len(datagram)
        self.party.send(self.relay, datagram)

    def work(self):
        """True once a cookie came and was brought back."""
        self.party.drain()
        for _, _, data in self.party.got:
            if data[13:14] == bytes([VERIFY]):
                self.octets_in += len(data)
                self.say(message(HELLO, hello(data[28:], self.random), 1))
                self.party.clear()
                return True
        return False
