#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIP flows through a real Kamailio and the relay, played by scripted parties: forking to three branches, 183 and 200 from
different branches, late offer, PRACK, a cancelled call, refused re-INVITEs, transfer by re-INVITE, a SIPREC recorder, 8 kB offers.

One process holds sockets in all namespaces. Who hears whom is judged by the SSRC and the count of what arrives.
Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import json
import os
import re
import select
import socket
import struct
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import ALICE, BOB, RELAY4, Lab, Relay, Skip, entered, inside, need, ns, run, wait_for
from verdict import FAILED, check, exit_status



def socket_in(name, address, port, kind=socket.SOCK_DGRAM):
    """A socket belongs to the namespace in which it was made, wherever the process goes next."""
    with entered(f"/run/netns/{ns(name)}"):
        s = socket.socket(socket.AF_INET, kind)
        s.bind((address, port))
        return s


class Rtp:
    """A media endpoint: sends bursts, counts what arrives by SSRC."""

    def __init__(self, where, address, port, ssrc):
        self.socket = socket_in(where, address, port)
        self.socket.setblocking(False)
        self.address, self.port, self.ssrc, self.sequence = address, port, ssrc, 0
        self.to = None

    def sdp(self, direction="sendrecv", extra=""):
        return (f"v=0\r\no=- {self.ssrc} {self.ssrc} IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {self.address}\r\nt=0 0\r\n"
                f"m=audio {self.port} RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\na={direction}\r\n{extra}")

    def hears(self, sdp):
        """The other side's SDP as this party got it: where to send."""
        port = int(re.search(r"m=audio (\d+)", sdp).group(1))
        self.to = (re.search(r"c=IN IP4 (\S+)", sdp).group(1), port)
        return port

    def send(self, count=20):
        for _ in range(count):
            self.sequence += 1
            packet = struct.pack("!BBHII", 0x80, 8, self.sequence & 0xffff, self.sequence * 160, self.ssrc) + b"\xd5" * 160
            self.socket.sendto(packet, self.to)

    def received(self, wait=0.3):
        counts = {}
        end = time.monotonic() + wait
        while True:
            ready = select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]
            if not ready:
                return counts
            data = self.socket.recv(2048)
            ssrc = struct.unpack("!I", data[8:12])[0]
            counts[ssrc] = counts.get(ssrc, 0) + 1


class Message:
    def __init__(self, data):
        head, _, self.body = data.decode().partition("\r\n\r\n")
        self.first, *lines = head.split("\r\n")
        self.headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def get(self, name):
        return (self.all(name) or [""])[0]

    @property
    def status(self):
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0") else 0

    @property
    def method(self):
        return self.get("CSeq").split()[1]


