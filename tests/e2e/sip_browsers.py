#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIP calls of browsers: JsSIP in Chromium over Kamailio's WebSocket, with the configuration of docs/webrtc.md as it stands there. A page
calls sipp and a phone, both call the page, and one page the other with pictures; page and sipp hold. Judged by tones (the page's spectrum,
sox for what sipp got) and by colours of decoded frames.

Exit status: 0 passed, 1 failed, 77 this machine cannot (needs root, Chromium, node, npm, sipp, sox, tcpdump, tshark, and Kamailio with its
module websocket).
"""

import argparse
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import flows  # noqa: E402
from calls import callee_scenario, caller_scenario, near, write  # noqa: E402
from lab import ALICE, RELAY4, Capture, Lab, Relay, Skip, heard_frequency, inside, need, run, tone_pcap, wait_for  # noqa: E402
from verdict import FAILED, check, exit_status  # noqa: E402
from web_parties import Browser, Page, driver  # noqa: E402
from web_phone import Phone as Media  # noqa: E402

MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"
PAGE_HZ, OTHER_HZ, PHONE_HZ, SIPP_HZ = 700, 1800, 1200, 440
SIPP_PORT, SIPP_MEDIA = 5080, 16000


def configuration():
    """The whole configuration in docs/webrtc.md, with the proxy's address."""
    with open(os.path.join(HERE, "..", "..", "docs", "webrtc.md"), encoding="utf-8") as f:
        block = re.findall(r"```\n(#!KAMAILIO.*?)```", f.read(), re.S)[0]
    return block.replace("192.0.2.1:", f"{RELAY4}:").replace("#!KAMAILIO\n", f'#!KAMAILIO\ndebug=2\nlog_stderror=yes\nchildren=2\nmpath="{MODULES}"\n', 1)


class Phone(flows.Phone):
    """A phone of flows.py that signs in."""

    def register(self, contact=None):
        """`contact`: the address and port of who answers in its place."""
        self.call_id, self.cseq = "register-" + self.name, self.cseq + 1
        name = f"sip:{self.name}@{RELAY4}"
        lines = self.invite_headers("REGISTER", self.cseq, f"<{name}>", f"sip:{RELAY4}")
        lines = [line.replace(f"<sip:{self.name}@{self.address}>", f"<{name}>") if line.startswith("From") else line for line in lines]
        lines = [line.replace(f"{self.address}:{self.port}", contact) if contact and line.startswith("Contact") else line for line in lines]
        self.transmit(lines, extra=["Expires: 600"])
        self.receive(200)


def both_hear(page, media, what):
    at_page, at_phone = page.hears(PHONE_HZ, 5), media.hears(PAGE_HZ, 5)
    check(at_page is not None and at_phone is not None, f"{what}: the page hears the phone after {at_page} s, the phone the page after {at_phone} s")


class Sipp:
    """sipp in alice, with one scenario, and what comes to its media port."""

    def __init__(self, lab, name, scenario, *options):
        self.lab, self.name = lab, name
        self.capture = Capture(lab, "alice", "at-" + name, f"src host {RELAY4} and dst port {SIPP_MEDIA}")
        self.process = lab.start("alice", "sipp", "-sf", write(lab, name + ".xml", scenario), *options, "-i", ALICE, "-mi", ALICE, "-p", str(SIPP_PORT), "-mp",
                                 str(SIPP_MEDIA), "-m", "1", "-nostdin", "-trace_err", "-timeout", "30", log=name + ".log")

    def listens(self):
        wait_for(lambda: f":{SIPP_PORT}" in run(*inside("alice", "ss", "-lun")).stdout, 5, "sipp")

    def has_heard(self, packets):
        """Waits for so many packets of 20 ms in the capture."""
        wait_for(lambda: os.path.exists(self.capture.file) and os.path.getsize(self.capture.file) > packets * 214, 8, f"{packets} packets to {self.name}")

    def judge(self, what, most=None, expects=PAGE_HZ):
        """After the call: how sipp ended, and what sox takes the other side's audio for. `most`: seconds of it."""
        status = self.process.wait(15)
        self.capture.stop()
        streams = self.capture.streams().values()
        found = sorted((len(audio) / 8000, heard_frequency(self.lab, bytes(audio))) for audio in streams)
        check(status == 0 and any(near(hertz, expects) for _, hertz in found), f"{what}: sipp ended with {status} and heard, in s and Hz, {found}")
        if most:
            check(sum(seconds for seconds, _ in found) <= most, f"{what}: sipp heard at most {most} s of the page, which is silent on hold")
        if status != 0:
            print(self.lab.log(self.name + ".log")[-2000:])


def page_calls_sipp(lab, page):
    sipp = Sipp(lab, "callee", callee_scenario(tone_pcap(lab, "callee", SIPP_HZ, 8, 0xB0B), hold=False))
    sipp.listens()
    state = page.call("dial", to=f"sip:sipp@{RELAY4}", hertz=PAGE_HZ)
    after = page.hears(SIPP_HZ, 5)
    check(state == "confirmed" and after is not None, f"a page calls sipp: {state}, the page hears it after {after} s")
    sipp.has_heard(packets=50)
    page.call("hangUp")
    sipp.judge("a page calls sipp")


