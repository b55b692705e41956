# SPDX-License-Identifier: Apache-2.0
"""Namespaces, processes and media for end-to-end tests. Everything made here is removed at the end.

    home 10.0.0.5 ── nat 192.0.2.99 ─┐
    alice 192.0.2.10 ────────────────┤ core: SIP proxy and relay at 203.0.113.1, 2001:db8:1::1
    bob 198.51.100.20, 2001:db8:20::20 ┘

With an engine of DPDK the relay has core's ends of the links (d-alice, d-bob, d-nat); core's kernel has the TAP interfaces of the
usual names instead.
"""

import atexit
import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

RELAY4, RELAY6 = "203.0.113.1", "2001:db8:1::1"
ALICE, BOB, BOB6, HOME = "192.0.2.10", "198.51.100.20", "2001:db8:20::20", "10.0.0.5"
PREFIX = f"fe{os.getpid() % 10000}"


def temporary(prefix):
    """A directory that goes with this program."""
    path = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


def need(*programs):
    if os.geteuid() != 0:
        raise Skip("needs root for network namespaces")
    for program in programs:
        if shutil.which(program) is None:
            raise Skip(f"{program} is not installed")


def run(*command, check=True, **kwargs):
    result = subprocess.run(command, capture_output=True, text=True, **kwargs)
    if check and result.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip()}")
    return result


def ns(name):
    return f"{PREFIX}{name}"


def inside(name, *command):
    return ["ip", "netns", "exec", ns(name), *command]


