#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What operators touch, on a running daemon: metrics (judged by promtool), HTTP API and health with token, text commands over TCP,
run-time parameters, log lines, drain, doctor, completion and manual pages, and `top` in a real terminal (tmux).

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import traceback
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from daemon import Daemon
from lab import Lab, Skip, inside, need, wait_for
from parties import Ng, Party, Stage, port_of
from verdict import check, exit_status

HTTP, CLI, NG = 2471, 2472, 2473


def get(path, token=None, port=HTTP, host="127.0.0.1"):
    request = urllib.request.Request(f"http://{host}:{port}{path}", headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def tcp(line, half_close=True):
    with socket.create_connection(("127.0.0.1", CLI), 5) as s:
        s.sendall(line.encode())
        if half_close:
            s.shutdown(socket.SHUT_WR)
        data = b""
        while piece := s.recv(65536):
            data += piece
        return data.decode()


class Relay:
    def __init__(self, build, *options):
        self.ctl_program = os.path.join(build, "rtpferryctl")
        self.daemon = Daemon(os.path.join(build, "rtpferryd"), f"--listen-ng=127.0.0.1:{NG}", f"--listen-http=127.0.0.1:{HTTP}",
                             f"--listen-cli=127.0.0.1:{CLI}", "--log-format=json", *options)
        self.ng, self.stage = Ng(None, port=NG), Stage()
        self.port = 4600

    def ctl(self, *words):
        return subprocess.run([self.ctl_program, f"--socket={self.daemon.control}", *words], capture_output=True, text=True, timeout=20)

    def call(self, name):
        parties = []
        for address, ssrc in (("127.0.0.2", 1), ("127.0.0.3", 2)):
            self.port += 4
            parties.append(Party(None, address, self.port, ssrc))
        a, b = parties
        b.to = ("127.0.0.1", port_of(self.ng.ask("offer", name, from_tag="A", sdp=a.sdp())))
        a.to = ("127.0.0.1", port_of(self.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp())))
        a.on = b.on = True
        self.stage.parties += parties
        return a, b


def metrics(relay):
    relay.call("metric")
    relay.stage.play(0.5)
    status, text = get("/metrics")
    value = lambda name: sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if re.match(rf"{name}[{{ ]", line))
    check(status == 200 and value("rtpferry_sessions") == 1 and value("rtpferry_packets_total") > 20 and value("rtpferry_worker_wakeups_total") > 10,
          "metrics of a running call")
    check(value("rtpferry_request_seconds_count") >= 2 and 'rtpferry_control_exposure{guard="loopback"} 1' in text, "control latency and exposure (CTL-2)")
    if shutil.which("promtool") is None:
        print("skipped: promtool is not installed", flush=True)
        return
    judged = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    check(judged.returncode == 0 and judged.stdout + judged.stderr == "", f"promtool check metrics is clean {judged.stdout}{judged.stderr}")


def pages(relay):
    check(get("/health/live")[0] == 200 and get("/health/ready")[0] == 200, "alive and ready")
    calls = json.loads(get("/api/v1/calls?sort=packets")[1])["calls"]
    check([c["call_id"] for c in calls] == ["metric"], "the API lists the call")
    check(json.loads(get("/api/v1/calls/metric")[1])["legs"][0]["tag"] == "A" and json.loads(get("/api/v1/explain/metric")[1])["severity"] == "fine" and
          "drops" in json.loads(get("/api/v1/stats")[1]), "a call, its explanation, statistics")
    check(get("/api/v1/calls/nobody")[0] == 404 and get("/etc/passwd")[0] == 404 and get("/api/v1/terminate/metric")[0] == 404, "what is not there is not found")
    document = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "openapi.json")))
    # Pages without an end are for e2e/events.py.
    pages_with_end = [path for path, page in document["paths"].items() if "text/event-stream" not in json.dumps(page)]
    number = str(json.loads(get("/api/v1/board")[1])["order"][0])
    missing = [path for path in pages_with_end if get(path.replace("{call_id}", "metric").replace("{id}", number))[0] != 200]
    check(not missing, f"every path of docs/openapi.json is there {missing}")


