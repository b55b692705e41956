#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The engine of DPDK on veth with net_af_packet and net_af_xdp, without hugepages: the conformance list of offload.py, judged by what the
portable engine gives; then what an engine that owns its links has to do besides: the kernel goes on using them, fragments, VLANs, a
small MTU, neighbours and links that come and go, frames that are not for us, and no rights left over.

Exit status: 0 passed, 1 failed, 77 this machine cannot run it (and why).
"""

import argparse
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

import lab
from lab import ALICE, BOB, BOB6, RELAY4, Lab, Relay, Skip, entered, inside, ns, run, wait_for
from offload import Call, Party, conformance, engines, rtp, socket_in
from verdict import check, exit_status


def counts(relay):
    return engines(relay)["dpdk"]["counts"]


def mac_of(name, device):
    return bytes.fromhex(run(*inside(name, "cat", f"/sys/class/net/{device}/address")).stdout.strip().replace(":", ""))


def frames_in(name, device):
    """A socket for whole frames of a namespace's link."""
    with entered(f"/run/netns/{ns(name)}"):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((device, 0))
    return s


def folded(words):
    words += bytes(len(words) % 2)
    total = sum(struct.unpack(f"!{len(words) // 2}H", words))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def udp_frame(macs, source, to, payload, spoil=0, tag=b""):
    """`macs`: destination and source. `spoil` is added to the UDP checksum."""
    addresses = socket.inet_aton(source[0]) + socket.inet_aton(to[0])
    udp = struct.pack("!HHHH", source[1], to[1], 8 + len(payload), 0) + payload
    checksum = (~folded(addresses + struct.pack("!HH", 17, len(udp)) + udp) & 0xffff) or 0xffff
    udp = udp[:6] + struct.pack("!H", (checksum + spoil) & 0xffff) + udp[8:]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0) + addresses
    ip = ip[:10] + struct.pack("!H", ~folded(ip) & 0xffff) + ip[12:]
    return macs[0] + macs[1] + tag + b"\x08\x00" + ip + udp


def kernel_has_its_own(driver):
    """ARP, neighbour discovery, ICMP and TCP between hosts and the relay's host, over links that the relay has."""
    for name, address in (("alice", "192.0.2.1"), ("alice", RELAY4), ("bob", "198.51.100.1"), ("bob", "2001:db8:20::1")):
        got = run(*inside(name, "ping", "-c", "3", "-i", "0.2", "-W", "2", address), check=False)
        check(got.returncode == 0 and "3 received" in got.stdout, f"{driver}: {name} pings {address}")
    got = run(*inside("core", "ping", "-c", "2", "-i", "0.2", "-W", "2", ALICE), check=False)
    check("2 received" in got.stdout, f"{driver}: and is pinged")
    with entered(f"/run/netns/{ns('core')}"):
        server = socket.create_server((RELAY4, 8080))
    octets, heard = os.urandom(300_000), []

    def serve():
        connection = server.accept()[0]
        connection.settimeout(10)
        received = bytearray()
        while len(received) < len(octets):
            received += connection.recv(65536)
        heard.append(bytes(received))
        connection.sendall(received)
        connection.close()
    thread = threading.Thread(target=serve)
    thread.start()
    with entered(f"/run/netns/{ns('alice')}"):
        client = socket.create_connection((RELAY4, 8080), 5)
    client.settimeout(10)
    client.sendall(octets)
    back = bytearray()
    while len(back) < len(octets):
        part = client.recv(65536)
        if not part:
            break
        back += part
    thread.join(10)
    server.close()
    client.close()
    check(heard == [octets] and bytes(back) == octets, f"{driver}: a TCP connection carries 300 kB there and back")