@contextlib.contextmanager
def entered(path):
    """This thread in another network namespace. Sockets and devices that are made there stay there."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(path, os.O_RDONLY)
    try:
        if libc.setns(there, 0) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(own, 0)
        os.close(own)
        os.close(there)


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise RuntimeError(f"waited {seconds} s for {what}")


def keep_pace(priority=1):
    """For this process and what it starts: the parties speak each 20 ms, and the relay answers at once, whatever else this host does. Real time,
    where it may be had; 0 ends it."""
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_RR if priority else os.SCHED_OTHER, os.sched_param(priority))


def add_engine(parser):
    parser.add_argument("--engine", choices=("af_packet", "af_xdp"), help="the relay's ports are DPDK's, with this driver")


def need_engine(build, engine):
    """Skips where the build has no such engine."""
    if engine and "not part of this build" in run(os.path.join(build, "rtpferryd"), "--config-file=none", f"--interface={RELAY4}!192.0.2.1", "--engine=dpdk",
                                                  "--check-config", check=False).stderr:
        raise Skip("this build has no engine dpdk: libdpdk-dev was not installed")


class Lab:
    NAMES = ("core", "alice", "bob", "nat", "home")

    def __init__(self, engine=None):
        """`engine`: None for sockets, else the DPDK driver of the relay's ports: af_packet or af_xdp."""
        self.engine = engine
        self.directory = tempfile.mkdtemp(prefix="ferry-e2e-")
        self.processes = []

    def __enter__(self):
        try:
            self.build()
        except Exception:
            self.__exit__()
            raise
        return self

    def build(self):
        probe = run("ip", "netns", "add", ns("core"), check=False)
        if probe.returncode != 0:
            raise Skip(f"cannot make a network namespace: {probe.stderr.strip()}")
        probe = run(*inside("core", "true"), check=False)
        if probe.returncode != 0:
            raise Skip(f"cannot run programs in a network namespace: {probe.stderr.strip()}")
        for name in self.NAMES[1:]:
            run("ip", "netns", "add", ns(name))
        for name in self.NAMES:
            run(*inside(name, "ip", "link", "set", "lo", "up"))
        self.link("core", "c-alice", "192.0.2.1/24", "alice", "eth0", ALICE + "/24")
        self.link("core", "c-bob", "198.51.100.1/24", "bob", "eth0", BOB + "/24")
        self.link("core", "c-nat", "192.0.3.1/24", "nat", "wan", "192.0.3.99/24")
        self.link("nat", "lan", "10.0.0.1/24", "home", "eth0", HOME + "/24")
        for device, name, address in (("c-bob", "core", "2001:db8:20::1/64"), ("eth0", "bob", BOB6 + "/64")):
            run(*inside(name, "ip", "addr", "add", address, "dev", device, "nodad"))
        for address in (RELAY4 + "/32", RELAY6 + "/128"):
            run(*inside("core", "ip", "addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else [])))
        for name, gateway in (("alice", "192.0.2.1"), ("bob", "198.51.100.1"), ("nat", "192.0.3.1"), ("home", "10.0.0.1")):
            run(*inside(name, "ip", "route", "add", "default", "via", gateway))
        run(*inside("bob", "ip", "-6", "route", "add", "default", "via", "2001:db8:20::1"))
        run(*inside("nat", "sysctl", "-qw", "net.ipv4.ip_forward=1"))

    def masquerade(self):
        """Port-restricted NAT: other ports outside than inside, answers only from where it was sent to."""
        rules = "table ip n { chain p { type nat hook postrouting priority 100; oifname wan masquerade random; }; }"
        run(*inside("nat", "nft", "-f", "-"), input=rules)

    def link(self, a, a_device, a_address, b, b_device, b_address):
        left, right = f"{PREFIX}l", f"{PREFIX}r"
        run("ip", "link", "add", left, "type", "veth", "peer", "name", right)
        for name, device, old, address in ((a, a_device, left, a_address), (b, b_device, right, b_address)):
            run("ip", "link", "set", old, "netns", ns(name))
            if self.engine and name == "core":
                self.give_away(old, device)
            else:
                run(*inside(name, "ip", "link", "set", old, "name", device))
            run(*inside(name, "ip", "addr", "add", address, "dev", device))
            run(*inside(name, "ip", "link", "set", device, "up"))
        if self.engine and "core" in (a, b):
            # A packet larger than the link is for a network device, not for a program that reads frames.
            run(*inside(*((b, "ethtool", "-K", b_device) if a == "core" else (a, "ethtool", "-K", a_device)), "tso", "off", "gso", "off"))

    def give_away(self, link, device):
        """The link is the relay's alone: the kernel has a TAP interface under its name."""
        own = device.replace("c-", "d-")
        run(*inside("core", "ip", "link", "set", link, "name", own))
        run(*inside("core", "sysctl", "-qw", f"net.ipv6.conf.{own}.disable_ipv6=1"))
        run(*inside("core", "ip", "link", "set", own, "arp", "off", "up"))
        if self.engine == "af_packet":  # sees a copy of what the kernel gets, which is to get nothing
            rules = f"table netdev {own.replace('-', '_')} {{ chain in {{ type filter hook ingress device {own} priority 0; policy drop; }}; }}"
            run(*inside("core", "nft", "-f", "-"), input=rules)
        run(*inside("core", "ip", "tuntap", "add", device, "mode", "tap"))

    def engine_options(self, links=("c-alice", "c-bob", "c-nat"), workers=2):
        if not self.engine:
            return []
        lcores = ",".join(f"{n}@(0-{os.cpu_count() - 1})" for n in range(workers + 1))
        eal = [f"--lcores={lcores}", "--no-huge", "-m", "192", "--no-pci", "--log-level=lib.eal:warning"]
        names = [f"net_{self.engine}{n}" for n in range(len(links))]
        eal += [f"--vdev={name},iface={link.replace('c-', 'd-')}" for name, link in zip(names, links)]
        return ["--engine=dpdk", "--dpdk-eal=" + " ".join(eal), *(f"--dpdk-port={name}={link}" for name, link in zip(names, links))]

    def start(self, name, *command, log=None):
        out = open(os.path.join(self.directory, log or f"{len(self.processes)}.log"), "wb")
        process = subprocess.Popen(inside(name, *command), stdout=out, stderr=subprocess.STDOUT, cwd=self.directory)
        self.processes.append(process)
        return process

    def start_kamailio(self, configuration):
        """Kamailio in core with a file of this folder. Returns once it listens at UDP port 5060."""
        self.start("core", "kamailio", "-f", os.path.join(os.path.dirname(os.path.abspath(__file__)), configuration), "-DD", "-m", "64", "-M", "8",
                   "-Y", self.directory, log="kamailio.log")
        wait_for(lambda: "5060" in run(*inside("core", "ss", "-lun")).stdout, 10, "Kamailio")

    def path(self, name):
        return os.path.join(self.directory, name)

    def log(self, name):
        with open(self.path(name), errors="replace") as f:
            return f.read()

    def print_logs(self, most):
        """The last `most` characters of each log."""
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log"):
                print(f"--- {name}\n" + self.log(name)[-most:])

    def __exit__(self, *_):
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for name in self.NAMES:
            subprocess.run(["ip", "netns", "del", ns(name)], capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)


class Relay:
    """rtpferryd in the core namespace."""

    def __init__(self, lab, build, *options):
        self.lab, self.build = lab, build
        self.socket = lab.path("control.sock")
        self.process = lab.start("core", os.path.join(build, "rtpferryd"), "--config-file=none", f"--interface={RELAY4}",
                                 f"--interface={RELAY6}", "--listen-ng=127.0.0.1:2223", f"--control-socket={self.socket}",
                                 "--port-min=30000", "--port-max=32000", *lab.engine_options(), *options, log="relay.log")
        try:
            wait_for(lambda: "is ready" in lab.log("relay.log"), 30, "the relay")
        except RuntimeError as why:
            raise RuntimeError(f"{why}: {lab.log('relay.log')[-1000:]}") from None
        self.pid = int(run("pgrep", "-o", "-f", self.socket).stdout.split()[0])

    def ctl(self, *words):
        result = run(os.path.join(self.build, "rtpferryctl"), f"--socket={self.socket}", "--json", *words, check=False)
        return json.loads(result.stdout) if result.stdout else {}

    def used_pairs(self):
        return sum(p["used"] for p in self.ctl("ports")["ports"])

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def tone_file(path, hertz, seconds):
    """A tone as A-law octets, made by sox: the judge's own tool, not ours."""
    run("sox", "-n", "-r", "8000", "-c", "1", "-t", "al", path, "synth", str(seconds), "sine", str(hertz), "gain", "-6")
    with open(path, "rb") as f:
        return f.read()


def tone_pcap(lab, name, hertz, seconds, ssrc):
    return audio_pcap(lab, name, tone_file(lab.path(name + ".al"), hertz, seconds), ssrc)


def audio_pcap(lab, name, audio, ssrc):
    """An RTP stream of A-law octets as a capture file for sipp's play_pcap_audio."""
    path = lab.path(name + ".pcap")
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(len(audio) // 160):
            rtp = struct.pack("!BBHII", 0x80, 8, i + 1, 160 * i, ssrc) + audio[160 * i:160 * (i + 1)]
            udp = struct.pack("!HHHH", 4000, 4000, 8 + len(rtp), 0) + rtp
            ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0, socket.inet_aton("192.0.2.1"),
                             socket.inet_aton("192.0.2.2")) + udp
            frame = b"\x02" * 12 + b"\x08\x00" + ip
            at = i * 0.02
            f.write(struct.pack("<IIII", int(at), int(at % 1 * 1e6), len(frame), len(frame)) + frame)
    return path


class Capture:
    """tcpdump in a namespace; gives the audio that arrived, per destination port."""

    def __init__(self, lab, where, name, expression):
        self.lab, self.file = lab, lab.path(name + ".cap")
        self.process = lab.start(where, "tcpdump", "-U", "--immediate-mode", "-i", "any", "-n", "-B", "65536", "-Q", "in", "-w", self.file,
                                 "udp and " + expression, log=name + ".log")
        wait_for(lambda: "listening" in lab.log(name + ".log"), 5, "tcpdump")

    def stop(self):
        subprocess.run(["pkill", "-INT", "-f", self.file], check=False)
        self.process.wait(20)

    def streams(self):
        """(source port, destination port, SSRC) -> A-law octets in order of arrival."""
        fields = run("tshark", "-r", self.file, "-d", "udp.port==1-65535,rtp", "-Y", "rtp", "-T", "fields", "-e", "udp.srcport",
                     "-e", "udp.dstport", "-e", "rtp.ssrc", "-e", "rtp.p_type", "-e", "rtp.payload").stdout
        streams = {}
        for line in fields.splitlines():
            source, port, ssrc, payload_type, payload = (line + "\t\t\t\t").split("\t")[:5]
            if payload and payload_type == "8":
                streams.setdefault((source, port, ssrc), bytearray()).extend(bytes.fromhex(payload.replace(":", "")))
        return streams


def heard_frequency(lab, audio, name="heard"):
    """What sox takes the tone for, in Hz; None for silence or too little audio. `name`: of a file that nobody else uses meanwhile."""
    if len(audio) < 4000:
        return None
    path = lab.path(name + ".heard.al")
    with open(path, "wb") as f:
        f.write(audio)
    stat = run("sox", "-t", "al", "-r", "8000", "-c", "1", path, "-n", "stat").stderr
    values = dict(line.split(":", 1) for line in stat.splitlines() if ":" in line)
    if float(values.get("RMS     amplitude", values.get("RMS amplitude", "0"))) < 0.05:
        return None
    return int(values["Rough   frequency"])
