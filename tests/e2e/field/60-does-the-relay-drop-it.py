# SPDX-License-Identifier: Apache-2.0
"""One side stops hearing in mid-call, and nobody can tell whether the network, the sender or the relay itself drops the packets."""
REFERENCE = "sipwise/rtpengine #835, #771, #1171"
RIGHT = "What comes in and does not go out is told: explain must not call a direction fine into which the relay has sent nothing for seconds while the other side speaks."
LIMIT = 60
SLOW = True
from kit import *


def play(w):
    r = w.relay()
    ng = Ng()
    noise = bytes(random.Random(1).randrange(256) for _ in range(160))

    def verdict(cid, tag):
        """The line of explain about what is sent to that party."""
        text = r.ctl("explain", cid, text=True)
        return next((l for l in text.splitlines() if re.search(rf"^\w+\s+to\s+{tag} #1 ", l)), text.splitlines()[0])

    # toward a phone with SRTP, after the PBX's numbers went back
    a, b = w.party(A), w.party(B)
    key = Srtp()
    out = ng.offer("back", a.sdp(types="8"), transport_protocol="RTP/SAVP", DTLS="off")
    line = next(l for l in out[0].all("crypto") if Srtp.SUITE in l)
    back = ng.answer("back", b.sdp(types="8", profile="RTP/SAVP", extra=key.line(int(line.split()[0]))))
    a.pt, a.seq, a.payload, b.pt, b.srtp, b.payload = 8, 20_000, noise, 8, key, noise
    w.talk(1, (a, back[0].port), (b, out[0].port))
    a.seq -= 9000
    b.clear()
    w.talk(3, (a, back[0].port), (b, out[0].port))
    said = verdict("back", "b")
    w.note(f"back: {len(b.got)} of 150 arrive; {said}")
    w.check(len(b.got) > 130 or not said.startswith("fine"), f"the relay drops {150 - len(b.got)} of 150 packets and says: {said}")
    # toward a party that has never spoken
    a, b = w.party(A), w.party(B)
    a.pt, a.payload = 8, noise
    out = ng.offer("silent", a.sdp(types="8"))
    back = ng.answer("silent", b.sdp(types="8", direction="recvonly"))
    w.talk(11, lambda t: a.send(back[0].port) if t % 5 == 0 else None)
    b.clear()
    w.talk(2, (a, back[0].port))
    said = verdict("silent", "b")
    w.note(f"silent: {len(b.got)} of 100 arrive; {said}")
    w.check(len(b.got) > 80 or not said.startswith("fine"), f"the relay drops {100 - len(b.got)} of 100 packets and says: {said}")
    # blocked by a command: either row may say so
    a, b = w.party(A), w.party(B)
    a.pt, a.payload, b.pt, b.payload = 8, noise, 8, noise
    out = ng.offer("block", a.sdp(types="8"))
    back = ng.answer("block", b.sdp(types="8"))
    w.talk(0.5, (a, back[0].port), (b, out[0].port))
    ng.ask("block media", "block", from_tag="a")
    b.clear()
    w.talk(1.5, (a, back[0].port), (b, out[0].port))
    said = r.ctl("explain", "block", text=True)
    w.check(not b.got and "blocked" in said, f"blocked: {len(b.got)} packets, {said.splitlines()[0]}")