def text_commands(relay):
    check("Current sessions own: 1" in tcp("list numsessions\n") and "callid: metric" in tcp("list sessions all\r\n", half_close=False),
          "text commands over TCP, with and without a half-closed stream")
    check(json.loads(tcp("list jsonstats"))["currentstatistics"]["sessionsown"] == 1, "list jsonstats without the end of its line")
    check("Refused" in tcp("terminate all\n") and "Unknown" in tcp("nonsense\n"), "CTL-7: not everything may be ended there")


def parameters(relay):
    check(relay.ctl("set", "timeout", "50").returncode == 0 and "50" in relay.ctl("get", "timeout").stdout, "set and get")
    diff = relay.ctl("params", "diff").stdout
    check("timeout" in diff and "was 60" in diff and relay.ctl("set", "timeout", "soon").returncode == 1 and relay.ctl("set", "timeout").returncode == 2,
          "params diff; bad values exit 1, bad usage exits 2")
    check(relay.daemon.logged("set timeout from 60 to 50", 2) != "", "the change is audited with who made it")
    check("flight-recorder" in relay.ctl("params").stdout and "7" in relay.ctl("log", "level", "media", "7").stdout and
          relay.ctl("log", "level", "metric", "7").returncode == 0 and relay.ctl("log", "level", "weather", "7").returncode == 1, "log levels by subsystem and call")
    relay.ctl("set", "timeout", "55")
    levels = json.loads(relay.ctl("--json", "log", "level").stdout)["levels"]
    check(levels["media"] == 7 and levels["calls"] == 6, f"they stay when something else is set {levels}")


def tables(relay):
    for words in (("list",), ("list", "--sort=loss", "--limit=1"), ("show", "metric"), ("explain", "metric", "--packets"), ("stats",), ("interfaces",),
                  ("ports", "--holders"), ("engines",), ("unknown-flags",), ("version",), ("params",), ("get",), ("top", "--once")):
        plain, as_json = relay.ctl(*words), relay.ctl("--json", *words)
        readable = words[0] == "top" or json.loads(as_json.stdout) is not None
        check(plain.returncode == 0 and (plain.stdout != "" or words[0] == "unknown-flags") and "\033" not in plain.stdout and readable,
              f"{' '.join(words)}: as a table without colours, and as JSON")
    head = next(line for line in relay.ctl("top", "--once").stdout.splitlines() if line.startswith("CALL-ID"))
    check(head.index("VERDICT") + 20 <= 80, f"top: 80 columns have the whole verdict, which has up to 20 characters: {head}")
    check(relay.ctl("list", "--sort=beauty").returncode == 1 and relay.ctl("show").returncode == 2 and relay.ctl("list", "--nonsense").returncode == 2 and
          relay.ctl("explain", "nobody").returncode == 1, "exit status: 1 refused, 2 wrong usage")
    doctor = json.loads(relay.ctl("--json", "doctor").stdout)
    check({"control", "descriptors"} <= {c["name"] for c in doctor["checks"]} and all(c["advice"] for c in doctor["checks"] if c["health"] != "ok"),
          "doctor: what is not ok says what to do")
    relay.completion = relay.ctl("completion", "bash").stdout + f"\nrtpferryctl() {{ {relay.ctl_program} --socket={relay.daemon.control} \"$@\"; }}\n"
    script = relay.completion + \
        "COMP_WORDS=(rtpferryctl exp); COMP_CWORD=1; _rtpferryctl; echo \"${COMPREPLY[@]}\"\n" \
        "COMP_WORDS=(rtpferryctl show m); COMP_CWORD=2; _rtpferryctl; echo \"${COMPREPLY[@]}\"\n" \
        "COMP_WORDS=(rtpferryctl list --so); COMP_CWORD=2; _rtpferryctl; echo \"${COMPREPLY[@]}\"\n"
    completed = subprocess.run(["bash", "-c", script], capture_output=True, text=True).stdout.split()
    check(completed == ["explain", "metric", "--sort="], f"completion of commands, calls and options: {completed}")
    if shutil.which("man"):
        pages_of = [subprocess.run(["man", "-l", "-"], input=text, capture_output=True, text=True, env={**os.environ, "MANWIDTH": "100"}).stdout for text in
                    (relay.ctl("manual").stdout, subprocess.run([os.path.join(os.path.dirname(relay.ctl_program), "rtpferryd"), "--config-file=none", "--manual"],
                                                                capture_output=True, text=True).stdout)]
        check("explain CALL-ID" in pages_of[0] and "--flight-recorder" in pages_of[1], "manual pages")


