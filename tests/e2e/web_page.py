#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The web page in Chromium, over a relay with 200 live calls of which one loses packets: it is found within two clicks, its page says
what is wrong, changes of calls are shown within a second (p95), axe-core finds nothing on any view, a token is asked for once and goes
nowhere else, and hostile Call-IDs are no markup. All in a network namespace of its own.

`--shots FOLDER` writes the pictures of docs/web.md besides.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import contextlib
import ctypes
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from daemon import Daemon
from lab import Skip, need, run, temporary, wait_for
from parties import LOUD, Ng, Party, Stage, port_of
from verdict import check, exit_status
from web_parties import Browser, driver

NG, HTTP, RELAY = 2223, 8080, "203.0.113.1"
TOKEN = "correct-horse-battery-staple"
CALLS = 200
HOSTILE = "<img src=x onerror=alert(1)>\"'&<script>alert(2)</script>/..#?"
CLONE_NEWNET = 0x40000000


def own_network():
    """This process in a network of its own, whose addresses are all on its loopback device."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise Skip(f"cannot make a network namespace: {os.strerror(ctypes.get_errno())}")
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", RELAY + "/32", "dev", "lo")
    for network in ("192.0.2.0/24", "198.51.100.0/24"):
        run("ip", "route", "add", "local", network, "dev", "lo")


class Eyes(Browser):
    """Chromium by browser/web_page.mjs."""

    def __init__(self, folder):
        self.log = open(os.path.join(temporary("ferry-eyes-"), "browser.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(["node", os.path.join(folder, "web_page.mjs"), shutil.which("chromium"), f"http://127.0.0.1:{HTTP}"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=folder, env={**os.environ, "HOME": temporary("ferry-home-")})
        self.answers, self.number = queue.Queue(), 0
        threading.Thread(target=self.read, daemon=True).start()
        self.version = self.next(90)["ready"]

    def do(self, page, what, **more):
        return self.begin(page, what, seconds=120, **more)()


class Talk:
    """Calls whose parties send 10 packets of 100 ms a second, each on a thread of its own."""

    def __init__(self):
        self.ng, self.stage, self.count, self.random = Ng(None, port=NG), Stage(), 0, random.Random(7)
        self.running = True
        self.thread = threading.Thread(target=self.play, daemon=True)

    def play(self):
        while self.running:
            self.stage.play(0.5)

    def name(self):
        """A Call-ID as phones make them."""
        octets = self.random.getrandbits(64)
        return self.random.choice((f"{octets:016x}@192.0.2.{self.count % 250}", f"{octets}", f"{octets >> 32:08x}-{octets >> 16 & 0xffff:04x}-{octets & 0xffff:04x}@pbx.example"))

    def party(self, network, ssrc):
        self.count += 1
        party = Party(None, f"{network}.{1 + self.count % 250}", 20000 + 2 * self.count, ssrc)
        party.payload, party.clock, party.every, party.tick_number = LOUD * 5, 800, 5, self.count % 5
        return party

    def call(self, name=None, answered=True, tags=None, source=None):
        """A call in which both speak. With `source` the first one sends from there, which nobody signalled."""
        name = name or self.name()
        tag_a, tag_b = tags or (f"{self.random.getrandbits(32):08x}", f"{self.random.getrandbits(32):08x}")
        a, b = self.party("192.0.2", 2 * self.count + 1), self.party("198.51.100", 2 * self.count + 2)
        told = a.sdp()
        if source:
            a.close()
            a = Party(None, source, a.port, a.ssrc)
            a.payload, a.clock, a.every = LOUD * 5, 800, 5
        b.to = (RELAY, port_of(self.ng.ask("offer", name, from_tag=tag_a, sdp=told)))
        if answered:
            a.to = (RELAY, port_of(self.ng.ask("answer", name, from_tag=tag_a, to_tag=tag_b, sdp=b.sdp())))
            a.on = b.on = True
        self.stage.parties += [a, b]
        return name, a, b

    def delete(self, name):
        self.ng.ask("delete", name, **{"delete delay": 0})


def ask(path, token=TOKEN):
    request = urllib.request.Request(f"http://127.0.0.1:{HTTP}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.headers, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def files_without_token():
    status, headers, text = ask("/", token=None)
    check(status == 200 and "<title>" in text and headers["WWW-Authenticate"] == "Bearer", "the page itself needs no token, and says that the API does")
    check("default-src 'none'" in headers["Content-Security-Policy"] and "frame-ancestors 'none'" in headers["Content-Security-Policy"] and
          headers["X-Content-Type-Options"] == "nosniff", "it may load and ask nothing but its own host")
    check([ask(path, token=None)[0] for path in ("/web/app.js", "/web/app.css", "/web/icon.svg", "/web/../etc/passwd", "/web/", "/api/v1/board", "/api/v1/calls", "/metrics")] ==
          [200, 200, 200, 401, 401, 401, 401, 401], "its files need none either; all else does")
    check(ask("/")[0] == 200 and ask("/", token="wrong")[0] == 200 and ask("/api/v1/board", token="wrong")[0] == 401, "a wrong token opens nothing")


def board_of(match=""):
    return json.loads(ask(f"/api/v1/board?match={match}")[2])


def empty(eyes, shots):
    eyes.do("main", "open")
    eyes.do("main", "wait", selector="#token[open]")
    eyes.do("main", "fill", selector="#token-input", text="wrong")
    eyes.do("main", "press", key="Enter")
    eyes.do("main", "wait", selector="#token-error")
    check("refuses" in eyes.do("main", "text", selector="#token-error"), "a wrong token is refused in words")
    eyes.do("main", "fill", selector="#token-input", text=TOKEN)
    eyes.do("main", "press", key="Enter")
    check(eyes.do("main", "headline", like="No calls") == "No calls right now.", "a relay without calls says so")
    kept = eyes.do("main", "storage")
    check(kept["token"] == TOKEN and TOKEN not in kept["local"] and kept["cookies"] == "", "the token stays in sessionStorage")
    eyes.do("bare", "open", token=TOKEN, bypassCSP=True)
    eyes.do("bare", "headline", like="No calls")
    check(eyes.do("bare", "axe") == [], "axe-core finds nothing on the empty page")
    if shots:
        eyes.do("main", "wait", selector="#empty")
        eyes.do("main", "shot", file=os.path.join(shots, "web-empty.png"))


def find_lossy(eyes, lossy):
    """200 calls, one of them loses a quarter of its packets."""
    headline = eyes.do("main", "headline", like=f"In 1 of {CALLS} calls somebody hears badly", timeout=60000)
    check(eyes.do("main", "count", selector="a.call") == CALLS, f"all {CALLS} calls are in the list: {headline}")
    found = eyes.do("main", "worst")
    check(found["call"] == lossy == found["title"] and found["clicks"] <= 2, f"the lossy call is found with {found['clicks']} click")
    check("hears badly" in found["sentence"] and "What to do" in found["view"] and "PCMA" in found["view"] and "Who hears whom" in found["view"],
          "its page says what is wrong, what to do, the codec and the ways of its packets")
    wait_for(lambda: len(json.loads(ask(f"/api/v1/timeline/{row_of(lossy)['id']}")[2])["samples"]) >= 3, 10, "samples of the call")
    mos = wait_for(lambda: (lambda text: text if text[0].isdigit() else "")(eyes.do("main", "text", selector=".chart .now b")), 20, "a MOS above the chart")
    check(1.0 <= float(mos) < 3.6 and eyes.do("main", "count", selector=".chart canvas") == 3, f"charts of MOS, loss and jitter (MOS {mos})")


def row_of(call):
    return next(row for row in board_of()["calls"] if row["call_id"] == call)


def keys(eyes, lossy):
    eyes.do("main", "press", key="Escape")
    check(eyes.do("main", "count", selector="#call:visible") == 0 and eyes.do("main", "focused") == lossy, "Escape goes back to the call in the list")
    eyes.do("main", "press", key="j")
    second = eyes.do("main", "focused")
    eyes.do("main", "press", key="k")
    check(second not in ("", lossy) and eyes.do("main", "focused") == lossy, "j and k go to the next call and back")
    eyes.do("main", "press", key="Enter")
    eyes.do("main", "wait", selector=".verdict.fault")
    eyes.do("main", "press", key="Escape")
    eyes.do("main", "press", key="/")
    check(eyes.do("main", "focused") == "search", "/ goes to the search")
    eyes.do("main", "fill", selector="#search", text=lossy[:12])
    eyes.do("main", "headline", like="In 1 of 1 matching call ")
    eyes.do("main", "fill", selector="#search", text="nobody has this")
    check(eyes.do("main", "headline", like="No call matches") != "", "a search that finds nothing says so")
    eyes.do("main", "fill", selector="#search", text="")
    eyes.do("main", "headline", like=f"of {CALLS} calls")


def updates(eyes, talk, most, rounds=20):
    """How soon after the relay's reply the page shows a call that begins, and one that is deleted."""
    took = []
    for _ in range(rounds):
        name = talk.name()
        shown = eyes.begin("main", "appears", seconds=70, call=name)
        talk.call(name)
        start = time.monotonic()
        shown()
        took.append(time.monotonic() - start)
        time.sleep(talk.random.random() * 0.8)    # at any time of the page's own rhythm
        gone = eyes.begin("main", "vanishes", seconds=70, call=name)
        talk.delete(name)
        start = time.monotonic()
        gone()
        took.append(time.monotonic() - start)
    took.sort()
    p95 = took[int(len(took) * 0.95) - 1]
    check(p95 <= most, f"p95 of an update is {p95:.2f} s of {len(took)} (median {took[len(took) // 2]:.2f} s, worst {took[-1]:.2f} s)")


