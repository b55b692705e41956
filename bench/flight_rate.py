#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the flight recorder costs: calls in real time through sockets and through the kernel (tc), with flight-recorder=off,
user and all, interleaved in one run: CPU a packet of relay and interface thread, and memory of the whole process by call.

With --before another build of this relay takes part in the same rounds, such as that of a commit before; the last column
is this build's CPU a packet as a share of that build's.
"""

import argparse
import os
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from recording_rate import PER_CALL, SECONDS, measure

MODES = ("off", "user", "all")


def medians(results):
    return {key: statistics.median(r[key] for r in results) for key in results[0]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--before", help="directory of another rtpferryd")
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("needs root: it makes network namespaces")
        return 1
    if len(os.sched_getaffinity(0)) < 2:
        print("needs two cores: one for the generator")
        return 1
    builds = {"before": arguments.before, "this": arguments.build} if arguments.before else {"this": arguments.build}
    rounds = {(engine, mode, name): [] for engine in ("sockets", "tc") for mode in MODES for name in builds}
    with tempfile.TemporaryDirectory() as directory:
        for _ in range(arguments.rounds):
            for (engine, mode, name), results in rounds.items():
                options = [f"--flight-recorder={mode}"]
                results.append(measure(engine, options, os.path.abspath(builds[name]), arguments.calls, directory, os.path.abspath(arguments.build)))
    print(f"{arguments.calls} calls in real time, {arguments.rounds} rounds of {SECONDS} s, 172 octets, one core for the relay")
    print(f"{'engine':10}{'flight':>8}{'build':>8}{'us CPU/packet':>15}{'calls/core':>12}{'of off':>8}{'lost':>8}"
          f"{'process kB/call':>17}{'p99 us':>9}{'CPU of before':>15}")
    for (engine, mode, name), results in rounds.items():
        median = medians(results)
        off = medians(rounds[(engine, "off", name)])["us"]
        of_before = ""
        if name == "this" and arguments.before:
            of_before = f"{median['us'] / medians(rounds[(engine, mode, 'before')])['us']:.3f}"
        print(f"{engine:10}{mode:>8}{name:>8}{median['us']:>15.2f}{1e6 / median['us'] / PER_CALL:>12,.0f}{off / median['us']:>8.2f}"
              f"{median['lost']:>8.2%}{median['kb_per_call']:>17.1f}{median['p99_us']:>9.0f}{of_before:>15}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
