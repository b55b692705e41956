#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""WebRTC through the relay by two implementations, Chromium and aiortc: a table of calls, and stories of calls that change.

The table is {Chromium, aiortc} × {offers, answers} × {plain RTP, SDES, DTLS, Chromium, aiortc on the far side} × {audio, audio and
video in a bundle} × {candidates in the SDP, trickle} × {max-bundle, balanced} × {full relay, lite relay, one port for ICE}.
By default rows are played until each pair of values was there, and all stories, some at the one port, too; with --all, every row.
Chromium and aiortc are in the lab's bob, phones in alice; the script carries the SDP as a proxy does. At the one port the relay has two
workers. Both ends judge: tones by their spectrum, pictures by the
colour of decoded frames. Exit status: 0 passed, 1 failed, 77 this machine cannot (needs root, Chromium, node, npm and python3-aiortc).
"""

import argparse
import itertools
import os
import re
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import opensips as opensips_module  # noqa: E402
from lab import BOB, HOME, RELAY4, RELAY6, Lab, Relay, Skip, inside, need, ns, run, wait_for  # noqa: E402
from parties import Ng  # noqa: E402
from verdict import FAILED, check, exit_status  # noqa: E402
from web_parties import Aiortc, Browser, Call, Page, driver, interpreter, sections_of, with_attribute  # noqa: E402
from web_phone import KEYS, Phone  # noqa: E402

WEB_ENDS = ("Chromium", "aiortc")
MODES = ("full", "lite", "one port")
ICE_PORT = 35000
LITE = {"ICE-lite": "both"}    # what the proxy says then in each offer


def table():
    """All rows that mean something."""
    for row in itertools.product(WEB_ENDS, ("offers", "answers"), (*KEYS, *WEB_ENDS), ("audio", "audio+video"), ("in SDP", "trickle"),
                                 ("max-bundle", "balanced"), MODES):
        near, role, far, _, candidates, policy, _ = row
        if near == "aiortc" and (far == "Chromium" or candidates == "trickle" or policy == "balanced"):
            continue    # its rows with Chromium are Chromium's; it bundles always, and gathers first
        if near == far and role == "answers":
            continue    # the same call as the one that it offers
        yield row


def pairwise(rows):
    """Few rows that have each pair of values that any of the rows has."""
    pairs = lambda row: set(itertools.combinations(enumerate(row), 2))
    left, chosen = set().union(*map(pairs, rows)), []
    while left:
        best = max(rows, key=lambda row: len(pairs(row) & left))
        chosen.append(best)
        left -= pairs(best)
    return chosen


class Theatre:
    """The relay and who can take part. Parties are made once and get a new connection for each call."""

    def __init__(self, lab, build, folder, python):
        self.lab, self.build, self.folder, self.python = lab, build, folder, python
        self.ng, self.browser, self.made, self.phones = Ng(ns("core")), None, {}, 0
        self.relay = self.mode = None

    def be(self, mode):
        """In calls from now on the relay is one of `MODES`."""
        if self.relay is None or (mode == "one port") != (self.mode == "one port"):
            self.end_relay()
            options = ["--num-threads=2", f"--ice-port={ICE_PORT}"] if mode == "one port" else ["--num-threads=1"]
            self.relay = Relay(self.lab, self.build, "--delete-delay=0", *options)
        self.mode = mode

    def end_relay(self):
        if self.relay is None:
            return
        check(self.relay.used_pairs() == 0, "no port is left in use")
        self.relay.process.terminate()
        self.relay.process.wait(10)

    def web(self, kind, number):
        """One of the two parties of a kind."""
        if (kind, number) not in self.made:
            if kind == "Chromium":
                self.browser = self.browser or Browser(self.lab, self.folder)
                self.made[kind, number] = Page(self.browser, f"page-{number}")
            else:
                self.made[kind, number] = Aiortc(self.lab, "bob", self.python)
        return self.made[kind, number]

    def phone(self, keys="plain", hertz=1200, video=False):
        self.phones += 1
        return Phone(4000 + self.phones % 500 * 4, hertz, 1000 + 10 * self.phones, keys=keys, video=video)

    def close(self):
        for party in self.made.values():
            party.close()
        if self.browser:
            self.browser.close()
        self.end_relay()


class Dialogue(Call):
    """A call between two ends, either of which offers."""

    def __init__(self, theatre, *ends):
        super().__init__(theatre.ng)
        self.relay, self.mode, self.ends, self.said = theatre.relay, theatre.mode, dict(zip("AB", ends)), []
        self.more = LITE if theatre.mode == "lite" else {}

    def wants(self, end):
        """What the proxy says in an offer that goes to this end."""
        return {**end.wants, **self.more}

    def reply_wants(self, end):
        """What it says in an answer that goes to this end."""
        return end.reply_wants

    def exchange(self, offerer="A"):
        """An offer and its answer."""
        answerer = "B" if offerer == "A" else "A"
        one, other = self.ends[offerer], self.ends[answerer]
        self.said = [("offer", one.offer())]
        self.said.append(("offer as shown", self.ask("offer", offerer, answerer, self.said[-1][1], **self.wants(other))))
        if one.trickles:
            self.fragment(offerer, one.fragment())
        self.said.append(("answer", other.answer(self.said[-1][1])))
        self.said.append(("answer as shown", self.ask("answer", answerer, offerer, self.said[-1][1], **self.reply_wants(one))))
        if other.trickles:
            self.fragment(answerer, other.fragment())
        one.take(self.said[-1][1])
        for end, (what, text) in ((other, self.said[1]), (one, self.said[3])):
            self.inspect(end, what, text)
        return self.said[-1][1]

    def inspect(self, end, what, text):
        """At the one port everything that has ICE is there, and nothing else."""
        ports = {port for _, port, _ in sections_of(text) if port}
        is_there, belongs = ICE_PORT in ports, self.mode == "one port" and not isinstance(end, Phone)
        if is_there != belongs or (belongs and ports != {ICE_PORT}):
            check(False, f"{self.id}: {what} has the ports {ports}, but the relay is {self.mode}")

    def judge(self, what, pictures=None, limit=5.0, sounds=True):
        """Sound both ways within so many seconds; pictures both ways too, if both ends have them. `pictures`: the colours that A and B see."""
        start, (a, b) = time.monotonic(), (self.ends["A"], self.ends["B"])
        heard = [("A hears B", a.hears(b.hertz, 5)), ("B hears A", b.hears(a.hertz, 5))] if sounds else []
        seen = [(f"A sees {pictures[0]}", a.sees(pictures[0], 8)), (f"B sees {pictures[1]}", b.sees(pictures[1], 8))] if pictures else []
        good = all(after is not None for _, after in heard + seen) and all(after <= limit for _, after in heard)
        text = ", ".join(f"{name} {'never' if after is None else f'after {after:.2f} s'}" for name, after in heard + seen)
        check(good, f"{what}: {text} ({time.monotonic() - start:.1f} s)")
        if not good:
            self.evidence()
        return good

    def evidence(self):
        """What a reader needs to find the fault."""
        for name, text in self.said:
            print(f"--- {self.id} {name}\n" + "\n".join(line for line in text.split("\r\n") if not line.startswith(("a=rtpmap", "a=fmtp", "a=rtcp-fb"))))
        for leg in self.relay.ctl("show", self.id).get("legs", []):
            for media in leg["medias"]:
                received = [(each.get("ssrc"), each.get("packets")) for each in media.get("received", [])]
                print(f"--- {leg.get('tag')}: received {received}, dropped {media.get('drops')}, ICE {media.get('ice')}, SRTP {media.get('srtp')}")
        for name, end in self.ends.items():
            if not isinstance(end, Phone) or end.eyes:
                print(f"--- {name}: {end.seen()}")
        print(f"--- explain: {self.relay.ctl('explain', self.id)}", flush=True)


def colours_of(a, b):
    """What A and B see: the other's colour, or what a phone sends back."""
    return (b.colour or a.colour, a.colour or b.colour)


