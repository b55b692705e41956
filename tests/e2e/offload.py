#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One list of scenarios on the portable engine alone and with in-kernel forwarding by tc, by native and by generic XDP, between
namespaces joined by veth and judged by real UDP sockets; then what in-kernel forwarding has to do besides.

Exit status: 0 passed, 1 failed, 77 this machine cannot run it (and why).
"""

import argparse
import ctypes
import json
import os
import pwd
import select
import shutil
import signal
import socket
import struct
import sys
import time

import lab
from lab import ALICE, BOB, BOB6, RELAY4, RELAY6, Lab, Relay, Skip, inside, ns, run, wait_for
from verdict import check, exit_status

LIBC = ctypes.CDLL("libc.so.6", use_errno=True)
CLONE_NEWNET = 0x40000000


def socket_in(name, address=None, port=0):
    """A UDP socket that lives in a namespace, without an address a raw one; the process stays where it is."""
    here = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{ns(name)}", os.O_RDONLY)
    try:
        if LIBC.setns(there, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        if address is None:
            s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        else:
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((address, port))
    finally:
        LIBC.setns(here, CLONE_NEWNET)
        os.close(here)
        os.close(there)
    s.settimeout(2)
    return s


def forge(raw, source, to, packet):
    """Sends a datagram under somebody else's address and port."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(to[0])
    udp = struct.pack("!HHHH", source[1], to[1], 8 + len(packet), 0) + packet
    words = addresses + struct.pack("!HH", socket.IPPROTO_UDP, len(udp)) + udp + bytes(len(udp) % 2)
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    total = (total & 0xffff) + (total >> 16)
    udp = udp[:6] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff or 0xffff) + udp[8:]
    raw.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0) + addresses + udp, (to[0], 0))


def rtp(ssrc, sequence, payload_type=96, text=b"", size=160):
    return struct.pack("!BBHII", 0x80, payload_type, sequence & 0xffff, 160 * sequence, ssrc) + (text + bytes(size))[:size]


def sdp(address, port, media="video", attributes="sendrecv"):
    kind = "IP6" if ":" in address else "IP4"
    return (f"v=0\r\no=- 1 1 IN {kind} {address}\r\ns=-\r\nc=IN {kind} {address}\r\nt=0 0\r\n"
            f"m={media} {port} RTP/AVP {'8' if media == 'audio' else '96'}\r\na=rtpmap:96 VP8/90000\r\na={attributes}\r\n")


class Party:
    def __init__(self, name, address, ssrc):
        self.name, self.address, self.ssrc = name, address, ssrc
        self.socket = socket_in(name, address)
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)  # SO_RCVBUFFORCE: what waits while this program does not run is not lost
        self.port = self.socket.getsockname()[1]
        self.sequence = 1
        self.relay = None
        self.payload_type = 96

    def send(self, count=1, to=None, payload_type=None):
        for _ in range(count):
            packet = rtp(self.ssrc, self.sequence, payload_type or self.payload_type, f"{self.name} {self.sequence} ".encode())
            self.socket.sendto(packet, to or self.relay)
            self.sequence += 1

    def heard(self, count, seconds=2):
        """What arrives until there are `count` packets or time is up."""
        packets = []
        end = time.monotonic() + seconds
        while len(packets) < count and (left := end - time.monotonic()) > 0:
            if select.select([self.socket], [], [], left)[0]:
                packets.append(self.socket.recvfrom(2048))
        return packets


class Call:
    """Offer and answer between two parties by the NG protocol."""

    number = 0

    def __init__(self, control, a, b, relay_a=RELAY4, relay_b=RELAY4, options=None, media="video"):
        Call.number += 1
        self.id, self.control, self.a, self.b, self.options = f"call-{Call.number}", control, a, b, options or {}
        self.relay_a, self.relay_b, self.media = relay_a, relay_b, media
        self.signal()

    def ng(self, command, **keys):
        request = {"command": command, "call-id": self.id, "from-tag": "A", **keys}
        self.control.send(f"{self.id}-{time.monotonic_ns()} {json.dumps(request)}".encode())
        return json.loads(self.control.recv(65536).split(b" ", 1)[1])

    def signal(self, direction="sendrecv"):
        offered = self.ng("offer", sdp=sdp(self.a.address, self.a.port, self.media, direction), **self.options)
        answered = self.ng("answer", **{"to-tag": "B"}, sdp=sdp(self.b.address, self.b.port, self.media, {"sendonly": "recvonly"}.get(direction, direction)))
        port = lambda reply: int(reply["sdp"].split(f"m={self.media} ")[1].split()[0])
        self.b.relay, self.a.relay = (self.relay_b, port(offered)), (self.relay_a, port(answered))

    def talk(self, packets=50):
        """Both speak, each packet when the one before has arrived; returns what each heard."""
        a, b = [], []
        for _ in range(packets):
            self.a.send()
            self.b.send()
            a += self.a.heard(1)
            b += self.b.heard(1)
        return a, b

    def reach_kernel(self, relay, what):
        """Both speak until both streams are in the kernel."""
        wait_for(lambda: self.talk(1) and engines(relay)["flows"] == 2, 3, what + " in the kernel")


