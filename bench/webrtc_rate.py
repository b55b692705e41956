#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Browsers on one core: DTLS handshakes a second, legs with audio and video of 1.5 Mbit/s, memory of a leg. rtpferryd with a BUNDLE
group on a port of its own, on one port for all (`ice-port`, if the build has it), and with a port for each section, beside Debian's
rtpengine (user space), interleaved in one run.

A leg is a browser that calls a plain phone, or is called by one, in turn: full ICE, DTLS-SRTP with actpass, rtcp-mux; PCMA and VP8, 50 and
150 packets/s, both ways, so 400 packets/s of the relay. `webrtcgen` is all browsers and all phones. One core has it, the other everything of
the relay: its process and the kernel thread of its interface (threaded NAPI), whose CPU time is added. A leg is set up from the NG offer until
the browser has its keys; before anything is counted, each side of each call has heard the other's packets, decrypted and found to be its own.

Figures are medians of the rounds. "Legs loss-free" is the highest number with at most 0.1 % lost in a step; "by CPU" follows from the CPU time
of a packet that arrived, or of a handshake. Memory is measured once, with all relays side by side: growth of the resident set by a leg right
after its handshake, and 32 s later, when rtpferryd keeps no handshake for late repetitions any more.
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

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import media_rate as m

# Names of its own: its test leaves another bench's network alone.
m.GEN, m.CORE = "ferry-web-gen", "ferry-web-core"
BEFORE = m.BEFORE
PER_LEG = 400  # packets/s
ICE_PORT = 3478
WARM = 8  # legs that are not counted: what is allocated once
LOSS = 0.001
# Receive buffer that the daemon asks for at its one port (docs/operations.md).
ONE_PORT_BUFFER = 8388608

# Words of NG by the party that the offer goes to. What the other side has, each relay answers by itself.
PHONE = {"transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": ["demux"], "replace": ["origin"]}
BROWSER = {"flags": ["WebRTC"], "replace": ["origin"]}
# A browser without BUNDLE, as every relay can offer it.
APART = {"transport-protocol": "UDP/TLS/RTP/SAVPF", "ICE": "force", "rtcp-mux": ["offer", "require"], "replace": ["origin"],
         "flags": ["generate-mid", "SDES-off", "no-rtcp-attribute", "trickle-ICE"]}
KINDS = {
    "rtpferryd": ([], BROWSER),
    "rtpferryd one port": ([f"--ice-port={ICE_PORT}"], BROWSER),
    "rtpferryd no BUNDLE": (["--bundle=ignore"], APART),
    # It knows no groups: each section of the browser has a port, ICE and a handshake of its own.
    "rtpengine": ([], APART),
}


def plain(kind):
    return kind.removesuffix(BEFORE)


class Network(m.Network):
    """With addresses for several relays, each with browsers at an even address and phones at an odd one."""

    PLACES = 8

    def __enter__(self):
        super().__enter__()
        for place in range(self.PLACES):
            m.run(*m.inside(m.CORE, "ip", "addr", "add", self.relay(place) + "/24", "dev", "c0"))
            m.run(*m.inside(m.GEN, "ip", "neigh", "replace", self.relay(place), "lladdr", self.macs["c0"], "dev", "g0", "nud", "permanent"))
            for address in self.parties(place):
                m.run(*m.inside(m.GEN, "ip", "addr", "add", address + "/24", "dev", "g0"))
                m.run(*m.inside(m.CORE, "ip", "neigh", "replace", address, "lladdr", self.macs["g0"], "dev", "c0", "nud", "permanent"))
        return self

    @staticmethod
    def relay(place):
        return f"10.99.0.{10 + place}"

    @staticmethod
    def parties(place):
        return f"10.99.0.{100 + 2 * place}", f"10.99.0.{101 + 2 * place}"


