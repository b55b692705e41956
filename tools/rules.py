#!/usr/bin/env python3
"""Maps every security rule and attack row of docs/security-rules.txt to the tests that name it, and prints the gaps.

A test names a rule as `LAT-3` in text or as `LAT3` in its name. Exit status 1 if a rule of a capability that exists
("now") has no test.
"""

import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def tests():
    for where, _, names in os.walk(os.path.join(ROOT, "tests")):
        for name in names:
            if name.endswith((".cpp", ".py", ".hpp")):
                path = os.path.join(where, name)
                yield os.path.relpath(path, ROOT), open(path, errors="replace").read()


def names_in(text):
    """The ids that a text names: `LAT-11a` anywhere, `LAT11a` before the underscore of a test's name."""
    return set(re.findall(r"(?<![A-Za-z0-9])[A-Z]+-\d+[a-z]?(?![0-9a-z])", text)) | set(
        re.findall(r"(?<![A-Za-z0-9])[A-Z]+\d+[a-z]?(?=_)", text))


def main():
    named = [(path, names_in(text)) for path, text in tests()]
    gaps, waiting = [], 0
    for line in open(os.path.join(ROOT, "docs", "security-rules.txt")):
        if line.startswith("#") or not line.strip():
            continue
        rule, capability, summary = line.rstrip("\n").split("\t")
        found = [path for path, names in named if rule in names or rule.replace("-", "") in names]
        print(f"{rule:<8} {capability:<11} {', '.join(found) if found else '-':<60} {summary}")
        if not found:
            if capability == "now":
                gaps.append(rule)
            else:
                waiting += 1
    print(f"\n{len(gaps)} gaps{': ' + ', '.join(gaps) if gaps else ''}; {waiting} rules wait for their capability")
    return 1 if gaps else 0


if __name__ == "__main__":
    sys.exit(main())
