#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A WebRTC party without a browser, by aiortc, for tests/e2e/publish.py and webrtc.py.

Reads one JSON command a line from standard input and answers each by a line:
  {"do": "make", "hertz": 700, "colour": "red"}     -> {}           a new connection, which will send this; null: nothing of the kind
  {"do": "add", "hertz": null, "colour": "red"}     -> {}           the connection will send this, too
  {"do": "offer"}                                   -> {"sdp": ...}
  {"do": "answer", "sdp": ...}                      -> {"sdp": ...}  the SDP is an offer to it
  {"do": "take", "sdp": ...}                        -> {}           the SDP is the answer to its offer
  {"do": "turn", "kind": "audio", "direction": ...} -> {}           says another direction from its next SDP on
  {"do": "connected", "seconds": 10}                -> {"state": ...} as soon as it is connected, or when the time is over
  {"do": "hears", "hertz": 700, "seconds": 5}       -> {"after": ...} seconds until it hears the tone; null if it does not
  {"do": "sees", "colour": "red", "frames": 3, "seconds": 5} -> {"after": ...} seconds until so many more pictures came and the
                                                       last one has the colour; null if that did not happen
  {"do": "seen"}                                    -> {"frames": ..., "colour": ...} of all pictures so far
"""

import asyncio
import fractions
import json
import math
import struct
import sys
import time

import av
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from web_phone import colour_of

RATE = 8000
FRAME = RATE // 50


class Tone(MediaStreamTrack):
    """A tone in real time, 20 ms a frame."""

    kind = "audio"

    def __init__(self, hertz):
        super().__init__()
        self.hertz, self.count, self.start = hertz, 0, time.monotonic()

    async def recv(self):
        await asyncio.sleep(max(0, self.start + self.count * 0.02 - time.monotonic()))
        first = self.count * FRAME
        self.count += 1
        samples = [int(8000 * math.sin(2 * math.pi * self.hertz * n / RATE)) for n in range(first, first + FRAME)]
        frame = av.AudioFrame(format="s16", layout="mono", samples=FRAME)
        frame.planes[0].update(struct.pack(f"<{FRAME}h", *samples))
        frame.sample_rate, frame.pts, frame.time_base = RATE, first, fractions.Fraction(1, RATE)
        return frame


class Pictures(MediaStreamTrack):
    """Small pictures of one colour, 15 a second, with a bar that moves below."""

    kind = "video"
    SIZE = (160, 120)
    RGB = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}

    def __init__(self, colour):
        super().__init__()
        self.pixel, self.count, self.start = bytes(self.RGB[colour]), 0, time.monotonic()

    async def recv(self):
        await asyncio.sleep(max(0, self.start + self.count / 15 - time.monotonic()))
        width, height = self.SIZE
        bar = self.count * 4 % width
        row = bytearray(self.pixel * width)
        row[3 * bar:3 * bar + 12] = bytes(12)
        frame = av.VideoFrame(width, height, "rgb24")
        frame.planes[0].update(self.pixel * width * (height - 20) + bytes(row[:3 * width]) * 20)
        frame = frame.reformat(format="yuv420p")
        frame.pts, frame.time_base = self.count * 6000, fractions.Fraction(1, 90000)
        self.count += 1
        return frame


def has_tone(samples, rate, hertz):
    """Whether most of what is heard is this tone (Goertzel)."""
    power = sum(x * x for x in samples)
    if not samples or power / len(samples) < 100 ** 2:
        return False
    c, a, b = 2 * math.cos(2 * math.pi * hertz / rate), 0.0, 0.0
    for x in samples:
        a, b = x + c * a - b, a
    return (a * a + b * b - c * a * b) * 2 / len(samples) > 0.5 * power


class Party:
    def __init__(self):
        self.connection = None

    async def make(self, hertz=None, colour=None):
        if self.connection:
            await self.connection.close()
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.on("track", self.on_track)
        self.heard, self.rate, self.listeners, self.frames, self.colour = [], RATE, [], 0, None
        return await self.add(hertz, colour)

    async def add(self, hertz=None, colour=None):
        if hertz:
            self.connection.addTrack(Tone(hertz))
        if colour:
            self.connection.addTrack(Pictures(colour))
        return {}

    async def turn(self, kind, direction):
        for each in self.connection.getTransceivers():
            if each.kind == kind:
                each.direction = direction
        return {}

    def on_track(self, track):
        self.listeners.append(asyncio.ensure_future(self.listen(track) if track.kind == "audio" else self.look(track)))

    async def look(self, track):
        try:
            while True:
                self.colour = colour_of(await track.recv())
                self.frames += 1
        except MediaStreamError:
            pass

    async def listen(self, track):
        try:
            while True:
                frame = await track.recv()
                channels = len(frame.layout.channels)
                octets = bytes(frame.planes[0])[:frame.samples * channels * 2]
                self.rate = frame.sample_rate
                self.heard += struct.unpack(f"<{len(octets) // 2}h", octets)[::channels]
                del self.heard[:-self.rate // 5]
        except MediaStreamError:
            pass

    def described(self):
        """What it says. aiortc sends feedback alone and says nothing of reduced size, though RFC 8834 section 4.6 wants it negotiated; a relay
        that checks RTCP drops such packets (RTC-1). So its SDP gets the line that tells what it does."""
        session, *sections = self.connection.localDescription.sdp.split("\r\nm=")
        return {"sdp": "\r\nm=".join([session, *(each.replace("\r\na=rtcp-mux\r\n", "\r\na=rtcp-mux\r\na=rtcp-rsize\r\n") for each in sections)])}

    async def offer(self):
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.described()

    async def answer(self, sdp):
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.described()

    async def take(self, sdp):
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        return {}

    async def connected(self, seconds):
        end = time.monotonic() + seconds
        while self.connection.connectionState != "connected" and time.monotonic() < end:
            await asyncio.sleep(0.02)
        return {"state": self.connection.connectionState}

    async def hears(self, hertz, seconds):
        start = time.monotonic()
        self.heard.clear()
        while time.monotonic() < start + seconds:
            if len(self.heard) >= self.rate // 10 and has_tone(self.heard[-self.rate // 10:], self.rate, hertz):
                return {"after": time.monotonic() - start}
            await asyncio.sleep(0.05)
        return {"after": None}

    async def sees(self, colour, frames, seconds):
        """aiortc has no use for packets that come before its receivers begin, and never asks for a key frame because it can decode nothing.
        Who sees nothing for a second does here, as browsers do."""
        start, before, asked = time.monotonic(), self.frames, 0
        while time.monotonic() < start + seconds:
            if self.frames >= before + frames and self.colour == colour:
                return {"after": time.monotonic() - start}
            if self.frames == before and time.monotonic() > start + 1 + asked:
                asked += 1
                for each in self.connection.getReceivers():
                    if each.track and each.track.kind == "video":
                        for source in each.getSynchronizationSources():
                            await each._send_rtcp_pli(source.source)    # pylint: disable=protected-access
            await asyncio.sleep(0.05)
        return {"after": None}

    async def seen(self):
        return {"frames": self.frames, "colour": self.colour}


async def main():
    party = Party()
    loop = asyncio.get_running_loop()
    print(json.dumps({"ready": True}), flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        try:
            answer = await getattr(party, command.pop("do"))(**command)
        except Exception as why:  # pylint: disable=broad-except
            answer = {"error": repr(why)}
        print(json.dumps(answer), flush=True)
    if party.connection:
        await party.connection.close()


asyncio.run(main())
