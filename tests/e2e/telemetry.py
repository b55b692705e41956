#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the relay sends to Graphite, InfluxDB and Homer: servers that are there, die and come back; HEP over UDP, TCP and TLS, judged by
Homer's own library (hep-js from npm).

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import http.server
import json
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from daemon import Daemon
from lab import Skip, temporary
from parties import Ng, Party, Stage, port_of
from verdict import check, exit_status

NG, HTTP, GRAPHITE, INFLUX, HOMER = 2491, 2492, 2493, 2494, 2495
KEY = "inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


def until(condition, seconds):
    """Waits for something that other threads bring about."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return bool(condition())


class Collector:
    """A server of streams: everything that came, by connection. `stop` takes it away as if it had crashed."""

    def __init__(self, port, context=None):
        self.port, self.context, self.received, self.open = port, context, [], []
        self.start()

    def start(self):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(("127.0.0.1", self.port))
        self.socket.listen()
        threading.Thread(target=self.serve, args=(self.socket,), daemon=True).start()

    def serve(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
                if self.context:
                    connection = self.context.wrap_socket(connection, server_side=True)
            except ssl.SSLError:
                continue
            except OSError:
                return
            self.open.append(connection)
            self.received.append(bytearray())
            threading.Thread(target=self.read, args=(connection, self.received[-1]), daemon=True).start()

    def read(self, connection, into):
        try:
            while piece := connection.recv(65536):
                into += piece
        except OSError:
            pass

    def text(self):
        return b"".join(bytes(each) for each in self.received).decode()

    def stop(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()
        self.open.clear()


class Influx(http.server.BaseHTTPRequestHandler):
    posts = []
    answer = 204

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        Influx.posts.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(Influx.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def figures(name):
    with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/metrics", timeout=5) as reply:
        text = reply.read().decode()
    return {labels: float(value) for labels, value in re.findall(rf"^{name}{{(.*)}} (\S+)$", text, re.M)}


def start(build, *options):
    return Daemon(os.path.join(build, "rtpferryd"), f"--listen-ng=127.0.0.1:{NG}", f"--listen-http=127.0.0.1:{HTTP}", *options)


def call(ng, stage, name, port, extra=""):
    a, b = Party(None, "127.0.0.2", port, 1001), Party(None, "127.0.0.3", port + 4, 2002)
    b.to = ("127.0.0.1", port_of(ng.ask("offer", name, from_tag="A", sdp=a.sdp(extra=extra))))
    a.to = ("127.0.0.1", port_of(ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp())))
    a.on = b.on = True
    b.rtcp, b.about, b.missing = True, a, 250
    b.hear_rtcp()
    stage.parties += [a, b]
    return a, b


def lines_of(text):
    """name -> [(time, value)] of Graphite lines. A broken line fails."""
    found = {}
    for line in text.splitlines():
        name, value, when = line.split(" ")
        found.setdefault(name, []).append((int(when), float(value)))
    return found


def graphite(build):
    collector = Collector(GRAPHITE)
    daemon = start(build, f"--graphite=localhost:{GRAPHITE}", "--graphite-interval=1", "--graphite-prefix=relay1.")
    ng, stage = Ng(None, port=NG), Stage()
    try:
        call(ng, stage, "g", 4800)
        stage.play(3)
        check(until(lambda: lines_of(collector.text()).get("relay1.current_sessions_own", [(0, 0)])[-1][1] == 1, 5), "Graphite gets lines, one for the call")
        found = lines_of(collector.text())
        check(any(value > 40 for _, value in found["relay1.relayed_packets"]) and any(value == 1 for _, value in found["relay1.offers_ps_max"]),
              "packets of each interval, and commands a second")
        collector.stop()
        gone = int(time.time())
        check(daemon.logged("takes no reports", 8) != "", "the log says that the server is away")
        began = time.monotonic()
        answered = ng.ask("ping", "g")["result"]
        check(answered == "pong" and time.monotonic() - began < 1, "the relay answers as before")
        check(until(lambda: figures("rtpferry_telemetry_up").get('server="graphite"') == 0, 5) and figures("rtpferry_telemetry_waiting_bytes")['server="graphite"'] > 0,
              "metrics say that it is away and that lines wait")
        stage.play(2)
        back = int(time.time())
        collector.start()
        check(daemon.logged("takes reports again", 20) != "", "the log says that it is back")
        missed = lambda: [when for when, _ in lines_of(collector.text())["relay1.current_sessions_own"] if gone < when < back]
        check(until(lambda: len(missed()) >= back - gone - 2, 5), f"it gets the lines of the time in which it was away {missed()}")
        check(until(lambda: figures("rtpferry_telemetry_up").get('server="graphite"') == 1, 5) and sum(figures("rtpferry_telemetry_dropped_total").values()) == 0,
              "nothing was dropped")
    finally:
        stage.clear()
        collector.stop()
        code, seconds = daemon.stop()
        check(code == 0 and seconds < 5, "the relay ends at once")


def influx(build):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", INFLUX), Influx)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    daemon = start(build, f"--influxdb-url=http://127.0.0.1:{INFLUX}/api/v2/write?org=o&bucket=b", "--influxdb-token=hush", "--influxdb-interval=1",
                   "--metrics-names=both")
    ng, stage = Ng(None, port=NG), Stage()
    try:
        call(ng, stage, "i", 4820)
        stage.play(2)
        check(until(lambda: len(Influx.posts) >= 2, 5), "InfluxDB gets figures")
        path, token, body = Influx.posts[-1]
        check(path == "/api/v2/write?org=o&bucket=b" and token == "Token hush", "by the URL and with the token")
        shape = re.compile(r"[a-zA-Z_:]\w*(,\w+=(\\.|[^ ,=\\])+)* (\w|\.|\+)+=[0-9.e+-]+i?(,[\w.+-]+=[0-9.e+-]+i?)* \d{19}")
        wrong = [line for line in body.splitlines() if not shape.fullmatch(line)]
        check(len(body.splitlines()) > 100 and not wrong, f"every line has the form of the line protocol {wrong[:3]}")
        check(re.search(r"^rtpferry_sessions,host=\S+ value=1 ", body, re.M) and re.search(r"^rtpengine_sessions,host=\S+,type=own value=1 ", body, re.M),
              "with the names that metrics-names says")
        Influx.answer = 401
        check(until(lambda: figures("rtpferry_telemetry_dropped_total").get('reason="failed",server="influxdb"', 0) > 0 or
                    figures("rtpferry_telemetry_dropped_total").get('server="influxdb",reason="failed"', 0) > 0, 5), "what it refuses is counted")
        check("HTTP status 401" in daemon.text() and "hush" not in daemon.text(), "and logged, without the token")
    finally:
        stage.clear()
        daemon.stop()
        server.shutdown()
        server.server_close()


def split(stream):
    """HEP packets of a stream, whole ones."""
    packets = []
    while len(stream) >= 6 and stream[:4] == b"HEP3":
        size = struct.unpack("!H", stream[4:6])[0]
        if len(stream) < size:
            break
        packets.append(bytes(stream[:size]))
        stream = stream[size:]
    return packets


def homers_reader():
    """Homer's own library for HEP, from npm, if it can be had; else why not."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        return None, "npm is not installed"
    home = temporary("ferry-hep-")
    try:
        got = subprocess.run([npm, "install", "--prefix", home, "--no-audit", "--no-fund", "--silent", "hep-js@1.0.22"], capture_output=True, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return None, "npm does not reach its registry"
    if got.returncode != 0:
        return None, "hep-js cannot be installed from npm"
    script = ("const hep = require(process.argv[1] + '/node_modules/hep-js'); let text = ''; process.stdin.on('data', d => text += d).on('end', () => "
              "console.log(JSON.stringify(text.trim().split('\\n').map(l => hep.decapsulate(Buffer.from(l, 'hex'))))))")

    def read(packets):
        result = subprocess.run([node, "-e", script, home], input="\n".join(each.hex() for each in packets), capture_output=True, text=True, timeout=30)
        return json.loads(result.stdout)
    return read, ""


def told(packets, kind):
    """Payloads of one type, with the correlation id of each."""
    found = []
    for packet in packets:
        chunks, at = {}, 6
        while at < len(packet):
            number, size = struct.unpack("!HH", packet[at + 2:at + 6])
            chunks[number] = packet[at + 6:at + size]
            at += size
        if chunks[11] == bytes([kind]):
            found.append((chunks.get(17, b"").decode(), json.loads(chunks[15])))
    return found


def play_homer(build, packets, *options):
    """A call with reports, played until Homer was told of it; the packets that came."""
    daemon = start(build, f"--homer=127.0.0.1:{HOMER}", "--homer-id=2001", *options)
    ng, stage = Ng(None, port=NG), Stage()
    try:
        call(ng, stage, "a84b4c76e66710@atlanta", 4840, extra=f"a=ice-pwd:verysecret\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\r\n")
        end = time.monotonic() + 15
        while not told(packets(), 5) and time.monotonic() < end:
            stage.play(1)
        ng.ask("delete", "a84b4c76e66710@atlanta", from_tag="A", delete_delay=0)
        until(lambda: len(told(packets(), 34)) >= 2, 5)
        return packets(), daemon
    finally:
        stage.clear()
        daemon.stop()


def judge(packets, way):
    reports, quality = told(packets, 5), told(packets, 34)
    check(reports and all(call_id == "a84b4c76e66710@atlanta" for call_id, _ in reports), f"{way}: RTCP reports with the Call-ID")
    blocks = [each["report_blocks"][0] for _, each in reports]
    check(all(each["type"] == 201 and each["ssrc"] == 2002 for _, each in reports) and all(each["source_ssrc"] == 1001 and each["fraction_lost"] == 64 for each in blocks),
          f"{way}: what B reported of A's stream {reports[:1]}")
    check(sorted(each["PARTY"] for _, each in quality) == ["A", "B"] and all(each["TOTAL_PK"] > 20 and each["MOS"] > 3.9 and each["PACKET_LOSS"] == 0 for _, each in quality),
          f"{way}: the quality of both streams when the call is over {quality[:1]}")


def homer_udp(build):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", HOMER))
    came = []
    def read():
        try:
            while packet := server.recv(65536):
                came.append(packet)
        except OSError:
            pass
    threading.Thread(target=read, daemon=True).start()
    packets, daemon = play_homer(build, lambda: list(came), "--homer-enable-ng", "--homer-password=myHep")
    server.close()
    judge(packets, "UDP")
    messages = told(packets, 61)
    check([each["command"] for _, each in messages if "command" in each][:2] == ["offer", "answer"] and any(each.get("result") == "ok" for _, each in messages),
          "NG messages and their replies")
    text = b"".join(packets)
    check(KEY.encode() not in text and b"verysecret" not in text and b"a=crypto:(left out)" in text, "SRT-15: without keys and passwords")
    read, why = homers_reader()
    if read is None:
        print(f"skipped: {why}, so nobody else judges the packets", flush=True)
        return
    judged = read(packets)
    about = [each["rcinfo"] for each in judged]
    check(len(about) == len(packets) and all(each["captureId"] == 2001 and each["capturePass"] == "myHep" and abs(each["timeSeconds"] - time.time()) < 60 for each in about),
          f"Homer's own library reads all {len(packets)} packets")
    rtcp = next(each for each in about if each["payloadType"] == 5)
    check(rtcp["correlation_id"] == "a84b4c76e66710@atlanta" and rtcp["srcIp"] == "127.0.0.3" and rtcp["srcPort"] == 4845 and rtcp["dstIp"] == "127.0.0.1",
          f"and finds Call-ID and addresses of a report {rtcp}")


def certificate():
    directory = temporary("ferry-homer-")
    file = os.path.join(directory, "cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=homer",
                    "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file + ".key", "-out", file], check=True, capture_output=True)
    # The daemon may run as another user than this test.
    for path in (directory, file):
        os.chmod(path, 0o755)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, file + ".key")
    return file, context


def homer_streams(build):
    collector = Collector(HOMER)
    packets, _ = play_homer(build, lambda: [each for stream in collector.received for each in split(bytes(stream))], "--homer-protocol=tcp")
    collector.stop()
    judge(packets, "TCP")
    check(not told(packets, 61), "no NG messages unless they are asked for")
    file, context = certificate()
    collector = Collector(HOMER, context)
    packets, _ = play_homer(build, lambda: [each for stream in collector.received for each in split(bytes(stream))], "--homer-protocol=tls", f"--homer-ca={file}")
    judge(packets, "TLS")
    daemon = start(build, f"--homer=127.0.0.1:{HOMER}", "--homer-protocol=tls", "--homer-enable-ng")
    try:
        before = sum(len(each) for each in collector.received)
        Ng(None, port=NG).ask("ping", "x")
        check("certificate" in daemon.logged("takes no reports", 10) and sum(len(each) for each in collector.received) == before,
              "CTL-9, REC-5: a collector whose certificate nobody vouches for gets nothing")
    finally:
        daemon.stop()
        collector.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    build = os.path.abspath(parser.parse_args().build)
    try:
        for part in (graphite, influx, homer_udp, homer_streams):
            try:
                part(build)
            except Exception:
                traceback.print_exc()
                check(False, f"{part.__name__} runs to its end")
    except Skip as reason:
        print(f"skipped: {reason}")
        return 77
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