def hostile(eyes, talk):
    talk.call(HOSTILE, tags=("<b>A</b>", "\"><svg onload=alert(3)>"))
    eyes.do("main", "appears", call=HOSTILE)
    eyes.do("main", "hash", to="#/call/" + urllib.request.quote(HOSTILE, safe=""))
    eyes.do("main", "wait", selector=".verdict")
    check(eyes.do("main", "text", selector=".call-title") == HOSTILE and eyes.do("main", "count", selector="main img[src='x'], main script, main svg[onload], main .who b") == 0,
          "CTL-14: a hostile Call-ID and hostile tags are text, not markup")
    eyes.do("main", "hash", to="#/call/nobody%20knows%20it")
    eyes.do("main", "wait", selector="#call .quiet")
    check("not in the list" in eyes.do("main", "text", selector="#call"), "the address of a call that is gone says so")
    talk.delete(HOSTILE)
    eyes.do("main", "hash", to="#/")


def accessible(eyes, lossy):
    to_call = "#/call/" + urllib.request.quote(lossy, safe="")
    for scheme in ("light", "dark"):
        for name, size, hash in (("list", (1440, 900), ""), ("call", (1440, 900), to_call), ("phone with a call", (390, 844), to_call)):
            page = f"{scheme} {name}"
            eyes.do(page, "open", token=TOKEN, width=size[0], height=size[1], scheme=scheme, hash=hash, bypassCSP=True)
            eyes.do(page, "headline", like="somebody hears")
            if hash:
                eyes.do(page, "wait", selector=".verdict.fault")
            found = eyes.do(page, "axe")
            check(found == [], f"axe-core finds nothing: {page} {found[:4]}")
            check(not eyes.do(page, "overflows"), f"nothing is wider than the window: {page}")
            if hash and size[0] < 700:
                eyes.do(page, "press", key="Escape")
                eyes.do(page, "wait", selector="a.call")
                check(not eyes.do(page, "overflows") and eyes.do(page, "axe") == [], f"neither in the list: {page}")
            eyes.do(page, "close")
    eyes.do("bare", "press", key="?")
    eyes.do("bare", "wait", selector="#help[open]")
    check(eyes.do("bare", "axe") == [], "axe-core finds nothing in the list of keys")


