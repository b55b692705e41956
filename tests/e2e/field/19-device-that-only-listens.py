# SPDX-License-Identifier: Apache-2.0
"""A device without a microphone (door speaker, paging, muted phone with silence suppression) sends nothing and must go on hearing."""
REFERENCE = "eigger/espcomponents #291, PR #292; pjsip/pjproject #3892"
RIGHT = "recvonly sends no RTP (RFC 3264 §5.1) and DTX may send nothing for long; media to a public, signalled address goes on for the whole call."
LIMIT = 60
SLOW = True
from kit import *


def play(w):
    w.relay("--interface=int/198.51.100.1", "--listen-ng=127.0.0.1:2223", "--port-min=30000", "--port-max=30999", "--control-socket={dir}/ctl.sock",
            "--offload=off", "--log-level=6", defaults=False)
    ng, calls = Ng(), {}
    kinds = {"answered recvonly, sends nothing": ("recvonly", None), "answered sendrecv, sends nothing": ("sendrecv", None),
             "recvonly, RTCP alone": ("recvonly", "rtcp"), "recvonly, STUN keep-alives": ("recvonly", "stun"), "recvonly, empty datagrams": ("recvonly", "empty")}
    for name, (direction, keep) in kinds.items():
        a, b = w.party(A), w.party(B)
        out = ng.offer(name, a.sdp(types="8"), received_from=["IP4", A])
        back = ng.answer(name, b.sdp(types="8", direction=direction), received_from=["IP4", B])
        a.pt = 8
        calls[name] = (a, b, out[0].port, back[0].port, keep)
    # put on hold, with music: the held phone answers with another port and is silent from then on
    name = "held, answered from another port"
    a, b, b2 = w.party(A), w.party(B), w.party(B)
    a.pt = b.pt = 8
    out = ng.offer(name, a.sdp(types="8"))
    back = ng.answer(name, b.sdp(types="8"))
    w.two_way(a, back[0].port, b, out[0].port, what=name + ": before: ")
    out = ng.offer(name, a.sdp(types="8", direction="sendonly", version=2), to_tag="b")
    back = ng.answer(name, b2.sdp(types="8", direction="recvonly", version=2))
    calls[name] = (a, b2, out[0].port, back[0].port, None)
    begin = time.monotonic()
    for second in range(16):
        for tick in range(10):
            for a, b, to_b, to_a, keep in calls.values():
                a.send(to_a)
            w.listen(begin + second + (tick + 1) / 10 - time.monotonic())
        for a, b, to_b, to_a, keep in calls.values():
            if keep == "rtcp":
                b.send(to_b, receiver_report(b.ssrc, a.ssrc) + sdes(b.ssrc), rtcp=True)
            elif keep == "stun":                          # RFC 6263 §4.5: a binding indication
                b.send(to_b, struct.pack("!HHI", 0x0011, 0, 0x2112a442) + os.urandom(12))
            elif keep == "empty":                         # RFC 6263 §4.1
                b.send(to_b, b"")
    for name, (a, b, *_) in calls.items():
        late = [t for t, _, _ in b.got if t > begin + 13]
        w.check(len(late) >= 20, f"{name}: after 13 s {len(late)} packets in 3 s, right is 30 (all: {len(b.got)} of {a.sent})")
