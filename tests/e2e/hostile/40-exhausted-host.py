# SPDX-License-Identifier: Apache-2.0
"""Descriptors, a local address and ports run out in turn: proxies are sent to the next relay and told why, and it recovers (C-12)."""
REFERENCE = "row C-12: the right error, recovery when it clears"
RIGHT = "Ran out of ports only for ports; else Parallel session limit reached or load limit, with the cause in message, log and doctor."
import os
import resource

from beside import live_call
from kit import A, CONTROL, RELAY_B, Rtpproxy, Ng, host, plain

DEVICE = "v0" if os.environ.get("FIELD_CASE_OFFLOAD") else "lo"
LIMIT_TEXT = "Parallel session limit reached"


class Client:
    def __init__(self, w):
        self.w, self.ng, self.count = w, Ng(CONTROL), 0

    def offer(self, **keys):
        self.count += 1
        call = f"exhausted-{self.count}"
        return call, self.ng.raw({"command": "offer", "call-id": call, "from-tag": "a", "sdp": plain(A, 21000), **keys})

    def refused(self, what, text, **keys):
        """A new call is refused with a limit, and `text` beside; as load limit to who announced that."""
        _, reply = self.offer(**keys)
        self.w.equal(f"{what}: error-reason", reply.get("error-reason"), LIMIT_TEXT)
        self.w.equal(f"{what}: message", reply.get("message"), text)
        _, reply = self.offer(supports=["load limit"], **keys)
        self.w.equal(f"{what}: reply to who knows load limit", (reply["result"], reply.get("message")), ("load limit", text))

    def taken(self, what, **keys):
        call, reply = self.offer(**keys)
        self.w.equal(f"{what}: result", reply["result"], "ok")
        self.delete(call)

    def delete(self, call):
        self.ng.raw({"command": "delete", "call-id": call, "from-tag": "a", "delete-delay": 0})


def descriptors(w, relay, client, rtpproxy):
    pid, text = relay.process.pid, "No file descriptor is left for a port"
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (1, before[1]))
        client.refused("no descriptors", text)
        w.equal("no descriptors: U", rtpproxy.ask(f"U none {A} 21000 a"), "E72")
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    client.taken("descriptors again")
    w.check(text in relay.log, "the log does not say that descriptors ran out")


def address(w, relay, client):
    text = "The local address is gone from this host"
    host("ip", "addr", "del", f"{RELAY_B}/32", "dev", DEVICE)
    try:
        client.refused("no address", text, direction=["side", "side"])
    finally:
        host("ip", "addr", "add", f"{RELAY_B}/32", "dev", DEVICE)
    client.taken("address again", direction=["side", "side"])
    w.check(text in relay.log, "the log does not say that the address is gone")


def ports(w, relay, client):
    calls = []
    while len(calls) < 1000:
        call, reply = client.offer()
        if reply["result"] != "ok":
            break
        calls.append(call)
    w.equal(f"after {len(calls)} calls", reply.get("error-reason"), "Ran out of ports")
    for call in calls:
        client.delete(call)
    client.taken("ports again")


def play(w):
    relay = w.relay(f"--interface=side/{RELAY_B}", "--listen-rtpp=udp:127.0.0.1:22222")
    client, rtpproxy = Client(w), Rtpproxy()
    with live_call(w):
        descriptors(w, relay, client, rtpproxy)
        address(w, relay, client)
        ports(w, relay, client)
    found = relay.ctl("doctor", text=True)
    for reason in ("ports", "descriptors", "address"):
        w.check(f"ports refused ({reason})" in found, f"doctor says nothing of {reason}")
