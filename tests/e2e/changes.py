#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls through Kamailio whose media changes on the way: from speech to fax and back, from a sound that is played to the other party and
back, and from one voice to several. All rows are played side by side.

Pages are compared bit by bit; what a phone recorded is judged by sox, and its stream by tshark. The parties are sipp (with spandsp's fax
machines, or a tone) and baresip.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import fax_machines  # noqa: E402
from lab import ALICE, BOB, RELAY4, Capture, Lab, Relay, Skip, heard_frequency, keep_pace, need, ns, run, tone_file, tone_pcap, wait_for  # noqa: E402
from parties import Ng  # noqa: E402
from secure import Phone, near  # noqa: E402
from sipp_parties import FAX, SOUND, Sipp, callee, caller, relay_port  # noqa: E402
from sounds import A_LAW, bursts, cadence, heard, least_delays, levels, line_faults, marker_faults, packets, together  # noqa: E402
from verdict import FAILED, check, exit_status  # noqa: E402

CALLER_HZ, CALLEE_HZ, SOUND_HZ = 600, 1000, 425
# 20 ms each of a recording that are not judged for gaps: all programs start then, and a busy host lets them wait.
STARTING = 50
# baresip's word for a codec, the module that has it, and its RTP clock.
CODECS = {"PCMA": ("PCMA", "g711", 8000), "G722": ("G722/8000", "g722", 8000), "opus": ("opus/48000/2", "opus", 48000)}


class Voice:
    """A tone to speak on a fax line, made by sox."""

    def __init__(self, lab, name, hertz):
        self.audio, self.at = tone_file(lab.path(name + ".al"), hertz, 10), 0

    def speak(self):
        self.at += fax_machines.SAMPLES
        return self.audio[self.at - fax_machines.SAMPLES:self.at]


# --- Fax

