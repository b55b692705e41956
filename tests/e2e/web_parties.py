# SPDX-License-Identifier: Apache-2.0
"""Who takes part in WebRTC calls of tests, all with the same verbs: pages of a Chromium, aiortc, and phones without ICE (web_phone.py).

An end has `offer`, `answer` and `take` for SDP, and `hears` and `sees` to judge what reaches it. `Call` carries the SDP to the relay as
a proxy does. Chromium and aiortc are in the lab's bob, which has IPv4 and IPv6.
"""

import json
import math
import os
import queue
import shutil
import struct
import subprocess
import sys
import threading
import wave

from lab import Skip, inside, run

HERE = os.path.dirname(os.path.abspath(__file__))
WEB = {"flags": ["WebRTC"]}
COLOURS = ("red", "green", "blue")


def sections_of(sdp):
    """Of each section its kind, its port and its text."""
    found = []
    for text in ("\r\n" + sdp).split("\r\nm=")[1:]:
        kind, port = text.split()[:2]
        found.append((kind, int(port), text))
    return found


def media_port(sdp, kind="audio"):
    return next(port for each, port, _ in sections_of(sdp) if each == kind)


def with_attribute(text, name):
    """The values of the attribute in a section or a description."""
    return [line[len(name) + 3:] for line in text.split("\r\n") if line.startswith(f"a={name}:")]


def tone_wave(path, hertz):
    """A second of a tone that can be played round and round, for Chromium's microphone."""
    with wave.open(path, "wb") as f:
        f.setnchannels(1)
        f.setsampwidth(2)
        f.setframerate(48000)
        f.writeframes(struct.pack("<48000h", *(int(16000 * math.sin(2 * math.pi * hertz * n / 48000)) for n in range(48000))))
    return path


class Browser:
    """Chromium by browser/driver.mjs, in bob's namespace. Its microphone hears a tone, its camera is green."""

    MICROPHONE_HZ = 500

    def __init__(self, lab, folder):
        chromium, microphone = shutil.which("chromium"), tone_wave(lab.path("microphone.wav"), self.MICROPHONE_HZ)
        self.log = open(lab.path("browser.log"), "w+", encoding="utf-8")
        environment = {**os.environ, "HOME": lab.directory}
        self.process = subprocess.Popen(inside("bob", "node", os.path.join(folder, "driver.mjs"), chromium, microphone), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True, cwd=folder, env=environment)
        lab.processes.append(self.process)
        self.answers, self.number = queue.Queue(), 0
        threading.Thread(target=self.read, daemon=True).start()
        self.version = self.next(30)["ready"]

    def read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.answers.put({"error": "the browser is gone"})

    def next(self, seconds):
        try:
            return self.answers.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"the browser does not answer within {seconds} s") from None

    def begin(self, page, what, seconds=60, **more):
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
    """A page of the browser with one peer connection. `hertz` and `colour` are what it sends, if it sends both kinds."""

    wants, reply_wants = WEB, {}

    def __init__(self, browser, name, permitted=True, sip=False):
        self.browser, self.name = browser, name
        self.hertz, self.colour, self.trickles = None, None, False
        browser.begin(name, "open", seconds=60, permitted=permitted, sip=sip)()

    def begin(self, name, **more):
        return self.browser.begin(self.name, "call", name=name, **{"with": more})

    def call(self, name, **more):
        return self.begin(name, **more)()

    def make(self, hertz=None, colour=None, trickles=False, **more):
        """A new peer connection that will send the tone and pictures of the colour."""
        self.hertz, self.colour, self.trickles = hertz, colour, trickles
        self.call("make", hertz=hertz, colour=colour, **more)
        return self

    def offer(self):
        return self.call("offer", trickles=self.trickles)

    def answer(self, sdp):
        return self.call("accept", sdp=sdp, trickles=self.trickles)

    def take(self, sdp):
        self.call("answer", sdp=sdp)

    def fragment(self):
        """Everything gathered as a fragment (RFC 8840), as it follows an SDP without candidates."""
        lines = []
        for kind, port, text in sections_of(self.call("gathered")):
            if port and with_attribute(text, "candidate"):
                lines += [f"m={text.splitlines()[0]}"] + [f"a={name}:{value}" for name in ("mid", "ice-ufrag", "ice-pwd", "candidate")
                                                          for value in with_attribute(text, name)]
        return "\r\n".join(lines + ["a=end-of-candidates", ""])

    def hears(self, hertz, seconds=3):
        """Seconds until the tone is heard; None if it is not in time."""
        found = self.call("hears", hertz=hertz, time=seconds * 1000)
        return None if found is None else found / 1000

    def sees(self, colour, seconds=5, frames=3):
        """Seconds until so many more frames were decoded and the picture has this colour; None if it has not in time."""
        found = self.call("sees", colour=colour, frames=frames, time=seconds * 1000)
        return None if found is None else found / 1000

    def seen(self):
        return self.call("seen")

    def reload(self):
        self.browser.begin(self.name, "reload")()

    def close(self):
        self.browser.begin(self.name, "close")()


