#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls through a real Kamailio with its rtpproxy module and the relay; the tone that each end hears is judged by sox.

Variants: plain, behind NAT, hold and resume, two media, BYE from the callee, a prompt to the caller, recording, fifty
calls at once, and a call whose parties vanish.
Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from calls import CALLEE_HZ, CALLER_HZ, SDP, Result, call, caller_scenario, callee_scenario, near, report, write
from lab import ALICE, BOB, HOME, RELAY4, Lab, Relay, Skip, add_engine, heard_frequency, inside, need, need_engine, run, tone_pcap, wait_for

PROMPT_HZ = 1000
IN_KERNEL = ("plain", "hold", "prompt", "recorded")
SECOND_MEDIA = """      m=audio [media_port+2] RTP/AVP 8
      a=rtpmap:8 PCMA/8000
"""
# Kamailio's module does not name a socket for notifications; OpenSIPS' does, in a line as this one.
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(("test_1 " + " ".join(sys.argv[1:])).encode(), ("127.0.0.1", 22222))
print(s.recv(1000).decode())
"""
LISTENER = """
import socket, sys
server = socket.create_server(("127.0.0.1", 22333))
print("listening", flush=True)
stream = server.accept()[0]
while data := stream.recv(4096):
    print("NOTIFIED", data.decode().strip(), flush=True)
"""


def make_prompt(lab, build):
    folder = lab.path("prompts")
    os.makedirs(folder, exist_ok=True)
    run("sox", "-n", "-r", "8000", "-c", "1", lab.path("ring.wav"), "synth", "2", "sine", str(PROMPT_HZ), "gain", "-6")
    run(os.path.join(build, "rtpferryctl"), "makeprompt", lab.path("ring.wav"), os.path.join(folder, "ring"))
    return folder


def statistics(lab, result, least):
    """`$rtpstat` of the BYE: what Q answered."""
    found = re.findall(r"RTPSTAT (\d+) (\d+) (\d+) (\d+) (\d+)", lab.log("kamailio.log"))
    result.check(found != [], f"Kamailio's statistics: {found[-1:]}")
    if found:
        # Of a call with prompts those of the callee are thrown away meanwhile.
        _, ina, ino, relayed, dropped = map(int, found[-1])
        result.check(min(ina, ino) >= least and relayed + dropped >= 2 * least, f"at least {least} packets each way")


def recorded(lab, result, folder):
    """The packets of the callee, who sent the reply that asked for it, in rtpproxy's own form; judged by sox."""
    files = wait_for(lambda: [f for f in os.listdir(folder) if f.endswith(".a.rtp")], 5, "the recording")
    audio = bytearray()
    with open(os.path.join(folder, files[0]), "rb") as f:
        data = f.read()
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 28 : at + 30], sys.byteorder)
        audio += data[at + 30 + 12 : at + 30 + length]
        at += 30 + length
    heard = heard_frequency(lab, bytes(audio))
    result.check(near(heard, CALLEE_HZ), f"{files[0]}: {heard} Hz, {len(audio) / 8000:.1f} s")


def vanished(lab, relay, name):
    """Nobody says BYE and nobody sends: the relay ends the call and tells the listener."""
    result = Result(name)
    listener = lab.start("core", sys.executable, "-c", LISTENER, log="listener.log")
    wait_for(lambda: "listening" in lab.log("listener.log"), 5, "the listener")
    tones = tone_pcap(lab, "caller", CALLER_HZ, 1, 0xA11CE), tone_pcap(lab, "callee", CALLER_HZ, 1, 0xB0B)
    uas = lab.start("bob", "sipp", "-sf", write(lab, "callee.xml", callee_scenario(tones[1], False, ends=False)), "-i", BOB, "-mi", BOB, "-p",
                    "5060", "-mp", "16000", "-m", "1", "-nostdin", log="callee.log")
    wait_for(lambda: "5060" in run(*inside("bob", "ss", "-lun")).stdout, 5, "the callee")
    uac = lab.start("alice", "sipp", "-sf", write(lab, "caller.xml", caller_scenario("bob", tones[0], 500, False, ends=None)), f"{RELAY4}:5060",
                    "-i", ALICE, "-mi", ALICE, "-p", "5070", "-mp", "14000", "-m", "1", "-nostdin", "-timeout", "20", log="caller.log")
    call_id, tag = wait_for(lambda: relay.ctl("list")["calls"], 10, "the call")[0]["call_id"].split(" ")
    asked = run(*inside("core", sys.executable, "-c", ASK, "Uc8", call_id, ALICE, "14000", tag, "tcp:127.0.0.1:22333", "T12.34")).stdout
    result.check(RELAY4 in asked, f"U with a notification: {asked.strip()}")
    uac.wait(25)
    uas.wait(25)
    wait_for(lambda: "NOTIFIED" in lab.log("listener.log"), 15, "the notification")
    result.check("NOTIFIED T12.34" in lab.log("listener.log"), lab.log("listener.log").strip().replace("\n", " "))
    result.check(not relay.ctl("list")["calls"] and relay.used_pairs() == 0, "the call is over")
    listener.terminate()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--only", action="append")
    add_engine(parser)
    parser.add_argument("--offload", help="forward in the kernel: tc, xdp, xdp-generic")
    parser.add_argument("--keep-logs", action="store_true")
    args = parser.parse_args()
    build = os.path.abspath(args.build)
    two = SDP.format(direction="sendrecv") + SECOND_MEDIA
    variants = {
        "plain": {},
        "nat": {"where": "home", "address": HOME},
        "hold": {"hold": True, "hold_silences": False},
        "two-media": {"sdp": two, "sessions": 2},
        "callee-ends": {"callee_ends": True},
        "prompt": {"callee": "prompt", "caller_hears": PROMPT_HZ},
        "recorded": {"callee": "recorded"},
        "fifty-at-once": {"calls": 50, "talk_ms": 5000},
        "vanished": None,
    }
    try:
        need("kamailio", "sipp", "sox", "tshark", "tcpdump", "nft", "ip", "pgrep")
        need_engine(build, args.engine)
        failed = 0
        for name, options in variants.items():
            # Below the sockets what matters is what changes there in a call.
            if args.only and name not in args.only or args.offload and not args.only and name not in IN_KERNEL:
                continue
            with Lab(args.engine) as lab:
                lab.masquerade()
                offload = [f"--offload={device}={args.offload}" for device in ("c-alice", "c-bob", "c-nat") if args.offload]
                folder = lab.path("recordings")
                relay = Relay(lab, build, "--listen-rtpp=udp:127.0.0.1:22222", "--num-threads=2", f"--rtpp-prompts={make_prompt(lab, build)}",
                              f"--recording-dir={folder}", "--rtpp-notify=tcp:127.0.0.1:22333", "--rtpp-timeout=4", *offload)
                if args.offload and not relay.ctl("engines")["offload"]:
                    raise Skip("no rights to load BPF programs: " + lab.log("relay.log"))
                lab.start_kamailio("kamailio-rtpproxy.cfg")
                if options is None:
                    result = vanished(lab, relay, name)
                else:
                    result = call(lab, relay, name, **options)
                    # The prompt is no packet of a party.
                    statistics(lab, result, 50)
                    if name == "recorded":
                        recorded(lab, result, folder)
                failed += report(lab, result, name, args.keep_logs)
        return 1 if failed else 0
    except Skip as why:
        print(f"SKIP: {why}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
