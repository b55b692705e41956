#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the recorded dialogues as octets for the fuzz target `sessions`: session_seeds.py GOLDEN FOLDER

An octet chooses a row of a table of tests/support/request_grammar.cpp; this script reads the tables there, so that the
corpus follows them. What a table does not have is the nearest row, or left out.
"""

import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
GRAMMAR = open(os.path.join(HERE, "..", "support", "request_grammar.cpp")).read()
NG_STEP, PACKET_STEP = 0, 8  # rows of the steps in tests/support/session_script.cpp


def table(name):
    """The text between the braces of `name[] = {…};`."""
    return re.search(name + r"\[\] = \{(.*?)\n?\};", GRAMMAR, re.S).group(1)


COMMANDS = [(name, "true, true" in rest or "false, true" in rest, rest.startswith(", true"))
            for name, rest in re.findall(r'\{"([^"]+)"([^}]*)\}', table("kCommands"))]
SECTIONS = [(line.split()[0], line.split()[2], parts)
            for line, parts in re.findall(r'\{"([^"]+)"(.*?)\}(?=,|$)', table("kSections"), re.S)]
HOSTS = re.findall(r'"([^"]*)"', table("kHosts"))
TAGS = re.findall(r'"([^"]*)"', table("kTags"))
DIRECTIONS = re.findall(r'"([^"]*)"', table("kDirections"))
EXTRAS = json.loads(re.search(r'R"\(\[(.*?)\]\)"', GRAMMAR, re.S).group(1).join("[]"))


def section(lines):
    """The row that is nearest to a section, and its direction."""
    kind, _, protocol = (lines[0][2:].split() + ["", "", ""])[:3]
    text = "\n".join(lines)
    marks = {"kIce": "ice-ufrag" in text, "kSdes": "a=crypto" in text, "kDtls": "fingerprint" in text}

    def distance(row):
        differs = sum((mark in row[2]) != there for mark, there in marks.items())
        return (row[0] != kind) * 8 + (row[1] != protocol) * 4 + differs
    row = min(SECTIONS, key=distance)
    at = next((i for i, words in enumerate(DIRECTIONS) if words and words in lines), 0)
    return [next(i for i, each in enumerate(SECTIONS) if each is row), at]


def sdp(body):
    parts = [part for part in re.split(r"\r?\n(?=m=)", body)[1:4] if part.strip()] or ["m=audio 4000 RTP/AVP 8"]
    host = ("198.51.100.20" if "198.51.100.20" in body else "0.0.0.0" if "0.0.0.0" in body else
            "2001:db8::10" if "IP6" in body else "198.51.100.10")
    octets = [HOSTS.index(host), len(body) % 100, len(parts) - 1]
    for part in parts:
        octets += section(part.splitlines())
    return octets + [0]  # nothing is changed


def extras(request):
    found = [i for i, row in enumerate(EXTRAS)
             for key, value in row.items()
             if key in request and (request[key] == value or (isinstance(value, list) and isinstance(request[key], list) and
                                                              set(map(str, value)) <= set(map(str, request[key]))))]
    found = found[:3]
    return ([4 + len(found)] if found else [0]) + found + [0]


def step(request, tags):
    name = request.get("command")
    has_to = "to-tag" in request
    rows = [i for i, (command, _, _) in enumerate(COMMANDS) if command == name]
    if not rows:
        return []
    row = max(rows, key=lambda i: COMMANDS[i][1] == has_to)

    def tag(key):
        if not isinstance(request.get(key), str):
            return TAGS.index("")
        return TAGS.index(tags.setdefault(request[key], "ABC"[len(tags) % 3]))
    octets = [NG_STEP, row, 0, tag("from-tag"), tag("to-tag")]
    body = request.get("sdp", "")
    if COMMANDS[row][2]:
        octets += sdp("\r\n".join(body) if isinstance(body, list) else str(body))
    return octets + extras(request)


def main():
    golden, folder = sys.argv[1:]
    for name in sorted(os.listdir(os.path.join(golden, "ng"))):
        octets, tags = [], {}
        for each in json.load(open(os.path.join(golden, "ng", name)))["steps"]:
            if isinstance(each.get("request"), dict):
                octets += step(each["request"], tags)
            elif "send" in each:
                octets += [PACKET_STEP, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0]
        if octets:
            open(os.path.join(folder, name.replace(".json", "")), "wb").write(bytes(octets))


if __name__ == "__main__":
    main()
