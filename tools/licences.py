#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each source file names its licence in an SPDX line at its top (https://spdx.dev/ids).

tools/licences.py --check lists the files without the right line and fails if there are any; --write puts it in. A file that
cannot hold a comment (JSON, recorded texts, patches) and the documents are under the licence that packaging/debian/copyright
names for everything.
"""

import os
import re
import subprocess
import sys

ROOT = os.path.realpath(os.path.join(os.path.dirname(__file__), ".."))
USUAL = "Apache-2.0"
# The kernel accepts these; packaging/debian/copyright lists the same files.
KERNEL = "BSD-3-Clause OR GPL-2.0"
KERNEL_FILES = re.compile(r".*\.bpf\.c$|relay/bpf/(abi\.h|program/[^/]+\.h)$")

# Ending or whole name -> what stands before and behind the line.
COMMENTS = {
    ".cpp": ("// ", ""), ".hpp": ("// ", ""), ".mjs": ("// ", ""), ".js": ("// ", ""), ".ts": ("// ", ""),
    ".c": ("/* ", " */"), ".h": ("/* ", " */"), ".css": ("/* ", " */"),
    ".py": ("# ", ""), ".sh": ("# ", ""), ".cmake": ("# ", ""), ".cfg": ("# ", ""), ".conf": ("# ", ""), ".service": ("# ", ""),
    ".sysusers": ("# ", ""), ".tmpfiles": ("# ", ""), ".yaml": ("# ", ""), ".yml": ("# ", ""), ".8": ('.\\" ', ""),
    "CMakeLists.txt": ("# ", ""), "Makefile": ("# ", ""), "Containerfile": ("# ", ""), "rules": ("# ", ""), "run": ("# ", ""),
    "usr.sbin.rtpferryd": ("# ", ""),
}
TAG = re.compile(r"SPDX-License-Identifier: ([\w.+ -]*[\w.+])")
# Made by programs, or minified; packaging/debian/copyright says what they are.
MADE = re.compile(r"(^|/)(package-lock\.json|dist/|vendor/)")
# The line stands this far up.
TOP = 3


def comment_of(path):
    """What stands around the line in this file; None if it needs none."""
    name = os.path.basename(path)
    return COMMENTS.get(name) or COMMENTS.get(os.path.splitext(name)[1])


def licence_of(path):
    return KERNEL if KERNEL_FILES.match(path) else USUAL


def fault(path, text):
    """What is wrong with the line of a file, as a sentence; None if nothing is."""
    found = [TAG.search(line) for line in text.split("\n")[:TOP]]
    named = [match[1].strip() for match in found if match]
    if not named:
        return f"{path}: no SPDX-License-Identifier in its first {TOP} lines"
    return None if named == [licence_of(path)] else f"{path}: {' and '.join(named)} instead of {licence_of(path)}"


def with_line(path, text):
    """The text with the line at its top, behind a first line for the kernel or for Kamailio (#!)."""
    before, behind = comment_of(path)
    line = f"{before}SPDX-License-Identifier: {licence_of(path)}{behind}\n"
    first, newline, rest = text.partition("\n")
    return first + newline + line + rest if first.startswith("#!") else line + text


def sources(root):
    """Files that need the line: tracked ones, and new ones that are not ignored."""
    listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"], capture_output=True, check=True)
    for path in sorted(set(listed.stdout.decode().split("\0"))):
        whole = os.path.join(root, path)
        if path and comment_of(path) and not MADE.search(path) and os.path.isfile(whole) and not os.path.islink(whole):
            yield path


def main(words):
    if words not in (["--check"], ["--write"]):
        print(__doc__)
        return 2
    if subprocess.run(["git", "-C", ROOT, "rev-parse"], capture_output=True).returncode != 0:
        print("skipped  this folder is not a git repository, so nobody knows which files are sources")
        return 77
    faults, written = [], 0
    for path in sources(ROOT):
        whole = os.path.join(ROOT, path)
        with open(whole, encoding="utf-8") as file:
            text = file.read()
        wrong = fault(path, text)
        if wrong and words == ["--write"] and not TAG.search("\n".join(text.split("\n")[:TOP])):
            with open(whole, "w", encoding="utf-8") as file:
                file.write(with_line(path, text))
            written += 1
        elif wrong:
            faults.append(wrong)
    print("\n".join(faults) or f"every source file names its licence{f'; {written} were written' if written else ''}")
    if faults and words == ["--check"]:
        print("tools/licences.py --write puts the line in")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
