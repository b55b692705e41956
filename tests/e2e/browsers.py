#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Chromium through the relay, headless: a call from a page to a plain phone, in which the phone holds, transfers and the page is
reloaded; a pair of addresses that dies; a wrong certificate; moving pictures between two pages.

One Chromium lives in the lab's bob, which has IPv4 and IPv6; phones are in alice. Nobody speaks SIP: this script carries the SDP and
says to the relay what a proxy would. Judged by tones, decoded frames and octets, not by "connected". Exit status: 0 passed,
1 failed, 77 this machine cannot (needs root, Chromium, node and npm).
"""

import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from lab import BOB, BOB6, RELAY4, RELAY6, Lab, Relay, Skip, inside, need, ns, run  # noqa: E402
from parties import Ng  # noqa: E402
from verdict import check, exit_status  # noqa: E402
from web_parties import WEB, Browser, Call, Page, driver, media_port  # noqa: E402
from web_phone import Phone  # noqa: E402

PAGE_HZ, PHONE_HZ, OTHER_HZ = 700, 1200, 1800
TO_PHONE = {"transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": ["demux"]}


class PhoneCall(Call):
    """From a page, P, to a plain phone, F."""

    def __init__(self, ng, page, phone):
        super().__init__(ng)
        self.page, self.phone, self.shown = page, phone, None

    def page_offers(self, **edit):
        """The page's offer, answered by the phone. `edit`: what the page's SDP has, and what the proxy sees instead."""
        text = self.page.call("offer")
        for old, new in edit.items():
            text = text.replace(old, new)
        self.phone.to = (RELAY4, media_port(self.ask("offer", "P", "F", text, **TO_PHONE)))
        self.shown = self.ask("answer", "F", "P", self.phone.sdp())
        self.page.call("answer", sdp=self.shown)

    def phone_offers(self, phone=None, direction="sendrecv", extra=""):
        """A re-offer of the phone, or of another one in its place; the page's answer."""
        self.phone = phone or self.phone
        self.shown = self.ask("offer", "F", "P", self.phone.sdp(direction, extra), **WEB)
        text = self.page.call("accept", sdp=self.shown)
        self.phone.to = (RELAY4, media_port(self.ask("answer", "P", "F", text, **TO_PHONE)))
        return text

    def both_hear(self, what, page_hz=PHONE_HZ, limit=1.0):
        """Sound both ways within the limit, in seconds."""
        waits = self.page.begin("hears", hertz=page_hz, time=5000)
        at_phone = self.phone.hears(PAGE_HZ, 5)
        found = waits()
        at_page = None if found is None else found / 1000
        good = at_phone is not None and at_page is not None and max(at_phone, at_page) <= limit
        show = lambda x: "never" if x is None else f"after {x:.2f} s"
        check(good, f"{what}: the page hears {page_hz} Hz {show(at_page)}, the phone {PAGE_HZ} Hz {show(at_phone)}")
        return good


def phone_moves(ng, browser, relay):
    """Hold by the phone, transfer to another one that counts otherwise, and a reload of the page."""
    page, phone, other = Page(browser, "caller"), Phone(4000, PHONE_HZ, 11), Phone(4100, OTHER_HZ, 22, types="8 101")
    try:
        page.call("make", hertz=PAGE_HZ)
        with PhoneCall(ng, page, phone) as call:
            call.page_offers()
            call.both_hear("a page calls a phone")
            mid = call.shown.split("a=mid:")[1].split()[0]
            phone.on = False
            held = call.phone_offers(direction="sendonly")
            check("a=recvonly" in held and f"a=mid:{mid}" in call.shown, f"the phone holds: the page takes the offer, mid {mid} stays")
            check(page.hears(0) is not None, "the phone holds: the page hears silence")
            phone.on = True
            call.phone_offers()
            call.both_hear("the phone takes the call back")
            phone.on = False
            call.phone_offers(phone=other)
            call.both_hear("transferred to another phone", page_hz=OTHER_HZ)
            page.reload()
            page.call("make", hertz=PAGE_HZ)
            call.page_offers()
            call.both_hear("the page is reloaded", page_hz=OTHER_HZ)
            transport = page.call("pair")
            check(transport["dtlsState"] == "connected" and transport.get("remote") in (RELAY4, RELAY6),
                  f"DTLS {transport['dtlsState']}, {transport.get('srtpCipher')}, media by {transport.get('local')} and {transport.get('remote')}")
    finally:
        for each in (phone, other):
            each.close()
        page.close()


def dying_pair(ng, browser, relay):
    """The family that the browser chose is cut off in the middle of the call: it takes some 5 s to nominate the other one."""
    page, phone = Page(browser, "moving"), Phone(4200, PHONE_HZ, 33)
    try:
        page.call("make", hertz=PAGE_HZ)
        with PhoneCall(ng, page, phone) as call:
            call.page_offers()
            call.both_hear("a page with two families calls")
            chosen = page.call("pair")["remote"]
            family, dead = ("ip6", BOB6) if ":" in chosen else ("ip", BOB)
            rules = (f"table inet cut {{ chain in {{ type filter hook input priority 0; {family} daddr {dead} udp dport != 53 drop; }}\n"
                     f"chain out {{ type filter hook output priority 0; {family} saddr {dead} udp dport != 53 drop; }}; }}")
            listens = page.begin("gap", hertz=PHONE_HZ, time=15000)
            run(*inside("bob", "nft", "-f", "-"), input=rules)
            gap = listens()
            now = page.call("pair")["remote"]
            check(gap is not None and gap < 9000 and now != chosen, f"{chosen} dies: sound again by {now} after {gap} ms")
            call.both_hear("on the other family")
    finally:
        run(*inside("bob", "nft", "delete", "table", "inet", "cut"), check=False)
        phone.close()
        page.close()