def play(theatre, row):
    near, role, far, media, candidates, policy, mode = row
    theatre.be(mode)
    video, trickles = media == "audio+video", candidates == "trickle"
    one = theatre.web(near, 1).make(hertz=700, colour="red" if video else None, policy=policy, trickles=trickles)
    if far in KEYS:
        other = theatre.phone(far, video=video)
    else:
        other = theatre.web(far, 2).make(hertz=1200, colour="blue" if video else None, policy=policy, trickles=trickles and far == "Chromium")
    try:
        with Dialogue(theatre, *((one, other) if role == "offers" else (other, one))) as call:
            call.exchange()
            call.judge(" ".join(row), colours_of(*call.ends.values()) if video else None)
            to_near = call.said[3 if role == "offers" else 1][1]
            is_at_one_port = sections_of(to_near)[0][1] == ICE_PORT
            check((("a=ice-lite" in to_near), is_at_one_port) == (mode == "lite", mode == "one port"), f"{' '.join(row)}: the relay is {mode}")
            if near == "Chromium":
                pair = one.call("pair")
                check(pair.get("remote") in (RELAY4, RELAY6), f"{' '.join(row)}: media by the relay's {pair.get('remote')}")
    finally:
        if far in KEYS:
            other.close()


def bundled_call(theatre, what, keys="plain", **more):
    """A page that calls a phone, audio and video in a bundle."""
    page = theatre.web("Chromium", 1).make(hertz=700, colour="red", policy="max-bundle", **more)
    phone = theatre.phone(keys, video=True)
    call = Dialogue(theatre, page, phone)
    call.exchange()
    call.judge(f"{what}: before", ("red", "red"))
    return page, phone, call


