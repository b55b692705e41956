#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Forwarding between two namespaces over veth: rtpferryd in user space, with tc and with XDP, beside Debian's rtpengine (user
space) and bare tc and XDP forwarders, interleaved in one run.

One core has the generator and the sink, the other everything of the relay: its process and the kernel thread that takes
frames from its interface (threaded NAPI), whose CPU time is added. Frames are 172-octet RTP in IPv4. Figures are medians of
the rounds. With "SRTP" the caller of each call is encrypted (AES_CM_128_HMAC_SHA1_80), the callee plain. "Loss-free" is the highest rate with at most 0.1 % lost in a second. A rate above two thirds of what the generator
can send at all is marked: there the generator is the limit.
"""

import argparse
import base64
import ctypes
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

GEN, CORE = "ferry-bench-gen", "ferry-bench-core"
RELAY, PEERS = "10.99.0.1", "10.99.0.2"
LIBC = ctypes.CDLL("libc.so.6", use_errno=True)
CPU = {"generator": "0", "relay": "1"}
# The ring that net_af_packet makes by itself (512 frames) is full after 3 ms of somebody else's work.
RINGS = {"af_packet": ",framesz=2048,blocksz=65536,framecnt=4096", "af_xdp": ""}
RATES = (10000, 50000, 100000)  # for latencies; CPU time at the middle one


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


def inside(name, *command):
    return ["ip", "netns", "exec", name, *command]


def shell(name, line):
    return run(*inside(name, "sh", "-c", line), check=False).stdout.strip()


def socket_in(name):
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY)
    try:
        if LIBC.setns(there, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    finally:
        LIBC.setns(here, 0x40000000)
        os.close(here)
        os.close(there)


class Network:
    """A veth pair: g0 (generator and sink) and c0 (relay). With a driver of DPDK c0 is a program's alone, and the kernel has a TAP interface
    instead."""

    def __init__(self, driver=None):
        self.driver = driver

    def __enter__(self):
        self.__exit__()
        for name in (GEN, CORE):
            run("ip", "netns", "add", name)
            run(*inside(name, "ip", "link", "set", "lo", "up"))
        run("ip", "link", "add", "g0", "netns", GEN, "type", "veth", "peer", "name", "c0", "netns", CORE)
        own = "c0"
        if self.driver:
            own = "k0"
            run(*inside(CORE, "ip", "tuntap", "add", own, "mode", "tap"))
            run(*inside(CORE, "ip", "link", "set", own, "up"))
            run(*inside(CORE, "sysctl", "-qw", "net.ipv6.conf.c0.disable_ipv6=1"))
            run(*inside(CORE, "ip", "link", "set", "c0", "arp", "off"))
        if self.driver == "af_packet":  # sees a copy of what the kernel gets, which is to get nothing
            rules = "table netdev d { chain in { type filter hook ingress device c0 priority 0; policy drop; }; }"
            subprocess.run(inside(CORE, "nft", "-f", "-"), input=rules, text=True, check=True)
        run(*inside(GEN, "ip", "addr", "add", PEERS + "/24", "dev", "g0"))
        run(*inside(CORE, "ip", "addr", "add", RELAY + "/24", "dev", own))
        for name, device in ((GEN, "g0"), (CORE, "c0")):
            # A veth without TSO takes every frame by NAPI, with and without XDP: in all modes the same kernel thread.
            run(*inside(name, "ethtool", "-K", device, "gro", "on", "tso", "off"))
            run(*inside(name, "ip", "link", "set", device, "up"))
        self.macs = {d: shell(n, f"cat /sys/class/net/{d}/address") for n, d in ((GEN, "g0"), (CORE, "c0"))}
        run(*inside(GEN, "ip", "neigh", "replace", RELAY, "lladdr", self.macs["c0"], "dev", "g0", "nud", "permanent"))
        run(*inside(CORE, "ip", "neigh", "replace", PEERS, "lladdr", self.macs["g0"], "dev", own, "nud", "permanent"))
        # Only the bare program needs it, for its route look-up.
        shell(CORE, "sysctl -qw net.ipv4.ip_forward=1")
        return self

    def pin(self):
        """Kernel threads of the two interfaces to their cores; returns that of the relay."""
        threads = {}
        for name, device, core in ((GEN, "g0", "generator"), (CORE, "c0", "relay")):
            shell(name, f"echo 1 > /sys/class/net/{device}/threaded")
            for pid in filter(str.isdigit, os.listdir("/proc")):
                try:
                    comm = open(f"/proc/{pid}/comm").read()
                except OSError:
                    continue
                if comm.startswith(f"napi/{device}-"):
                    run("taskset", "-pc", CPU[core], pid, check=False)
                    run("chrt", "-f", "-p", "50", pid, check=False)  # as soft interrupts come before programs
                    threads.setdefault(device, []).append(int(pid))
        if "c0" not in threads:
            raise RuntimeError("no NAPI thread for c0")
        return threads["c0"]

    def __exit__(self, *_):
        for name in (GEN, CORE):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


class Lines:
    """A program that answers JSON lines with JSON lines."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the generator ended")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


