# SPDX-License-Identifier: Apache-2.0
"""A phone without ICE: PCMA and VP8, as plain RTP, with keys in SDP, or keyed by DTLS. It sends a tone, and the pictures that it gets
back to whom they came from, and it listens by means that are not the relay's: Goertzel, ffmpeg's VP8 decoder, libsrtp, OpenSSL.
"""

import base64
import math
import os
import select
import struct
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
from lab import ALICE, ns
from parties import socket_in
from web_parties import COLOURS, sections_of, with_attribute

AUDIO_TYPE, VIDEO_TYPE = 8, 96
# Directions and what is answered to them (RFC 3264 section 6.1).
ANSWERS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


def alaw(sample):
    """One sample of 16 bits as A-law (ITU-T G.711)."""
    sign, magnitude = (0x80, sample) if sample >= 0 else (0, -sample - 1)
    magnitude >>= 4
    exponent = max(0, magnitude.bit_length() - 5)
    mantissa = magnitude >> max(1, exponent) if exponent else magnitude >> 1
    return (sign | ((exponent << 4 | mantissa & 15) if exponent else mantissa & 15 | (16 if mantissa > 15 else 0))) ^ 0x55


def linear(octet):
    octet ^= 0x55
    exponent, mantissa = octet >> 4 & 7, octet & 15
    magnitude = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 264) << exponent - 1
    return magnitude if octet & 0x80 else -magnitude


LINEAR = [linear(octet) for octet in range(256)]


def tone(hertz):
    """A second of it in A-law."""
    return bytes(alaw(int(8000 * math.sin(2 * math.pi * hertz * n / 8000))) for n in range(8000))


def has_tone(audio, hertz):
    """Whether most of what is heard in A-law octets is this tone (Goertzel)."""
    samples = [LINEAR[octet] for octet in audio]
    power = sum(x * x for x in samples)
    if not samples or power / len(samples) < 100 ** 2:
        return False
    c, a, b = 2 * math.cos(2 * math.pi * hertz / 8000), 0.0, 0.0
    for x in samples:
        a, b = x + c * a - b, a
    return (a * a + b * b - c * a * b) * 2 / len(samples) > 0.5 * power


def payload_of(packet):
    """An RTP packet's payload (RFC 3550 section 5.1)."""
    begin = 12 + 4 * (packet[0] & 15)
    if packet[0] & 0x10:
        begin += 4 + 4 * struct.unpack("!H", packet[begin + 2:begin + 4])[0]
    return packet[begin:len(packet) - (packet[-1] if packet[0] & 0x20 else 0)]


def vp8_of(payload):
    """What stands behind the payload descriptor (RFC 7741 section 4.2), and whether a frame begins there."""
    begins, at = payload[0] & 0x17 == 0x10, 1
    if payload[0] & 0x80:
        more, at = payload[1], 2
        if more & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        at += (1 if more & 0x40 else 0) + (1 if more & 0x30 else 0)
    return payload[at:], begins


class Eyes:
    """Decodes VP8 by ffmpeg; knows the colour of the middle of the last picture."""

    def __init__(self):
        import av  # pylint: disable=import-outside-toplevel
        self.av, self.decoder = av, None
        self.frames, self.colour, self.buffer, self.last, self.broken = 0, None, b"", None, False

    def take(self, packet):
        """One packet of a stream. False: a key frame is needed."""
        sequence, payload = struct.unpack("!H", packet[2:4])[0], payload_of(packet)
        self.broken |= self.last is not None and sequence != self.last + 1 & 0xffff
        self.last = sequence
        if not payload:
            return True
        octets, begins = vp8_of(payload)
        self.buffer = octets if begins else self.buffer + octets
        if not packet[1] & 0x80:
            return True
        is_key = self.buffer and not self.buffer[0] & 1
        if is_key:
            self.decoder, self.broken = self.av.CodecContext.create("vp8", "r"), False
        if self.decoder is None or self.broken:
            return False
        try:
            for frame in self.decoder.decode(self.av.Packet(self.buffer)):
                self.frames += 1
                self.colour = colour_of(frame)
        except self.av.error.FFmpegError:
            self.broken = True
        return not self.broken


def colour_of(frame):
    """The colour in the middle of a picture of PyAV; None if none of the three is clear."""
    small = frame.reformat(width=8, height=8, format="rgb24")
    at = 4 * small.planes[0].line_size + 12
    pixel = bytes(small.planes[0])[at:at + 3]
    best = max(range(3), key=lambda n: pixel[n])
    return COLOURS[best] if all(pixel[best] > pixel[n] + 40 for n in range(3) if n != best) else None


