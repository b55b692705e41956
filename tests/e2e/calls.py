#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls through a real Kamailio and the relay; the tone that each end hears is judged by sox.

Variants: plain, caller behind NAT, hold and resume, IPv4 to IPv6, fifty calls at once.
Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ALICE, BOB, BOB6, HOME, RELAY4, Capture, Lab, Relay, Skip, add_engine, heard_frequency, inside, need, need_engine, run, tone_pcap, wait_for

CALLER_HZ, CALLEE_HZ = 440, 700

SDP = """v=0
      o=- 53655765 2353687637 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 8
      a=rtpmap:8 PCMA/8000
      a={direction}
"""

INVITE = """<send retrans="500"><![CDATA[
      INVITE sip:{callee}@{relay}:5060 SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      {route}From: <sip:alice@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
      To: <sip:{callee}@{relay}:5060>{to_tag}
      Call-ID: [call_id]
      CSeq: {cseq} INVITE
      Contact: <sip:alice@[local_ip]:[local_port]>
      Max-Forwards: 70
      Content-Type: application/sdp
      Content-Length: [len]

      """

REPLY = """{first} <send{retrans}><![CDATA[
      SIP/2.0 {code}
      [last_Via:]
      [last_From:]
      [last_To:]{tag}
      [last_Call-ID:]
      [last_CSeq:]
      [last_Record-Route:]
      Contact: <sip:bob@[local_ip]:[local_port]>
"""


def request(method, cseq, with_route=True):
    route = "[routes]\n      " if with_route else ""
    return f"""<send{' retrans="500"' if method != "ACK" else ""}><![CDATA[
      {method} [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      {route}From: <sip:alice@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
      To: <sip:bob@relay>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: {cseq} {method}
      Max-Forwards: 70
      Content-Length: 0

    ]]></send>
"""


def reinvite(cseq, direction):
    return f"""<send retrans="500"><![CDATA[
      INVITE [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      [routes]
      From: <sip:alice@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
      To: <sip:bob@relay>[peer_tag_param]
      Call-ID: [call_id]
      CSeq: {cseq} INVITE
      Contact: <sip:alice@[local_ip]:[local_port]>
      Max-Forwards: 70
      Content-Type: application/sdp
      Content-Length: [len]

      {SDP.format(direction=direction)}
    ]]></send>
    <recv response="100" optional="true"/>
    <recv response="200" rrs="true"/>
    {request("ACK", cseq)}
"""


def caller_scenario(callee, tone, talk_ms, hold, sdp=None, ends=True):
    """`ends` False: the callee says BYE; None: nobody does."""
    sdp = sdp or SDP.format(direction="sendrecv")
    if ends is False:
        end = f"""<recv request="BYE"/>{OK_TO_BYE}"""
    else:
        end = "" if ends is None else f"""{request("BYE", 9)}<recv response="200"/>"""
    middle = f'<pause milliseconds="{talk_ms}"/>'
    if hold:
        middle = f"""<pause milliseconds="1500"/>{reinvite(2, "sendonly")}<pause milliseconds="2000"/>
        {reinvite(3, "sendrecv")}<pause milliseconds="2500"/>"""
    return f"""<?xml version="1.0" encoding="us-ascii"?><scenario name="caller">
    {INVITE.format(callee=callee, relay=RELAY4, route="", to_tag="", cseq=1)}{sdp}
    ]]></send>
    <recv response="100" optional="true"/><recv response="180" optional="true"/>
    <recv response="200" rrs="true"/>
    {request("ACK", 1)}
    <nop><action><exec play_pcap_audio="{tone}"/></action></nop>
    {middle if ends is not False else ""}
    {end}</scenario>"""


OK_TO_BYE = """<send><![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Content-Length: 0

    ]]></send>"""


def callee_end(ends_after, ends):
    if ends_after is None:
        return f"""<recv request="BYE"/>{OK_TO_BYE}""" if ends else ""
    # The tags the other way round, as a callee has them.
    return f"""<pause milliseconds="{ends_after}"/><send retrans="500"><![CDATA[
      BYE [next_url] SIP/2.0
      Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
      [routes]
      From: <sip:bob@[local_ip]:[local_port]>;tag=[pid]B[call_number]
      To: [$from]
      Call-ID: [call_id]
      CSeq: 1 BYE
      Max-Forwards: 70
      Content-Length: 0

    ]]></send><recv response="200"/>"""


