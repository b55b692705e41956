#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rtpproxy protocol with media on real sockets: counters, prompts, recordings, copies, notifications, DTMF,
another packet time, sources that signalling did not name.

Exit status: 0 passed, 1 failed.
"""

import argparse
import array
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import wave

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "golden"))
sys.path.insert(0, HERE)
from lab import wait_for
from run_rtpproxy import PATIENCE, TRANSPORTS, Daemon, has_ipv6

LOCAL = "127.0.0.1"


def rtp(ssrc, sequence, timestamp, payload, payload_type=0, marker=False):
    return struct.pack("!BBHII", 0x80, payload_type | (0x80 if marker else 0), sequence & 0xffff, timestamp & 0xffffffff, ssrc) + payload


class Phone:
    """A pair of UDP sockets for RTP and RTCP."""

    def __init__(self, host=LOCAL, ssrc=0x11):
        while True:
            self.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.rtp.bind((host, 0))
            self.host, self.port = self.rtp.getsockname()
            self.rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                if self.port % 2 == 0:
                    self.rtcp.bind((host, self.port + 1))
                    break
            except OSError:
                pass
            self.rtp.close()
            self.rtcp.close()
        self.ssrc, self.sequence, self.timestamp = ssrc, 100, 1000
        self.heard = []

    def send(self, port, count=1, ms=20, payload_type=0, paced=False, skip=0, host=LOCAL):
        """`paced`: at the rate of a phone, for what is about time. Gives when each packet left."""
        left = []
        for _ in range(count):
            left.append(time.monotonic())
            payload = bytes([0x55]) * (8 * ms)
            self.rtp.sendto(rtp(self.ssrc, self.sequence, self.timestamp, payload, payload_type), (host, port))
            self.sequence += 1 + skip
            self.timestamp += 8 * ms * (1 + skip)
            if paced:
                time.sleep(ms / 1000)
        return left

    def listen(self, seconds=0.3, count=None):
        """Datagrams that come until it has been silent for `seconds`, or `count` have come."""
        got = []
        while (count is None or len(got) < count) and select.select([self.rtp], [], [], seconds)[0]:
            datagram, source = self.rtp.recvfrom(4096)
            got.append((datagram, source, time.monotonic()))
        self.heard += got
        return got


class Suite:
    def __init__(self, build, folder, transport):
        self.build, self.folder, self.transport, self.problems, self.daemons = build, folder, transport, [], []

    def check(self, good, text):
        if not good:
            self.problems.append(text)

    def daemon(self, *options, more=()):
        self.daemons.append(Daemon(self.build, self.transport, ["-l", LOCAL, *options, "--", *more], self.folder))
        return self.daemons[-1]

    def session(self, d, call, a, b, modifiers_a="", modifiers_b="", extra=""):
        """Ports that A and B send to."""
        to_b = d.ask(f"U{modifiers_a} {call} {a.host} {a.port} ft{extra}")
        to_a = d.ask(f"L{modifiers_b} {call} {b.host} {b.port} ft tt")
        self.check(re.match(r"\d+ ", to_b) and re.match(r"\d+ ", to_a), f"{call}: U {to_b}, L {to_a}")
        return int(to_a.split()[0]), int(to_b.split()[0])

    def counters(self):
        """Ten packets from the caller; nine from the callee, one twice and two lost (docs/reference/rtpproxy.md#query)."""
        d = self.daemon()
        a, b = Phone(ssrc=0x11), Phone(ssrc=0x22)
        for_a, for_b = self.session(d, "c1", a, b)
        stranger = Phone("127.0.0.77", 0x99)
        a.send(for_a, 10, paced=True)
        b.send(for_b, 4)
        b.sequence -= 1
        b.timestamp -= 160
        b.send(for_b, 1)  # the same again
        b.sequence += 2
        b.timestamp += 320
        b.send(for_b, 4)
        stranger.send(for_a, 3)
        self.check(len(b.listen()) == 10 and len(a.listen()) == 9, "ten and nine packets arrive")
        for asked, wanted in (
            ("Q c1 ft tt", "60 10 9 19 0"),
            ("Q c1 tt ft", "60 9 10 19 0"),
            ("Qv c1 ft tt", "ttl=60 npkts_ina=10 npkts_ino=9 nrelayed=19 ndropped=0"),
            ("Qv c1 tt ft rtpa_nsent rtpa_nrcvd rtpa_ndups rtpa_nlost rtpa_perrs",
             "rtpa_nsent=10 rtpa_nrcvd=8 rtpa_ndups=1 rtpa_nlost=2 rtpa_perrs=0"),
        ):
            got = d.ask(asked)
            # A busy machine may have used a second.
            self.check(got == wanted or got == wanted.replace("60", "59"), f"{asked}: {got}")
        got = d.ask("Qv c1 ft tt longest_ipi rtpa_jlast rtpa_jmax rtpa_javg")
        values = dict(each.split("=") for each in got.split())
        numbers = {name: float(value) for name, value in values.items()}
        self.check(all(re.fullmatch(r"\d+\.\d{6}", value) for value in values.values()), f"six decimals: {got}")
        self.check(0.019 < numbers["longest_ipi"] < 0.5, f"longest gap of 20 ms packets: {got}")
        self.check(0 < numbers["rtpa_javg"] <= numbers["rtpa_jmax"] and numbers["rtpa_jlast"] <= numbers["rtpa_jmax"], got)
        # A session that was never answered throws everything away.
        early = int(d.ask("U c2 127.0.0.1 30000 ft").split()[0])
        a.send(early, 2)
        self.check(d.ask("Q c2 ft").split(" ", 1)[1] == "0 0 0 0", "an unanswered session counts nothing")
        d.ask("D c2 ft")
        d.ask("D c1 ft tt")
        info = d.ask("I").split("\n")
        self.check(info == ["sessions created: 2", "active sessions: 0", "active streams: 0", "packets received: 24", "packets transmitted: 19"],
                   f"I: {info}")
        loaded = d.ask("Il").split("\n")
        self.check(re.fullmatch(r"average load: \d\.\d{6}", loaded[5]) is not None, f"Il: {loaded}")
        got = d.ask("Gv npkts_rcvd npkts_discard npkts_relayed npkts_played nsess_created nsess_destroyed nsess_complete nsess_nortp "
                    "nsess_owrtp nsess_nortcp rtpa_nsent rtpa_nrcvd rtpa_ndups rtpa_nlost rtpa_perrs")
        self.check(got == "npkts_rcvd=24 npkts_discard=5 npkts_relayed=19 npkts_played=0 nsess_created=2 nsess_destroyed=2 "
                   "nsess_complete=1 nsess_nortp=0 nsess_owrtp=0 nsess_nortcp=1 rtpa_nsent=20 rtpa_nrcvd=18 rtpa_ndups=1 rtpa_nlost=2 "
                   "rtpa_perrs=0", f"G: {got}")
        got = d.ask("Gv ncmds_rcvd ncmds_rcvd_ndups ncmds_succd ncmds_errs ncmds_repld total_duration pps_in")
        values = dict(each.split("=") for each in got.split())
        self.check(int(values["ncmds_rcvd"]) == int(values["ncmds_succd"]) + 1 == int(values["ncmds_repld"]) + 1 and
                   values["ncmds_errs"] == "0" and float(values["total_duration"]) > 0.3, f"G: {got}")
        d.close()

    def prompts(self):
        """What a party hears of P, and what of the other one (docs/reference/rtpproxy.md#play)."""
        folder = os.path.join(self.folder, "prompts")
        os.makedirs(folder)
        source = os.path.join(self.folder, "ring.wav")
        samples = array.array("h", [int(8000 * ((i // 8) % 2 * 2 - 1)) for i in range(8000)])  # 500 Hz, one second
        with wave.open(source, "wb") as w:
            w.setnchannels(1)
            w.setsampwidth(2)
            w.setframerate(8000)
            w.writeframes(samples.tobytes())
        made = subprocess.run([os.path.join(self.build, "rtpferryctl"), "makeprompt", source, os.path.join(folder, "ring")],
                              capture_output=True, text=True)
        sizes = {name: os.path.getsize(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}
        self.check(made.returncode == 0 and sizes.get("ring.0") == 8000 and sizes.get("ring.8") == 8000 and
                   sizes.get("ring.3") == 1650 and sizes.get("ring.9") == 8000, f"makeprompt: {made.stderr} {sizes}")
        with open(os.path.join(folder, "ring.18"), "wb") as f:
            f.write(b"\x12" * 1000)
        os.symlink("/etc/hostname", os.path.join(folder, "link.0"))
        os.mkfifo(os.path.join(folder, "fifo.0"))
        d = self.daemon(more=[f"--rtpp-prompts={folder}"])
        a, b = Phone(ssrc=0x11), Phone(ssrc=0x22)
        for_a, for_b = self.session(d, "p1", a, b, "c8,0,101", "c0")
        a.send(for_a, 3)
        b.send(for_b, 3)
        b.listen(), a.listen()
        ring = os.path.join(folder, "ring")

        def hears(phone, count, payload_type, size, units, packet_ms, port, what):
            got = phone.listen(1.0, count)
            self.check(len(got) == count, f"{what}: {len(got)} of {count} packets")
            if len(got) < 2:
                return got
            heads = [struct.unpack("!BBHII", datagram[:12]) for datagram, _, _ in got]
            self.check(all(h[1] & 0x7f == payload_type and len(g[0]) == size and g[1] == (LOCAL, port) for h, g in zip(heads, got)),
                       f"{what}: type, size or source: {heads[0]}, {len(got[0][0])}, {got[0][1]}")
            self.check(all((n[2] - p[2]) & 0xffff == 1 and (n[3] - p[3]) & 0xffffffff == units and n[4] == p[4]
                           for p, n in zip(heads, heads[1:])), f"{what}: sequence or time")
            self.check([bool(h[1] & 0x80) for h in heads] == [True] + [False] * (count - 1), f"{what}: the marker is on the first packet")
            seconds = got[-1][2] - got[0][2]
            self.check(0.5 * packet_ms * count / 1000 < seconds < 3 * packet_ms * count / 1000 + 0.5, f"{what}: paced, took {seconds:.2f} s")
            return got

        # The port of a party is that which it sends to.
        self.check(d.ask(f"P p1 {ring} 0 ft tt") == "0", "P to the caller")
        first = hears(a, 100, 0, 92, 80, 10, for_a, "PCMU to the caller")
        self.check(len(b.listen(0.2)) == 0, "the callee hears nothing of it")
        self.check(a.listen(0.2) == [], "it ends by itself")
        self.check(d.ask(f"P p1 {ring} session ft tt") == "0", "P session to the caller")
        second = hears(a, 100, 8, 92, 80, 10, for_a, "PCMA to the caller")
        ssrcs = {datagram[8:12] for datagram, _, _ in first + second}
        self.check(len(ssrcs) == 1, "both prompts are one stream")
        d.ask(f"P-1 p1 {ring} session tt ft")
        hears(b, 150, 0, 92, 80, 10, for_b, "PCMU to the callee, endless")
        a.send(for_a, 5)
        b.send(for_b, 5)
        got = b.listen(0.05, 60)
        self.check(all(datagram[8:12] != struct.pack("!I", 0x11) for datagram, _, _ in got), "no packet of the caller meanwhile")
        self.check(len([1 for datagram, _, _ in a.listen(0.1) if datagram[8:12] == struct.pack("!I", 0x22)]) == 5, "the listener is heard")
        self.check(d.ask("S p1 tt ft") == "0", "S")
        b.listen(0.1)
        self.check(b.listen(0.2) == [], "S stops at once")
        a.send(for_a, 3)
        self.check(len(b.listen(0.3)) == 3, "the caller is heard again")
        d.ask(f"P2 p1 {ring} 18 ft tt")
        hears(a, 200, 18, 22, 80, 10, for_a, "G.729 twice")
        d.ask(f"P p1 {ring} 3 ft tt")
        hears(a, 50, 3, 45, 160, 20, for_a, "GSM")
        d.ask(f"P-1 p1 {ring} 8 tt ft")
        b.listen(1.0, 5)
        self.check(d.ask(f"P0 p1 {ring} 8 tt ft") == "0", "P0")
        b.listen(0.1)
        self.check(b.listen(0.2) == [], "P0 stops")
        for wrong in (f"P p1 {folder}/../ring 0 ft tt", f"P p1 {folder}/link 0 ft tt", f"P p1 {folder}/fifo 0 ft tt",
                      "P p1 /etc/hostname 0 ft tt", f"P p1 {ring} 97 ft tt", f"P p1 {ring} foo ft tt", "P p1 ../../etc/hostname 0 ft tt"):
            self.check(d.ask(wrong) == "E60", f"{wrong} is refused")
        self.check(d.ask(f"P p1 ring 0 ft tt") == "0", "a name alone is below the folder")
        d.ask("S p1 ft tt")
        # Only U so far: it waits for the port, and for the address.
        c = Phone(ssrc=0x33)
        d.ask(f"U p2 {c.host} {c.port} ft")
        self.check(d.ask(f"P p2 {ring} session ft") == "E35", "no list of codecs")
        self.check(d.ask(f"P p2 {ring} 0 ft") == "0", "P before the answer")
        self.check(c.listen(0.1) == [], "nothing yet")
        port = int(d.ask(f"L p2 {b.host} {b.port} ft tt").split()[0])
        hears(c, 100, 0, 92, 80, 10, port, "the prompt that waited")
        d.ask("X")
        # Workers tell the end of a prompt a moment after its last packet.
        end = time.monotonic() + 2
        while True:
            created, ended, played = map(int, d.ask("G nplrs_created nplrs_destroyed npkts_played").split())
            if created == ended or time.monotonic() > end:
                break
        self.check(created == ended == 8 and played > 700, f"players: {created} made, {ended} ended, {played} packets")
        d.close()

    def recordings(self):
        """R, C and N (docs/reference/rtpproxy.md#record), and what is in the files (docs/reference/rtpproxy.md#recordings)."""
        names = lambda where: sorted(f for f in os.listdir(where) if not f.endswith(".json") and not f.startswith("."))

        def await_files(where, wanted, what):
            try:
                wait_for(lambda: names(where) == wanted, PATIENCE, what)
            except RuntimeError as why:
                self.problems.append(f"{why}: {names(where)}")

        for letters, form in (([], "ad hoc"), (["-P"], "pcap"), (["-R"], "without RTCP")):
            where = tempfile.mkdtemp(dir=self.folder)
            d = self.daemon("-r", where, *letters)
            a, b = Phone(ssrc=0x11), Phone(ssrc=0x22)
            to_b = int(d.ask(f"U rc1 {a.host} {a.port} ft;1").split()[0])
            to_a = int(d.ask(f"L rc1 {b.host} {b.port} ft;1 tt;1").split()[0])
            self.check(d.ask("R rc1 ft;1 tt;1") == "0", f"{form}: R")
            self.check(d.ask("R rc1 ft;1 tt;1") == "0", f"{form}: R again")
            self.check(d.ask("R rc1 tt;1 ft;1") == "0", f"{form}: R of the other direction")
            self.check(d.ask("C rc1 no/dir/x tt;1 ft;1") == "E65" and d.ask("C rc1 .. tt;1 ft;1") == "E65", f"{form}: C elsewhere")
            self.check(d.ask("C rc1 myname ft;1 tt;1") == "0", f"{form}: C")
            a.send(to_a, 10)
            b.send(to_b, 6)
            a.rtcp.sendto(struct.pack("!BBHI", 0x80, 201, 1, 0x11), (LOCAL, to_a + 1))
            select.select([b.rtcp], [], [], 2)
            b.listen(), a.listen()
            self.check(d.ask("Na rc1 ft;1 tt;1") == "0" and d.ask("Na rc1 ft;1 tt;1") == "E50", f"{form}: N")
            ends = [".rtp"] if letters == ["-R"] else [".rtcp", ".rtp"]
            await_files(where, sorted([base + end for base in ("myname", "rc1=ft.a", "rc1=ft.o") for end in ends]), form)
            owner = open(os.path.join(where, "rc1=ft.o.rtp"), "rb").read()
            if letters != ["-P"]:
                packets = []
                at = 0
                while at < len(owner):
                    family, = struct.unpack_from("=H", owner, at)
                    port, = struct.unpack_from("!H", owner, at + 2)
                    address = socket.inet_ntoa(owner[at + 4 : at + 8])
                    when, length = struct.unpack_from("=dH", owner, at + 20)
                    packets.append((family, port, address, when, owner[at + 30 : at + 30 + length]))
                    at += 30 + length
                self.check(len(packets) == 10 and all(p[:3] == (2, a.port, LOCAL) and abs(p[3] - time.time()) < 60 and len(p[4]) == 172
                                                      for p in packets), f"{form}: {len(packets)} packets {packets[:1]}")
                numbers = [struct.unpack_from("!H", p[4], 2)[0] for p in packets]
                self.check(numbers == list(range(100, 110)), f"{form}: in order {numbers}")
                if not letters:
                    self.check(len(open(os.path.join(where, "rc1=ft.o.rtcp"), "rb").read()) == 30 + 8, "one RTCP packet")
                    out = subprocess.run([os.path.join(self.build, "rtpferryctl"), "convert", os.path.join(where, "rc1=ft.o.rtp"),
                                          os.path.join(where, "rc1=ft.a.rtp"), "-o", os.path.join(self.folder, "both.wav")],
                                         capture_output=True, text=True)
                    self.check(out.returncode == 0, f"convert: {out.stdout} {out.stderr}")
            elif shutil.which("tshark"):
                shown = subprocess.run(["tshark", "-r", os.path.join(where, "rc1=ft.o.rtp"), "-T", "fields", "-e", "ip.src", "-e", "udp.srcport",
                                        "-e", "udp.dstport", "-e", "frame.encap_type"], capture_output=True, text=True).stdout.splitlines()
                self.check(shown == [f"{LOCAL}\t{a.port}\t{to_a}\t1"] * 10, f"pcap: {shown[:2]}")
            # Nothing of the past is overwritten.
            self.check(d.ask("R rc1 ft;1") == "0", f"{form}: a second recording")
            d.ask("D rc1 ft tt")
            await_files(where, sorted([base + end for base in ("myname", "rc1=ft.a", "rc1=ft.o", "rc1=ft.o-2") for end in ends]), form)
            self.check(open(os.path.join(where, "rc1=ft.o.rtp"), "rb").read() == owner, f"{form}: the first one is as it was")
            # Names from the call stay below the folder.
            d.ask("U ../../x 127.0.0.1 30000 a/../b")
            d.ask("R ../../x a/../b")
            d.ask("D ../../x a/../b")
            before = ("myname", "rc1=ft.a", "rc1=ft.o", "rc1=ft.o-2")
            await_files(where, sorted([base + end for base in (*before, "%2E.%2F..%2Fx=a%2F..%2Fb.o") for end in ends]), f"{form}: encoded")
            d.close()
        where = tempfile.mkdtemp(dir=self.folder)
        d = self.daemon("-r", where, "-P")
        a, b = Phone(ssrc=0x11), Phone(ssrc=0x22)
        to_b = int(d.ask(f"U rc1 {a.host} {a.port} ft;1").split()[0])
        to_a = int(d.ask(f"L rc1 {b.host} {b.port} ft;1 tt;1").split()[0])
        for asked, wanted in (("Rs rc1 ft;1 tt;1", "0"), ("Rs rc1 tt;1 ft;1", "0"), ("Rs rc1 tt;1 ft;1", "E50"),
                              ("Cs rc1 one.pcap ft;1 tt;1", "0"), ("Cs rc1 one.pcap tt;1 ft;1", "0")):
            self.check(d.ask(asked) == wanted, f"pcap: {asked}")
        a.send(to_a, 5)
        b.send(to_b, 5)
        b.listen(), a.listen()
        d.ask("X")
        await_files(where, ["one.pcap", "rc1=ft.pcap"], "single files")
        if shutil.which("tshark"):
            shown = subprocess.run(["tshark", "-r", os.path.join(where, "one.pcap"), "-T", "fields", "-e", "udp.srcport"],
                                   capture_output=True, text=True).stdout.split()
            self.check(sorted(shown) == sorted([str(a.port)] * 5 + [str(b.port)] * 5), f"both directions in one file: {shown}")
        d.close()
        where = tempfile.mkdtemp(dir=self.folder)
        d = self.daemon("-r", where, "-a")
        self.session(d, "all", Phone(), Phone())
        d.ask("D all ft")
        await_files(where, sorted(f"all=ft.{p}.{k}" for p in "ao" for k in ("rtp", "rtcp")), "-a records every session")
        d.close()

    def copies(self):
        d = self.daemon()
        a, b, copy = Phone(ssrc=0x11), Phone(ssrc=0x22), Phone()
        for_a, for_b = self.session(d, "cp", a, b)
        port = d.ask(f"CP cp udp:{LOCAL}:{copy.port} ft tt").split()
        a.send(for_a, 5)
        b.send(for_b, 5)
        a.rtcp.sendto(struct.pack("!BBHI", 0x80, 201, 1, 0x11), (LOCAL, for_a + 1))
        got = copy.listen()
        self.check(len(got) == 5 and all(g[0][8:12] == struct.pack("!I", 0x11) and g[1] == (LOCAL, int(port[0])) for g in got),
                   f"copies of the caller's packets from the port that was told: {len(got)}, {port}, {got[0][1] if got else None}")
        self.check(select.select([copy.rtcp], [], [], 2)[0] != [], "RTCP goes to the next port")
        self.check(len(b.listen()) == 5, "the callee hears all the same")
        d.ask("N cp ft tt")
        a.send(for_a, 3)
        self.check(copy.listen(0.2) == [], "N ends it")
        # Another session that is fed from both directions of this one.
        spy_a, spy_b = Phone(), Phone()
        got = d.ask(f"U spy {spy_a.host} {spy_a.port} fa ta && C cp ft tt && L {spy_b.host} {spy_b.port}")
        self.check(re.fullmatch(r"\d+ 127.0.0.1 && 0 && \d+ 127.0.0.1", got) is not None, f"U && C && L: {got}")
        b.listen(0.1), a.listen(0.1)
        a.send(for_a, 4)
        b.send(for_b, 3)
        heard = [[datagram[8:12] for datagram, _, _ in phone.listen()] for phone in (spy_a, spy_b)]
        self.check(heard == [[struct.pack("!I", 0x22)] * 3, [struct.pack("!I", 0x11)] * 4], f"fed: {heard}")
        self.check(len(b.listen()) == 4 and len(a.listen()) == 3, "the call goes on")
        d.ask("D spy fa")
        a.send(for_a, 2)
        self.check(spy_b.listen(0.2) == [] and len(b.listen()) == 2, "the end of the copy is not that of the call")
        d.close()

    def notifications(self):
        path = os.path.join(self.folder, "notify.sock")
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(path)
        tcp = socket.create_server((LOCAL, 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind((LOCAL, 0))
        server.listen()
        tcp_port, udp_port = tcp.getsockname()[1], udp.getsockname()[1]
        lines = {"unix": [], "tcp": [], "udp": []}
        connections = {"unix": 0, "tcp": 0}
        stop = threading.Event()

        def collect(name, listener):
            streams = []
            while not stop.is_set():
                for ready in select.select([listener, *streams], [], [], 0.05)[0]:
                    if ready is listener:
                        streams.append(listener.accept()[0])
                        connections[name] += 1
                    elif data := ready.recv(4096):
                        lines[name] += data.decode().splitlines()
                    else:
                        streams.remove(ready)

        threads = [threading.Thread(target=collect, args=each) for each in (("unix", server), ("tcp", tcp))]
        for thread in threads:
            thread.start()
        d = self.daemon("-T", "2", "-W", "4", "-n", f"unix:{path}", "-n", f"tcp:{LOCAL}:{tcp_port}", "-n", f"tcp:%%CC_SELF%%:{tcp_port}", "-n",
                        f"udp:{LOCAL}:{udp_port}")
        self.check(d.ask("VF 20081224") == "1", "VF 20081224")
        started = time.monotonic()
        port_of = lambda reply: re.fullmatch(r"\d+ 127.0.0.1", reply) is not None
        for command in (f"U n1 {LOCAL} 30000 ft unix:{path} a%20tag%2f1", f"U n2 {LOCAL} 30000 ft {path} t2",
                        f"U n3 {LOCAL} 30000 ft tcp:{LOCAL}:{tcp_port} t3", f"U n4 {LOCAL} 30000 ft tcp:%%CC_SELF%%:{tcp_port} t4",
                        f"U n5 {LOCAL} 30000 ft unix:/not/allowed t5", f"U n7 {LOCAL} 30000 ft tt unix:{path} t7",
                        f"U n7 {LOCAL} 30000 ft tt", f"U n8 {LOCAL} 30000 ft udp:{LOCAL}:{udp_port} t8", f"U n9 {LOCAL} 30000 ft {path} t9"):
            self.check(port_of(d.ask(command)), command)
        self.check(d.ask(f"U n6 {LOCAL} 30000 ft unix:{path} bad%zz") == "E10", "E10")
        self.check(d.ask(f"U n6 {LOCAL} 30000 ft unix:{path} two%0alines") == "E10", "a tag of two lines")
        self.check(d.ask("Q n1 ft").startswith("4 "), "the time before the answer")
        self.check(port_of(d.ask(f"L n2 {LOCAL} 30002 ft tt")) and d.ask("Q n2 ft").startswith("2 "), "and after it")
        d.ask("D n9 ft")  # no notification of that
        a, b = Phone(ssrc=0x11), Phone(ssrc=0x22)
        to_b = int(d.ask(f"U d1 {a.host} {a.port} ft unix:{path} to && M3:1 dt%20mf 101").split()[0])
        to_a = int(d.ask(f"L d1 {b.host} {b.port} ft tt && M3:1 dtB 101 h").split()[0])

        # The line of OpenSIPS' module with a dialog to end and digits to report.
        c, e = Phone(ssrc=0x33), Phone(ssrc=0x44)
        d.ask(f"USc0,101 os@host {c.host} {c.port} from;1 tcp:{LOCAL}:{tcp_port} T77.1 && M3:1 Dd77.1 101")
        for_c = int(d.ask(f"LSc0,101 os@host {e.host} {e.port} from;1 to;1").split()[0])

        def press(phone, port, digit, volume=10):
            for end, duration in ((0, 160), (0, 320), (1, 640), (1, 640), (1, 640)):
                event = struct.pack("!BBH", digit, end << 7 | volume, duration)
                phone.rtp.sendto(rtp(phone.ssrc, phone.sequence, phone.timestamp, event, 101, duration == 160), (LOCAL, port))
                phone.sequence += 1
            phone.timestamp += 640

        a.send(to_a, 2)
        b.send(to_b, 2)
        b.listen(), a.listen()
        press(a, to_a, 5)
        press(b, to_b, 11)
        press(c, for_c, 3)
        self.check(len(b.listen()) == 5, "events are forwarded")
        self.check(a.listen(0.2) == [], "hidden events are not")
        udp.settimeout(PATIENCE)
        lines["udp"] = udp.recv(100).decode().splitlines()
        wait_for(lambda: {"a tag/1", "t2", "to"} <= set(lines["unix"]) and len(lines["tcp"]) >= 4, PATIENCE + 5, "the notifications")
        took = time.monotonic() - started
        self.check(sorted(lines["unix"]) == sorted(["a tag/1", "t2", "dt mf 5 10 640 0", "dtB # 10 640 1", "to"]), f"unix: {lines['unix']}")
        self.check(sorted(lines["tcp"]) == ["Dd77.1 3 10 640 0", "T77.1", "t3", "t4"] and lines["udp"] == ["t8"], f"tcp: {lines['tcp']}, udp: {lines['udp']}")
        self.check(connections["unix"] == 1, f"{connections} connections")
        self.check(3.5 < took < 12, f"after {took:.1f} s")
        self.check(d.ask("Q n1 ft") == "E50" and d.ask("G nsess_timeout") == "9", f"timed out: {d.ask('G nsess_timeout')}")
        stop.set()
        for thread in threads:
            thread.join()
        d.close()

    def packet_time(self):
        """z40 and z60: 24 packets of 20 ms in, 10 out (docs/reference/rtpproxy.md#signal)."""
        d = self.daemon()
        a, b = Phone(ssrc=0x11), Phone(ssrc=0x22)
        for_a, for_b = self.session(d, "z1", a, b, "z40", "z60")
        a.send(for_a, 12, paced=True)
        b.send(for_b, 12, paced=True)
        for phone, size, units, what in ((b, 332, 320, "caller's 40 ms"), (a, 492, 480, "callee's 60 ms")):
            heads = [struct.unpack("!BBHII", g[0][:12]) for g in phone.listen()]
            self.check(all(len(g[0]) == size for g in phone.heard) and len(heads) == 12 * 160 // units, f"{what}: {len(heads)} packets")
            self.check(all((n[2] - p[2], n[3] - p[3], n[4]) == (1, units, p[4]) for p, n in zip(heads, heads[1:])), f"{what}: {heads}")
        got = d.ask("Gv npkts_resizer_in npkts_resizer_out npkts_resizer_discard")
        self.check(got == "npkts_resizer_in=24 npkts_resizer_out=10 npkts_resizer_discard=0", got)
        self.check(d.ask("Q z1 ft tt").split(" ", 1)[1] == "12 12 10 0", d.ask("Q z1 ft tt"))
        # Off again: as it comes, with numbers that go on. An offer alone changes nothing (LAT-15).
        d.ask(f"U z1 {a.host} {a.port} ft tt")
        d.ask(f"Lz60 z1 {b.host} {b.port} ft tt")
        a.send(for_a, 3)
        heads = [struct.unpack("!BBHII", g[0][:12]) for g in b.listen()]
        self.check([h[2] for h in heads] == [106, 107, 108], f"numbers go on: {heads}")
        d.close()

    def sources(self):
        """The signalled address is only that of the SIP proxy: LAT-3a."""
        d = self.daemon()
        a, b = Phone("127.0.0.50", 0x11), Phone(ssrc=0x22)
        to_b = int(d.ask("U l1 127.0.0.99 30000 ft").split()[0])
        to_a = int(d.ask(f"L l1 {b.host} {b.port} ft tt").split()[0])
        left = a.send(to_a, 80, paced=True)
        got = b.listen()
        later = sum(at > left[0] + 1 for at in left)  # 30, where the machine keeps time
        self.check(later - 5 <= len(got) <= later + 5, f"heard after one second alone: {len(got)} of the {later} that left then")
        b.send(to_b, 5)
        self.check(len(a.listen()) == 5, "and answered")
        # Two claim the port: it stays closed.
        to_b = int(d.ask("U l2 127.0.0.99 30000 ft").split()[0])
        to_a = int(d.ask(f"L l2 {b.host} {b.port} ft tt").split()[0])
        x = Phone("127.0.0.51", 0x99)
        for _ in range(60):
            a.send(to_a, 1, paced=True)
            x.send(to_a, 1)
        self.check(b.listen(0.2) == [], "a contested port stays closed")
        # Asymmetric: heard from any port of its address, spoken to at the signalled one.
        a, elsewhere, stranger = Phone(), Phone(ssrc=0x55), Phone("127.0.0.77", 0x66)
        to_b = int(d.ask(f"Ua s1 {a.host} {a.port} ft").split()[0])
        to_a = int(d.ask(f"L s1 {b.host} {b.port} ft tt").split()[0])
        stranger.send(to_a, 5)
        elsewhere.send(to_a, 5)
        self.check(len(b.listen()) == 5, "heard from another port, a stranger is not")
        b.send(to_b, 5)
        self.check(len(a.listen()) == 5 and elsewhere.listen(0.1) == [], "spoken to where it was signalled")
        # T.38: no RTP, from the right place.
        to_b = int(d.ask(f"U t1 {b.host} {b.port} ft").split()[0])
        c = Phone()
        to_a = int(d.ask(f"L t1 {c.host} {c.port} ft tt").split()[0])
        for n in range(4):
            b.rtp.sendto(struct.pack("!HB", n, 2) + b"\x01\x02\x00\x00", (LOCAL, to_a))
        self.check([g[0][:2] for g in c.listen()] == [struct.pack("!H", n) for n in range(4)], "UDPTL passes")
        self.check(d.ask("Q t1 ft tt rtpa_perrs npkts_ina") == "4 4", d.ask("Q t1 ft tt rtpa_perrs npkts_ina"))
        d.close()

    def ends(self):
        """Ports of a deleted session close at once; a signal lets the last call end."""
        d = self.daemon("-m", "42000", "-M", "42003")
        for n in range(20):
            to_b, to_a = d.ask("U f1 127.0.0.1 30000 ft"), d.ask("L f1 127.0.0.1 30002 ft tt")
            self.check(to_b.startswith("420") and to_a.startswith("420"), f"round {n}: {to_b} {to_a}")
            if n == 0:
                self.check(d.ask("U f2 127.0.0.1 30000 ft") == "E72", "no port left")
            d.ask("D f1 ft")
        d.ask("U f3 127.0.0.1 30000 ft")
        to_b = d.ask("U f4 127.0.0.1 30000 ft")
        self.check(d.ask("L f4 127.0.0.1 30002 ft tt") == "E71", "no second port left")
        self.check(d.ask("U f4 127.0.0.1 30000 ft") == to_b, "the session is as it was")
        d.process.send_signal(1)  # SIGHUP
        deadline = time.monotonic() + PATIENCE
        d.ask("D f3 ft")
        while d.ask("U f5 127.0.0.1 30000 ft") != "E99" and time.monotonic() < deadline:
            d.ask("D f5 ft")
        self.check(d.ask("U f5 127.0.0.1 30000 ft") == "E99", "no new session while it drains")
        self.check(d.ask("U f4 127.0.0.1 30000 ft") == to_b, "the others go on")
        d.ask("X")
        self.check(d.process.wait(PATIENCE) == 0, "it ends with the last one")
        d.close()
        # More than it was told to take.
        d = self.daemon(more=["--max-sessions=1"])
        self.check(re.match(r"\d+ ", d.ask("U g1 127.0.0.1 30000 ft")) is not None, "one session")
        self.check(d.ask("U g2 127.0.0.1 30000 ft") == "E98", "and no second one")
        self.check(re.match(r"\d+ ", d.ask("L g1 127.0.0.1 30002 ft tt")) is not None, "the first one goes on")
        d.close()
        # A thousand sessions, again and again: nothing stays.
        d = self.daemon()
        used = []
        for _ in range(3):
            for n in range(1000):
                d.ask(f"U h{n} 127.0.0.1 30000 ft tt && L 127.0.0.1 30002")
            for n in range(1000):
                self.check(d.ask(f"D h{n} ft tt") == "0", f"D h{n}")
            used.append((len(os.listdir(f"/proc/{d.process.pid}/fd")), int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{d.process.pid}/status").read())[1])))
        self.check(used[0][0] == used[2][0] < 60, f"descriptors {used}")
        # The replies of a minute are kept for those who ask again, on UDP alone.
        self.check(used[2][1] - used[0][1] < 2000, f"memory {used}")
        d.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--only")
    parser.add_argument("--all-transports", action="store_true", help="every scenario over every transport (four minutes)")
    args = parser.parse_args()
    transports = [t for t in TRANSPORTS if has_ipv6() or not t.endswith("6")]
    failed = 0
    for number, name in enumerate(("counters", "prompts", "recordings", "copies", "notifications", "packet_time", "sources", "ends")):
        if args.only and name != args.only:
            continue
        everywhere = args.all_transports or name == "counters"
        for transport in transports if everywhere else [transports[number % len(transports)]]:
            with tempfile.TemporaryDirectory() as folder:
                suite = Suite(os.path.abspath(args.build), folder, transport)
                started = time.monotonic()
                getattr(suite, name)()
            ends = [d.process.returncode for d in suite.daemons]
            suite.check(set(ends) == {0}, f"daemons ended with {ends}")
            print(f"{'FAILED' if suite.problems else 'passed'}  {name} over {transport} ({time.monotonic() - started:.1f} s)", flush=True)
            for problem in suite.problems:
                print(f"    {problem}")
            failed += bool(suite.problems)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