class Plain:
    """No keys: RTP/AVP."""

    profile, has_mux = "RTP/AVP", False

    def offered(self):
        return ""

    def answered(self, _):
        return ""

    def taken(self, _):
        pass

    def seal(self, packet, is_rtcp=False):
        return packet

    def open(self, packet, is_rtcp=False):
        return packet

    def handshake(self, _):
        return b""


def srtp(key, is_inward):
    import pylibsrtp  # pylint: disable=import-outside-toplevel
    kind = pylibsrtp.Policy.SSRC_ANY_INBOUND if is_inward else pylibsrtp.Policy.SSRC_ANY_OUTBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=kind, srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80))


class Sealed(Plain):
    """SRTP by libsrtp, from where the keys are known."""

    inward = outward = None

    def seal(self, packet, is_rtcp=False):
        if self.outward is None:
            return None
        return self.outward.protect_rtcp(packet) if is_rtcp else self.outward.protect(packet)

    def open(self, packet, is_rtcp=False):
        import pylibsrtp  # pylint: disable=import-outside-toplevel
        if self.inward is None:
            return None
        try:
            return self.inward.unprotect_rtcp(packet) if is_rtcp else self.inward.unprotect(packet)
        except pylibsrtp.Error:
            return None


class Sdes(Sealed):
    """Keys in SDP (RFC 4568): RTP/SAVP."""

    profile, suite = "RTP/SAVP", "AES_CM_128_HMAC_SHA1_80"

    def __init__(self):
        self.key, self.theirs = os.urandom(30), None

    def line(self, tag):
        return f"a=crypto:{tag} {self.suite} inline:{base64.b64encode(self.key).decode()}\r\n"

    def offered(self):
        return self.line(1)

    def answered(self, text):
        return self.line(self.taken(text))

    def taken(self, text):
        for value in with_attribute(text, "crypto"):
            tag, suite, inline = value.split()[:3]
            if suite == self.suite:
                key = base64.b64decode(inline.split(":", 1)[1].split("|")[0])
                if key != self.theirs:
                    self.theirs, self.inward = key, srtp(key, True)
                    self.outward = self.outward or srtp(self.key, False)
                return tag
        raise RuntimeError(f"no {self.suite} for the phone: {text}")


class Dtls(Sealed):
    """Keyed by DTLS on the port of the media, without ICE: UDP/TLS/RTP/SAVP."""

    profile, has_mux = "UDP/TLS/RTP/SAVP", True
    library = certificate = None

    def __init__(self):
        for folder in ("field", "hostile"):
            if os.path.join(HERE, folder) not in sys.path:
                sys.path.append(os.path.join(HERE, folder))
        import dtls_party  # pylint: disable=import-outside-toplevel,import-error
        self.make = dtls_party.Session
        Dtls.library = Dtls.library or dtls_party.Library()
        Dtls.certificate = Dtls.certificate or dtls_party.Certificate()
        self.session, self.is_client = None, None

    def lines(self, setup):
        return f"a=setup:{setup}\r\n{self.certificate.fingerprint}\r\na=rtcp-mux\r\n"

    def offered(self):
        return self.lines("actpass")

    def answered(self, text):
        if self.is_client is None:
            self.begin(is_client=with_attribute(text, "setup")[0] != "active")
        return self.lines("active" if self.is_client else "passive")

    def taken(self, text):
        if self.is_client is None:
            self.begin(is_client=with_attribute(text, "setup")[0] == "passive")

    def begin(self, is_client):
        self.is_client = is_client
        self.session = self.make(self.library, self.certificate, is_client)

    def handshake(self, record):
        """What leaves next; `record` is what came, or empty."""
        if self.session is None:
            return b""
        if record:
            self.session.take(record)
        if self.outward is None:
            done = self.session.handshake()
            if done is False:
                raise RuntimeError("the phone's DTLS handshake failed")
            if done:
                # Client's key, server's, then their salts (RFC 5764 section 4.2).
                text = self.session.exported()
                client, server = text[:16] + text[32:46], text[16:32] + text[46:60]
                self.inward = srtp(server if self.is_client else client, True)
                self.outward = srtp(client if self.is_client else server, False)
        return self.session.flight()


KEYS = {"plain": Plain, "SDES": Sdes, "DTLS": Dtls}


