#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps the references of the control protocols true to the source.

Writes the tables of keys, flags and figures of docs/reference/ng.md from the tables in the source. With --check it only tells
whether they are as they should be, and whether the references lack something that the source has: a command, an
error text or a short name of NG; an error number, a capability or a counter of the rtpproxy protocol.
"""

import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PARSER = "request_parser.cpp"
FIGURES = "/ng/figures.cpp"
NG = "docs/reference/ng.md"
RTPPROXY = "docs/reference/rtpproxy.md"
NAMES = {"kNow": "now", "kSignalling": "signalling", "kSrtp": "SRTP", "kIce": "ICE/DTLS", "kCodecs": "codecs",
         "kRecording": "recording", "kPlayback": "playback", "kPubSub": "publish/subscribe"}
# Their texts are for operators, or have a document of their own.
OTHER_PROTOCOLS = ("/cli/", "/connections/", "/http/", "/pages/", "/rtpp/", "/rtpproxy/")
# How many of each there are at least: fewer mean that the patterns below do not fit the source any more.
LEAST = ((NG, "error", 100), (NG, "command", 30), (RTPPROXY, "error", 30), (RTPPROXY, "capability", 20),
         (RTPPROXY, "counter", 40))
QUOTED = r'"((?:[^"\\]|\\.)*)"'
# A row of the texts of faults, and what the service says of a message that is no command.
ERROR = re.compile(rf'\bRequestFault::\w+, {QUOTED}\}}|\brefuse\((?:[^;]*?, )?{QUOTED}\)')


def read(path):
    with open(os.path.join(ROOT, path)) as f:
        return f.read()


def sources():
    """Path and text of every source of control."""
    found = {}
    for folder, _, names in os.walk(os.path.join(ROOT, "control")):
        for name in names:
            if name.endswith((".cpp", ".hpp")):
                path = os.path.relpath(os.path.join(folder, name), ROOT)
                found[path] = read(path)
    return found


def only(texts, ending):
    """The text of the one source whose path ends so, wherever its folder is."""
    found = [text for path, text in texts.items() if path.endswith(ending)]
    if len(found) != 1:
        raise SystemExit(f"tools/ng_docs.py: {len(found)} sources end with {ending}")
    return found[0]


def rows(text, table):
    body = text[text.index(f"{table}[] = {{"):]
    body = body[:body.index("\n};")]
    for match in re.finditer(r'^  \{"([^"]+)".*?C::(k\w+), "([^"]*)"\}', body, re.M | re.S):
        yield match.groups()


def table(text, name, head):
    lines = [f"| {head} | in force with | meaning |", "|---|---|---|"]
    lines += [f"| `{row}` | {NAMES[capability]} | {meaning} |" for row, capability, meaning in rows(text, name)]
    return "\n".join(lines)


def figures(text):
    """The table of the figures of `statistics`."""
    found = re.findall(r'^ +\{"(\w+)", "(\w+)", \[\].*, "([^"]*)"\},$', text, re.M)
    lines = ["| dictionary | figure | meaning |", "|---|---|---|"]
    lines += [f"| `{part}` | `{name}` | {meaning} |" for part, name, meaning in found]
    return "\n".join(lines)


def with_tables(page, texts):
    """The page with what the sources say between its marks."""
    parser = only(texts, PARSER)
    for mark, made in (("keys", table(parser, "kKeys", "key")), ("flags", table(parser, "kFlags", "word")),
                       ("figures", figures(only(texts, FIGURES)))):
        start, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
        page = page[:page.index(start) + len(start)] + "\n" + made + "\n" + page[page.index(end):]
    return page


def expected(texts):
    """What each reference must hold: path of the reference, text, and what it is."""
    for path, text in texts.items():
        if not any(part in path for part in OTHER_PROTOCOLS):
            for fault, message in ERROR.findall(text):
                # What varies stands in braces, and the reference has an example.
                yield NG, (fault or message).replace('\\"', '"').partition("{")[0], "error"
    for name, short in re.findall(r'^    \{"([^"]+)", "(\w+)"', only(texts, "/ng/service.cpp"), re.M):
        yield NG, f"`{name}`", "command"
        yield NG, short, "short name"
    for number in re.findall(r"^  k\w+ = (\d+),", only(texts, "/command.hpp"), re.M):
        yield RTPPROXY, f"`E{number}`", "error"
    service = [text for path, text in texts.items() if path.endswith("/service.cpp") and "kFeatures" in text]
    for date in re.findall(r'"(20\d{6})"', "".join(service)):
        yield RTPPROXY, f"| {date} |", "capability"
    for name in re.findall(r'^    \{"(\w+)", \[\]', only(texts, "/statistics.cpp"), re.M):
        yield RTPPROXY, f"`{name}`", "counter"


def faults(texts, pages):
    """What is wrong with the references, a line each."""
    wrong = []
    if with_tables(pages[NG], texts) != pages[NG]:
        wrong.append(f"{NG} is not what the tables say: run tools/ng_docs.py")
    found = list(expected(texts))
    flat = {path: " ".join(page.split()) for path, page in pages.items()}
    wrong += [f"{path} lacks the {what} {text}" for path, text, what in found
              if text not in pages[path] and text not in flat[path]]
    for path, what, least in LEAST:
        if sum(each[0] == path and each[2] == what for each in found) < least:
            wrong.append(f"tools/ng_docs.py finds fewer than {least} of what {path} needs: {what}")
    return wrong


def main():
    texts = sources()
    if "--check" not in sys.argv:
        made = with_tables(read(NG), texts)
        with open(os.path.join(ROOT, NG), "w") as f:
            f.write(made)
        return 0
    wrong = faults(texts, {NG: read(NG), RTPPROXY: read(RTPPROXY)})
    print("\n".join(wrong) or f"{NG} and {RTPPROXY} follow the source")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
