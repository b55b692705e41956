#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Encrypted calls with programs that others wrote: baresip through Kamailio, and ffmpeg's srtp:// by the NG protocol.
What each end decrypted is judged by sox.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import base64
import glob
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ALICE, BOB, RELAY4, Lab, Relay, Skip, add_engine, inside, need, need_engine, run, wait_for
from verdict import FAILED, check, exit_status

MODULES = "/usr/lib/baresip/modules"
ALICE_HZ, BOB_HZ = 440, 700


def frequency(path):
    """Of a WAV file; None if there is too little in it."""
    if not os.path.exists(path) or os.path.getsize(path) < 16000:
        return None
    # Of one channel: sox would take the step from one channel to the next for a part of the sound.
    stat = run("sox", path, "-n", "remix", "1", "stat", check=False).stderr
    values = dict(line.split(":", 1) for line in stat.splitlines() if ":" in line)
    if float(values.get("RMS     amplitude", "0")) < 0.05:
        return None
    return int(values["Rough   frequency"])


def near(found, wanted):
    return found is not None and abs(found - wanted) <= 0.06 * wanted


class Phone:
    """A baresip that speaks a tone and writes down what it hears. `codecs`: its words for what it offers and takes; `modules` have them.
    `ports`: the first and the last one of its media."""

    def __init__(self, lab, who, address, encryption, hertz, *arguments, codecs="PCMA", modules=("g711",), port=5060, ports=(16000, 16100)):
        self.lab, self.who, self.heard = lab, who, lab.path(f"{who}-heard")
        folder = lab.path(f"{who}-phone")
        for path in (folder, self.heard):
            os.makedirs(path)
        tone = lab.path(f"{who}.wav")
        # baresip plays a file only if it has as many channels as the codec.
        channels = "2" if codecs.endswith("/2") else "1"
        run("sox", "-n", "-r", "8000", "-c", channels, "-b", "16", tone, "synth", "30", "sine", str(hertz), "gain", "-6")
        with open(os.path.join(folder, "config"), "w") as f:
            f.write(f"module_path {MODULES}\nsip_listen {address}:{port}\naudio_source aufile,{tone}\naudio_player aubridge,sink\n"
                    f"audio_alert aubridge,alert\nsnd_path {self.heard}\nrtp_ports {ports[0]}-{ports[1]}\nrtcp_mux no\nausrc_srate 8000\nauplay_srate 8000\n"
                    + "".join(f"module {name}.so\n" for name in modules) + "module aufile.so\nmodule aubridge.so\nmodule sndfile.so\nmodule srtp.so\nmodule dtls_srtp.so\nmodule ice.so\n"
                    "module_app account.so\nmodule_app menu.so\n")
        encryption, _, nat = encryption.partition("+")  # "dtls_srtp+ice"
        media = (f";mediaenc={encryption}" if encryption else "") + (f";medianat={nat}" if nat else "")
        with open(os.path.join(folder, "accounts"), "w") as f:
            f.write(f'<sip:{who}@{address}:{port}>;regint=0;answermode=auto;audio_codecs={codecs}{media};outbound="sip:{RELAY4}:5060"\n')
        self.process = lab.start("alice" if address == ALICE else "bob", "baresip", "-f", folder, *arguments, log=f"{who}.log")

    def hangs_up(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(5)
        except Exception:
            self.process.kill()

    def hears(self):
        """What the longest file with decoded audio sounds like."""
        files = [os.path.join(self.heard, name) for name in os.listdir(self.heard) if name.endswith("dec.wav")]
        return frequency(max(files, key=os.path.getsize)) if files else None


def phones(lab, relay, caller, callee, called):
    """`caller`, `callee`: baresip's word for their encryption. `called`: the user that tells the proxy what the callee gets."""
    what = f"{caller or 'plain'} calls {callee or 'plain'} ({called})"
    bob = Phone(lab, "bob", BOB, callee, BOB_HZ)
    wait_for(lambda: "5060" in run(*inside("bob", "ss", "-lun")).stdout, 5, "the callee")
    alice = Phone(lab, "alice", ALICE, caller, ALICE_HZ, "-e", f"/dial sip:{called}@{RELAY4}")
    wait_for(lambda: relay.ctl("list").get("calls"), 5, "the call")
    show = lambda: relay.ctl("show", relay.ctl("list")["calls"][0]["call_id"])
    wait_for(lambda: all(sum(s["packets"] for s in leg["medias"][0]["received"]) >= 150 for leg in show()["legs"]), 8, "three seconds of audio each way")
    shown = show()
    drops = [leg["medias"][0]["drops"] for leg in shown["legs"]]
    secured = [leg["medias"][0].get("srtp") for leg in shown["legs"]]
    suites = [x["suite"] if x else "plain" for x in secured]
    alice.hangs_up()
    wait_for(lambda: not relay.ctl("list")["calls"], 8, "the end of the call")
    bob.hangs_up()
    heard = (alice.hears(), bob.hears())
    wanted = ["plain" if not side.partition("+")[0] else "A" for side in (caller, callee)]
    good = near(heard[0], BOB_HZ) and near(heard[1], ALICE_HZ) and all(s.startswith(w) for s, w in zip(suites, wanted))
    for side, keys, leg in zip((caller, callee), secured, shown["legs"]):
        if side.endswith("+ice"):
            good = good and leg["medias"][0]["ice"]["state"] == "connected"
        if side.startswith("dtls"):
            good = good and keys["keyed_by"] == "DTLS" and keys["handshake"] == "ready"
    check(good and not any(d.get("not-authentic") or d.get("replayed") for d in drops),
          f"baresip: {what}: caller hears {heard[0]} Hz, callee {heard[1]} Hz, {suites[0]} and {suites[1]}, dropped {drops}")
    for name in ("alice", "bob"):
        for folder in (f"{name}-phone", f"{name}-heard"):
            run("rm", "-rf", lab.path(folder))


def ng(lab, request):
    """One request from inside the core namespace."""
    text = json.dumps(request)
    program = ("import socket,sys; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(5); s.connect(('127.0.0.1',2223)); "
               "s.send(b'%d '%__import__('time').monotonic_ns()+sys.stdin.buffer.read()); sys.stdout.buffer.write(s.recv(65536).split(b' ',1)[1])")
    return json.loads(run(*inside("core", sys.executable, "-c", program), input=text).stdout)


def sdp(address, port, profile, lines=()):
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} {profile} 8\r\n"
            "a=rtpmap:8 PCMA/8000\r\n" + "".join(f"a=crypto:{line}\r\n" for line in lines))


