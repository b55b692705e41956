#!/usr/bin/env python3
"""Recordings judged by others: sox, ffmpeg and tshark look at the files, the sources are speech and tones that ffmpeg
made. Then what goes wrong: loss, a killed daemon, a full disk, a disk that stalls.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
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
from daemon import FAILED, Daemon, check, udp

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
    begin = f"{max(shift, 0)}s"
    tool("sox", heard_path, cut, "remix", str(channel + 1), "trim", begin, str(seconds))
    tool("sox", source_path, wanted, "trim", "0", str(seconds))

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
            party.send(audio[160 * n:160 * (n + 1)])
    paced(6, each)
    time.sleep(0.3)
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
    check(call.b.received() == 300 and call.a.received() == 300, "everything was relayed")
    check(manifest["state"] == "complete" and manifest["metadata"] == "k:v" and [b["kind"] for b in manifest["sdp"]] == ["offer", "answer"],
          f"manifest: {manifest['state']}, {manifest['reason']}, bodies {[b['kind'] for b in manifest['sdp']]}")
    for f in manifest["files"]:
        path = os.path.join(folder, f["name"])
        with open(path, "rb") as opened:
            data = opened.read()
        check(len(data) == f["size"] and hashlib.sha256(data).hexdigest() == f["sha256"] and os.stat(path).st_mode & 0o777 == 0o640,
              f"{f['name']}: {f['size']} octets, hash and mode as told")
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
    """Each codec as ffmpeg encodes it; what is in the file is judged by sox."""
    for form, options in (("wav", []), ("flac", []), ("opus", []), ("mp3", [])):
        folder = os.path.join(lab, form)
        chosen = CODECS if form == "wav" else {"PCMU": CODECS["PCMU"], "opus": CODECS["opus"]}
        daemon = Daemon(program, f"--listen-ng=127.0.0.1:{PORT}", "--config-file=none", "--interface=127.0.0.1", "--control-socket=none", "--num-threads=1",
                        f"--recording-dir={folder}", "--recording-method=audio", f"--recording-audio-format={form}", "--recording-audio-layout=mixed", "--record-all",
                        *options, defaults=False)
        client = Client()
        running = []
        for name, (words, lines, kind, _) in chosen.items():
            call = Call(client, name, codecs=str(kind), extra=lines + "\r\n" if lines else "")
            call.a.socket.close()
            running.append((call, subprocess.Popen(
                ["ffmpeg", "-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "sine=frequency=700:duration=3", "-af", "volume=6", "-ac", "1", *words.split(), "-strict", "experimental",
                 "-payload_type", str(kind), "-f", "rtp", f"rtp://127.0.0.1:{call.a.to[1]}?localport={call.a.port}&pkt_size=412"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)))
        for call, sender in running:
            _, err = sender.communicate(timeout=20)
            if sender.returncode != 0:
                check(False, f"ffmpeg cannot send {call.name}: {err.decode().strip()[:200]}")
            call.end()
        for call, _ in running:
            manifest = wait_manifest(folder, call.name)
            path = file_of(folder, manifest, "audio")
            info = json.loads(tool("ffprobe", "-v", "error", "-show_streams", "-of", "json", path).stdout)["streams"][0]
            cut = os.path.join(lab, "tone.wav")
            tool("ffmpeg", "-v", "error", "-y", "-ss", "0.7", "-t", "1.5", "-i", path, cut)
            values = dict(line.split(":", 1) for line in tool("sox", cut, "-n", "stat").stderr.decode().splitlines() if ":" in line)
            heard, level = int(values["Rough   frequency"]), float(values["RMS     amplitude"])
            wanted = 48000 if form == "opus" else CODECS[call.name][3]
            stream = next((s for s in manifest["streams"] if s["protocol"] == "RTP"), {})
            check(abs(heard - 700) <= 35 and level > 0.1 and int(info["sample_rate"]) == wanted and not stream.get("problems") and not stream.get("damaged_packets"),
                  f"{call.name} in {form}: {heard} Hz at {info['sample_rate']} Hz, level {level:.2f}, {stream.get('packets')} packets, {stream.get('codecs')}, {stream.get('problems', '')}")
        daemon.stop()


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
    parts = {"fidelity": fidelity, "codecs": codecs}
    for name, part in parts.items():
        if arguments.only and arguments.only != name:
            continue
        with tempfile.TemporaryDirectory(prefix="ferry-rec-") as lab:
            part(program, lab)
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