def cpu_ns(pids):
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            total += int(open(f"/proc/{pid}/task/{task}/schedstat").read().split()[0])
    return total


def rss_kb(pid):
    return next(int(line.split()[1]) for line in open(f"/proc/{pid}/status") if line.startswith("VmRSS"))


def sdp(port, crypto=""):
    return (f"v=0\r\no=- 1 1 IN IP4 {PEERS}\r\ns=-\r\nc=IN IP4 {PEERS}\r\nt=0 0\r\nm=video {port} RTP/{'S' if crypto else ''}AVP 96\r\n"
            "a=rtpmap:96 H264/90000\r\n" + (f"a=crypto:{crypto}\r\n" if crypto else ""))


def eal(driver):
    """Arguments of DPDK's environment: the worker has the relay's core to itself, no hugepages, c0."""
    return [f"--lcores=0@{CPU['generator']},1@{CPU['relay']}", "--no-huge", "-m", "256", "--no-pci", "--log-level=lib.eal:warning", f"--vdev=net_{driver}0,iface=c0{RINGS[driver]}"]


# Behind the name of a relay: that of the other build.
BEFORE = " before"


def driver_of(kind):
    return next((d for d in ("af_packet", "af_xdp") if d in kind), None)


class Relay:
    def __init__(self, kind, build, log, calls, options=(), media="m=video "):
        """`kind`: the program, what it forwards by, and "SRTP" if one side of each call is encrypted. `options`: more of the relay's own."""
        self.crypto = [""] * calls
        self.kind, self.pids, self.process, self.helper = kind, [], None, None
        common = ["--config-file=none", f"--interface={RELAY}", "--listen-ng=127.0.0.1:2223", "--log-level=4", "--num-threads=1",
                  "--port-min=20000", "--port-max=40000", "--delete-delay=0", "--timeout=3600"]
        if kind.startswith("bare"):
            self.helper = Lines(inside(CORE, "taskset", "-c", CPU["relay"], os.path.join(build, "mediagen"), "bare-tc" if kind == "bare tc" else "bare", "c0"))
            ports = [(20000 + 4 * i, 20002 + 4 * i) for i in range(calls)]
            flows = []
            for i, (a, b) in enumerate(ports):
                flows += [[RELAY, a, RELAY, b, PEERS, 10002 + 4 * i], [RELAY, b, RELAY, a, PEERS, 10000 + 4 * i]]
            self.helper.ask({"flows": flows})
            self.ports = ports
            return
        if kind.startswith("testpmd"):  # swaps the two ends of each packet: all come back to whom they came from
            command = ["dpdk-testpmd", *eal(kind.split()[1]), "--no-telemetry", "--no-shconf", "--", "--forward-mode=5tswap", "--auto-start", "--nb-cores=1",
                       "--rxd=1024", "--txd=1024", "--burst=64", "--total-num-mbufs=16384", "--stats-period=60"]
            self.process = subprocess.Popen(inside(CORE, "taskset", "-c", CPU["generator"], *command), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.pids, self.kb_per_call = [self.process.pid], 0
            self.ports = [(20000 + 4 * i, 20002 + 4 * i) for i in range(calls)]
            time.sleep(2)
            return
        if "SRTP" in kind:
            self.crypto = ["1 AES_CM_128_HMAC_SHA1_80 inline:" + base64.b64encode(os.urandom(30)).decode() for _ in range(calls)]
        if kind.startswith("rtpengine"):
            command = ["rtpengine", *common, "--foreground", "--log-stderr", "--table=-1"]
        else:
            self.socket = os.path.join(os.path.dirname(log.name), "control.sock")
            mode = kind.split()[1]
            by = [f"--offload=c0={'off' if mode == 'sockets' else mode}"]
            if mode == "dpdk":
                by = ["--engine=dpdk", "--dpdk-eal=" + " ".join(eal(kind.split()[2])), f"--dpdk-port=net_{kind.split()[2]}0=k0"]
            command = [os.path.join(build, "rtpferryd"), *common, f"--control-socket={self.socket}", *by, *options]
        home = CPU["generator" if driver_of(kind) else "relay"]  # lcores go to their cores by themselves
        self.process = subprocess.Popen(inside(CORE, "taskset", "-c", home, *command), stdout=log, stderr=log)
        control = socket_in(CORE)  # not connected: nobody there yet is silence, and the request is repeated
        control.settimeout(0.1)
        number = 0

        def ng(**request):
            nonlocal number
            number += 1
            for _ in range(100):
                control.sendto(f"{number} {json.dumps(request)}".encode(), ("127.0.0.1", 2223))
                try:
                    return json.loads(control.recv(65536).split(b" ", 1)[1])
                except socket.timeout:
                    pass
            raise RuntimeError(f"{kind} does not answer")

        self.ng = ng
        ng(command="ping")
        self.pids = [self.process.pid]
        before = rss_kb(self.process.pid)
        port = lambda reply: int(reply["sdp"].split(media)[1].split()[0])
        self.ports = []
        for i in range(calls):
            keys = {"call-id": f"c{i}", "from-tag": "A"}
            to_b = port(ng(command="offer", sdp=sdp(10000 + 4 * i, self.crypto[i]), **{"transport-protocol": "RTP/AVP"}, **keys))
            to_a = port(ng(command="answer", **{"to-tag": "B"}, sdp=sdp(10002 + 4 * i), **keys))
            self.ports.append((to_a, to_b))
        self.kb_per_call = (rss_kb(self.process.pid) - before) / max(calls, 1)

    def stop(self):
        if self.helper:
            self.helper.close()
        if self.process:
            self.process.terminate()
            self.process.wait(20)


def measure(kind, build, calls, directory, tools=None):
    """`tools` is the directory of the generator; by default that of the relay."""
    with Network(driver_of(kind)) as network, open(os.path.join(directory, "relay.log"), "a") as log:
        relay = Relay(kind, build, log, calls)
        flows = []
        for i, (to_a, to_b) in enumerate(relay.ports):
            flows += [[PEERS, 10000 + 4 * i, RELAY, to_a, network.macs["g0"], network.macs["c0"], relay.crypto[i]],
                      [PEERS, 10002 + 4 * i, RELAY, to_b, network.macs["g0"], network.macs["c0"], ""]]
        generator = Lines(inside(GEN, "taskset", "-c", CPU["generator"], os.path.join(tools or build, "mediagen"), "gen", "g0"))
        try:
            generator.ask({"flows": flows})
            napi = network.pin()
            generator.ask({"rate": 20000, "seconds": 1.0})  # locks, and goes to the kernel
            result = {}
            for rate in RATES:
                before = cpu_ns(relay.pids + napi)
                steady = generator.ask({"rate": rate, "seconds": 3 if rate == 50000 else 1})
                result |= {f"{key} at {rate}": steady[key] for key in ("p50_us", "p99_us", "p999_us")}
                result[f"lost at {rate}"] = 1 - steady["received"] / steady["sent"]
                if rate == 50000:
                    result["us_per_packet"] = (cpu_ns(relay.pids + napi) - before) / 1000 / steady["sent"]
            good, bad, rate, most = 0, None, 40000, (0, 0)
            for _ in range(12):
                before, start = cpu_ns(relay.pids + napi), time.monotonic()
                step = generator.ask({"rate": rate, "seconds": 1})
                # Until the last one has come back out of the relay's buffers; after it the generator waits for 60 ms.
                took = max(time.monotonic() - start - 0.06, step["seconds"])
                most = max(most, (step["received"] / took, (cpu_ns(relay.pids + napi) - before) / 1000 / max(step["received"], 1)))
                asked_too_much = step["sent"] / step["seconds"] < 0.97 * rate
                if not asked_too_much and step["received"] >= 0.999 * step["sent"]:
                    good = rate
                else:
                    bad = rate
                rate = good * 1.5 if bad is None else (good + bad) / 2
                if bad is not None and bad - good < 0.05 * bad:
                    break
            result["loss_free"] = good
            result["most"], result["us_per_packet_at_most"] = most
            result["ceiling"] = (lambda s: s["sent"] / s["seconds"])(generator.ask({"rate": 1e9, "seconds": 1}))
            if relay.process:
                result["kb_per_call"] = relay.kb_per_call
            return result
        finally:
            generator.close()
            relay.stop()


def unusable(*programs):
    """Why this machine cannot run it; nothing if it can."""
    if os.geteuid() != 0:
        return "needs root: it makes network namespaces"
    if len(os.sched_getaffinity(0)) < 2:
        return "needs two cores: one for the generator"
    return next((f"needs {program}: tools/setup.sh bench" for program in programs if shutil.which(program) is None), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--before", help="directory of another rtpferryd, such as that of the commit before; it takes part in the same rounds")
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--only", action="append")
    arguments = parser.parse_args()
    if problem := unusable():
        print(problem)
        return 1
    kinds = ["rtpferryd sockets", "rtpferryd tc", "rtpferryd xdp", "bare tc", "bare XDP", "rtpferryd sockets SRTP"]
    if shutil.which("rtpengine"):
        kinds += ["rtpengine", "rtpengine SRTP"]
    kinds = arguments.only or kinds
    builds = {kind: arguments.build for kind in kinds}
    if arguments.before:
        kinds = [name for kind in kinds for name in ([kind, kind + BEFORE] if kind.startswith("rtpferryd") else [kind])]
        builds |= {kind: arguments.before for kind in kinds if kind.endswith(BEFORE)}
    rounds = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.rounds):
            for kind in kinds:
                rounds[kind].append(measure(kind, os.path.abspath(builds[kind]), arguments.calls, directory, os.path.abspath(arguments.build)))
    medians = {kind: {key: statistics.median(r[key] for r in results) for key in results[0]} for kind, results in rounds.items()}
    ceiling = max(m["ceiling"] for m in medians.values())
    base = medians.get("rtpengine")
    print(f"{arguments.calls} calls, {arguments.rounds} rounds, 172 octets, one core for the relay; the generator sends at most {ceiling:,.0f}/s")
    # What comes back encrypted does not say when it was sent.
    latency = lambda kind, m, key: f"{'-':>9}" if "SRTP" in kind else f"{m[key]:>9.1f}"
    print(f"{'':30}{'loss-free/s':>13}{'ratio':>7}{'us CPU/packet':>15}{'ratio':>7}{'p50 us':>9}{'p99 us':>9}{'p99.9':>9}{'kB/call':>9}")
    for kind, m in medians.items():
        of = lambda key, down=False: f"{(base[key] / m[key] if down else m[key] / base[key]):.1f}" if base and m[key] and base[key] else "-"
        print(f"{kind:30}{m['loss_free']:>13,.0f}{of('loss_free'):>7}{m['us_per_packet']:>15.2f}{of('us_per_packet', True):>7}"
              + "".join(latency(kind, m, f"{which}_us at 50000") for which in ("p50", "p99", "p999"))
              + f"{m.get('kb_per_call', 0):>9.1f}{'  generator-bound' if m['loss_free'] > ceiling * 2 / 3 else ''}")
    print(f"\n{'us at packets/s':30}" + "".join(f"{f'{rate:,}: p50':>15}{'p99':>9}{'p99.9':>9}{'lost':>8}" for rate in RATES))
    for kind, m in medians.items():
        print(f"{kind:30}" + "".join(" " * 6 + "".join(latency(kind, m, f"{which}_us at {rate}") for which in ("p50", "p99", "p999"))
                                     + f"{m[f'lost at {rate}']:>8.2%}" for rate in RATES))
    for kind, m in medians.items():
        if kind + BEFORE in medians:
            # Rounds of both builds follow each other closely, so that a busy host slows both of a pair.
            of_before = {key: statistics.median(now[key] / then[key] for now, then in zip(rounds[kind], rounds[kind + BEFORE]))
                         for key in ("us_per_packet", "loss_free")}
            print(f"{kind}, beside the build before: {of_before['us_per_packet']:.3f} of the CPU a packet, "
                  f"{of_before['loss_free']:.3f} of the loss-free rate")
    for name in ("rtpferryd sockets", "rtpengine"):
        if name in medians and name + " SRTP" in medians:
            plain, secure = (medians[name + which]["loss_free"] / 100 for which in ("", " SRTP"))
            print(f"{name}: {secure:,.0f} calls between SRTP and RTP on one core, {secure / plain:.2f} of {plain:,.0f} plain ones" if plain else name)
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump({"calls": arguments.calls, "ceiling": ceiling, "medians": medians, "rounds": rounds}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
