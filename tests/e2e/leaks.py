#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A thousand random calls leave nothing behind: ports, descriptors and heap are back where they began.

Runs two daemons at once, with delete-delay 0 and with the default. Replies stay cached for a minute by rule
(CTL-3), so the heap is compared after that minute. Exit status: 0 passed, 1 failed.
"""

import argparse
import base64
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time

from lab import temporary

CALLS = 1000


def sdp(port, extra="", crypto=""):
    return (f"v=0\r\no=- 1 1 IN IP4 127.9.0.1\r\ns=-\r\nc=IN IP4 127.9.0.1\r\nt=0 0\r\nm=audio {port} RTP/{'S' if crypto else ''}AVP 8 0 101\r\n"
            f"a=rtpmap:101 telephone-event/8000\r\n{crypto}{extra}")


def crypto_line(rng, tag=1):
    return f"a=crypto:{tag} AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(rng.randbytes(30)).decode()}\r\n"


class Daemon:
    def __init__(self, build, name, port, options):
        self.name = name
        self.directory = temporary("ferry-leaks-")
        self.control = os.path.join(self.directory, "control.sock")
        self.ctl_program = os.path.join(build, "rtpferryctl")
        self.process = subprocess.Popen([os.path.join(build, "rtpferryd"), "--config-file=none", "--interface=127.9.0.2",
                                         f"--listen-ng=127.0.0.1:{port}", f"--control-socket={self.control}", "--log-level=4",
                                         f"--port-min={port * 2}", f"--port-max={port * 2 + 12000}", "--num-threads=2", *options])
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(1)
        self.cookie = 0
        for _ in range(100):
            try:
                if self.ng({"command": "ping"})["result"] == "pong":
                    return
            except (ConnectionRefusedError, socket.timeout):
                time.sleep(0.05)
        raise RuntimeError("daemon does not answer")

    def ng(self, request):
        self.cookie += 1
        cookie = f"{os.getpid()}_{self.cookie}_{time.monotonic_ns()}"
        self.socket.send(f"{cookie} {json.dumps(request)}".encode())
        while True:
            got, _, document = self.socket.recv(65536).partition(b" ")
            if got.decode() == cookie:
                return json.loads(document)

    def ctl(self, word):
        return json.loads(subprocess.run([self.ctl_program, f"--socket={self.control}", "--json", word], capture_output=True, check=True).stdout)

    def heap(self):
        """Without what is kept on purpose, within its bounds, of calls that ended badly."""
        stats = self.ctl("stats")
        return stats["memory"]["heap_in_use"] - stats["kept_calls"]["bytes"]

    def figures(self):
        ports = self.ctl("ports")["ports"][0]
        calls = len(self.ctl("list")["calls"])
        heap = self.heap()
        # With the second answer the relay has closed the connection of the command before.
        for _ in range(2):
            self.ng({"command": "ping"})
        return {"pairs in use": ports["used"], "calls": calls, "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd")), "heap": heap}

    def random_calls(self, seed):
        rng = random.Random(seed)
        for n in range(CALLS):
            call = f"leak-{seed}-{n}"
            port = rng.randrange(2000, 60000, 2)
            # A third is encrypted on one side or on both.
            a_key = crypto_line(rng) if rng.random() < 0.33 else ""
            wish = {"transport-protocol": rng.choice(["RTP/AVP", "RTP/SAVP"])} if rng.random() < 0.33 else {}
            offered = self.ng({"command": "offer", "call-id": call, "from-tag": "A", "sdp": sdp(port, crypto=a_key), **wish})
            b_line = next((line for line in offered["sdp"].split("\r\n") if "AES_CM_128_HMAC_SHA1_80" in line), "")
            b_key = crypto_line(rng, int(b_line[len("a=crypto:"):].split()[0])) if b_line else ""
            if rng.random() < 0.8:
                self.ng({"command": "answer", "call-id": call, "from-tag": "A", "to-tag": "B", "sdp": sdp(port + 2, "a=rtcp-mux\r\n", b_key)})
            for _ in range(rng.randrange(3)):
                if a_key and rng.random() < 0.3:
                    a_key = crypto_line(rng)
                self.ng({"command": "offer", "call-id": call, "from-tag": "A", "to-tag": "B", "sdp": sdp(port + 4 * rng.randrange(3), crypto=a_key)})
            if rng.random() < 0.2:
                self.ng({"command": "offer", "call-id": call, "from-tag": "A", "via-branch": f"b{n % 3}", "sdp": sdp(port)})
            if rng.random() < 0.1:
                self.ng({"command": "query", "call-id": call})
            if rng.random() < 0.1:
                self.ng({"command": "offer", "call-id": call, "from-tag": "A", "sdp": "v=0\r\nm=broken\r\n"})
            self.ng({"command": "delete", "call-id": call, "from-tag": rng.choice(["A", "B"]) if rng.random() < 0.9 else "A"})
            if rng.random() < 0.2:
                self.ng({"command": "delete", "call-id": call})

    def finish(self, seed):
        """What a delete with an unknown tag left goes now."""
        for n in range(CALLS):
            self.ng({"command": "delete", "call-id": f"leak-{seed}-{n}"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    arguments = parser.parse_args()
    recordings = tempfile.TemporaryDirectory(prefix="ferry-leaks-")
    daemons = [Daemon(arguments.build, "delete-delay 0, every call recorded", 2451,
                      ["--delete-delay=0", "--record-all", f"--recording-dir={recordings.name}", "--recording-method=all"]),
               Daemon(arguments.build, "default delete-delay", 9451, [])]
    failed = False
    try:
        # Tables that grow once and stay: let the first thousand make them.
        marks = {}
        for seed in (1, 2):
            for daemon in daemons:
                daemon.random_calls(seed)
                daemon.finish(seed)
            time.sleep(62)  # deletions of the default delay, then the replies
            for daemon in daemons:
                daemon.ng({"command": "ping"})
                marks.setdefault(daemon.name, []).append(daemon.figures())
        for name, (before, after) in marks.items():
            good = (after["pairs in use"] == 0 and after["calls"] == 0 and after["descriptors"] <= before["descriptors"] and
                    after["heap"] - before["heap"] < 64 * 1024)
            if "recorded" in name:
                manifests = len([f for f in os.listdir(recordings.name) if f.endswith(".json")])
                good = good and manifests == 2 * CALLS
                name += f" ({manifests} manifests)"
            failed |= not good
            print(f"{'passed' if good else 'FAILED'}  {name}: before {before}, after {CALLS} more calls {after}")
    finally:
        for daemon in daemons:
            daemon.process.terminate()
            if daemon.process.wait(10) != 0:
                print(f"FAILED  {daemon.name}: exit status {daemon.process.returncode}")
                failed = True
            if os.path.exists(daemon.control):
                print(f"FAILED  {daemon.name}: its control socket is still there")
                failed = True
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
