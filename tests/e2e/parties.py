# SPDX-License-Identifier: Apache-2.0
"""Media parties of tests: sockets in namespaces or on loopback, a clock that lets all of them talk, SRTP by libcrypto."""

import contextlib
import ctypes
import ctypes.util
import hashlib
import hmac
import json
import os
import random
import socket
import struct
import time

from lab import entered

CRYPTO = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
for name, result in (("EVP_CIPHER_CTX_new", ctypes.c_void_p), ("EVP_aes_128_ctr", ctypes.c_void_p)):
    getattr(CRYPTO, name).restype = result


def socket_in(namespace, address, port):
    """A UDP socket of a network namespace (None: ours), wherever the process goes next."""
    with entered(f"/run/netns/{namespace}") if namespace else contextlib.nullcontext():
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, port))
        s.setblocking(False)
        return s


def aes_ctr(key, counter, size):
    """`size` octets of key stream."""
    context = ctypes.c_void_p(CRYPTO.EVP_CIPHER_CTX_new())
    out, length = ctypes.create_string_buffer(size + 16), ctypes.c_int()
    CRYPTO.EVP_EncryptInit_ex(context, ctypes.c_void_p(CRYPTO.EVP_aes_128_ctr()), None, key, counter)
    CRYPTO.EVP_EncryptUpdate(context, out, ctypes.byref(length), bytes(size), size)
    CRYPTO.EVP_CIPHER_CTX_free(context)
    return out.raw[:size]


class Srtp:
    """Sender of AES_CM_128_HMAC_SHA1_80 (RFC 3711): a judge that is not the relay's own code."""

    def __init__(self, master):
        self.key, salt = master[:16], master[16:]

        def derive(label, size):
            counter = bytearray(salt + bytes(2))
            counter[7] ^= label
            return aes_ctr(self.key, bytes(counter), size)
        self.cipher, self.auth, self.salt = derive(0, 16), derive(1, 20), derive(2, 14)

    def protect(self, packet, roll_over=0):
        sequence, ssrc = struct.unpack("!H", packet[2:4])[0], packet[8:12]
        index = (roll_over << 16 | sequence).to_bytes(6, "big")
        counter = bytearray(self.salt + bytes(2))
        for at, octets in ((4, ssrc), (8, index)):
            for i, octet in enumerate(octets):
                counter[at + i] ^= octet
        size = len(packet) - 12
        stream = int.from_bytes(aes_ctr(self.cipher, bytes(counter), size), "big")
        sealed = packet[:12] + (int.from_bytes(packet[12:], "big") ^ stream).to_bytes(size, "big")
        return sealed + hmac.new(self.auth, sealed + struct.pack("!I", roll_over), hashlib.sha1).digest()[:10]


LOUD = bytes(random.Random(1).randrange(256) for _ in range(160))
SILENT = b"\xd5" * 160


