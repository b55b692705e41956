#!/usr/bin/env python3
"""Why there is no audio: twenty-one faults put into real calls over a network, each to be named with its party and direction, and two
hundred healthy calls of which nothing bad may be said. Then the record of calls, and what is kept of a bad one after its end.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ALICE, BOB, BOB6, RELAY4, Lab, Relay, Skip, inside, need, ns, run
from parties import SILENT, Ng, Party, Srtp, Stage, port_of, socket_in
from verdict import check, exit_status

OTHER = "192.0.2.11"     # a second host beside alice
RELAY4_ONLY = "203.0.113.2"
KEY_A = bytes(range(30))
KEY_B = bytes(range(30, 60))


def crypto(key):
    return f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(key).decode()}\r\n"


class Theatre:
    """A relay between alice and bob, and everybody who plays."""

    def __init__(self, lab, relay):
        self.lab, self.relay = lab, relay
        self.stage, self.ng = Stage(), Ng(ns("core"))
        self.port, self.ssrc = 4000, 1000

    def party(self, who):
        self.port += 4
        self.ssrc += 1
        party = Party(ns(who), ALICE if who == "alice" else BOB, self.port, self.ssrc)
        self.stage.parties.append(party)
        return party

    def call(self, name, a=None, b=None, offer=None, answer=None, **keys):
        """Offer and answer; both parties then know where to send, and talk unless told otherwise."""
        a, b = a or self.party("alice"), b or self.party("bob")
        reply = self.ng.ask("offer", name, from_tag="A", sdp=offer or a.sdp(), **keys)
        b.to = (RELAY4, port_of(reply))
        reply = self.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=answer or b.sdp(), **keys)
        if reply["result"] == "ok":
            a.to = (RELAY4, port_of(reply))
        a.on = b.on = True
        return a, b

    def explain(self, call, *more):
        return self.relay.ctl("explain", call, *more)


# Each fault: what is done to a call, and what is to be said: (party, direction, cause).

def void_address(t, name):
    a = t.party("alice")
    t.call(name, a, offer=a.sdp(address="10.9.9.9"))
    a.on = False
    return ("A", "from", "void-address")


def source_refused(t, name):
    a, _ = t.call(name)
    a.extra, real = [other(t, a)], a.socket
    a.socket = a.extra.pop()     # all of it comes from the other host
    real.close()
    return ("A", "from", "source-refused")


def other(t, party):
    return socket_in(party.where, OTHER, party.port)


def contested(t, name):
    a = t.party("alice")
    t.call(name, a, offer=a.sdp(address="10.9.9.9"))
    a.extra = [other(t, a)]
    return ("A", "from", "contested")


def old_port(t, name):
    a, b = t.call(name)
    moved = t.party("bob")

    def reinvite():
        t.ng.ask("offer", name, from_tag="A", to_tag="B", sdp=a.sdp())
        reply = t.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=moved.sdp())
        assert port_of(reply) != a.to[1], "the re-INVITE was to move alice's port"
        moved.to, moved.on, b.on = b.to, True, False
    t.stage.at(1.0, reinvite)
    return ("A", "from", "old-port")


def never_sent(t, name):
    t.call(name)[1].on = False
    return ("B", "from", "never-sent")


def stopped(t, name):
    a, _ = t.call(name)
    t.stage.at(1.5, lambda: setattr(a, "on", False))
    return ("A", "from", "stopped")


def only_rtcp(t, name):
    _, b = t.call(name)
    b.on, b.rtcp = False, True
    return ("B", "from", "only-rtcp")


def unknown_payload_type(t, name):
    t.call(name)[0].type = 97
    return ("A", "from", "unknown-payload-type")


def codec_mismatch(t, name):
    a, b = t.call(name)

    def reinvite():
        t.ng.ask("offer", name, from_tag="A", to_tag="B", sdp=a.sdp(types="0"))
        t.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp(types="0"))
        b.type = 0                # bob follows, alice does not
    t.stage.at(1.0, reinvite)
    return ("A", "from", "codec-mismatch")


def silence(t, name):
    t.call(name)[1].payload = SILENT
    return ("B", "from", "silence")


def no_key(t, name):
    a = t.party("alice")
    a.srtp = Srtp(KEY_A)
    _, b = t.call(name, a, offer=a.sdp(profile="RTP/SAVP", extra=crypto(KEY_A)))   # the answer is plain: refused
    a.to = (RELAY4, held_ports(t, name)["A"])
    b.on = False
    return ("A", "from", "no-key")


def held_ports(t, call):
    return {h["leg"] or "B": h["port"] for h in t.relay.ctl("ports", "--holders")["holders"] if h["call_id"] == call}


def secure_call(t, name, key_of_a=KEY_A):
    a, b = t.party("alice"), t.party("bob")
    a.srtp, b.srtp = Srtp(key_of_a), Srtp(KEY_B)
    reply = t.ng.ask("offer", name, from_tag="A", sdp=a.sdp(profile="RTP/SAVP", extra=crypto(KEY_A)))
    b.to = (RELAY4, port_of(reply))
    tag = next(line.split()[0].split(":")[1] for line in reply["sdp"].splitlines() if "AES_CM_128_HMAC_SHA1_80" in line)
    reply = t.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp(profile="RTP/SAVP", extra=crypto(KEY_B).replace(":1 ", f":{tag} ")))
    a.to = (RELAY4, port_of(reply))
    a.on = b.on = True
    return a, b


def not_authentic(t, name):
    secure_call(t, name, key_of_a=bytes(30))
    return ("A", "from", "not-authentic")


def roll_over_mismatch(t, name):
    secure_call(t, name)[0].roll_over = 1
    return ("A", "from", "roll-over-mismatch")


def hold(t, name):
    a, b = t.call(name)

    def reinvite():
        t.ng.ask("offer", name, from_tag="A", to_tag="B", sdp=a.sdp(direction="sendonly"))
        t.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp(direction="recvonly"))
    t.stage.at(1.0, reinvite)
    return ("B", "from", "hold")


def icmp_unreachable(t, name):
    b = t.party("bob")
    t.call(name, b=b)
    b.on = False
    b.socket.close()              # bob's kernel answers for it
    return ("B", "to", "unreachable")


def no_neighbour(t, name):
    b = t.party("bob")
    t.call(name, b=b, answer=b.sdp(address="198.51.100.77"))   # on bob's link, and nobody
    b.on = False
    return ("B", "to", "no-route")


def no_route(t, name):
    b = t.party("bob")
    t.call(name, b=b, answer=b.sdp(address="203.0.113.200"))
    b.on = False
    return ("B", "to", "no-route")


def wrong_family(t, name):
    b = t.party("bob")
    t.call(name, b=b, answer=b.sdp(address=BOB6), direction=["only4", "only4"])   # that interface has no IPv6
    b.on = False
    return ("party 2", "to", "wrong-family")


def loop(t, name):
    t.call(name + "-other")
    port = held_ports(t, name + "-other")["A"]
    b = t.party("bob")
    t.call(name, b=b, answer=b.sdp(address=RELAY4, port=port))
    b.on = False
    return ("B", "to", "loop")


def rate_limited(t, name):
    t.call(name)[0].burst = 12    # 600 packets a second
    return ("A", "from", "rate-limited")


def local_firewall(t, name):
    b = t.party("bob")
    rule = f"table inet out {{ chain o {{ type filter hook output priority 0; ip daddr {BOB} udp dport {b.port} drop; }}; }}"
    run(*inside("core", "nft", "-f", "-"), input=rule)
    t.call(name, b=b)
    b.on = False
    # The kernel's programs come before this filter (docs/operations.md), and forward to a party that only listens, too (LAT-12).
    return ("B", "to", "local-firewall" if t.relay.offload == "off" else "fine")


FAULTS = [void_address, source_refused, contested, old_port, never_sent, stopped, only_rtcp, unknown_payload_type, codec_mismatch, silence,
          no_key, not_authentic, roll_over_mismatch, hold, icmp_unreachable, no_neighbour, no_route, wrong_family, loop, rate_limited,
          local_firewall]


def verdict(reply, leg, direction):
    return next((v for v in reply.get("verdicts", []) if (v["leg"], v["direction"]) == (leg, direction)), {})


def faults(t):
    expected = {}
    for fault in FAULTS:
        expected[fault.__name__] = fault(t, fault.__name__)
    t.stage.play(8.5)
    for name, (leg, direction, cause) in expected.items():
        reply = t.explain(name)
        said = verdict(reply, leg, direction)
        check(said.get("cause") == cause and bool(said.get("evidence") or cause in ("hold", "loop", "wrong-family")),
              f"{name}: {direction} {leg}: {said.get('cause')}: {said.get('sentence')}")
        if said.get("cause") != cause:
            print(json.dumps(reply, indent=1))
        # Nothing is said against who does it right.
        other_leg = {"A": "B"}.get(leg, "A")
        if name in ("source_refused", "stopped", "unknown_payload_type", "silence", "rate_limited", "codec_mismatch", "never_sent", "only_rtcp"):
            right = verdict(reply, other_leg, "from")
            check(right.get("severity") != "fault", f"{name}: nothing is said against {other_leg}: {right.get('cause')}")
    advice = verdict(t.explain("source_refused"), "A", "from")
    check("received-from" in json.dumps(advice) and OTHER in advice["sentence"] + json.dumps(advice["evidence"]),
          "the refused source is named, with the option that would allow it")
    return expected


def after_the_end(t):
    """A call that ended badly is explained afterwards, with the packets of its last seconds."""
    t.ng.ask("delete", "stopped", from_tag="A", delete_delay=0)
    reply = t.explain("stopped", "--packets")
    packets = [p for f in reply.get("flight", []) for p in f["packets"] if f["leg"] == "A"]
    check(reply.get("state") == "ended" and verdict(reply, "A", "from").get("cause") == "stopped" and len(packets) > 0,
          f"after its end the call is still explained, with {len(packets)} packets of alice in its flight recorder")
    t.ng.ask("delete", "unknown_payload_type", from_tag="A", delete_delay=0)
    reply = t.explain("unknown_payload_type", "--packets")
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
    stranger = other(t, a)
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


def healthy(t, count):
    """Kinds of calls that are as they should be."""
    calls = []

    def hold(name, direction, back):
        a, b = t.call(name)

        def reinvite():
            t.ng.ask("offer", name, from_tag="A", to_tag="B", sdp=a.sdp(direction=direction))
            t.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp(direction=back))
            if direction in ("inactive", "recvonly"):
                a.on = False
            if back in ("inactive", "recvonly"):
                b.on = False
        t.stage.at(1.0, reinvite)

    def late(name):
        a, b = t.call(name)
        a.on = b.on = False
        t.stage.at(3.5, lambda: (setattr(a, "on", True), setattr(b, "on", True)))

    def dtx(name):
        a, b = t.call(name, offer=None)
        types = "8 0 13"
        t.ng.ask("offer", name, from_tag="A", to_tag="B", sdp=a.sdp(types=types))
        t.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp(types=types))

        def pause():
            b.type, b.payload, b.every = 13, b"\x40", 100     # comfort noise every two seconds

        def deeper():
            b.on = False                                      # and then none: the noise does not change
        t.stage.at(1.5, pause)
        t.stage.at(3.6, deeper)

    def early(name):
        a, b = t.party("alice"), t.party("bob")
        reply = t.ng.ask("offer", name, from_tag="A", sdp=a.sdp())
        b.to, b.on = (RELAY4, port_of(reply)), True           # before its SDP came

        def answer():
            reply = t.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp())
            a.to, a.on = (RELAY4, port_of(reply)), True
        t.stage.at(1.5, answer)

    def muted_later(name):
        a, _ = t.call(name)
        t.stage.at(2.0, lambda: setattr(a, "payload", SILENT))

    kinds = [lambda n: t.call(n), lambda n: hold(n, "sendonly", "recvonly"), lambda n: hold(n, "recvonly", "sendonly"),
             lambda n: hold(n, "inactive", "inactive"), late, dtx, early, muted_later, lambda n: secure_call(t, n),
             lambda n: t.ng.ask("offer", n, from_tag="A", sdp=t.party("alice").sdp())]           # rings
    for i in range(count):
        name = f"healthy-{i}"
        calls.append(name)
        kinds[i % len(kinds)](name)
    t.stage.play(8.0)
    accused = []
    for name in calls:
        for v in t.explain(name).get("verdicts", [{"severity": "fault", "sentence": "no verdict at all", "cause": "none"}]):
            if v["severity"] == "fault":
                accused.append((name, v["cause"], v["sentence"]))
    check(not accused, f"{count} healthy calls, nothing is said against them: {accused[:6]}")
    for name in calls:
        t.ng.ask("delete", name, from_tag="A", delete_delay=0)
    records = {}
    for line in t.lab.log("relay.log").splitlines():
        if '"cdr":' in line:
            record = json.loads(line)["cdr"]
            records[record["call_id"]] = record
    mine = [records[name] for name in calls if name in records]
    check(len(mine) == count and all(r["severity"] != "fault" for r in mine), f"{len(mine)} records of them (cdr), none with a fault")
    plain = records.get("healthy-0", {"streams": []})
    check([s["from"] for s in plain["streams"]] == ["fine", "fine"] and all(s["mos"] > 4 for s in plain["streams"]),
          f"the record of a plain call: {json.dumps(plain)}")
    for party in list(t.stage.parties):
        party.close()
    t.stage.parties.clear()


def offload_options(mode):
    """The relay's addresses are on loopback: the links are named."""
    return ["--offload=off"] if mode == "off" else [f"--offload={link}={mode}" for link in ("c-alice", "c-bob")]