def hold(theatre):
    """The page holds, and takes the call back; then the phone does."""
    page, phone, call = bundled_call(theatre, "hold")
    with call:
        page.call("turn", direction="inactive")
        call.exchange()
        offered = call.said[1][1]
        is_silent = page.hears(0) is not None and phone.hears(page.hertz, 1) is None
        check(offered.count("a=inactive") == 2 and is_silent, "the page holds: nobody hears the other")
        page.call("turn", direction="sendrecv")
        call.exchange()
        call.judge("the page takes the call back", ("red", "red"), limit=1.0)
        shown = call.ask("offer", "B", "A", phone.sdp("sendonly"), **page.wants)
        call.ask("answer", "A", "B", page.answer(shown), **phone.reply_wants)
        check(with_attribute(shown, "group") and shown.count("a=sendonly") == 2, "the phone holds: its page keeps the group")
        call.exchange("B")
        call.judge("the phone takes the call back", ("red", "red"), limit=1.0)
    phone.close()


def phone_adds_video(theatre):
    page = theatre.web("Chromium", 1).make(hertz=700, policy="max-bundle")
    phone = theatre.phone()
    with Dialogue(theatre, page, phone) as call:
        call.exchange()
        call.judge("a phone adds video: before")
        phone.add_video()
        page.call("add", colour="green")
        call.exchange("B")
        check(len({port for _, port, _ in sections_of(call.said[1][1])}) == 1, "the page is offered the video on the port of its audio (BND-7)")
        call.judge("a phone adds video: after", ("green", "green"), limit=1.0)
    phone.close()


def page_adds_video(theatre):
    page = theatre.web("Chromium", 1).make(hertz=700, policy="max-bundle")
    phone = theatre.phone(video=True)
    with Dialogue(theatre, page, phone) as call:
        call.exchange()
        call.judge("a page adds video: before")
        page.call("add", colour="blue")
        call.exchange()
        call.judge("a page adds video: after", ("blue", "blue"), limit=1.0)
    phone.close()


def stopped_and_added_again(theatre):
    """The place of a stopped section is used again, under another mid."""
    page, phone, call = bundled_call(theatre, "video is stopped")
    with call:
        page.call("stop", kind="video")
        shown = call.exchange()
        check(sections_of(shown)[1][1] == 0 and len(with_attribute(shown, "group")[0].split()) == 2, "video is stopped: port 0 and out of the group (BND-5)")
        call.judge("video is stopped: after", limit=1.0)
        page.call("add", colour="green")
        page.colour = "green"
        call.exchange()
        call.judge("video is added again", ("green", "green"), limit=1.0)
    phone.close()


def ice_restart(theatre):
    page, phone, call = bundled_call(theatre, "ICE restart")
    with call:
        before = with_attribute(call.said[3][1], "ice-ufrag")[0]
        for number in ("first", "second"):
            page.call("restart")
            shown = call.exchange()
            after = with_attribute(shown, "ice-ufrag")[0]
            check(after != before, f"ICE restart: the relay answers the {number} with credentials of its own")
            before = after
            call.judge(f"ICE restart, {number}", ("red", "red"), limit=1.0)
            check(page.call("pair").get("dtlsState") == "connected", f"ICE restart, {number}: DTLS goes on")
    phone.close()


