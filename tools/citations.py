#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails on a citation that a reader cannot open.

Looks at comments, texts and documents of the whole tree for
- a rule or attack row that docs/rules.md does not have (`LAT-8`, `LAT8_` in a test's name, `C-20`, `L10-a`),
- a file of this tree that does not exist, or an anchor that its document does not have,
- an architecture decision (`ADR 9`) or a seam (docs/architecture.md) that does not exist,
- a section of nothing: `section 4` or `§4` without an RFC or another document before it,
- a document outside the repository.
"""

import functools
import os
import re
import sys

import rules

ROOT = rules.ROOT
FOLDERS = ("relay", "control", "codecs", "recorder", "tools", "tests", "bench", "docs", "cmake", "packaging", "web")
ENDINGS = (".cpp", ".hpp", ".h", ".c", ".py", ".md", ".txt", ".json", ".patch", ".sh", ".cmake", ".conf", ".cfg",
           ".service", ".in", ".mjs", ".js", "Makefile")
# They hold what is wrong on purpose.
NOT_READ = {"tools/citations.py", "tests/unit/tools/citations_test.py"}
# Recorded texts of others, which cite nothing of ours.
RECORDED = ("tests/golden/dialogues/", "web/vendor/")
# The build makes them.
MADE = re.compile(r"\.skel\.h$|^relay/bpf/vmlinux\.h$")

LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
NAMED_FILE = re.compile(
    r"(?<![\w./<-])((?:%s)/[\w./-]*\w\.(?:cpp|hpp|h|c|py|md|txt|json|patch|sh|cmake|conf|cfg|service|in|mjs|js))"
    r"(?![\w*])(#[\w-]+)?" % "|".join(FOLDERS))
DECISION = re.compile(r"\bADR ?0*(\d+)\b")
SEAM = re.compile(r"\b[Ss]eam ?(\d+)\b")
SECTION = re.compile(r"(?:\b[Ss]ections?|§+) ?(\d+(?:\.\d+)*)")
# What a section may be of. An RFC may be named some words before.
DOCUMENT = re.compile(
    r"\b(?:RFC|BCP|STD) ?\d+|\bdraft-|\b[GHT]\.\d+|\bITU-T|\bvirtio |\bPOSIX|docs/[\w./-]+\.md|\w+\.md\b")
BEFORE_SECTION = 300
# A section that is an m-line.
OF_A_BODY = re.compile(r" (?:of (?:the|an) (?:SDP|offer|answer)|names)\b")
# What looks like a rule of some other text: a chapter that docs/rules.md does not have.
FOREIGN_RULE = re.compile(r"(?<![\w%/.-])(?!(?:SHA|UTF|GPL|FNV|CRC)-)[A-Z]{3,8}-\d{1,2}[a-z]?(?![\w-]*\w)")
OUTSIDE = re.compile(r"\b(?:media-security\b|design(?: section| seam|\.md\b)|style(?: section| guide|\.md\b)|"
                     r"sip-proxy-clients\b|codecs\.md\b|voice-streams\b|migration\.md\b|"
                     r"rtpproxy-protocol\b|ng-protocol\b|redesign\b|security-rules\b|NG reference\b(?!\])|"
                     r"NG (?:sections? \d|\d+\.\d)|rtpproxy reference\b(?!\])|its reference, section)")


class Tree:
    """A tree of sources and documents, and what may be cited in it."""

    def __init__(self, root=ROOT):
        self.root = root
        self.rules = {rule.name for rule in rules.rules(root)}
        prefixes = sorted({name.split("-")[0] for name in self.rules}, key=lambda prefix: (-len(prefix), prefix))
        chapters = "|".join(prefix for prefix in prefixes if len(prefix) > 1)
        rows = "".join(prefix for prefix in prefixes if len(prefix) == 1)
        self.rule = re.compile(r"(?<![\w%%/.-])(?:(?:%s)-\d+[a-z]?|[%s]-\d\d[a-z]?)(?![\w-]*\w)" % (chapters, rows))
        self.loose = re.compile(r"\b(?:%s)-\d+ \(?[a-c]\)?(?=[):;,.]| applies)" % chapters)
        self.in_name = re.compile(r"(?<![A-Za-z0-9])(%s)(\d+[a-z]?)(?=_[A-Z])" % chapters)
        self.row = re.compile(r"\"L(\d+)-[a-z]\"")
        decisions = os.path.join(root, "docs", "adr")
        self.decisions = {int(name[:4]) for name in os.listdir(decisions)} if os.path.isdir(decisions) else set()
        architecture = os.path.join(root, "docs", "architecture.md")
        text = rules.read(architecture) if os.path.exists(architecture) else ""
        self.seams = set(re.findall(r"^\| (\d+) \|", text.partition("\n## Seams\n")[2], re.M))

    def files(self):
        for name in sorted(os.listdir(self.root)):
            if name.endswith((".md", "Makefile", "CMakeLists.txt")):
                yield name
        for folder in FOLDERS + (".ci", ".github"):
            for where, _, names in os.walk(os.path.join(self.root, folder)):
                for name in sorted(names):
                    path = os.path.relpath(os.path.join(where, name), self.root)
                    is_script = "." not in name
                    if (name.endswith(ENDINGS) or is_script) and path not in NOT_READ \
                            and not path.startswith(RECORDED) and name != "package-lock.json" and "node_modules" not in path:
                        yield path

    def has(self, path):
        return os.path.exists(os.path.join(self.root, path)) or bool(MADE.search(path))

    @functools.lru_cache(maxsize=None)
    def numbers(self, path):
        """Numbers of the headings of a Markdown document: `## 7. SDP`, `### 7.1 Ports`."""
        return set(re.findall(r"^#+ (\d+(?:\.\d+)*)\.? ", rules.read(self.root, path), re.M))

    @functools.lru_cache(maxsize=None)
    def anchors(self, path):
        """Anchors of a Markdown document, as GitHub makes them of its headings."""
        found = set()
        text = re.sub(r"^```.*?^```", "", rules.read(self.root, path), flags=re.S | re.M)
        for heading in re.findall(r"^#+ (.+?)\s*$", text, re.M):
            heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
            slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            number, free = 0, slug
            while free in found:
                number += 1
                free = f"{slug}-{number}"
            found.add(free)
        return found | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def flat(text):
    """One line of what stands in several lines of a comment."""
    return re.sub(r"\s*\n\s*(?:///?|\*|#)?\s*", " ", text)


def faults_of_rules(tree, path, text):
    for match in tree.rule.finditer(text):
        name = match.group(0)
        # A variant of a row: the tests have C-20b beside C-20.
        is_variant = name[1] == "-" and path.startswith("tests/") and name.rstrip("abcdefghij") in tree.rules
        if name not in tree.rules and not is_variant:
            yield match.start(), f"{name} is no rule of docs/rules.md"
    for match in FOREIGN_RULE.finditer(text):
        if not tree.rule.match(text, match.start()):
            yield match.start(), f"{match.group(0)} is a rule of no chapter of docs/rules.md"
    for match in tree.loose.finditer(text):
        yield match.start(), f"'{match.group(0)}' is written in one word, as in LAT-8b"
    if path.startswith("tests/"):
        for match in tree.in_name.finditer(text):
            if f"{match.group(1)}-{match.group(2)}" not in tree.rules:
                yield match.start(), f"{match.group(0)} is no rule of docs/rules.md"
        for match in tree.row.finditer(text):
            if f"LAT-{match.group(1)}" not in tree.rules:
                yield match.start(), f"{match.group(0)} names no rule of docs/rules.md"


def faults_of_target(tree, target, anchor):
    if not tree.has(target):
        yield f"{target} does not exist"
    elif anchor and target.endswith(".md") and anchor not in tree.anchors(target):
        yield f"{target} has no heading #{anchor}"


def faults_of_files(tree, path, text):
    if path.endswith(".md"):
        for match in LINK.finditer(text):
            target, _, anchor = match.group(1).partition("#")
            if re.match(r"[a-z]+:", target) or target.startswith("/"):
                continue
            whole = os.path.normpath(os.path.join(os.path.dirname(path), target)) if target else path
            yield from ((match.start(), fault) for fault in faults_of_target(tree, whole, anchor))
    for match in NAMED_FILE.finditer(text):
        if not re.search(r"\]\($", text[:match.start()]):
            anchor = (match.group(2) or "").lstrip("#")
            yield from ((match.start(), fault) for fault in faults_of_target(tree, match.group(1), anchor))


def faults_of_documents(tree, path, text):
    for match in DECISION.finditer(text):
        if int(match.group(1)) not in tree.decisions:
            yield match.start(), f"{match.group(0)} does not exist in docs/adr"
    for match in SEAM.finditer(text):
        if match.group(1) not in tree.seams:
            yield match.start(), f"{match.group(0)} is none of docs/architecture.md"
    own = tree.numbers(path) if path.endswith(".md") else set()
    for match in SECTION.finditer(text):
        if match.group(1) in own:
            continue
        before = flat(text[max(0, match.start() - BEFORE_SECTION):match.start()])
        if not DOCUMENT.search(before) and not OF_A_BODY.match(text, match.end()):
            yield match.start(), f"'{match.group(0)}' of which document?"
    for match in OUTSIDE.finditer(text):
        yield match.start(), f"'{match.group(0)}' is outside the repository"


def faults(tree):
    for path in tree.files():
        text = rules.read(tree.root, path)
        for look in (faults_of_rules, faults_of_files, faults_of_documents):
            for at, fault in look(tree, path, text):
                yield f"{path}:{text.count(chr(10), 0, at) + 1}: {fault}"


def main():
    found = list(faults(Tree()))
    for fault in found:
        print(fault)
    print(f"{len(found)} citations that nobody can open")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