def callee_scenario(tone, hold, sdp=None, ends_after=None, ends=True):
    """`ends_after`: says BYE itself after so many ms. `ends` False: it never hears one."""
    sdp = sdp or SDP.format(direction="sendrecv")
    ok = """<send retrans="500"><![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:]%s
      [last_Call-ID:]
      [last_CSeq:]
      [last_Record-Route:]
      Contact: <sip:bob@[local_ip]:[local_port]>
      Content-Type: application/sdp
      Content-Length: [len]

      """
    again = ""
    if hold:
        for direction in ("recvonly", "sendrecv"):
            again += f"""<recv request="INVITE"/>{ok % ""}{SDP.format(direction=direction)}
            ]]></send><recv request="ACK"/>"""
    return f"""<?xml version="1.0" encoding="us-ascii"?><scenario name="callee">
    <recv request="INVITE" rrs="true">
      <action><ereg regexp=".*" search_in="hdr" header="From:" assign_to="from"/><log message="[$from]"/></action></recv>
    {ok % ";tag=[pid]B[call_number]"}{sdp}
    ]]></send>
    <recv request="ACK"/>
    <nop><action><exec play_pcap_audio="{tone}"/></action></nop>
    {again}
    {callee_end(ends_after, ends)}</scenario>"""


class Result:
    def __init__(self, name):
        self.name, self.problems, self.facts = name, [], []

    def check(self, good, text):
        self.facts.append(text)
        if not good:
            self.problems.append(text)


def near(found, wanted):
    return found is not None and abs(found - wanted) <= wanted * 0.05


def write(lab, name, text):
    with open(lab.path(name), "w") as f:
        f.write(text)
    return lab.path(name)


def call(lab, relay, name, where="alice", address=ALICE, callee="bob", callee_address=BOB, hold=False, calls=1, talk_ms=3000,
         sessions=1, sdp=None, callee_ends=False, caller_hears=CALLEE_HZ,
         hold_silences=True):
    """`sessions`: calls of the relay for each of the SIP calls. `hold_silences`: the relay knows of the direction."""
    result = Result(name)
    # Shorter than the call, so that no BYE cuts it off on a busy machine.
    tone_seconds = 8 if hold else talk_ms / 1000 - 1
    tones = (tone_pcap(lab, "caller", CALLER_HZ, tone_seconds, 0xA11CE), tone_pcap(lab, "callee", CALLEE_HZ, tone_seconds, 0xB0B))
    captures = (Capture(lab, where, "at-caller", "src host " + RELAY4), Capture(lab, "bob", "at-callee", "src port not 5060 and dst port not 5060"))
    uas = lab.start("bob", "sipp", "-sf", write(lab, "callee.xml", callee_scenario(tones[1], hold, sdp, talk_ms if callee_ends else None)), "-i", callee_address, "-mi",
                    callee_address, "-p", "5060", "-mp", "16000", "-m", str(calls), "-nostdin", "-trace_err", log="callee.log")
    wait_for(lambda: "5060" in run(*inside("bob", "ss", "-lun")).stdout, 5, "the callee")
    uac = lab.start(where, "sipp", "-sf", write(lab, "caller.xml", caller_scenario(callee, tones[0], talk_ms, hold, sdp, not callee_ends)), f"{RELAY4}:5060",
                    "-i", address, "-mi", address, "-p", "5070", "-mp", "14000", "-m", str(calls), "-l", str(calls), "-r", str(calls),
                    "-nostdin", "-trace_err", "-timeout", "30", log="caller.log")
    seen = 0
    deadline = time.monotonic() + 40
    while uac.poll() is None and time.monotonic() < deadline:
        seen = max(seen, len(relay.ctl("list").get("calls", [])))
        time.sleep(0.3)
    result.check(uac.poll() == 0, f"caller's sipp ended with {uac.poll()}")
    try:
        uas.wait(5)
    except Exception:
        pass
    result.check(uas.poll() == 0, f"callee's sipp ended with {uas.poll()}")
    for capture in captures:
        capture.stop()
    result.check(seen == calls * sessions, f"{seen} calls seen at once by rtpferryctl")
    for side, capture, hertz in (("caller", captures[0], caller_hears), ("callee", captures[1], CALLER_HZ)):
        streams = capture.streams()
        tones_heard = [heard_frequency(lab, audio) for audio in streams.values()]
        good = sum(near(f, hertz) for f in tones_heard)
        result.check(good == calls, f"{side} hears {hertz} Hz in {good} of {calls} streams {sorted(set(map(str, tones_heard)))[:4]}")
        # What came before the other end's address was learned may have gone to another port of it.
        seconds = min((len(a) / 8000 for a, f in zip(streams.values(), tones_heard) if near(f, hertz)), default=0)
        wanted = 3 if hold else tone_seconds * 0.95
        result.check(seconds >= wanted, f"{side} hears at least {seconds:.1f} s")
        if hold and hold_silences and side == "caller":
            longest = max((len(a) / 8000 for a in streams.values()), default=0)
            result.check(longest <= 5.2, f"caller on hold hears nothing: {longest:.1f} s of 6 s")
    wait_for(lambda: not relay.ctl("list")["calls"], 5, "the calls to be gone")
    stats = relay.ctl("stats")
    result.facts.append(f"relayed {stats['totalstatistics']['relayedpackets']}, dropped {stats['drops']}")
    engines = relay.ctl("engines")
    if engines["offload"]:
        kernel, user = engines["packets_kernel"], engines["packets_user"]
        # What leads to the lock, and to the address of the neighbour.
        result.check(user <= 12 * calls, f"{kernel} packets in the kernel, {user} in user space")
        result.check(engines["flows"] == 0, "no stream is left in the kernel")
    if "dpdk" in engines:
        counts = engines["dpdk"]["counts"]
        result.check(counts["sent_by_socket"] <= 12 * calls and counts["sent"] > 100 * calls,
                     f"{counts['sent']} packets left by DPDK's ports, {counts['sent_by_socket']} by sockets")
    result.check(relay.used_pairs() == 0, f"{relay.used_pairs()} port pairs in use at the end")
    return result


