# SPDX-License-Identifier: Apache-2.0
"""What the cases of this folder play with: the relay under test, NG and rtpproxy clients, parties, packets, SDP, captures.

A case is a file with a docstring (first line: title), REFERENCE, RIGHT and `play(w)`; `w` is a World.
Everything happens in a network namespace of its own (see run).
"""
import base64, contextlib, ctypes, hashlib, hmac, json, os, random, re, select, signal, socket, struct, subprocess, sys, tempfile, time, wave
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

RELAY, RELAY_B, RELAY6 = "198.51.100.1", "198.51.100.2", "2001:db8:1::1"
A, B, C, X = "203.0.113.11", "203.0.113.12", "203.0.113.13", "203.0.113.66"
A6, B6 = "2001:db8:2::11", "2001:db8:2::12"
PRIVATE = "10.9.9.9"                                     # behind NAT, nobody is there
ADDRESSES = (RELAY, RELAY_B, RELAY6, A, B, C, X, A6, B6)
CONTROL = ("127.0.0.1", 2223)
CLASSIC = ("127.0.0.1", 22222)


class Failed(Exception):
    """The product did something wrong; the argument says what."""


class Unsupported(Exception):
    """The product says that it cannot do this."""


def host(program, *arguments):
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout


# ---------------------------------------------------------------- networks

FAR = None                                               # a process in the parties' own namespace, behind a veth


