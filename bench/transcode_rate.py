#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Transcoded calls a core: PCMU on one side, PCMA, G.722, Opus or AMR-WB on the other, speech both ways, rtpferryd beside Debian's
rtpengine in one run, and beside what the bare codec libraries cost plus a call that only passes (`transcode_cost`). Then the
latency of streams that pass beside media threads that have no time left.

One core has both ends, the other everything of the relay: its process and the kernel thread that takes frames from its interface.
CPU time of a call is that of both directions for a second; calls a core are its inverse. Figures are medians of the rounds. There are
so many calls of each codec that they take a good part of the core: what a wake-up costs is shared by the packets that wait.
"""

import argparse
import json
import os
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

from media_rate import CPU, GEN, PEERS, RELAY, Lines, Network, Relay, cpu_ns, inside, socket_in, unusable

FORMATS = {"PCMU": ("0", ""), "PCMA": ("8", ""), "G722": ("9", ""), "opus": ("111", "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n"),
           "AMR-WB": ("104", "a=rtpmap:104 AMR-WB/16000\r\na=fmtp:104 octet-align=1\r\n")}
# How `transcode` names them.
WORDS = {"PCMA": "PCMA", "G722": "G722", "opus": "opus/48000/2", "AMR-WB": "AMR-WB/16000/1///octet-align=1"}
PASSED = "passed"
# Calls at once.
CALLS = {"PCMA": 60, "G722": 60, "opus": 30, "AMR-WB": 30}


class Unconverted(Exception):
    """The relay offers another codec than the wanted one."""


def audio(codec, port):
    number, lines = FORMATS[codec]
    return f"v=0\r\no=- 1 1 IN IP4 {PEERS}\r\ns=-\r\nc=IN IP4 {PEERS}\r\nt=0 0\r\nm=audio {port} RTP/AVP {number}\r\n{lines}a=ptime:20\r\n"


def answered_type(text):
    """The port and the first payload type of an SDP."""
    port, _, number = text.split("m=audio ")[1].split("\r\n")[0].split()[:3]
    return int(port), int(number)


class Speakers:
    """Both parties of all calls: each says its payloads, one every 20 ms."""

    def __init__(self, voices):
        self.sent, self.parties = 0, []
        # Set after two seconds of `speak`.
        self.under_way = threading.Event()
        self.voices = voices

    def add(self, own_port, to_port, number, codec):
        own = socket_in(GEN)
        own.bind((PEERS, own_port))
        own.connect((RELAY, to_port))
        own.setblocking(False)
        self.parties.append((own, number, self.voices[codec]))

    def speak(self, seconds, sequence):
        start, frames = time.monotonic(), int(seconds * 50)
        for n in range(frames):
            for i, (own, number, voice) in enumerate(self.parties):
                payload = voice["payloads"][(n + 7 * i) % len(voice["payloads"])]
                header = struct.pack("!BBHII", 0x80, number, (sequence + n) & 0xffff, (sequence + n) * voice["units"] & 0xffffffff, 5000 + i)
                try:
                    own.send(header + payload)
                    self.sent += 1
                except OSError:
                    pass
            if n == 100:
                self.under_way.set()
            rest = start + (n + 1) / 50 - time.monotonic()
            if rest > 0:
                time.sleep(rest)
        return sequence + frames

    def heard(self):
        """Packets that came back; what waits in the sockets is thrown away."""
        count = 0
        for own, *_ in self.parties:
            while True:
                try:
                    own.recv(2000)
                    count += 1
                except OSError:
                    break
        return count

    def heard_at_last(self):
        """As `heard`, once nothing has come for a tenth of a second."""
        count = self.heard()
        while select.select([own for own, *_ in self.parties], [], [], 0.1)[0]:
            count += self.heard()
        return count

    def close(self):
        for own, *_ in self.parties:
            own.close()


def begin_calls(relay, speakers, codec, calls, first_port=40000):
    """`codec`: that of the callee; PASSED: that of the caller, and nothing is converted."""
    far = "PCMU" if codec == PASSED else codec
    words = {} if codec == PASSED else {"codec": {"mask": ["all"], "transcode": [WORDS[codec]]}}
    for i in range(calls):
        caller, callee = first_port + 4 * i, first_port + 2 + 4 * i
        keys = {"call-id": f"t{codec}{i}", "from-tag": "A"}
        offered = relay.ng(command="offer", sdp=audio("PCMU", caller), **words, **keys)
        to_b, number = answered_type(offered["sdp"])
        if far != "PCMU" and f"a=rtpmap:{number} {far}/" not in offered["sdp"]:
            raise Unconverted
        answer = audio(far, callee)
        if far != "PCMU":  # under the number that was offered
            answer = answer.replace(f" {FORMATS[far][0]}\r\n", f" {number}\r\n").replace(f":{FORMATS[far][0]} ", f":{number} ")
        to_a, shown = answered_type(relay.ng(command="answer", sdp=answer, **{"to-tag": "B"}, **keys)["sdp"])
        speakers.add(caller, to_a, shown, "PCMU")
        speakers.add(callee, to_b, number, far)


def cost(kind, build, codec, calls, voices, directory):
    """CPU time of a call for a second, in us, and the share of packets that did not come back."""
    with Network() as network, open(os.path.join(directory, "relay.log"), "a") as log:
        relay, speakers = Relay(kind, build, log, 0), Speakers(voices)
        try:
            begin_calls(relay, speakers, codec, calls)
            napi = network.pin()
            sequence = speakers.speak(1, 0)
            speakers.heard()
            before, speakers.sent, heard, start = cpu_ns(relay.pids + napi), 0, 0, time.monotonic()
            for _ in range(20):  # often enough that no socket overflows
                sequence = speakers.speak(0.2, sequence)
                heard += speakers.heard()
            took = time.monotonic() - start
            spent = (cpu_ns(relay.pids + napi) - before) / 1000
            heard += speakers.heard_at_last()
            return {"us": spent / calls / took, "lost": 1 - heard / speakers.sent}
        finally:
            speakers.close()
            relay.stop()


def beside(build, calls, voices, directory, saturated):
    """Latency of 50,000 packets a second that pass, while so many Opus calls are converted."""
    with Network() as network, open(os.path.join(directory, "relay.log"), "a") as log:
        relay, speakers = Relay("rtpferryd sockets", build, log, 100), Speakers(voices)
        flows = []
        for i, (to_a, to_b) in enumerate(relay.ports):
            flows += [[PEERS, 10000 + 4 * i, RELAY, to_a, network.macs["g0"], network.macs["c0"], ""],
                      [PEERS, 10002 + 4 * i, RELAY, to_b, network.macs["g0"], network.macs["c0"], ""]]
        generator = Lines(inside(GEN, "taskset", "-c", CPU["generator"], os.path.join(build, "mediagen"), "gen", "g0"))
        try:
            generator.ask({"flows": flows})
            network.pin()
            generator.ask({"rate": 10000, "seconds": 1})
            if saturated:
                begin_calls(relay, speakers, "opus", calls)
            talk = threading.Thread(target=speakers.speak, args=(6, 0))
            talk.start()
            speakers.under_way.wait()
            seen = generator.ask({"rate": 10000, "seconds": 3})
            talk.join()
            return {"p50": seen["p50_us"], "p99": seen["p99_us"], "lost": 1 - seen["received"] / seen["sent"]}
        finally:
            generator.close()
            speakers.close()
            relay.stop()


def medians(results):
    return {key: statistics.median(each[key] for each in results) for key in results[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder of rtpferryd, mediagen and transcode_cost")
    parser.add_argument("--codec", action="append", choices=list(WORDS), help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--saturated", type=int, default=200, help="Opus calls that leave the media threads no time")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    if problem := unusable():
        print(problem)
        return 1
    build = os.path.abspath(arguments.build)
    bare = json.loads(subprocess.run(["taskset", "-c", CPU["relay"], os.path.join(build, "transcode_cost"), "json", "5", "5"], check=True, capture_output=True, text=True).stdout)
    voices = {name: each | {"payloads": [bytes.fromhex(payload) for payload in each["payloads"]]} for name, each in bare.items()}
    kinds = ["rtpferryd sockets"] + (["rtpengine"] if shutil.which("rtpengine") else [])
    codecs = arguments.codec or list(WORDS)
    # Calls that only pass are measured, too, once for each number of converted calls.
    rows = [(codec, CALLS[codec]) for codec in codecs] + [(PASSED, calls) for calls in sorted({CALLS[codec] for codec in codecs})]
    rounds, beside_rounds, unconverted = {}, {}, set()
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.rounds):
            for codec, calls in rows:
                for kind in kinds:
                    if (kind, codec) in unconverted:
                        continue
                    try:
                        rounds.setdefault((kind, codec, calls), []).append(cost(kind, build, codec, calls, voices, directory))
                    except Unconverted:
                        unconverted.add((kind, codec))
                        del rounds[kind, codec, calls]
            for saturated in (False, True):
                beside_rounds.setdefault(saturated, []).append(beside(build, arguments.saturated, voices, directory, saturated))
    seen = {key: medians(results) for key, results in rounds.items()}
    print(f"{arguments.rounds} rounds; us of CPU for a second of a call, both directions; calls a core")
    print(f"{'':18}{'at once':>9}{'bare':>9}{'passed':>9}{'ours':>9}{'ratio':>7}{'lost':>8}{'calls':>8}{'rtpengine':>11}{'lost':>8}{'calls':>8}{'times':>7}")
    for codec in codecs:
        calls = CALLS[codec]
        passed = seen["rtpferryd sockets", PASSED, calls]["us"]
        ours, theirs = seen["rtpferryd sockets", codec, calls], seen.get(("rtpengine", codec, calls))
        alone = bare[codec]["bare_us"] * 50
        line = f"{'PCMU and ' + codec:18}{calls:>9}{alone:>9.0f}{passed:>9.0f}{ours['us']:>9.0f}{ours['us'] / (alone + passed):>7.2f}{ours['lost']:>8.2%}{1e6 / ours['us']:>8.0f}"
        if theirs:
            line += f"{theirs['us']:>11.0f}{theirs['lost']:>8.2%}{1e6 / theirs['us']:>8.0f}{theirs['us'] / ours['us']:>7.2f}"
        elif ("rtpengine", codec) in unconverted:
            line += "  this rtpengine does not convert it"
        print(line)
    alone, crowded = medians(beside_rounds[False]), medians(beside_rounds[True])
    print(f"streams that pass, us: p50 {alone['p50']:.1f} and p99 {alone['p99']:.1f} alone; p50 {crowded['p50']:.1f} and p99 {crowded['p99']:.1f} "
          f"beside {arguments.saturated} Opus calls ({crowded['p99'] / alone['p99']:.2f}), {crowded['lost']:.2%} lost")
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump({"bare": {name: each["bare_us"] for name, each in bare.items()}, "rounds": {" ".join(map(str, key)): results for key, results in rounds.items()},
                       "beside": {str(key): results for key, results in beside_rounds.items()}}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
