#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recordings judged by others: sox, ffmpeg and tshark look at the files, the sources are speech and tones that ffmpeg
made. Then what goes wrong: loss, a killed daemon, a full disk, a disk that stalls.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import datetime
import glob
import hashlib
import http.server
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import wave

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from daemon import Daemon, udp
from verdict import check, exit_status

PORT = 2471
RATE = 8000


def tool(*words, **kwargs):
    return subprocess.run(words, check=True, capture_output=True, timeout=60, **kwargs)


class Client:
    """NG over UDP."""

    def __init__(self, port=PORT):
        self.socket = udp("127.0.0.1", port)
        self.number = 0

    def ask(self, command, call, **keys):
        self.number += 1
        self.socket.send(f"{os.getpid()}_{id(self)}_{self.number} ".encode() + json.dumps({"command": command, "call-id": call, **keys}).encode())
        return json.loads(self.socket.recv(65536).split(b" ", 1)[1])


def sdp(port, codecs="8 101", extra="a=rtpmap:101 telephone-event/8000\r\n"):
    return f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP {codecs}\r\n{extra}"


def media_port(reply):
    return int(reply["sdp"].split("m=audio ")[1].split()[0])


def time_of(text):
    """Unix seconds of a manifest's time."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Party:
    """One end of a call: a socket, and the next RTP header."""

    def __init__(self, payload_type=8, samples=160, ssrc=None, start=None):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.payload_type, self.samples = payload_type, samples
        self.ssrc = random.getrandbits(32) if ssrc is None else ssrc
        self.sequence = random.getrandbits(16)
        self.timestamp = random.getrandbits(32) if start is None else start
        self.to = None
        self.sent = self.count = 0

    def packet(self, payload, marker=False, payload_type=None):
        kind = self.payload_type if payload_type is None else payload_type
        return struct.pack("!BBHII", 0x80, kind | (0x80 if marker else 0), self.sequence & 0xffff, self.timestamp & 0xffffffff, self.ssrc) + payload

    def send(self, payload, lose=False, **kwargs):
        if not lose:
            self.socket.sendto(self.packet(payload, **kwargs), self.to)
            self.sent += 1
        if self.sent % 50 == 0:
            self.received()  # the socket holds few packets
        self.step()

    def step(self, packets=1):
        self.sequence += packets
        self.timestamp += self.samples * packets

    def received(self):
        """Datagrams that came so far."""
        try:
            while self.socket.recv(2048, socket.MSG_DONTWAIT):
                self.count += 1
        except BlockingIOError:
            return self.count


class Call:
    def __init__(self, client, name, a=None, b=None, codecs="8 101", extra="a=rtpmap:101 telephone-event/8000\r\n", **keys):
        self.client, self.name = client, name
        self.a, self.b = a or Party(), b or Party()
        self.offered = client.ask("offer", name, **{"from-tag": "A", "sdp": sdp(self.a.port, codecs, extra), **keys})
        self.answered = client.ask("answer", name, **{"from-tag": "A", "to-tag": "B", "sdp": sdp(self.b.port, codecs, extra)})
        self.a.to = ("127.0.0.1", media_port(self.answered))
        self.b.to = ("127.0.0.1", media_port(self.offered))

    def end(self, **keys):
        return self.client.ask("delete", self.name, **{"from-tag": "A", "delete delay": 0, **keys})


def paced(seconds, each, step=0.02):
    """Calls each(n) every 20 ms by the clock."""
    begin = time.monotonic()
    for n in range(int(seconds / step)):
        ahead = begin + n * step - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        each(n)


def lost_of(calls, seconds=5):
    """Packets that did not arrive, once all have or the time is over."""
    end = time.monotonic() + seconds
    while True:
        lost = sum(c.a.sent - c.b.received() + c.b.sent - c.a.received() for c in calls)
        if lost == 0 or time.monotonic() > end:
            return lost
        time.sleep(0.01)


def a_law(path):
    return tool("sox", path, "-t", "al", "-r", str(RATE), "-c", "1", "-").stdout


def samples_of(path, channel=None):
    """16-bit samples of a channel, decoded by ffmpeg."""
    pick = ["-af", f"pan=mono|c0=c{channel}"] if channel is not None else []
    raw = tool("ffmpeg", "-v", "error", "-i", path, *pick, "-f", "s16le", "-ar", str(RATE), "-ac", "1", "-").stdout
    return struct.unpack(f"<{len(raw) // 2}h", raw)


def offset_of(heard, source, around, window=800, reach=1600):
    """Where in `heard` the piece of `source` that begins at its loudest place lies, less where it lies in `source`."""
    best = max(range(0, len(source) - window, window), key=lambda i: sum(abs(s) for s in source[i:i + window]))
    piece = source[best:best + window]
    scores = {}
    for shift in range(around - reach, around + reach):
        at = best + shift
        if at >= 0 and at + window <= len(heard):
            scores[shift] = sum(x * y for x, y in zip(piece, heard[at:at + window]))
    return max(scores, key=scores.get)


def snr_db(lab, heard_path, channel, shift, source_path, seconds):
    """Signal to difference, by sox: the recording from `shift` on, less the source."""
    cut, wanted = os.path.join(lab, "cut.wav"), os.path.join(lab, "wanted.wav")
    skip = RATE // 10  # the callee's first packet is not sent
    tool("sox", heard_path, cut, "remix", str(channel + 1), "trim", f"{shift + skip}s", str(seconds))
    tool("sox", source_path, wanted, "trim", f"{skip}s", str(seconds))

    def rms(*words):
        out = tool("sox", *words, "-n", "stat").stderr.decode()
        return float(dict(line.split(":", 1) for line in out.splitlines() if ":" in line)["RMS     amplitude"])
    noise = rms("-m", "-v", "1", cut, "-v", "-1", wanted)
    import math
    return 20 * math.log10(rms(wanted) / max(noise, 1e-9))


def manifest_of(folder, call):
    found = [m for m in (json.load(open(p)) for p in glob.glob(f"{folder}/**/*.json", recursive=True)) if m["call_id"] == call]
    return found[0] if len(found) == 1 else None


def wait_manifest(folder, call, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (found := manifest_of(folder, call)) is not None:
            return found
        time.sleep(0.05)
    raise RuntimeError(f"no manifest of {call}")


def file_of(folder, manifest, kind):
    return next(os.path.join(folder, f["name"]) for f in manifest["files"] if f["kind"] == kind)


def speech(lab):
    """Known sources, six seconds each: speech for the caller, a melody of tones for the callee."""
    a, b = os.path.join(lab, "a.wav"), os.path.join(lab, "b.wav")
    text = "The quick brown fox jumps over the lazy dog, and seven wizards are asked to judge the quality of this very line."
    tool("ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"flite=text='{text}':voice=slt", "-ar", str(RATE), "-ac", "1", "-af", "apad,atrim=0:6,volume=0.7", a)
    tool("sox", "-n", "-r", str(RATE), "-c", "1", "-b", "16", b, "synth", "6", "sine", "300-3000", "gain", "-9")
    return a, b


def fidelity(program, lab):
    folder = os.path.join(lab, "fidelity")
    daemon = Daemon(program, f"--listen-ng=127.0.0.1:{PORT}", "--config-file=none", "--interface=127.0.0.1", "--control-socket=none", "--num-threads=1",
                    f"--recording-dir={folder}", "--recording-method=all", defaults=False)
    sources = speech(lab)
    coded = [a_law(path) for path in sources]
    client = Client()
    call = Call(client, "fidelity/../x", **{"flags": ["record-call"], "metadata": "k:v"})
    check(call.offered["recordings"] == call.answered["recordings"] and os.path.dirname(call.offered["recordings"][0]) == folder,
          f"offer and answer say where packets go: {call.offered['recordings']}")
    begin = time.monotonic()

    def each(n):
        for party, audio in zip((call.a, call.b), coded):
            if n == 0 and party is call.b:
                party.step()  # the caller speaks first: who hears only a capture takes it for that
            else:
                party.send(audio[160 * n:160 * (n + 1)])
    paced(6, each)
    lost_of([call])
    call.end()
    took = time.monotonic() - begin
    manifest = wait_manifest(folder, call.name)
    audio, packets = file_of(folder, manifest, "audio"), file_of(folder, manifest, "packets")
    with wave.open(audio) as w:
        length = w.getnframes() / w.getframerate()
        check((w.getnchannels(), w.getframerate()) == (2, RATE), f"WAV: {w.getnchannels()} channels at {w.getframerate()} Hz")
    check(abs(length - manifest["duration_ms"] / 1000) <= 0.02 and abs(length - took) < 0.1, f"the file is as long as the call: {length:.3f} s, manifest {manifest['duration_ms']} ms")
    around = round((length - took) * RATE)
    shifts, ratios = [], []
    for channel, path in enumerate(sources):
        shift = offset_of(samples_of(audio, channel), samples_of(path), around)
        shifts.append(shift)
        ratios.append(snr_db(lab, audio, channel, shift, path, 5.8))
    check(all(r >= 30 for r in ratios), f"left is the caller, right the callee: signal to noise {ratios[0]:.1f} and {ratios[1]:.1f} dB (source in 16 bits)")
    check(abs(shifts[0] - shifts[1]) <= RATE / 1000, f"channels are in step: {abs(shifts[0] - shifts[1]) / 8:.2f} ms apart")
    judge_packets(packets, manifest, {call.a.ssrc: call.a.sent, call.b.ssrc: call.b.sent})
    check(call.b.received() == 300 and call.a.received() == 299, "everything was relayed")
    check(manifest["state"] == "complete" and manifest["metadata"] == "k:v" and [b["kind"] for b in manifest["sdp"]] == ["offer", "answer"],
          f"manifest: {manifest['state']}, {manifest['reason']}, bodies {[b['kind'] for b in manifest['sdp']]}")
    for f in manifest["files"]:
        path = os.path.join(folder, f["name"])
        with open(path, "rb") as opened:
            data = opened.read()
        check(len(data) == f["size"] and hashlib.sha256(data).hexdigest() == f["sha256"] and os.stat(path).st_mode & 0o777 == 0o640,
              f"{f['name']}: {f['size']} octets, hash and mode as told")
    judge_conversion(program, lab, packets, sources)
    daemon.stop()
    left = [os.path.join(d, f) for d, _, fs in os.walk(folder + "/.spool") for f in fs]
    check(not left, f"nothing stays in the spool {left}")


CODECS = {  # what ffmpeg can send; the others are in audio_test; name: (ffmpeg's words, a=rtpmap and a=ftmp lines, payload type, Hz of the file)
    "PCMU": ("-c:a pcm_mulaw -ar 8000", "", 0, 8000),
    "G722": ("-c:a g722 -ar 16000", "", 9, 16000),
    "L16": ("-c:a pcm_s16be -ar 16000", "a=rtpmap:96 L16/16000", 96, 16000),
    "G726-32": ("-c:a g726le -b:a 32k -ar 8000", "a=rtpmap:97 G726-32/8000", 97, 8000),
    "AAL2-G726-24": ("-c:a g726 -b:a 24k -ar 8000", "a=rtpmap:98 AAL2-G726-24/8000", 98, 8000),
    "opus": ("-c:a libopus -ar 48000 -b:a 32k", "a=rtpmap:99 opus/48000/2", 99, 48000),
    "speex": ("-c:a libspeex -ar 16000", "a=rtpmap:100 speex/16000", 100, 16000),
}


def codecs(program, lab):
    """Each codec as ffmpeg encodes it, and each form of file; what is in it is judged by sox."""
    daemons, running = [], []
    for number, form in enumerate(("wav", "flac", "opus", "mp3")):
        folder, port = os.path.join(lab, form), PORT + number
        daemons.append(Daemon(program, f"--listen-ng=127.0.0.1:{port}", "--config-file=none", "--interface=127.0.0.1", "--control-socket=none", "--num-threads=1",
                              f"--port-min={30000 + 2000 * number}", f"--port-max={31998 + 2000 * number}", f"--recording-dir={folder}", "--recording-method=audio",
                              f"--recording-audio-format={form}", "--recording-audio-layout=mixed", "--record-all", defaults=False))
        client = Client(port)
        for name in CODECS if form == "wav" else ("PCMU", "opus"):
            words, lines, kind, _ = CODECS[name]
            call = Call(client, name, codecs=str(kind), extra=lines + "\r\n" if lines else "")
            call.a.socket.close()
            running.append((form, call, subprocess.Popen(
                ["ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "sine=frequency=700:duration=3", "-af", "volume=6", "-ac", "1", *words.split(),
                 "-payload_type", str(kind), "-f", "rtp", f"rtp://127.0.0.1:{call.a.to[1]}?localport={call.a.port}&pkt_size=412"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)))
    for form, call, sender in running:
        _, err = sender.communicate(timeout=20)
        if sender.returncode != 0:
            check(False, f"ffmpeg cannot send {call.name}: {err.decode().strip()[:200]}")
        call.end()
    for form, call, _ in running:
        folder = os.path.join(lab, form)
        manifest = wait_manifest(folder, call.name)
        path = file_of(folder, manifest, "audio")
        info = json.loads(tool("ffprobe", "-v", "error", "-show_streams", "-of", "json", path).stdout)["streams"][0]
        cut = os.path.join(lab, "tone.wav")
        stream = next((s for s in manifest["streams"] if s["protocol"] == "RTP"), {})
        tool("ffmpeg", "-v", "error", "-y", "-ss", str(stream.get("first_ms", 0) / 1000 + 1), "-t", "1.5", "-i", path, cut)  # a loaded host begins late
        values = dict(line.split(":", 1) for line in tool("sox", cut, "-n", "stat").stderr.decode().splitlines() if ":" in line)
        heard, level = int(values["Rough   frequency"]), float(values["RMS     amplitude"])
        wanted = 48000 if form == "opus" else CODECS[call.name][3]
        check(abs(heard - 700) <= 35 and level > 0.1 and int(info["sample_rate"]) == wanted and not stream.get("problems") and not stream.get("damaged_packets"),
              f"{call.name} in {form}: {heard} Hz at {info['sample_rate']} Hz, level {level:.2f}, {stream.get('packets')} packets, {[c['codec'] for c in stream.get('codecs', [])]}")
    for daemon in daemons:
        daemon.stop()


def judge_conversion(program, lab, packets, sources):
    """`rtpferryctl convert` of our capture, of tcpdump's forms of it, and of rtpproxy's ad-hoc files."""
    ctl = os.path.join(os.path.dirname(program), "rtpferryctl")
    raw = open(packets, "rb").read()[24:]
    eth, sll, ad_hoc = os.path.join(lab, "eth.pcap"), os.path.join(lab, "sll.pcap"), [os.path.join(lab, "x.a.rtp"), os.path.join(lab, "x.o.rtp")]
    head = lambda link: struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, link)
    ends = {}
    with open(eth, "wb") as e, open(sll, "wb") as c:
        e.write(head(1))
        c.write(head(113))
        while raw:
            seconds, micros, size, _ = struct.unpack("<IIII", raw[:16])
            ip, raw = raw[16:16 + size], raw[16 + size:]
            frame = b"\x02" * 12 + b"\x81\x00\x00\x05\x08\x00" + ip  # with a VLAN tag
            e.write(struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame)
            frame = struct.pack("!HHH8sH", 0, 1, 6, b"", 0x0800) + ip
            c.write(struct.pack("<IIII", seconds, micros, len(frame), len(frame)) + frame)
            port = ip[20:22]
            if port not in ends:
                ends[port] = open(ad_hoc[len(ends)], "wb")
            ends[port].write(struct.pack("=H", 2) + port + ip[12:16] + b"\0" * 12 + struct.pack("=dH", seconds + micros / 1e6, len(ip) - 28) + ip[28:])
    for out in ends.values():
        out.close()
    wav = ""
    for name, inputs in (("ours", [packets]), ("Ethernet with VLAN", [eth]), ("Linux cooked", [sll]), ("rtpproxy's two files", ad_hoc)):
        wav = os.path.join(lab, f"converted-{len(inputs)}-{os.path.basename(inputs[0])}.wav")
        done = subprocess.run([ctl, "convert", *inputs, "-o", wav], capture_output=True, text=True, timeout=60)
        heard = []
        if done.returncode == 0:
            for channel, path in enumerate(sources):
                shift = offset_of(samples_of(wav, channel), samples_of(path), 0)
                heard.append((snr_db(lab, wav, channel, shift, path, 5.8), shift))
        check(done.returncode == 0 and all(r >= 30 for r, _ in heard) and abs(heard[0][1] - heard[1][1]) <= RATE / 1000,
              f"convert {name}: signal to noise {[round(r, 1) for r, _ in heard]} dB, {abs(heard[0][1] - heard[1][1]) / 8 if heard else '?'} ms apart {done.stderr.strip()}")
    again = subprocess.run([ctl, "convert", packets, "-o", wav], capture_output=True, text=True)
    check(again.returncode == 1 and "exists" in again.stderr, f"convert overwrites nothing: {again.stderr.strip()}")
    listed = subprocess.run([ctl, "convert", packets, "--list"], capture_output=True, text=True).stdout
    check(listed.count(" 300 ") == 1 and listed.count(" 299 ") == 1 and "left" in listed and "right" in listed, "convert --list shows two streams of 300 packets")


def judge_packets(path, manifest, wanted):
    """tshark's list of RTP streams against what was sent, and the manifest's."""
    out = tool("tshark", "-r", path, "-d", "udp.port==1-65535,rtp", "-q", "-z", "rtp,streams").stdout.decode()
    found = {}
    for line in out.splitlines():
        words = line.split()
        if len(words) > 8 and "0x" in line:
            at = next(i for i, w in enumerate(words) if w.startswith("0x"))
            packets = next(int(w) for w in words[at + 1:] if w.isdigit() and int(w) > 1)
            found[int(words[at], 16)] = packets
    check(found == wanted, f"tshark finds {len(found)} RTP streams with the generator's counts {sorted(found.values())}")
    told = {s["ssrc"]: s["packets"] for s in manifest["streams"] if s["protocol"] == "RTP"}
    check(told == wanted, f"the manifest has the same counts {sorted(told.values())}")


def start(program, folder, *options, threads=1, **kwargs):
    return Daemon(program, f"--listen-ng=127.0.0.1:{PORT}", "--config-file=none", "--interface=127.0.0.1", "--control-socket=none", f"--num-threads={threads}",
                  f"--recording-dir={folder}", "--recording-method=all", "--record-all", "--delete-delay=0", *options, defaults=False, **kwargs)


def interrupted(program, lab):
    """kill -9 in the middle of calls, and the next start."""
    folder = os.path.join(lab, "interrupted")
    daemon = start(program, folder)
    client = Client()
    calls = [Call(client, f"cut-{n}") for n in range(20)]
    source = os.path.join(lab, "tone.wav")
    tool("sox", "-n", "-r", str(RATE), "-c", "1", "-b", "16", source, "synth", "4", "sine", "500", "gain", "-6")
    coded = a_law(source)
    begin = time.monotonic()

    def each(n):
        for call in calls:
            for party in (call.a, call.b):
                party.send(coded[160 * n:160 * (n + 1)])
    paced(4, each)
    took = time.monotonic() - begin
    daemon.stop(signal.SIGKILL)
    check(not glob.glob(f"{folder}/*.json"), "a killed daemon leaves the recording in the spool")
    readable = []
    for path in glob.glob(f"{folder}/.spool/*/*.wav"):
        with wave.open(path) as w:
            readable.append(w.getnframes() / RATE)
    check(len(readable) == 20 and min(readable) >= took - 1, f"20 WAV files are readable up to {took - min(readable):.2f} s before the end")
    daemon = start(program, folder)
    told = [wait_manifest(folder, call.name) for call in calls]
    check(all(m["state"] == "interrupted" for m in told) and len(glob.glob(f"{folder}/*.wav")) == 20, f"the next start finishes them: {sorted({m['state'] for m in told})}, {len(told)}")
    counts = [len(tool("tshark", "-r", file_of(folder, m, "packets"), "-T", "fields", "-e", "frame.number").stdout.split()) for m in told[:3]]
    check(all(c >= 2 * 50 * (took - 1) for c in counts), f"packet files have {counts} of 400 packets")
    daemon.stop()


def full_disk(program, lab):
    """Row C-08. A small file system: it fills up, media goes on, the manifest tells."""
    small = os.path.join(lab, "small")
    os.makedirs(small)
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", small], capture_output=True).returncode != 0:
        print("SKIP: full disk: cannot mount a small file system here")
        return
    try:
        daemon = start(program, os.path.join(lab, "full"), f"--recording-spool={small}")
        client = Client()
        calls = [Call(client, f"full-{n}") for n in range(200)]

        def each(n):
            for call in calls:
                for party in (call.a, call.b):
                    party.send(b"\x55" * 160)
        paced(4, each, step=0.04)
        lost = lost_of(calls)
        check(lost == 0, f"disk full under 200 recorded calls: {lost} packets not relayed")
        for call in calls:
            call.end()
        check("No space left" in daemon.logged("No space left", 5), "the log says that there is no space")
        told = [wait_manifest(os.path.join(lab, "full"), call.name) for call in calls]
        damaged = [m for m in told if "No space left" in m["losses"].get("first_error", "")]
        check(len(told) == 200 and len(damaged) > 0, f"{len(told)} of 200 manifests, {len(damaged)} of them tell it")
        daemon.stop()
    finally:
        subprocess.run(["umount", small], check=False)


STALL = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/types.h>
#include <unistd.h>
static ssize_t (*real)(int, const void*, size_t, off_t);
ssize_t pwrite64(int fd, const void* data, size_t size, off_t at) {
  if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
  while (access(STALL_FILE, F_OK) == 0) usleep(10000);
  return real(fd, data, size, at);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) { return pwrite64(fd, data, size, at); }
"""