def fast_path(relay, control, driver):
    """Media of a call goes from port to port of DPDK; nothing of it passes the kernel."""
    alice, bob = Party("alice", ALICE, 41), Party("bob", BOB, 42)
    call = Call(control, alice, bob)
    call.talk(5)
    wait_for(lambda: (lambda before: (call.talk(2), counts(relay)["sent_by_socket"] == before)[1])(counts(relay)["sent_by_socket"]), 5, "ways to both")
    before = counts(relay)
    a, b = call.talk(200)
    after = counts(relay)
    gained = {k: after[k] - before[k] for k in after if after[k] != before[k]}
    check((len(a), len(b)) == (200, 200) and {p[1] for p in b} == {bob.relay} and {p[1] for p in a} == {alice.relay},
          f"{driver}: 200 packets each way, from the advertised ports (LAT-1)")
    check(gained.get("media") == 400 and gained.get("sent") == 400 and "sent_by_socket" not in gained and "drop_bad_checksum" not in gained,
          f"{driver}: all of them from port to port: {gained}")
    # Calls go to the workers in turn; the devices have one queue.
    others = []
    for n in range(3):
        parties = Party("alice", ALICE, 50 + n), Party("bob", BOB, 60 + n)
        others.append(Call(control, *parties))
        others[-1].talk(10)
    check(counts(relay)["handed_over"] > 0 and all(tuple(map(len, c.talk(20))) == (20, 20) for c in others), f"{driver}: each call on its own worker: "
          f"{counts(relay)['handed_over']} packets handed over")
    for c in others:
        c.ng("delete", **{"delete delay": 0})
    return call


def long_packets(network, relay, call, driver):
    """Longer than a link: fragments in and out. A link that becomes narrow: the kernel fragments, nothing is lost."""
    alice, bob = call.a, call.b
    with entered(f"/run/netns/{ns('alice')}"):
        alice.socket.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER: may be fragmented
    sent = []
    for n in range(10):
        packet = rtp(alice.ssrc, alice.sequence, text=f"long {n} ".encode() * 200, size=1900)
        alice.sequence += 1
        alice.socket.sendto(packet, alice.relay)
        sent.append(packet)
    heard = [p[0] for p in bob.heard(10)]
    check(heard == sent, f"{driver}: {len(heard)} packets of 1912 octets came in fragments and left in fragments")
    before = counts(relay)
    run(*inside("core", "ip", "link", "set", "c-bob", "mtu", "600"))
    wait_for(lambda: (alice.send(), bob.heard(1, 0.1))[-1], 3, "media over the narrow link")
    while bob.heard(1, 0.1):
        pass
    sent = []
    for n in range(10):
        sent.append(rtp(alice.ssrc, alice.sequence, text=f"narrow {n} ".encode() * 100, size=900))
        alice.sequence += 1
        alice.socket.sendto(sent[-1], alice.relay)
    heard = [p[0] for p in bob.heard(10)]
    check(heard == sent and counts(relay)["sent_by_socket"] >= before["sent_by_socket"] + 10, f"{driver}: on a link of 600 octets the kernel fragments: {len(heard)} of 10")
    run(*inside("core", "ip", "link", "set", "c-bob", "mtu", "1500"))
    run(*inside("core", "ip", "addr", "replace", "2001:db8:20::1/64", "dev", "c-bob", "nodad"))


def routes(relay, call, driver):
    """Neighbours and links come and go; media follows."""
    alice, bob = call.a, call.b

    def by_ports():
        before = counts(relay)["sent_by_socket"]
        heard = call.talk(3)
        return tuple(map(len, heard)) == (3, 3) and counts(relay)["sent_by_socket"] == before
    run(*inside("core", "ip", "neigh", "flush", "dev", "c-bob"))
    wait_for(by_ports, 5, "media on its way after the neighbour was lost")
    run(*inside("bob", "ip", "link", "set", "eth0", "down"))
    run(*inside("bob", "ip", "link", "set", "eth0", "up"))
    run(*inside("bob", "ip", "addr", "replace", BOB6 + "/64", "dev", "eth0", "nodad"))
    run(*inside("bob", "ip", "route", "replace", "default", "via", "198.51.100.1"))
    run(*inside("bob", "ip", "-6", "route", "replace", "default", "via", "2001:db8:20::1"))
    wait_for(by_ports, 10, "media after the link came back")
    check(True, f"{driver}: neighbour and link were lost and found")


