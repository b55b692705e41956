# SPDX-License-Identifier: Apache-2.0
"""A page has its own name point at the relay (DNS rebinding): refused on every path, over HTTP, HTTPS and WebSocket."""
REFERENCE = "CTL-13"
RIGHT = "Only names of this host are served; the text names http-names."
import socket
import ssl

from listeners import HTTP, HTTPS, Stream, every_listener, get, upgrade

OURS = ("localhost", "localhost:2225", "LOCALHOST.", "127.0.0.1", "127.0.0.1:80", "[::1]:2225", "198.51.100.1", "voice.example.net",
        socket.gethostname())
FOREIGN = ("evil.example", "evil.example:2225", "localhost.evil.example", "", "localhost@evil.example", "evil.example, localhost")


def status(octets, port=HTTP):
    if port == HTTP:
        stream = Stream(port)
        stream.ask(octets, b"\r\n\r\n")
        heard = stream.heard
        stream.close()
    else:
        with socket.create_connection(("127.0.0.1", port), 5) as raw, ssl._create_unverified_context().wrap_socket(raw) as s:
            s.sendall(octets)
            heard = s.recv(4096)
    return int(heard.split(b" ")[1]) if heard.startswith(b"HTTP/1.1 ") else 0, heard


def play(w):
    relay = every_listener(w, "--http-names=voice.example.net")
    for host in OURS:
        w.equal(f"/ping of {host}", status(get("/ping", host))[0], 200)
        w.equal(f"WebSocket of {host}", status(upgrade(host))[0], 101)
    w.equal("the certificate's name", status(get("/ping", "relay.example"), HTTPS)[0], 200)
    w.equal("the certificate's name in the clear", status(get("/ping", "relay.example"))[0], 421)
    for host in FOREIGN:
        for what, octets in {"/ping": get("/ping", host), "/metrics": get("/metrics", host), "the API": get("/api/v1/calls", host),
                             "WebSocket": upgrade(host), "nothing": get("/nothing", host),
                             "a command": b"POST /ng HTTP/1.1\r\nHost: " + host.encode() + b"\r\nContent-Type: application/x-rtpengine-ng\r\n"
                                          b"Content-Length: 19\r\n\r\nc d7:command4:pinge"}.items():
            for port in (HTTP, HTTPS):
                found, text = status(octets, port)
                w.equal(f"{what} of {host!r}", found, 421)
                w.check(b"http-names" in text, f"{what} of {host!r}: the option is not named: {text!r}")
    for what, octets in {"no Host": get("/ping", None), "two": get("/ping", "localhost", "Host: localhost")}.items():
        w.equal(what, status(octets)[0], 400)
    relay.stop()
    every_listener(w, "--http-token=secret")
    w.equal("with the token", status(get("/ping", "evil.example", "Authorization: Bearer secret"))[0], 200)
    w.equal("with another", status(get("/ping", "localhost", "Authorization: Bearer secres"))[0], 401)
