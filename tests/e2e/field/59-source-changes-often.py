# SPDX-License-Identifier: Apache-2.0
"""A camera takes a new SSRC with every group of pictures, a PBX with every prompt; after some changes nothing passes any more. A device sends SSRC 0, or both parties have the same SSRC."""
REFERENCE = "bluenviron/gortsplib #687; asterisk/asterisk PR #1277; pjsip/pjproject PR #2713; RestComm/media-core #765"
RIGHT = "SSRCs may change (RFC 3550 §3, §8; each its own context under the same key, RFC 3711 §3.2.3): at most the one unconfirmed packet after a change is missing, however many there are; 0 is a value like others."
LIMIT = 90
SLOW = True
from kit import *


def play(w):
    r = w.relay()
    ng, calls = Ng(), {}
    for name, secure in (("plain", ""), ("SRTP from the camera", "in"), ("SRTP to the viewer", "out")):
        a, b = w.party(A), w.party(B)
        key, key_b = Srtp(), Srtp()
        def body(p, encrypted, extra):
            return plain(p.ip, p.port, types="0").split("m=audio")[0] + crlf(f"m=video {p.port} {'RTP/SAVP' if encrypted else 'RTP/AVP'} 96\na=rtpmap:96 H264/90000\na=sendrecv\n{extra if encrypted else 'a=x'}")
        out = ng.offer(name, body(a, secure == "in", key.line()), transport_protocol={"in": "RTP/AVP", "": None, "out": "RTP/SAVP"}[secure], DTLS="off")
        line = next((l for l in out[0].all("crypto") if Srtp.SUITE in l), "1")
        back = ng.answer(name, body(b, secure == "out", key_b.line(int(line.split()[0]))))
        a.pt, a.payload, a.srtp = 96, os.urandom(200), key if secure == "in" else None
        b.pt, b.srtp = 96, key_b if secure == "out" else None
        calls[name] = (a, b, back[0].port, Srtp.of_line(line) if secure == "out" else None, out[0].port, [])
    for change in range(90):                                 # four a second: ten minutes of a camera in 23 seconds
        for a, b, *_ in calls.values():
            a.ssrc, a.seq, a.ts, a.roc = random.getrandbits(32), random.randrange(0, 60000), random.getrandbits(31), 0
            b.clear()
        begin = time.monotonic()
        for tick in range(12):
            for a, b, port, _, to_b, _ in calls.values():
                a.send(port)
                if tick == 0:
                    b.send(to_b)
            w.listen(begin + (tick + 1) * 0.02 - time.monotonic())
        w.listen(0.01)
        for a, b, port, receiver, _, lost in calls.values():
            got = [p for p in (receiver.unprotect(p) for _, _, p in b.got) if p] if receiver else b.heard(a)
            lost.append(12 - len(got))
    for name, (*_, lost) in calls.items():
        bad = [i + 1 for i, n in enumerate(lost) if n > 1]
        w.check(not bad, f"{name}: {len(bad)} of {len(lost)} sources lose more than one packet of 12, from source {bad and bad[0]} on; the last ten lose {lost[-10:]}")
        if bad:
            w.note(f"{name}: " + json.dumps([m["drops"] for l in r.ctl("show", name)["legs"] for m in l["medias"]]))
    # SSRC 0, and one SSRC for both
    for name, x, y in (("SSRC 0", 0, 5), ("the same SSRC", 77, 77)):
        a, b = w.party(A), w.party(B)
        a.pt = b.pt = 8
        a.ssrc, b.ssrc = x, y
        out = ng.offer(name, a.sdp(types="8"))
        back = ng.answer(name, b.sdp(types="8"))
        w.two_way(a, back[0].port, b, out[0].port, what=name + ": ")
        rows = [m["received"][0] for l in r.ctl("show", name)["legs"] for m in l["medias"]]
        w.check(all(row["lost"] == 0 and row["packets"] >= 28 for row in rows), f"{name}: figures {[(row['lost'], row['packets']) for row in rows]}")
