# SPDX-License-Identifier: Apache-2.0
"""Fax machines for tests: spandsp's terminals by ctypes, with a modem's sound or over T.38, the pages that they send, and the lines that
carry both. UDPTL is written and read here, so that no code of the relay judges itself.
"""

import ctypes
import random
import select
import struct
import time

from lab import Skip
from parties import socket_in

ROW_OCTETS = 1728 // 8
T38_VERSION = 0
SAMPLES = 160                     # of a packet
TONES = {1: "CNG", 2: "CED", 3: "CED", 6: "V.21"}
WRITTEN = ((254, 2), (256, 1728), (258, 1), (259, 4), (262, 0), (266, 2), (282, 204.0), (283, 98.0), (296, 2))  # TIFF 6.0 tags of a page


def library(name):
    try:
        return ctypes.CDLL(name)
    except OSError as why:
        raise Skip(f"{name} cannot be loaded: {why}") from None


class Spandsp:
    """The library, loaded when the first machine is made. What its functions return is a pointer unless it is their count."""

    loaded = None
    LOG = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p)
    ENDED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)
    PACKET = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_ubyte), ctypes.c_int, ctypes.c_int)
    SILENT = LOG(lambda level, text: None)

    @classmethod
    def get(cls):
        if cls.loaded is None:
            cls.loaded = library("libspandsp.so.2")
            for name in ("fax_init", "fax_get_t30_state", "fax_get_logging_state", "t38_terminal_init", "t38_terminal_get_t30_state",
                         "t38_terminal_get_logging_state", "t38_terminal_get_t38_core_state", "t38_core_get_logging_state", "t30_get_logging_state",
                         "g711_init", "modem_connect_tones_rx_init"):
                getattr(cls.loaded, name).restype = ctypes.c_void_p
        return cls.loaded

    @classmethod
    def pointer(cls, function, *arguments):
        return ctypes.c_void_p(getattr(cls.get(), function)(*arguments))

    @classmethod
    def quiet(cls, log):
        cls.get().span_log_set_message_handler(log, cls.SILENT)
        cls.get().span_log_set_level(log, 0)


class Statistics(ctypes.Structure):
    """The begin of t30_stats_t; the rest is room for what follows there."""

    _fields_ = [("bit_rate", ctypes.c_int), ("ecm", ctypes.c_int), ("sent", ctypes.c_int), ("received", ctypes.c_int), ("rest", ctypes.c_int * 32)]


class Law:
    """A-law by spandsp."""

    def __init__(self):
        self.lib, self.state = Spandsp.get(), Spandsp.pointer("g711_init", None, 0)

    def encode(self, samples):
        octets = ctypes.create_string_buffer(len(samples))
        self.lib.g711_encode(self.state, octets, samples, len(samples))
        return octets.raw

    def decode(self, octets):
        samples = (ctypes.c_int16 * len(octets))()
        self.lib.g711_decode(self.state, samples, octets, len(octets))
        return samples


def page(seed, rows=120):
    """Rows of a page: noise in blocks, which does not compress well."""
    chance = random.Random(seed)
    return [bytes(chance.randrange(256) if chance.randrange(8) == 0 else 0 for _ in range(ROW_OCTETS)) for _ in range(rows)]


class Tiff:
    """A file of libtiff."""

    def __init__(self, path, mode):
        self.lib = library("libtiff.so.6")
        self.lib.TIFFOpen.restype, self.lib.TIFFScanlineSize.restype = ctypes.c_void_p, ctypes.c_long
        for which in ("Error", "Warning"):
            getattr(self.lib, f"TIFFSet{which}Handler")(None)
        self.file = ctypes.c_void_p(self.lib.TIFFOpen(path.encode(), mode))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.file:
            self.lib.TIFFClose(self.file)

    def set(self, tag, value):
        self.lib.TIFFSetField(self.file, ctypes.c_uint32(tag), ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int(value))


def write_page(path, rows):
    with Tiff(path, b"w") as tiff:
        for tag, value in WRITTEN + ((257, len(rows)), (278, len(rows))):
            tiff.set(tag, value)
        tiff.lib.TIFFSetField(tiff.file, ctypes.c_uint32(297), ctypes.c_int(0), ctypes.c_int(1))
        for number, row in enumerate(rows):
            tiff.lib.TIFFWriteScanline(tiff.file, ctypes.create_string_buffer(row, len(row)), ctypes.c_uint32(number), ctypes.c_uint16(0))