def crypto(reply):
    return [line.split(":", 1)[1] for line in reply["sdp"].split("\r\n") if line.startswith("a=crypto:")]


def port(reply):
    return int(reply["sdp"].split("m=audio ")[1].split()[0])


def streams(lab, relay, number, a_suite, b_suite):
    """ffmpeg sends from A and another one receives at B; a suite of None is plain RTP."""
    what = f"ffmpeg: {a_suite or 'plain'} to {b_suite or 'plain'}"
    key = lambda: base64.b64encode(os.urandom(30)).decode()
    a_key, b_key = key(), key()
    call = {"call-id": f"stream-{number}", "from-tag": "A"}
    offered = ng(lab, {"command": "offer", **call, "sdp": sdp(ALICE, 40000, "RTP/SAVP" if a_suite else "RTP/AVP", [f"1 {a_suite} inline:{a_key}"] if a_suite else []),
                       "transport-protocol": "RTP/SAVP" if b_suite else "RTP/AVP", "SDES": [f"only-{b_suite}"] if b_suite else [], "DTLS": "off"})
    lines = crypto(offered)
    taken = next((line for line in lines if b_suite and line.split()[1] == b_suite), None)
    answered = ng(lab, {"command": "answer", **call, "to-tag": "B",
                        "sdp": sdp(BOB, 42000, "RTP/SAVP" if b_suite else "RTP/AVP", [f"{taken.split()[0]} {b_suite} inline:{b_key}"] if b_suite else [])})
    check(answered["result"] == "ok" and len(crypto(answered)) == (1 if a_suite else 0), f"{what}: signalled")
    with open(lab.path(f"b-{number}.sdp"), "w") as f:
        f.write(sdp(BOB, 42000, "RTP/SAVP" if b_suite else "RTP/AVP", [taken] if taken else []))
    heard = lab.path(f"b-{number}.wav")
    receiver = lab.start("bob", "ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-protocol_whitelist", "file,crypto,srtp,rtp,udp", "-i", lab.path(f"b-{number}.sdp"),
                         "-t", "3", heard, log=f"receiver-{number}.log")
    wait_for(lambda: ":42000 " in run(*inside("bob", "ss", "-lun")).stdout, 5, "the receiver")
    # Under the SDES name it would shorten the tags of SRTCP too (RFC 4568 section 6.2.2 does not).
    own_name = {"AES_CM_128_HMAC_SHA1_32": "SRTP_AES128_CM_HMAC_SHA1_32"}.get(a_suite, a_suite)
    protection = ["-srtp_out_suite", own_name, "-srtp_out_params", a_key] if a_suite else []
    sender = lab.start("alice", "ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", f"sine=frequency={ALICE_HZ}:sample_rate=8000:duration=6", "-af",
                       "volume=6", "-c:a", "pcm_alaw", "-payload_type", "8", "-f", "rtp", *protection,
                       f"{'srtp' if a_suite else 'rtp'}://{RELAY4}:{port(answered)}?localport=40000&pkt_size=172", log=f"sender-{number}.log")
    sender.wait(20)
    try:
        receiver.wait(5)
    except Exception:
        receiver.send_signal(signal.SIGINT)
        receiver.wait(5)
    shown = relay.ctl("show", call["call-id"])
    drops = [leg["medias"][0]["drops"] for leg in shown["legs"]]
    found = frequency(heard)
    check(near(found, ALICE_HZ) and not any(d.get("not-authentic") for d in drops), f"{what}: {found} Hz decrypted, dropped {drops}")
    ng(lab, {"command": "delete", **call, "delete delay": 0})
    manifest = wait_for(lambda: glob.glob(lab.path(f"rec/{call['call-id']}-*.json")), 5, "the manifest")[0]
    with open(manifest) as f:
        text = f.read()
    cut = lab.path("recorded.wav")
    run("sox", manifest.replace(".json", ".wav"), cut, "remix", "1", "trim", "1", "2")
    recorded = frequency(cut)
    converted = lab.path("converted.wav")
    run(os.path.join(relay.build, "rtpferryctl"), "convert", "--mixed", manifest.replace(".json", ".pcap"), "-o", converted)
    packets = frequency(converted)
    os.unlink(converted)
    check(near(recorded, ALICE_HZ) and near(packets, ALICE_HZ) and a_key not in text and b_key not in text,
          f"{what}: recorded in clear: {recorded} Hz in the WAV, {packets} Hz in the packets, no key in the manifest")