class Load:
    """A relay and its browsers and phones."""

    def __init__(self, kind, build, tools, network, log, place=0, counts=True):
        options, to_browser = KINDS[plain(kind)]
        self.kind, self.generator = kind, None
        ng = f"127.0.0.1:{2223 + place}"
        command = ["--config-file=none", f"--interface={network.relay(place)}", f"--listen-ng={ng}", "--log-level=3", "--num-threads=1",
                   "--port-min=20000", "--port-max=60000", "--delete-delay=0", "--timeout=3600"]
        if kind == "rtpengine":
            command = ["rtpengine", *command, "--foreground", "--log-stderr", "--table=-1"]
        else:
            command = [os.path.join(build, "rtpferryd"), *command, "--control-socket=none", "--offload=c0=off", *options]
        # The namespace's command replaces itself, so that this is the relay's own process.
        self.process = subprocess.Popen(m.inside(m.CORE, "taskset", "-c", m.CPU["relay"], *command), stdout=log, stderr=log)
        browser, phone = network.parties(place)
        order = {"interface": "g0", "macs": [network.macs["g0"], network.macs["c0"]], "browser": browser, "phone": phone, "ng": ng,
                 "ng_namespace": f"/run/netns/{m.CORE}", "to_phone": PHONE, "to_browser": to_browser, "from": "both", "counts": counts}
        try:
            self.generator = m.Lines(m.inside(m.GEN, "taskset", "-c", m.CPU["generator"], os.path.join(tools, "webrtcgen")))
            self.order(order)
        except BaseException:
            self.stop()
            raise

    def order(self, order):
        """Hands an order to the generator and returns its answer; RuntimeError if there is none, or no good one."""
        try:
            told = self.generator.ask(order)
            problem = told.get("error")
        except (RuntimeError, BrokenPipeError, ValueError) as e:
            problem = str(e)
        if problem:
            ended = self.process.poll()
            raise RuntimeError(f"{self.kind}, {order.get('do', 'start')}: {problem}" + ("" if ended is None else f" (the relay ended with {ended})"))
        return told

    def ask(self, what, **more):
        return self.order({"do": what, **more})

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def stop(self):
        for process in (self.generator.process if self.generator else None, self.process):
            if process is None or process.poll() is not None:
                continue
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def set_up(load, calls, window, cpu=None):
    """`cpu` says the CPU time of everything of the relay."""
    before = cpu() if cpu else 0
    told = load.ask("set-up", calls=calls, window=window)
    used = (cpu() - before) / 1e6 if cpu else 0
    if told["handshakes"] == 0:
        raise RuntimeError(f"{load.kind}: no handshake was counted")
    if told["relay_ends"] != (1 if "one port" in load.kind else told["handshakes"]):
        raise RuntimeError(f"{load.kind}: {told['handshakes']} handshakes at {told['relay_ends']} ports")
    return {"legs_per_s": calls / told["seconds"], "handshakes_per_s": told["handshakes"] / told["seconds"],
            "handshakes_per_leg": told["handshakes"] / calls, "cpu_ms_per_leg": used / calls, "cpu_ms_per_handshake": used / told["handshakes"],
            "busy": used / 1000 / told["seconds"], "p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"]}, max(told["suites"], key=told["suites"].get)


def step(load, legs, seconds):
    told = load.ask("media", legs=legs, seconds=seconds)
    if told["sent"] == 0:
        raise RuntimeError(f"{load.kind}: nothing was sent")
    # Of one kind nothing: that is no small loss.
    told["lost"] = 1 if 0 in told["heard"] else max(0, 1 - told["received"] / told["sent"])
    told["is_offered"] = told["sent"] >= 0.97 * told["wanted"]
    return told


def search(load, first, most, seconds, steps=6):
    """The highest number of legs without loss, and whether something else than the relay was the limit."""
    good, bad, legs, generator_bound = 0, None, min(first, most), False
    for _ in range(steps):
        told = step(load, legs, seconds)
        if told["is_offered"] and told["lost"] <= LOSS:
            good = legs
            if good == most:
                return good, "all there were (--calls)"
        else:
            bad, generator_bound = legs, not told["is_offered"]
        legs = min(most, int(good * 1.4) + 1) if bad is None else (good + bad) // 2
        if bad is not None and bad - good <= max(1, 0.05 * bad):
            break
    if good == 0:
        return good, f"at {bad} legs more than {LOSS:.1%} was lost, too"
    return good, "generator-bound" if generator_bound else ""


def measure(kind, builds, arguments, directory):
    """One round of one relay."""
    with Network() as network, open(os.path.join(directory, "relay.log"), "a") as log:
        load = Load(kind, builds[kind], builds[""], network, log)
        try:
            napi = network.pin()

            def cpu():
                return m.cpu_ns([load.process.pid, *napi])
            set_up(load, min(WARM, arguments.calls), arguments.window)
            result, suite = set_up(load, arguments.calls, arguments.window, cpu)
            load.ask("prove")
            legs = max(1, min(arguments.calls, arguments.steady))
            step(load, legs, min(1, arguments.seconds))  # what grows once
            before = cpu()
            steady = step(load, legs, 2 * arguments.seconds)
            if steady["lost"] == 1:
                raise RuntimeError(f"{kind}: of {steady['sent']} packets arrived as audio at browsers and phones, as video at both: {steady['heard']}")
            result["us_per_packet"] = (cpu() - before) / 1000 / steady["received"]
            result["steady_lost"] = steady["lost"]
            result["legs_by_cpu"] = 1e6 / result["us_per_packet"] / PER_LEG
            most = arguments.calls + min(WARM, arguments.calls)
            result["loss_free"], limit = search(load, max(1, int(0.8 * result["legs_by_cpu"])), most, arguments.seconds)
            return result, {"suite": suite, "limit": limit}
        finally:
            load.stop()