HOSTILE = {  # what a party calls itself, and what people see of it (CTL-14)
    "\x1b[2J\x1b]0;owned\x07": "\\x1b[2J\\x1b]0;owned\\x07",
    "a\u202eb\u009b31m": "a\\xe2\\x80\\xaeb\\xc2\\x9b31m",
    "line\r\nmetric": "line\\x0d\\x0ametric",
    "back\\x41slash": "back\\x5cx41slash",
    "run$(touch ran)`touch ran`;x": "run$(touch ran)`touch ran`;x",
}


def hostile_texts(relay):
    """CTL-14: nothing of a name reaches a terminal as a command, and every command takes the shown name."""
    directory = relay.daemon.directory
    safe = lambda text: all(c in "\n\t" or c.isprintable() for c in text)
    for name, shown in HOSTILE.items():
        sdp = Party(None, "127.0.0.2", 4990, 1).sdp()
        check(relay.ng.ask("offer", name, from_tag="t" + name, label=name, sdp=sdp, **{"x" + name: 1})["result"] == "ok", f"a call named {shown}")
        seen = {}
        for words in (["list"], ["show", shown], ["explain", shown], ["explain", shown, "--packets"], ["top", "--once"], ["ports", "--holders"], ["unknown-flags"], ["stats"],
                      ["where", shown, "from=127.0.0.2:4990", "to=30000"], ["log", "level", shown, "6"], ["record", "start", shown], ["record", "start", "no" + name], ["show", "no" + name],
                      ["trace", shown, "--count=1", "--seconds=1"], ["doctor"], ["list", f"--match={shown}"]):
            for more in ([], ["--json"]):
                done = relay.ctl(*words, *more)
                seen[words[0]] = seen.get(words[0], "") + ("" if more else done.stdout)
                check(safe(done.stdout + done.stderr) and ("no such call" in done.stderr) == ("no" + name in words and not more), f"{words[0]} {' '.join(more)} of {shown}: {done.stderr}")
        check(all(shown in seen[command] for command in ("list", "show", "explain", "ports")), f"it is shown as {shown}")
        check(any(call["call_id"] == name for call in json.loads(relay.ctl("--json", "list").stdout)["calls"]), "machines get its value")
        texts = [tcp(f"{command} {shown}\n") for command in ("call info", "list sessions", "get", "call info none")]
        check(all(map(safe, texts)) and f"callid: {shown}\n" in texts[0] and f"callid: {shown}\n" in tcp("list sessions all\n"), "text commands show it")
        completed = subprocess.run(["bash", "-c", relay.completion + "COMP_WORDS=(rtpferryctl show ''); COMP_CWORD=2; _rtpferryctl; printf '%s\\n' \"${COMPREPLY[@]}\"\n"], capture_output=True,
                                   text=True, cwd=directory)
        check(safe(completed.stdout) and not os.path.exists(os.path.join(directory, "ran")), f"the shell runs nothing of it: {completed.stdout.split()[-1:]}")
        ended = relay.ctl("terminate", shown)
        check(ended.returncode == 0, f"terminate takes {shown}: {ended.stderr}")
    lines = [line for line in relay.daemon.lines if line]
    check(all(line.isascii() and json.loads(line) and safe(line) for line in lines), "each log line is one line of JSON and harmless")
    check(any(json.loads(line).get("call_id") == next(iter(HOSTILE)) for line in lines), "with the value")


