#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Why there is no audio: calls with a fault each, and calls in which nothing is wrong, all at the same time over a network. Of each call
every row that `explain` gives (party, direction, m-line) is compared with what the scene says (scenes/). Then packet traces, the records
of calls, and what is kept of a bad one after its end.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ALICE, BOB, BOB6, Lab, Relay, Skip, inside, keep_pace, need, run
from scenes import arriving, healthy, keys, leaving, quality, signalling  # noqa: F401  their scenes register themselves
from scenes import webrtc
from scenes.theatre import FAULTS, FINE, HEALTHY, HEARD, OTHER, SECONDS, WINDOW, Theatre, row_name, unheard, wrong_rows
from verdict import check, exit_status

RELAY4_ONLY = "203.0.113.2"
LATE = 0.5               # seconds: parties that are kept waiting longer stand still by themselves


def without_dtls(scenes):
    """All scenes, or those that need no DTLS where its ends cannot be made."""
    try:
        webrtc.ends()
        return scenes
    except ImportError as reason:
        print(f"skipped the scenes with DTLS: {reason}", flush=True)
        return [(name, play) for name, play in scenes if not name.startswith(("dtls", "wrong-fingerprint"))]


def verdict(reply, leg, direction):
    return next((v for v in reply.get("verdicts", []) if (v["leg"], v["direction"]) == (leg, direction)), {})


def judge(name, reply, expected):
    wrong = wrong_rows(reply, expected)
    check(not wrong, f"{name}: {'; '.join(wrong) if wrong else 'all ' + str(len(expected)) + ' rows'}")
    if wrong and SHOWN:
        print(json.dumps(reply, indent=1))


SHOWN = False            # whole explanations of what is wrong


def scenes(t, count, only):
    """Plays everything at once, and asks once for each call."""
    expected = {}
    chosen = [(name, play) for name, play in without_dtls(FAULTS + HEALTHY) if only in name]
    for name, play in chosen:
        expected[name] = play(t, name)
    copies = [f"healthy-{i}" for i in range(count)]
    for name in copies:
        t.call(name)
        expected[name] = FINE
    replies, early, heard = {}, [], {}

    def begin():
        heard.update({name: t.counts(name) for name in expected})

    def ask(name):
        replies[name] = t.explain(name)
        heard[name] = unheard(heard[name], t.counts(name))
    t.stage.at(SECONDS - WINDOW, begin)
    for seconds, name, rows in t.early:
        t.stage.at(seconds, lambda name=name, rows=rows, seconds=seconds: early.append((f"{name} after {seconds:.0f} s", t.explain(name), rows)))
    for i, name in enumerate(expected):
        t.stage.at(SECONDS + i * 0.004, lambda name=name: ask(name))
    t.stage.play(SECONDS + len(expected) * 0.004 + 0.1)
    if t.relay.offload != "off" and not only:
        flows = t.ask("engines")["flows"]
        check(flows >= len(expected), f"{flows} flows of {len(expected)} calls are in the kernel")
    check(t.stage.late < LATE, f"the clock of the {len(t.stage.parties)} parties was late by {t.stage.late * 1000:.0f} ms at most")
    for asked in early:
        judge(*asked)
    for name, _ in chosen:
        judge(name, replies[name], expected[name])
    deaf = {f"{name}: {row}": f"{share:.0%}" for name, rows in heard.items() for row, share in rows.items()}
    said = {f"{name}: {row_name(v)}" for name, reply in replies.items() for v in reply.get("verdicts", []) if v["severity"] == "fine"}
    wrong = {row: share for row, share in deaf.items() if row in said}
    check(not wrong, f"{len(deaf)} listeners got less than {HEARD:.0%} of what was spoken to them, and the row of none is fine {wrong}")
    accused = [f"{name}: {'; '.join(wrong)}" for name in copies if (wrong := wrong_rows(replies[name], FINE))]
    check(not accused, f"{len(copies)} plain calls more, everybody hears everybody {accused[:3]}")
    return [name for name, _ in HEALTHY if name in expected] + copies, replies


def after_the_end(t):
    """A call that ended badly is explained afterwards, with the packets of its last seconds."""
    t.ng.ask("delete", "stopped", from_tag="A", delete_delay=0)
    reply = t.relay.ctl("explain", "stopped", "--packets")
    packets = [p for f in reply.get("flight", []) for p in f["packets"] if f["leg"] == "A"]
    check(reply.get("state") == "ended" and verdict(reply, "A", "from").get("cause") == "stopped" and len(packets) > 0,
          f"after its end the call is still explained, with {len(packets)} packets of alice in its flight recorder")
    t.ng.ask("delete", "unknown-payload-type", from_tag="A", delete_delay=0)
    reply = t.relay.ctl("explain", "unknown-payload-type", "--packets")
    packets = [p for f in reply.get("flight", []) for p in f["packets"] if f["leg"] == "A"]
    ages = [-p["t"] for p in packets]
    check(len(packets) > 300 and bool(ages) and all(p["verdict"] == "unknown-payload-type" for p in packets) and max(ages) <= 10,
          f"{len(packets)} refused packets with their verdicts, the oldest of {max(ages or [0]):.1f} s ago")
    t.ng.ask("delete", "hold", from_tag="A", delete_delay=0)
    check("error" in t.explain("hold"), "a call that ended well is not kept")


