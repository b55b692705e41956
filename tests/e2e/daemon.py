#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon as a process: options, signals, pid file, sockets, wildcard replies, streams, hostile datagrams.

Exit status: 0 passed, 1 failed.
"""

import argparse
import atexit
import json
import os
import random
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

from lab import temporary
from verdict import check, exit_status


class Daemon:
    def __init__(self, program, *options, port=2461, defaults=True):
        self.directory = temporary("ferry-daemon-")
        self.control = os.path.join(self.directory, "control.sock")
        usual = ["--config-file=none", "--interface=127.0.0.1", f"--control-socket={self.control}", "--num-threads=1"] if defaults else []
        self.process = subprocess.Popen([program, *usual, *(options or [f"--listen-ng=127.0.0.1:{port}"])], stderr=subprocess.PIPE, text=True)
        atexit.register(self.process.kill)  # nothing stays behind a test that fails in the middle
        self.lines = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self.read_log, daemon=True)
        self.reader.start()
        self.logged("is ready", 5)

    def read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.lines.append("")  # it has ended
            self.changed.notify_all()

    def logged(self, words, seconds):
        """The first line with these words, or nothing if it does not come in time."""
        found = lambda: [line for line in self.lines if words in line] or ("" in self.lines)
        with self.changed:
            self.changed.wait_for(found, seconds)
            return next((line for line in self.lines if words in line), "")

    def text(self):
        return "".join(self.lines)

    def stop(self, number=signal.SIGTERM):
        start = time.monotonic()
        self.process.send_signal(number)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = None
        seconds = time.monotonic() - start
        self.reader.join(5)
        return code, seconds


def ask(sock, text):
    sock.send(text.encode() if isinstance(text, str) else text)
    return sock.recv(65536)


def udp(address, port):
    s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, port))
    s.settimeout(2)
    return s


def options_and_files(program):
    def run(*words):
        return subprocess.run([program, "--config-file=none", *words], capture_output=True, text=True, timeout=10)
    help_text = run("--help").stdout
    check("--interface" in help_text and "--latch" in help_text, "--help lists the options")
    codecs = {line.split()[0]: line.split()[1:3] for line in run("--codecs").stdout.splitlines()}
    check(codecs.get("opus/48000/2") == codecs.get("AMR-WB/16000") == ["yes", "yes"] and "G729/8000" in codecs,
          "--codecs says what is decoded and encoded")
    check("is not installed" in run("--codecs", "--codec-plugins=/nowhere").stdout, "--codecs names a plug-in that is missing")
    result = run("--interfase=127.0.0.1")
    check(result.returncode == 1 and "did you mean 'interface'" in result.stderr and result.stderr.count("\n") == 1,
          "an unknown option is one line with a suggestion, exit 1")
    result = run("--interface=203.0.113.250")
    check(result.returncode == 1 and "not an address of this host" in result.stderr, "an address that is not local stops the start")
    result = run("--interface=127.0.0.1", "--port-min=5001", "--port-max=5002")
    check(result.returncode == 1 and "no even/odd pair" in result.stderr, "an impossible port range stops the start")
    result = run("--interface=127.0.0.1", "--check-config")
    check(result.returncode == 0 and "good" in result.stdout, "--check-config says good and exits")
    result = run("--interface=127.0.0.1", "--listen-ng=0.0.0.0:2462")
    check(result.returncode == 1 and "control-allow" in result.stderr, "C-04: control on 0.0.0.0 without an allow-list does not start")
    result = run("--interface=127.0.0.1", "--pidfile=/dev/null", "--control-socket=none")
    check(result.returncode == 1 and os.path.exists("/dev/null"), "a pid file that is a device is refused and left alone")


def too_few_threads(program):
    if os.geteuid() != 0:
        return
    def become_somebody_with(processes):
        os.setgroups([])
        os.setgid(61234)
        os.setuid(61234)  # of whom nothing else runs
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    for processes in (1, 2, 3):
        result = subprocess.run([program, "--config-file=none", "--interface=127.0.0.1", "--offload=off", "--listen-ng=127.0.0.1:2463", "--control-socket=none", "--num-threads=4"],
                                capture_output=True, text=True, timeout=10, cwd="/", preexec_fn=lambda: become_somebody_with(processes))
        check(result.returncode == 1 and "the host gives no thread for" in result.stderr, f"C-12: {processes} threads at most stop the start with a sentence: {result.stderr[-120:]}")


def signals(program):
    directory = temporary("ferry-pid-")
    pid_file = os.path.join(directory, "pid")
    for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")):
        daemon = Daemon(program, "--listen-ng=127.0.0.1:2461", f"--pidfile={pid_file}", "--table=0", "--no-fallback")
        written = open(pid_file).read().strip() == str(daemon.process.pid)
        notices = daemon.text().count("has no effect")
        s = udp("127.0.0.1", 2461)
        for i in range(50):
            ask(s, f"s{i} " + json.dumps({"command": "offer", "call-id": f"c{i}", "from-tag": "a", "sdp": SDP}))
        code, seconds = daemon.stop(number)
        check(written and code == 0 and seconds < 4 and not os.path.exists(pid_file) and not os.path.exists(daemon.control),
              f"{name} with 50 calls: exit {code} in {seconds:.2f} s, pid file and socket gone")
        check(notices == 2, "table and no-fallback are accepted with a notice")
    daemon = Daemon(program, "--listen-ng=127.0.0.1:2461", f"--pidfile={pid_file}")
    os.unlink(pid_file)
    os.mkdir(pid_file)
    daemon.stop()
    check(os.path.isdir(pid_file), "something else at the pid file's path is not removed")
    config = os.path.join(directory, "conf")
    with open(config, "w") as f:
        f.write("[rtpferry]\ninterface = 127.0.0.1\nlisten-ng = 127.0.0.1:2461\ncontrol-socket = none\nmax-sessions = 1\n")
    daemon = Daemon(program, f"--config-file={config}", defaults=False)
    s = udp("127.0.0.1", 2461)
    def offer(n):
        return json.loads(ask(s, f"h{n} " + json.dumps({"command": "offer", "call-id": f"h{n}", "from-tag": "a", "sdp": SDP})).split(b" ", 1)[1])
    first, second = offer(1), offer(2)
    with open(config, "a") as f:
        f.write("max-sessions = 10\n")
    daemon.process.send_signal(signal.SIGHUP)
    told = daemon.logged("read again", 5)
    third = offer(3)
    daemon.stop()
    check(first.get("result") == "ok" and second.get("error-reason") == "Parallel session limit reached" and told != "" and
          third.get("result") == "ok", "SIGHUP reads the limits again")


SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8\r\n"


def time_outs(program):
    daemon = Daemon(program, "--listen-ng=127.0.0.1:2465", "--timeout=1")
    s = udp("127.0.0.1", 2465)
    ask(s, "t1 " + json.dumps({"command": "offer", "call-id": "quiet", "from-tag": "A", "sdp": SDP.replace("IP4 127.0.0.1", "IP4 127.0.0.2")}))
    reply = json.loads(ask(s, "t2 " + json.dumps({"command": "answer", "call-id": "quiet", "from-tag": "A", "to-tag": "B",
                                                  "sdp": SDP.replace("IP4 127.0.0.1", "IP4 127.0.0.3")})).split(b" ", 1)[1])
    port = int(reply["sdp"].split("m=audio ")[1].split()[0])
    a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    a.bind(("127.0.0.2", 4000))
    a.sendto(bytes([0x80, 8, 0, 1]) + bytes(168), ("127.0.0.1", port))
    line = daemon.logged("ended", 8).rstrip()
    check("call quiet ended: timeout; media from A: " in line and "from B: never" in line, "a time-out says which direction was silent: " + line[24:])
    daemon.stop()


def transports(program):
    unix = os.path.join(temporary("ferry-unix-"), "ng.sock")
    daemon = Daemon(program, "--listen-ng=0.0.0.0:2463", "--listen-ng=[::1]:2463", "--listen-tcp-ng=127.0.0.1:2463", f"--listen-unix-ng={unix}",
                    "--control-allow=127.0.0.0/8")
    s = udp("127.0.0.7", 2463)
    check(ask(s, "a1 d7:command4:pinge") == b"a1 d6:result4:ponge", "a reply leaves from the address the request came to (wildcard)")
    check(ask(udp("::1", 2463), 'b1 {"command":"ping"}') == b'b1 {"result":"pong"}', "NG over IPv6, JSON")
    big = json.dumps({"command": "offer", "call-id": "big", "from-tag": "a", "sdp": SDP + "a=x:" + "y" * 7000 + "\r\n" +
                      "".join(f"a=n:{i}\r\n" for i in range(1000))})
    for make, name in ((lambda: socket.create_connection(("127.0.0.1", 2463)), "TCP"), (lambda: unix_connect(unix), "a Unix stream")):
        c = make()
        c.settimeout(3)
        c.sendall(b't1 d7:command4:pinget2 {"command":"ping"}')
        check(read_until(c, b'"pong"}').startswith(b't1 d6:result4:ponget2 {"result":"pong"}'), f"two messages in one piece over {name}")
        message = f"t3 {big}".encode()
        for at in range(0, len(message), 1000):
            c.sendall(message[at:at + 1000])
        check(b'"result":"ok"' in read_until(c, b'"ok"}'), f"{len(message)} octets in small pieces over {name}")
        c.sendall(b"t4 i5e")
        check(b"Invalid NG data format" in read_until(c, b"formate"), f"junk over {name} is answered and the stream given up")
    code, _ = daemon.stop()
    check(code == 0 and not os.path.exists(unix), "the Unix socket is gone at the end")


def foreign(program):
    """C-05 with a source that is not loopback: it needs a network namespace."""
    import lab
    try:
        lab.need("ip")
        with lab.Lab() as network:
            network.start("core", program, "--config-file=none", f"--interface={lab.RELAY4}", f"--listen-ng={lab.RELAY4}:2466",
                          f"--listen-tcp-ng={lab.RELAY4}:2466", f"--control-allow={lab.ALICE}/32", "--control-socket=none",
                          "--num-threads=1", log="relay.log")
            lab.wait_for(lambda: "is ready" in open(network.path("relay.log")).read(), 5, "the daemon")
            script = ("import socket,sys\n"
                      f"s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(0.5); s.connect(('{lab.RELAY4}',2466))\n"
                      "for i in range(3):\n"
                      "  s.send(b'c%d d7:command4:pinge'%i)\n"
                      "  try: print(s.recv(99).decode())\n"
                      "  except OSError as e: print(type(e).__name__)\n"
                      f"try:\n  t=socket.create_connection(('{lab.RELAY4}',2466),1); t.settimeout(1); t.sendall(b't d7:command4:pinge'); print(t.recv(99).decode() or 'closed')\n"
                      "except OSError as e: print(type(e).__name__)\n")
            said = {who: lab.run(*lab.inside(who, sys.executable, "-c", script)).stdout.split("\n")[:4] for who in ("alice", "bob")}
            check(said["alice"] == [f"c{i} d6:result4:ponge" for i in range(3)] + ["t d6:result4:ponge"], "a client of the allow-list is answered")
            check(said["bob"][:3] == ["TimeoutError"] * 3 and "pong" not in said["bob"][3],
                  f"C-05: a command from a foreign address meets silence (UDP: {said['bob'][:3]}, TCP: {said['bob'][3]})")
    except lab.Skip as reason:
        print(f"skipped C-05 over the network: {reason}", flush=True)


def memory(program):
    """C-12: new calls are refused before memory runs out, running ones go on, and it recovers."""
    # As root, so that a root without CAP_SYS_RESOURCE may set its limit.
    own = ["--user=root"] if os.geteuid() == 0 else []
    daemon = Daemon(program, "--listen-ng=127.0.0.1:2467", "--delete-delay=0", "--port-min=20000", "--port-max=60000", *own)
    s = udp("127.0.0.1", 2467)

    def offer(n):
        return json.loads(ask(s, f"m{n} " + json.dumps({"command": "offer", "call-id": f"m{n}", "from-tag": "a", "sdp": SDP})).split(b" ", 1)[1])
    check(offer(0).get("result") == "ok", "a call before memory is short")
    def pages():
        time.sleep(0.1)
        return int(open(f"/proc/{daemon.process.pid}/statm").read().split()[0])
    # What the start needed for a moment is no room for calls; and it must be full before the ports are used up.
    limit = (min(pages() for _ in range(5)) * resource.getpagesize() + (4 << 20)) * 20 // 19
    resource.prlimit(daemon.process.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    reason = ""
    for n in range(1, 9000):
        reply = offer(n)
        if reply.get("result") != "ok":
            reason = reply.get("error-reason")
            break
    query = json.loads(ask(s, b'mq {"command":"query","call-id":"m0"}').split(b" ", 1)[1])
    check(n > 100 and reason == "Parallel session limit reached" and query["result"] == "ok" and daemon.process.poll() is None,
          f"C-12: {n} calls fill the memory, the next is refused ({reason}), the running ones are there")
    for i in range(n):
        ask(s, f"d{i} " + json.dumps({"command": "delete", "call-id": f"m{i}", "from-tag": "a"}))
    recovered = any(offer(n + 1 + i).get("result") == "ok" for i in range(64))
    code, _ = daemon.stop()
    check(recovered and code == 0, "C-12: when calls have ended, new ones are taken again")


def unix_connect(path):
    c = socket.socket(socket.AF_UNIX)
    c.connect(path)
    return c


def read_until(c, end):
    data = b""
    try:
        while end not in data:
            piece = c.recv(65536)
            if not piece:
                break
            data += piece
    except socket.timeout:
        pass
    return data


def hostile(program, ctl):
    daemon = Daemon(program, "--listen-ng=127.0.0.1:2464", "--log-level=6")
    s = udp("127.0.0.1", 2464)
    s.settimeout(0.01)
    rng = random.Random(3)
    good = b"x d7:command5:offer7:call-id1:h8:from-tag1:a3:sdp%d:%se" % (len(SDP), SDP.encode())
    for i in range(5000):
        data = bytearray(b"%d" % i + good)
        for _ in range(rng.randrange(6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        s.send(bytes(data[:rng.randrange(1, len(data) + 1)]))
    s.send(b"z d" + b"9" * 60000)
    s.send(b"y " + b"l" * 60000)
    s.settimeout(3)
    end = time.monotonic() + 10
    alive = False
    s.send(b"last d7:command4:pinge")
    while time.monotonic() < end:
        try:
            if s.recv(65536).startswith(b"last "):
                alive = True
                break
        except socket.timeout:
            s.send(b"last d7:command4:pinge")
    check(alive and daemon.process.poll() is None, "5,000 mutated datagrams, depth and lengths: alive")
    hostile_ids = ("../../etc/x", "i" * 10000, "a\nb", "%n%s", "\u0000")
    answered = 0
    for number, hostile_id in enumerate(hostile_ids):
        offer = json.dumps({"command": "offer", "call-id": hostile_id, "from-tag": "a", "sdp": SDP})
        s.send(f"q{number} {offer}".encode())
        while True:  # replies to the junk come before it
            reply = s.recv(65536)
            if reply.startswith(f"q{number} ".encode()):
                answered += b'"result":"ok"' in reply
                break
    listed = json.loads(subprocess.run([ctl, f"--socket={daemon.control}", "--json", "list"], capture_output=True, text=True).stdout)
    check(answered == len(hostile_ids) and set(hostile_ids) <= {c["call_id"] for c in listed["calls"]}, "C-06: hostile call-ids are calls like others and can be listed")
    done = subprocess.run([ctl, f"--socket={daemon.control}", "terminate", "--all"], capture_output=True, text=True)
    check(done.returncode == 0 and daemon.logged("terminated all", 5) != "", "CTL-7: terminate --all is audited with the peer's identity")
    check(subprocess.run([ctl, f"--socket={daemon.control}", "show", "nobody"], capture_output=True).returncode == 1, "show of an unknown call exits 1")
    check(subprocess.run([ctl, "--socket=/nonexistent", "list"], capture_output=True).returncode == 3, "no daemon exits 3")
    for words in (["ports"], ["stats"], ["version"], ["list"], ["unknown-flags"]):
        result = subprocess.run([ctl, f"--socket={daemon.control}", *words], capture_output=True, text=True)
        check(result.returncode == 0 and result.stdout, f"rtpferryctl {words[0]}")
    code, _ = daemon.stop()
    check(code == 0, "clean end afterwards")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    build = parser.parse_args().build
    program = os.path.abspath(os.path.join(build, "rtpferryd"))
    options_and_files(program)
    signals(program)
    time_outs(program)
    transports(program)
    foreign(program)
    too_few_threads(program)
    memory(program)
    hostile(program, os.path.join(build, "rtpferryctl"))
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
