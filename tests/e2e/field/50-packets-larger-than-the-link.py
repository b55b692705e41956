# SPDX-License-Identifier: Apache-2.0
"""Packets that come in fragments (240 ms of G.711, uncompressed stereo, video without splitting) are dropped by the relay although each end can take them."""
REFERENCE = "pjsip/pjproject #1547; bluenviron/mediamtx #3158, #4882; versatica/mediasoup #276"
RIGHT = "A datagram may be as large as IP lets it (RFC 768, RFC 8200 §5 with fragments by the source): it leaves in fragments like it came; nothing is cut, other packets go on."
SLOW = True
from kit import *


def play(w):
    host("ip", "link", "set", "lo", "mtu", "1500")
    r = w.relay(f"--interface={RELAY6}", "--recording-dir={dir}/records")
    ng, large = Ng(), []
    for name, ip_a, ip_b in (("IPv4", A, B), ("IPv6", A6, B6), ("IPv6 to IPv4", A6, B)):
        a, b = w.party(ip_a), w.party(ip_b)
        body = lambda p: p.sdp(types="0 96 97", extra="a=rtpmap:96 L16/48000/2\r\na=rtpmap:97 H264/90000")
        out = ng.offer(name, body(a), address_family="IP6" if ":" in ip_b else "IP4", flags=["record-call"] if name == "IPv4" else [])
        back = ng.answer(name, body(b))
        w.two_way(a, back[0].port, b, out[0].port, 0.4, what=name + ": ")
        for size in (1440, 1460, 1472, 1473, 1500, 1920, 4000, 9000, 20_000, 60_000):
            a.clear(), b.clear()
            for _ in range(3):
                a.send(back[0].port, a.packet(pt=96, payload=os.urandom(size - 12)))
                w.listen(0.03)
            w.listen(0.15)
            sizes = [len(p) for p in b.heard(a)]
            text = f"{name}: of 3 packets with {size} octets {len(sizes)} arrive ({sorted(set(sizes))})"
            if size <= 1920 or sizes:                       # what is cut is worse than what is refused
                w.check(sizes == [size] * 3, text)
            else:
                large.append(text)
        w.two_way(a, back[0].port, b, out[0].port, 0.4, what=name + ", afterwards: ")
    drops = r.ctl("stats").get("drops", {})
    w.check(not large or drops.get("too-long"), f"what did not fit is not counted: {drops}")
    if large and not w.faults:
        raise Unsupported(f"{large[0]}, {len(large)} such sizes and directions; counted as too-long")