def strange_frames(relay, call, driver):
    """What is not for the relay, or spoiled, is dropped by its reason; what is the kernel's goes there."""
    alice, bob = call.a, call.b
    wire = frames_in("alice", "eth0")
    macs = (mac_of("core", "c-alice"), mac_of("alice", "eth0"))
    source, to = (ALICE, alice.port), alice.relay
    packet = lambda: rtp(alice.ssrc, alice.sequence, text=b"strange")
    before = counts(relay)
    for _ in range(5):
        wire.send(udp_frame(macs, source, to, packet(), spoil=1))
        wire.send(udp_frame((b"\x02\x09\x09\x09\x09\x09", macs[1]), source, to, packet()))
        wire.send(udp_frame(macs, source, to, packet(), tag=b"\x81\x00\x00\x63"))  # VLAN 99, which nobody has set up
        wire.send(udp_frame(macs, ("127.0.0.1", 4000), to, packet()))
    heard = [p for p in bob.heard(1, 0.4) if b"strange" in p[0]]
    gained = {k: v - before[k] for k, v in counts(relay).items() if k.startswith("drop_") and v != before[k]}
    # A device without promiscuous mode may keep what is for another address to itself.
    others = gained.pop("drop_other_mac", 0)
    check(heard == [] and gained == {"drop_bad_checksum": 5, "drop_martian": 5} and others in (0, 5), f"{driver}: none of them is relayed: {gained}, {others} for another MAC address")
    wire.send(udp_frame(macs, source, to, packet()))
    check(len(bob.heard(1)) == 1, f"{driver}: the same frame without a flaw is")
    alice.sequence += 1
    wire.close()


def flood(relay, call, driver):
    """A flood of what is not media costs the calls nothing. Both parties speak in the middle of each volley. A volley is shorter than any
    queue before the relay (512 frames in a ring of net_af_packet, 1,000 in the backlog of a veth), and the next one waits until the relay
    has had this one: what such a queue loses on a busy host says nothing about the relay."""
    alice, bob = call.a, call.b
    stranger = socket_in("alice", ALICE)

    def had():
        now = counts(relay)
        return now["to_kernel"] + now["drop_kernel_full"]
    volleys, half, heard = 50, 200, [0, 0]
    for _ in range(volleys):
        before = had()
        for part in range(2):
            for _ in range(half):
                stranger.sendto(b"not media", (RELAY4, 9))
            if part == 0:
                alice.send()
                bob.send()
        heard = [heard[0] + len(alice.heard(1)), heard[1] + len(bob.heard(1))]
        wait_for(lambda: had() >= before + 2 * half, 10, "the relay to have had the whole volley")
    check(heard == [volleys, volleys], f"{driver}: {2 * half * volleys:,} datagrams to another port of the host, and no packet of the call is lost: "
          f"{heard[0]}, {heard[1]} of {volleys}")
    stranger.close()


def vlan(relay, control, driver):
    """A party behind a VLAN that the kernel has on the relay's link."""
    run(*inside("alice", "ethtool", "-K", "eth0", "txvlan", "off", "rxvlan", "off"), check=False)
    made = run(*inside("alice", "ip", "link", "add", "link", "eth0", "name", "eth0.7", "type", "vlan", "id", "7"), check=False)
    if made.returncode != 0:
        print(f"left out  {driver}: VLANs of the kernel: {made.stderr.strip()} (crafted frames are in dpdk_test)", flush=True)
        return
    run(*inside("core", "ip", "link", "add", "link", "c-alice", "name", "c-alice.7", "type", "vlan", "id", "7"))
    for name, device, address in (("alice", "eth0.7", "10.7.0.2/24"), ("core", "c-alice.7", "10.7.0.1/24")):
        run(*inside(name, "ip", "addr", "add", address, "dev", device))
        run(*inside(name, "ip", "link", "set", device, "up"))
    run(*inside("alice", "ip", "route", "add", "table", "7", "default", "via", "10.7.0.1"))
    run(*inside("alice", "ip", "rule", "add", "from", "10.7.0.2", "table", "7"))
    got = run(*inside("alice", "ping", "-c", "2", "-i", "0.2", "-W", "2", "10.7.0.1"), check=False)
    check("2 received" in got.stdout, f"{driver}: the kernel has its VLAN 7")
    alice, bob = Party("alice", "10.7.0.2", 71), Party("bob", BOB, 72)
    call = Call(control, alice, bob)
    call.talk(5)

    def by_ports():
        before = counts(relay)
        heard = call.talk(5)
        after = counts(relay)
        return tuple(map(len, heard)) == (5, 5) and after["sent_by_socket"] == before["sent_by_socket"] and after["media"] == before["media"] + 10
    wait_for(by_ports, 5, "tagged media from port to port")
    wire = frames_in("alice", "eth0")
    alice.send(0)
    bob.send()
    tagged = False
    end = time.monotonic() + 2
    wire.settimeout(0.5)
    while time.monotonic() < end and not tagged:
        try:
            frame = wire.recv(2048)
        except TimeoutError:
            break
        tagged = frame[12:16] == b"\x81\x00\x00\x07" and b"bob " in frame
    check(tagged, f"{driver}: media of a party behind VLAN 7 is tagged on the wire, both ways from port to port")
    wire.close()
    alice.heard(1, 0.2)
    call.ng("delete", **{"delete delay": 0})