def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    parser.add_argument("--short", action="store_true", help="one call of each kind")
    add_engine(parser)
    arguments = parser.parse_args()
    try:
        need("kamailio", "baresip", "ffmpeg", "sox", "ip", "pgrep")
        need_engine(arguments.build, arguments.engine)
        with Lab(arguments.engine) as lab:
            relay = Relay(lab, os.path.abspath(arguments.build), "--delete-delay=0", "--num-threads=1", f"--recording-dir={lab.path('rec')}", "--recording-method=all", "--record-all")
            lab.start_kamailio("kamailio-secure.cfg")
            try:
                suites = (("AES_CM_128_HMAC_SHA1_80", None), ("AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80"), (None, "AES_CM_128_HMAC_SHA1_32"),
                          ("AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_80"))
                between = (("srtp-mand", "", "plain"), ("srtp-mand", "srtp-mand", "same"), ("", "srtp-mand", "encrypted"), ("srtp-mandf", "srtp-mand", "encrypted"),
                           ("srtp", "srtp", "same"),  # RFC 8643
                           # DTLS: an offerer whom the relay calls, an answerer who begins, and both
                           ("dtls_srtp", "", "plain"), ("", "dtls_srtp", "dtls"), ("dtls_srtp", "dtls_srtp", "dtls"), ("dtls_srtp", "srtp-mand", "encrypted"),
                           # ICE on either side and on both
                           ("+ice", "", "plain"), ("srtp-mand+ice", "", "plain"), ("", "dtls_srtp+ice", "web"), ("dtls_srtp+ice", "dtls_srtp+ice", "web"))
                for number, (a, b) in enumerate(suites[:2] if arguments.short else suites):
                    streams(lab, relay, number, a, b)
                for each in between[:2] if arguments.short else between:
                    phones(lab, relay, *each)
            except RuntimeError as problem:
                check(False, str(problem))
            check(relay.used_pairs() == 0, "no port is left in use")
            if arguments.engine:
                counts = relay.ctl("engines")["dpdk"]["counts"]
                check(counts["sent"] > 20 * counts["sent_by_socket"], f"{counts['sent']} packets left by DPDK's ports, {counts['sent_by_socket']} by sockets")
            check("inline:" not in lab.log("relay.log"), "no key is in the log (SRT-15)")
            if FAILED:
                lab.print_logs(1500)
    except Skip as why:
        print(f"SKIP: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
