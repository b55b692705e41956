# SPDX-License-Identifier: Apache-2.0
"""Anybody's DTLS datagrams, in every stage, from the party's host, its own port and strangers, stop no handshake of the party (DTL-13, DTL-14)."""
REFERENCE = "DTL-13, DTL-14, LIM-2; RFC 6347 section 4.2"
RIGHT = "Each party has its keys in time and media passes; nothing is amplified; explain names the stage and the refused packets."
LIMIT = 240
import contextlib
import time

from beside import Spent, live_call
from dtls_party import DONE, FORGED, HELLO, SERVER_HELLO, Certificate, End, HalfOpen, alert, complete, hello, message, server_hello
from kit import RELAY, A, B, C, X, Ng, plain

SECURE = "UDP/TLS/RTP/SAVP"


class Call:
    """`secure` speaks DTLS-SRTP, and the other party plain RTP. As answerer it begins, as offerer it is called by the relay."""
    count = 0

    def __init__(self, w, relay_begins, outside=None, secure=A, signalled=None):
        Call.count += 1
        self.id, self.ng, self.relay_begins = f"dtls-{Call.count}", Ng(), relay_begins
        self.secure, self.other = w.party(secure), w.party(B)
        self.end = End(self.secure, is_client=not relay_begins)
        port = signalled or self.secure.port
        sdp = lambda setup: plain(secure, port, profile=SECURE, extra=self.end.lines(setup))
        if relay_begins:
            self.to_other = self.ng.offer(self.id, sdp("actpass"), transport_protocol="RTP/AVP")[0].port
            self.to_secure = self.ng.answer(self.id, self.other.sdp())[0].port
        else:
            self.to_secure = self.ng.offer(self.id, self.other.sdp(), transport_protocol=SECURE)[0].port
            self.to_other = self.ng.answer(self.id, sdp("active"))[0].port
        # The secure party sends to the port that it was told, which is the other's reply.
        self.relay_port = self.to_secure
        self.end.relay = (RELAY, self.relay_port)

    def speak(self, w, what):
        """Media passes both ways."""
        self.secure.clear(), self.other.clear()
        self.end.taken = 0
        w.talk(0.2, (self.secure, self.relay_port), (self.other, self.to_other))
        w.check(len(self.other.heard(self.secure)) >= 9, f"{what}: the plain party hears {len(self.other.heard(self.secure))} of 10 packets")
        w.check(len(self.end.heard()) >= 9, f"{what}: the party with DTLS decrypts {len(self.end.heard())} of 10 packets")

    def close(self, w):
        self.ng.ask("delete", self.id, from_tag="a", delete_delay=0)
        for party in (self.secure, self.other):
            party.close()
            w.parties.remove(party)


def forge(w, source, datagrams, to):
    with contextlib.suppress(ConnectionError):
        for each in datagrams:
            source.send((RELAY, to), each)


def forged(w):
    """Each kind of datagram, before the handshake and in its middle, from three kinds of source."""
    slowest = {}
    for relay_begins in (True, False):
        for name, datagrams in FORGED.items():
            for kind in ("another port of its host", "its own port", "a stranger"):
                call = Call(w, relay_begins)
                source = {"another port of its host": lambda: w.party(A), "its own port": lambda: call.secure, "a stranger": lambda: w.party(X)}[kind]()
                forge(w, source, datagrams, call.relay_port)
                began = time.monotonic()

                def each():
                    # The middle: what the party said is on its way.
                    if began and time.monotonic() - began < 0.02:
                        forge(w, source, datagrams, call.relay_port)
                took = complete([call.end], 12, each)
                most = 4 if kind == "its own port" else 1
                what = f"{name} from {kind}, the relay {'begins' if relay_begins else 'waits'}"
                if w.check(took is not None and took <= most, f"{what}: keys after {took} s, at most {most} s are right"):
                    call.speak(w, what)
                slowest[kind] = max(slowest.get(kind, 0), took or 99)
                if source is not call.secure:
                    source.close()
                    w.parties.remove(source)
                call.close(w)
    w.note("slowest: " + ", ".join(f"{kind} {took:.2f} s" for kind, took in slowest.items()))


def have_cookies(w, clients):
    """Each client gets its cookie within two seconds, and brings it back."""
    waiting, until = list(clients), time.monotonic() + 2
    while waiting and time.monotonic() < until:
        w.listen(0.01)
        waiting = [client for client in waiting if not client.work()]
    return not waiting


