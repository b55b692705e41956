# SPDX-License-Identifier: Apache-2.0
"""Ends of DTLS-SRTP by OpenSSL, and datagrams that anybody could write (RFC 6347). For the attacks on handshakes.

An End speaks over sockets that a kit.Party has opened; it begins anew where OpenSSL gives up, as phones do.
"""
import ctypes
import ctypes.util
import datetime
import hashlib
import os
import struct
import tempfile
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import kit

PROFILE = b"SRTP_AES128_CM_SHA1_80"
HELLO, SERVER_HELLO, VERIFY, CERTIFICATE, DONE = 1, 2, 3, 11, 14


class Library:
    """As much of OpenSSL 3 as an end needs; any interpreter has ctypes."""
    PEM, VERIFY_BOTH, NO_QUERY_MTU, SET_MTU, HANDLE_TIMEOUT, WANT_READ = 1, 3, 0x1000, 17, 74, 2
    judge = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(lambda *_: 1)  # whose it is, is for the other end to say

    def __init__(self):
        self.ssl = ctypes.CDLL("libssl.so.3")
        self.crypto = ctypes.CDLL("libcrypto.so.3")
        pointers = {self.ssl: ("DTLS_method", "SSL_CTX_new", "SSL_new"), self.crypto: ("BIO_s_mem", "BIO_new")}
        for library, names in pointers.items():
            for name in names:
                getattr(library, name).restype = ctypes.c_void_p
        pointer, number = ctypes.c_void_p, ctypes.c_long
        for name, types in (("SSL_CTX_new", [pointer]), ("SSL_new", [pointer]), ("SSL_set_bio", [pointer] * 3), ("SSL_free", [pointer]),
                            ("SSL_CTX_free", [pointer]), ("SSL_do_handshake", [pointer]), ("SSL_get_error", [pointer, ctypes.c_int]),
                            ("SSL_set_connect_state", [pointer]), ("SSL_set_accept_state", [pointer]), ("SSL_ctrl", [pointer, ctypes.c_int, number, pointer]),
                            ("SSL_set_options", [pointer, ctypes.c_uint64]), ("SSL_CTX_use_certificate_file", [pointer, ctypes.c_char_p, ctypes.c_int]),
                            ("SSL_CTX_use_PrivateKey_file", [pointer, ctypes.c_char_p, ctypes.c_int]), ("SSL_CTX_set_verify", [pointer, ctypes.c_int, pointer]),
                            ("SSL_CTX_set_cert_verify_callback", [pointer, pointer, pointer]), ("SSL_CTX_set_tlsext_use_srtp", [pointer, ctypes.c_char_p]),
                            ("SSL_export_keying_material", [pointer, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t, pointer, ctypes.c_size_t, ctypes.c_int])):
            getattr(self.ssl, name).argtypes = types
        self.crypto.BIO_new.argtypes = [pointer]
        for name in ("BIO_read", "BIO_write"):
            getattr(self.crypto, name).argtypes = [pointer, ctypes.c_char_p, ctypes.c_int]