def read_pages(path):
    """The pages of a file as rows of octets; none if it cannot be read."""
    pages = []
    with Tiff(path, b"r") as tiff:
        more = bool(tiff.file)
        while more:
            height = ctypes.c_uint32(0)
            tiff.lib.TIFFGetField(tiff.file, ctypes.c_uint32(257), ctypes.byref(height))
            row = ctypes.create_string_buffer(tiff.lib.TIFFScanlineSize(tiff.file))
            rows = []
            for number in range(height.value):
                tiff.lib.TIFFReadScanline(tiff.file, row, ctypes.c_uint32(number), ctypes.c_uint16(0))
                rows.append(row.raw)
            pages.append(rows)
            more = tiff.lib.TIFFReadDirectory(tiff.file) != 0
    return pages


class Machine:
    """What both kinds of machine share: T.30. A machine sends the file of `sends` or writes the file of `receives`."""

    def begin(self, t30, sends, receives):
        self.lib, self.t30, self.result = Spandsp.get(), t30, None
        self.on_end = Spandsp.ENDED(lambda _, __, code: setattr(self, "result", code))
        self.lib.t30_set_phase_e_handler(t30, self.on_end, None)
        self.lib.t30_set_ecm_capability(t30, 1)
        self.lib.t30_set_supported_modems(t30, 1 | 2 | 4)
        self.lib.t30_set_supported_compressions(t30, 2 | 4 | 8)
        if sends:
            self.lib.t30_set_tx_file(t30, sends.encode(), -1, -1)
        if receives:
            self.lib.t30_set_rx_file(t30, receives.encode(), -1)
        Spandsp.quiet(Spandsp.pointer("t30_get_logging_state", t30))

    @property
    def is_done(self):
        return self.result is not None

    def statistics(self):
        found = Statistics()
        self.lib.t30_get_transfer_statistics(self.t30, ctypes.byref(found))
        return found


class Modem(Machine):
    """A machine that speaks and hears sound."""

    def __init__(self, calls, sends=None, receives=None):
        self.fax, self.law = Spandsp.pointer("fax_init", None, int(calls)), Law()
        Spandsp.get().fax_set_transmit_on_idle(self.fax, 1)
        Spandsp.quiet(Spandsp.pointer("fax_get_logging_state", self.fax))
        self.begin(Spandsp.pointer("fax_get_t30_state", self.fax), sends, receives)

    def speak(self):
        samples = (ctypes.c_int16 * SAMPLES)()
        self.lib.fax_tx(self.fax, samples, SAMPLES)
        return self.law.encode(samples)

    def hear(self, octets):
        self.lib.fax_rx(self.fax, self.law.decode(octets), len(octets))

    def miss(self, samples):
        """So many samples were lost."""
        self.lib.fax_rx_fillin(self.fax, samples)


class T38(Machine):
    """A machine on T.38 over UDPTL, with three earlier packets in each datagram."""

    def __init__(self, calls, sends=None, receives=None):
        self.on_packet = Spandsp.PACKET(self.packet)
        self.terminal = Spandsp.pointer("t38_terminal_init", None, int(calls), self.on_packet, None)
        core = Spandsp.pointer("t38_terminal_get_t38_core_state", self.terminal)
        Spandsp.get().t38_set_t38_version(core, T38_VERSION)
        Spandsp.quiet(Spandsp.pointer("t38_terminal_get_logging_state", self.terminal))
        Spandsp.quiet(Spandsp.pointer("t38_core_get_logging_state", core))
        self.core, self.written, self.outbox, self.next, self.odd = core, [], [], 0, 0
        self.begin(Spandsp.pointer("t38_terminal_get_t30_state", self.terminal), sends, receives)

    def packet(self, _, __, octets, size, times):
        self.written.append(ctypes.string_at(octets, size))
        self.outbox += [udptl(len(self.written) - 1, self.written[-1:-5:-1])] * times
        return 0

    def step(self):
        """Lets 20 ms pass. Returns the datagrams to send."""
        self.lib.t38_terminal_send_timeout(self.terminal, SAMPLES)
        out, self.outbox = self.outbox, []
        return out

    def take(self, datagram):
        try:
            sequence, packets = read_udptl(datagram)
        except (IndexError, struct.error):
            self.odd += 1
            return
        for back in range(len(packets) - 1, -1, -1):
            number = sequence - back
            if number >= self.next:
                self.lib.t38_core_rx_ifp_packet(self.core, packets[back], len(packets[back]), ctypes.c_uint16(number))
                self.next = number + 1