def sipp_calls_page(lab, page):
    """It holds after 1.5 s, for 2 s, and ends 2.5 s later."""
    sipp = Sipp(lab, "caller", caller_scenario("page", tone_pcap(lab, "caller", SIPP_HZ, 8, 0xA11CE), 0, hold=True), f"{RELAY4}:5060")
    check(page.call("inCall", time=5000), "sipp calls a page")
    after = page.hears(SIPP_HZ, 5)
    check(after is not None, f"sipp calls a page: the page hears it after {after} s")
    held = page.call("isHeld", on=True, time=8000), page.call("isHeld", on=False, time=8000)
    check(all(held), "sipp holds, and takes the call back: the page knows of it")
    sipp.judge("sipp calls a page", most=5.2)


def page_calls_phone(page, phone):
    media = Media(4000, PHONE_HZ, 11)
    dialled = page.begin("dial", to=f"sip:phone@{RELAY4}", hertz=PAGE_HZ)
    request = phone.receive("INVITE")
    check("RTP/AVP " in request.body and "a=ice" not in request.body and "a=group" not in request.body, "the phone is offered plain RTP")
    phone.reply(request, 180)
    phone.reply(request, 200, media.answer(request.body))
    phone.receive("ACK")
    phone.adopt(request)
    check(dialled() == "confirmed", "a page calls a phone")
    both_hear(page, media, "a page calls a phone")
    held = page.begin("hold", on=True)
    request = phone.receive("INVITE")
    check("a=sendonly" in request.body or "a=inactive" in request.body, "the page holds: the phone is told so")
    phone.reply(request, 200, media.answer(request.body))
    check(held() is True, "the page holds")
    phone.receive("ACK")
    back = page.begin("hold", on=False)
    request = phone.receive("INVITE")
    phone.reply(request, 200, media.answer(request.body))
    check(back() is True, "the page takes the call back")
    phone.receive("ACK")
    both_hear(page, media, "the page has taken the call back")
    page.call("hangUp")
    phone.reply(phone.receive("BYE"), 200)
    media.close()


def phone_calls_page(page, phone):
    media = Media(4100, PHONE_HZ, 22)
    phone.remote_tag, phone.routes, phone.tag = "", [], phone.tag + "2"
    phone.invite("phone-calls-page", "page", media.offer())
    ok = phone.receive(200)
    media.take(ok.body)
    phone.adopt(ok)
    phone.in_dialogue("ACK", cseq=phone.cseq)
    check(page.call("inCall", time=5000), "a phone calls a page")
    both_hear(page, media, "a phone calls a page")
    phone.in_dialogue("INVITE", media.offer())
    ok = phone.receive(200)
    media.take(ok.body)
    phone.in_dialogue("ACK", cseq=phone.cseq)
    both_hear(page, media, "the phone refreshes")
    phone.in_dialogue("BYE")
    phone.receive(200)
    media.close()


def page_calls_page(page, other):
    state = page.call("dial", to=f"sip:other@{RELAY4}", hertz=PAGE_HZ, colour="red")
    check(state == "confirmed", f"a page calls a page: {state}")
    check(page.hears(OTHER_HZ, 5) is not None and other.hears(PAGE_HZ, 5) is not None, "both pages hear the other")
    check(page.sees("blue", 8) is not None and other.sees("red", 8) is not None, "both pages see the other")
    remote = page.call("pair").get("remote")
    check(remote in (RELAY4, "2001:db8:1::1"), f"their media goes by {remote}")
    page.call("hangUp")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    build = os.path.abspath(parser.parse_args().build)
    try:
        need("chromium", "node", "npm", "kamailio", "sipp", "sox", "tcpdump", "tshark", "ip", "pgrep", "ss")
        if not glob.glob(MODULES + "websocket.so"):
            raise Skip("kamailio-websocket-modules is not installed")
        folder = driver(os.path.dirname(build))
        with Lab() as lab:
            relay = Relay(lab, build, "--delete-delay=0", "--num-threads=1")
            with open(lab.path("kamailio.cfg"), "w", encoding="utf-8") as f:
                f.write(configuration())
            lab.start("core", "kamailio", "-f", lab.path("kamailio.cfg"), "-DD", "-m", "64", "-M", "8", "-Y", lab.directory, log="kamailio.log")
            try:
                wait_for(lambda: ":8080" in run(*inside("core", "ss", "-ltn")).stdout and "5060" in run(*inside("core", "ss", "-lun")).stdout, 10, "Kamailio")
                browser, phone = Browser(lab, folder), Phone("alice", ALICE, 5060, "phone")
                page, other = Page(browser, "page", sip=True), Page(browser, "other", sip=True)
                phone.register()
                Phone("alice", ALICE, 5062, "sipp").register(contact=f"{ALICE}:{SIPP_PORT}")
                registered = (page.call("register", user="page", proxy=RELAY4, hertz=PAGE_HZ),
                              other.call("register", user="other", proxy=RELAY4, hertz=OTHER_HZ, colour="blue"))
                check(all(registered), "both pages are registered over WebSocket")
                page_calls_sipp(lab, page)
                sipp_calls_page(lab, page)
                page_calls_phone(page, phone)
                phone_calls_page(page, phone)
                page_calls_page(page, other)
                browser.close()
                wait_for(lambda: relay.used_pairs() == 0, 5, "the ports to be free")
            except (RuntimeError, OSError, LookupError) as problem:
                check(False, repr(problem))
            check(relay.used_pairs() == 0, "no port is left in use")
            if FAILED:
                print("--- kamailio.log\n" + lab.log("kamailio.log")[-3000:] + "\n--- relay.log\n" + lab.log("relay.log")[-3000:])
    except Skip as why:
        print(f"SKIP: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