def pictures(eyes, talk, lossy, folder):
    """The pictures of docs/web.md."""
    silent, _, _ = talk.call("3848276298220188511@atlanta.example", tags=("alice", "bob"), source="198.51.100.77")
    _, _, slightly = talk.call("1f0c2b9a@pbx.example", tags=("9231", "4410"))
    slightly.lose = lambda n: n % 20 == 7
    for _ in range(2):
        talk.call(answered=False)
    eyes.do("main", "headline", like="somebody hears nothing, in 1 badly", timeout=60000)
    eyes.do("main", "wait", selector=".group.lossy", timeout=60000)
    to = lambda call: "#/call/" + urllib.request.quote(call, safe="")
    for name, options, waits in (("web-200-calls", {"width": 1440, "height": 960}, None),
                                 ("web-desktop", {"width": 1440, "height": 1180, "hash": to(silent)}, ".verdict.fault"),
                                 ("web-dark", {"width": 1440, "height": 1180, "scheme": "dark", "hash": to(lossy)}, ".verdict.fault"),
                                 ("web-phone", {"width": 390, "height": 844, "scale": 2, "touch": True}, None),
                                 ("web-phone-call", {"width": 390, "height": 844, "scale": 2, "touch": True, "hash": to(silent)}, ".verdict.fault")):
        eyes.do(name, "open", token=TOKEN, **options)
        eyes.do(name, "headline", like="somebody hears")
        if waits:
            eyes.do(name, "wait", selector=waits)
        time.sleep(4)     # rates, and some points of the charts
        eyes.do(name, "shot", file=os.path.join(folder, name + ".png"))
        eyes.do(name, "close")