def refused_calls(relay):
    """What the relay refused: one warning each, explained by Call-ID, counted by reason; a flood is bounded."""
    counted = lambda reason: sum(float(value) for value in re.findall(rf'rtpferry_refused_requests_total{{reason="{reason}"}} (\S+)', get("/metrics")[1]))
    before = counted("sdp")
    for _ in range(2):
        check(relay.ng.ask("offer", "re\x1bfused", from_tag="A", sdp="s=-")["result"] == "error", "an SDP that nobody can read")
    warned = lambda: [line for line in relay.daemon.text().splitlines() if "refused: Failed to parse SDP" in line]
    wait_for(lambda: len(warned()) >= 2, 3, "the warnings")
    warnings = warned()
    check(len(warnings) == 2 and all(json.loads(line)["level"] == "warning" and json.loads(line)["call_id"] == "re\x1bfused" for line in warnings), f"one warning each {warnings}")
    shown = relay.ctl("explain", "re\\x1bfused")
    check(shown.returncode == 0 and "offer from A was refused 2 times: Failed to parse SDP" in shown.stdout and "what to do: look at the SDP" in shown.stdout and "\x1b" not in shown.stdout,
          f"explain says why {shown.stdout}{shown.stderr}")
    top = relay.ctl("top", "--once").stdout.splitlines()
    check(re.fullmatch(r"refused requests: \d+ sdp \(0:0\d ago\)(, .*)?", top[-1]), f"top has a line of them, the newest first: {top[-1]}")
    told = json.loads(relay.ctl("--json", "explain", "re\\x1bfused").stdout)
    check(told["state"] == "refused" and told["severity"] == "fault" and [(r["reason"], r["count"], r["protocol"]) for r in told["refused"]] == [("sdp", 2, "NG")], f"and as JSON {told}")
    check(json.loads(get("/api/v1/explain/re%1Bfused")[1])["state"] == "refused" and counted("sdp") == before + 2, "over HTTP, and counted")
    for sdp in (Party(None, "127.0.0.2", 4594, 1).sdp(), "s=-"):
        relay.ng.ask("offer", "reinvited", from_tag="A", sdp=sdp)
    told = json.loads(relay.ctl("--json", "explain", "reinvited").stdout)
    check(told["state"] == "running" and [r["reason"] for r in told["refused"]] == ["sdp"], "a running call lists its refused re-INVITE")
    size, flood = len(relay.daemon.text()), 3000
    for i in range(flood):
        relay.ng.ask("offer", f"flood{i}", from_tag="A" * 200, sdp="s=-")
    stats = json.loads(relay.ctl("--json", "stats").stdout)["refused_requests"]
    wait_for(lambda: "commands were refused without a line each (sdp)" in relay.daemon.text(), 5, "the log to tell what it left out")
    grown = len(relay.daemon.text()) - size
    check(counted("sdp") == before + 3 + flood and stats["kept"] <= 512 and stats["bytes"] <= 256 * 1024 and grown < 200_000, f"a flood of {flood}: {grown} octets of log, {stats}")
    check(json.loads(relay.ctl("--json", "explain", f"flood{flood - 1}").stdout)["state"] == "refused" and relay.ctl("explain", "flood0").returncode == 1, "the newest of it stay")


def log_lines(relay):
    relay.ng.ask("delete", "metric", from_tag="A", delete_delay=0)
    line = relay.daemon.logged('"cdr":', 3)
    record = json.loads(line) if line else {}
    check(record.get("call_id") == "metric" and record["cdr"]["ended"] == "regular" and record["cdr"]["verdict"] == "fine" and
          [s["packets_in"] > 0 for s in record["cdr"]["streams"]] == [True, True], "the record of a call, with its id on the line")
    bad = []
    for line in relay.daemon.text().splitlines():
        try:
            json.loads(line)
        except ValueError:
            bad.append(line)
    check(not bad, f"each log line is JSON {bad[:2]}")


