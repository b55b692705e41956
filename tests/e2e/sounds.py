# SPDX-License-Identifier: Apache-2.0
"""What a phone recorded, judged by sox: which tones are in it, and when. And the numbers of a stream, read by tshark."""

import array
import math
import subprocess

from lab import run

FRAME = 160                       # samples of 20 ms at 8,000 Hz
LEAST = 0.02 * 32768              # a tone is heard above this level (RMS), and above a share of its own highest one
SHARE = 0.4
A_LAW = ("-t", "al", "-r", "8000", "-c", "1")


def levels(path, hertz, kind=()):
    """The level of a tone in a file, each 20 ms: sox takes away whatever lies more than 5 % beside it. `kind`: sox's words for a raw file."""
    band = f"{int(hertz * 0.95)}-{int(hertz * 1.05)}"
    command = ("sox", *kind, path, "-t", "s16", "-r", "8000", "-c", "1", "-", "remix", "1", "sinc", "-a", "50", "-t", "60", band)
    samples = array.array("h", subprocess.run(command, capture_output=True, check=True).stdout)
    return [math.sqrt(sum(x * x for x in samples[at:at + FRAME]) / FRAME) for at in range(0, len(samples) - FRAME + 1, FRAME)]


def loud(level):
    """In which frames a tone is heard."""
    return [each >= max(LEAST, SHARE * max(level)) for each in level]


def bursts(level, longest_gap=0.04):
    """When a tone is heard: (begin, end) in seconds. A gap as long as `longest_gap` counts as none."""
    found = []
    for number, is_heard in enumerate(loud(level)):
        if not is_heard:
            continue
        begin, end = number * 0.02, (number + 1) * 0.02
        if found and begin - found[-1][1] <= longest_gap + 0.001:
            found[-1] = (found[-1][0], end)
        else:
            found.append((begin, end))
    return [(round(begin, 2), round(end, 2)) for begin, end in found]


def heard(path, tones, kind=()):
    """Which of some tones a file has, in order of time: (Hz, begin, end). What lasts less than 0.2 s is left out."""
    found = [(hertz, *burst) for hertz in tones for burst in bursts(levels(path, hertz, kind), 0.1) if burst[1] - burst[0] >= 0.2]
    return sorted(found, key=lambda each: each[1])


def together(path, tones, kind=()):
    """For how many seconds all of some tones are heard at once."""
    return round(0.02 * sum(map(all, zip(*(loud(levels(path, hertz, kind)) for hertz in tones)))), 2)


def cadence(path, hertz, kind=()):
    """How long the bursts of a tone last and the pauses between them, in s: two lists, without what may be cut off at either end."""
    found = bursts(levels(path, hertz, kind))
    return ([round(end - begin, 2) for begin, end in found[1:-1]],
            [round(after[0] - before[1], 2) for before, after in zip(found[1:-1], found[2:-1])])


class Packet:
    def __init__(self, fields):
        self.at, self.ssrc, self.sequence, self.timestamp = float(fields[0]), fields[1], int(fields[2]), int(fields[3])
        self.marker, self.type = fields[4] in ("1", "True"), int(fields[5])


def packets(capture, port):
    """The RTP packets to a port in a capture, read by tshark, in order of arrival."""
    fields = [word for name in ("frame.time_epoch", "rtp.ssrc", "rtp.seq", "rtp.timestamp", "rtp.marker", "rtp.p_type") for word in ("-e", name)]
    lines = run("tshark", "-r", capture.file, "-d", f"udp.port=={port},rtp", "-Y", f"rtp && udp.dstport=={port}", "-T", "fields", *fields).stdout
    return [Packet(line.split("\t")) for line in lines.splitlines()]


def line_faults(stream):
    """What breaks the one line of a stream (RFC 3550 section 5.1): another SSRC, numbers that do not rise by one, time that goes back."""
    faults = []
    for number, (before, after) in enumerate(zip(stream, stream[1:]), 1):
        if after.ssrc != before.ssrc:
            faults.append(f"packet {number} has the SSRC {after.ssrc}")
        if after.sequence - before.sequence & 0xffff != 1:
            faults.append(f"packet {number} comes {after.sequence - before.sequence & 0xffff} numbers later")
        if not 0 < (after.timestamp - before.timestamp & 0xffffffff) < 0x80000000:
            faults.append(f"the timestamp of packet {number} goes back")
    return faults


def times(stream, clock):
    """When each packet belongs by its timestamp, in s behind the first one."""
    return [(packet.timestamp - stream[0].timestamp & 0xffffffff) / clock for packet in stream]


def marker_faults(stream, clock, begins):
    """Where the marker is wrong: it is due where a sound begins (`begins`, in s of what the phone recorded) and behind a gap of the timestamps,
    and nowhere else. A recording is shorter than the time of the stream by its gaps."""
    at = times(stream, clock)
    steps = [after - before for before, after in zip(at, at[1:])]
    usual = sorted(steps)[len(steps) // 2]
    gaps = [number for number, step in enumerate(steps, 1) if step > usual * 1.5]
    markers = [number for number, packet in enumerate(stream) if packet.marker]
    slack = 0.15 + sum(steps[number - 1] - usual for number in gaps)
    near = lambda number, begin: abs(at[number] - begin) <= slack
    return ([f"none at packet {number}, behind a gap" for number in gaps if number not in markers]
            + [f"one at packet {number}, {at[number]:.2f} s" for number in markers if number not in gaps and not any(near(number, begin) for begin in begins)]
            + [f"none where a sound begins at {begin:.2f} s" for begin in begins if not any(near(number, begin) for number in markers)])


def least_delays(stream, clock, begins):
    """How late the most punctual packet of each part came, in s, by its timestamp and the first packet's arrival. A host that is busy makes
    packets late, and never early."""
    late = [packet.at - stream[0].at - at for packet, at in zip(stream, times(stream, clock))]
    ends = [*begins[1:], float("inf")]
    return [min(delay for delay, at in zip(late, times(stream, clock)) if begin + 0.2 <= at < end) for begin, end in zip(begins, ends)]