def play(build, offload, count):
    need("ip", "nft", "tshark")
    with Lab() as lab:
        run(*inside("alice", "ip", "addr", "add", OTHER + "/24", "dev", "eth0"))
        run(*inside("core", "ip", "addr", "add", RELAY4_ONLY + "/32", "dev", "lo"))
        options = ["--log-format=json", *offload_options(offload), "--log-level=7", "--timeout=60", "--delete-delay=0", "--num-threads=1", f"--interface=only4/{RELAY4_ONLY}"]
        relay = Relay(lab, build, *options)
        relay.offload = offload
        t = Theatre(lab, relay)
        print(f"--- offload {offload}", flush=True)
        faults(t)
        after_the_end(t)
        for party in list(t.stage.parties):
            party.close()
        t.stage.parties.clear()
        trace_and_where(t)
        for party in list(t.stage.parties):
            party.close()
        t.stage.parties.clear()
        healthy(t, count)
        logged = lab.log("relay.log")
        shown = [address for address in (ALICE, BOB, BOB6, OTHER, "10.9.9.9") if address in logged]
        check('"cdr":' in logged and not shown, f"CTL-11: no address of a party in the log, not in its records either {shown}")
        print(f"the clock of the parties was late by {t.stage.late * 1000:.0f} ms at most", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--offload", default="off,tc")
    parser.add_argument("--healthy", type=int, default=200)
    arguments = parser.parse_args()
    try:
        for offload in arguments.offload.split(","):
            play(os.path.abspath(arguments.build), offload, arguments.healthy)
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    except Exception:
        traceback.print_exc()
        return 1
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