def wrong_fingerprint(ng, browser, relay):
    """The signalled fingerprint is not the page's: it is told so, and never shows "connected"."""
    page, phone = Page(browser, "wrong", permitted=False), Phone(4300, PHONE_HZ, 44)
    try:
        page.call("make", hertz=PAGE_HZ)
        with PhoneCall(ng, page, phone) as call:
            text = page.call("offer")
            true = text.split("a=fingerprint:sha-256 ")[1].split()[0]
            false = true[3:] + ":" + true[:2]
            phone.to = (RELAY4, media_port(call.ask("offer", "P", "F", text.replace(true, false), **TO_PHONE)))
            page.call("answer", sdp=call.ask("answer", "F", "P", phone.sdp()))
            state = page.call("state", wanted=["failed", "connected"], time=5000)
            received = phone.received
            check(state == "failed" and received == 0, f"a wrong fingerprint: the page shows {state}, the phone got {received} packets")
    finally:
        phone.close()
        page.close()


def pictures(ng, browser, relay):
    """Two pages, pictures one way: transport-cc feedback comes through, so that the sender's rate rises (FB-3)."""
    sender, receiver = Page(browser, "sender"), Page(browser, "receiver", permitted=False)
    try:
        sender.call("make", video=True)
        receiver.call("make")
        with Call(ng) as call:
            offered = call.ask("offer", "S", "R", sender.call("offer"), **WEB)
            answer = receiver.call("accept", sdp=offered)
            sender.call("answer", sdp=call.ask("answer", "R", "S", answer, **WEB))
            seen = receiver.call("pictures", rate=600_000, time=12_000)
            out = max((each.get("availableOutgoingBitrate", 0) for each in sender.call("stats", kind="candidate-pair")), default=0)
            check(seen["rate"] >= 600_000 and seen.get("frames", 0) >= 5,
                  f"pictures: {seen['rate'] // 1000} kbit/s and {seen.get('frames')} frames in a second, the sender may send {out // 1000:.0f} kbit/s")
            drops = [leg["medias"][0]["drops"].get("malformed-rtcp", 0) for leg in relay.ctl("show", call.id)["legs"]]
            check(sum(drops) == 0, f"pictures: {sum(drops)} feedback packets refused as malformed")
    finally:
        sender.close()
        receiver.close()


def data_channel(ng, browser, relay):
    """A data channel is refused: no candidate of a page reaches the other party, and the call goes on (SCT-1)."""
    page, phone = Page(browser, "data"), Phone(4400, PHONE_HZ, 55)
    try:
        page.call("make", hertz=PAGE_HZ, data=True)
        with PhoneCall(ng, page, phone) as call:
            text = page.call("offer")
            forwarded = call.ask("offer", "P", "F", text, **TO_PHONE)
            phone.to = (RELAY4, media_port(forwarded))
            answer = phone.sdp()
            if "m=application" in forwarded:
                answer += "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"
            shown = call.ask("answer", "F", "P", answer)
            page.call("answer", sdp=shown)
            check("m=application 0 " in shown and BOB not in forwarded and BOB6 not in forwarded, "a data channel: port 0, no address of the page gets out")
            call.both_hear("beside a refused data channel")
    finally:
        phone.close()
        page.close()


def extension_numbers(ng, browser, relay):
    """A far side that counts header extensions otherwise: toward the page the numbers are those of its own offer (EXT-1)."""
    level, taken = "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
    page, phone = Page(browser, "numbers"), Phone(4500, PHONE_HZ, 66)
    try:
        page.call("make", hertz=PAGE_HZ)
        with PhoneCall(ng, page, phone) as call:
            call.page_offers()
            numbers = {line.split()[1]: line.split()[0] for line in page.call("shown").split("\r\n") if line.startswith("a=extmap:")}
            other = numbers[taken].split(":")[1]
            call.phone_offers(extra=f"a=extmap:{other} {level}\r\n")
            lines = [line for line in call.shown.split("\r\n") if line.startswith("a=extmap:")]
            check(all(numbers[line.split()[1]] == line.split()[0] for line in lines), f"a phone calls the audio level {other}: the page is shown {lines}")
            call.both_hear("with other numbers")
    finally:
        phone.close()
        page.close()


SCENARIOS = (phone_moves, dying_pair, wrong_fingerprint, pictures, data_channel, extension_numbers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    parser.add_argument("--only", action="append", choices=[each.__name__ for each in SCENARIOS], help="this scenario; all by default")
    arguments = parser.parse_args()
    build = os.path.abspath(arguments.build)
    try:
        need("chromium", "node", "npm", "ip", "nft", "pgrep")
        folder = driver(os.path.dirname(build))
        with Lab() as lab:
            relay = Relay(lab, build, "--delete-delay=0", "--num-threads=1")
            browser = Browser(lab, folder)
            print(f"Chromium {browser.version}", flush=True)
            ng = Ng(ns("core"))
            wanted = [each for each in SCENARIOS if each.__name__ in arguments.only] if arguments.only else SCENARIOS
            for scenario in wanted:
                start = time.monotonic()
                try:
                    scenario(ng, browser, relay)
                except (RuntimeError, LookupError) as problem:
                    check(False, f"{scenario.__name__}: {problem!r}")
                print(f"        {scenario.__name__}: {time.monotonic() - start:.1f} s", flush=True)
            browser.close()
            check(relay.used_pairs() == 0, "no port is left in use")
    except Skip as why:
        print(f"SKIP: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