class Phone:
    """One SIP endpoint with one dialogue at a time; whoever drives it decides what it says."""

    def __init__(self, where, address, port, name):
        self.socket = socket_in(where, address, port)
        self.socket.settimeout(5)
        self.address, self.port, self.name = address, port, name
        self.cseq, self.tag, self.branch = 0, f"{name}tag{time.monotonic_ns()}", 0
        self.remote_tag, self.routes, self.target, self.call_id = "", [], "", ""
        self.callee = None  # the address that an INVITE goes to; None: the user at the proxy

    def receive(self, *wanted):
        """The next message that is one of these: a method of a request or a status."""
        end = time.monotonic() + 6
        while time.monotonic() < end:
            message = Message(self.socket.recv(65536))
            key = message.status or message.first.split()[0]
            if key in wanted:
                return message
            if key == "INVITE" and self.tag in message.get("To"):
                continue
            if message.status and message.get("Call-ID") != self.call_id:
                continue  # repeated, of an earlier dialogue
        raise RuntimeError(f"{self.name} waited for {wanted}")

    def invite_headers(self, method, cseq, to, uri, new_branch=True):
        if new_branch:
            self.branch += 1
        lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/UDP {self.address}:{self.port};branch=z9hG4bK{self.name}{self.call_id}{self.branch};rport"]
        lines += [f"Route: {route}" for route in self.routes]
        lines += [f"From: <sip:{self.name}@{self.address}>;tag={self.tag}", f"To: {to}", f"Call-ID: {self.call_id}", f"CSeq: {cseq} {method}",
                  f"Contact: <sip:{self.name}@{self.address}:{self.port}>", "Max-Forwards: 70"]
        return lines

    def transmit(self, lines, body="", extra=()):
        lines = [*lines, *extra]
        if body:
            lines.append("Content-Type: application/sdp")
        text = "\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body
        self.socket.sendto(text.encode(), (RELAY4, 5060))

    def invite(self, call_id, user, body="", extra=()):
        self.call_id, self.user, self.cseq = call_id, user, self.cseq + 1
        self.uri = self.callee or f"sip:{user}@{RELAY4}"
        self.transmit(self.invite_headers("INVITE", self.cseq, f"<{self.uri}>", self.uri), body, extra)

    def cancel(self):
        lines = self.invite_headers("CANCEL", self.cseq, f"<{self.uri}>", self.uri, new_branch=False)
        self.transmit(lines)

    def adopt(self, message):
        """Takes the dialogue from a response (caller) or a request (callee)."""
        from_us = message.status != 0
        peer = message.get("To" if from_us else "From")
        self.remote_tag = peer.split("tag=")[1]
        self.remote = re.search(r"<[^>]*>", peer).group(0)
        self.target = re.search(r"<(.*?)>", message.get("Contact")).group(1)
        routes = message.all("Record-Route")
        self.routes = list(reversed(routes)) if from_us else routes
        if not from_us:
            self.call_id = message.get("Call-ID")

    def in_dialogue(self, method, body="", cseq=None, extra=()):
        if cseq is None:
            self.cseq += 1
        self.transmit(self.invite_headers(method, cseq or self.cseq, f"{self.remote};tag={self.remote_tag}", self.target), body, extra)

    def reply(self, request, code, body="", extra=()):
        to = request.get("To")
        if code != 100 and "tag=" not in to:
            to += f";tag={self.tag}"
        lines = [f"SIP/2.0 {code} Reply", *(f"Via: {v}" for v in request.all("Via")), *(f"Record-Route: {v}" for v in request.all("Record-Route")),
                 f"From: {request.get('From')}", f"To: {to}", f"Call-ID: {request.get('Call-ID')}", f"CSeq: {request.get('CSeq')}",
                 f"Contact: <sip:{self.name}@{self.address}:{self.port}>"]
        self.transmit(lines, body, extra)

    def ack_failure(self, reply):
        """ACK to a final failure: the transaction's own."""
        lines = self.invite_headers("ACK", self.cseq, reply.get("To"), self.uri, new_branch=False)
        self.transmit(lines)


    def ack_refusal(self, reply):
        """The same in a dialogue."""
        self.transmit(self.invite_headers("ACK", self.cseq, reply.get("To"), self.target, new_branch=False))


def hang_up(caller, callee):
    caller.in_dialogue("BYE")
    callee.reply(callee.receive("BYE"), 200)
    caller.receive(200)


def both_ways(a, b, what):
    a.received(0)
    b.received(0)
    a.send()
    b.send()
    heard = a.received(), b.received()
    check(heard[0].get(b.ssrc, 0) >= 20 and heard[1].get(a.ssrc, 0) >= 20, f"{what}: both hear each other {heard[0].get(b.ssrc, 0)}/{heard[1].get(a.ssrc, 0)}")


def establish(caller, callee, a, b, call_id, user="one", extra=""):
    caller.invite(call_id, user, a.sdp(extra=extra))
    request = callee.receive("INVITE")
    b.hears(request.body)
    callee.reply(request, 200, b.sdp())
    ok = caller.receive(200)
    a.hears(ok.body)
    caller.adopt(ok)
    callee.adopt(request)
    caller.in_dialogue("ACK", cseq=caller.cseq)
    callee.receive("ACK")
    return request, ok