@contextlib.contextmanager
def far():
    """Sockets made inside are the parties'."""
    if FAR is None:
        yield
        return
    libc, here = ctypes.CDLL(None, use_errno=True), os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/proc/{FAR.pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(there, 0x40000000):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        libc.setns(here, 0x40000000)
        os.close(here), os.close(there)


def build_network(more=()):
    """All addresses on loopback; with FIELD_CASE_OFFLOAD=v0=tc the parties live behind a veth, so that the kernel can forward."""
    global FAR
    add = lambda ip, device, *where: host(*where, "ip", "addr", "add", f"{ip}/{128 if ':' in ip else 32}", "dev", device, *(["nodad"] if ":" in ip else [])) if where else \
        host("ip", "addr", "add", f"{ip}/{128 if ':' in ip else 32}", "dev", device, *(["nodad"] if ":" in ip else []))
    host("ip", "link", "set", "lo", "up")
    if not os.environ.get("FIELD_CASE_OFFLOAD"):
        for ip in (*ADDRESSES, *more):
            add(ip, "lo")
        return
    FAR = subprocess.Popen(["unshare", "-n", "sleep", "900"])
    end = time.monotonic() + 3
    while os.readlink(f"/proc/{FAR.pid}/ns/net") == os.readlink("/proc/self/ns/net") and time.monotonic() < end:
        time.sleep(0.02)
    there = ["nsenter", "-n", "-t", str(FAR.pid)]
    host("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", str(FAR.pid))
    host("ip", "link", "set", "v0", "up")
    for words in (["lo", "up"], ["v1", "up"]):
        host(*there, "ip", "link", "set", *words)
    for ip in (*ADDRESSES, *more):
        if ip in (RELAY, RELAY_B, RELAY6):
            add(ip, "v0")
        else:
            add(ip, "v1", *there)
    for where, device, nets in (([], "v0", ("203.0.113.0/24", "2001:db8:2::/64")), (there, "v1", ("198.51.100.0/24", "2001:db8:1::/64"))):
        for net in nets:
            host(*where, "ip", *(["-6"] if ":" in net else []), "route", "add", net, "dev", device)


# ---------------------------------------------------------------- SDP

def crlf(text):
    """An SDP body from indented lines."""
    return "".join(line.strip() + "\r\n" for line in text.strip().splitlines())


class Section:
    def __init__(self, value):
        self.type, self.port_text, self.protocol, *self.formats = value.split()
        self.port, self.lines = int(self.port_text.split("/")[0]), []

    def all(self, name):
        """Values of the attributes with that name; '' for flags."""
        return [l[2:].partition(":")[2] for l in self.lines if l.startswith("a=") and l[2:].partition(":")[0] == name]

    def one(self, name, default=None):
        return (self.all(name) or [default])[0]

    def has(self, name):
        return bool(self.all(name))

    @property
    def address(self):
        c = [l for l in self.lines if l.startswith("c=")]
        return c[-1].split()[2] if c else None

    @property
    def direction(self):
        return next((d for d in ("sendrecv", "sendonly", "recvonly", "inactive") if self.has(d)), None)


class Sdp:
    def __init__(self, text):
        self.text, self.lines, self.media = text, [], []
        for line in text.split("\r\n"):
            if line.startswith("m="):
                self.media.append(Section(line[2:]))
            elif line:
                (self.media[-1].lines if self.media else self.lines).append(line)
        session = [l.split()[2] for l in self.lines if l.startswith("c=")]
        for m in self.media:
            if session and m.address is None:
                m.lines.append(f"c=IN IP4 {session[-1]}")

    @property
    def origin(self):
        return next(l for l in self.lines if l.startswith("o="))[2:].split()

    def __getitem__(self, i):
        return self.media[i]


def plain(address, port, types="0 8 101", direction="sendrecv", version=1, extra="", profile="RTP/AVP", session=""):
    family = "IP6" if ":" in address else "IP4"
    return crlf(f"""v=0
        o=- 4711 {version} IN {family} {address}
        s=-
        c=IN {family} {address}
        t=0 0
        {session}
        m=audio {port} {profile} {types}
        a=rtpmap:0 PCMU/8000
        a=rtpmap:8 PCMA/8000
        a=rtpmap:101 telephone-event/8000
        a=fmtp:101 0-15
        a={direction}
        {extra}""").replace("\r\n\r\n", "\r\n").replace("\r\n\r\n", "\r\n")


# ---------------------------------------------------------------- packets

def rtp(seq, ts, ssrc, payload=b"\x55" * 160, pt=0, marker=0):
    return struct.pack("!BBHII", 0x80, marker << 7 | pt, seq & 0xffff, ts & 0xffffffff, ssrc) + payload


def fields(packet):
    b1, seq, ts, ssrc = struct.unpack("!xBHII", packet[:12])
    return dict(pt=b1 & 127, marker=b1 >> 7, seq=seq, ts=ts, ssrc=ssrc, payload=packet[12:])


def event(number, end=False, duration=160, volume=10):
    return struct.pack("!BBH", number, end << 7 | volume, duration)


def sender_report(ssrc, blocks=b"", count=0, ntp=(3900000000, 0), ts=0):
    body = struct.pack("!IIIIII", ssrc, *ntp, ts, 10, 1600) + blocks
    return struct.pack("!BBH", 0x80 | count, 200, len(body) // 4) + body + sdes(ssrc)


def receiver_report(ssrc, about=None, lost=0, fraction=0, highest=0, jitter=0):
    block = b"" if about is None else struct.pack("!IIIIII", about, fraction << 24 | lost & 0xffffff, highest, jitter, 0, 0)
    return struct.pack("!BBHI", 0x80 | bool(block), 201, 1 + len(block) // 4, ssrc) + block


def sdes(ssrc):
    return struct.pack("!BBHI", 0x81, 202, 3, ssrc) + b"\x01\x04case\0\0"


def picture_loss(ssrc, about):
    return struct.pack("!BBHII", 0x81, 206, 2, ssrc, about)


class Srtp:
    """AES_CM_128_HMAC_SHA1_80 (RFC 3711), both directions, written from the RFC. As a receiver it has a replay window of
    128 and guesses the roll-over counter as RFC 3711 section 3.3.1 says."""
    SUITE = "AES_CM_128_HMAC_SHA1_80"

    def __init__(self, key=None):
        self.master = key or os.urandom(30)
        key, salt = self.master[:16], self.master[16:]
        derive = lambda label, n: self.stream(key, (int.from_bytes(salt, "big") ^ label << 48) << 16, bytes(n))
        self.k, self.auth, self.salt = derive(0, 16), derive(1, 20), derive(2, 14)
        self.highest, self.seen = {}, {}                 # by SSRC: highest index, indices in the window
        self.errors = []

    @classmethod
    def of_line(cls, line):
        """From the value of a=crypto."""
        return cls(base64.b64decode(re.search(r"inline:([A-Za-z0-9+/=]+)", line)[1] + "=="))

    def line(self, tag=1, parameters=""):
        return f"a=crypto:{tag} {self.SUITE} inline:{base64.b64encode(self.master).decode()}{parameters}"

    @staticmethod
    def stream(key, iv, data):
        return Cipher(algorithms.AES(key), modes.CTR(iv.to_bytes(16, "big"))).encryptor().update(data)

    def crypt(self, packet, index):
        iv = int.from_bytes(self.salt, "big") << 16 ^ int.from_bytes(packet[8:12], "big") << 64 ^ index << 16
        return packet[:12] + self.stream(self.k, iv, packet[12:])

    def tag(self, packet, roc):
        return hmac.new(self.auth, packet + struct.pack("!I", roc), hashlib.sha1).digest()[:10]

    def protect(self, packet, roc=0, mki=b""):
        sealed = self.crypt(packet, roc << 16 | int.from_bytes(packet[2:4], "big"))
        return sealed + mki + self.tag(sealed, roc)

    def unprotect(self, packet):
        """The packet in clear, or None; what was wrong is appended to `errors`."""
        sealed, tag = packet[:-10], packet[-10:]
        seq, ssrc = struct.unpack("!H4xI", sealed[2:12])
        top = self.highest.get(ssrc)
        if top is None:
            roc = 0
        else:
            roc, s = top >> 16, top & 0xffff
            if s < 32768 and seq - s > 32768:
                roc -= 1
            elif s >= 32768 and s - 32768 > seq:
                roc += 1
        index = roc << 16 | seq
        seen = self.seen.setdefault(ssrc, set())
        if top is not None and (index <= top - 128 or index in seen):
            self.errors.append("replay")
            return None
        if roc < 0 or not hmac.compare_digest(self.tag(sealed, roc), tag):
            self.errors.append("authentication")
            return None
        self.highest[ssrc] = max(index, top if top is not None else index)
        seen.add(index)
        return self.crypt(sealed, index)


# ---------------------------------------------------------------- parties

class Party:
    """A UDP port pair; what arrives is kept in `got` and `rtcp` as (time, source, packet)."""
    def __init__(self, world, ip, port=None, ssrc=None):
        self.world, self.ip, self.ssrc = world, ip, ssrc or random.getrandbits(32) | 1
        self.seq, self.ts, self.pt, self.payload = random.randrange(1000, 20000), random.getrandbits(20), 0, b"\x55" * 160
        self.srtp, self.roc, self.got, self.rtcp, self.sent = None, 0, [], [], 0
        family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        for _ in range(50):
            number = port or random.randrange(10000, 20000, 2)
            with far():
                self.sockets = [socket.socket(family, socket.SOCK_DGRAM) for _ in "12"]
            try:
                for i, s in enumerate(self.sockets):
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
                    s.bind((ip, number + i))
                    s.setblocking(False)
                break
            except OSError:
                for s in self.sockets:
                    s.close()
        self.port = number
        world.parties.append(self)

    def sdp(self, **how):
        return plain(self.ip, self.port, **how)

    def packet(self, marker=0, payload=None, pt=None):
        p = rtp(self.seq, self.ts, self.ssrc, self.payload if payload is None else payload, self.pt if pt is None else pt, marker)
        if self.srtp:
            p = self.srtp.protect(p, self.roc)
        self.seq += 1
        if self.seq > 0xffff:
            self.seq, self.roc = 0, self.roc + 1
        self.ts += 160
        return p

    def send(self, to, data=None, rtcp=False):
        to = to if isinstance(to, tuple) else (RELAY6 if ":" in self.ip else RELAY, to + rtcp)
        with contextlib.suppress(ConnectionError):
            self.sockets[rtcp].sendto(self.packet() if data is None else data, to)
            self.sent += not rtcp

    def drain(self):
        for s in self.sockets:
            while True:
                try:
                    data, source = s.recvfrom(65535)
                except BlockingIOError:
                    break
                except ConnectionError:
                    continue
                is_rtcp = len(data) >= 8 and 192 <= data[1] <= 223
                (self.rtcp if is_rtcp else self.got).append((time.monotonic(), source[:2], data))

    def heard(self, other=None, pt=None):
        """RTP packets that came from that party, by SSRC."""
        return [p for _, _, p in self.got if len(p) >= 12 and (other is None or fields(p)["ssrc"] == other.ssrc) and (pt is None or p[1] & 127 == pt)]

    def clear(self):
        self.drain()
        self.got, self.rtcp, self.sent = [], [], 0

    def close(self):
        for s in self.sockets:
            s.close()


# ---------------------------------------------------------------- control

def bencode(v):
    if isinstance(v, dict):
        return b"d" + b"".join(bencode(k) + bencode(x) for k, x in v.items()) + b"e"
    if isinstance(v, list):
        return b"l" + b"".join(map(bencode, v)) + b"e"
    if isinstance(v, int):
        return b"i%de" % v
    v = v.encode() if isinstance(v, str) else v
    return b"%d:%s" % (len(v), v)


class Ng:
    def __init__(self, to=CONTROL):
        self.s = socket.socket(socket.AF_INET6 if ":" in to[0] else socket.AF_INET, socket.SOCK_DGRAM)
        self.s.connect(to)

    def datagram(self, data, wait=2.0):
        self.s.send(data)
        if not select.select([self.s], [], [], wait)[0]:
            return None
        return self.s.recv(65535)

    def raw(self, document, wait=2.0):
        """The reply to a request, or None."""
        cookie = b"%016x" % random.getrandbits(64)
        with contextlib.suppress(ConnectionError):
            self.s.send(cookie + b" " + json.dumps(document).encode())
            end = time.monotonic() + wait
            while select.select([self.s], [], [], max(0, end - time.monotonic()))[0]:
                d = self.s.recv(65535)
                if d.startswith(cookie + b" "):
                    return json.loads(d[len(cookie) + 1:])
        return None

    def ask(self, command, call, may_fail=False, **keys):
        reply = self.raw({"command": command, "call-id": call, **{k.replace("_", "-"): v for k, v in keys.items() if v is not None}})
        if reply is None:
            raise Failed(f"no reply to {command}")
        if reply["result"] not in ("ok", "pong") and not may_fail:
            text = reply.get("error-reason", reply["result"])
            raise (Unsupported if "not supported" in text else Failed)(f"{command} refused: {text}")
        return reply

    def offer(self, call, sdp, tag="a", **keys):
        return Sdp(self.ask("offer", call, from_tag=tag, sdp=sdp, **keys)["sdp"])

    def answer(self, call, sdp, tag="b", to="a", **keys):
        return Sdp(self.ask("answer", call, from_tag=to, to_tag=tag, sdp=sdp, **keys)["sdp"])


class Rtpproxy:
    """The rtpproxy protocol over UDP."""
    def __init__(self, to=CLASSIC):
        self.s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.s.connect(to)

    def ask(self, text, wait=2.0):
        cookie = "%x" % random.getrandbits(48)
        with contextlib.suppress(ConnectionError):
            self.s.send(f"{cookie} {text}".encode())
            if select.select([self.s], [], [], wait)[0]:
                return self.s.recv(65535).decode("latin1").partition(" ")[2].strip()
        return None


# ---------------------------------------------------------------- relay and world

class Relay:
    """rtpferryd in a directory of its own."""
    def __init__(self, world, options, defaults=True, program="rtpferryd", wrapper=(), environment=None):
        self.world, self.dir = world, tempfile.mkdtemp(dir=world.root)
        self.socket = os.path.join(self.dir, "ctl.sock")
        base = [f"--interface={RELAY}", "--listen-ng=127.0.0.1:2223", "--port-min=30000", "--port-max=30999",
                f"--control-socket={self.socket}", "--num-threads=1", "--log-level=7", "--offload=off"] if defaults else []
        self.log_file = os.path.join(self.dir, "log")
        words = [o.replace("{dir}", self.dir) for o in (*base, *options)]
        if program == "rtpferryd" and not wrapper and os.geteuid() == 0:
            words.append("--user=root")  # the folders of a case belong to root
        if kernel := os.environ.get("FIELD_CASE_OFFLOAD"):
            words = [f"--offload={kernel}" if o == "--offload=off" else o for o in words]
        with open(self.log_file, "wb") as log:
            self.process = subprocess.Popen([*wrapper, world.program(program), *words],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir, env=environment)
        world.relays.append(self)

    def wait(self, seconds=10, to=CONTROL):
        """Until NG answers. False if the process ended or never answers."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            reply = Ng(to).raw({"command": "ping"}, 0.3)
            if reply and reply["result"] == "pong":
                return True
        return False

    def ended(self, seconds=5):
        """The exit status if the process ends in that time, else None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)
        return None

    @property
    def log(self):
        with open(self.log_file, errors="replace") as f:
            return f.read()

    def ctl(self, *words, text=False):
        """rtpferryctl; its JSON, or its text."""
        options = [] if text else ["--json"]
        done = subprocess.run([self.world.program("rtpferryctl"), f"--socket={self.socket}", *options, *words],
                              capture_output=True, text=True, timeout=20)
        if text:
            return done.stdout + done.stderr
        return json.loads(done.stdout)

    def files(self, folder, wait=6):
        """Names below a folder of the relay's directory once no file has changed for a while."""
        top, end, last = os.path.join(self.dir, folder), time.monotonic() + wait, None
        while time.monotonic() < end:
            try:
                now = sorted((os.path.relpath(os.path.join(d, f), top), os.path.getsize(os.path.join(d, f))) for d, _, fs in os.walk(top) for f in fs)
            except FileNotFoundError:                       # moved just now, from the spool
                continue
            if now and now == last:
                break
            last = now
            time.sleep(0.5)
        return [os.path.join(top, n) for n, _ in last or []]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            if self.ended(8) is None:
                self.process.kill()
                self.process.wait()
                raise Failed("the relay did not end on SIGTERM")


class World:
    def __init__(self, directory, root):
        self.directory, self.root, self.relays, self.parties, self.faults, self.notes = directory, root, [], [], [], []

    def program(self, name):
        return os.path.join(self.directory, name)

    def note(self, text):
        """Goes into the report, whatever the verdict."""
        self.notes.append(text)

    def check(self, good, text):
        if not good:
            self.faults.append(text)
        return good

    def equal(self, what, got, want):
        return self.check(got == want, f"{what}: {got!r}, right is {want!r}")

    def relay(self, *options, **how):
        """A relay that answers."""
        r = Relay(self, options, **how)
        if not r.wait():
            raise Failed("the relay does not start: " + " | ".join(r.log.splitlines()[-4:]))
        return r

    def start(self, *options, **how):
        """A relay that may or may not start."""
        return Relay(self, options, **how)

    def run(self, name, *arguments, **how):
        return subprocess.run([self.program(name), *arguments], capture_output=True, text=True, timeout=60, **how)

    def party(self, ip, **how):
        return Party(self, ip, **how)

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while True:
            for p in self.parties:
                p.drain()
            left = end - time.monotonic()
            if left <= 0:
                return
            select.select([s for p in self.parties for s in p.sockets], [], [], left)

    def talk(self, seconds, *streams, period=0.02):
        """Each (party, port of the relay) sends every 20 ms; a stream may also be a function of the tick."""
        begin = time.monotonic()
        for tick in range(round(seconds / period)):
            for stream in streams:
                if callable(stream):
                    stream(tick)
                else:
                    stream[0].send(stream[1])
            self.listen(begin + (tick + 1) * period - time.monotonic())
        self.listen(0.2)

    def two_way(self, a, to_a, b, to_b, seconds=0.6, loss=2, what=""):
        """Both speak and are judged; `to_a` is the relay's port for a."""
        a.clear(), b.clear()
        self.talk(seconds, (a, to_a), (b, to_b))
        for who, other, name in (a, b, "first"), (b, a, "second"):
            self.check(len(who.heard(other)) >= other.sent - loss, f"{what}the {name} party hears {len(who.heard(other))} of {other.sent} packets")

    def close(self):
        for r in self.relays:
            died = r.process.poll() if r.process.poll() not in (None, 0, 1, 2) else None
            if died is not None:
                self.faults.append(f"the relay died ({died}): " + " | ".join(r.log.splitlines()[-2:]))
            try:
                r.stop()
            except Failed as e:
                self.faults.append(str(e))
        for p in self.parties:
            p.close()
        if FAR:
            FAR.kill()
            FAR.wait()


# ---------------------------------------------------------------- captures and sound

def udp_ip(source, to, payload):
    """An IPv4 datagram with UDP."""
    udp = struct.pack("!HHHH", source[1], to[1], 8 + len(payload), 0) + payload
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0x4000, 64, 17, 0) + socket.inet_aton(source[0]) + socket.inet_aton(to[0])
    total = sum(struct.unpack("!10H", header))
    total = (total & 0xffff) + (total >> 16)
    total = ~((total & 0xffff) + (total >> 16)) & 0xffff
    return header[:10] + struct.pack("!H", total) + header[12:] + udp


def frame(ip, link="ethernet", trailer=b"", vlan=None):
    if link == "raw":
        return ip
    if link == "sll":
        return struct.pack("!HHH8sH", 0, 1, 6, b"\x02\0\0\0\0\x01\0\0", 0x0800) + ip
    if link == "sll2":
        return struct.pack("!HHIHBB8s", 0x0800, 0, 2, 1, 0, 6, b"\x02\0\0\0\0\x01\0\0") + ip
    if link == "null":
        return struct.pack("<I", 2) + ip
    tags = b"".join(struct.pack("!HH", 0x8100, v) for v in vlan or ())
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + tags + b"\x08\0" + ip + trailer


LINKS = dict(ethernet=1, raw=101, sll=113, sll2=276, null=0)


def write_pcap(path, packets, link="ethernet", nano=False, cut=0, snap=65535):
    """`packets`: (time, frame). `cut`: octets missing at the end of the file."""
    out = struct.pack("<IHHiIII", 0xa1b23c4d if nano else 0xa1b2c3d4, 2, 4, 0, 0, snap, LINKS[link])
    for t, data in packets:
        kept = data[:snap]
        out += struct.pack("<IIII", int(t), int((t % 1) * (1e9 if nano else 1e6)), len(kept), len(data)) + kept
    with open(path, "wb") as f:
        f.write(out[:len(out) - cut])


def write_pcapng(path, packets, link="ethernet", nano=True):
    def block(kind, body):
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))
    options = struct.pack("<HHB3xHH", 9, 1, 9, 0, 0) if nano else b""
    out = block(0x0a0d0d0a, struct.pack("<IHHq", 0x1a2b3c4d, 1, 0, -1)) + block(1, struct.pack("<HHI", LINKS[link], 0, 65535) + options)
    for t, data in packets:
        ticks = round(t * (1e9 if nano else 1e6))
        out += block(6, struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xffffffff, len(data), len(data)) + data)
    with open(path, "wb") as f:
        f.write(out)


