#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Maps every rule and attack row of docs/rules.md to the tests that name it.

Without an option it prints the map and the gaps. --write writes the tables of tests in docs/rules.md, --check says
whether they are what the tests say; all three fail if a rule has no test, unless the line `*Waits for: …*` says that
the relay does not have its subject yet.

A test names a rule as `LAT-3` in text or as `LAT3` in its name.
"""

import os
import re
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
PAGE = "docs/rules.md"
HEADING = re.compile(r"^### ([A-Z]{1,3}-\d+[a-z]?)$", re.M)
MARKED = re.compile(r"<!-- tests of (.+?) -->\n(.*?)<!-- end of tests of \1 -->", re.S)


class Rule:
    """One rule: its name, what it says, and what it waits for (empty if the relay has it)."""

    def __init__(self, name, body):
        waits = re.match(r"\s*\*Waits for: (.+?)\.\*", body)
        self.name = name
        self.waits_for = waits.group(1) if waits else ""
        text = body[waits.end():] if waits else body
        self.text = " ".join(re.split(r"^#|^<!--", text, maxsplit=1, flags=re.M)[0].split())


def read(*path):
    with open(os.path.join(*path), errors="replace") as file:
        return file.read()


def rules_of(page):
    parts = HEADING.split(page)
    return [Rule(name, body) for name, body in zip(parts[1::2], parts[2::2])]


def rules(root=ROOT):
    return rules_of(read(root, PAGE))


def tests(root=ROOT):
    for where, _, names in os.walk(os.path.join(root, "tests")):
        for name in names:
            if name.endswith((".cpp", ".py", ".hpp")):
                path = os.path.join(where, name)
                yield os.path.relpath(path, root), read(path)


def names_in(text):
    """The rules that a text names: `LAT-11a` anywhere, `LAT11a` before the underscore of a test's name.

    A range (`S-01 to S-12`) says what a file is about and proves none of them.
    """
    text = re.sub(r"(?<![A-Za-z0-9])[A-Z]+-\d+[a-z]? (?:to|…|-) [A-Z]+-\d+[a-z]?", "", text)
    whole = set(re.findall(r"(?<![A-Za-z0-9])[A-Z]+-\d+[a-z]?(?![0-9a-z])", text))
    return whole | set(re.findall(r"(?<![A-Za-z0-9])[A-Z]+\d+[a-z]?(?=_)", text))


def tests_by_rule(known, root=ROOT):
    named = sorted((path, names_in(text)) for path, text in tests(root))
    return {rule.name: [path for path, names in named if rule.name in names or rule.name.replace("-", "") in names]
            for rule in known}


def with_tables(page, found):
    """The page with a table of tests below each chapter."""
    known = {rule.name: rule for rule in rules_of(page)}

    def table(match):
        start = page.rfind("\n## ", 0, match.start())
        lines = ["| rule | tests |", "|---|---|"]
        for name in HEADING.findall(page[start:match.start()]):
            waits = known[name].waits_for
            cell = ", ".join(f"[{os.path.basename(path)}](../{path})" for path in found[name])
            lines.append(f"| [{name}](#{name.lower()}) | {cell or f'waits for: {waits}'} |")
        mark = match.group(1)
        return f"<!-- tests of {mark} -->\n" + "\n".join(lines) + f"\n<!-- end of tests of {mark} -->"

    return MARKED.sub(table, page)


def main():
    page = read(ROOT, PAGE)
    known = rules_of(page)
    found = tests_by_rule(known)
    gaps = [rule.name for rule in known if not found[rule.name] and not rule.waits_for]
    wanted = with_tables(page, found)
    if "--write" in sys.argv:
        with open(os.path.join(ROOT, PAGE), "w") as file:
            file.write(wanted)
    elif "--check" in sys.argv:
        if wanted != page:
            print(f"{PAGE} is not what the tests say: run tools/rules.py --write")
            return 1
    else:
        for rule in known:
            paths = ", ".join(found[rule.name]) or "-"
            print(f"{rule.name:<8} {rule.waits_for or 'now':<11} {paths:<60} {rule.text[:160]}")
    waiting = sum(1 for rule in known if rule.waits_for and not found[rule.name])
    print(f"{len(known)} rules, {len(gaps)} gaps{': ' + ', '.join(gaps) if gaps else ''}; "
          f"{waiting} wait for what the relay does not have yet")
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
