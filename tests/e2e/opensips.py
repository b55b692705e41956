# SPDX-License-Identifier: Apache-2.0
"""What OpenSIPS's module rtpengine sends for the lines of docs/webrtc.md, for tests/e2e/webrtc.py: OpenSIPS itself is not needed."""

import os
import random
import re

from lab import ALICE, BOB
from parties import Ng
from web_phone import Phone

HERE = os.path.dirname(os.path.abspath(__file__))
PROFILES = ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")


def bencode(value):
    """In the order in which keys were put in: the module does not sort them."""
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(name) + bencode(each) for name, each in value.items()) + b"e"


def bdecode(octets):
    """A reply: nothing but dictionaries, lists, strings and integers."""
    def one(at):
        if octets[at:at + 1] == b"i":
            end = octets.index(b"e", at)
            return int(octets[at + 1:end]), end + 1
        if octets[at:at + 1] in (b"l", b"d"):
            found, is_list, at = [], octets[at:at + 1] == b"l", at + 1
            while octets[at:at + 1] != b"e":
                value, at = one(at)
                found.append(value)
            return found if is_list else dict(zip(found[::2], found[1::2])), at + 1
        colon = octets.index(b":", at)
        end = colon + 1 + int(octets[at:colon])
        return octets[colon + 1:end].decode(), end
    return one(0)[0]


def keys_of(words):
    """The keys that the module makes of a script's words."""
    keys = {}
    for word in words.split():
        if word in PROFILES:
            keys["transport-protocol"] = word
        elif word.startswith("rtcp-mux-"):
            keys.setdefault("rtcp-mux", []).append(word[len("rtcp-mux-"):])
        elif word.startswith("replace-"):
            keys.setdefault("replace", []).append(word[len("replace-"):])
        elif "=" in word:
            keys.update([word.split("=", 1)])
        else:
            keys.setdefault("flags", []).append(word)
    return keys


class Module(Ng):
    """The module beside a script with the lines of docs/webrtc.md."""

    def __init__(self, namespace):
        super().__init__(namespace)
        with open(os.path.join(HERE, "..", "..", "docs", "webrtc.md"), encoding="utf-8") as f:
            script = re.findall(r"```\n(#!OPENSIPS.*?)```", f.read(), re.S)[0]
        to_page, to_phone = re.findall(r'rtpengine_offer\("(.*?)"\)', script)
        answer, = re.findall(r'rtpengine_answer\("(.*?)"\)', script)
        self.to_page, self.to_phone, self.back = keys_of(to_page), keys_of(to_phone), keys_of(answer)

    def wants(self, end):
        """What the script says in an offer that goes to this end."""
        return self.to_phone if isinstance(end, Phone) else self.to_page

    def ask(self, command, call, source=None, **keys):
        """`source`: the end that the SIP message came from; None: a phone."""
        self.count += 1
        address = ALICE if source is None or isinstance(source, Phone) else BOB
        message = bencode({**keys, "call-id": call, "received-from": ["IP4", address], "command": command})
        self.socket.send(f"{os.getpid()}_{random.getrandbits(31)}_{self.count} ".encode() + message)
        return bdecode(self.socket.recv(65536).split(b" ", 1)[1])