def play(build, shots, p95):
    own_network()
    relay = Daemon(os.path.join(build, "rtpferryd"), "--config-file=none", f"--interface={RELAY}", "--num-threads=1", f"--listen-ng=127.0.0.1:{NG}", f"--listen-http=127.0.0.1:{HTTP}", f"--http-token={TOKEN}",
                   "--control-socket=none", "--offload=off", "--log-level=4", "--unheard-per-address=1000", defaults=False)
    eyes = Eyes(driver(build))
    try:
        files_without_token()
        empty(eyes, shots)
        talk = Talk()
        calls = [talk.call() for _ in range(CALLS)]
        lossy, _, party = calls[117]
        dice = random.Random(3)
        party.lose = lambda n: dice.random() < 0.25
        talk.thread.start()
        find_lossy(eyes, lossy)
        keys(eyes, lossy)
        updates(eyes, talk, p95)
        hostile(eyes, talk)
        accessible(eyes, lossy)
        if shots:
            pictures(eyes, talk, lossy, shots)
        complaints = [each for each in eyes.do("main", "complaints") if "404 (Not Found)" not in each]    # of the call that was gone
        check(complaints == [], f"the browser has nothing to complain about {complaints[:5]}")
        check(eyes.do("main", "hosts") == [f"127.0.0.1:{HTTP}"], "no other host was asked for anything")
        check(talk.stage.late < 0.5, f"the parties kept time ({talk.stage.late * 1000:.0f} ms late at most)")
        talk.running = False
        talk.thread.join()
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            eyes.close()
        eyes.process.kill()
    code, _ = relay.stop()
    check(code == 0, "the relay ends well")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="folder of rtpferryd")
    parser.add_argument("--shots", help="folder for pictures")
    parser.add_argument("--p95", type=float, default=1.0, help="longest p95 of an update, seconds; more on a host that is busy with other work")
    given = parser.parse_args()
    try:
        need("chromium", "node", "npm", "ip")
        play(os.path.abspath(given.build), given.shots and os.path.abspath(given.shots), given.p95)
    except Skip as why:
        print(f"skipped: {why}")
        return 77
    except Exception:
        traceback.print_exc()
        check(False, "the script came to its end")
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