def forking(alice, bobs, relay):
    """Three branches; the second rings with early media, the third answers."""
    a = Rtp("alice", ALICE, 4000, 0xA)
    media = [Rtp("bob", BOB, 4100 + 10 * i, 0xB0 + i) for i in range(3)]
    alice.invite("fork", "three", a.sdp())
    requests = [bob.receive("INVITE") for bob in bobs]
    ports = [m.hears(r.body) for m, r in zip(media, requests)]
    check(len(set(ports)) == 3, f"each of three branches is offered its own port {sorted(ports)}")
    bobs[0].reply(requests[0], 180)
    bobs[1].reply(requests[1], 183, media[1].sdp())
    early = alice.receive(183)
    a.hears(early.body)
    media[1].send()
    check(a.received().get(media[1].ssrc, 0) >= 20, "early media of the branch that sent 183 is heard")
    bobs[2].reply(requests[2], 200, media[2].sdp())
    ok = alice.receive(200)
    a.hears(ok.body)
    alice.adopt(ok)
    bobs[2].adopt(requests[2])
    alice.in_dialogue("ACK", cseq=alice.cseq)
    bobs[2].receive("ACK")
    for bob, request in ((bobs[0], requests[0]), (bobs[1], requests[1])):
        bob.reply(bob.receive("CANCEL"), 200)
        bob.reply(request, 487)
        bob.receive("ACK")
    both_ways(a, media[2], "the branch that answered")
    a.received(0)
    media[1].send()
    check(a.received().get(media[1].ssrc, 0) == 0, "the branch that lost is not heard any more")
    calls = relay.ctl("list")["calls"]
    check(len(calls) == 1 and relay.used_pairs() <= 4, f"cancelled branches are deleted: {relay.used_pairs()} pairs in use")
    hang_up(alice, bobs[2])
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")
    check(True, "forked call over, no port in use")


def voice_mail(alice, bobs, relay):
    """The greeting begins before the 200 OK has come to the relay: its first word is heard all the same (LAT-14)."""
    a, b = Rtp("alice", ALICE, 4000, 0xA), Rtp("bob", BOB, 4100, 0xB)

    def greets(packets):
        for _ in range(packets):
            b.send(1)
            time.sleep(0.02)

    alice.invite("voice-mail", "one", a.sdp())
    request = bobs[0].receive("INVITE")
    b.hears(request.body)
    greets(12)
    check(a.received(0) == {}, "nothing of it is heard before the answer")
    bobs[0].reply(request, 200, b.sdp())
    greets(20)
    ok = alice.receive(200)
    a.hears(ok.body)
    alice.adopt(ok)
    bobs[0].adopt(request)
    alice.in_dialogue("ACK", cseq=alice.cseq)
    bobs[0].receive("ACK")
    heard = a.received().get(b.ssrc, 0)
    check(heard == 32, f"all of a voice mail's greeting is heard, the {heard} of 32 packets that began before the answer")
    both_ways(a, b, "after the greeting")
    hang_up(alice, bobs[0])
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")


def ring_back(alice, bobs, relay):
    """Forty seconds of ring-back in early media to a caller who sends nothing, as a muted phone with DTX does: nothing of it is missing (LAT-12)."""
    a, b = Rtp("alice", ALICE, 4020, 0x9A), Rtp("bob", BOB, 4120, 0x9B)
    alice.invite("ring-back", "one", a.sdp())
    request = bobs[0].receive("INVITE")
    b.hears(request.body)
    bobs[0].reply(request, 183, b.sdp())
    a.hears(alice.receive(183).body)
    heard = sent = 0
    end = time.monotonic() + 40
    while time.monotonic() < end:
        b.send(5)
        sent += 5
        heard += a.received(0.1).get(b.ssrc, 0)
    check(heard == sent, f"ring-back of 40 s to a silent caller: {heard} of {sent} packets are heard")
    alice.cancel()
    bobs[0].reply(bobs[0].receive("CANCEL"), 200)
    bobs[0].reply(request, 487)
    bobs[0].receive("ACK")
    alice.ack_failure(alice.receive(487))
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")


