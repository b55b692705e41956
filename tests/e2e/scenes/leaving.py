# SPDX-License-Identifier: Apache-2.0
"""What the relay has does not reach the listener, or somebody wanted that it does not."""

from lab import BOB, BOB6, RELAY4, inside, run
from scenes.theatre import FAULTS, about, rows, scene


def nobody_at(t, name, cause, **answer):
    """B's SDP names where nobody is: B sends nothing, and hears nothing."""
    b = t.party("bob")
    t.call(name, b=b, answer=b.sdp(**answer))
    b.on = False
    return about("B", "fault never-sent", back_heard=f"fault {cause}")


@scene(FAULTS)
def icmp_unreachable(t, name):
    b = t.alone("bob")
    t.call(name, b=b)
    b.on = False
    b.socket.close()              # bob's kernel answers for it
    return about("B", "fault never-sent unreachable", back_heard="fault unreachable")


@scene(FAULTS)
def port_closes_later(t, name):
    """B's phone dies: it sends nothing more, and its host refuses what comes. The relay pauses (LAT-12a)."""
    b = t.alone("bob")
    t.call(name, b=b)

    def die():
        b.on = False
        b.socket.close()
    t.stage.at(2.0, die)
    return about("B", "fault stopped unreachable", back_heard="fault unreachable")


@scene(FAULTS)
def port_closes_while_it_speaks(t, name):
    """A device with one socket for each direction: it is heard, and its host refuses what the relay sends."""
    b = t.alone("bob")
    t.call(name, b=b, answer=b.sdp(port=b.port + 2), flags=["asymmetric"])
    return rows(A_from="fine", A_to="harmless", B_from="harmless", B_to="fault unreachable")


@scene(FAULTS)
def no_neighbour(t, name):
    return nobody_at(t, name, "no-route", address="198.51.100.77")   # on bob's link, and nobody


@scene(FAULTS)
def no_route(t, name):
    return nobody_at(t, name, "no-route", address="203.0.113.200")


@scene(FAULTS)
def wrong_family(t, name):
    b = t.party("bob")
    t.call(name, b=b, answer=b.sdp(address=BOB6), direction=["only4", "only4"])   # that interface has no IPv6
    b.on = False
    refused = "fault wrong-family answer-refused"
    return {"party 2 from": refused, "party 2 to": refused, "A from": "not-fine", "A to": "not-fine"}


@scene(FAULTS)
def loop(t, name):
    """B's SDP names a port of this relay that leads to the party of another call."""
    t.call(name + "-other")
    port = t.held_ports(name + "-other")["A"]
    b = t.party("bob")
    t.call(name, b=b, answer=b.sdp(address=RELAY4, port=port))
    b.on = False
    return about("B", "fault never-sent void-address loop", back_heard="fault loop")


def fire_wall(t, b):
    rule = f"table inet out{b.port} {{ chain o {{ type filter hook output priority 0; ip daddr {b.address} udp dport {b.port} drop; }}; }}"
    run(*inside("core", "nft", "-f", "-"), input=rule)


@scene(FAULTS, ("from-the-start", 0), ("later", 4.0))
def local_firewall(t, name, after):
    b = t.party("bob")
    if after:
        t.stage.at(after, lambda: fire_wall(t, b))
    else:
        fire_wall(t, b)
    t.call(name, b=b)
    b.on = bool(after)
    # The kernel's programs come before this filter (docs/operations.md), and forward to a party that only listens, too (LAT-12).
    heard = "fault local-firewall" if t.relay.offload == "off" else "fine"
    return about("B", "fine" if after else "fault never-sent", back_heard=heard)


@scene(FAULTS, ("5", 50, "note lossy-behind"), ("8", 80, "not-fine lossy-behind broken-up"), ("25", 250, "fault lossy-behind broken-up"))
def loss_behind_the_relay(t, name, missing, heard):
    """B's own receiver reports say what it misses, in 1,000 packets."""
    a, b = t.call(name)
    b.rtcp, b.about, b.missing = True, a, missing
    a.hear_rtcp()
    return about("A", "fine", heard)


@scene(FAULTS)
def unverified(t, name):
    """Six calls point at one host that never sends: more than `unheard-per-address` there, so the relay stops (LAT-12b)."""
    host = t.host("bob")
    for i in range(6):
        call = name if i == 5 else f"{name}-{i}"
        b = t.party("bob", host)
        t.call(call, b=b)
        b.on = False
    return about("B", "fault never-sent", back_heard="fault unverified broken-up")


# By command.

@scene(FAULTS, ("block", "block media"), ("silence", "silence media"))
def party_blocked(t, name, command):
    t.call(name)
    t.ng.ask(command, name, from_tag="A", flags=["directional"])
    return about("A", "note blocked")


@scene(FAULTS, ("block", "block media"), ("silence", "silence media"))
def call_blocked(t, name, command):
    t.call(name)
    t.ng.ask(command, name, flags=["all"])
    return rows(A_from="note blocked", A_to="note blocked", B_from="note blocked", B_to="note blocked")


@scene(FAULTS)
def blocked_later(t, name):
    t.call(name)
    t.stage.at(3.0, lambda: t.ng.ask("block media", name, from_tag="B", flags=["directional"]))
    return about("B", "note blocked")


# Echo: the SDP of one names the address of the other, who hears himself.

@scene(FAULTS, ("answer-silent", False), ("answer-speaks", True))
def echo_of_the_answer(t, name, speaks):
    a, b = t.party("alice"), t.party("bob")
    t.call(name, a, b, answer=b.sdp(address=a.address, port=a.port))
    b.on = speaks
    return rows(A_from="harmless", B_to="fault echo", B_from="fault echo never-sent source-refused", A_to="fault echo never-sent source-refused")


@scene(FAULTS)
def echo_of_the_offer(t, name):
    a, b = t.party("alice"), t.party("bob")
    t.call(name, a, b, offer=a.sdp(address=BOB, port=b.port))
    a.on = False
    return rows(B_from="harmless", A_to="fault echo", A_from="fault echo never-sent", B_to="fault echo never-sent")
