# SPDX-License-Identifier: Apache-2.0
"""An SDP names the relay's own control ports, and datagrams come to control from its media ports (row C-20)."""
REFERENCE = "LAT-11a; row C-20: error reply, nothing arrives at control"
RIGHT = "Every such SDP and command is refused, another call beside stays, and control serves nothing that comes from an open media port."
import json
import socket
import struct

from beside import live_call
from kit import A, B, CONTROL, RELAY, RELAY_B, Rtpproxy, Ng, plain

LISTENS = 2240  # NG over TCP: a port that nothing but this daemon makes special


def control_ports():
    return [(address, port) for address in (RELAY, RELAY_B, "127.0.0.1", "127.8.8.8", A)
            for port in (CONTROL[1], 22222, LISTENS, 5060, 80)]


def ways(address, port):
    """SDP that names the port, by what does it."""
    candidate = f"a=ice-ufrag:abcdefgh\na=ice-pwd:abcdefghijklmnopqrstuvwx\na=candidate:1 1 UDP 2130706431 {address} {port} typ host"
    return {"RTP": plain(address, port), "named RTCP": plain(A, 21000, extra=f"a=rtcp:{port} IN IP4 {address}"),
            "candidate": plain("0.0.0.0", 9, extra=candidate)}


def signalling(w, ng, rtpproxy):
    asked = 0
    for address, port in control_ports():
        for what, sdp in ways(address, port).items():
            asked += 1
            reply = ng.raw({"command": "offer", "call-id": f"n{asked}", "from-tag": "a", "sdp": sdp})
            w.check(reply["result"] == "error" and "LAT-11a" in reply["error-reason"], f"{what} at {address}:{port}: {reply}")
        w.equal(f"U {address}:{port}", rtpproxy.ask(f"U c{asked} {address} {port} a"), "E37")
        reply = ng.raw({"command": "start forwarding", "call-id": "talk", "from-tag": "a", "output-destination": f"udp:{address}:{port}"})
        w.check(reply["result"] == "error" and "LAT-11a" in reply["error-reason"], f"forwarding to {address}:{port}: {reply}")
    w.note(f"{asked} SDPs refused")


def udp(source, destination, data):
    """A whole datagram as the media port would send it: IPv4 and UDP headers (no checksum) before `data`."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28 + len(data), 0, 0, 64, socket.IPPROTO_UDP, 0,
                         socket.inet_aton(source[0]), socket.inet_aton(destination[0]))
    return header + struct.pack("!HHHH", source[1], destination[1], 8 + len(data), 0) + data


def datagrams(w, relay, ng, media):
    """Whatever makes media arrive at control: it is no command. A proxy at a free port of the range is served."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for destination, text in ((CONTROL, b"1 d7:command6:delete7:call-id4:talke"), (("127.0.0.1", 22222), b"2 D talk a b")):
        for _ in range(5):
            raw.sendto(udp((RELAY, media), destination, text), destination)
    w.equal("the call is still there", ng.raw({"command": "query", "call-id": "talk"})["result"], "ok")
    w.check("control from media ports" in relay.ctl("doctor", text=True), "doctor says nothing of media at control")
    w.check("10 datagrams" in relay.ctl("doctor", text=True), "not every datagram was counted")
    proxy = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    proxy.bind((RELAY, 30998 if media != 30998 else 30996))
    proxy.settimeout(2)
    proxy.sendto(b"3 " + json.dumps({"command": "ping"}).encode(), CONTROL)
    w.check(b"pong" in proxy.recv(2048), "a proxy at a free port of the range is not served")


def play(w):
    relay = w.relay("--interface=side/" + RELAY_B, "--listen-rtpp=udp:127.0.0.1:22222", f"--listen-tcp-ng=127.0.0.1:{LISTENS}",
                    f"--control-allow={RELAY}/32", f"--control-allow={A}/32")
    ng, rtpproxy = Ng(CONTROL), Rtpproxy()
    a, b = w.party(A), w.party(B)
    to_b = ng.offer("talk", a.sdp())[0].port
    to_a = ng.answer("talk", b.sdp())[0].port
    with live_call(w):
        signalling(w, ng, rtpproxy)
        datagrams(w, relay, ng, to_a)
        w.two_way(a, to_a, b, to_b, what="after all of it ")