def stall(program, lab):
    """The disk stands still for five seconds under 200 recorded calls: writing hangs, relaying and recording do not."""
    flag, library = os.path.join(lab, "stall"), os.path.join(lab, "stall.so")
    source = os.path.join(lab, "stall.c")
    with open(source, "w") as f:
        f.write(f'#define STALL_FILE "{flag}"\n' + STALL)
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")
    if compiler is None:
        print("SKIP: stall: no C compiler")
        return
    tool(compiler, "-shared", "-fPIC", "-O2", "-o", library, source, "-ldl")
    folder = os.path.join(lab, "stalled")
    os.environ["LD_PRELOAD"] = library
    try:
        daemon = start(program, folder, "--port-min=30000", "--port-max=40000")
    finally:
        del os.environ["LD_PRELOAD"]
    client = Client()
    calls = [Call(client, f"stall-{n}") for n in range(200)]
    payload = b"\x55" * 160

    def each(n):
        if n == 25:
            open(flag, "w").close()
        if n == 25 + 125:  # of 40 ms
            os.unlink(flag)
        for call in calls:
            for party in (call.a, call.b):
                party.send(payload)
    paced(7, each, step=0.04)
    answered = []
    lost = lost_of(calls)
    sent = sum(c.a.sent + c.b.sent for c in calls)
    begin = time.monotonic()
    for call in calls:
        before = time.monotonic()
        call.end()
        answered.append(time.monotonic() - before)
    told = [wait_manifest(folder, call.name, 30) for call in calls]
    unrecorded = sum(m["losses"]["queue_packets"] + m["losses"]["disk_packets"] for m in told)
    recorded = sum(s["packets"] for m in told for s in m["streams"])
    check(lost == 0, f"a stall of 5 s under 200 recorded calls: {lost} of {sent} packets not relayed, slowest reply {max(answered) * 1000:.0f} ms")
    check(recorded + unrecorded == sent and unrecorded == 0, f"and {recorded} of {sent} packets recorded, {unrecorded} lost on the way to the disk")
    daemon.stop()


