#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints how much unit test a folder's code has, by folder: lines of code, lines of its unit tests, their ratio.

usage: test_share.py [FOLDER [LEAST]]      FOLDER: relay, control, ...; LEAST: the ratio below which it exits with 1

Counts lines that are neither empty nor comment, in C++ and C. The unit tests of relay/core/latch are those of
tests/unit/relay/core/latch: a test that stands elsewhere counts for nothing here. Sources without a test of their own
name (latch.cpp: latch_test.cpp) are listed at the end: another file may test them.
"""

import collections
import os
import re
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
TESTS = os.path.join("tests", "unit")


def lines_of_code(path):
    count, in_comment = 0, False
    for line in open(path, errors="replace"):
        text = line.strip()
        if not in_comment and text and not text.startswith(("//", "/*")):
            count += 1
        in_comment = (in_comment or text.startswith("/*")) and "*/" not in text
    return count


def by_folder(top, base):
    """Lines of code by folder, the way from `base` to it; and the names of the files."""
    lines, names = collections.Counter(), []
    for where, _, files in os.walk(os.path.join(ROOT, base, top)):
        for name in files:
            path = os.path.join(where, name)
            if re.search(r"\.(cpp|hpp|h|c)$", name) and name != "vmlinux.h":  # the kernel's own
                lines[os.path.relpath(where, os.path.join(ROOT, base))] += lines_of_code(path)
                names.append(os.path.relpath(path, os.path.join(ROOT, base)))
    return lines, names


top = sys.argv[1].strip("/") if len(sys.argv) > 1 else "relay"
code, sources = by_folder(top, "")
tests, test_names = by_folder(top, TESTS)
for folder in sorted(code | tests):
    print(f"{code[folder]:7} {tests[folder]:7}  {tests[folder] / max(1, code[folder]):5.2f}  {folder}")
ratio = tests.total() / max(1, code.total())
print(f"{code.total():7} {tests.total():7}  {ratio:5.2f}  all of {top}")
alone = sorted({re.sub(r"\.(cpp|hpp|h|c)$", "", name) for name in sources} -
               {re.sub(r"_test\.cpp$", "", name) for name in test_names})
print(f"{len(alone)} sources without a test of their own name: {' '.join(alone)}")
sys.exit(1 if len(sys.argv) > 2 and ratio < float(sys.argv[2]) else 0)