def reload(theatre):
    page, phone, call = bundled_call(theatre, "reload")
    with call:
        page.reload()
        page.make(hertz=700, colour="blue", policy="max-bundle")
        call.exchange()
        call.judge("the page is reloaded", ("blue", "blue"), limit=1.0)
    phone.close()


def reload_of_one_of_two(theatre):
    one = theatre.web("Chromium", 1).make(hertz=700, colour="red", policy="max-bundle")
    other = theatre.web("Chromium", 2).make(hertz=1200, colour="blue", policy="max-bundle")
    with Dialogue(theatre, one, other) as call:
        call.exchange()
        call.judge("two pages: before", ("blue", "red"))
        one.reload()
        one.make(hertz=700, colour="green", policy="max-bundle")
        call.exchange()
        call.judge("two pages: one is reloaded", ("blue", "green"), limit=2.0)
        other.call("restart")
        call.exchange("B")
        call.judge("two pages: the other restarts ICE", ("blue", "green"), limit=1.0)


def refused_section(theatre):
    """The phone refuses one section of the bundle, then the section that carries the transport (BND-3). With max-bundle Chromium takes no
    answer in which another section than its first one carries the transport ("Failed to setup RTCP mux"): it has prepared none for it."""
    page = theatre.web("Chromium", 1)
    for kind in ("video", "audio"):
        page.make(hertz=700, colour="red", policy="max-bundle" if kind == "video" else "balanced")
        phone = theatre.phone(video=True)
        phone.refuses = kind
        with Dialogue(theatre, page, phone) as call:
            shown = call.exchange()
            living = [each for each, port, _ in sections_of(shown) if port]
            check(living == ["audio" if kind == "video" else "video"], f"a phone refuses {kind}: the page is shown {living}")
            if kind == "video":
                call.judge("a phone refuses the video")
            else:
                call.judge("a phone refuses the audio, which carried the transport", ("red", "red"), sounds=False)
        phone.close()


def devices(theatre):
    """Microphone and camera instead of what the page plays and draws."""
    page = theatre.web("Chromium", 1).make(devices=True, policy="max-bundle")
    page.hertz, page.colour = Browser.MICROPHONE_HZ, "green"
    phone = theatre.phone(video=True)
    with Dialogue(theatre, page, phone) as call:
        call.exchange()
        call.judge("a page with microphone and camera", ("green", "green"))
    phone.close()


def aiortc_changes(theatre):
    """aiortc holds, takes back, and adds video."""
    one, phone = theatre.web("aiortc", 1).make(hertz=700), theatre.phone(video=True)
    with Dialogue(theatre, one, phone) as call:
        call.exchange()
        call.judge("aiortc calls")
        one.ask("turn", kind="audio", direction="recvonly")
        call.exchange()
        check("a=recvonly" in call.said[1][1] and one.hears(phone.hertz) is not None, "aiortc does not send: it hears the phone")
        one.ask("turn", kind="audio", direction="sendrecv")
        one.ask("add", colour="blue")
        call.exchange()
        call.judge("aiortc adds video", ("blue", "blue"))
    phone.close()


class OpusDialogue(Dialogue):
    """The page is told Opus alone, whatever the phone has: the relay converts."""

    def wants(self, end):
        words = {"ignore": ["PCMA", "PCMU", "G722"]} if isinstance(end, Phone) else {"mask": ["all"], "transcode": ["opus"]}
        return {**super().wants(end), "codec": words}


def opus(theatre):
    """A page that speaks Opus and a phone that has PCMA call each other."""
    page, phone = theatre.web("Chromium", 1), theatre.phone()
    for what, ends in (("a page calls a phone", (page, phone)), ("a phone calls a page", (phone, page))):
        page.make(hertz=700, policy="max-bundle")
        with OpusDialogue(theatre, *ends) as call:
            call.exchange()
            call.judge(f"Opus: {what}")
            types = sorted(stream["payload_type"] for leg in call.relay.ctl("show", call.id)["legs"] for stream in leg["medias"][0]["received"])
            check(types[0] == 8 and types[-1] >= 96, f"Opus: {what}: they send the payload types {types}")
    phone.close()


