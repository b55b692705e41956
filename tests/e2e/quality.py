#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the relay says of a network against what the network did: a link of our own (a TAP device on each side) loses, delays, swaps and
doubles the packets of one party and keeps count. Its true figures are printed beside those of the relay, for media in user space and in
the kernel. Bob's side, which has no fault, must show none.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import fcntl
import heapq
import os
import random
import select
import struct
import sys
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ALICE, BOB, RELAY4, Lab, Relay, Skip, entered, inside, need, ns, run, wait_for
from parties import Ng, Party, Stage, port_of
from verdict import check, exit_status

SECONDS = 12


def tap_in(namespace, device):
    """Descriptor of a TAP device that is made in a namespace."""
    with entered(f"/run/netns/{namespace}"):
        try:
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            raise Skip(f"no TAP devices here: {error}")
        fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", device.encode(), 0x0002 | 0x1000))   # TUNSETIFF: TAP, no header
        return fd


class Stream:
    """What really happened to one SSRC."""

    def __init__(self):
        self.sent, self.dropped, self.doubled = [], set(), 0
        self.burst = False
        self.arrived = []      # (time, sequence, timestamp), copies too

    def figures(self):
        """As RFC 3550 counts them, over what lies between the first and the last that arrived."""
        unwrapped = [s for _, s, _ in self.arrived]
        first, last = min(unwrapped), max(unwrapped)
        missing = sorted(set(range(first, last + 1)) - set(unwrapped))
        bursts = sum(1 for s in missing if s - 1 not in missing)
        jitter, transit, highest, late = 0.0, None, None, 0
        seen = set()
        for at, sequence, timestamp in self.arrived:
            now = at * 8000 - timestamp
            if transit is not None:
                jitter += (abs(now - transit) - jitter) / 16
            transit = now
            if highest is not None and sequence < highest and sequence not in seen:
                late += 1
            seen.add(sequence)
            highest = max(sequence, highest or sequence)
        return {"lost": len(missing), "expected": last - first + 1, "loss_percent": 100 * len(missing) / (last - first + 1), "bursts": bursts,
                "duplicates": self.doubled, "reordered": late, "jitter_ms": jitter / 8}


class Link(threading.Thread):
    """From alice to the relay with faults, back without. `rules`: SSRC -> what is done to its packets."""

    def __init__(self, alice, core):
        super().__init__(daemon=True)
        self.alice, self.core = alice, core
        self.rules, self.streams, self.waiting, self.order = {}, {}, [], 0
        self.random = random.Random(7)
        self.stopping = False

    def run(self):
        while not self.stopping:
            timeout = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else 0.1
            ready, _, _ = select.select([self.alice, self.core], [], [], timeout)
            if self.core in ready:
                self.pass_on(self.core, self.alice)
            if self.alice in ready:
                try:
                    self.judge(os.read(self.alice, 2048))
                except BlockingIOError:
                    pass
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, _, frame, stream, sequence, timestamp = heapq.heappop(self.waiting)
                os.write(self.core, frame)
                if stream is not None:
                    stream.arrived.append((time.monotonic(), sequence, timestamp))

    @staticmethod
    def pass_on(source, target):
        try:
            os.write(target, os.read(source, 2048))
        except BlockingIOError:
            pass

    def deliver(self, frame, delay, stream=None, sequence=0, timestamp=0):
        self.order += 1
        heapq.heappush(self.waiting, (time.monotonic() + delay, self.order, frame, stream, sequence, timestamp))

    def judge(self, frame):
        is_rtp = len(frame) >= 54 and frame[12:14] == b"\x08\x00" and frame[23] == 17 and frame[42] >> 6 == 2 and not 192 <= frame[43] <= 223
        if not is_rtp:
            self.deliver(frame, 0)
            return
        sequence, timestamp, ssrc = struct.unpack("!HII", frame[44:54])
        stream = self.streams.setdefault(ssrc, Stream())
        rule = self.rules.get(ssrc, {})
        stream.sent.append(sequence)
        # Losses in bursts: once one is lost the next is more likely to be (Gilbert).
        stream.burst = self.random.random() < (rule.get("again", 0) if stream.burst else rule.get("loss", 0))
        if stream.burst:
            stream.dropped.add(sequence)
            return
        delay = self.random.uniform(0, rule.get("jitter", 0))
        if self.random.random() < rule.get("late", 0):
            delay += 0.05            # two others overtake it
        self.deliver(frame, delay, stream, sequence, timestamp)
        if self.random.random() < rule.get("twice", 0):
            stream.doubled += 1
            self.deliver(frame, delay + 0.001, stream, sequence, timestamp)


RULES = {"loss": {"loss": 0.03, "again": 0.6}, "jitter": {"jitter": 0.016}, "disorder": {"late": 0.03, "twice": 0.02},
         "everything": {"loss": 0.02, "again": 0.5, "jitter": 0.01, "late": 0.02, "twice": 0.01}, "nothing": {}}