def engines(relay):
    return relay.ctl("engines")


def conformance(relay, control, kernel):
    """What the parties hear and what is counted, scenario by scenario: the same whoever forwards. `kernel`: streams go there."""
    seen = {}

    def both(call, packets=20):
        a, b = call.talk(packets)
        return len(a), len(b)

    def settle(call):
        call.talk(5)
        if kernel:
            call.reach_kernel(relay, "the streams")

    def counted(call):
        drops = {}
        for leg in relay.ctl("show", call.id)["legs"]:
            for media in leg["medias"]:
                for reason, number in media.get("drops", {}).items():
                    drops[reason] = drops.get(reason, 0) + number
        return drops

    def payloads(packets):
        return {p[0][12:] for p in packets}

    # Two parties.
    alice, bob = Party("alice", ALICE, 21), Party("bob", BOB, 22)
    call = Call(control, alice, bob)
    settle(call)
    seen["two parties"] = both(call, 50)
    flows = engines(relay)["flows"]
    before = engines(relay)["packets_user"]
    for _ in range(3):
        call.signal()
        seen["re-offer"] = both(call)
    check(not kernel or (engines(relay)["flows"], engines(relay)["packets_user"]) == (flows, before), "re-offers that change nothing leave the streams in the kernel")
    # Somebody on the way of the packets writes under Alice's address: from another port, under another address from her
    # port, and from her port with SSRCs that are not hers. She spoke just now: after half a second of silence another port
    # of her host may go on with her stream (LAT-8c), and what asked the relay above may have taken that long.
    raw = socket_in("alice")
    call.talk(1)
    for n in range(20):
        packet = lambda ssrc: rtp(ssrc, alice.sequence + n, text=b"forged")
        forge(raw, (ALICE, alice.port ^ 1), alice.relay, packet(21))
        forge(raw, ("192.0.2.77", alice.port), alice.relay, packet(21))
        forge(raw, (ALICE, alice.port), alice.relay, packet(1000 + n))
        forge(raw, (ALICE, alice.port), bob.relay, packet(21))
    seen["forged"] = (len([p for p in bob.heard(80, 0.3) if b"forged" in p[0]]), len(alice.heard(1, 0.1)), both(call), counted(call))
    raw.close()
    call.signal("sendonly")
    alice.send(10)
    bob.send(10)
    seen["hold"] = (len(bob.heard(10)), len(alice.heard(1, 0.2)), counted(call))
    call.signal()
    seen["resume"] = both(call)
    call.ng("block media", **{"from-tag": "A"})
    alice.send(10)
    bob.send(10)
    seen["block"] = (len(bob.heard(1, 0.2)), len(alice.heard(10)), counted(call))
    call.ng("unblock media", **{"from-tag": "A"})
    seen["unblock"] = both(call)
    # A second branch answers from elsewhere: it is the call's other side from then on.
    carol = Party("bob", BOB, 23)
    call.ng("answer", **{"to-tag": "C"}, sdp=sdp(carol.address, carol.port))
    carol.relay = bob.relay
    heard = [0, 0]
    for _ in range(20):
        alice.send()
        carol.send()
        heard = [heard[0] + len(carol.heard(1, 0.05)), heard[1] + len(alice.heard(1, 0.05))]
    seen["fork"] = (heard[0] > 0, heard[1] > 0)
    call.ng("delete", **{"delete delay": 0})
    alice.send(5)
    seen["delete"] = (len(bob.heard(1, 0.2)), engines(relay)["flows"])

    # Behind a NAT: the SDP shows another address and port, the proxy tells where the request came from.
    alice, bob = Party("alice", ALICE, 24), Party("bob", BOB, 25)
    call = Call.__new__(Call)
    call.id, call.control, call.media = "nat", control, "video"
    offered = call.ng("offer", sdp=sdp("10.9.9.9", 7777), flags=["SIP-source-address"], **{"received-from": ["IP4", ALICE]})
    answered = call.ng("answer", **{"to-tag": "B"}, sdp=sdp(BOB, bob.port))
    call.a, call.b = alice, bob
    bob.relay, alice.relay = ((RELAY4, int(r["sdp"].split("m=video ")[1].split()[0])) for r in (offered, answered))
    alice.send()
    bob.heard(1)
    settle(call)
    seen["NAT"] = both(call)
    call.ng("delete", **{"delete delay": 0})

    # Between address families.
    alice, bob = Party("alice", ALICE, 26), Party("bob", BOB6, 27)
    call = Call(control, alice, bob, relay_b=RELAY6, options={"address-family": "IP6"})
    settle(call)
    seen["IPv4 to IPv6"] = both(call, 50)
    call.ng("delete", **{"delete delay": 0})

    # A third party listens: a copy of each packet, in the kernel too.
    alice, bob, recorder = Party("alice", ALICE, 28), Party("bob", BOB, 29), Party("bob", BOB, 30)
    call = Call(control, alice, bob, media="audio")
    alice.payload_type = bob.payload_type = 8
    settle(call)
    offered = call.ng("subscribe request", **{"from-tag": "A"})
    call.ng("subscribe answer", **{"from-tag": "", "to-tag": offered["to-tag"]}, sdp=sdp(BOB, recorder.port, "audio", "recvonly"))
    if kernel:
        call.reach_kernel(relay, "the streams with a listener")
    while recorder.heard(1, 0.1):
        pass
    before = engines(relay)["packets_user"]
    first = alice.sequence
    seen["listener"] = both(call, 30)
    copies = recorder.heard(30)
    seen["copies"] = [p[0] for p in copies] == [rtp(28, first + i, 8, f"alice {first + i} ".encode()) for i in range(30)]
    check(not kernel or engines(relay)["packets_user"] == before, "a stream with two receivers is copied in the kernel")
    call.ng("unsubscribe", **{"from-tag": "", "to-tag": offered["to-tag"]})
    seen["no listener"] = both(call), len(recorder.heard(1, 0.2))

    call.ng("silence media", **{"from-tag": "A"})
    if kernel:
        call.reach_kernel(relay, "a silenced stream")
    a, b = call.talk(20)
    seen["silence"] = (payloads(b) == {bytes([0xd5]) * 160}, len(a), len(b))
    call.ng("unsilence media", **{"from-tag": "A"})
    a, b = call.talk(20)
    seen["no silence"] = (len(payloads(b)), len(a))

    # LIM-1. What passes depends on how fast the sender was; what did not is counted. The relay has had each volley before the next one
    # goes, so that no queue on the way to it runs over.
    def had():
        return call.ng("query")["totals"]["RTP"]["packets"] + counted(call).get("rate-limited", 0)
    arrived = 0
    for _ in range(10):
        alice.send(100)
        wait_for(lambda: had() == alice.sequence - 1 + bob.sequence - 1, 5, "the relay to have had the whole volley")
        arrived += len(bob.heard(100, 0.002))
    arrived += len(bob.heard(1000, 0.3))
    seen["rate"] = (arrived < 900, arrived + counted(call).get("rate-limited", 0))
    query = call.ng("query")
    total = alice.sequence - 1 + bob.sequence - 1
    seen["totals"] = query["totals"]["RTP"]["packets"] + counted(call).get("rate-limited", 0) == total
    call.ng("delete", **{"delete delay": 0})
    return seen