def what_operators_see(network, relay, build, driver):
    shown = run(os.path.join(build, "rtpferryctl"), f"--socket={relay.socket}", "engines").stdout
    check(f"net_{driver}" in shown and "no hugepages" in shown, f"{driver}: rtpferryctl engines names ports and memory")
    doctor = run(*inside("core", os.path.join(build, "rtpferryctl"), f"--socket={relay.socket}", "--json", "doctor"), check=False).stdout
    found = {c["name"]: c for c in json.loads(doctor)["checks"]}
    names = [n for n in found if n.startswith("dpdk")]
    check({"dpdk memory", "dpdk iommu", f"dpdk port net_{driver}0"} <= set(names) and "c-alice" in found[f"dpdk port net_{driver}0"]["finding"], f"{driver}: doctor looks at {', '.join(names)}")
    page = relay.ctl("engines")["dpdk"]
    check(all(p["counts"].get("rx_q0_packets", p["counts"]["rx_good_packets"]) > 0 for p in page["ports"] if p["interface"] != "c-nat"),
          f"{driver}: statistics of ports and queues")


def metrics_of(network):
    with entered(f"/run/netns/{ns('core')}"):
        s = socket.create_connection(("127.0.0.1", 9900), 5)
    s.sendall(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    page = b""
    while part := s.recv(65536):
        page += part
    return page.decode(errors="replace")


def rights(network, relay, driver):
    """Threads have capabilities of their own: none keeps what the start needed."""
    kept = {}
    for task in os.listdir(f"/proc/{relay.pid}/task"):
        with open(f"/proc/{relay.pid}/task/{task}/status") as f:
            facts = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        kept[facts["Name"]] = int(facts["CapPrm"], 16)
    allowed = sum(1 << bit for bit in (0, 1, 3, 10))  # of files, and CAP_NET_BIND_SERVICE
    left = {name: hex(value) for name, value in kept.items() if value & ~allowed}
    check(not left and any("lcore" in name or "worker" in name for name in kept), f"{driver}: {len(kept)} threads without network rights {left or ''}")


def restart(network, build, driver):
    """The user changes, a daemon is killed, and the next one finds its ports free."""
    program = os.path.join(build, "rtpferryd")
    os.chmod(network.directory, 0o755)
    for number, (options, ending) in enumerate(((("--user=nobody", "--group=nogroup"), signal.SIGKILL), ((), signal.SIGTERM), ((), signal.SIGTERM))):
        log = f"again-{number}.log"
        process = network.start("core", program, "--config-file=none", f"--interface={RELAY4}", "--listen-ng=127.0.0.1:2224", "--control-socket=none",
                                *network.engine_options(), *options, log=log)
        wait_for(lambda: "is ready" in network.log(log) or process.poll() is not None, 10, "the daemon")
        check(process.poll() is None, f"{driver}: start {number + 1} {options or ''}" + ("" if process.poll() is None else network.log(log)[-3000:]))
        got = run(*inside("alice", "ping", "-c", "2", "-i", "0.3", "-W", "2", "192.0.2.1"), check=False)
        check("2 received" in got.stdout, f"{driver}: the host is reached through it")
        process.send_signal(ending)
        process.wait(5)


def link_states(network, build):
    """A device that tells of its link (net_tap does): the kernel's end follows."""
    socket_path = network.path("link.sock")
    eal = "--lcores=0@(0-1),1@(0-1) --no-huge -m 96 --no-pci --log-level=lib.eal:warning --vdev=net_tap0,iface=wire0"
    process = network.start("core", os.path.join(build, "rtpferryd"), "--config-file=none", f"--interface={RELAY4}", "--listen-ng=127.0.0.1:2225",
                            f"--control-socket={socket_path}", "--engine=dpdk", f"--dpdk-eal={eal}", "--dpdk-port=net_tap0=kern0", log="link.log")
    wait_for(lambda: "is ready" in network.log("link.log") or process.poll() is not None, 10, "the daemon")
    check(process.poll() is None, f"net_tap: starts {'' if process.poll() is None else network.log('link.log')[-300:]}")

    def carrier():
        return run(*inside("core", "cat", "/sys/class/net/kern0/carrier"), check=False).stdout.strip()

    def shown():
        reply = run(os.path.join(build, "rtpferryctl"), f"--socket={socket_path}", "--json", "engines").stdout
        return json.loads(reply)["dpdk"]["ports"][0]["up"]
    for state, wanted in (("down", "0"), ("up", "1")):
        run(*inside("core", "ip", "link", "set", "wire0", state))
        wait_for(lambda: carrier() == wanted, 5, f"the kernel to hear that the link is {state}")
        check(shown() == (state == "up"), f"net_tap: a link that goes {state} is seen by engines and by the kernel")
    process.terminate()
    process.wait(5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    parser.add_argument("--driver", action="append", choices=("af_packet", "af_xdp"))
    arguments = parser.parse_args()
    build = os.path.abspath(arguments.build)
    try:
        lab.need("ip", "ethtool", "nft", "ping")
        lab.need_engine(build, "any")
        with Lab() as network:
            relay = Relay(network, build, "--offload=off", "--num-threads=1")
            control = socket_in("core", "127.0.0.1")
            control.connect(("127.0.0.1", 2223))
            reference = conformance(relay, control, False)
        for driver in arguments.driver or ["af_packet", "af_xdp"]:
            with Lab(driver) as network:
                try:
                    relay = Relay(network, build, "--num-threads=2", "--listen-http=127.0.0.1:9900")
                except RuntimeError as why:
                    if driver == "af_xdp" and ("AF_XDP" in str(why) or "xsk" in str(why)):
                        raise Skip(f"no AF_XDP sockets here: {why}") from None
                    raise
                control = socket_in("core", "127.0.0.1")
                control.connect(("127.0.0.1", 2223))
                kernel_has_its_own(driver)
                found = conformance(relay, control, False)
                differences = [f"{what}: {found[what]} instead of {reference[what]}" for what in found if found[what] != reference[what]]
                check(not differences, f"{driver}: {len(found)} scenarios give what the portable engine gives {differences or ''}")
                call = fast_path(relay, control, driver)
                long_packets(network, relay, call, driver)
                routes(relay, call, driver)
                strange_frames(relay, call, driver)
                flood(relay, call, driver)
                vlan(relay, control, driver)
                what_operators_see(network, relay, build, driver)
                page = metrics_of(network)
                check('rtpferry_dpdk_frames_total{what="media"}' in page and "rtpferry_dpdk_port_total{" in page and 'rtpferry_dpdk_port_up{port="' in page,
                      f"{driver}: metrics of frames, ports and queues")
                rights(network, relay, driver)
                call.ng("delete", **{"delete delay": 0})
                check(relay.used_pairs() == 0, f"{driver}: no port is left in use")
                relay.process.terminate()
                relay.process.wait(5)
                restart(network, build, driver)
                if driver == "af_packet":
                    link_states(network, build)
    except Skip as why:
        print(f"skipped: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
