# SPDX-License-Identifier: Apache-2.0
"""sipp as one end of a call: scenarios made of steps, its log of the m-lines that it was shown, and orders to go on.

A step is what the party does inside the call. An order is an INFO that a test sends to sipp's own port: the phone's machine pushes the
button. No order passes the proxy.
"""

from calls import OK_TO_BYE, write
from lab import ALICE, RELAY4, inside, ns, run, wait_for
from parties import socket_in

SOUND = """v=0
      o=- 53655765 2353687637 IN IP4 [local_ip]
      s=-
      c=IN IP4 [local_ip]
      t=0 0
      m=audio {port} RTP/AVP 8
      a=rtpmap:8 PCMA/8000
      a=sendrecv
"""

FAX = """v=0
      o=- 53655765 2353687638 IN IP4 [local_ip]
      s=-
      c=IN IP4 [local_ip]
      t=0 0
      m=image {port} udptl t38
      a=T38FaxVersion:0
      a=T38MaxBitRate:14400
      a=T38FaxRateManagement:transferredTCF
      a=T38FaxUdpEC:t38UDPRedundancy
      a=T38FaxMaxDatagram:1400
"""

CALLER = ("<sip:alice@[local_ip]:[local_port]>;tag=[pid]A[call_number]", "[$peer]")
CALLEE = ("<sip:bob@[local_ip]:[local_port]>;tag=[pid]B[call_number]", "[$peer]")
# The m-line of a message, for the log; and who the other party is.
MEDIA = '<ereg regexp="m=[a-zA-Z0-9/ ]+" search_in="body" assign_to="media"/><log message="media [$media]"/><log message="call [call_id]"/>'
PEER = '<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="peer"/>'


def with_body(first, headers, body):
    content = f"Content-Type: application/sdp\n      Content-Length: [len]\n\n      {body}" if body else "Content-Length: 0\n"
    lines = "".join(f"\n      {line}" for line in headers)
    return f"""<send{' retrans="500"' if not first.startswith("ACK") else ""}><![CDATA[
      {first}{lines}
      {content}
    ]]></send>"""


class Dialogue:
    """Writes the steps of one party. The CSeq numbers of its requests rise."""

    def __init__(self, names):
        self.names, self.cseq = names, 1

    def request(self, method, body="", headers=(), url="[next_url]", branch="[branch]", routes=True):
        own, peer = self.names
        if method != "ACK":
            self.cseq += 1
        return with_body(f"{method} {url} SIP/2.0", [f"Via: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}", *(["[routes]"] if routes else []),
                                                     f"From: {own}", f"To: {peer}", "Call-ID: [call_id]", f"CSeq: {self.cseq} {method}",
                                                     "Contact: <sip:party@[local_ip]:[local_port]>", "Max-Forwards: 70", *headers], body)

    @staticmethod
    def reply(code, body="", tag=""):
        return with_body(f"SIP/2.0 {code} Reply", ["[last_Via:]", "[last_From:]", f"[last_To:]{tag}", "[last_Call-ID:]", "[last_CSeq:]", "[last_Record-Route:]",
                                                   "Contact: <sip:party@[local_ip]:[local_port]>"], body)

    # Steps.

    def offers(self, body, headers=()):
        """A re-INVITE that is taken."""
        return (self.request("INVITE", body, headers) + '<recv response="100" optional="true"/><recv response="200"><action>' + MEDIA + "</action></recv>"
                + self.request("ACK"))

    def offers_in_vain(self, body, headers=()):
        """A re-INVITE that is refused with 488."""
        return (self.request("INVITE", body, headers) + '<recv response="100" optional="true"/><recv response="488"/>'
                + self.request("ACK", branch="[branch-3]"))

    def answers(self, body):
        return f'<recv request="INVITE"><action>{MEDIA}</action></recv>' + self.reply(200, body) + '<recv request="ACK"/>'

    def refuses(self):
        return f'<recv request="INVITE"><action>{MEDIA}</action></recv>' + self.reply(488) + '<recv request="ACK"/>'

    def informs(self, *headers):
        return self.request("INFO", headers=headers) + '<recv response="200"/>'

    def waits(self, milliseconds=None):
        """For an order, or for some time."""
        if milliseconds:
            return f'<pause milliseconds="{milliseconds}"/>'
        return '<nop><action><log message="waits"/></action></nop><recv request="INFO"/>'

    def ends(self):
        return self.request("BYE") + '<recv response="200"/>'

    def is_ended(self):
        return '<recv request="BYE"/>' + OK_TO_BYE


