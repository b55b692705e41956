# SPDX-License-Identifier: Apache-2.0
"""The stage of the scenes: a relay between alice and bob, who plays, and how an explanation is compared with what was expected."""

import base64
import json
import re
import socket

from lab import ALICE, BOB, RELAY4, inside, ns, run
from parties import Ng, Party, Srtp, Stage, port_of, socket_in

OTHER = "192.0.2.11"     # a second host beside alice
SECONDS = 12.0           # of play, before anybody is asked
WINDOW = 10.0            # seconds before that, of which the relay's figures are
HEARD, ENOUGH = 0.97, 100   # a listener that gets less is not fine; packets, to speak of a share
KEY_A = bytes(range(30))
KEY_B = bytes(range(30, 60))
SUITE = "AES_CM_128_HMAC_SHA1_80"

SEVERITIES = {"fine": ("fine",), "note": ("note",), "fault": ("fault",), "harmless": ("fine", "note"), "not-fine": ("note", "fault")}

FAULTS, HEALTHY = [], []   # scenes, in the order of their files


def scene(kind, *variations):
    """Registers a scene: a function of the theatre and the call's name, and of what a variation gives it: (name, value)."""
    def register(function):
        name = function.__name__.replace("_", "-")
        for each in variations or ((None,),):
            label = name if each[0] is None else f"{name}-{each[0]}"
            kind.append((label, lambda t, call, given=each[1:]: function(t, call, *given)))
        return function
    return register


def rows(**expected):
    """`rows(A_from="fault stopped", ...)`: what is expected of each row of a call with one m-line."""
    return {name.replace("_", " "): words for name, words in expected.items()}


def about(who, sender, listener=None, back="fine", back_heard="fine"):
    """What A or B sends does not reach the other as it should; `back` is the other way."""
    other = "B" if who == "A" else "A"
    return {f"{who} from": sender, f"{other} to": listener or sender, f"{other} from": back, f"{who} to": back_heard}


FINE = rows(A_from="fine", A_to="fine", B_from="fine", B_to="fine")
QUIET = rows(A_from="harmless", A_to="harmless", B_from="harmless", B_to="harmless")


def crypto(key, tag=1):
    return f"a=crypto:{tag} {SUITE} inline:{base64.b64encode(key).decode()}\r\n"


def merged(*bodies):
    """One SDP of several: the m-lines of the further ones follow, each with its own address."""
    first, *others = bodies
    return first + "".join(re.search(r"m=.*", body, re.S)[0].replace("\r\n", "\r\n" + re.search(r"c=.*\r\n", body)[0], 1) for body in others)


def ports_of(reply):
    return [int(port) for port in re.findall(r"m=\S+ (\d+)", reply["sdp"])]


