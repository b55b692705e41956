#!/usr/bin/env python3
"""Chromium through the relay, headless: a call from a page to a plain phone, in which the phone holds, transfers and the page is
reloaded; a pair of addresses that dies; a wrong certificate; moving pictures between two pages.

One Chromium lives in the lab's bob, which has IPv4 and IPv6; phones are in alice. Nobody speaks SIP: this script carries the SDP and
says to the relay what a proxy would. Judged by tones, decoded frames and octets, not by "connected". Exit status: 0 passed,
1 failed, 77 this machine cannot (needs root, Chromium, node and npm).
"""

import argparse
import json
import math
import os
import queue
import shutil
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from lab import ALICE, BOB, BOB6, RELAY4, RELAY6, Lab, Relay, Skip, inside, need, ns, run  # noqa: E402
from parties import Ng, socket_in  # noqa: E402
from verdict import check, exit_status  # noqa: E402

PAGE_HZ, PHONE_HZ, OTHER_HZ = 700, 1200, 1800
TO_PHONE = {"transport-protocol": "RTP/AVP", "ICE": "remove", "rtcp-mux": ["demux"]}
TO_PAGE = {"flags": ["WebRTC"]}


def alaw(sample):
    """One sample of 16 bits as A-law (ITU-T G.711)."""
    sign, magnitude = (0x80, sample) if sample >= 0 else (0, -sample - 1)
    magnitude >>= 4
    exponent = max(0, magnitude.bit_length() - 5)
    mantissa = magnitude >> max(1, exponent) if exponent else magnitude >> 1
    return (sign | ((exponent << 4 | mantissa & 15) if exponent else mantissa & 15 | (16 if mantissa > 15 else 0))) ^ 0x55


def linear(octet):
    octet ^= 0x55
    exponent, mantissa = octet >> 4 & 7, octet & 15
    magnitude = (mantissa << 4) + 8 if exponent == 0 else ((mantissa << 4) + 264) << exponent - 1
    return magnitude if octet & 0x80 else -magnitude


LINEAR = [linear(octet) for octet in range(256)]


def tone(hertz):
    """A second of it in A-law."""
    return bytes(alaw(int(8000 * math.sin(2 * math.pi * hertz * n / 8000))) for n in range(8000))


def has_tone(audio, hertz):
    """Whether most of what is heard in A-law octets is this tone (Goertzel)."""
    samples = [LINEAR[octet] for octet in audio]
    power = sum(x * x for x in samples)
    if not samples or power / len(samples) < 100 ** 2:
        return False
    c, a, b = 2 * math.cos(2 * math.pi * hertz / 8000), 0.0, 0.0
    for x in samples:
        a, b = x + c * a - b, a
    return (a * a + b * b - c * a * b) * 2 / len(samples) > 0.5 * power


class Phone:
    """A plain phone: sends a tone every 20 ms from a thread of its own, and keeps the last fifth of a second that it heard."""

    def __init__(self, port, hertz, ssrc, types="8 0"):
        self.port, self.ssrc, self.types, self.version = port, ssrc, types, 0
        self.socket = socket_in(ns("alice"), ALICE, port)
        self.audio, self.to, self.on = tone(hertz), None, True
        self.received, self.heard, self.changed = 0, bytearray(), threading.Condition()
        self.ends = threading.Event()
        self.threads = [threading.Thread(target=each, daemon=True) for each in (self.speak, self.listen)]
        self.socket.setblocking(True)
        self.socket.settimeout(0.1)
        for each in self.threads:
            each.start()

    def sdp(self, direction="sendrecv", extra=""):
        self.version += 1
        return (f"v=0\r\no=- {self.ssrc} {self.version} IN IP4 {ALICE}\r\ns=-\r\nc=IN IP4 {ALICE}\r\nt=0 0\r\n"
                f"m=audio {self.port} RTP/AVP {self.types}\r\na={direction}\r\n{extra}")

    def speak(self):
        sequence, start = 0, time.monotonic()
        while not self.ends.wait(max(0, start + sequence * 0.02 - time.monotonic())):
            sequence += 1
            at = sequence * 160 % 8000
            if self.on and self.to:
                packet = struct.pack("!BBHII", 0x80, 8, sequence & 0xffff, sequence * 160 & 0xffffffff, self.ssrc) + self.audio[at:at + 160]
                try:
                    self.socket.sendto(packet, self.to)
                except OSError:
                    pass

    def listen(self):
        while not self.ends.is_set():
            try:
                packet = self.socket.recv(2000)
            except OSError:
                continue
            if len(packet) > 12 and packet[1] & 0x7f == 8:
                # Behind header extensions, if there are any (RFC 3550 section 5.3.1).
                begin = 12 + (4 + 4 * struct.unpack("!H", packet[14:16])[0] if packet[0] & 0x10 else 0)
                with self.changed:
                    self.received += 1
                    self.heard += packet[begin:]
                    del self.heard[:-1600]
                    self.changed.notify()

    def hears(self, hertz, seconds=3):
        """Seconds until the tone is heard; None if it is not in time."""
        start = time.monotonic()
        with self.changed:
            self.heard.clear()
            if self.changed.wait_for(lambda: len(self.heard) >= 800 and has_tone(self.heard[-800:], hertz), seconds):
                return time.monotonic() - start
        return None

    def close(self):
        self.ends.set()
        for each in self.threads:
            each.join(1)
        self.socket.close()