class FaxCall:
    """A call of two fax machines. `asks`, `t38`: who sends the re-INVITE, and who speaks T.38 afterwards ("caller" or "callee"). The caller sends
    the page."""

    def __init__(self, lab, relay, name, number, asks, t38, refused=False):
        self.lab, self.relay, self.name, self.asks, self.t38, self.refused = lab, relay, name, asks, t38, refused
        self.page = fax_machines.page(number)
        self.ports = {"caller": 20000 + 10 * number, "callee": 20000 + 10 * number}
        who = f"fax{number}"
        self.lines = {"caller": fax_machines.Line(ns("alice"), ALICE, self.ports["caller"], 0xA0 + number),
                      "callee": fax_machines.Line(ns("bob"), BOB, self.ports["callee"], 0xB0 + number)}
        self.call_id = f"{who}@lab"
        texts = {side: self.steps(side) for side in self.lines}
        port = 5200 + number
        self.sipps = {"callee": Sipp(lab, who + "-callee", BOB, port, callee(SOUND.format(port=self.ports["callee"]), texts["callee"]), call_id=self.call_id,
                                     media=21000 + 10 * number)}
        self.sipps["caller"] = Sipp(lab, who + "-caller", ALICE, port, caller(f"plain-{port}", SOUND.format(port=self.ports["caller"]), texts["caller"]),
                                    call_id=self.call_id, media=21000 + 10 * number, calls=True)

    def other(self, side):
        return "callee" if side == "caller" else "caller"

    def steps(self, side):
        """What `side` does behind the ACK: a re-INVITE for the fax, one for speech, and the end."""
        speech = SOUND.format(port=self.ports[side])
        body = FAX.format(port=self.ports[side]) if side == self.t38 else speech
        forced = self.asks != self.t38
        if side == self.asks and self.refused:
            return lambda d: (d.waits(), d.offers_in_vain(body, ["X-T38: force"]), d.waits(), d.ends())
        if side == self.asks:
            words = (["X-T38: force"], ["X-T38: stop"]) if forced else (["X-T38: decode"], [])
            return lambda d: (d.waits(), d.offers(body, words[0]), d.waits(), d.offers(speech, words[1]), d.waits(), d.ends())
        if self.refused:
            return lambda d: (d.refuses(), d.is_ended())
        return lambda d: (d.answers(body), d.answers(speech), d.is_ended())

    def talk(self, until, seconds):
        return fax_machines.talk(list(self.lines.values()), until, seconds)

    def goes_to(self, number):
        """Both lines send where the SDP with this number says. Returns the m-lines that the sides were shown."""
        shown = {}
        for side, sipp in self.sipps.items():
            shown[side] = sipp.shown(number)
            self.lines[side].to = relay_port(shown[side])
        return shown

    def play(self):
        paths = [self.lab.path(f"{self.call_id}-{what}.tif") for what in ("sent", "received")]
        fax_machines.write_page(paths[0], self.page)
        machine = lambda kind, side: kind(side == "caller", *((paths[0], None) if side == "caller" else (None, paths[1])))
        ear = fax_machines.Ear(answers=self.asks == "caller")
        self.goes_to(0)
        modems = {side: machine(fax_machines.Modem, side) for side in self.lines}
        for side, line in self.lines.items():
            line.speaks, line.hears = modems[side], [modems[side]] if side != self.t38 else []
        self.lines[self.asks].hears = [*self.lines[self.asks].hears, ear]
        check(self.talk(lambda: ear.heard, 8), f"{self.name}: the {self.asks} hears {ear.heard}")
        self.sipps[self.asks].order()
        if self.refused:
            self.talk(lambda: len(self.sipps[self.asks].lines("waits")) == 2, 8)
        else:
            self.talk(lambda: all(len(sipp.lines("media")) == 2 for sipp in self.sipps.values()), 8)
            self.send_page(machine, modems, paths)
        self.speak_again()
        self.sipps[self.asks].order()
        ended = [self.sipps[side].ended() for side in ("caller", "callee")]
        check(ended == [0, 0], f"{self.name}: sipp ended with {ended}")

    def send_page(self, machine, modems, paths):
        shown = self.goes_to(1)
        sound = self.other(self.t38)
        check(shown[sound].startswith("m=audio ") and " RTP/AVP 8" in shown[sound] and shown[self.t38].startswith("m=image ")
              and shown[self.t38].endswith(" udptl t38"), f"{self.name}: the side with T.38 is shown {shown[self.t38]!r}, the other one {shown[sound]!r}")
        t38 = machine(fax_machines.T38, self.t38)
        self.lines[self.t38].t38 = t38
        began = time.monotonic()
        done = self.talk(lambda: t38.is_done and modems[sound].is_done, 60)
        seconds = time.monotonic() - began
        results = t38.result, modems[sound].result
        figures = t38.statistics()
        whole = fax_machines.read_pages(paths[1]) == [self.page]
        check(done and results == (0, 0) and whole and figures.ecm == 1,
              f"{self.name}: a page in {seconds:.0f} s at {figures.bit_rate} bit/s, {'' if whole else 'not '}the one that was sent; the machines end with {results}")
        told = lambda: [flow["fax"] for flow in self.relay.ctl("show", self.call_id).get("changed", []) if "fax" in flow]
        check(self.talk(lambda: len(told()) == 2 and all(fax["pages"] == 1 for fax in told()), 4), f"{self.name}: the relay tells {told()}")
        self.lines[self.t38].t38 = None
        for line in self.lines.values():
            line.speaks, line.hears = None, []
        self.sipps[self.asks].order()
        self.talk(lambda: all(len(sipp.lines("media")) == 3 for sipp in self.sipps.values()), 8)
        shown = self.goes_to(2)
        check(all(line.startswith("m=audio ") for line in shown.values()), f"{self.name}: back to speech, {shown}")

    def speak_again(self):
        hertz = {"caller": CALLER_HZ, "callee": CALLEE_HZ}
        recorders = {side: fax_machines.Recorder() for side in self.lines}
        for side, line in self.lines.items():
            line.speaks, line.hears = Voice(self.lab, f"{self.call_id}-{side}", hertz[side]), [recorders[side]]
        self.talk(lambda: all(len(recorder.audio) >= 9600 for recorder in recorders.values()), 5)
        # What was on its way before counts for the former sound.
        found = {side: heard_frequency(self.lab, recorder.audio[1600:], f"{self.call_id}-{side}") for side, recorder in recorders.items()}
        check(near(found["caller"], CALLEE_HZ) and near(found["callee"], CALLER_HZ), f"{self.name}: then they hear each other, in Hz {found}")
        breaks = self.lines[self.other(self.t38)].breaks
        check(breaks == 0, f"{self.name}: the side without T.38 heard one stream all the time, with {breaks} breaks")


# --- Sounds that are played