def late_offer(alice, bobs, relay):
    """No SDP in the INVITE, the offer in the 200, the answer in the ACK."""
    a, b = Rtp("alice", ALICE, 4200, 0x1A), Rtp("bob", BOB, 4200, 0x1B)
    bob = bobs[0]
    alice.invite("late", "one")
    request = bob.receive("INVITE")
    bob.reply(request, 200, b.sdp())
    ok = alice.receive(200)
    a.hears(ok.body)
    alice.adopt(ok)
    bob.adopt(request)
    alice.in_dialogue("ACK", a.sdp(), cseq=alice.cseq)
    b.hears(bob.receive("ACK").body)
    check(a.to[0] == RELAY4 and b.to[0] == RELAY4, "late offer: both SDPs carry the relay")
    both_ways(a, b, "late offer")
    hang_up(alice, bob)
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")


def prack(alice, bobs, relay):
    """The offer in a reliable 183, the answer in its PRACK (RFC 3262)."""
    a, b = Rtp("alice", ALICE, 4300, 0x2A), Rtp("bob", BOB, 4300, 0x2B)
    bob = bobs[0]
    alice.invite("prack", "one", extra=["Supported: 100rel"])
    request = bob.receive("INVITE")
    bob.reply(request, 183, b.sdp(), ["Require: 100rel", "RSeq: 1"])
    progress = alice.receive(183)
    a.hears(progress.body)
    alice.adopt(progress)
    bob.adopt(request)
    invite_cseq = alice.cseq
    alice.in_dialogue("PRACK", a.sdp(), extra=[f"RAck: 1 {invite_cseq} INVITE"])
    got = bob.receive("PRACK")
    b.hears(got.body)
    bob.reply(got, 200)
    alice.receive(200)
    both_ways(a, b, "offer in 183, answer in PRACK: early media")
    bob.reply(request, 200)
    alice.receive(200)
    alice.in_dialogue("ACK", cseq=invite_cseq)
    bob.receive("ACK")
    # UPDATE moves the caller's media (RFC 3311).
    moved = Rtp("alice", ALICE, 4310, 0x2C)
    alice.in_dialogue("UPDATE", moved.sdp())
    got = bob.receive("UPDATE")
    b.hears(got.body)
    bob.reply(got, 200, b.sdp())
    moved.hears(alice.receive(200).body)
    both_ways(moved, b, "UPDATE moves the caller")
    hang_up(alice, bob)
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")


def cancelled(alice, bobs, relay):
    a = Rtp("alice", ALICE, 4400, 0x3A)
    alice.invite("cancelled", "one", a.sdp())
    request = bobs[0].receive("INVITE")
    bobs[0].reply(request, 180)
    alice.receive(180)
    before = relay.used_pairs()
    alice.cancel()
    bobs[0].reply(bobs[0].receive("CANCEL"), 200)
    bobs[0].reply(request, 487)
    bobs[0].receive("ACK")
    alice.ack_failure(alice.receive(487))
    wait_for(lambda: relay.used_pairs() == 0 and not relay.ctl("list")["calls"], 5, "the cancelled call to be gone")
    check(before == 2, f"a cancelled call gives its {before} port pairs back")


