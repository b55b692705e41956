#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What clients reach the daemon by besides plain NG datagrams: HTTP, TLS, WebSocket, large datagrams; and what it sends
them unasked: DTMF events, time-out call-backs. Then the very bytes that proxies send.

Exit status: 0 passed, 1 failed.
"""

import argparse
import base64
import http.client
import http.server
import json
import os
import queue
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden"))
from daemon import Daemon, udp
from lab import temporary
from run_dialogues import bdecode, bencode
from verdict import check, exit_status

HERE = os.path.dirname(os.path.abspath(__file__))
HTTP, HTTPS = 2480, 2481


def sdp(address, port, extra=""):
    return (f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\nm=audio {port} RTP/AVP 8 101\r\n"
            f"a=rtpmap:101 telephone-event/8000\r\n{extra}")


def post(path, body, kind="application/x-rtpengine-ng", tls=False):
    if tls:
        connection = http.client.HTTPSConnection("127.0.0.1", HTTPS, timeout=3, context=ssl._create_unverified_context())
    else:
        connection = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=3)
    connection.request("POST", path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    found = answer.status, answer.getheader("Content-Type"), answer.read()
    connection.close()
    return found


class WebSocket:
    def __init__(self, protocol, tls=False, early=b""):
        self.socket = socket.create_connection(("127.0.0.1", HTTPS if tls else HTTP), 3)
        if tls:
            self.socket = ssl._create_unverified_context().wrap_socket(self.socket)
        self.socket.settimeout(3)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                             f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n").encode() + early)
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            piece = self.socket.recv(1)
            if not piece:
                break
            self.head += piece

    @staticmethod
    def frame(data, opcode=1, final=True):
        mask = os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 126]) + struct.pack("!H", len(data)) \
            if len(data) < 65536 else bytes([0x80 | 127]) + struct.pack("!Q", len(data))
        return bytes([(0x80 if final else 0) | opcode]) + size + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(data))

    def read_exactly(self, size):
        data = b""
        while len(data) < size:
            piece = self.socket.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def receive(self):
        first, size = self.read_exactly(2)
        if size == 126:
            size = struct.unpack("!H", self.read_exactly(2))[0]
        elif size == 127:
            size = struct.unpack("!Q", self.read_exactly(8))[0]
        return first & 15, self.read_exactly(size)

    def ask(self, data):
        self.socket.sendall(self.frame(data))
        return self.receive()[1]


def web(program):
    directory = temporary("ferry-tls-")
    certificate, key = os.path.join(directory, "cert.pem"), os.path.join(directory, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                    "-subj", "/CN=localhost"], capture_output=True, check=True)
    daemon = Daemon(program, f"--listen-http=127.0.0.1:{HTTP}", f"--listen-https=127.0.0.1:{HTTPS}", f"--https-cert={certificate}",
                    f"--https-key={key}", "--http-idle-timeout=1")
    ng = "application/x-rtpengine-ng"
    check(post("/ng", b"c1 d7:command4:pinge") == (200, ng, b"c1 d6:result4:ponge"), "POST /ng: with cookie, bencode")
    check(post("/ng", b'c1 {"command":"list"}')[2] == b"c1 d6:result4:ponge", "POST /ng: the cookie's reply again, whatever the body")
    check(post("/ng-plain", b'{"command":"ping"}', "application/json") == (200, "application/json", b'{"result":"pong"}'),
          "POST /ng-plain: without cookie, JSON")
    check(post("/ng", b"c2 d7:command4:pinge", tls=True)[2] == b"c2 d6:result4:ponge", "POST /ng over TLS")
    check(post("/ng-plain", b"{broken", "application/json")[2] == b'{"result":"error","error-reason":"Failed to parse JSON document"}',
          "POST /ng-plain: broken JSON gets the error text")
    check(all(post(*wrong)[0] == 404 for wrong in (("/nope", b"x"), ("/ng", b"x", "text/plain"), ("/ng", b"x", ng + "; charset=utf-8"))),
          "another path or content type: 404")
    check(post("/ng", b"nocookie")[0] == 400, "no cookie: 400")
    connection = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=3)
    connection.request("GET", "/ping")
    check(connection.getresponse().read() == b"pong\n", "GET /ping")
    connection.close()
    connection = http.client.HTTPConnection("127.0.0.1", HTTP, timeout=3)
    connection.request("OPTIONS", "/ng")
    check(connection.getresponse().status == 200, "OPTIONS is answered")
    connection.close()

    ws = WebSocket("ng.rtpengine.com")
    check(b"101" in ws.head and ws.ask(b"w1 d7:command4:pinge") == b"w1 d6:result4:ponge", "WebSocket ng.rtpengine.com")
    check(ws.ask(b'w2 {"command":"ping"}') == b'w2 {"result":"pong"}', "several messages over one WebSocket, JSON too")
    big = json.dumps({"command": "offer", "call-id": "ws", "from-tag": "a", "sdp": sdp("127.0.0.1", 4000, "a=x:" + "y" * 7000 + "\r\n" * 1)})
    message = f"w3 {big}".encode()
    ws.socket.sendall(ws.frame(message[:3000], 1, False) + ws.frame(b"", 9) + ws.frame(message[3000:], 0, True))
    replies = [ws.receive(), ws.receive()]
    check([r for r in replies if r[0] == 1][0][1].startswith(b"w3 ") and b'"result":"ok"' in [r for r in replies if r[0] == 1][0][1],
          "a message in two frames with a ping between them")
    ws.socket.sendall(ws.frame(struct.pack("!H", 1000), 8))
    check(ws.receive()[0] == 8, "a close is answered")
    check(WebSocket("ng-plain.rtpengine.com", tls=True).ask(b'{"command":"ping"}') == b'{"result":"pong"}', "WebSocket ng-plain over TLS")
    check(WebSocket("cli.rtpengine.com").ask(b"list numsessions").startswith(b"Current sessions own: 1"), "WebSocket cli")
    check(WebSocket("echo.rtpengine.com").ask(b"hello") == b"hello", "WebSocket echo")
    early = WebSocket("ng.rtpengine.com", early=WebSocket.frame(b"w9 d7:command4:pinge"))
    check(early.receive()[1] == b"w9 d6:result4:ponge", "a frame that comes with the handshake")
    check(b"404" in WebSocket("unknown.example").head, "an unknown subprotocol is refused")
    def refused(port, *headers):
        raw = socket.create_connection(("127.0.0.1", port), 3)
        raw.settimeout(3)
        raw.sendall(("GET /ping HTTP/1.1\r\nHost: 127.0.0.1:1\r\n" + "".join(h + "\r\n" for h in headers) + "\r\n").encode())
        return raw.recv(64).split(b"\r\n")[0].split()[1] in (b"401", b"403")
    check(refused(HTTP, "Origin: https://evil.example") and not refused(HTTP, "Origin: http://127.0.0.1:1")
          and refused(HTTP, "Origin: http://127.0.0.1:9"),
          "CTL-8: a page of another site or port is refused")
    idle = socket.create_connection(("127.0.0.1", HTTP), 3)
    idle.settimeout(4)
    check(idle.recv(10) == b"", "an idle connection is closed")
    junk = WebSocket("ng.rtpengine.com")
    junk.socket.sendall(bytes([0xff] * 64))
    try:
        while junk.socket.recv(100):
            pass
        closed = True
    except OSError:
        closed = False
    check(closed and post("/ng", b"c9 d7:command4:pinge")[0] == 200, "junk frames end their connection, nothing else")
    code, _ = daemon.stop()
    check(code == 0, "clean end with WebSockets open")
    daemon = Daemon(program, f"--listen-http=127.0.0.1:{HTTP}", f"--listen-https=127.0.0.1:{HTTPS}", f"--https-cert={certificate}",
                    f"--https-key={key}", f"--https-client-ca={certificate}", "--http-token=secret")
    check(refused(HTTP) and refused(HTTP, "Authorization: Bearer wrong1") and not refused(HTTP, "Authorization: Bearer secret"),
          "CTL-8: with http-token only its bearer is served")
    try:
        post("/ng", b"c1 d7:command4:pinge", tls=True)
        served = True
    except (OSError, http.client.HTTPException):
        served = False
    check(not served, "CTL-8: with https-client-ca nobody without a certificate is served")
    with_certificate = ssl._create_unverified_context()
    with_certificate.load_cert_chain(certificate, key)
    connection = http.client.HTTPSConnection("127.0.0.1", HTTPS, timeout=3, context=with_certificate)
    connection.request("GET", "/ping", headers={"Authorization": "Bearer secret"})
    check(connection.getresponse().read() == b"pong\n", "CTL-8: with one it is")
    daemon.stop()


def events(program):
    heard = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            heard.put((self.path, self.rfile.read(int(self.headers["Content-Length"])).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    log.bind(("127.0.0.1", 0))
    log.settimeout(2)
    daemon = Daemon(program, "--listen-ng=127.0.0.1:2468", "--listen-tcp-ng=127.0.0.1:2468", "--timeout=1", "--dtmf-log-ng-tcp",
                    f"--dtmf-log-dest=127.0.0.1:{log.getsockname()[1]}", f"--b2b-url=http://%%:{server.server_port}/RPC2", "--xmlrpc-format=2")
    tcp = socket.create_connection(("127.0.0.1", 2468))
    tcp.settimeout(2)
    s = udp("127.0.0.1", 2468)

    def ng(number, **request):
        s.send(f"e{number} ".encode() + json.dumps({k.replace("_", "-"): v for k, v in request.items()}).encode())
        return json.loads(s.recv(65536).split(b" ", 1)[1])
    ng(1, command="offer", call_id="ev", from_tag="A", sdp=sdp("127.0.0.2", 4000), label="caller")
    reply = ng(2, command="answer", call_id="ev", from_tag="A", to_tag="B", sdp=sdp("127.0.0.3", 4000))
    port = int(reply["sdp"].split("m=audio ")[1].split()[0])
    a = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    a.bind(("127.0.0.2", 4000))
    for number, (end, duration) in enumerate(((0, 160), (0, 480), (0x80, 800), (0x80, 800), (0x80, 800))):
        a.sendto(struct.pack("!BBHII", 0x80, 101, 10 + number, 5000, 7) + struct.pack("!BBH", 5, end | 10, duration), ("127.0.0.1", port))
    event = json.loads(log.recv(4096))
    stamp = event.pop("timestamp")
    check(event == {"callid": "ev", "source_tag": "A", "source_label": "caller", "tags": ["A", "B"], "type": "DTMF", "source_ip": "127.0.0.2",
                    "event": 5, "duration": 100, "volume": 10} and abs(stamp - time.time()) < 5, "a DTMF event arrives as JSON")
    cookie, document = tcp.recv(4096).split(b" ", 1)
    message = bdecode(document)[0]
    check(len(cookie) == 16 and message["notify"] == "onDTMF" and message["data"]["event"] == 5, "and as a message to NG clients over TCP")
    log.settimeout(0.3)
    try:
        log.recv(4096)
        again = True
    except socket.timeout:
        again = False
    check(not again, "its three end packets are one event")
    try:
        path, body = heard.get(timeout=8)
    except queue.Empty:
        path, body = "", ""
    check(path == "/RPC2" and "<methodName>dlg.terminate_dlg</methodName>" in body and
          body.index("<string>ev<") < body.index("<string>A<") < body.index("<string>B<"), "a time-out is told by XML-RPC to the signalling client")
    server.shutdown()
    daemon.stop()


def large(program):
    """A datagram near the limit of UDP: over loopback it comes in IP fragments when the MTU is small."""
    import lab
    try:
        lab.need("ip")
        with lab.Lab() as network:
            network.start("core", program, "--config-file=none", f"--interface={lab.RELAY4}", f"--listen-ng={lab.RELAY4}:2469",
                          f"--control-allow={lab.ALICE}/32", "--control-socket=none", "--num-threads=1", log="relay.log")
            lab.wait_for(lambda: "is ready" in open(network.path("relay.log")).read(), 5, "the daemon")
            body = sdp(lab.ALICE, 4000, "".join(f"a=n:{i} {'z' * 100}\r\n" for i in range(560)))
            request = b"f1 " + bencode({"command": "offer", "call-id": "large", "from-tag": "a", "sdp": body})
            path = network.path("request")
            open(path, "wb").write(request)
            script = (f"import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(2); s.connect(('{lab.RELAY4}',2469))\n"
                      f"s.send(open('{path}','rb').read())\nr=s.recv(65536)\nprint(len(r), r[-20:].decode())\n")
            said = lab.run(*lab.inside("alice", sys.executable, "-c", script)).stdout
            check(len(request) > 60000 and "6:result2:ok" in said and int(said.split()[0]) > 60000,
                  f"an offer of {len(request)} octets in IP fragments and its reply: {said.strip()}")
    except lab.Skip as reason:
        print(f"skipped the large datagram: {reason}", flush=True)


def client_bytes(program):
    """tests/golden/clients.json: requests in the order of keys that each client writes them, and what it reads."""
    daemon = Daemon(program, "--listen-ng=127.0.0.1:2470", "--delete-delay=0", "--interface=public/127.0.0.1", "--interface=private/127.0.0.2")
    s = udp("127.0.0.1", 2470)
    clients = json.load(open(os.path.join(HERE, "..", "golden", "clients.json")))
    for client, dialogue in clients.items():
        kept = {}
        wrong = []
        for number, step in enumerate(dialogue):
            pairs = [(k, kept.get(v, v) if isinstance(v, str) else v) for k, v in step["request"]]
            document = b"d" + b"".join(bencode(k) + bencode(sdp("127.0.0.1", int(v[4:]) if v[4:] else 4000) if k == "sdp" and v.startswith("SDP:") else v)
                                       for k, v in pairs) + b"e"
            cookie = step.get("cookie", f"{os.getpid()}_{client}_{number}").replace(" ", "-").encode()
            s.send(cookie + b" " + document)
            raw = s.recv(65536)
            reply = bdecode(raw[len(cookie) + 1:])[0]
            for name in step.get("keep", []):
                kept["$" + name] = reply.get(name, "")
            for path, wanted in step["expect"].items():
                value = reply
                for part in path.split("/"):
                    value = value[int(part)] if isinstance(value, list) else value.get(part) if isinstance(value, dict) else None
                kinds = {"INT": int, "STR": str, "LIST": list, "DICT": dict}
                good = isinstance(value, kinds[wanted]) if isinstance(wanted, str) and wanted in kinds else value == wanted
                if not (raw.startswith(cookie + b" ") and good):
                    wrong.append(f"step {number} {path}: {value!r} instead of {wanted!r} ({reply.get('error-reason')})")
        check(not wrong, f"the bytes of {client}: {len(dialogue)} requests" + "".join("; " + w for w in wrong[:3]))
    daemon.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True)
    program = os.path.abspath(os.path.join(parser.parse_args().build, "rtpferryd"))
    web(program)
    events(program)
    large(program)
    client_bytes(program)
    return exit_status()


if __name__ == "__main__":
    sys.exit(main())