def udptl(sequence, packets):
    """A datagram of T.38 (ITU-T T.38 section 9.1): the newest packet, and earlier ones."""
    def field(octets):
        size = len(octets)
        return (bytes([size]) if size < 128 else struct.pack("!H", 0x8000 | size)) + octets
    return struct.pack("!H", sequence & 0xffff) + field(packets[0]) + bytes([0, len(packets) - 1]) + b"".join(map(field, packets[1:]))


def read_udptl(datagram):
    """Its number, and its packets from the newest on."""
    sequence, at = struct.unpack("!H", datagram[:2])[0], 2
    packets, left = [], 1
    while left:
        size = datagram[at]
        at += 1
        if size & 0x80:
            size, at = (size & 0x3f) << 8 | datagram[at], at + 1
        if at + size > len(datagram):
            raise IndexError(size)
        packets.append(datagram[at:at + size])
        at += size
        left -= 1
        if len(packets) == 1 and datagram[at] == 0:
            left, at = datagram[at + 1], at + 2
    return sequence, packets


class Ear:
    """Listens for the tones of fax machines."""

    def __init__(self, answers):
        """`answers`: for those of a machine that is called, else for those of one that calls."""
        self.lib, self.law = Spandsp.get(), Law()
        self.state = Spandsp.pointer("modem_connect_tones_rx_init", None, 7 if answers else 1, None, None)
        self.heard = None

    def hear(self, octets):
        self.lib.modem_connect_tones_rx(self.state, self.law.decode(octets), len(octets))
        self.heard = TONES.get(self.lib.modem_connect_tones_rx_get(self.state)) or self.heard

    def miss(self, samples):
        pass


class Recorder:
    """Keeps what is heard."""

    def __init__(self):
        self.audio = bytearray()

    def hear(self, octets):
        self.audio += octets

    def miss(self, samples):
        pass


class Line:
    """One end of a call: a socket that carries RTP with A-law, and T.38 while it has a machine for it. `speaks` has a function `speak`, what is in
    the list `hears` has `hear` and `miss`."""

    def __init__(self, where, address, port, ssrc):
        self.socket, self.address, self.port, self.ssrc = socket_in(where, address, port), address, port, ssrc
        self.to = self.t38 = self.speaks = None
        self.hears = []
        self.sequence, self.timestamp = 100, 1000
        self.last = None          # (SSRC, sequence) of the last packet heard
        self.odd, self.breaks, self.heard = 0, 0, 0

    def close(self):
        self.socket.close()

    def tick(self):
        """20 ms have passed."""
        if self.t38:
            out = self.t38.step()
        else:
            self.sequence, self.timestamp = self.sequence + 1 & 0xffff, self.timestamp + SAMPLES & 0xffffffff
            out = [struct.pack("!BBHII", 0x80, 8, self.sequence, self.timestamp, self.ssrc) + self.speaks.speak()] if self.speaks else []
        for datagram in out:
            if self.to:
                self.socket.sendto(datagram, self.to)

    def read(self):
        try:
            while True:
                self.take(self.socket.recv(2048))
        except BlockingIOError:
            pass

    def take(self, datagram):
        if datagram[0] >> 6 == 2 and len(datagram) == 12 + SAMPLES and datagram[1] & 0x7f == 8:
            self.take_sound(datagram)
        elif self.t38:
            self.t38.take(datagram)
        else:
            self.odd += 1

    def take_sound(self, packet):
        sequence, _, ssrc = struct.unpack("!HII", packet[2:12])
        self.heard += 1
        if self.last:
            ahead = sequence - self.last[1] & 0xffff
            self.breaks += ssrc != self.last[0] or ahead != 1
            if ssrc == self.last[0] and 1 < ahead < 50:
                for each in self.hears:
                    each.miss(SAMPLES * (ahead - 1))
        self.last = ssrc, sequence
        for each in self.hears:
            each.hear(packet[12:])


def talk(lines, until, seconds):
    """Lets the lines talk in real time until a condition holds. Returns whether it came to hold. A host that was away makes a pause, no burst."""
    begin = start = time.monotonic()
    ticks = 0
    while time.monotonic() - begin < seconds:
        if time.monotonic() - start - ticks * 0.02 > 0.1:
            start = time.monotonic() - ticks * 0.02
        for line in lines:
            line.tick()
        ticks += 1
        while (left := start + ticks * 0.02 - time.monotonic()) > 0:
            for ready in select.select([line.socket for line in lines], [], [], left)[0]:
                next(line for line in lines if line.socket is ready).read()
        for line in lines:
            line.read()
        if until():
            return True
    return False