def refused(alice, bobs, relay):
    """Re-INVITEs that the other side refuses: the relay is told nothing, and nothing changes (LAT-15)."""
    a, b, moved = Rtp("alice", ALICE, 4420, 0x8A), Rtp("bob", BOB, 4420, 0x8B), Rtp("alice", ALICE, 4430, 0x8C)
    bob = bobs[0]
    establish(alice, bob, a, b, "refused")
    both_ways(a, b, "before")
    moved.to = a.to
    fax = re.sub(r"m=audio.*", "m=image 4440 udptl t38\r\na=T38FaxVersion:0\r\n", a.sdp(), flags=re.S)
    for who, whom, sdp, what in ((alice, bob, a.sdp("sendonly"), "hold"), (alice, bob, moved.sdp("inactive"), "another port, on hold"), (alice, bob, fax, "T.38"),
                                 (bob, alice, b.sdp("inactive"), "hold by the callee")):
        who.in_dialogue("INVITE", sdp)
        request = whom.receive("INVITE")
        both_ways(a, b, f"{what}, unanswered")
        whom.reply(request, 488)
        whom.receive("ACK")
        who.ack_refusal(who.receive(488))
        both_ways(a, b, f"{what}, refused")
    # Both at once: each refuses the other's.
    alice.in_dialogue("INVITE", moved.sdp())
    bob.in_dialogue("INVITE", b.sdp("sendonly"))
    requests = bob.receive("INVITE"), alice.receive("INVITE")
    for whom, request in zip((bob, alice), requests):
        whom.reply(request, 491)
        whom.receive("ACK")
    for who in (alice, bob):
        who.ack_refusal(who.receive(491))
    both_ways(a, b, "offers of both, refused")
    # The second try is answered.
    alice.in_dialogue("INVITE", moved.sdp())
    request = bob.receive("INVITE")
    b.hears(request.body)
    bob.reply(request, 200, b.sdp())
    moved.hears(alice.receive(200).body)
    alice.in_dialogue("ACK", cseq=alice.cseq)
    bob.receive("ACK")
    both_ways(moved, b, "another port, accepted")
    hang_up(alice, bob)
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")


def transfer(alice, bobs, relay):
    """The callee's side moves to another party: a re-INVITE toward the caller with the new party's address."""
    a, b, c = Rtp("alice", ALICE, 4500, 0x4A), Rtp("bob", BOB, 4500, 0x4B), Rtp("bob", BOB, 4520, 0x4C)
    bob = bobs[0]
    establish(alice, bob, a, b, "transfer")
    both_ways(a, b, "before the transfer")
    bob.in_dialogue("INVITE", c.sdp())
    request = alice.receive("INVITE")
    a.hears(request.body)
    alice.reply(request, 200, a.sdp())
    ok = bob.receive(200)
    c.hears(ok.body)
    bob.in_dialogue("ACK", cseq=bob.cseq)
    alice.receive("ACK")
    both_ways(a, c, "after the transfer")
    a.received(0)
    b.send()
    check(a.received().get(b.ssrc, 0) == 0, "the party that left is not heard")
    hang_up(alice, bob)
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")


def siprec(alice, bobs, relay):
    """A recorder subscribes to both parties of a running call by NG, as a proxy's SIPREC module does."""
    a, b = Rtp("alice", ALICE, 4600, 0x5A), Rtp("bob", BOB, 4600, 0x5B)
    r = [Rtp("bob", BOB, 4700 + 10 * i, 0x60 + i) for i in range(2)]
    establish(alice, bobs[0], a, b, "siprec")
    control = socket_in("core", "127.0.0.1", 0)
    control.settimeout(2)

    def ng(number, **request):
        document = json.dumps({k.replace("_", "-") if k != "to_tag" else "to-tag": v for k, v in request.items()})
        control.sendto(f"s{number} {document}".encode(), ("127.0.0.1", 2223))
        return json.loads(control.recv(65536).split(b" ", 1)[1])
    offer = ng(1, command="subscribe request", call_id="siprec", flags=["all", "SIPREC"])
    sections = offer["sdp"].split("m=audio ")[1:]
    labels = [re.search(r"a=label:(\d+)", s).group(1) for s in sections]
    check(len(sections) == 2 and all("a=sendonly" in s for s in sections) and
          [m["medias"][0]["label"] for m in offer["tag-medias"]] == labels, f"two labelled sendonly sections {labels}")
    answer = (f"v=0\r\no=rec 1 1 IN IP4 {BOB}\r\ns=-\r\nc=IN IP4 {BOB}\r\nt=0 0\r\n" +
              "".join(f"m=audio {x.port} RTP/AVP 8\r\na=recvonly\r\na=label:{label}\r\n" for x, label in zip(r, labels)))
    reply = ng(2, command="subscribe answer", call_id="siprec", to_tag=offer["to-tag"], sdp=answer)
    check(reply == {"result": "ok"}, "the recorder's answer is taken")
    both_ways(a, b, "with a recorder listening")
    heard = [x.received() for x in r]
    check(heard[0].get(a.ssrc, 0) >= 20 and heard[1].get(b.ssrc, 0) >= 20 and len(heard[0]) == len(heard[1]) == 1,
          f"the recorder hears each party on its own section: {heard}")
    check(ng(3, command="unsubscribe", call_id="siprec", to_tag=offer["to-tag"])["result"] == "ok", "unsubscribed")
    both_ways(a, b, "after the recorder left")
    check(not any(x.received() for x in r), "nothing more reaches the recorder")
    hang_up(alice, bobs[0])
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")