class Aiortc:
    """aiortc_party.py in a namespace: an implementation of ICE, DTLS, SRTP and the codecs that has nothing from Chromium's."""

    # It cannot read an a=rtcp line without an address (RFC 3605 allows it); with rtcp-mux nobody needs one.
    wants, reply_wants = WEB, {"flags": ["no-rtcp-attribute"]}

    def __init__(self, lab, where, python):
        self.hertz, self.colour, self.trickles = None, None, False
        self.log = open(lab.path(f"aiortc-{len(lab.processes)}.log"), "w+", encoding="utf-8")
        command = inside(where, python, os.path.join(HERE, "aiortc_party.py"))
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log, text=True)
        lab.processes.append(self.process)
        self.answers = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()
        self.next(30)

    def read(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.log.seek(0)
        self.answers.put({"error": "the party is gone: " + self.log.read()[-500:]})

    def next(self, seconds):
        try:
            answer = self.answers.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"aiortc does not answer within {seconds} s") from None
        if "error" in answer:
            raise RuntimeError(f"aiortc: {answer['error']}")
        return answer

    def ask(self, what, **more):
        self.process.stdin.write(json.dumps({"do": what, **more}) + "\n")
        self.process.stdin.flush()
        return self.next(60)

    def make(self, hertz=None, colour=None, **_):
        """A new peer connection that will send the tone and pictures of the colour."""
        self.hertz, self.colour = hertz, colour
        self.ask("make", hertz=hertz, colour=colour)
        return self

    def offer(self):
        return self.ask("offer")["sdp"]

    def answer(self, sdp):
        return self.ask("answer", sdp=sdp)["sdp"]

    def take(self, sdp):
        self.ask("take", sdp=sdp)

    def hears(self, hertz, seconds=3):
        return self.ask("hears", hertz=hertz, seconds=seconds)["after"]

    def sees(self, colour, seconds=5, frames=3):
        return self.ask("sees", colour=colour, seconds=seconds, frames=frames)["after"]

    def seen(self):
        return self.ask("seen")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


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

    def fragment(self, sender, text):
        """Candidates of a party that follow its SDP (RFC 8840)."""
        reply = self.ng.ask("offer", self.id, sdp=text, **{"from-tag": sender, "flags": ["fragment"]})
        if reply["result"] != "ok":
            raise RuntimeError(f"fragment of {sender}: {reply}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ng.ask("delete", self.id, **{"delete delay": 0})


def interpreter():
    """A Python that has aiortc: this one, or that of the system."""
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import aiortc"], capture_output=True, check=False).returncode == 0:
            return python
    raise Skip("python3-aiortc is not installed")


def driver(build):
    """A folder with the browser's driver and what it needs, made once by `npm ci` from the lock file."""
    folder, source = os.path.join(build, "browser"), os.path.join(HERE, "browser")
    os.makedirs(folder, exist_ok=True)
    lock = os.path.join(folder, "package-lock.json")
    with open(os.path.join(source, "package-lock.json"), encoding="utf-8") as wanted:
        text = wanted.read()
    same = False
    if os.path.exists(lock):
        with open(lock, encoding="utf-8") as there:
            same = there.read() == text
    for name in os.listdir(source):
        if not (same and name == "package-lock.json"):
            shutil.copy(os.path.join(source, name), folder)
    if not same or not os.path.isdir(os.path.join(folder, "node_modules", "jssip")):
        try:
            made = run("npm", "ci", "--no-audit", "--no-fund", check=False, cwd=folder, timeout=120)
            why = made.stderr.strip()[-200:] if made.returncode else None
        except subprocess.TimeoutExpired:
            why = "no answer within 120 s"
        if why:
            os.unlink(lock)
            raise Skip(f"npm cannot install what drives Chromium: {why}")
    return folder