class Section:
    """An m-line of the phone: its ports, its keys, and where the relay is."""

    def __init__(self, kind, port, ssrc, keys):
        self.kind, self.port, self.ssrc, self.keys = kind, port, ssrc, KEYS[keys]()
        self.rtp, self.rtcp = (socket_in(ns("alice"), ALICE, port + n) for n in (0, 1))
        self.to = self.rtcp_to = self.source = None
        self.type, self.sequence = AUDIO_TYPE if kind == "audio" else VIDEO_TYPE, 0
        self.may_send, self.answers = True, "sendrecv"

    def reads(self, session, text, port):
        """Takes where to send from a section of the relay's SDP."""
        address = next(line.split()[2] for line in (text + "\r\n" + session).split("\r\n") if line.startswith("c=IN IP4"))
        self.to = (address, port)
        said = with_attribute(text, "rtcp")
        self.rtcp_to = self.to if self.keys.has_mux else (address, int(said[0].split()[0]) if said else port + 1)
        direction = next((word for word in ANSWERS if f"a={word}\r\n" in text + "\r\n"), "sendrecv")
        self.may_send, self.answers = direction in ("sendrecv", "recvonly"), ANSWERS[direction]

    def send(self, payload, timestamp, marker=False):
        self.sequence += 1
        head = struct.pack("!BBHII", 0x80, self.type | (0x80 if marker else 0), self.sequence & 0xffff, timestamp & 0xffffffff, self.ssrc)
        self.leave(self.keys.seal(head + payload), self.rtp, self.to)

    def wants_key_frame(self):
        """A PLI behind an empty receiver report (RFC 4585 section 6.3.1)."""
        if self.source and self.rtcp_to:
            packet = struct.pack("!BBHI", 0x80, 201, 1, self.ssrc) + struct.pack("!BBHII", 0x81, 206, 2, self.ssrc, self.source)
            self.leave(self.keys.seal(packet, True), self.rtp if self.keys.has_mux else self.rtcp, self.rtcp_to)

    @staticmethod
    def leave(datagram, sock, to):
        if datagram and to:
            try:
                sock.sendto(datagram, to)
            except OSError:
                pass

    def close(self):
        self.rtp.close()
        self.rtcp.close()