def play(build, offload):
    need("ip")
    with Lab() as lab:
        run(*inside("core", "ip", "link", "del", "c-alice"))
        link = Link(tap_in(ns("alice"), "tap0"), tap_in(ns("core"), "c-alice"))
        for name, device, address in (("alice", "tap0", ALICE + "/24"), ("core", "c-alice", "192.0.2.1/24")):
            run(*inside(name, "ip", "addr", "add", address, "dev", device))
            run(*inside(name, "ip", "link", "set", device, "up"))
        run(*inside("alice", "ip", "route", "add", "default", "via", "192.0.2.1"))
        link.start()
        links = ["--offload=off"] if offload == "off" else [f"--offload={link}={offload}" for link in ("c-alice", "c-bob")]
        relay = Relay(lab, build, *links, "--num-threads=1")
        ng, stage, calls = Ng(ns("core")), Stage(), {}
        for number, (name, rule) in enumerate(RULES.items()):
            a = Party(ns("alice"), ALICE, 4000 + 4 * number, 1000 + number)
            b = Party(ns("bob"), BOB, 5000 + 4 * number, 2000 + number)
            link.rules[a.ssrc] = {}          # the start is undisturbed, so that every stream is learned alike
            b.to = (RELAY4, port_of(ng.ask("offer", name, from_tag="A", sdp=a.sdp())))
            a.to = (RELAY4, port_of(ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp())))
            a.on = b.on = True
            b.log = []
            stage.parties += [a, b]
            calls[name] = (a, b)
            stage.at(0.5, lambda ssrc=a.ssrc, rule=rule: link.rules.__setitem__(ssrc, rule))
        # A sender whose clock is 0.1 % slow.
        slow = Party(ns("alice"), ALICE, 4100, 1100)
        other = Party(ns("bob"), BOB, 5100, 2100)
        other.to = (RELAY4, port_of(ng.ask("offer", "slow", from_tag="A", sdp=slow.sdp())))
        slow.to = (RELAY4, port_of(ng.ask("answer", "slow", from_tag="A", to_tag="B", sdp=other.sdp())))
        slow.on = True
        slowly = threading.Thread(target=send_slowly, args=(slow, 1.001, SECONDS), daemon=True)
        slowly.start()
        explained = {}

        def ask():
            for name in calls:
                explained[name] = relay.ctl("explain", name)
        asking = threading.Thread(target=ask, daemon=True)
        stage.at(SECONDS - 1.5, asking.start)       # while everybody speaks: a stream that halts is said to
        stage.play(SECONDS)
        asking.join()
        for a, b in calls.values():
            a.on = b.on = False
        slowly.join()
        wait_for(lambda: not link.waiting, 2, "what is still on the link")
        print(f"--- offload {offload}", flush=True)
        for name, (a, b) in calls.items():
            truth = link.streams[a.ssrc].figures()
            pace = Stream()
            pace.arrived = b.log
            pace = pace.figures()["jitter_ms"]      # of the sender itself, on a busy machine
            legs = {leg["tag"]: leg["medias"][0] for leg in relay.ctl("show", name)["legs"]}
            said, right = legs["A"]["received"][0], legs["B"]["received"][0]
            print(f"{name:<11} link:  loss {truth['loss_percent']:.2f} % in {truth['bursts']} bursts, reordered {truth['reordered']}, copies "
                  f"{truth['duplicates']}, jitter {truth['jitter_ms']:.2f} ms")
            print(f"{'':<11} relay: loss {said['loss_percent']:.2f} % in {said['loss_bursts']} bursts, reordered {said['reordered']}, copies "
                  f"{said['duplicates']}, jitter {said['jitter_ms']:.2f} ms, MOS {said['mos']:.2f}", flush=True)
            check(abs(said["loss_percent"] - truth["loss_percent"]) < 1 and abs(said["jitter_ms"] - truth["jitter_ms"]) < 1,
                  f"{name}: loss within 1 %, jitter within 1 ms")
            check((said["lost"], said["loss_bursts"], said["reordered"], said["duplicates"]) ==
                  (truth["lost"], truth["bursts"], truth["reordered"], truth["duplicates"]), f"{name}: lost, bursts, reordered and copies are exact")
            check(right["lost"] == 0 and right["duplicates"] == 0 and right["reordered"] == 0 and abs(right["jitter_ms"] - pace) < 1 and right["mos"] > 4.3,
                  f"{name}: bob's side shows no fault (jitter {right['jitter_ms']:.2f} ms, his own pace {pace:.2f} ms, MOS {right['mos']:.2f})")
            check(said["mos"] < 4.2 if name in ("loss", "everything") else said["mos"] > 4.2, f"{name}: MOS {said['mos']:.2f}")
            cause = next(v for v in explained[name]["verdicts"] if (v["leg"], v["direction"]) == ("A", "from"))["cause"]
            doubled = ("duplicated",) if truth["duplicates"] else ()
            holes = ("interrupted",) if truth["lost"] >= 10 else ()    # ten packets in a row are a hole of 200 ms
            check(cause in ("lossy", "broken-up", *holes) if truth["loss_percent"] > 5.5 else cause in ("fine", "lossy", *holes, *doubled), f"{name}: explain says {cause}")
        drift = relay.ctl("show", "slow")["legs"][0]["medias"][0]["received"][0]
        check(abs(drift["clock_drift_ppm"] - 1000) < 100 + drift["clock_drift_error_ppm"],
              f"a clock that is 1000 ppm slow: {drift['clock_drift_ppm']:.0f} ppm, give or take {drift['clock_drift_error_ppm']:.0f}")
        if offload != "off":
            engines = relay.ctl("engines")
            check(engines["packets_kernel"] > engines["packets_user"], f"the kernel forwarded most of it: {engines['packets_kernel']} of "
                  f"{engines['packets_kernel'] + engines['packets_user']}")
        link.stopping = True
        link.join()


def send_slowly(party, factor, seconds):
    start = time.monotonic()
    for n in range(int(seconds / 0.02 / factor)):
        left = start + n * 0.02 * factor - time.monotonic()
        if left > 0:
            time.sleep(left)
        party.socket.sendto(party.packet(), party.to)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--offload", default="off,tc")
    arguments = parser.parse_args()
    try:
        for offload in arguments.offload.split(","):
            play(os.path.abspath(arguments.build), offload)
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    except Exception:
        traceback.print_exc()
        return 1
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