def memory(kinds, builds, arguments, directory):
    """By kind: kB a leg just after the handshakes, at rest, and of as many legs more; descriptors a leg. All relays side by side, because the
    rest takes its time."""
    loads, figures = {}, {}
    with Network() as network, open(os.path.join(directory, "relay.log"), "a") as log:
        try:
            for place, kind in enumerate(kinds):
                loads[kind] = Load(kind, builds[kind], builds[""], network, log, place, counts=False)
            network.pin()
            for kind, load in loads.items():
                set_up(load, min(WARM, arguments.calls), arguments.window)
                load.rss, load.files = m.rss_kb(load.process.pid), load.descriptors()
                set_up(load, arguments.calls, arguments.window)
                figures[kind] = {"kb_at_once": (m.rss_kb(load.process.pid) - load.rss) / arguments.calls,
                                 "descriptors": (load.descriptors() - load.files) / arguments.calls}
            time.sleep(arguments.rest)
            for kind, load in loads.items():
                rested = m.rss_kb(load.process.pid)
                figures[kind]["kb_at_rest"] = (rested - load.rss) / arguments.calls
                set_up(load, arguments.calls, arguments.window)
                figures[kind]["kb_of_next"] = (m.rss_kb(load.process.pid) - rested) / arguments.calls
                if arguments.calls >= 50 and figures[kind]["kb_at_once"] <= 0:
                    raise RuntimeError(f"{kind}: {arguments.calls} legs took no memory: {figures[kind]}")
        finally:
            for load in loads.values():
                load.stop()
    return figures


def choose(arguments):
    """The kinds of this run; what is left out is said."""
    kinds = []
    for kind in arguments.only or KINDS:
        if kind not in KINDS:
            raise SystemExit(f"no such kind: {kind} (there are: {', '.join(KINDS)})")
        if kind == "rtpengine" and shutil.which("rtpengine") is None:
            print("rtpengine is not installed: no peer beside (tools/setup.sh bench)")
            continue
        for name, build in [(kind, arguments.build)] + ([(kind + BEFORE, arguments.before)] if arguments.before and kind != "rtpengine" else []):
            if "one port" in kind and "--ice-port" not in m.run(os.path.join(build, "rtpferryd"), "--help").stdout:
                print(f"{name}: left out, this build has no option ice-port")
                continue
            kinds.append(name)
    if not kinds:
        raise SystemExit("nothing is left to be measured")
    if len(kinds) > Network.PLACES:
        raise SystemExit(f"at most {Network.PLACES} kinds at once")
    return kinds


