#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replays recorded NG dialogues against a daemon and compares reply by reply.

Each dialogue runs twice, over bencode and over JSON, on fresh state. Addresses of the dialogues exist in a network
namespace that this script makes and removes. Placeholders bind at first sight; SDP sections are compared as sets of
lines with `m=` first (`--literal` prints how many also have the recorded order of lines).

Exit status: 0 if every dialogue that is not listed in expectations.json passes and no listed one passes by surprise,
1 otherwise, 77 if the rights for a namespace are missing.
"""

import argparse
import atexit
import collections
import json
import os
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ADDRESSES = ["203.0.113.1", "203.0.113.2", "192.0.2.10", "198.51.100.20", "198.51.100.30"]
ADDRESSES_V6 = ["2001:db8:4321::1", "2001:db8:4321::2", "2001:db8:10::10", "2001:db8:20::20"]
PLACEHOLDER = re.compile(r"\{\{([a-z-]+)(?::(\d+))?(?:\+(\d+))?\}\}")
FORMS = {
    "port": r"\d{1,5}", "sessid": r"\d+", "sessver": r"\d+", "tag": r"[0-9a-f]{64}", "untagged": r".+",
    "label": r"\d+", "ssrc": r"\d+", "time": r"\d+", "int": r"-?\d+", "decimal": r"-?\d+(\.\d+)?", "path": r".+",
    "loopid": r".+", "software-name": r".+", "software": r".+", "ufrag": r"\S+", "icepwd": r"\S+", "foundation": r"\S+",
    "key": r"\S+", "fingerprint": r"\S+", "tlsid": r"\S+",
}


def temporary(prefix):
    """A directory that goes with this program."""
    path = tempfile.mkdtemp(prefix=prefix)
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def bencode(value):
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        return b"%d:%s" % (len(raw), raw)
    if isinstance(value, list):
        return b"l" + b"".join(bencode(v) for v in value) + b"e"
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(k) + bencode(v) for k, v in value.items()) + b"e"
    raise TypeError(type(value))


def bdecode(data, at=0):
    c = data[at:at + 1]
    if c == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if c == b"l":
        at, out = at + 1, []
        while data[at:at + 1] != b"e":
            item, at = bdecode(data, at)
            out.append(item)
        return out, at + 1
    if c == b"d":
        at, out = at + 1, {}
        while data[at:at + 1] != b"e":
            key, at = bdecode(data, at)
            out[key], at = bdecode(data, at)
        return out, at + 1
    colon = data.index(b":", at)
    size = int(data[at:colon])
    return data[colon + 1:colon + 1 + size].decode("utf-8", "surrogateescape"), colon + 1 + size


class Mismatch(Exception):
    pass


class Bindings(dict):
    """Values of placeholders, by (kind, number)."""

    def substitute(self, value):
        if isinstance(value, str):
            whole = PLACEHOLDER.fullmatch(value)
            def one(match):
                kind, number, plus = match.groups()
                bound = self.get((kind, number))
                if bound is None and kind in ("sessid", "sessver"):
                    return "5"
                if bound is None:
                    raise Mismatch(f"request needs {match.group(0)}, which is not bound")
                return str(int(bound) + int(plus)) if plus else str(bound)
            text = PLACEHOLDER.sub(one, value)
            return int(text) if whole and whole.group(1) in ("port", "ssrc") and text.isdigit() else text
        if isinstance(value, list):
            return [self.substitute(v) for v in value]
        if isinstance(value, dict):
            return {self.substitute(k): self.substitute(v) for k, v in value.items()}
        return value

    def match_text(self, expected, actual, where):
        pattern, names = "", []
        at = 0
        for m in PLACEHOLDER.finditer(expected):
            pattern += re.escape(expected[at:m.start()])
            kind, number, plus = m.groups()
            bound = self.get((kind, number)) if number else None
            if bound is not None:
                pattern += re.escape(str(int(bound) + int(plus)) if plus else str(bound))
            else:
                pattern += f"({FORMS.get(kind, '.+')})"
                names.append((kind, number, plus))
            at = m.end()
        pattern += re.escape(expected[at:])
        found = re.fullmatch(pattern, actual, re.S)
        if not found:
            raise Mismatch(f"{where}: expected {expected!r}, got {actual!r}")
        for (kind, number, plus), value in zip(names, found.groups()):
            if number:
                self[(kind, number)] = str(int(value) - int(plus)) if plus else value

    def match(self, expected, actual, where="reply"):
        if isinstance(expected, str):
            whole = PLACEHOLDER.fullmatch(expected)
            if whole and whole.group(1) == "list":
                if not isinstance(actual, list):
                    raise Mismatch(f"{where}: expected a list, got {actual!r}")
                return
            if whole and whole.group(1) == "dict":
                if not isinstance(actual, dict):
                    raise Mismatch(f"{where}: expected a dictionary, got {actual!r}")
                return
            if whole and isinstance(actual, int) and whole.group(1) in ("time", "int", "port", "ssrc"):
                return self.match_text(expected, str(actual), where)
            if not isinstance(actual, str):
                raise Mismatch(f"{where}: expected {expected!r}, got {actual!r}")
            return self.match_text(expected, actual, where)
        if isinstance(expected, int):
            if not isinstance(actual, int) or actual != expected:
                raise Mismatch(f"{where}: expected {expected!r}, got {actual!r}")
            return
        if isinstance(expected, list):
            if not isinstance(actual, list) or len(actual) != len(expected):
                raise Mismatch(f"{where}: expected {expected!r}, got {actual!r}")
            for i, (e, a) in enumerate(zip(expected, actual)):
                self.match(e, a, f"{where}[{i}]")
            return
        if not isinstance(actual, dict):
            raise Mismatch(f"{where}: expected a dictionary, got {actual!r}")
        floating = []
        for key, value in expected.items():
            if PLACEHOLDER.search(key):
                floating.append((key, value))
            elif key not in actual:
                raise Mismatch(f"{where}: no key {key!r} in {sorted(actual)}")
            elif key == "sdp" and isinstance(value, list):
                self.match_sdp(value, actual[key], f"{where}.sdp")
            else:
                self.match(value, actual[key], f"{where}.{key}")
        left = [k for k in actual if k not in expected]
        for key, value in floating:  # untagged parties come in any order
            for candidate in left:
                trial = Bindings(self)
                try:
                    trial.match_text(key, candidate, where)
                    trial.match(value, actual[candidate], f"{where}.{candidate}")
                except Mismatch as e:
                    problem = e
                    continue
                self.update(trial)
                left.remove(candidate)
                break
            else:
                raise Mismatch(f"{where}: nothing matches {key!r} ({problem if left else 'no key left'})")

    def match_received(self, expected, actual, where):
        """Rows in any order; a row may name a relay port for the first time."""
        left = list(actual)
        for row in expected:
            for candidate in left:
                trial = Bindings(self)
                try:
                    trial.match(row, candidate, where)
                except Mismatch:
                    continue
                self.update(trial)
                left.remove(candidate)
                break
            else:
                raise Mismatch(f"{where}: expected to receive {row}, got {actual}")
        if left:
            raise Mismatch(f"{where}: received {left} beside what was expected")

    def match_sdp(self, expected, actual, where):
        if not isinstance(actual, str):
            raise Mismatch(f"{where}: expected a body, got {actual!r}")
        lines = actual.split("\r\n")
        if lines and lines[-1] == "":
            lines.pop()
        want, have = sections(expected), sections(lines)
        if len(want) != len(have):
            raise Mismatch(f"{where}: {len(want)} sections expected:\n  " + "\n  ".join(expected) + "\ngot\n  " + "\n  ".join(lines))
        self.literal = True
        for e, a in zip(want, have):
            self.match_section(e, a, where)

    def match_section(self, expected, actual, where):
        try:
            trial = Bindings(self)
            if len(expected) != len(actual):
                raise Mismatch("length")
            for e, a in zip(expected, actual):
                trial.match_text(e, a, where)
            self.update(trial)
            return
        except Mismatch:
            pass
        self.literal = False
        left = list(actual[1:])
        self.match_text(expected[0], actual[0], where)
        for line in expected[1:]:
            for candidate in left:
                trial = Bindings(self)
                try:
                    trial.match_text(line, candidate, where)
                except Mismatch:
                    continue
                self.update(trial)
                left.remove(candidate)
                break
            else:
                raise Mismatch(f"{where}: no line {line!r} in\n  " + "\n  ".join(actual))
        if left:
            raise Mismatch(f"{where}: more lines than expected: {left}")


def sections(lines):
    parts = [[]]
    for line in lines:
        if line.startswith("m="):
            parts.append([])
        parts[-1].append(line)
    return parts


def body(sdp):
    return "\r\n".join(sdp) + "\r\n" if isinstance(sdp, list) else sdp


class Peer:
    """All test sockets of one dialogue."""

    def __init__(self):
        self.sockets = {}

    def get(self, endpoint):
        if endpoint not in self.sockets:
            host, port = split_endpoint(endpoint)
            s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((host, port))
            s.setblocking(False)
            self.sockets[endpoint] = s
        return self.sockets[endpoint]

    def close(self):
        for s in self.sockets.values():
            s.close()

    def collect(self, quiet=0.15):
        """Everything that arrives until nothing came for `quiet` seconds."""
        seen = collections.OrderedDict()
        while True:
            ready, _, _ = select.select(list(self.sockets.values()), [], [], quiet)
            if not ready:
                return list(seen.values())
            for s in ready:
                data, source = s.recvfrom(65536)
                at = join_endpoint(s.getsockname())
                rtcp = len(data) > 1 and 192 <= data[1] <= 223
                entry = {"at": at, "from": join_endpoint(source), "kind": "RTCP" if rtcp else "RTP", "length": len(data)}
                if rtcp:
                    entry["packet type"], entry["SSRC"] = data[1], struct.unpack("!I", data[4:8])[0]
                else:
                    entry["payload type"], entry["SSRC"] = data[1] & 0x7f, struct.unpack("!I", data[8:12])[0]
                key = json.dumps(entry, sort_keys=True)
                seen.setdefault(key, dict(entry, packets=0))["packets"] += 1


def split_endpoint(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def join_endpoint(address):
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def rtp_packets(step):
    for i in range(step["packets"]):
        if step["kind"] == "RTCP":
            report = step.get("report", {})
            block = struct.pack("!IB3sIIII", report.get("about", 0), report.get("fraction lost", 0),
                                struct.pack("!I", report.get("lost", 0))[1:], report.get("highest seq", 0),
                                report.get("jitter", 0), report.get("last SR", 0), report.get("delay since last SR", 0))
            yield struct.pack("!BBHIIIIII", 0x81, 200, 12, step["SSRC"], 0x83AA1234, 0x56780000, 8000, 10, 1600) + block
        else:
            sequence = (step["first sequence"] + i) & 0xffff
            timestamp = (step["first timestamp"] + i * step["timestamp step"]) & 0xffffffff
            header = struct.pack("!BBHII", 0x80, step["payload type"], sequence, timestamp, step["SSRC"])
            yield header + bytes([step.get("payload byte", 0)]) * step["payload length"]


class Daemon:
    def __init__(self, program, namespace, profile_options):
        self.directory = temporary("ferry-golden-")
        options = [o.replace("{{spool}}", self.directory) for o in profile_options if not o.startswith("@")]
        templates = [o[1:] for o in profile_options if o.startswith("@")]
        config = os.path.join(self.directory, "rtpferry.conf")
        if templates:
            with open(config, "w") as file:
                file.write("[templates]\n" + "\n".join(templates) + "\n")
        interfaces = []
        for name, v4, v6 in (("int", ADDRESSES[0], ADDRESSES_V6[0]), ("ext", ADDRESSES[1], ADDRESSES_V6[1])):
            interfaces += [f"--interface={name}/{v4}", f"--interface={name}/{v6}"]
        command = ["ip", "netns", "exec", namespace, program, "--config-file=" + (config if templates else "none"), *interfaces, "--listen-ng=127.0.0.1:2223", "--sdes-legacy-suites",
                   "--port-min=30000", "--port-max=39999", "--control-socket=none", "--num-threads=1", "--log-level=4", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.socket = None

    def connect(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", 2223))
        self.socket.settimeout(0.2)
        for attempt in range(100):
            try:
                self.socket.send(b"up%d d7:command4:pinge" % attempt)
                if b"pong" in self.socket.recv(65536):
                    return
            except (socket.timeout, ConnectionRefusedError):
                if self.process.poll() is not None:
                    raise RuntimeError("daemon ended: " + self.process.stderr.read())
                time.sleep(0.02)
        raise RuntimeError("daemon does not answer")

    def exchange(self, datagram, expect_reply=True):
        self.socket.settimeout(2.0 if expect_reply else 0.3)
        self.socket.send(datagram)
        try:
            return self.socket.recv(65536)
        except socket.timeout:
            return None

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Runner:
    def __init__(self, daemon, encoding):
        self.daemon, self.encoding, self.cookie = daemon, encoding, 0
        self.literal_sections = [0, 0]

    def request(self, request):
        self.cookie += 1
        cookie = b"%s%d_%d" % (self.encoding.encode(), os.getpid(), time.monotonic_ns())
        document = bencode(request) if self.encoding == "bencode" else json.dumps(request).encode()
        raw = self.daemon.exchange(cookie + b" " + document)
        if raw is None:
            raise Mismatch("no reply")
        if not raw.startswith(cookie + b" "):
            raise Mismatch(f"reply without our cookie: {raw[:80]!r}")
        raw = raw[len(cookie) + 1:]
        return bdecode(raw)[0] if self.encoding == "bencode" else json.loads(raw)

    def run(self, dialogue):
        bindings, peer, pending = Bindings(), Peer(), None
        steps = dialogue["steps"]
        try:
            for step in steps:
                for key in ("send", "received"):
                    for item in ([step[key]] if key == "send" and key in step else step.get(key, [])):
                        endpoint = item["from"] if key == "send" else item["at"]
                        if "{{" not in endpoint:
                            peer.get(endpoint)
            for number, step in enumerate(steps):
                where = f"step {number + 1}"
                if "request" in step and "raw request" not in step:
                    request = bindings.substitute(step["request"])
                    if isinstance(request.get("sdp"), list):
                        request["sdp"] = body(request["sdp"])
                    reply = self.request(request)
                    bindings.literal = None
                    bindings.match(step["reply"], reply, where)
                    if getattr(bindings, "literal", None) is not None:
                        self.literal_sections[0] += bool(bindings.literal)
                        self.literal_sections[1] += 1
                elif "raw request" in step:
                    raw = self.daemon.exchange(step["raw request"].encode("latin-1"), not step.get("no reply"))
                    if step.get("no reply"):
                        if raw is not None:
                            raise Mismatch(f"{where}: expected silence, got {raw!r}")
                    elif raw is None or raw.decode("latin-1") != step["raw reply"]:
                        raise Mismatch(f"{where}: expected {step['raw reply']!r}, got {raw!r}")
                if "send" in step:
                    send = bindings.substitute(step["send"])
                    source, target = peer.get(send["from"]), split_endpoint(send["to"])
                    for packet in rtp_packets(send):
                        source.sendto(packet, target)
                        time.sleep(send.get("gap ms", 0) / 1000)
                if "received" in step:
                    got = peer.collect()
                    bindings.match_received(step["received"], got, where)
                if "wait" in step:
                    time.sleep(step["wait"])
        finally:
            peer.close()


def make_namespace(name):
    def ip(*words):
        return subprocess.run(["ip", *words], capture_output=True, text=True)
    if ip("netns", "add", name).returncode != 0:
        return False
    inside = ["netns", "exec", name, "ip"]
    if ip(*inside, "link", "set", "lo", "up").returncode != 0:
        return False
    for a in ADDRESSES:
        ip(*inside, "addr", "add", a + "/32", "dev", "lo")
    for a in ADDRESSES_V6:
        ip(*inside, "addr", "add", a + "/128", "dev", "lo", "nodad")
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--daemon", required=True)
    parser.add_argument("--dialogues", nargs="*", default=[os.path.join(HERE, "ng"), os.path.join(HERE, "own")], help="folders")
    parser.add_argument("--expectations", default=os.path.join(HERE, "expectations.json"))
    parser.add_argument("--only", help="regular expression on names")
    parser.add_argument("--verbose", action="store_true", help="print why a dialogue differs")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("SKIP: needs root for a network namespace with the addresses of the dialogues")
        return 77
    namespace = f"ferry-golden-{os.getpid()}"
    try:
        if not make_namespace(namespace):
            print("SKIP: cannot make a network namespace and run programs in it here")
            return 77
        # This process joins the namespace: its test sockets must live there too.
        fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        import ctypes
        if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:
            print("SKIP: cannot enter the network namespace")
            return 77
        return run_all(arguments, namespace)
    finally:
        subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)


def run_all(arguments, namespace):
    with open(arguments.expectations) as f:
        expected_differences = json.load(f)
    groups = collections.OrderedDict()
    files = sorted((name, folder) for folder in arguments.dialogues for name in os.listdir(folder))
    for name, folder in files:
        if not name.endswith(".json"):
            continue
        with open(os.path.join(folder, name)) as f:
            dialogue = json.load(f)
        if arguments.only and not re.search(arguments.only, dialogue["name"]):
            continue
        key = (json.dumps(dialogue["daemon options"]), dialogue["name"] if dialogue["fresh daemon"] else "")
        groups.setdefault(key, []).append(dialogue)
    passed, unexpected, surprises, literal = [], [], [], [0, 0]
    by_theme = collections.defaultdict(lambda: [0, 0])
    for (options, _), dialogues in groups.items():
        outcome = {d["name"]: None for d in dialogues}
        for encoding in ("bencode", "json"):
            daemon = Daemon(arguments.daemon, namespace, json.loads(options))
            try:
                daemon.connect()
                for dialogue in dialogues:
                    runner = Runner(daemon, encoding)
                    try:
                        runner.run(dialogue)
                    except (Mismatch, KeyError, ValueError, OSError) as problem:
                        outcome[dialogue["name"]] = outcome[dialogue["name"]] or f"{encoding}: {problem}"
                    literal[0] += runner.literal_sections[0]
                    literal[1] += runner.literal_sections[1]
            except RuntimeError as problem:
                for name in outcome:
                    outcome[name] = outcome[name] or str(problem)
            finally:
                daemon.stop()
        for dialogue in dialogues:
            name, problem = dialogue["name"], outcome[dialogue["name"]]
            by_theme[dialogue["theme"]][1] += 1
            by_theme[dialogue["theme"]][0] += problem is None
            if problem is None:
                passed.append(name)
                if name in expected_differences:
                    surprises.append(name)
            elif name not in expected_differences:
                unexpected.append(name)
                print(f"DIFFERS {name}: {problem}")
            elif arguments.verbose:
                print(f"listed  {name} ({expected_differences[name]}): {problem}")
    for theme, (good, all_) in sorted(by_theme.items()):
        print(f"{theme:<10} {good:>4} of {all_} pass")
    print(f"SDP bodies in the very order of lines: {literal[0]} of {literal[1]}")
    for name in surprises:
        print(f"PASSES although it is listed: {name}")
    total = sum(n for _, n in by_theme.values())
    print(f"{len(passed)} of {total} dialogues pass, {total - len(passed) - len(unexpected)} differ for a listed reason")
    return 1 if unexpected or surprises else 0


if __name__ == "__main__":
    sys.exit(main())
