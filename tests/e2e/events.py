#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Events of calls on their four ways out of the daemon: Server-Sent Events by a client that dies and resumes, a WebSocket, a webhook
whose collector dies and returns (and so does the relay), and an MQTT broker that is stopped and started.

Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import base64
import hashlib
import hmac
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import traceback
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from clients import WebSocket
from daemon import Daemon
from lab import Skip, temporary, wait_for
from parties import Ng, Party, Stage, port_of
from verdict import check, exit_status

HTTP, NG, COLLECTOR, BROKER = 2491, 2492, 2493, 2494
SECRET, TOKEN = "a shared secret", "a token"
TYPES_OF_A_CALL = ["call-start", "media-start", "media-start", "call-end"]
EACH = len(TYPES_OF_A_CALL)


class EventSource:
    """A client of Server-Sent Events (HTML standard), as far as this needs."""

    def __init__(self, query="", last=None):
        self.socket = socket.create_connection(("127.0.0.1", HTTP), 10)
        self.socket.settimeout(None)
        resume = "" if last is None else f"Last-Event-ID: {last}\r\n"
        self.socket.sendall(f"GET /events{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n{resume}\r\n".encode())
        self.reply = self.socket.makefile("rb")
        self.head = b""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.reply.readline()
        self.events = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        fields = {}
        try:
            for line in self.reply:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name:
                    fields[name] = value
                elif "data" in fields:
                    event = json.loads(fields["data"])
                    if (str(event["id"]), event["type"]) != (fields["id"], fields["event"]):
                        event["type"] = "id or type differ from the data"
                    self.events.append(event)
                    fields = {}
        except (OSError, ValueError):
            pass

    def die(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join(5)


class Collector:
    """Takes events by POST, and notes those whose signature is good. `refuse`: Call-IDs that it answers with 400 for now."""

    def __init__(self):
        self.events, self.refuse, self.bad, self.connections = [], set(), 0, set()
        self.server = None

    def start(self):
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                collector.connections.add(self.connection)

            def finish(self):
                collector.connections.discard(self.connection)
                super().finish()

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                event = json.loads(body)
                wanted = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
                good = hmac.compare_digest(self.headers["X-Rtpferry-Signature"], wanted) and self.headers["X-Rtpferry-Event"] == event["type"]
                refused = event["call-id"] in collector.refuse
                if good and not refused:
                    collector.events.append(event)
                collector.bad += not good
                self.send_response(400 if refused else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            allow_reuse_address = daemon_threads = True
            request_queue_size = 64

        self.server = Server(("127.0.0.1", COLLECTOR), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def die(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the relay has closed it

    def of(self, call):
        """Its events of one call, each once, in the order in which they came first."""
        seen = {}
        for event in self.events:
            if event["call-id"] == call:
                seen.setdefault(event["id"], event)
        return list(seen.values())


class Broker:
    """mosquitto, and a subscriber to everything below a topic."""

    def __init__(self):
        self.directory = temporary("ferry-mqtt-")
        self.config = os.path.join(self.directory, "conf")
        with open(self.config, "w") as file:
            # What the subscriber misses while it is away waits for it, over a restart of the broker too.
            file.write(f"listener {BROKER} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {self.directory}/\nuser root\n")
        self.messages = []
        self.process = self.subscriber = None

    def start(self):
        self.process = subprocess.Popen([shutil.which("mosquitto") or "/usr/sbin/mosquitto", "-c", self.config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: can_connect(BROKER), 10, "the broker listens")
        self.subscriber = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(BROKER), "-t", "ferry/#", "-q", "1", "-i", "subscriber", "-c", "-F", "%t %p"],
                                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.read, args=(self.subscriber,), daemon=True).start()

    def read(self, subscriber):
        for line in subscriber.stdout:
            topic, _, payload = line.partition(" ")
            self.messages.append((topic, json.loads(payload)))

    def die(self):
        for process in (self.subscriber, self.process):
            process.terminate()
            process.wait(10)

    def types_of(self, call):
        return [message["type"] for topic, message in self.messages if message.get("call-id") == call and topic == f"ferry/events/{message['type']}"]


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Relay:
    def __init__(self, build, state):
        self.build, self.state, self.port = build, state, 4700
        self.config = os.path.join(state, "relay.conf")
        with open(self.config, "w") as file:
            file.write(f"[rtpferry]\nevent-webhook-secret = {SECRET}\nhttp-token = {TOKEN}\n")
        self.daemon = None

    def start(self):
        directory = temporary("ferry-events-")
        self.daemon = Daemon(os.path.join(self.build, "rtpferryd"), f"--config-file={self.config}", "--interface=127.0.0.1", "--num-threads=1", *(["--user=root"] if os.geteuid() == 0 else []),
                             f"--control-socket={directory}/control.sock", f"--listen-ng=127.0.0.1:{NG}", f"--listen-http=127.0.0.1:{HTTP}", "--offload=off",
                             f"--event-webhook=http://127.0.0.1:{COLLECTOR}/events?key=hidden", f"--state-dir={self.state}", "--delete-delay=0",
                             "--mqtt-host=127.0.0.1", f"--mqtt-port={BROKER}", "--mqtt-publish-topic=ferry", "--mqtt-publish-interval=500", defaults=False)
        self.control = f"{directory}/control.sock"
        self.ng = Ng(None, port=NG)

    def stats(self):
        result = subprocess.run([os.path.join(self.build, "rtpferryctl"), f"--socket={self.control}", "stats", "--json"], capture_output=True, text=True, timeout=10)
        return json.loads(result.stdout)["events"]

    def call(self, name, stage):
        """A call in which both speak until it is deleted."""
        parties = []
        for address, ssrc in (("127.0.0.2", 1), ("127.0.0.3", 2)):
            self.port += 4
            parties.append(Party(None, address, self.port, ssrc))
        a, b = parties
        b.to = ("127.0.0.1", port_of(self.ng.ask("offer", name, from_tag="A", sdp=a.sdp())))
        a.to = ("127.0.0.1", port_of(self.ng.ask("answer", name, from_tag="A", to_tag="B", sdp=b.sdp())))
        a.on = b.on = True
        stage.parties[:] = parties
        stage.play(0.6)
        stage.clear()
        self.ng.ask("delete", name, from_tag="A")


def in_order(events):
    return [event["type"] for event in events]


def server_sent(relay, stage):
    relay.call("before", stage)
    first = EventSource()
    check(b"Content-Type: text/event-stream\r\n" in first.head, "GET /events is a stream of events")
    relay.call("one", stage)
    wait_for(lambda: len(first.events) >= EACH, 5, "the events of a call")
    first.die()
    check(sorted(in_order(first.events)) == sorted(TYPES_OF_A_CALL) and {event["call-id"] for event in first.events} == {"one"} and
          in_order(first.events)[0] == "call-start" and in_order(first.events)[-1] == "call-end", f"a call from start to end: {in_order(first.events)}")
    check(all(event["streams"] and event["streams"][0]["packets_in"] > 0 for event in first.events if event["type"] == "call-end"), "call-end has figures")
    relay.call("two", stage)
    second = EventSource(last=first.events[-1]["id"])
    filtered = EventSource("?call=three&type=call-start,call-end")
    relay.call("three", stage)
    wait_for(lambda: len(second.events) >= 2 * EACH and len(filtered.events) >= 2, 5, "the events of two calls")
    numbers = [event["id"] for event in second.events]
    check(numbers == list(range(first.events[-1]["id"] + 1, numbers[-1] + 1)) and [event["call-id"] for event in second.events] == ["two"] * EACH + ["three"] * EACH,
          "a client that died resumes, and has missed nothing")
    check(in_order(filtered.events) == ["call-start", "call-end"], f"a filter by call and type: {in_order(filtered.events)}")
    second.die()
    filtered.die()
    for path, status in (("/events?type=nothing", 400), ("/events", 401)):
        request = urllib.request.Request(f"http://127.0.0.1:{HTTP}{path}", headers={"Authorization": f"Bearer {TOKEN}"} if status == 400 else {})
        try:
            urllib.request.urlopen(request, timeout=5)
            code = 200
        except urllib.error.HTTPError as error:
            code = error.code
        check(code == status, f"{path} {'without the token ' if status == 401 else ''}is answered with {status}")


def web_socket(relay, stage):
    client = WebSocket.__new__(WebSocket)
    client.socket = socket.create_connection(("127.0.0.1", HTTP), 5)
    client.socket.sendall((f"GET /events?type=call-end HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.read_exactly(1)
    relay.call("socket", stage)
    kind, text = client.receive()
    check(b" 101 " in head and kind == 1 and json.loads(text)["call-id"] == "socket", "a WebSocket gets the events that it wants")
    client.socket.close()


def webhook(relay, stage, collector):
    wait_for(lambda: len(collector.of("socket")) == EACH, 10, "the collector has all that happened so far")
    wait_for(lambda: relay.stats()["webhooks"][0]["waiting"] == 0, 5, "the relay knows it")
    collector.die()
    relay.call("while-away", stage)
    wait_for(lambda: relay.stats()["webhooks"][0]["failed"] > 0, 10, "the relay notices that nobody answers")
    code, _ = relay.daemon.stop()
    relay.start()
    check(code == 0 and f"{EACH} events of an earlier run wait" in relay.daemon.text() + relay.daemon.logged("earlier run", 5), "a restart of the relay keeps what waits")
    relay.call("after-restart", stage)
    collector.refuse.add("refused")
    collector.start()
    wait_for(lambda: len(collector.of("while-away")) == EACH and len(collector.of("after-restart")) == EACH, 20, "the collector gets what it missed")
    for call in ("one", "while-away", "after-restart"):
        check(in_order(collector.of(call))[0] == "call-start" and in_order(collector.of(call))[-1] == "call-end" and
              sorted(in_order(collector.of(call))) == sorted(TYPES_OF_A_CALL), f"nothing of '{call}' is lost, and its order stays")
    relay.call("refused", stage)
    relay.call("others", stage)
    wait_for(lambda: len(collector.of("others")) == EACH, 10, "other calls do not wait for one that is refused")
    check(not collector.of("refused"), "a call whose events are refused waits")
    collector.refuse.clear()
    wait_for(lambda: len(collector.of("refused")) == EACH, 20, "refused events are tried again")
    check(collector.bad == 0, "each body is signed")
    check("hidden" not in relay.daemon.text(), "the query of the URL is not logged")
    wait_for(lambda: relay.stats()["webhooks"][0]["waiting"] == 0, 5, "nothing waits")


def broker_stories(relay, stage, broker):
    wait_for(lambda: relay.stats()["mqtt"]["connected"], 20, "the relay has found the broker")
    relay.call("published", stage)
    wait_for(lambda: len(broker.types_of("published")) == EACH, 10, "MQTT has the events of a call")
    check(broker.types_of("published")[0] == "call-start" and broker.types_of("published")[-1] == "call-end", "in their order")
    wait_for(lambda: any(topic == "ferry" and "statistics" in message for topic, message in broker.messages), 10, "a report")
    broker.die()
    wait_for(lambda: not relay.stats()["mqtt"]["connected"], 10, "the relay notices that the broker is gone")
    relay.call("broker-away", stage)
    broker.start()
    wait_for(lambda: len(broker.types_of("broker-away")) >= EACH, 20, "the broker gets what it missed")
    check(sorted(set(broker.types_of("broker-away"))) == sorted(set(TYPES_OF_A_CALL)), "all of it")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    arguments = parser.parse_args()
    if shutil.which("mosquitto") is None and not os.path.exists("/usr/sbin/mosquitto") or shutil.which("mosquitto_sub") is None:
        raise Skip("mosquitto or mosquitto-clients is not installed")
    started = time.monotonic()
    state, collector, broker = temporary("ferry-state-"), Collector(), Broker()
    relay, stage = Relay(arguments.build, state), Stage()
    try:
        collector.start()
        relay.start()
        server_sent(relay, stage)
        web_socket(relay, stage)
        broker.start()
        webhook(relay, stage, collector)
        broker_stories(relay, stage, broker)
        code, seconds = relay.daemon.stop()
        check(code == 0 and seconds < 4, f"the relay ends: {code} in {seconds:.1f} s")
        if code != 0:
            print(relay.daemon.text()[-4000:])
    except Exception:
        traceback.print_exc()
        print(relay.daemon.text()[-4000:] if relay.daemon else "")
        check(False, "the script ran to its end")
    finally:
        if broker.process is not None:
            broker.die()
    print(f"{time.monotonic() - started:.0f} s")
    return exit_status()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Skip as reason:
        print(f"skipped: {reason}")
        sys.exit(77)