def print_tables(kinds, medians, notes, rounds, arguments):
    base = medians.get("rtpengine")

    def of(kind, key, down=False):
        if not base or not base.get(key) or not medians[kind].get(key):
            return "-"
        return f"{base[key] / medians[kind][key] if down else medians[kind][key] / base[key]:.1f}"

    print(f"\n{arguments.calls} legs, {arguments.rounds} rounds, {arguments.window} being set up at a time, one core for the relay")
    print(f"{'':28}{'legs/s':>9}{'handshakes/s':>14}{'core busy':>11}{'a leg':>7}{'ms CPU/handshake':>18}{'ratio':>7}{'a core by CPU':>15}{'ms CPU/leg':>12}{'ratio':>7}"
          f"{'p50 ms':>9}{'p99 ms':>9}  suite")
    for kind in kinds:
        r = medians[kind]
        print(f"{kind:28}{r['legs_per_s']:>9,.0f}{r['handshakes_per_s']:>14,.0f}{r['busy']:>11.0%}{r['handshakes_per_leg']:>7.1f}{r['cpu_ms_per_handshake']:>18.2f}"
              f"{of(kind, 'cpu_ms_per_handshake', True):>7}{1000 / r['cpu_ms_per_handshake']:>15,.0f}{r['cpu_ms_per_leg']:>12.2f}{of(kind, 'cpu_ms_per_leg', True):>7}"
              f"{r['p50_ms']:>9.1f}{r['p99_ms']:>9.1f}  {notes[kind]['suite']}")
    print("Where the relay's core was not busy, the generator or somebody else on this machine was the limit.")
    at_steady = f"lost at {min(arguments.steady, arguments.calls)}"
    print(f"\n{'audio and 1.5 Mbit/s, 2 ways':28}{'us CPU/packet':>15}{'ratio':>7}{'legs by CPU':>13}{at_steady:>13}{'legs loss-free':>16}{'ratio':>7}")
    for kind in kinds:
        r = medians[kind]
        print(f"{kind:28}{r['us_per_packet']:>15.2f}{of(kind, 'us_per_packet', True):>7}{r['legs_by_cpu']:>13,.0f}{r['steady_lost']:>13.2%}{r['loss_free']:>16,.0f}"
              f"{of(kind, 'loss_free'):>7}  {notes[kind]['limit']}{'  CPU while much was lost' if r['steady_lost'] > 0.01 else ''}")
    if any("kb_at_once" in r for r in medians.values()):
        print(f"\n{'resident memory':28}{'kB/leg':>9}{'ratio':>7}{f'{arguments.rest:g} s later':>13}{'of the next':>13}{'descriptors/leg':>17}")
        for kind in kinds:
            r = medians[kind]
            print(f"{kind:28}{r['kb_at_once']:>9.1f}{of(kind, 'kb_at_once', True):>7}{r['kb_at_rest']:>13.1f}{r['kb_of_next']:>13.1f}{r['descriptors']:>17.1f}")
        print(f"'Of the next': kB a leg of {arguments.calls} legs that came after that, into what the allocator had got back.")
    if "rtpengine" in kinds:
        print("rtpengine answers without a group: two transports and two handshakes a leg, as with rtpferryd no BUNDLE.")
    for kind in kinds:
        if kind + BEFORE in medians:
            # Rounds of both builds follow each other closely, so that a busy host slows both of a pair.
            ratios = {key: statistics.median(now[key] / then[key] for now, then in zip(rounds[kind], rounds[kind + BEFORE]))
                      for key in ("cpu_ms_per_handshake", "us_per_packet")}
            print(f"{kind}, beside the build before: {ratios['cpu_ms_per_handshake']:.3f} of the CPU a handshake, {ratios['us_per_packet']:.3f} of the CPU a packet")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--before", help="directory of another rtpferryd, such as that of the commit before; it takes part in the same rounds")
    parser.add_argument("--calls", type=int, default=600, help="legs that are set up; no more can carry media")
    parser.add_argument("--steady", type=int, default=100, help="legs that send while the CPU time of a packet is measured")
    parser.add_argument("--window", type=int, default=32, help="legs that are being set up at a time")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1, help="time of a step with media")
    parser.add_argument("--rest", type=float, default=32, help="seconds before the memory at rest is read; 0: memory is not measured")
    parser.add_argument("--limit", type=float, default=180, help="no round begins that would make the run longer than so many seconds")
    parser.add_argument("--json")
    parser.add_argument("--only", action="append", metavar="KIND", help=f"one of: {', '.join(KINDS)}")
    arguments = parser.parse_args()
    if problem := m.unusable("ethtool"):
        print(problem)
        return 77
    kinds = choose(arguments)
    builds = {kind: os.path.abspath(arguments.before if kind.endswith(BEFORE) else arguments.build) for kind in kinds}
    builds[""] = os.path.abspath(arguments.build)  # of the generator
    largest = int(open("/proc/sys/net/core/rmem_max").read())
    if largest < ONE_PORT_BUFFER and any("one port" in kind for kind in kinds):
        print(f"net.core.rmem_max is {largest}: the one port gets less than the {ONE_PORT_BUFFER} octets of buffer that docs/operations.md names")
    rounds, notes, figures, problem = {kind: [] for kind in kinds}, {}, {}, None
    with tempfile.TemporaryDirectory() as directory:
        try:
            start, longest = time.monotonic(), 0
            for at in range(arguments.rounds):
                began = time.monotonic()
                if at > 0 and began - start + longest + arguments.rest > arguments.limit:
                    print(f"{at} of {arguments.rounds} rounds: another would take longer than {arguments.limit:g} s in all (--limit)")
                    arguments.rounds = at
                    break
                for kind in kinds[::-1 if at % 2 else 1]:
                    result, notes[kind] = measure(kind, builds, arguments, directory)
                    rounds[kind].append(result)
                longest = max(longest, time.monotonic() - began)
            if arguments.rest:
                figures = memory(kinds, builds, arguments, directory)
        except RuntimeError as e:
            problem = e
            with open(os.path.join(directory, "relay.log"), errors="replace") as log:
                print("".join(log.readlines()[-20:]), file=sys.stderr)
    # What was measured before something went wrong is told as well.
    rounds = {kind: results for kind, results in rounds.items() if results}
    medians = {kind: {key: statistics.median(r[key] for r in results) for key in results[0]} | figures.get(kind, {}) for kind, results in rounds.items()}
    if medians:
        print_tables(list(medians), medians, notes, rounds, arguments)
    if problem:
        print(f"FAILED: {problem}", file=sys.stderr)
        return 1
    if arguments.json:
        with open(arguments.json, "w") as f:
            json.dump({"calls": arguments.calls, "medians": medians, "notes": notes, "rounds": rounds}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