class Phone:
    """Sends a tone every 20 ms from a thread of its own, and keeps the last fifth of a second that it heard. `keys`: one of KEYS."""

    trickles, colour, reply_wants, refuses = False, None, {}, None   # `refuses`: a kind of section

    def __init__(self, port, hertz, ssrc, types="8 0", keys="plain", video=False):
        self.port, self.ssrc, self.types, self.version, self.kind, self.hertz = port, ssrc, types, 0, keys, hertz
        self.audio, self.on, self.echoes = tone(hertz), True, True
        self.sections = [Section("audio", port, ssrc, keys)]
        self.order = list(self.sections)      # of the m-lines; a kind alone is one that is refused
        self.eyes, self.asked, self.problem = None, 0.0, None
        self.received, self.heard, self.changed = 0, bytearray(), threading.Condition()
        self.ends = threading.Event()
        if video:
            self.add_video()
        self.thread = threading.Thread(target=self.live, daemon=True)
        self.thread.start()

    @property
    def wants(self):
        """What a proxy tells the relay when it offers something to this phone."""
        profile = self.sections[0].keys.profile + ("F" if len(self.sections) > 1 else "")
        return {"transport-protocol": profile, "ICE": "remove", "rtcp-mux": ["accept"] if self.kind == "DTLS" else ["demux"],
                **({"DTLS": "off"} if self.kind == "SDES" else {})}

    @property
    def to(self):
        return self.sections[0].to

    @to.setter
    def to(self, where):
        self.sections[0].to = where

    def add_video(self):
        """From its next SDP on it has pictures."""
        self.eyes = Eyes()
        video = Section("video", self.port + 2, self.ssrc + 1, self.kind)
        self.order.append(video)
        self.sections.append(video)

    def sdp(self, direction="sendrecv", extra="", lines=None):
        """`lines`: the last ones of each section; those of an offer, if none are given."""
        self.version += 1
        text = f"v=0\r\no=- {self.ssrc} {self.version} IN IP4 {ALICE}\r\ns=-\r\nc=IN IP4 {ALICE}\r\nt=0 0\r\n"
        for number, each in enumerate(self.order):
            if isinstance(each, str):
                text += f"m={each}\r\n"
                continue
            profile = each.keys.profile + ("F" if len(self.sections) > 1 else "")
            text += f"m={each.kind} {each.port} {profile} {self.types if each.kind == 'audio' else each.type}\r\n"
            if each.kind == "video":
                text += f"a=rtpmap:{each.type} VP8/90000\r\na=rtcp-fb:{each.type} nack pli\r\n"
            text += lines[number] if lines else f"a={direction}\r\n" + each.keys.offered()
        return text + extra

    def offer(self):
        return self.sdp()

    def answer(self, sdp):
        session, free, lines = sdp.split("\r\nm=")[0], list(self.sections), []
        self.order = []
        for kind, port, text in sections_of(sdp):
            mine = next((each for each in free if each.kind == kind), None)
            vp8 = next((int(value.split()[0]) for value in with_attribute(text, "rtpmap") if value.split()[1].upper() == "VP8/90000"), None)
            if mine is None or port == 0 or kind == self.refuses or (kind == "video" and vp8 is None):
                words = text.split("\r\n")[0].split()
                self.order.append(" ".join([kind, "0", *words[2:4]]))
                lines.append("")
                continue
            free.remove(mine)
            if kind == "video":
                mine.type = vp8
            mine.reads(session, text, port)
            lines.append(f"a={mine.answers}\r\n" + mine.keys.answered(text))
            self.order.append(mine)
        return self.sdp(lines=lines)

    def take(self, sdp):
        session = sdp.split("\r\nm=")[0]
        for mine, (_, port, text) in zip(self.order, sections_of(sdp)):
            if not isinstance(mine, str) and port:
                mine.reads(session, text, port)
                mine.keys.taken(text)

    def live(self):
        count, start = 0, time.monotonic()
        while not self.ends.is_set():
            due = start + count * 0.02
            sockets = {sock: (each, sock is each.rtcp) for each in list(self.sections) for sock in (each.rtp, each.rtcp)}
            try:
                ready, _, _ = select.select(list(sockets), [], [], max(0, due - time.monotonic()))
                for sock in ready:
                    self.receive(sock, *sockets[sock])
                if time.monotonic() >= due:
                    count += 1
                    self.speak(count)
            except RuntimeError as why:
                self.problem = str(why)

    def speak(self, count):
        for each in list(self.sections):
            each.leave(each.keys.handshake(b""), each.rtp, each.to)
        mine, at = self.sections[0], count * 160 % 8000
        if self.on and mine.to and mine.may_send:
            mine.send(self.audio[at:at + 160], count * 160)

    def receive(self, sock, section, is_rtcp):
        try:
            packet = sock.recv(2048)
        except OSError:
            return
        if not packet:
            return
        if 20 <= packet[0] <= 63:
            section.leave(section.keys.handshake(packet), section.rtp, section.to)
            return
        is_rtcp = is_rtcp or len(packet) > 1 and 192 <= packet[1] <= 223
        packet = section.keys.open(packet, is_rtcp)
        if packet and len(packet) >= (8 if is_rtcp else 13):
            self.reports(section, packet) if is_rtcp else self.media(section, packet)

    def reports(self, section, packet):
        """A PLI or FIR about what it sends back is for who sent it."""
        at = 0
        while at + 8 <= len(packet):
            if packet[at + 1] == 206 and packet[at] & 31 in (1, 4):
                section.wants_key_frame()
            at += 4 + 4 * struct.unpack("!H", packet[at + 2:at + 4])[0]

    def media(self, section, packet):
        if packet[1] & 0x7f != section.type:
            return
        section.source = struct.unpack("!I", packet[8:12])[0]
        payload = payload_of(packet)
        with self.changed:
            if section.kind == "audio":
                self.received += 1
                self.heard += payload
                del self.heard[:-1600]
            elif not self.eyes.take(packet) and time.monotonic() > self.asked + 0.3:
                self.asked = time.monotonic()
                section.wants_key_frame()
            self.changed.notify()
        if section.kind == "video" and payload and self.echoes and section.to:
            section.send(payload, struct.unpack("!I", packet[4:8])[0], packet[1] & 0x80)

    def hears(self, hertz, seconds=3):
        """Seconds until the tone is heard; None if it is not in time."""
        start = time.monotonic()
        with self.changed:
            self.heard.clear()
            if self.changed.wait_for(lambda: len(self.heard) >= 800 and has_tone(self.heard[-800:], hertz), seconds):
                return time.monotonic() - start
        return None

    def sees(self, colour, seconds=5, frames=3):
        """Seconds until so many more pictures were decoded and the last one has this colour; None if it has not in time."""
        start = time.monotonic()
        with self.changed:
            before = self.eyes.frames
            if self.changed.wait_for(lambda: self.eyes.frames >= before + frames and self.eyes.colour == colour, seconds):
                return time.monotonic() - start
        return None

    def seen(self):
        return {"frames": self.eyes.frames, "colour": self.eyes.colour, "problem": self.problem}

    def close(self):
        self.ends.set()
        self.thread.join(1)
        for each in self.sections:
            each.close()