class TonePhones:
    """A baresip in alice calls a sipp in bob. `kind`: what the proxy does with the call; `steps`: what the sipp does in it. Each has a tone."""

    def __init__(self, lab, number, kind, steps, codec="PCMA", caller_hz=CALLER_HZ, callee_hz=CALLEE_HZ, seconds=20):
        self.lab, self.name, self.clock = lab, f"tone{number}", CODECS[codec][2]
        port, media = 5100 + 2 * number, 22000 + 10 * number   # baresip listens at the next port, too
        self.media = 24000 + 10 * number
        self.at_callee = Capture(lab, "bob", self.name + "-at-callee", f"src host {RELAY4} and dst port {media}")
        self.at_caller = Capture(lab, "alice", self.name + "-at-caller", f"src host {RELAY4} and dst port {self.media}")
        tone = tone_pcap(lab, self.name, callee_hz, seconds, 0xB000 + number) if callee_hz else None
        self.sipp = Sipp(lab, self.name + "-callee", BOB, port, callee(SOUND.format(port="[media_port]"), steps, tone), media=media)
        self.phone = Phone(lab, self.name, ALICE, "", caller_hz, "-e", f"/dial sip:{kind}-{port}@{RELAY4}", codecs=CODECS[codec][0], modules=(CODECS[codec][1],),
                           port=port, ports=(self.media, self.media + 2))

    def call_id(self):
        return wait_for(lambda: self.sipp.lines("call"), 10, f"the call of {self.name}")[0].split(" ", 1)[1]

    def finish(self, what):
        """Until the callee has hung up. Afterwards the recordings can be judged."""
        status = self.sipp.process.wait(60)
        self.phone.hangs_up()
        for capture in (self.at_caller, self.at_callee):
            capture.stop()
        keep_pace(0)  # what follows is judging
        check(status == 0, f"{what}: the callee's sipp ended with {status}")

    def caller_recorded(self):
        """The WAV file of what the phone decoded."""
        files = [os.path.join(self.phone.heard, name) for name in os.listdir(self.phone.heard) if name.endswith("dec.wav")]
        if not files:
            raise RuntimeError(f"{self.name} has recorded nothing")
        return max(files, key=os.path.getsize)

    def callee_recorded(self):
        """A file of A-law: the longest stream that came."""
        path = self.lab.path(self.name + "-heard.al")
        with open(path, "wb") as f:
            f.write(max(self.at_callee.streams().values(), key=len, default=b""))
        return path


def about(found, wanted, tolerance):
    return len(found) > 0 and all(abs(each - wanted) <= tolerance for each in found)


def play_to_all_and_one(lab, number):
    """An INFO plays a cadence to both, another one ends it, a third one plays another cadence to the caller alone."""
    what = "play_media to all and to one"
    call = TonePhones(lab, number, "played", lambda d: (
        d.waits(1500), d.informs("X-Play: all tone=400/300,0/200"), d.waits(3000), d.informs("X-Stop: all"), d.waits(1000),
        d.informs("X-Play: tone=1400/500,0/250", "X-To: peer"), d.waits(3000), d.informs("X-Stop: x", "X-To: peer"), d.waits(1000), d.ends()), codec="G722")
    call.finish(what)
    at_caller, at_callee = call.caller_recorded(), call.callee_recorded()
    for who, path, kind in (("caller", at_caller, ()), ("callee", at_callee, A_LAW)):
        on, off = cadence(path, 400, kind)
        check(len(on) >= 3 and about(on, 0.3, 0.05) and about(off, 0.2, 0.05), f"{what}: the {who} hears 400 Hz for {on} s, with pauses of {off} s")
    on, off = cadence(at_caller, 1400)
    check(len(on) >= 2 and about(on, 0.5, 0.05) and about(off, 0.25, 0.05), f"{what}: the caller hears 1400 Hz for {on} s, with pauses of {off} s")
    check(bursts(levels(at_callee, 1400, A_LAW)) == [], f"{what}: the callee hears nothing of it")
    talks = bursts(levels(at_callee, CALLER_HZ, A_LAW)[STARTING:])
    sound = bursts(levels(at_callee, 400, A_LAW)[STARTING:], 0.3)
    check(len(talks) == 2 and len(sound) == 1 and talks[1][1] - talks[1][0] >= 4 and talks[0][1] <= sound[0][0] + 0.05 and sound[0][1] <= talks[1][0] + 0.05,
          f"{what}: the callee hears the caller, from and to {talks}, and the sound in between {sound}")
    order = [hertz for hertz, _, _ in heard(at_caller, (CALLEE_HZ, 400, 1400))]
    shortened = [hertz for n, hertz in enumerate(order) if n == 0 or hertz != order[n - 1]]
    check(shortened == [CALLEE_HZ, 400, CALLEE_HZ, 1400, CALLEE_HZ], f"{what}: the caller hears in turn {shortened}")