def trace_and_where(t):
    a, b = t.call("traced")
    t.stage.play(0.5)
    where = t.relay.ctl("where", "traced", f"from={ALICE}:{a.port}", f"to={a.to[1]}", "type=8", f"ssrc={a.ssrc}", f"seq={a.sequence + 1}")
    check(where.get("verdict") == "forward" and where["sinks"][0]["to"] == f"{BOB}:{b.port}", f"where: a packet of alice goes to bob: {where}")
    where = t.relay.ctl("where", "traced", f"from={OTHER}:9", f"to={a.to[1]}", "type=8")
    check(where.get("verdict") == "drop" and where["reason"] == "foreign-source", f"where: a stranger's is dropped: {where}")
    where = t.relay.ctl("where", "traced", f"from={ALICE}:{a.port}", f"to={a.to[1]}", "type=77", f"ssrc={a.ssrc}", f"seq={a.sequence + 1}")
    check(where.get("verdict") == "forward", f"where: a payload type that no SDP has passes from a locked source (DMX-4): {where}")
    where = t.relay.ctl("where", "traced", f"from={ALICE}:{a.port}", f"to={a.to[1]}", "type=77", f"ssrc={a.ssrc + 1}", "seq=1")
    check(where.get("reason") == "unknown-payload-type", "where: it admits no SSRC")
    path = t.lab.path("traced.pcap")
    tracing = [subprocess.Popen([os.path.join(t.relay.build, "rtpferryctl"), f"--socket={t.relay.socket}", *words, "trace", "traced", "--count=150", "--seconds=5"],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for words in (["--json"],)]
    tracing.append(subprocess.Popen([os.path.join(t.relay.build, "rtpferryctl"), f"--socket={t.relay.socket}", "trace", "traced", "--count=150", "--seconds=5", f"--pcap={path}"],
                                    stderr=subprocess.PIPE, text=True))
    stranger = t.stranger(a)
    t.stage.at(0.8, lambda: stranger.sendto(a.packet(), a.to))
    t.stage.play(2.0)
    out = [p.communicate(timeout=10) for p in tracing]
    lines = [json.loads(line) for line in out[0][0].splitlines()]
    packets = [line for line in lines if "verdict" in line]
    senders = {p["from"] for p in packets}
    check(len(packets) == 150 and {f"{ALICE}:{a.port}", f"{BOB}:{b.port}"} <= senders and all(len(p["start"]) >= 24 for p in packets),
          f"trace: {len(packets)} packets of both, from {sorted(senders)}")
    if t.relay.offload == "off":
        check(any(p["verdict"] == "foreign-source" and p["from"].startswith(OTHER) for p in packets), "trace: the stranger's packet has its verdict")
    counted = run("tshark", "-r", path, "-d", "udp.port==1-65535,rtp", "-Y", "rtp", "-T", "fields", "-e", "rtp.ssrc", check=False).stdout.split()
    check(len(counted) > 140 and f"0x{a.ssrc:08x}" in counted, f"trace --pcap: tshark reads {len(counted)} RTP packets of it")
    if t.relay.offload != "off":
        check(t.relay.ctl("engines")["flows"] >= 2, "the traced call stays in the kernel")


def records(t, names):
    """The records of healthy calls (cdr) have no fault."""
    for name in names:
        t.ng.ask("delete", name, delete_delay=0)
    found = {}
    for line in t.lab.log("relay.log").splitlines():
        if '"cdr":' in line:
            record = json.loads(line)["cdr"]
            found[record["call_id"]] = record
    mine = {name: found[name] for name in names if name in found}
    bad = {name: record["severity"] for name, record in mine.items() if record["severity"] == "fault"}
    missing = [name for name in names if name not in found]
    check(not missing and not bad, f"{len(mine)} records of healthy calls (cdr), none with a fault: {bad}; none is missing: {missing}")
    plain = mine.get("plain", {"streams": []})
    check([s["from"] for s in plain["streams"]] == ["fine", "fine"] and all(s["mos"] > 4 for s in plain["streams"]),
          f"the record of a plain call: {json.dumps(plain)}")


def refusals(t):
    """Calls that were refused can be asked about, too, and each refusal is one warning in the log."""
    a = t.party("alice")
    sessions = t.relay.ctl("get", "max-sessions")["parameters"]["max-sessions"]

    def full(call):
        t.ask("set", name="max-sessions", value="1")
        try:
            return t.offer(call, a)
        finally:
            t.ask("set", name="max-sessions", value=str(sessions))
    refused = {"family": lambda call: t.offer(call, a, direction=["only4", "only4"], address_family="IP6"),
               "sessions": full,
               "sdp": lambda call: t.offer(call, a, "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nt=0 0\r\nm=audio x RTP/AVP 8\r\n"),
               "unknown-call": lambda call: t.answer(call, a)}
    for reason, ask in refused.items():
        call = f"refused-{reason}"
        reply = ask(call)
        told = t.explain(call)
        said = [(each["reason"], each["count"]) for each in told.get("refused", [])]
        check(reply["result"] == "error" and told.get("state") == "refused" and said == [(reason, 1)] and bool(told.get("summary")),
              f"{call}: {reply.get('error-reason')}: {told.get('summary') or told}")
        logged = [line for line in t.lab.log("relay.log").splitlines() if call in line and json.loads(line)["level"] == "warning"]
        check(len(logged) == 1, f"{call}: one warning in the log: {logged}")


def worst_first(t, well, replies):
    """`list` by severity: who hears nothing stands above who hears badly, and those above all others. Bad calls were told of in the log."""
    calls = t.ask("list", sort="severity", limit=len(replies))["calls"]
    place = {call["call_id"]: i for i, call in enumerate(calls)}
    order = ["stopped", "loss-percent-40", "loss-percent-5", "plain"]
    check(sorted(order, key=lambda name: place.get(name, -1)) == order, f"worst first: {[(name, place.get(name)) for name in order]} of {len(calls)}")
    grades = {"fault": 2, "note": 1, "fine": 0}
    ranks = [grades[call["severity"]] for call in calls]
    check(ranks == sorted(ranks, reverse=True), f"{ranks.count(2)} faults before {ranks.count(1)} notes before {ranks.count(0)} that are fine")
    other = {call["call_id"]: (call["severity"], replies[call["call_id"]]["severity"]) for call in calls
             if call["call_id"] in replies and (call["severity"] == "fault") != (replies[call["call_id"]]["severity"] == "fault")}
    check(len(other) <= len(calls) // 50, f"list and explain agree on what is a fault, but for what changed meanwhile: {other}")
    told = [json.loads(line)["message"] for line in t.lab.log("relay.log").splitlines() if "became bad" in line]
    wrong = [line for line in told if any(re.search(rf"call '?{re.escape(name)}'? became", line) for name in well)]
    check(len(told) >= 10 and not wrong, f"{len(told)} calls became bad in the log, none of them a healthy one {wrong[:3]}")


def offload_options(mode):
    """The relay's addresses are on loopback: the links are named."""
    return ["--offload=off"] if mode == "off" else [f"--offload={link}={mode}" for link in ("c-alice", "c-bob")]


def play(build, offload, count, only):
    need("ip", "nft", "tshark")
    with Lab() as lab:
        run(*inside("alice", "ip", "addr", "add", OTHER + "/24", "dev", "eth0"))
        for who in ("alice", "bob"):       # each closed port answers, not one of them a second
            run(*inside(who, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0"))
        run(*inside("core", "ip", "addr", "add", RELAY4_ONLY + "/32", "dev", "lo"))
        os.mkdir(lab.path("recordings"))
        options = ["--log-format=json", *offload_options(offload), "--log-level=7", "--timeout=60", "--delete-delay=0", "--num-threads=1", f"--interface=only4/{RELAY4_ONLY}", "--unheard-per-address=4", f"--recording-dir={lab.path('recordings')}"]
        relay = Relay(lab, build, *options)
        relay.offload = offload
        t = Theatre(lab, relay)
        print(f"--- offload {offload}", flush=True)
        began = time.monotonic()
        well, replies = scenes(t, count, only)
        if not only:
            worst_first(t, well, replies)
            refusals(t)
            advice = verdict(t.explain("source-refused"), "A", "from")
            check("received-from" in json.dumps(advice) and OTHER in advice["sentence"] + json.dumps(advice["evidence"]),
                  "the refused source is named, with the option that would allow it")
            after_the_end(t)
            records(t, well)
            t.stage.clear()
            trace_and_where(t)
            logged = lab.log("relay.log")
            shown = [address for address in (ALICE, BOB, BOB6, OTHER, "10.9.9.9") if address in logged]
            check('"cdr":' in logged and not shown, f"CTL-11: no address of a party in the log, not in its records either {shown}")
        t.stage.clear()
        print(f"{time.monotonic() - began:.0f} s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--offload", default="off,tc")
    parser.add_argument("--healthy", type=int, default=115, help="plain calls beside the scenes")
    parser.add_argument("--only", default="", help="scenes whose name has this in it, and nothing else")
    parser.add_argument("--show", action="store_true", help="print the whole explanation where a row is wrong")
    arguments = parser.parse_args()
    global SHOWN
    SHOWN = arguments.show
    keep_pace()
    try:
        for offload in arguments.offload.split(","):
            play(os.path.abspath(arguments.build), offload, arguments.healthy if not arguments.only else 0, arguments.only)
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    except Exception:
        traceback.print_exc()
        return 1
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
