"""What signalling said is why somebody does not hear."""

from scenes.theatre import FAULTS, rows, scene


@scene(FAULTS)
def hold(t, name):
    a, b = t.call(name)
    t.stage.at(1.0, lambda: t.reinvite(name, a.sdp(direction="sendonly"), b.sdp(direction="recvonly")))
    return rows(A_from="fine", B_to="fine", B_from="note hold", A_to="note hold")


def speak_their_own(t, name, transcode):
    """A speaks PCMA and B PCMU: the script asked for what this relay does not do."""
    a, b = t.party("alice"), t.party("bob")
    t.call(name, a, b, offer=a.sdp(types="8"), answer=b.sdp(types="0"), **transcode)
    b.type = 0
    said = "fault not-transcoded"
    return rows(A_from=said, A_to=said, B_from=said, B_to=said)


@scene(FAULTS, ("key", {"codec": {"transcode": ["PCMU"]}}), ("flag", {"flags": ["transcode-PCMU"]}),
       ("masked", {"codec": {"mask": ["PCMA"], "transcode": ["PCMU"]}}))
def not_transcoded(t, name, transcode):
    return speak_their_own(t, name, transcode)