class Receiver(http.server.BaseHTTPRequestHandler):
    """A web server that refuses the first two."""
    seen = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        Receiver.seen.append(json.loads(body))
        self.send_response(503 if len(Receiver.seen) <= 2 else 204)
        self.end_headers()

    def log_message(self, *_):
        pass


def s3_server(lab):
    """s3rver from npm, if it can be had."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None, "npm is not installed"
    home = os.path.join(lab, "npm")
    os.makedirs(home)
    try:
        got = subprocess.run([npm, "install", "--prefix", home, "--no-audit", "--no-fund", "--silent", "s3rver@3.7.1"], capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return None, "npm does not reach its registry"
    if got.returncode != 0:
        return None, "s3rver cannot be installed from npm"
    server = subprocess.Popen([os.path.join(home, "node_modules/.bin/s3rver"), "-d", os.path.join(lab, "s3"), "-a", "127.0.0.1", "-p", "4568", "--configure-bucket", "calls"],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", 4568), 0.2).close()
            return server, ""
        except OSError:
            time.sleep(0.05)
    server.kill()
    return None, "s3rver did not start"


def after(program, lab):
    """Hook, notification with retries, upload to an S3 server; encryption and the tool that takes it off."""
    folder, called = os.path.join(lab, "after"), os.path.join(lab, "called")
    hook = os.path.join(lab, "hook.sh")
    with open(called, "w"):
        os.chmod(called, 0o666)
    os.chmod(lab, 0o755)
    with open(hook, "w") as f:
        f.write(f"#!/bin/sh\n(echo \"$1\"; id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status) >> {called}\n")
    os.chmod(hook, 0o755)
    key, public = os.path.join(lab, "key.pem"), os.path.join(lab, "public.pem")
    tool("openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key)
    tool("openssl", "pkey", "-in", key, "-pubout", "-out", public)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    server, why = s3_server(lab)
    upload = ["--recording-upload-url=http://127.0.0.1:4568", "--recording-upload-bucket=calls", "--recording-upload-access-key=S3RVER", "--recording-upload-secret-key=S3RVER",
              "--recording-upload-prefix=site 1/"] if server else []
    try:
        daemon = start(program, folder, f"--recording-hook={hook}", f"--state-dir={lab}/state", f"--recording-notify-url=http://127.0.0.1:{web.server_port}/x", f"--recording-encryption-key={public}", *upload)
        call = Call(Client(), "after")
        paced(1, lambda n: call.a.send(b"\x55" * 160))
        call.end()
        manifest = wait_manifest(folder, "after")
        end = time.monotonic() + 15
        while time.monotonic() < end and (len(Receiver.seen) < 3 or not open(called).read().endswith("1\n")):
            time.sleep(0.05)
        check(len(Receiver.seen) == 3 and all(m["id"] == manifest["id"] for m in Receiver.seen), f"notified at the {len(Receiver.seen)}rd try")
        words = open(called).read().split()
        unprivileged = os.geteuid() != 0 or ("65534" in words and "0000000000000000" in words)
        check(words and words[0].endswith(".json") and unprivileged and words[-1] == "1", f"the hook ran without rights: {words[1:]}")
        for f in manifest["files"]:
            clear = os.path.join(lab, "clear-" + f["name"])
            done = subprocess.run([os.path.join(os.path.dirname(program), "rtpferryctl"), "decrypt", os.path.join(folder, f["name"]), "-o", clear, f"--key={key}"], capture_output=True, text=True)
            what = tool("file", "-b", clear).stdout.decode() if shutil.which("file") else open(clear, "rb").read(4).hex()
            check(f["encrypted"] and done.returncode == 0, f"decrypted {f['kind']}: {what.strip()[:40]} {done.stderr}")
        if server:
            wanted = {f["name"]: f["size"] for f in manifest["files"]}
            end = time.monotonic() + 10
            stored = {}
            while time.monotonic() < end and not wanted.keys() <= stored.keys():
                stored = {os.path.basename(p).replace("._S3rver_object", ""): os.path.getsize(p) for p in glob.glob(f"{lab}/s3/calls/**/*", recursive=True) if p.endswith("_object")}
                time.sleep(0.05)
            check(all(stored.get(n) == size for n, size in wanted.items()), f"stored at the S3 server: {sorted(stored)}")
        else:
            print(f"SKIP: upload: {why}")
        daemon.stop()
    finally:
        web.shutdown()
        if server:
            server.kill()


class Storage(http.server.BaseHTTPRequestHandler):
    """A server that stores nothing until it works."""
    works = False
    asked = threading.Event()
    stored = []

    def do_PUT(self):
        Storage.asked.set()
        body = self.rfile.read(int(self.headers["Content-Length"]))
        while not Storage.works:
            time.sleep(0.1)
        Storage.stored.append((os.path.basename(self.path), len(body)))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def after_a_crash(program, lab):
    """CTL-15: an upload server that hangs delays no hook; the next start makes up for what a kill -9 left."""
    folder, state, called, hook = (os.path.join(lab, name) for name in ("late", "state", "called", "hook.sh"))
    with open(called, "w"):
        os.chmod(called, 0o666)
    os.chmod(lab, 0o755)
    with open(hook, "w") as f:
        f.write(f"#!/bin/sh\necho $1 >> {called}\n")
    os.chmod(hook, 0o755)
    web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Storage)
    web.daemon_threads = True
    threading.Thread(target=web.serve_forever, daemon=True).start()
    words = [f"--recording-hook={hook}", f"--state-dir={state}", f"--recording-upload-url=http://127.0.0.1:{web.server_port}", "--recording-upload-bucket=b",
             "--recording-upload-access-key=k", "--recording-upload-secret-key=s"]
    entries = lambda: sorted(os.path.basename(p).split("-")[0] for p in glob.glob(f"{state}/after-call/*/*.json"))

    def wait_until(condition, what):
        end = time.monotonic() + 15
        while not condition() and time.monotonic() < end:
            time.sleep(0.05)
        check(condition(), f"{what}: entries {entries()}, stored {len(Storage.stored)}, hooks {len(open(called).readlines())}")
    daemon = start(program, folder, *words)
    client = Client()
    for n in range(5):
        call = Call(client, f"late-{n}")
        call.a.send(b"\x55" * 160)
        call.end()
    wait_until(lambda: Storage.asked.is_set() and len(open(called).readlines()) == 5 and entries() == ["upload"] * 5, "five hooks ran beside a hanging server")
    check(all(os.stat(p).st_mode & 0o077 == 0 for p in glob.glob(f"{state}/after-call/**", recursive=True)), "the state directory is for its user alone")
    daemon.stop(signal.SIGKILL)
    Storage.works = True
    Storage.stored.clear()
    daemon = start(program, folder, *words)
    wait_until(lambda: not entries() and len({name for name, _ in Storage.stored}) == 15, "the next start stored five recordings of three files")
    check(len(open(called).readlines()) == 5, "and ran no hook twice")
    daemon.stop()
    web.shutdown()


def in_kernel(program, lab):
    """A call of sipp through Kamailio that the kernel forwards, recorded by its copies. Each end's tone is on its side."""
    import calls
    from lab import Lab, Relay, Skip, inside, need, run, wait_for
    what = "Kamailio, tc"
    try:
        need("kamailio", "sipp", "sox", "tshark", "tcpdump", "ip", "pgrep")
        with Lab() as place:
            folder = place.path("rec")
            words = [f"--offload={device}=tc" for device in ("c-alice", "c-bob")]
            relay = Relay(place, os.path.dirname(program), "--delete-delay=0", "--num-threads=1", f"--recording-dir={folder}", "--recording-method=all", "--record-all", *words)
            if not relay.ctl("engines")["offload"]:
                raise Skip("no rights to load BPF programs")
            place.start("core", "kamailio", "-f", os.path.join(os.path.dirname(os.path.abspath(__file__)), "kamailio.cfg"), "-DD", "-m", "64", "-M", "8", "-Y", place.directory,
                        log="kamailio.log")
            wait_for(lambda: "5060" in run(*inside("core", "ss", "-lun")).stdout, 10, "Kamailio")
            result = calls.call(place, relay, "recorded", talk_ms=5000)
            check(not result.problems, f"{what}: the call itself: {result.problems or result.facts[-3:]}")
            manifest = [json.load(open(p)) for p in glob.glob(f"{folder}/*.json")][0]
            judge_packets(file_of(folder, manifest, "packets"), manifest, {0xA11CE: 200, 0xB0B: 200})
            heard = []
            for channel in (1, 2):
                cut = place.path("cut.wav")
                begin = next(s["first_ms"] for s in manifest["streams"] if s["ssrc"] == (0xA11CE if channel == 1 else 0xB0B)) / 1000 + 0.1
                tool("sox", file_of(folder, manifest, "audio"), cut, "remix", str(channel), "trim", str(begin), "3.5")
                values = dict(line.split(":", 1) for line in tool("sox", cut, "-n", "stat").stderr.decode().splitlines() if ":" in line)
                heard.append(int(values["Rough   frequency"]))
            check(abs(heard[0] - calls.CALLER_HZ) < 25 and abs(heard[1] - calls.CALLEE_HZ) < 35, f"{what}: {heard[0]} Hz left, {heard[1]} Hz right")
            check(manifest["losses"]["kernel_copies"] == 0 and manifest["losses"]["queue_packets"] == 0, f"{what}: nothing lost on the way to the disk")
    except Skip as why:
        print(f"SKIP: {what}: {why}")