class OpenSipsDialogue(Dialogue):
    """A call as OpenSIPS tells it to the relay. The delete at its end has no tag."""

    def __init__(self, theatre, *ends):
        super().__init__(theatre, *ends)
        self.ng = opensips_module.Module(ns("core"))

    def wants(self, end):
        return self.ng.wants(end)

    def reply_wants(self, end):
        return self.ng.back

    def ask(self, command, sender, receiver, sdp, **keys):
        return super().ask(command, sender, receiver, sdp, source=self.ends[sender], **keys)

    def __exit__(self, *_):
        deleted = self.ng.ask("delete", self.id)
        check(deleted["result"] == "ok" and not self.relay.ctl("list")["calls"], "OpenSIPS: a delete without tags ends the call")
        self.ng.socket.close()


def opensips(theatre):
    """What OpenSIPS's module sends for the lines of docs/webrtc.md: a page and a phone call each other, and two pages."""
    page, phone = theatre.web("Chromium", 1), theatre.phone()
    for what, ends in (("a page calls a phone", (page, phone)), ("a phone calls a page", (phone, page))):
        page.make(hertz=700, policy="max-bundle")
        with OpenSipsDialogue(theatre, *ends) as call:
            call.exchange()
            call.judge(f"OpenSIPS: {what}")
            call.exchange("B")
            call.judge(f"OpenSIPS: {what}, who is called offers again")
    phone.close()
    page.make(hertz=700, colour="red", policy="max-bundle")
    with OpenSipsDialogue(theatre, page, theatre.web("Chromium", 2).make(hertz=1200, colour="blue", policy="max-bundle")) as call:
        call.exchange()
        call.judge("OpenSIPS: a page calls a page", ("blue", "red"))


class Container(Relay):
    """The relay of docs/webrtc.md behind the lab's nat, which publishes its one port as a host does for a container: what comes from outside to
    that port is handed in, nothing else is, and the container's own packets leave under the host's address. Alice is inside, bob outside."""

    HOST, PORT = "192.0.3.99", 3478

    def __init__(self, theatre):
        self.lab, self.build, lab = theatre.lab, theatre.build, theatre.lab
        with open(os.path.join(HERE, "..", "..", "docs", "webrtc.md"), encoding="utf-8") as f:
            text = re.findall(r"```\n(\[rtpferry\]\n.*?)```", f.read(), re.S)[0]
        assert f"/{HOME}!203.0.113.5\n" in text and f"ice-port = {self.PORT}\n" in text, text
        with open(lab.path("container.conf"), "w", encoding="utf-8") as f:
            f.write(text.replace("203.0.113.5", self.HOST))
        outside = BOB.rsplit(".", 1)[0] + ".0/24"
        run(*inside("nat", "nft", "-f", "-"), input=f"""table ip published {{
            chain in {{ type nat hook prerouting priority -100; iifname wan ip saddr {outside} udp dport {self.PORT} dnat to {HOME}; }}
            chain out {{ type nat hook postrouting priority 100; oifname wan ip daddr {outside} masquerade; }}
            chain through {{ type filter hook forward priority 0; ip saddr {outside} ct state new ct status & dnat != dnat drop; }}
        }}""")
        run(*inside("core", "sysctl", "-qw", "net.ipv4.ip_forward=1"))
        run(*inside("core", "ip", "route", "replace", "10.0.0.0/24", "via", self.HOST))
        self.socket = lab.path("container.sock")
        self.process = lab.start("home", os.path.join(self.build, "rtpferryd"), f"--config-file={lab.path('container.conf')}", "--delete-delay=0",
                                 "--num-threads=2", f"--control-socket={self.socket}", log="container.log")
        wait_for(lambda: "is ready" in lab.log("container.log"), 10, "the relay in the container")
        # One for all calls: the relay answers the same cookie with the same reply.
        self.ng = Ng(ns("home"))

    def end(self):
        check(self.used_pairs() == 0, "container: no port is left in use")
        self.process.terminate()
        self.process.wait(10)
        run(*inside("nat", "nft", "delete", "table", "ip", "published"))
        run(*inside("core", "ip", "route", "del", "10.0.0.0/24"))
        run(*inside("core", "sysctl", "-qw", "net.ipv4.ip_forward=0"))


