#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replays transcripts of the rtpproxy protocol over each of its transports.

A transcript (rtpproxy/*.txt) has `start` with a command line of rtpproxy, `> ` commands and `< ` replies; `$name` in a
reply stands for a media port: the same name is the same port, another name another port.
"""

import argparse
import glob
import os
import re
import select
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TRANSPORTS = ["udp", "udp6", "tcp", "tcp6", "unix", "cunix", "stdio", "systemd"]
PATIENCE = 10  # seconds


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port(kind, family):
    with socket.socket(family, kind) as s:
        s.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    """rtpferry-rtpproxy with one control socket."""

    def __init__(self, build, transport, options, folder):
        self.transport, self.cookies, self.input = transport, 0, b""
        self.link = None
        v6 = transport.endswith("6")
        self.family = socket.AF_INET6 if v6 else socket.AF_INET
        self.host = "::1" if v6 else "127.0.0.1"
        self.path = os.path.join(folder, "control.sock")
        kept, environment, before = (), dict(os.environ), None
        if transport.startswith(("udp", "tcp")):
            kind = socket.SOCK_DGRAM if transport.startswith("udp") else socket.SOCK_STREAM
            self.port = free_port(kind, self.family)
            spec = f"{transport}:{self.host}:{self.port}"
        elif transport in ("unix", "cunix"):
            spec = f"{transport}:{self.path}"
        elif transport == "systemd":
            spec = "systemd:"
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            if os.path.exists(self.path):
                os.unlink(self.path)  # of the daemon before
            listener.bind(self.path)
            listener.listen()
            environment["LISTEN_FDS"] = "1"
            number = listener.fileno()
            before = lambda: os.dup2(number, 3) and None
            kept = (3, number)
        else:
            spec = "stdio:"
        command = [os.path.join(build, "rtpferry-rtpproxy"), "-f", "-s", spec, *options]
        extra = ["--control-socket=none", "--num-threads=1", "--offload=off"]
        command += extra if "--" in options else ["--", *extra]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
            pass_fds=kept, preexec_fn=before)
        if transport == "systemd":
            listener.close()
        self.log = b""
        self.await_ready()

    def await_ready(self):
        deadline = time.monotonic() + PATIENCE
        while b"is ready" not in self.log:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stderr], [], [], left)[0]:
                raise RuntimeError(f"not ready: {self.log.decode()}")
            read = os.read(self.process.stderr.fileno(), 65536)
            if not read:
                raise RuntimeError(f"ended: {self.log.decode()}")
            self.log += read

    def ask(self, command):
        """The reply, without its newline."""
        t = self.transport
        if t.startswith("udp"):
            self.cookies += 1
            cookie = f"c{os.getpid()}_{self.cookies}"
            reply = self.datagram(f"{cookie} {command}")
            assert reply.startswith(cookie + " ") and reply.endswith("\n"), reply
            return reply[len(cookie) + 1 : -1]
        if t == "unix":
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
                s.settimeout(PATIENCE)
                s.connect(self.path)
                s.sendall(command.encode())
                reply = b""
                while True:
                    try:
                        part = s.recv(65536)
                    except ConnectionResetError:
                        break
                    if not part:
                        break
                    reply += part
            assert reply.endswith(b"\n"), reply
            return reply.decode()[:-1]
        self.write(command.encode() + b"\n")
        # `I` has several lines in one reply; they come at once.
        lines = 6 if re.match(r"[Ii][Bb]?[Ll]", command) else 5 if re.fullmatch(r"[Ii][Bb]?", command) else 1
        return "\n".join(self.line() for _ in range(lines))

    def datagram(self, text):
        if self.link is None:
            self.link = socket.socket(self.family, socket.SOCK_DGRAM)
            self.link.settimeout(PATIENCE)
            self.link.connect((self.host, self.port))
        self.link.send(text.encode() if isinstance(text, str) else text)
        return self.link.recv(65536).decode()

    def write(self, octets):
        if self.transport == "stdio":
            self.process.stdin.write(octets)
            self.process.stdin.flush()
            return
        if self.link is None:
            if self.transport in ("cunix", "systemd"):
                self.link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                self.link.settimeout(PATIENCE)
                self.link.connect(self.path)
            else:
                self.link = socket.create_connection((self.host, self.port), PATIENCE)
        self.link.sendall(octets)

    def line(self):
        source = self.process.stdout if self.transport == "stdio" else self.link
        while b"\n" not in self.input:
            if not select.select([source], [], [], PATIENCE)[0]:
                raise RuntimeError("no reply")
            part = os.read(source.fileno(), 65536)
            if not part:
                raise RuntimeError("the connection ended")
            self.input += part
        line, self.input = self.input.split(b"\n", 1)
        return line.decode()

    def close(self):
        if self.link is not None:
            self.link.close()
        if self.process.poll() is None:
            self.process.terminate()
        out, err = self.process.communicate(timeout=PATIENCE)
        self.log += err
        return self.process.returncode


class Transcript:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-4]
        self.options, self.needs, self.steps = [], "", []
        for number, line in enumerate(open(path), 1):
            line = line.rstrip("\n")
            if line.startswith("start"):
                self.options = line.split()[1:]
            elif line.startswith("needs "):
                self.needs = line[6:]
            elif line.startswith("> "):
                self.steps.append([number, line[2:], None])
            elif line.startswith("<"):
                self.steps[-1][2] = line[2:]

    def replay(self, daemon):
        ports, problems = {}, []
        for number, command, wanted in self.steps:
            got = daemon.ask(command)
            pattern, names = "", []
            # Names at the odd places, what stands behind them (the address) at the even ones.
            parts = re.split(r"(\$\w+)", wanted)
            for name, behind in zip(parts[1::2], parts[2::2]):
                pattern += r"(\d+)" + re.escape(behind)
                names.append((name, behind.split("&&")[0].strip()))
            match = re.fullmatch(re.escape(parts[0]) + pattern, got)
            good = match is not None
            for (name, address), port in zip(names, match.groups() if match else ()):
                # A name is one port, and two names are two; each address has its own numbers.
                place = (address, port)
                if name not in ports and place in ports.values() or ports.setdefault(name, place)[1] != port:
                    good = False
                good = good and int(port) % 2 == 0
            if not good:
                problems.append(f"{self.name}.txt:{number}: {command!r}: wanted {wanted!r}, got {got!r}")
        return problems


def framing(build, folder):
    """What belongs to one transport alone (docs/reference/rtpproxy.md#listen)."""
    problems = []

    def expect(what, wanted, got):
        if wanted != got:
            problems.append(f"framing: {what}: wanted {wanted!r}, got {got!r}")

    d = Daemon(build, "udp", ["-l", "127.0.0.1"], folder)
    first = d.datagram("ck1 U dup 127.0.0.1 30000 ft")
    expect("cookie", True, re.fullmatch(r"ck1 \d+ 127.0.0.1\n", first) is not None)
    expect("the same again", first, d.datagram("ck1 U dup 127.0.0.1 30000 ft"))
    expect("another command with that cookie", first, d.datagram("ck1 X"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        # Another port of the same host is the same client (CTL-3).
        other.settimeout(PATIENCE)
        other.sendto(b"ck1 X", ("127.0.0.1", d.port))
        expect("from another port", first, other.recv(2000).decode())
        # A client elsewhere is another one.
        other2 = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other2.settimeout(PATIENCE)
        other2.bind(("127.0.0.2", 0))
        other2.sendto(b"ck1 Q dup ft", ("127.0.0.1", d.port))
        expect("the cookie of another host", "ck1 60 0 0 0 0\n", other2.recv(2000).decode())
        other2.close()
    expect("repeats", "ck9 ncmds_rcvd=3 ncmds_rcvd_ndups=3\n", d.datagram("ck9 Gv ncmds_rcvd ncmds_rcvd_ndups"))
    expect("newline", "ck2 0\n", d.datagram("ck2 X\n"))
    expect("tab", True, d.datagram("ck3\tI").startswith("ck3 sessions created: "))
    expect("cookie alone", "justcookie E5\n", d.datagram("justcookie"))
    expect("blanks", "ck4 20040107\n", d.datagram("  ck4   V  \r\n"))
    expect("9,000 octets", "ck5 E0\n", d.datagram("ck5 " + "A" * 9000))
    expect("NUL", "ck6 E5\n", d.datagram(b"ck6 V\0"))
    d.close()

    d = Daemon(build, "unix", ["-l", "127.0.0.1"], folder)
    for sent, wanted in ((b"V\n", b"20040107\n"), (b"V", b"20040107\n"), (b"V\nI\n", b"E1\n"), (b"V\r\n", b"20040107\n")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE)
            s.connect(d.path)
            s.sendall(sent)
            got = s.recv(1000)
            expect(f"unix {sent!r}", wanted, got)
            try:
                expect("closed after the reply", b"", s.recv(1000))
            except ConnectionResetError:
                pass
    d.close()

    d = Daemon(build, "cunix", ["-l", "127.0.0.1"], folder)
    d.write(b"V\n")
    expect("cunix V", "20040107", d.line())
    d.write(b"VF 20050322\n")
    expect("cunix VF", "1", d.line())
    d.write(b"V")
    expect("no reply before the newline", [], select.select([d.link], [], [], 0.2)[0])
    d.write(b"\n")
    expect("cunix V in two pieces", "20040107", d.line())
    d.write(b"Z\n\nV\nV\n")
    expect("four at once", ["E0", "E5", "20040107", "20040107"], [d.line() for _ in range(4)])
    d.close()

    d = Daemon(build, "tcp", ["-l", "127.0.0.1"], folder)
    expect("no cookie on streams", "E1", d.ask("ck1 V"))
    d.close()

    d = Daemon(build, "stdio", ["-l", "127.0.0.1"], folder)
    d.process.stdin.write(b"V\nU c1 127.0.0.1 30000 ft\nD c1 ft\n")
    d.process.stdin.close()
    d.process.stdin = None
    out = d.process.stdout.read().decode()
    expect("stdio", True, re.fullmatch(r"20040107\n\d+ 127.0.0.1\n0\n", out) is not None)
    expect("its end ends the daemon", 0, d.process.wait(PATIENCE))
    d.close()
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="folder of the programs")
    parser.add_argument("--only", help="one transcript")
    parser.add_argument("--transport", choices=TRANSPORTS)
    args = parser.parse_args()
    transcripts = [Transcript(path) for path in sorted(glob.glob(os.path.join(HERE, "rtpproxy", "*.txt")))]
    ipv6 = has_ipv6()
    problems, replayed, steps = [], 0, 0
    for transport in [args.transport] if args.transport else TRANSPORTS:
        if transport.endswith("6") and not ipv6:
            print(f"SKIP {transport}: this host has no ::1")
            continue
        for transcript in transcripts:
            if args.only and transcript.name != args.only:
                continue
            if transcript.needs == "ipv6" and not ipv6:
                print(f"SKIP {transcript.name}: this host has no ::1")
                continue
            with tempfile.TemporaryDirectory() as folder:
                daemon = Daemon(args.build, transport, transcript.options, folder)
                try:
                    problems += [f"{transport}: {p}" for p in transcript.replay(daemon)]
                finally:
                    status = daemon.close()
                if status != 0:
                    problems.append(f"{transport}: {transcript.name}: the daemon ended with {status}")
            replayed += 1
            steps += len(transcript.steps)
    if not args.only and not args.transport:
        with tempfile.TemporaryDirectory() as folder:
            problems += framing(args.build, folder)
    for problem in problems:
        print(problem)
    print(f"{replayed} transcripts, {steps} commands replayed, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