class Party:
    """One end of a call. What it sends is decided by its fields, at any time."""

    def __init__(self, where, address, port, ssrc):
        self.where, self.address, self.port, self.ssrc = where, address, port, ssrc
        self.socket = socket_in(where, address, port)
        self.rtcp_socket = None
        self.to = None            # (address, port) of the relay
        self.on = False
        self.type, self.payload, self.burst = 8, LOUD, 1
        self.every, self.tick_number = 1, 0   # one packet in so many ticks of 20 ms
        self.sequence, self.timestamp = 100, 1000
        self.clock = 160          # timestamp units of a packet
        self.srtp, self.roll_over = None, 0
        self.before = None        # called with the party before each packet, to change what it is
        self.lose = None          # called with the number of the packet, from 1: true if the network loses it
        self.make = None          # what makes a datagram, instead of RTP
        self.copies = 1           # of each packet
        self.made = 0             # packets, lost ones too
        self.rtcp = False
        self.about = None         # the party whose stream its receiver reports are about, and of how many in 1,000 they say lost
        self.missing = 0
        self.listens, self.heard = False, 0   # whether it counts the RTP packets that come to its socket, and how many came
        self.extra = []           # other sockets that send the same
        self.sent = 0
        self.log = None           # a list takes (time, sequence, timestamp) of what is sent

    def close(self):
        for s in [self.socket, self.rtcp_socket, *self.extra]:
            if s is not None:
                s.close()

    def sdp(self, address=None, port=None, types="8 0", direction="sendrecv", profile="RTP/AVP", extra=""):
        address = address or self.address
        family = "IP6" if ":" in address else "IP4"
        return (f"v=0\r\no=- {self.ssrc} {self.ssrc} IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n"
                f"m=audio {port or self.port} {profile} {types}\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
                f"a={direction}\r\n{extra}")

    def packet(self):
        self.sequence = (self.sequence + 1) & 0xffff
        self.timestamp = (self.timestamp + self.clock) & 0xffffffff
        packet = struct.pack("!BBHII", 0x80, self.type, self.sequence, self.timestamp, self.ssrc) + self.payload
        return self.srtp.protect(packet, self.roll_over) if self.srtp else packet

    def hear_rtcp(self):
        """Opens its RTCP port, so that its host does not refuse what comes there."""
        if self.rtcp_socket is None:
            self.rtcp_socket = socket_in(self.where, self.address, self.port + 1)

    def report(self):
        """RTCP: a sender report, or a receiver report about the stream of `about`."""
        if self.about is None:
            return struct.pack("!BBHIIIIII", 0x80, 200, 6, self.ssrc, 0, 0, 0, 0, 0)
        lost = self.about.made * self.missing // 1000
        block = struct.pack("!IIIIII", self.about.ssrc, (self.missing * 256 // 1000) << 24 | lost, self.about.sequence, 0, 0, 0)
        return struct.pack("!BBHI", 0x81, 201, 7, self.ssrc) + block

    def listen(self):
        receive = self.socket.recv
        try:
            while True:
                head = receive(12)
                if len(head) == 12 and head[0] >> 6 == 2 and not 192 <= head[1] <= 223:
                    self.heard += 1
        except OSError:
            pass                  # nothing more is there, or its socket is closed

    def tick(self):
        self.tick_number += 1
        if self.listens and self.tick_number % 10 == self.port // 4 % 10:    # its socket holds more than that
            self.listen()
        if not self.to:
            return
        if self.rtcp and self.tick_number % 25 == 0:
            self.hear_rtcp()
            self.rtcp_socket.sendto(self.report(), (self.to[0], self.to[1] + 1))
        if not self.on or self.tick_number % self.every != 0:
            return
        for _ in range(self.burst):
            self.made += 1
            if self.before:
                self.before(self)
            packet = self.make(self) if self.make else self.packet()
            if self.lose and self.lose(self.made):
                continue
            for s in [self.socket, *self.extra] * self.copies:
                try:
                    s.sendto(packet, self.to)
                    self.sent += 1
                    if self.log is not None:
                        self.log.append((time.monotonic(), self.sequence, self.timestamp))
                except OSError:
                    pass          # what the network answers is the relay's business


class Stage:
    """Lets parties talk in real time."""

    def __init__(self):
        self.parties, self.late = [], 0.0
        self.plan = []

    def at(self, seconds, action):
        """Runs `action` so long after `play` began."""
        self.plan.append((seconds, action))

    def clear(self):
        """Everybody leaves."""
        for party in self.parties:
            party.close()
        self.parties.clear()

    def play(self, seconds):
        start = time.monotonic()
        self.plan.sort(key=lambda each: each[0])
        tick = 0
        while True:
            now = time.monotonic() - start
            while self.plan and self.plan[0][0] <= now:
                self.plan.pop(0)[1]()
            if now >= seconds:
                return
            for party in list(self.parties):
                party.tick()
            tick += 1
            left = start + tick * 0.02 - time.monotonic()
            self.late = max(self.late, -left)
            if left > 0:
                time.sleep(left)


class Ng:
    """NG over UDP, from the namespace in which the socket is."""

    def __init__(self, namespace, address="127.0.0.1", port=2223):
        self.socket = socket_in(namespace, "127.0.0.1", 0)
        self.socket.setblocking(True)
        self.socket.settimeout(5)
        self.socket.connect((address, port))
        self.count = 0

    def ask(self, command, call, **keys):
        self.count += 1
        message = {"command": command, "call-id": call, **{k.replace("_", "-"): v for k, v in keys.items()}}
        self.socket.send(f"{os.getpid()}_{self.count} {json.dumps(message)}".encode())
        return json.loads(self.socket.recv(65536).split(b" ", 1)[1])


def port_of(reply):
    return int(reply["sdp"].split("m=audio ")[1].split()[0])