def alarm(relay):
    """A running call that becomes bad is told of then, and once more when it recovers."""
    a, b = relay.call("one-way")
    b.on = False
    lines = lambda words: [line for line in relay.daemon.text().splitlines() if words in line and json.loads(line).get("call_id") == "one-way"]
    relay.stage.play(9)
    told = lines("became bad")
    check(len(told) == 1 and json.loads(told[0])["level"] == "warning" and "never-sent" in told[0] and a.address not in told[0] and b.address not in told[0],
          f"one warning when a call has been one-way for 5 s, without an address (CTL-11) {told}")
    calls = json.loads(relay.ctl("--json", "list", "--sort=severity").stdout)["calls"]
    check(calls[0]["call_id"] == "one-way" and (calls[0]["severity"], calls[0]["verdict"], calls[0]["hears"], calls[0]["bad"]) == ("fault", "never-sent", "nothing", True),
          f"list has the worst first {calls[0]}")
    text = get("/metrics")[1]
    check('rtpferry_calls_bad{hears="nothing"} 1' in text and 'rtpferry_calls_became_bad_total{cause="never-sent"} 1' in text, "and it is counted")
    b.on = True
    relay.stage.play(10)
    told = lines("recovered")
    check(len(told) == 1 and json.loads(told[0])["level"] == "info" and len(lines("became bad")) == 1, f"one line when it recovers {told}")
    text = get("/metrics")[1]
    check('rtpferry_calls_bad{hears="nothing"} 0' in text and 'rtpferry_calls_recovered_total{cause="never-sent"} 1' in text, "and that is counted")
    a.on = b.on = False
    relay.ng.ask("delete", "one-way", from_tag="A", delete_delay=0)


def terminal(relay):
    if shutil.which("tmux") is None:
        print("skipped: tmux is not installed", flush=True)
        return
    name = f"ferry{os.getpid()}"
    a, _ = relay.call("screen-lossy")
    relay.call("screen-fine")
    whole = a.packet

    def with_holes():
        a.sequence += 1 if a.tick_number % 5 == 0 else 0
        return whole()
    a.packet = with_holes
    tmux = lambda *words: subprocess.run(["tmux", "-L", name, *words], capture_output=True, text=True).stdout
    shown = lambda: tmux("capture-pane", "-p", "-t", name)
    tmux("new-session", "-d", "-s", name, "-x", "150", "-y", "24", f"{relay.ctl_program} --socket={relay.daemon.control} top --interval=0.3")
    try:
        relay.stage.play(2.5)
        screen = shown()
        rows = [line for line in screen.splitlines() if line.startswith("screen-")]
        check(len(rows) == 2 and rows[0].startswith("screen-lossy") and rows[1].startswith("screen-fine"), "top: worst first\n" + screen.rstrip())
        rate = float(rows[1].split()[2]) if len(rows) == 2 else 0
        check(80 <= rate <= 120, f"top: {rate:.0f} packets a second of a call with two streams of 50")
        tmux("send-keys", "-t", name, "a")
        relay.stage.play(0.8)
        check("sorted by age" in shown(), "top: a key changes the order")
        tmux("send-keys", "-t", name, "l")
        tmux("send-keys", "-t", name, "Enter")
        relay.stage.play(0.8)
        screen = shown()
        check("screen-lossy" in screen and "is missing" in screen and "from A" in screen, "top: Enter looks into the call\n" + screen.rstrip())
        tmux("send-keys", "-t", name, "Escape")
        relay.stage.play(0.8)
        check("CALL-ID" in shown(), "top: Esc goes back")
        tmux("send-keys", "-t", name, "q")
        wait_for(lambda: name not in tmux("list-sessions"), 3, "top to leave")
        check(True, "top: q leaves")
    finally:
        subprocess.run(["tmux", "-L", name, "kill-server"], capture_output=True)


