#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The engine of DPDK on one core, beside DPDK's own testpmd (which swaps both ends of each packet, no more) with the same driver, the portable
engine, the kernel's forwarding and Debian's rtpengine, interleaved in one run over veth as in media_rate.py. Without hugepages.

"Most" is the most that came out in a second at any of the rates that were tried on the way to the loss-free one (0.1 %); cycles are those
of the relay's core (process and the kernel thread of its interface) for each of these packets. A poller's core is always busy, so its CPU time
below that is no measure.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import media_rate

DRIVERS = ("af_packet", "af_xdp")


def megahertz():
    """Of the relay's core. Cycles are for comparison on the same machine."""
    return next(float(line.split(":")[1]) for line in open("/proc/cpuinfo") if line.startswith("cpu MHz"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    parser.add_argument("--only", action="append")
    arguments = parser.parse_args()
    problem = media_rate.unusable("dpdk-testpmd")
    if problem:
        print(problem)
        return 1
    kinds = [kind for driver in DRIVERS for kind in (f"testpmd {driver}", f"rtpferryd dpdk {driver}")]
    kinds += ["rtpferryd sockets", "rtpferryd tc", "rtpferryd xdp", *(f"rtpferryd dpdk {driver} SRTP" for driver in DRIVERS), "rtpferryd sockets SRTP"]
    if shutil.which("rtpengine"):
        kinds.append("rtpengine")
    kinds = arguments.only or kinds
    rounds = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.rounds):
            for kind in kinds:
                rounds[kind].append(media_rate.measure(kind, os.path.abspath(arguments.build), arguments.calls, directory))
    medians = {kind: {key: statistics.median(r[key] for r in results) for key in results[0]} for kind, results in rounds.items()}
    base = medians.get("rtpengine")
    print(f"{arguments.calls} calls, {arguments.rounds} rounds, 172 octets, one core for the relay; the generator sends at most "
          f"{max(m['ceiling'] for m in medians.values()):,.0f}/s")
    print(f"{'':28}{'loss-free/s':>13}{'ratio':>7}{'of testpmd':>12}{'most/s':>11}{'of testpmd':>12}{'cycles/packet':>15}{'of testpmd':>12}{'p50 us':>9}{'p99 us':>9}")
    for kind, m in medians.items():
        peer = medians.get(f"testpmd {media_rate.driver_of(kind)}") if media_rate.driver_of(kind) and "SRTP" not in kind else None
        ratio = lambda key: f"{m[key] / peer[key]:.2f}" if peer and peer[key] else "-"
        latency = lambda which: "-" if "SRTP" in kind else f"{m[f'{which}_us at 50000']:.1f}"
        print(f"{kind:28}{m['loss_free']:>13,.0f}{m['loss_free'] / base['loss_free'] if base and base['loss_free'] else 0:>7.1f}{ratio('loss_free'):>12}{m['most']:>11,.0f}"
              f"{ratio('most'):>12}{m['us_per_packet_at_most'] * megahertz():>15,.0f}{ratio('us_per_packet_at_most'):>12}{latency('p50'):>9}{latency('p99'):>9}")
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump({"calls": arguments.calls, "medians": medians, "rounds": rounds}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
