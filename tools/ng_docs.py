#!/usr/bin/env python3
"""Writes the tables of docs/control/ng.md from the key and flag tables of the parser, so that they cannot drift apart."""

import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SOURCE = os.path.join(ROOT, "control", "protocol", "ng", "request_parser.cpp")
TARGET = os.path.join(ROOT, "docs", "control", "ng.md")
NAMES = {"kNow": "", "kSignalling": "signalling", "kSrtp": "SRTP", "kIce": "ICE/DTLS", "kCodecs": "codecs", "kT38": "T.38", "kRecording": "recording",
         "kPlayback": "playback", "kPubSub": "publish/subscribe"}


def rows(text, table):
    body = text[text.index(f"{table}[] = {{"):]
    body = body[:body.index("\n};")]
    for match in re.finditer(r'^  \{"([^"]+)".*?C::(k\w+), "([^"]*)"\}', body, re.M | re.S):
        yield match.groups()


def table(text, name, head):
    lines = [f"| {head} | in force with | meaning |", "|---|---|---|"]
    lines += [f"| `{row}` | {NAMES[capability] or 'now'} | {meaning} |" for row, capability, meaning in rows(text, name)]
    return "\n".join(lines)


def main():
    text = open(SOURCE).read()
    page = open(TARGET).read()
    for mark, name, head in (("keys", "kKeys", "key"), ("flags", "kFlags", "word")):
        start, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
        page = page[:page.index(start) + len(start)] + "\n" + table(text, name, head) + "\n" + page[page.index(end):]
    if "--check" in sys.argv:
        if page != open(TARGET).read():
            print("docs/control/ng.md is not what the tables say: run tools/ng_docs.py")
            return 1
        print("docs/control/ng.md follows the tables")
        return 0
    open(TARGET, "w").write(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