def greeting_call_greeting(lab, number, codec, talk_ms=2000):
    """Greeting, the callee's tone, a file, the callee's tone: one stream at the caller, without a step of its numbers."""
    what = f"greeting, talk, sound, talk ({codec})"
    prompt = lab.path("sounds/prompt.wav")
    call = TonePhones(lab, number, "greeted", lambda d: (d.waits(2000 + talk_ms), d.informs(f"X-Play: file={prompt}", "X-To: peer"), d.waits(4000), d.ends()),
                      codec=codec)
    call.finish(what)
    order = heard(call.caller_recorded(), (SOUND_HZ, CALLEE_HZ))
    lasts = [round(end - begin, 2) for _, begin, end in order]
    check([hertz for hertz, _, _ in order] == [SOUND_HZ, CALLEE_HZ, SOUND_HZ, CALLEE_HZ] and abs(lasts[2] - 2) <= 0.1 and abs(lasts[0] - 2) <= 0.2,
          f"{what}: the caller hears, in Hz and s, {[(hertz, length) for (hertz, _, _), length in zip(order, lasts)]}")
    silence = max((after[1] - before[2] for before, after in zip(order, order[1:])), default=9)
    check(silence <= 0.1, f"{what}: at most {silence:.2f} s of silence between them")
    stream = packets(call.at_caller, call.media)
    faults = line_faults(stream)
    check(len(stream) >= 300 and not faults, f"{what}: {len(stream)} packets under one SSRC, numbers and timestamps without a step {faults[:3]}")
    begins = [begin for _, begin, _ in order]
    faults = marker_faults(stream, call.clock, begins)
    check(not faults, f"{what}: a marker where each of the four begins {faults[:5]}")
    late = least_delays(stream, call.clock, begins)
    check(max(late) - min(late) <= 0.04, f"{what}: the timestamps of all parts follow the clock, within {max(late) - min(late):.3f} s")


def sound_into_talk(lab, number):
    """With `audio-player=always` a sound is heard beside the other party."""
    what = "play_media into a mixed call"
    call = TonePhones(lab, number, "mixed", lambda d: (d.waits(1500), d.informs(f"X-Play: file={lab.path('sounds/prompt.wav')}", "X-To: peer"), d.waits(3500), d.ends()),
                      codec="G722")
    call.finish(what)
    path = call.caller_recorded()
    both = together(path, (SOUND_HZ, CALLEE_HZ))
    alone = bursts(levels(path, CALLEE_HZ)[STARTING:], 0.1)
    check(1.8 <= both <= 2.2, f"{what}: the caller hears the sound and the callee together for {both} s")
    check(len(alone) == 1 and alone[0][1] - alone[0][0] >= 3, f"{what}: the caller hears the callee all the time, from and to {alone}")
    check(bursts(levels(call.callee_recorded(), SOUND_HZ, A_LAW)) == [], f"{what}: the callee hears nothing of it")


def conference(lab, relay, number):
    """Two callers and the first line of a callee, whose calls `mesh` joins: each hears both others, and nobody hears himself."""
    what = "conference of three"
    tones = {"first": CALLER_HZ, "second": 1700, "callee": CALLEE_HZ}
    first = TonePhones(lab, number, "met", lambda d: (d.waits(7000), d.ends()), codec="G722")
    second = TonePhones(lab, number + 1, "met", lambda d: (d.waits(6500), d.ends()), codec="opus", caller_hz=tones["second"], callee_hz=None)
    ids = [first.call_id(), second.call_id()]
    legs = lambda call: relay.ctl("show", call)["legs"]
    wait_for(lambda: all(legs(call)[0]["medias"][0]["received"] for call in ids), 5, "the voices of both callers")
    one, other = legs(ids[0]), legs(ids[1])
    tags = [one[0]["tag"], other[0]["tag"], one[1]["tag"]]
    reply = Ng(ns("core")).ask("mesh", ids[0], calls=ids, tags=[{"from": tag, "to": [each for each in tags if each != tag]} for tag in tags])
    check(reply["result"] == "ok", f"{what}: mesh is answered with {reply}")
    second.finish(what)
    first.finish(what)
    for who, path, kind in (("first", first.caller_recorded(), ()), ("second", second.caller_recorded(), ()), ("callee", first.callee_recorded(), A_LAW)):
        others = tuple(hertz for name, hertz in tones.items() if name != who)
        both = together(path, others, kind)
        own = heard(path, (tones[who],), kind)
        check(both >= 3 and own == [], f"{what}: the {who} hears {others[0]} and {others[1]} Hz together for {both} s, and himself {own or 'never'}")