class Theatre:
    """A relay between alice and bob, and everybody who plays."""

    def __init__(self, lab, relay):
        self.lab, self.relay = lab, relay
        self.stage, self.ng = Stage(), Ng(ns("core"))
        self.port, self.ssrc = 4000, 1000
        self.hosts = {"alice": 100, "bob": 100}
        self.control = socket.socket(socket.AF_UNIX)
        self.control.connect(relay.socket)
        self.control.settimeout(5)
        self.early = []           # (seconds, call, expected): asked in the middle of the play
        self.pairs = {}           # call -> its parties A and B, who count what they make and hear

    def host(self, who):
        """A further address of alice's or bob's host, for one party alone."""
        self.hosts[who] += 1
        address = f"{'192.0.2' if who == 'alice' else '198.51.100'}.{self.hosts[who]}"
        run(*inside(who, "ip", "addr", "add", address + "/24", "dev", "eth0"))
        return address

    def party(self, who, address=None):
        self.port += 4
        self.ssrc += 1
        party = Party(ns(who), address or (ALICE if who == "alice" else BOB), self.port, self.ssrc)
        self.stage.parties.append(party)
        return party

    def alone(self, who):
        """A party with a host of its own."""
        return self.party(who, self.host(who))

    def stranger(self, party, port=None):
        """A socket on the other host."""
        return socket_in(party.where, OTHER, port or party.port)

    def call(self, name, a=None, b=None, offer=None, answer=None, **keys):
        """Offer and answer; both parties then know where to send, and talk unless told otherwise."""
        a, b = self.pair(name, a, b)
        reply = self.offer(name, a, offer, **keys)
        b.to = (RELAY4, port_of(reply))
        reply = self.answer(name, b, answer, **keys)
        if reply["result"] == "ok":
            a.to = (RELAY4, port_of(reply))
        a.on = b.on = True
        return a, b

    def pair(self, name, a, b):
        """Both parties of a call, made if need be. They listen."""
        self.pairs[name] = a or self.party("alice"), b or self.party("bob")
        for party in self.pairs[name]:
            party.listens = True
        return self.pairs[name]

    def counts(self, name):
        """(direction, packets made by the speaker, packets that came to the listener) of a call, until now."""
        if name not in self.pairs:
            return []
        a, b = self.pairs[name]
        for party in (a, b):
            party.listen()
        return [("B to", a.made, b.heard), ("A to", b.made, a.heard)]

    def offer(self, name, party, sdp=None, **keys):
        return self.ng.ask("offer", name, from_tag="A", sdp=sdp or party.sdp(), **keys)

    def answer(self, name, party, sdp=None, **keys):
        return self.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=sdp or party.sdp(), **keys)

    def reinvite(self, name, offer, answer, by="A", **keys):
        """A new offer in the dialogue, and its answer unless that is None. Gives the ports that the answerer and the offerer send to."""
        tags = {"from_tag": by, "to_tag": "B" if by == "A" else "A"}
        asked = self.ng.ask("offer", name, sdp=offer, **tags, **keys)
        told = self.ng.ask("answer", name, sdp=answer, **tags, **keys) if answer else None
        return ports_of(asked)[0], told and ports_of(told)[0]

    def end(self, name):
        """Deletes a call, whose verdict stays as it is now: it lingers, as after a BYE. Its parties have hung up."""
        for party in self.pairs.get(name, ()):
            party.on = False
        self.ng.ask("delete", name, from_tag="A", delete_delay=60)

    def secure_call(self, name, key_of_a=KEY_A, a=None, b=None):
        """SDES on both sides, with a key of their own each."""
        a, b = self.pair(name, a, b)
        a.srtp, b.srtp = Srtp(key_of_a), Srtp(KEY_B)
        reply = self.offer(name, a, a.sdp(profile="RTP/SAVP", extra=crypto(KEY_A)))
        b.to = (RELAY4, port_of(reply))
        reply = self.answer(name, b, b.sdp(profile="RTP/SAVP", extra=crypto(KEY_B, tag_of(reply))))
        a.to = (RELAY4, port_of(reply))
        a.on = b.on = True
        return a, b

    def half_secure_call(self, name, a=None, b=None):
        """A speaks plain RTP, and the relay encrypts toward B by SDES."""
        a, b = self.pair(name, a, b)
        b.srtp = Srtp(KEY_B)
        reply = self.offer(name, a, transport_protocol="RTP/SAVP", DTLS="off")
        b.to = (RELAY4, port_of(reply))
        reply = self.answer(name, b, b.sdp(profile="RTP/SAVP", extra=crypto(KEY_B, tag_of(reply))))
        a.to = (RELAY4, port_of(reply))
        a.on = b.on = True
        return a, b

    def held_ports(self, call):
        return {h["leg"] or "B": h["port"] for h in self.relay.ctl("ports", "--holders")["holders"] if h["call_id"] == call}

    def ask(self, command, **keys):
        """One request on the control socket, as rtpferryctl sends it."""
        self.control.sendall(json.dumps({"command": command, **keys}).encode() + b"\n")
        data = b""
        while not data.endswith(b"\n"):
            data += self.control.recv(65536)
        return json.loads(data)

    def explain(self, call):
        return self.ask("explain", call_id=call, packets=False)

    def expect_at(self, seconds, call, expected):
        """A further look at the call, in the middle of the play."""
        self.early.append((seconds, call, expected))


def tag_of(reply):
    """The number of the a=crypto line that our parties take."""
    return next(line.split()[0].split(":")[1] for line in reply["sdp"].splitlines() if SUITE in line)


def row_name(verdict):
    media = "" if verdict["media"] == 1 else f" {verdict['media']}"
    return f"{verdict['leg']} {verdict['direction']}{media}"


def unheard(before, now):
    """The rows of listeners who got less than 97 % of what was made for them between two `counts`, with that share."""
    shares = {row: (heard - past[2]) / (made - past[1]) for past, (row, made, heard) in zip(before, now) if made - past[1] >= ENOUGH}
    return {row: share for row, share in shares.items() if share < HEARD}


def tells_where(verdict, others):
    """Whether the row of a listener that hears nothing by a fault of its sender names that sender, and both parties in its sentence."""
    if verdict["direction"] == "from":
        return True
    senders = [v["leg"] for v in others if (v["direction"], v["media"], v["cause"], v["severity"]) == ("from", verdict["media"], verdict["cause"], "fault")]
    if not senders or verdict["leg"] in senders:
        return True
    origin = verdict.get("origin", {})
    words = re.findall(r"[\w ]+", verdict["sentence"])
    return origin.get("leg") in senders and origin.get("cause") == verdict["cause"] and all(
        re.search(rf"\b{name}\b", " ".join(words)) for name in (verdict["leg"], origin["leg"]))


def wrong_rows(reply, expected):
    """What is not as it was expected, in words; empty if all is."""
    said = {row_name(v): v for v in reply.get("verdicts", [])}
    wrong = [f"{name}: no such row" for name in expected if name not in said]
    for name, verdict in said.items():
        found = f"{name}: {verdict['severity']} {verdict['cause']}: {verdict['sentence']}"
        words = expected.get(name)
        if words is None:
            wrong.append(f"{found} [not expected at all]")
            continue
        severity, *causes = words.split()
        if verdict["severity"] not in SEVERITIES[severity] or (causes and verdict["cause"] not in causes):
            wrong.append(f"{found} [expected: {words}]")
        if len(verdict["sentence"].split()) > 25:
            wrong.append(f"{found} [more than 25 words]")
        if not verdict["sentence"] or (verdict["severity"] != "fine" and not verdict["advice"]):
            wrong.append(f"{found} [without sentence or advice]")
        if verdict["severity"] == "fault" and not tells_where(verdict, said.values()):
            wrong.append(f"{found} [does not say at whom it went wrong: origin {verdict.get('origin')}]")
    return wrong