def speech_through_kamailio(program, lab):
    """Known speech and tones through sipp and Kamailio. The truth comes from tcpdump beside the relay: when each stream and each NG request came."""
    import calls
    from lab import ALICE, BOB, RELAY4, Capture, Lab, Relay, Skip, audio_pcap, inside, need, run, wait_for
    try:
        need("kamailio", "sipp", "sox", "ffmpeg", "tshark", "tcpdump", "ip", "pgrep")
        with Lab() as place:
            folder = place.path("rec")
            Relay(place, os.path.dirname(program), "--delete-delay=0", "--num-threads=1", f"--recording-dir={folder}", "--recording-method=all", "--offload=off")
            place.start("core", "kamailio", "-f", os.path.join(os.path.dirname(os.path.abspath(__file__)), "kamailio.cfg"), "-A", "RECORD_CALL", "-DD", "-m", "64", "-M", "8", "-Y", place.directory,
                        log="kamailio.log")
            wait_for(lambda: "5060" in run(*inside("core", "ss", "-lun")).stdout, 10, "Kamailio")
            sources = speech(lab)
            pcaps = [audio_pcap(place, name, a_law(path), ssrc) for name, path, ssrc in (("a", sources[0], 0xA11CE), ("b", sources[1], 0xB0B))]
            truth = Capture(place, "core", "truth", "(dst port 2223 or dst portrange 30000-32000)")
            uas = place.start("bob", "sipp", "-sf", calls.write(place, "callee.xml", calls.callee_scenario(pcaps[1], False)), "-i", BOB, "-mi", BOB, "-p", "5060", "-mp", "16000", "-m", "1",
                              "-nostdin", log="callee.log")
            wait_for(lambda: "5060" in run(*inside("bob", "ss", "-lun")).stdout, 5, "the callee")
            uac = place.start("alice", "sipp", "-sf", calls.write(place, "caller.xml", calls.caller_scenario("bob", pcaps[0], 7000, False)), f"{RELAY4}:5060", "-i", ALICE, "-mi", ALICE,
                              "-p", "5070", "-mp", "14000", "-m", "1", "-nostdin", "-timeout", "30", log="caller.log")
            uac.wait(40)
            uas.wait(10)
            wait_for(lambda: glob.glob(f"{folder}/*.json"), 5, "the manifest")
            truth.stop()
            manifest = [json.load(open(p)) for p in glob.glob(f"{folder}/*.json")][0]
            audio = file_of(folder, manifest, "audio")
            # When each stream began, by its least delayed packet, and the time between the offer and the delete.
            lines = run("tshark", "-r", truth.file, "-d", "udp.port==30000-32000,rtp", "-T", "fields", "-e", "frame.time_epoch", "-e", "rtp.ssrc", "-e", "rtp.seq", "-e", "udp.dstport").stdout
            begins, control = {}, []
            for at, ssrc, sequence, port in (line.split("\t") for line in lines.splitlines()):
                if port == "2223":
                    control.append(float(at))
                elif ssrc:
                    begin = float(at) - 0.02 * (int(sequence) - 1)
                    begins[int(ssrc, 16)] = min(begin, begins.get(int(ssrc, 16), begin))
            # Pings of Kamailio come before.
            first, last = (time_of(manifest[key]) for key in ("start", "end"))
            offer = min(control, key=lambda at: abs(at - first))
            delete = min(control, key=lambda at: abs(at - last))
            with wave.open(audio) as w:
                length = w.getnframes() / RATE
            check(abs(length - (delete - offer)) <= 0.02, f"Kamailio: the file has {length:.3f} s, from offer to delete it took {delete - offer:.3f} s")
            judge_packets(file_of(folder, manifest, "packets"), manifest, {0xA11CE: 300, 0xB0B: 300})
            shifts, ratios = [], []
            for channel, (path, ssrc) in enumerate(zip(sources, (0xA11CE, 0xB0B))):
                around = round((begins[ssrc] - offer) * RATE)
                shifts.append(offset_of(samples_of(audio, channel), samples_of(path), around, reach=400))
                ratios.append(snr_db(lab, audio, channel, shifts[-1], path, 5.8))
            apart = (shifts[1] - shifts[0]) / RATE - (begins[0xB0B] - begins[0xA11CE])
            check(all(r >= 30 for r in ratios), f"Kamailio: speech left, tones right: signal to noise {ratios[0]:.1f} and {ratios[1]:.1f} dB")
            check(abs(apart) <= 0.001, f"Kamailio: the channels are {abs(apart) * 1000:.2f} ms out of step")
    except Skip as why:
        print(f"SKIP: speech through Kamailio: {why}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    parser.add_argument("--only", help="name of one part")
    arguments = parser.parse_args()
    for program in ("ffmpeg", "sox", "tshark"):
        if shutil.which(program) is None:
            print(f"SKIP: {program} is not installed")
            return 77
    program = os.path.join(os.path.abspath(arguments.build), "rtpferryd")
    parts = {"fidelity": fidelity, "codecs": codecs, "interrupted": interrupted, "full disk": full_disk, "stall": stall, "after": after, "after a crash": after_a_crash, "speech": speech_through_kamailio, "kernel": in_kernel}
    for name, part in parts.items():
        if arguments.only and arguments.only != name:
            continue
        with tempfile.TemporaryDirectory(prefix="ferry-rec-") as lab:
            part(program, lab)
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