def in_kernel(lab, relay, number):
    """The same with a talk that is long enough for the kernel to forward it, by the numbers behind the greeting."""
    greeting_call_greeting(lab, number, "PCMA", talk_ms=5000)
    # The caller's own stream is 550 packets, all but the first ones by the kernel. Of the talk it gets what follows the first 100 packets.
    kernel = relay.ctl("engines")["packets_kernel"]
    check(kernel >= 620, f"greeting, talk, sound, talk (PCMA): {kernel} packets by the kernel")


def rows(lab, relay, has_kernel):
    fax = lambda name, number, *words: lambda: FaxCall(lab, relay, name, number, *words).play()
    if has_kernel:
        return {"switch-kernel": lambda: in_kernel(lab, relay, 2)}
    return {
        "fax-callee": fax("fax, the callee goes over to T.38", 1, "callee", "callee"),
        "fax-caller": fax("fax, the caller goes over to T.38", 2, "caller", "caller"),
        "fax-forced-callee": fax("fax, the callee is made to speak T.38", 3, "caller", "callee"),
        "fax-forced-caller": fax("fax, the caller is made to speak T.38", 4, "callee", "caller"),
        "fax-refused": fax("T.38 is refused", 5, "caller", "callee", True),
        "play": lambda: play_to_all_and_one(lab, 1),
        "switch-passing": lambda: greeting_call_greeting(lab, 2, "PCMA"),
        "switch-converted": lambda: greeting_call_greeting(lab, 3, "opus"),
        "mixed": lambda: sound_into_talk(lab, 4),
        "conference": lambda: conference(lab, relay, 5),
    }


def side_by_side(lab, everything, chosen):
    """Plays rows, each in a process of its own, so that the judging of one takes no time from the talk of another. Returns what failed in each."""
    def play(name):
        running = len(lab.processes)
        try:
            everything[name]()
        except (RuntimeError, OSError, LookupError, ValueError, subprocess.SubprocessError) as problem:
            check(False, f"{name}: {problem!r}")
        for process in lab.processes[running:]:
            if process.poll() is None:
                process.kill()
        return FAILED

    global PLAY  # the children have it by fork
    PLAY = play
    with concurrent.futures.ProcessPoolExecutor(len(chosen), multiprocessing.get_context("fork")) as pool:
        return list(pool.map(play_row, chosen))


def play_row(name):
    return PLAY(name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="folder with rtpferryd and rtpferryctl")
    parser.add_argument("--row", action="append", help="only this row")
    parser.add_argument("--offload", help="forward in the kernel: tc, xdp, xdp-generic; the one row that is about that")
    arguments = parser.parse_args()

    try:
        need("kamailio", "baresip", "sipp", "sox", "tcpdump", "tshark", "ip", "pgrep", "ss")
        fax_machines.Spandsp.get()
        with Lab() as lab:
            os.makedirs(lab.path("sounds"))
            run("sox", "-n", "-r", "8000", "-c", "1", "-b", "16", lab.path("sounds/prompt.wav"), "synth", "2", "sine", str(SOUND_HZ), "gain", "-6")
            offload = [f"--offload={device}={arguments.offload}" for device in ("c-alice", "c-bob") if arguments.offload]
            keep_pace(2)
            relay = Relay(lab, os.path.abspath(arguments.build), "--delete-delay=0", "--num-threads=1", f"--media-files={lab.path('sounds')}", *offload)
            keep_pace(1)
            if arguments.offload and not relay.ctl("engines")["offload"]:
                raise Skip("no rights to load BPF programs: " + lab.log("relay.log"))
            lab.start_kamailio("kamailio-changes.cfg")
            everything = rows(lab, relay, bool(arguments.offload))
            for failed in side_by_side(lab, everything, arguments.row or everything):
                FAILED.extend(failed)
            wait_for(lambda: not relay.ctl("list")["calls"], 8, "the end of the calls")
            check(relay.used_pairs() == 0, "no port is left in use")
            if FAILED:
                lab.print_logs(1500)
    except Skip as why:
        print(f"SKIP: {why}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