class ContainerDialogue(Dialogue):
    """A call through the relay in the container. The proxy says on which side of it each end is."""

    def __init__(self, theatre, relay, *ends):
        super().__init__(theatre, *ends)
        self.relay, self.ng = relay, relay.ng

    def wants(self, end):
        side = lambda each: "in" if isinstance(each, Phone) else "out"
        offerer = next(each for each in self.ends.values() if each is not end)
        return {**super().wants(end), "direction": [side(offerer), side(end)]}

    def inspect(self, end, what, text):
        shown = {tuple(line.split()[4:6]) for _, port, section in sections_of(text) for line in with_attribute(section, "candidate")}
        ports = {port for _, port, _ in sections_of(text) if port}
        if isinstance(end, Phone):
            check(not shown and Container.PORT not in ports and f"c=IN IP4 {HOME}" in text, f"container: {what} is by the address inside, {ports}")
        else:
            check(shown == {(Container.HOST, str(Container.PORT))} and ports == {Container.PORT}, f"container: {what} names the host's {shown}")


def container(theatre):
    """The configuration of docs/webrtc.md for a container: a page calls a phone, a phone a page, and a page a page."""
    theatre.be("full")
    relay = Container(theatre)
    page, phone = theatre.web("Chromium", 1), theatre.phone(video=True)
    other = theatre.web("Chromium", 2)
    for what, ends in (("a page calls a phone", (page, phone)), ("a phone calls a page", (phone, page)), ("a page calls a page", (page, other))):
        page.make(hertz=700, colour="red", policy="max-bundle")
        other.make(hertz=1800, colour="blue", policy="max-bundle")
        with ContainerDialogue(theatre, relay, *ends) as call:
            call.exchange()
            call.judge(f"container: {what}", colours_of(*ends))
            pair = page.call("pair")
            check((pair.get("remote"), pair.get("dtlsState")) == (Container.HOST, "connected"), f"container: {what}: by the host's {pair.get('remote')}")
    phone.close()
    relay.end()


STORIES = (hold, phone_adds_video, page_adds_video, stopped_and_added_again, ice_restart, reload, reload_of_one_of_two, refused_section, devices,
           aiortc_changes, opus, opensips, container)
# They are told at the one port as well.
AT_ONE_PORT = (hold, phone_adds_video, page_adds_video, stopped_and_added_again, ice_restart, reload, reload_of_one_of_two, refused_section)


def wanted_rows(rows, arguments):
    if arguments.row:
        return [row for row in rows if any(set(words.split(",")) <= set(row) for words in arguments.row)]
    if arguments.all:
        return rows
    return [] if arguments.story else pairwise(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    parser.add_argument("--all", action="store_true", help="every row of the table")
    parser.add_argument("--limit", type=float, default=float("inf"), help="seconds; what has not begun by then has failed")
    parser.add_argument("--row", action="append", help="rows that have all of these values, with commas between them")
    parser.add_argument("--story", action="append", choices=[each.__name__ for each in STORIES], help="this story; all by default")
    arguments = parser.parse_args()
    build = os.path.abspath(arguments.build)
    stories = [each for each in STORIES if each.__name__ in arguments.story] if arguments.story else [] if arguments.row else STORIES
    try:
        need("chromium", "node", "npm", "ip", "pgrep")
        python = interpreter()
        if os.path.realpath(python) != os.path.realpath(sys.executable):
            os.execv(python, [python, *sys.argv])    # the phones need libsrtp and ffmpeg, which are aiortc's
        folder = driver(os.path.dirname(build))
        with Lab() as lab:
            theatre, end = Theatre(lab, build, folder, python), time.monotonic() + arguments.limit
            rows = list(table())
            chosen = wanted_rows(rows, arguments)
            scenes = [(" ".join(row), lambda row=row: play(theatre, row)) for row in sorted(chosen, key=lambda row: row[-1] == "one port")]
            # The relay begins again only once: first those at the one port, then those at ports of their own.
            scenes += [(f"{each.__name__} at one port", lambda each=each: (theatre.be("one port"), each(theatre))) for each in stories if each in AT_ONE_PORT]
            scenes += [(each.__name__, lambda each=each: (theatre.be("full"), each(theatre))) for each in stories]
            for name, scene in scenes:
                start = time.monotonic()
                if start > end:
                    check(False, f"{name}: not begun within {arguments.limit:.0f} s")
                    continue
                try:
                    scene()
                except (RuntimeError, LookupError, StopIteration) as problem:
                    check(False, f"{name}: {problem!r}")
                print(f"        {name}: {time.monotonic() - start:.1f} s", flush=True)
            theatre.close()
            print(f"{len(chosen)} of {len(rows)} rows, {len(stories)} stories", flush=True)
            if FAILED:
                print("--- relay.log\n" + lab.log("relay.log")[-3000:])
    except Skip as why:
        print(f"SKIP: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