def big_offers(alice, bobs, relay):
    a, b = Rtp("alice", ALICE, 4800, 0x7A), Rtp("bob", BOB, 4800, 0x7B)
    extra = "".join(f"a=candidate-like:{i} {'x' * 60}\r\n" for i in range(100))
    request, _ = establish(alice, bobs[0], a, b, "big", extra=extra)
    check(len(a.sdp(extra=extra)) > 8000 and request.body.count("candidate-like") == 100, f"an offer of {len(request.body)} octets goes through whole")
    both_ways(a, b, "8 kB offer over UDP")
    hang_up(alice, bobs[0])
    tcp = socket_in("core", "127.0.0.1", 0, socket.SOCK_STREAM)
    tcp.settimeout(3)
    tcp.connect(("127.0.0.1", 2223))
    document = json.dumps({"command": "offer", "call-id": "tcp", "from-tag": "x", "sdp": a.sdp(extra=extra)}).encode()
    message = b"t1 " + document
    for at in range(0, len(message), 1400):
        tcp.sendall(message[at:at + 1400])
    data = b""
    while not data.endswith(b'"result":"ok"}'):
        data += tcp.recv(65536)
    check(len(document) > 8000 and data.count(b"candidate-like") == 100, "8 kB offer over TCP")
    relay.ctl("terminate", "--all")
    wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    parser.add_argument("--only", help="name of one flow")
    arguments = parser.parse_args()
    flows = (forking, voice_mail, ring_back, late_offer, prack, cancelled, refused, transfer, siprec, big_offers)
    try:
        need("kamailio", "ip", "pgrep")
        with Lab() as lab:
            relay = Relay(lab, os.path.abspath(arguments.build), "--delete-delay=0", "--num-threads=2", "--listen-tcp-ng=127.0.0.1:2223")
            lab.start_kamailio("kamailio-flows.cfg")
            for number, flow in enumerate(flows):
                if arguments.only and flow.__name__ != arguments.only:
                    continue
                print(f"-- {flow.__name__}", flush=True)
                alice = Phone("alice", ALICE, 5070 + number, f"alice{number}")
                bobs = [Phone("bob", BOB, 5061 + i, f"bob{number}{i}") for i in range(3)]
                try:
                    flow(alice, bobs, relay)
                except (RuntimeError, OSError, AttributeError, IndexError) as problem:
                    check(False, f"{flow.__name__}: {type(problem).__name__} {problem} in line {traceback.extract_tb(problem.__traceback__)[1].lineno}")
                    relay.ctl("terminate", "--all")
                for phone in (alice, *bobs):
                    phone.socket.close()
            if FAILED:
                print(lab.log("relay.log")[-2000:] + lab.log("kamailio.log")[-3000:])
        return exit_status()
    except Skip as why:
        print(f"SKIP: {why}")
        return 77


if __name__ == "__main__":
    sys.exit(main())