def scenarios(network, relay, control, mode):
    alice, bob = Party("alice", ALICE, 1), Party("bob", BOB, 2)
    call = Call(control, alice, bob)
    heard = call.talk(5)
    check(len(heard[0]) == 5 and len(heard[1]) == 5, f"{mode}: the first packets arrive")
    call.reach_kernel(relay, "both streams")
    call.ng("query")  # the kernel's counters are read now
    before = engines(relay)
    a_first, b_first = alice.sequence, bob.sequence
    heard_a, heard_b = call.talk(100)
    check([p[0][12:172] for p in heard_b] == [rtp(1, 0, text=f"alice {a_first + i} ".encode())[12:] for i in range(100)] and
          len(heard_a) == 100, f"{mode}: 100 packets each way, whole and in order")
    check({p[1] for p in heard_b} == {bob.relay} and {p[1] for p in heard_a} == {alice.relay}, f"{mode}: they come from the advertised port (LAT-1)")
    query = call.ng("query")
    after = engines(relay)
    check(after["packets_user"] == before["packets_user"] and after["packets_kernel"] == before["packets_kernel"] + 200,
          f"{mode}: user space saw none of them")
    total = alice.sequence - 1 + bob.sequence - 1
    medias = [query["tags"][t]["medias"][0]["streams"][0] for t in "AB"]
    check(query["totals"]["RTP"] == {"packets": total, "bytes": total * 172, "errors": 0} and
          all(m["stats_out"]["packets"] == total // 2 for m in medias), f"{mode}: query counts them all ({total})")

    check(all("kernelized" in s["flags"] and "no kernel support" not in s["flags"] and s["last kernel packet"] >= s["last user packet"] > 0 for s in medias),
          f"{mode}: query says that the kernel forwards them")
    shares = call.ng("statistics")["statistics"]["currentstatistics"]
    check((shares["media_kernel"], shares["media_mixed"]) == (1, 0), f"{mode}: statistics too")
    check({k for k, v in after["sent_by"].items() if v > before["sent_by"].get(k, 0)} == {"tc" if mode in ("tc", "clsact") else "xdp"}, f"{mode}: sent by {after['sent_by']}")

    # A stranger while the peer may still be learned, and one packet of a type that no SDP has: it passes (DMX-4).
    stranger = Party("bob", BOB, 9)
    stranger.send(20, to=alice.relay)
    alice.send(1, payload_type=77)
    check(len(bob.heard(1)) == 1, f"{mode}: a payload type that was not negotiated passes from a locked source")
    a, b = call.talk(20)
    check(len(a) == 20 and len(b) == 20 and stranger.heard(1, 0.2) == [], f"{mode}: a stranger adds nothing and hears nothing")
    stats = relay.ctl("show", call.id)["legs"]
    drops = [d for leg in stats for media in leg["medias"] for d in media.get("drops", {}).items()]
    others = [media.get("other_type_packets", 0) for leg in stats for media in leg["medias"]]
    check(("foreign-source", 20) in drops and sorted(others) == [0, 1], f"{mode}: both are counted: {drops}, {others}")

    call.signal("sendonly")
    bob.send(10)
    alice.send(10)
    check(len(bob.heard(10)) == 10 and alice.heard(1, 0.2) == [], f"{mode}: hold is one-way")
    call.signal("sendrecv")
    a, b = call.talk(10)
    check(len(a) == 10 and len(b) == 10, f"{mode}: and both ways again")

    # The receiver's neighbour entry, its link and its MTU come and go: packets pass by the socket, then return.
    for what, *commands in (("neighbour", ["ip", "neigh", "flush", "dev", "c-bob"]),
                            ("link", ["ip", "link", "set", "c-bob", "down"], ["ip", "link", "set", "c-bob", "up"],
                             ["ip", "addr", "add", "2001:db8:20::1/64", "dev", "c-bob", "nodad"])):
        for command in commands:
            run(*inside("core", *command))
        wait_for(lambda: (alice.send(), bob.heard(1, 0.1))[-1], 3, f"media after the {what} was lost")
        call.reach_kernel(relay, f"both streams after the {what} was lost")
    while bob.heard(1, 0.1) or alice.heard(1, 0.1):
        pass
    a, b = call.talk(20)
    check(len(a) == 20 and len(b) == 20, f"{mode}: neighbour and link were lost and found")

    # A smaller MTU: the kernel does not fragment, so the packets go by the sockets until it is back.
    call.reach_kernel(relay, "both streams")
    run(*inside("core", "ip", "link", "set", "c-bob", "mtu", "190"))
    wait_for(lambda: (alice.send(), bob.heard(1, 0.1), engines(relay)["flows"] < 2)[-1], 3, "the sockets' turn with an MTU of 190")
    while bob.heard(1, 0.1):
        pass
    # The other way round the link itself drops what is longer than its MTU.
    alice.send(20)
    check(len(bob.heard(20)) == 20 and engines(relay)["punted"].get("mtu", 0) > 0, f"{mode}: packets that would not fit go by the sockets")
    run(*inside("core", "ip", "link", "set", "c-bob", "mtu", "1500"))
    run(*inside("core", "ip", "addr", "replace", "2001:db8:20::1/64", "dev", "c-bob", "nodad"))
    call.reach_kernel(relay, "both streams after the MTU grew")

    # Another port of the same phone goes on after half a second (LAT-8c).
    call.reach_kernel(relay, "both streams")
    moved = Party("alice", ALICE, 1)
    moved.relay, moved.sequence = alice.relay, alice.sequence + 3
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        bob.send()
        alice.heard(1, 0.05)
    moved.send(3)
    bob.heard(3)
    bob.send(3)
    check(len(moved.heard(3)) == 3, f"{mode}: a peer that rebinds is followed")

    old = moved.relay
    call.ng("delete", **{"delete delay": 0})
    check(engines(relay)["flows"] == 0, f"{mode}: delete leaves no flow")
    moved.send(5, to=old)
    check(bob.heard(1, 0.3) == [], f"{mode}: and nothing passes any more")

    # Between families: the header grows one way and shrinks the other.
    alice, bob = Party("alice", ALICE, 3), Party("bob", BOB6, 4)
    call = Call(control, alice, bob, relay_b=RELAY6, options={"address-family": "IP6"})
    call.talk(5)
    call.reach_kernel(relay, "the streams")
    call.ng("query")
    before = engines(relay)["packets_kernel"]
    first = alice.sequence
    a, b = call.talk(50)
    call.ng("query")
    check([p[0][12:172] for p in b] == [rtp(3, 0, text=f"alice {first + i} ".encode())[12:] for i in range(50)] and len(a) == 50 and
          engines(relay)["packets_kernel"] == before + 100, f"{mode}: IPv4 to IPv6 and back in the kernel")
    call.ng("delete", **{"delete delay": 0})

    # LIM-1: a flood of one party ends at its limit and is counted.
    alice, bob = Party("alice", ALICE, 11), Party("bob", BOB, 12)
    call = Call(control, alice, bob, media="audio")
    for party in (alice, bob):
        party.payload_type = 8
    call.reach_kernel(relay, "the audio streams")
    alice.send(1000)
    arrived = len(bob.heard(1000, 0.5))
    call.ng("query")
    refused = sum(leg["medias"][0]["drops"].get("rate-limited", 0) for leg in relay.ctl("show", call.id)["legs"])
    check(arrived < 900 and arrived + refused == 1000, f"{mode}: of a flood of 1000 pass {arrived}, {refused} are counted as refused")
    call.ng("delete", **{"delete delay": 0})

    # Both behind one interface, IPv6.
    first, second = Party("bob", BOB6, 5), Party("bob", BOB6, 6)
    call = Call(control, first, second, RELAY6, RELAY6)
    call.talk(5)
    call.reach_kernel(relay, "the IPv6 streams")
    call.ng("query")
    before = engines(relay)["packets_kernel"]
    a, b = call.talk(50)
    call.ng("query")
    check(len(a) == 50 and len(b) == 50 and engines(relay)["packets_kernel"] == before + 100, f"{mode}: IPv6 out of the interface it came in by")
    call.ng("delete", **{"delete delay": 0})

    # The interface goes and another comes under its name.
    run(*inside("core", "ip", "link", "del", "c-alice"))
    network.link("core", "c-alice", "192.0.2.1/24", "alice", "eth0", ALICE + "/24")
    run(*inside("alice", "ip", "route", "add", "default", "via", "192.0.2.1"))
    for name, device in (("alice", "eth0"), ("core", "c-alice")):
        run(*inside(name, "ethtool", "-K", device, "gro", "on"), check=False)
    wait_for(lambda: network.log("relay.log").count("offload on c-alice: " + mode) == 2, 5, "the programs on the new interface")
    alice, bob = Party("alice", ALICE, 7), Party("bob", BOB, 8)
    call = Call(control, alice, bob)
    call.talk(5)
    call.reach_kernel(relay, "streams of the new interface")
    before = sum(engines(relay)["sent_by"].values())
    a, b = call.talk(20)
    check(len(a) == 20 and len(b) == 20 and sum(engines(relay)["sent_by"].values()) == before + 40, f"{mode}: an interface that came back forwards again")
    call.ng("delete", **{"delete delay": 0})


def privileges(network, build):
    """The daemon has no rights of its own: a helper process attaches the programs, and they go with the daemon."""
    os.chmod(network.directory, 0o755)
    program = shutil.copy(os.path.join(build, "rtpferryd"), network.directory)  # the build may lie where nobody else may look
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

    def status(pid):
        with open(f"/proc/{pid}/status") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f)

    def programs():
        return run(*inside("core", "tc", "filter", "show", "dev", "c-alice", "ingress")).stdout.count("direct-action")

    rights = "+bpf,+net_admin,+perfmon"
    usual = str(next((each.pw_uid for each in pwd.getpwall() if each.pw_name == "rtpferry"), pwd.getpwnam("nobody").pw_uid))
    for number, (what, prefix, options, wanted, uid) in enumerate((
            ("as nobody with three capabilities", (*as_nobody, f"--inh-caps={rights}", f"--ambient-caps={rights}", "--no-new-privs"), (),
             "offload on c-alice: clsact (asked for; by clsact)", "65534"),
            ("as root that becomes nobody", (), ("--user=nobody", "--group=nogroup"), "offload on c-alice: clsact (asked for; by clsact)", "65534"),
            ("as root", (), (), "offload on c-alice: clsact (asked for; by clsact)", usual),
            ("as root by name", (), ("--user=root",), "offload on c-alice: clsact (asked for; by clsact)", "0"),
            ("as nobody without rights", (*as_nobody, "--inh-caps=-all", "--ambient-caps=-all"), (),
             "offload: no rights: it needs CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON; all media goes through user space", "65534"))):
        log = f"rights-{number}.log"
        process = network.start("core", *prefix, program, "--config-file=none", f"--interface={RELAY4}", "--listen-ng=127.0.0.1:2224",
                                "--control-socket=none", "--offload=c-alice=clsact", *options, log=log)
        wait_for(lambda: "is ready" in network.log(log), 30, "the relay")
        lines = [line for line in network.log(log).splitlines() if "offload" in line]
        check(len(lines) == 1 and wanted in lines[0], f"{what}: {lines}")
        daemon = process.pid  # whatever comes before it becomes it
        facts = status(daemon)
        files, bind = sum(1 << bit for bit in (0, 1, 3)), 1 << 10  # CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER; CAP_NET_BIND_SERVICE
        check(facts["NoNewPrivs"] == "1" and facts["Uid"].split() == [uid] * 4 and int(facts["CapPrm"], 16) & ~bind == (files if uid == "0" else 0),
              f"{what}: the daemon is user {uid} with capabilities {facts['CapPrm']} and no way to more")
        # Linux gives what is in /proc of a process that must not be dumped to root.
        check(os.stat(f"/proc/{daemon}/environ").st_uid == 0, f"{what}: no core dump can have its keys (SRT-15)")
        if "no rights" in wanted:
            check(programs() == 0, f"{what}: nothing is attached")
        else:
            helper = int(run("pgrep", "-P", str(daemon)).stdout)
            needed = sum(1 << bit for bit in (12, 38, 39))  # CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF
            facts = status(helper)
            check(facts["Name"] == "rtpferry-helper" and int(facts["CapPrm"], 16) & ~needed == 0 and facts["NoNewPrivs"] == "1",
                  f"{what}: the helper has capabilities {facts['CapPrm']}, no more than three")
            check(programs() == 1, f"{what}: the program is on the interface")
        os.kill(daemon, signal.SIGKILL)
        process.wait(5)
        wait_for(lambda: programs() == 0, 3, "the programs gone with a killed daemon")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--mode", action="append")
    arguments = parser.parse_args()
    try:
        lab.need("ip", "ethtool")
        reference = None
        for mode in arguments.mode or ["off", "tc", "clsact", "xdp", "xdp-generic"]:
            with Lab() as network:
                for name, device in (("alice", "eth0"), ("bob", "eth0"), ("core", "c-alice"), ("core", "c-bob")):
                    run(*inside(name, "ethtool", "-K", device, "gro", "on"), check=False)
                relay = Relay(network, os.path.abspath(arguments.build), f"--offload={mode}", f"--offload=c-alice={mode}", f"--offload=c-bob={mode}",
                              "--num-threads=1")
                control = socket_in("core", "127.0.0.1")
                control.connect(("127.0.0.1", 2223))
                got = engines(relay)["offload"]
                if mode == "off":
                    reference = conformance(relay, control, False)
                    print("\n".join(f"        portable  {what}: {found}" for what, found in reference.items()))
                    continue
                if not got:
                    raise Skip("no rights to load BPF programs: " + network.log("relay.log"))
                check({each["mode"] for each in got} == {mode}, f"{mode}: attached ({got[0]['reason']})")
                found = conformance(relay, control, True)
                differences = [f"{what}: {found[what]} instead of {reference[what]}" for what in found if reference and found[what] != reference[what]]
                check(not differences, f"{mode}: {len(found)} scenarios give what the portable engine gives {differences or ''}")
                scenarios(network, relay, control, mode)
                if mode == "tc":
                    privileges(network, os.path.abspath(arguments.build))
    except Skip as why:
        print(f"skipped: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