def sound(path):
    """(rate, [channel, ...]) of a WAV file with 16 bits."""
    with wave.open(path) as f:
        rate, channels, data = f.getframerate(), f.getnchannels(), f.readframes(f.getnframes())
    samples = struct.unpack(f"<{len(data) // 2}h", data)
    return rate, [samples[i::channels] for i in range(channels)]


def loud(channel, rate, step=0.1, level=300):
    """Spans (from, to) in seconds in which there is sound."""
    size, spans = int(rate * step), []
    for i in range(0, len(channel), size):
        part = channel[i:i + size]
        if part and max(map(abs, part)) > level:
            if spans and spans[-1][1] == i:
                spans[-1][1] = i + size
            else:
                spans.append([i, i + size])
    return [(round(a / rate, 1), round(b / rate, 1)) for a, b in spans]


def tone(frames, frequency=400, start=0):
    """Frames of 160 octets of PCMU with a tone."""
    import math
    def ulaw(x):
        sign, x = (0x80, -x) if x < 0 else (0, x)
        x = min(x, 32635) + 132
        exponent = max(0, x.bit_length() - 8)
        return ~(sign | exponent << 4 | x >> exponent + 3 & 15) & 0xff
    return [bytes(ulaw(int(12000 * math.sin(2 * math.pi * frequency * (160 * (start + f) + i) / 8000))) for i in range(160)) for f in range(frames)]