def drain(relay):
    check(relay.ctl("ready").stdout == "ready\n" and relay.ctl("drain").returncode == 0 and
          get("/health/ready")[0] == 503 and relay.ctl("ready").returncode == 1, "draining: not ready any more")
    party = Party(None, "127.0.0.2", 4596, 9)
    check(relay.ng.ask("offer", "late", from_tag="A", sdp=party.sdp())["result"] == "error", "no new calls")
    check(relay.ctl("drain", "off").returncode == 0 and get("/health/ready")[0] == 200 and
          relay.ng.ask("offer", "late", from_tag="A", sdp=party.sdp())["result"] == "ok", "and back")
    relay.ctl("drain")
    for name in ("late", "reinvited", "screen-lossy", "screen-fine"):
        relay.ng.ask("delete", name, from_tag="A", delete_delay=0)
    check(relay.daemon.process.wait(5) == 0, "it ends after its last call")


def secrets(build):
    relay = Relay(build, "--http-token=secret")
    try:
        check(get("/metrics")[0] == 401 and get("/metrics", "wrong")[0] == 401 and get("/metrics", "secret")[0] == 200 and get("/api/v1/calls")[0] == 401,
              "CTL-8: with a token nothing without it")
        told = [c for c in json.loads(relay.ctl("--json", "doctor").stdout)["checks"] if c["name"] == "control from 127.0.0.1"]
        check(len(told) == 1 and f"3 refused by HTTP on 127.0.0.1:{HTTP}" in told[0]["finding"] and "http-token" in told[0]["finding"] and
              relay.daemon.logged("does not send the token of http-token", 2) != "", f"and doctor and the log name the client {told}")
    finally:
        relay.daemon.stop()


def from_other_hosts(build):
    try:
        need("ip")
        with Lab() as lab:
            import lab as network
            lab.start("core", os.path.join(build, "rtpferryd"), "--config-file=none", f"--interface={network.RELAY4}", f"--listen-http={network.RELAY4}:2475",
                      "--listen-ng=127.0.0.1:2223", f"--listen-cli={network.RELAY4}:2476", f"--control-allow={network.ALICE}/32", "--control-socket=none", "--num-threads=1", log="relay.log")
            wait_for(lambda: "is ready" in lab.log("relay.log"), 5, "the relay")
            script = ("import urllib.request,urllib.error,socket\n"
                      "for path in ('ping','metrics','api/v1/calls'):\n"
                      "  try: print(urllib.request.urlopen('http://%s:2475/'+path,timeout=3).status)\n"
                      "  except urllib.error.HTTPError as e: print(e.code)\n"
                      "  except OSError: print('closed')\n"
                      "s=socket.create_connection(('%s',2476),3)\n"
                      "try: s.sendall(b'list numsessions\\n'); print(len(s.recv(999)))\n"
                      "except OSError as e: print(type(e).__name__)\n") % (network.RELAY4, network.RELAY4)
            said = {who: subprocess.run(inside(who, sys.executable, "-c", script), capture_output=True, text=True).stdout.split() for who in ("alice", "bob")}
            check(said["alice"][:3] == ["200", "404", "404"] and int(said["alice"][3]) > 50, f"from an allowed host: the protocol, and no page about calls without a secret {said['alice']}")
            refused = lab.log("relay.log")
            check(f"{network.BOB} is not allowed to send control commands to HTTP on {network.RELAY4}:2475" in refused and refused.count(f"to HTTP on {network.RELAY4}:2475") == 1 and
                  f"{network.BOB} is not allowed to send control commands to text commands on {network.RELAY4}:2476" in refused, "a warning for each listener that refused him")
            check(said["bob"][:3] == ["closed"] * 3 and said["bob"][3] in ("0", "ConnectionResetError", "BrokenPipeError"), f"CTL-12: from others nothing {said['bob']}")
    except Skip as reason:
        print(f"skipped what needs a network: {reason}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    build = os.path.abspath(parser.parse_args().build)
    relay = None
    try:
        relay = Relay(build)
        for part in (metrics, pages, text_commands, parameters, tables, log_lines, refused_calls, alarm, hostile_texts, terminal, drain):
            part(relay)
        secrets(build)
        from_other_hosts(build)
    except Exception:
        traceback.print_exc()
        return 1
    finally:
        if relay is not None and relay.daemon.process.poll() is None:
            relay.daemon.stop()
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