class Certificate:
    """A key with its self-signed certificate, in files."""
    def __init__(self):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "party")])
        now = datetime.datetime.now(datetime.timezone.utc)
        made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30)).sign(key, hashes.SHA256()))
        digest = hashlib.sha256(made.public_bytes(serialization.Encoding.DER)).digest()
        self.fingerprint = "a=fingerprint:sha-256 " + ":".join(f"{octet:02X}" for octet in digest)
        self.file = tempfile.NamedTemporaryFile(suffix=".pem")
        self.file.write(made.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        self.file.flush()
        self.path = self.file.name.encode()


class Session:
    """One handshake over memory."""
    def __init__(self, library, certificate, is_client):
        self.lib, ssl, crypto = library, library.ssl, library.crypto
        self.context = ssl.SSL_CTX_new(ssl.DTLS_method())
        ssl.SSL_CTX_use_certificate_file(self.context, certificate.path, library.PEM)
        ssl.SSL_CTX_use_PrivateKey_file(self.context, certificate.path, library.PEM)
        ssl.SSL_CTX_set_verify(self.context, library.VERIFY_BOTH, None)
        ssl.SSL_CTX_set_cert_verify_callback(self.context, ctypes.cast(library.judge, ctypes.c_void_p), None)
        ssl.SSL_CTX_set_tlsext_use_srtp(self.context, PROFILE)
        self.ssl = ssl.SSL_new(self.context)
        self.inward, self.outward = crypto.BIO_new(crypto.BIO_s_mem()), crypto.BIO_new(crypto.BIO_s_mem())
        ssl.SSL_set_bio(self.ssl, self.inward, self.outward)
        ssl.SSL_set_options(self.ssl, library.NO_QUERY_MTU)
        ssl.SSL_ctrl(self.ssl, library.SET_MTU, 1200, None)
        (ssl.SSL_set_connect_state if is_client else ssl.SSL_set_accept_state)(self.ssl)

    def close(self):
        self.lib.ssl.SSL_free(self.ssl)
        self.lib.ssl.SSL_CTX_free(self.context)

    def take(self, datagram):
        self.lib.crypto.BIO_write(self.inward, datagram, len(datagram))

    def handshake(self):
        """True: complete, False: it failed, None: it goes on."""
        self.lib.crypto.ERR_clear_error()
        self.lib.ssl.SSL_ctrl(self.ssl, self.lib.HANDLE_TIMEOUT, 0, None)
        result = self.lib.ssl.SSL_do_handshake(self.ssl)
        if result == 1:
            return True
        return None if self.lib.ssl.SSL_get_error(self.ssl, result) == self.lib.WANT_READ else False

    def flight(self):
        """The records that are to leave."""
        space = ctypes.create_string_buffer(65536)
        size = self.lib.crypto.BIO_read(self.outward, space, len(space))
        return space.raw[:max(size, 0)]

    def exported(self):
        space = ctypes.create_string_buffer(60)
        label = b"EXTRACTOR-dtls_srtp"
        self.lib.ssl.SSL_export_keying_material(self.ssl, space, 60, label, len(label), None, 0, 0)
        return space.raw


class End:
    """One side of a handshake through the first socket of `party` with `relay` (address, port). It begins anew a second after
    its handshake failed, as phones do."""
    library = shared = None

    def __init__(self, party, is_client, certificate=None):
        End.library = End.library or Library()
        End.shared = End.shared or Certificate()
        self.party, self.is_client, self.relay = party, is_client, None
        self.certificate = certificate or End.shared
        self.taken, self.keys, self.begun, self.session = 0, None, 0, None
        self.begin()

    def lines(self, setup):
        return f"a=setup:{setup}\n{self.certificate.fingerprint}"

    def begin(self):
        if self.session:
            self.session.close()
        self.session = Session(End.library, self.certificate, self.is_client)
        self.begun += 1
        self.next_begin = time.monotonic() + 1

    def work(self):
        """Takes what arrived and sends what there is to say. Call it often: OpenSSL's timer runs in it."""
        self.party.drain()
        for _, source, data in self.party.got[self.taken:]:
            if self.keys is None and 20 <= data[0] <= 63 and source == self.relay:
                self.session.take(data)
                self.step()
        self.taken = len(self.party.got)
        self.step()

    def step(self):
        if self.keys is None:
            done = self.session.handshake()
            if done:
                octets = self.session.exported()
                client, server = octets[:16] + octets[32:46], octets[16:32] + octets[46:60]
                mine, theirs = (client, server) if self.is_client else (server, client)
                self.keys = kit.Srtp(mine), kit.Srtp(theirs)
                self.party.srtp = self.keys[0]
            elif done is False and time.monotonic() >= self.next_begin:
                self.flush()
                self.begin()
        self.flush()

    def flush(self):
        """Each record is a datagram."""
        octets = self.session.flight()
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
