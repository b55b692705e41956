# SPDX-License-Identifier: Apache-2.0
"""What signalling said is why somebody does not hear."""

from scenes.theatre import FAULTS, rows, scene


@scene(FAULTS)
def hold(t, name):
    a, b = t.call(name)
    t.stage.at(1.0, lambda: t.reinvite(name, a.sdp(direction="sendonly"), b.sdp(direction="recvonly")))
    return rows(A_from="fine", B_to="fine", B_from="note hold", A_to="note hold")


def speak_their_own(t, name, transcode):
    """A speaks PCMA and B G.723: the script asked to transcode what no build can convert."""
    a, b = t.party("alice"), t.party("bob")
    t.call(name, a, b, offer=a.sdp(types="8"), answer=b.sdp(types="4"), **transcode)
    b.type = 4
    said = "fault not-transcoded"
    return rows(A_from=said, A_to=said, B_from=said, B_to=said)


@scene(FAULTS, ("key", {"codec": {"transcode": ["EVS"]}}), ("flag", {"flags": ["transcode-EVS"]}),
       ("masked", {"codec": {"mask": ["PCMA"], "transcode": ["EVS"]}}))
def not_transcoded(t, name, transcode):
    return speak_their_own(t, name, transcode)
