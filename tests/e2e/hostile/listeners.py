# SPDX-License-Identifier: Apache-2.0
"""What the attacks on the listeners share: a relay with every listener, clients that never block, requests as octets."""
import contextlib
import os
import socket
import ssl
import subprocess
import time

from kit import A, RELAY, far

NG, HTTP, HTTPS, TEXT, CLASSIC = 2224, 2225, 2226, 2227, 22223
ALL = {"NG": NG, "HTTP": HTTP, "HTTPS": HTTPS, "text": TEXT, "rtpproxy": CLASSIC}
PING = b"p d7:command4:pinge"
PONG = b"p d6:result4:ponge"


def every_listener(w, *options):
    """A relay that listens on loopback and, for A alone, on its public address."""
    certificate = os.path.join(w.root, "certificate.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", certificate, "-out", certificate + ".crt",
                    "-days", "2", "-subj", "/CN=relay.example"], check=True, capture_output=True)
    with open(certificate, "a") as f, open(certificate + ".crt") as crt:
        f.write(crt.read())
    listen = [f"--listen-{name}={address}:{port}" for address in ("127.0.0.1", RELAY)
              for name, port in (("tcp-ng", NG), ("http", HTTP), ("https", HTTPS), ("cli", TEXT), ("rtpp", f"tcp:{CLASSIC}"))
              if name != "rtpp"]
    listen += [f"--listen-rtpp=tcp:{address}:{CLASSIC}" for address in ("127.0.0.1", RELAY)]
    return w.relay(*listen, f"--https-cert={certificate}", f"--control-allow={A}/32", *options)


class Stream:
    """A TCP client that never blocks; `octets` go out as the peer takes them."""
    def __init__(self, port, octets=b"", host="127.0.0.1", source=None):
        self.rest, self.heard, self.closed = octets, b"", False
        with far() if source else contextlib.nullcontext():
            self.s = socket.socket()
        self.s.setblocking(False)
        if source:
            self.s.bind((source, 0))
        with contextlib.suppress(BlockingIOError):
            self.s.connect((host, port))

    def turn(self, reads=True):
        """Sends and reads what can be; True while the stream is open."""
        if self.rest and not self.closed:
            try:
                self.rest = self.rest[self.s.send(self.rest[:262144]):]
            except BlockingIOError:
                pass
            except OSError:
                self.closed = True
        if reads and not self.closed:
            try:
                data = self.s.recv(65536)
                self.heard += data
                self.closed = not data
            except BlockingIOError:
                pass
            except OSError:
                self.closed = True
        return not self.closed

    def ask(self, octets, wanted, seconds=3):
        """Sends and waits for a reply that ends so, or contains it; whether it came in that time."""
        self.rest += octets
        end = time.monotonic() + seconds
        while wanted not in self.heard and self.turn() and time.monotonic() < end:
            time.sleep(0.002)
        return wanted in self.heard

    def close(self):
        self.s.close()


def crowd(count, port, octets=b"", **how):
    """So many clients at once, as fast as the relay takes them."""
    clients = []
    for n in range(count):
        clients.append(Stream(port, octets, **how))
        if n % 64 == 63:
            for each in clients[-64:]:
                each.turn()
            time.sleep(0.01)
    return clients


def turn_all(clients, seconds, reads=True):
    """Lets them send and read for a time. Returns how many are open still."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for each in clients:
            each.turn(reads)
        time.sleep(0.02)
    return sum(not each.closed for each in clients)


def get(path="/ping", host="localhost", *more):
    return "".join([f"GET {path} HTTP/1.1\r\n", f"Host: {host}\r\n" if host is not None else "", *(m + "\r\n" for m in more), "\r\n"]).encode()


def upgrade(host="localhost", protocol="ng.rtpengine.com"):
    return get("/ws", host, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
               "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Protocol: {protocol}")


def frame(payload, opcode=1, final=True):
    """A masked frame of at most 125 octets; the mask is zeros."""
    return bytes([(0x80 if final else 0) | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload


def client_hello():
    """The first message of a TLS client."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        ssl._create_unverified_context().wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def closed_by_reason(relay):
    """Connections that the relay closed, by reason, as its metrics have them."""
    stream = Stream(HTTP)
    stream.ask(get("/metrics", "localhost", "Connection: close"), b"rtpferry_broken", 5)
    turn_all([stream], 0.3)
    stream.close()
    found = {}
    for line in stream.heard.decode(errors="replace").splitlines():
        if line.startswith("rtpferry_connections_closed_total{"):
            found[line.split('"')[1]] = int(float(line.split()[-1]))
    return found


def operator_gets_in(w, relay, what):
    began = time.monotonic()
    try:
        answered = "version" in relay.ctl("version")
    except (ValueError, subprocess.SubprocessError):
        answered = False
    w.check(answered, f"{what}: rtpferryctl is not answered")
    w.check(time.monotonic() - began < 5, f"{what}: rtpferryctl waits for {time.monotonic() - began:.1f} s")
