#!/usr/bin/env python3
"""A WebRTC party without a browser, by aiortc, for tests/e2e/publish.py.

Reads one JSON command a line from standard input and answers each by a line:
  {"do": "offer", "hertz": 700}              -> {"sdp": ...}   it will send this tone
  {"do": "answer", "sdp": ...}               -> {"sdp": ...}   the SDP is an offer to it
  {"do": "take", "sdp": ...}                 -> {}             the SDP is the answer to its offer
  {"do": "connected", "seconds": 10}         -> {"state": ...} as soon as it is connected, or when the time is over
  {"do": "hears", "hertz": 700, "seconds": 5} -> {"after": ...} seconds until it hears the tone; null if it does not
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
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.on("track", self.on_track)
        self.heard, self.rate, self.listener = [], RATE, None

    def on_track(self, track):
        self.listener = asyncio.ensure_future(self.listen(track))

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

    async def offer(self, hertz):
        self.connection.addTrack(Tone(hertz))
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return {"sdp": self.connection.localDescription.sdp}

    async def answer(self, sdp):
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return {"sdp": self.connection.localDescription.sdp}

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
        while time.monotonic() < start + seconds:
            if len(self.heard) >= self.rate // 10 and has_tone(self.heard[-self.rate // 10:], self.rate, hertz):
                return {"after": time.monotonic() - start}
            await asyncio.sleep(0.05)
        return {"after": None}


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
    await party.connection.close()


asyncio.run(main())