def scenario(*steps):
    return '<?xml version="1.0" encoding="us-ascii"?><scenario name="party">' + "".join(steps) + '<Reference variables="peer,media"/></scenario>'


def plays(tone):
    return f'<nop><action><exec play_pcap_audio="{tone}"/></action></nop>' if tone else ""


def caller(user, body, steps, tone=None):
    """A party that calls `user`. `steps` makes its steps of a Dialogue; `tone`: a capture file that it plays."""
    dialogue = Dialogue(CALLER)
    to = f"sip:{user}@{RELAY4}:5060"
    dialogue.names = (CALLER[0], f"<{to}>")
    first = dialogue.request("INVITE", body, url=to, routes=False)
    dialogue.names = CALLER
    return scenario(first, '<recv response="100" optional="true"/><recv response="180" optional="true"/><recv response="200" rrs="true"><action>',
                    PEER.format(header="To"), MEDIA, "</action></recv>", dialogue.request("ACK"), plays(tone), *steps(dialogue))


def callee(body, steps, tone=None):
    """A party that is called."""
    dialogue = Dialogue(CALLEE)
    return scenario('<recv request="INVITE" rrs="true"><action>', PEER.format(header="From"), MEDIA, "</action></recv>",
                    dialogue.reply(200, body, ";tag=[pid]B[call_number]"), '<recv request="ACK"/>', plays(tone), *steps(dialogue))


class Sipp:
    """A sipp that plays one call."""

    def __init__(self, lab, name, address, port, text, *options, media=14000, call_id="", calls=False):
        self.lab, self.name, self.address, self.port, self.call_id, self.orders = lab, name, address, port, call_id, 0
        self.where = "alice" if address == ALICE else "bob"
        self.log = lab.path(name + ".messages")
        self.process = lab.start(self.where, "sipp", "-sf", write(lab, name + ".xml", text), *([f"{RELAY4}:5060"] if calls else []), "-i", address, "-mi", address,
                                 "-p", str(port), "-mp", str(media), "-m", "1", "-nostdin", "-trace_err", "-timeout", "80", "-trace_logs", "-log_file", self.log,
                                 *(["-cid_str", call_id] if call_id else []), *options, log=name + ".log")
        if not calls:
            wait_for(lambda: f":{port} " in run(*inside(self.where, "ss", "-lun")).stdout, 5, f"{name} to listen")

    def lines(self, word):
        """What it has logged with this word in front."""
        try:
            with open(self.log, encoding="utf-8") as f:
                return [line.strip() for line in f if line.startswith(word) and line.endswith("\n")]
        except FileNotFoundError:
            return []

    def shown(self, number):
        """The m-line of the message with this number, from 0, once it has come: without `media`."""
        return wait_for(lambda: self.lines("media")[number:], 10, f"SDP {number} to {self.name}")[0].split(" ", 1)[1]

    def order(self):
        """Lets it go on behind `waits`."""
        self.orders += 1
        wait_for(lambda: len(self.lines("waits")) >= self.orders, 10, f"{self.name} to wait for order {self.orders}")
        with socket_in(ns(self.where), self.address, 0) as s:
            own = "%s:%d" % s.getsockname()
            s.sendto((f"INFO sip:party@{self.address} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKorder{self.orders}\r\nFrom: <sip:order@{own}>;tag=order\r\n"
                      f"To: <sip:party@{self.address}>\r\nCall-ID: {self.call_id}\r\nCSeq: {self.orders} INFO\r\nContent-Length: 0\r\n\r\n").encode(),
                     (self.address, self.port))

    def ended(self):
        """Its exit status, 0 if the call went as its steps say; None if it goes on."""
        try:
            return self.process.wait(15)
        except Exception:
            return None


def relay_port(line):
    """Where media goes, by an m-line."""
    return RELAY4, int(line.split()[1])
