#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Set-up rate, CPU and memory of a call: rtpferryd, by NG and by the rtpproxy protocol (U+L, D), beside Debian's
rtpengine, interleaved in one run. With --before another build of this relay takes part, such as that of the commit before,
and a change is judged against it.

The relay has one core, the generator the other. Both relays delete at once (delete-delay 0). Figures are medians of
the rounds; kernel memory (sockets) is the growth of the slab, printed beside user memory.
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

HERE = os.path.dirname(os.path.abspath(__file__))
KEYS = ("offer_answer_per_s", "delete_per_s", "cycle_per_s", "cpu_us_offer_answer", "cpu_us_delete", "user_kb_per_call",
        "kernel_kb_per_call", "errors")


def cores():
    available = sorted(os.sched_getaffinity(0))
    return (str(available[0]), str(available[1])) if len(available) > 1 else (str(available[0]),) * 2


def start(command, log):
    return subprocess.Popen(["taskset", "-c", cores()[0], *command], stdout=log, stderr=subprocess.STDOUT)


def rtpferryd(build, log, listen="--listen-ng=127.0.0.1:2777"):
    return start([os.path.join(build, "rtpferryd"), "--config-file=none", "--interface=127.0.0.1", listen,
                  "--control-socket=none", "--log-level=3", "--num-threads=1", "--port-min=20000", "--port-max=60000",
                  "--delete-delay=0"], log)


def rtpengine(log):
    return start(["rtpengine", "--config-file=none", "--interface=127.0.0.1", "--listen-ng=127.0.0.1:2777", "--foreground",
                  "--log-stderr", "--log-level=3", "--table=-1", "--num-threads=1", "--port-min=20000", "--port-max=60000",
                  "--delete-delay=0"], log)


def measure(generator, process, calls, window, protocol):
    time.sleep(1.0)  # both answer well before that; the figure is no part of what is measured
    if process.poll() is not None:
        raise RuntimeError(f"relay ended with {process.returncode}")
    result = subprocess.run(["taskset", "-c", cores()[1], generator, "--pid", str(process.pid), "--target", "127.0.0.1:2777",
                             "--calls", str(calls), "--window", str(window), "--protocol", protocol], capture_output=True, text=True, timeout=200)
    process.terminate()
    process.wait(20)
    if result.returncode != 0:
        raise RuntimeError(result.stderr)
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--calls", type=int, default=4500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--window", type=int, default=16, help="calls under way at a time")
    parser.add_argument("--before", help="directory of another rtpferryd: set-ups a second at least 0.95 and CPU of a deletion at most 1.05 of its")
    parser.add_argument("--json", help="write the result here")
    arguments = parser.parse_args()
    relays = {"rtpferryd": lambda log: rtpferryd(arguments.build, log),
              "by rtpproxy's": lambda log: rtpferryd(arguments.build, log, "--listen-rtpp=udp:127.0.0.1:2777")}
    if shutil.which("rtpengine"):
        relays["rtpengine"] = rtpengine
    else:
        print("rtpengine is not installed: no peer beside")
    if arguments.before:
        relays["before"] = lambda log: rtpferryd(arguments.before, log)
    generator = os.path.join(arguments.build, "ngload")
    rounds = {name: [] for name in relays}
    with tempfile.TemporaryFile() as log:
        for at in range(arguments.rounds):
            # The relay before has left the kernel sockets to free, which slows the next one: each comes first in turn.
            for name, launch in list(relays.items())[::-1 if at % 2 else 1]:
                rounds[name].append(measure(generator, launch(log), arguments.calls, arguments.window,
                                            "rtpproxy" if name == "by rtpproxy's" else "ng"))
    medians = {name: {key: statistics.median(r[key] for r in results) for key in KEYS} for name, results in rounds.items()}
    print(f"{arguments.calls} calls, {arguments.rounds} rounds, {arguments.window} under way, one core for the relay")
    print(f"{'':<24}" + "".join(f"{name:>14}" for name in medians) + ("         ratio" if "rtpengine" in medians else ""))
    for key in KEYS:
        values = [m[key] for m in medians.values()]
        peer = medians.get("rtpengine", {}).get(key)
        ratio = f"{values[0] / peer:>14.2f}" if peer else ""
        print(f"{key:<24}" + "".join(f"{v:>14.1f}" for v in values) + ratio)
    goals = {"at least 9,000 offer+answer/s": medians["rtpferryd"]["offer_answer_per_s"] >= 9000,
             "at most 6 kB of user memory a call": medians["rtpferryd"]["user_kb_per_call"] <= 6.0,
             "at least 9,000 U+L/s by the rtpproxy protocol": medians["by rtpproxy's"]["offer_answer_per_s"] >= 9000,
             "at most 6 kB of user memory a call by it": medians["by rtpproxy's"]["user_kb_per_call"] <= 6.0}
    if arguments.before:
        # Rounds of both follow each other closely, so that a busy host slows both of a pair.
        def ratio_of(key):
            return statistics.median(now[key] / before[key] for now, before in zip(rounds["rtpferryd"], rounds["before"]))
        setups, deletion = ratio_of("offer_answer_per_s"), ratio_of("cpu_us_delete")
        goals[f"at least 0.95 of the set-ups before ({setups:.3f})"] = setups >= 0.95
        goals[f"at most 1.05 of the CPU of a deletion before ({deletion:.3f})"] = deletion <= 1.05
    for goal, met in goals.items():
        print(f"{'met     ' if met else 'NOT MET '} {goal}")
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump({"rounds": rounds, "medians": medians}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
