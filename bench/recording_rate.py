#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What recording costs: CPU time a packet of 500 calls in real time (50,000 packets/s), not recorded, recorded to pcap, to
WAV, to both, through sockets and in the kernel (tc), interleaved in one run. The relay's core has its workers, its
writers and the kernel thread of its interface. Figures are medians of the rounds.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import media_rate as m

SECONDS = 8
PER_CALL = 100  # packets/s: two streams of 20 ms


def sdp(port, crypto=""):
    return (f"v=0\r\no=- 1 1 IN IP4 {m.PEERS}\r\ns=-\r\nc=IN IP4 {m.PEERS}\r\nt=0 0\r\nm=audio {port} RTP/AVP 96\r\na=rtpmap:96 PCMA/8000\r\n")


def recording_options(method, directory):
    folder = os.path.join(directory, "rec")
    shutil.rmtree(folder, ignore_errors=True)
    return [] if method == "-" else [f"--recording-dir={folder}", "--record-all", f"--recording-method={method}"]


def measure(engine, options, build, calls, directory, tools=None):
    """`tools` is the directory of the generator; by default that of the relay."""
    m.sdp = sdp
    with m.Network() as network, open(os.path.join(directory, "relay.log"), "a") as log:
        relay = m.Relay(f"rtpferryd {engine}", build, log, calls, options=options, media="m=audio ")
        flows = []
        for i, (to_a, to_b) in enumerate(relay.ports):
            flows += [[m.PEERS, 10000 + 4 * i, m.RELAY, to_a, network.macs["g0"], network.macs["c0"], ""],
                      [m.PEERS, 10002 + 4 * i, m.RELAY, to_b, network.macs["g0"], network.macs["c0"], ""]]
        generator = m.Lines(m.inside(m.GEN, "taskset", "-c", m.CPU["generator"], os.path.join(tools or build, "mediagen"), "gen", "g0"))
        try:
            generator.ask({"flows": flows})
            napi = network.pin()
            rate = calls * PER_CALL
            generator.ask({"rate": rate, "seconds": 1.0})
            before = m.cpu_ns(relay.pids + napi)
            steady = generator.ask({"rate": rate, "seconds": SECONDS})
            time.sleep(1)  # what waits for its place in the audio
            used = m.cpu_ns(relay.pids + napi) - before
            stats = json.loads(m.run(os.path.join(build, "rtpferryctl"), f"--socket={relay.socket}", "--json", "stats").stdout)
            return {"us": used / 1000 / steady["sent"], "lost": 1 - steady["received"] / steady["sent"],
                    "kb_per_call": m.rss_kb(relay.pids[0]) / calls, "unrecorded": stats.get("recorder", {}).get("packets_lost", 0), "p99_us": steady["p99_us"]}
        finally:
            generator.close()
            relay.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--before", help="directory of another rtpferryd, such as that of the commit before; it takes part in the same rounds")
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=("sockets", "tc"), help="this one alone")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces")
        return 1
    if len(os.sched_getaffinity(0)) < 2:
        print("needs two cores: one for the generator")
        return 1
    kinds = [(engine, method) for engine in ("sockets", "tc") if arguments.engine in (None, engine) for method in ("-", "pcap", "audio", "all")]
    builds = {"": arguments.build} | ({"before": arguments.before} if arguments.before else {})
    rounds = {(*kind, build): [] for kind in kinds for build in builds}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.rounds):
            for kind in rounds:
                rounds[kind].append(measure(kind[0], recording_options(kind[1], directory), os.path.abspath(builds[kind[2]]), arguments.calls, directory,
                                            os.path.abspath(arguments.build)))
    print(f"{arguments.calls} calls in real time, {arguments.rounds} rounds of {SECONDS} s, 172 octets, one core for relay and recorder")
    print(f"{'engine':10}{'recorded':>10}{'build':>8}{'us CPU/packet':>15}{'calls/core':>12}{'of unrecorded':>15}{'lost':>8}{'not recorded':>14}{'p99 us':>9}")
    for kind, results in rounds.items():
        median = {key: statistics.median(r[key] for r in results) for key in results[0]}
        base = statistics.median(r["us"] for r in rounds[(kind[0], "-", kind[2])])
        print(f"{kind[0]:10}{kind[1]:>10}{kind[2]:>8}{median['us']:>15.2f}{1e6 / median['us'] / PER_CALL:>12,.0f}{base / median['us']:>15.2f}"
              f"{median['lost']:>8.2%}{median['unrecorded']:>14,.0f}{median['p99_us']:>9.0f}")
    for kind in kinds if arguments.before else []:
        # Rounds of both builds follow each other closely, so that a busy host slows both of a pair.
        ratio = statistics.median(now["us"] / then["us"] for now, then in zip(rounds[(*kind, "")], rounds[(*kind, "before")]))
        print(f"{kind[0]}, {kind[1]}: {ratio:.3f} of the CPU a packet of the build before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