def explanation(relay, call, words):
    """What explain says of the call, once it says all the words or has had ten seconds for them."""
    until = time.monotonic() + 10
    while True:
        text = str(relay.ctl("explain", call.id))
        if all(each in text for each in words) or time.monotonic() > until:
            return text
        time.sleep(0.2)


def half_open(w):
    """Ten clients of the party's host and ten of another call begin and go no further; then the party comes."""
    call = Call(w, relay_begins=False)
    clients = [HalfOpen(w, A, call.relay_port) for _ in range(10)]
    w.check(have_cookies(w, clients), "a client of the party's host got no cookie")
    w.check(all(c.octets_in <= c.octets_out for c in clients), "more octets left for a client than came before its cookie was right")
    took = complete([call.end], 5)
    w.check(took is not None and took < 1, f"ten half-open handshakes beside it: keys after {took} s")
    if call.end.keys:
        call.speak(w, "beside half-open handshakes")
    call.close(w)


def many_calls(w):
    """Forty calls whose parties share one address, each with a half-open handshake; the next call is served (DTL-14)."""
    calls = [Call(w, relay_begins=False, secure=C) for _ in range(40)]
    clients = [HalfOpen(w, C, call.relay_port) for call in calls]
    w.check(have_cookies(w, clients), "a call behind the shared address got no cookie")
    last = Call(w, relay_begins=False, secure=C)
    took = complete([last.end], 5)
    w.check(took is not None and took < 1, f"the call behind forty others of its address: keys after {took} s")
    for call in (*calls, last):
        call.close(w)


def behind_nat(w):
    """The party sends from another port than its SDP says, while others of its host send too."""
    call = Call(w, relay_begins=False, signalled=19998)
    others = [HalfOpen(w, A, call.relay_port) for _ in range(6)]
    stray = w.party(A)

    def each():
        for other in others:
            other.work()
        forge(w, stray, [alert(2, 40), message(DONE, b"", 1), message(SERVER_HELLO, server_hello())], call.relay_port)
    took = complete([call.end], 8, each)
    if w.check(took is not None and took < 1.5, f"a party behind another port: keys after {took} s"):
        call.speak(w, "behind another port")
    call.close(w)


def amplification(w):
    """A first piece of 20 octets and the rest, without a cookie: nothing answers (LIM-2)."""
    call = Call(w, relay_begins=False)
    stray = w.party(A)
    body = hello(extensions=bytes.fromhex("00150200") + bytes(512))
    for _ in range(50):
        forge(w, stray, [message(HELLO, body, 0, 0, 20), message(HELLO, body, 0, 20)], call.relay_port)
    w.listen(0.3)
    w.equal("octets in answer to pieces without a cookie", sum(len(d) for _, _, d in stray.got), 0)
    call.close(w)


def explained(w, relay):
    """What explain says of calls without keys."""
    rows = []

    def row(what, relay_begins, words, *, datagrams=(), end=None):
        call = Call(w, relay_begins)
        if end:
            end(call)
        forge(w, call.secure, datagrams, call.relay_port)
        rows.append((what, call, words))
        return call

    row("nothing comes", False, ["waits for a ClientHello"])
    row("a hello without its cookie", False, ["ClientHello came from", "cookie", "not come back"], datagrams=[message(HELLO, hello())])
    row("nobody answers", True, ["the relay sent", "ClientHello", "nothing there has answered"])
    row("alerts", False, ["handshake_failure", "dtls-alert"], datagrams=[alert(2, 40)] * 3)
    row("pieces", False, ["dtls-no-cookie: 2 packets"], datagrams=[message(HELLO, hello(), 0, 0, 20)] * 2)

    wrong = row("another certificate", False, ["certificate", "not the one of the SDP"])
    other = End(wrong.secure, is_client=True, certificate=Certificate())
    other.relay = wrong.end.relay
    complete([other], 1)

    for call in [r[1] for r in rows]:
        call.secure.drain()
    for what, call, words in rows:
        text = explanation(relay, call, words)
        for each in words:
            w.check(each in text, f"explain, {what}: '{each}' is not said: {text[:900]}")
        shown = relay.ctl("show", call.id)
        facts = [m["dtls"] for leg in shown["legs"] for m in leg["medias"] if "dtls" in m]
        w.check(facts and "state" in facts[0], f"show, {what}: no facts of DTLS")
        call.close(w)


def play(w):
    relay = w.relay()
    with live_call(w):
        spent = Spent(relay)
        forged(w)
        half_open(w)
        many_calls(w)
        behind_nat(w)
        amplification(w)
        explained(w, relay)
        w.note(f"the daemon spent {spent.cores():.2f} cores and logged {spent.logged()} octets")