class Browser:
    """Chromium by driver.mjs, in bob's namespace."""

    def __init__(self, lab, folder):
        chromium = shutil.which("chromium")
        self.log = open(lab.path("browser.log"), "w+")
        environment = {**os.environ, "HOME": lab.directory}
        self.process = subprocess.Popen(inside("bob", "node", os.path.join(folder, "driver.mjs"), chromium), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=folder, env=environment)
        lab.processes.append(self.process)
        self.answers, self.number = queue.Queue(), 0
        threading.Thread(target=self.read, daemon=True).start()
        self.version = self.next(20)["ready"]

    def read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.answers.put({"error": "the browser is gone"})

    def next(self, seconds):
        try:
            return self.answers.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"the browser does not answer within {seconds} s") from None

    def begin(self, page, what, seconds=20, **more):
        """Says a command without waiting; the function that is returned waits for the answer."""
        self.number += 1
        number = self.number
        self.process.stdin.write(json.dumps({"id": number, "page": page, "do": what, **more}) + "\n")
        self.process.stdin.flush()

        def wait():
            while True:
                answer = self.next(seconds)
                if answer.get("id", number) == number:
                    if "error" in answer:
                        raise RuntimeError(f"page {page}, {more.get('name', what)}: {answer['error']}")
                    return answer["result"]
                self.answers.put(answer)
        return wait

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Page:
    def __init__(self, browser, name, permitted=True):
        self.browser, self.name = browser, name
        browser.begin(name, "open", permitted=permitted)()

    def begin(self, name, **more):
        return self.browser.begin(self.name, "call", name=name, **{"with": more})

    def call(self, name, **more):
        return self.begin(name, **more)()

    def hears(self, hertz, seconds=3):
        """Seconds until the tone is heard; None if it is not in time."""
        found = self.call("hears", hertz=hertz, time=seconds * 1000)
        return None if found is None else found / 1000

    def reload(self):
        self.browser.begin(self.name, "reload")()

    def close(self):
        self.browser.begin(self.name, "close")()


def media_port(sdp, kind="audio"):
    return int(sdp.split(f"m={kind} ")[1].split()[0])


class Call:
    """A call between two parties by their tags, as a proxy tells it to the relay."""

    count = 0

    def __init__(self, ng):
        Call.count += 1
        self.ng, self.id, self.established = ng, f"browser-{Call.count}", set()

    def ask(self, command, sender, receiver, sdp, **keys):
        tags = {"from-tag": sender}
        if command == "answer":
            tags = {"from-tag": receiver, "to-tag": sender}
        elif receiver in self.established:
            tags["to-tag"] = receiver
        reply = self.ng.ask(command, self.id, sdp=sdp, **tags, **keys)
        if reply["result"] != "ok":
            raise RuntimeError(f"{command} of {sender}: {reply}")
        self.established |= {sender}
        return reply["sdp"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ng.ask("delete", self.id, **{"delete delay": 0})


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
        self.shown = self.ask("offer", "F", "P", self.phone.sdp(direction, extra), **TO_PAGE)
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
            offered = call.ask("offer", "S", "R", sender.call("offer"), **TO_PAGE)
            answer = receiver.call("accept", sdp=offered)
            sender.call("answer", sdp=call.ask("answer", "R", "S", answer, **TO_PAGE))
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


def driver(build):
    """A folder with the driver and what it needs, made once by `npm ci` from the lock file."""
    folder, source = os.path.join(build, "browser"), os.path.join(HERE, "browser")
    os.makedirs(folder, exist_ok=True)
    lock = os.path.join(folder, "package-lock.json")
    same = os.path.exists(lock) and open(lock).read() == open(os.path.join(source, "package-lock.json")).read()
    for name in os.listdir(source):
        if not (same and name == "package-lock.json"):
            shutil.copy(os.path.join(source, name), folder)
    if not same or not os.path.isdir(os.path.join(folder, "node_modules", "playwright-core")):
        try:
            made = run("npm", "ci", "--no-audit", "--no-fund", check=False, cwd=folder, timeout=60)
            why = made.stderr.strip()[-200:] if made.returncode else None
        except subprocess.TimeoutExpired:
            why = "no answer within 60 s"
        if why:
            os.unlink(lock)
            raise Skip(f"npm cannot install playwright-core: {why}")
    return folder


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