def report(lab, result, name, keep_logs):
    """Prints what was found; 1 if it is not what was wanted."""
    print(f"{'FAILED' if result.problems else 'passed'}  {name}: " + "; ".join(result.facts), flush=True)
    if result.problems and keep_logs:
        for log in ("relay.log", "kamailio.log", "caller.log", "callee.log"):
            print(f"--- {log}\n" + lab.log(log)[-3000:])
        for extra in os.listdir(lab.directory):
            if "error" in extra:
                print(f"--- {extra}\n" + lab.log(extra)[-1500:])
    return 1 if result.problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    parser.add_argument("--only", action="append", help="name of a variant")
    add_engine(parser)
    parser.add_argument("--offload", help="forward in the kernel: tc, xdp, xdp-generic")
    parser.add_argument("--keep-logs", action="store_true", help="print the logs of a variant that failed")
    arguments = parser.parse_args()
    variants = {
        "plain": {},
        "nat": {"where": "home", "address": HOME},
        "hold": {"hold": True},
        "v4-to-v6": {"callee": "bob6", "callee_address": BOB6},
        "fifty-at-once": {"calls": 50, "talk_ms": 5000},
    }
    try:
        need("kamailio", "sipp", "sox", "tshark", "tcpdump", "nft", "ip", "pgrep")
        need_engine(arguments.build, arguments.engine)
        failed = 0
        for name, options in variants.items():
            if arguments.only and name not in arguments.only:
                continue
            with Lab(arguments.engine) as lab:
                lab.masquerade()
                offload = [f"--offload={device}={arguments.offload}" for device in ("c-alice", "c-bob", "c-nat") if arguments.offload]
                relay = Relay(lab, os.path.abspath(arguments.build), "--delete-delay=0", "--num-threads=2", *offload)
                if arguments.offload and not relay.ctl("engines")["offload"]:
                    raise Skip("no rights to load BPF programs: " + lab.log("relay.log"))
                lab.start_kamailio("kamailio.cfg")
                result = call(lab, relay, name, **options)
                failed += report(lab, result, name, arguments.keep_logs)
        return 1 if failed else 0
    except Skip as why:
        print(f"SKIP: {why}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
