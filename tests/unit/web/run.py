#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sources of the web page: their types, their unit tests, and that web/dist is what they build to, octet for octet.

npm installs from the lock file into the build folder. Exit status: 0 passed, 1 failed, 77 cannot run here (the reason is printed).
"""

import argparse
import os
import shutil
import subprocess
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", ".."))


def contents(folder):
    return {name: open(os.path.join(folder, name), "rb").read() for name in sorted(os.listdir(folder))}


def install(folder):
    """Puts the sources and npm's packages into `folder`. Returns why it cannot; nothing if all is well."""
    web, tests = os.path.join(folder, "web"), os.path.join(folder, "tests", "unit", "web")
    lock, kept = os.path.join(ROOT, "web", "package-lock.json"), os.path.join(web, "package-lock.json")
    is_same = os.path.exists(kept) and open(kept, "rb").read() == open(lock, "rb").read()
    for source, copy in ((os.path.join(ROOT, "web"), web), (os.path.join(ROOT, "tests", "unit", "web"), tests)):
        for name in os.listdir(copy) if os.path.isdir(copy) else []:
            if name != "node_modules":
                path = os.path.join(copy, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
        shutil.copytree(source, copy, ignore=shutil.ignore_patterns("node_modules", "dist", "__pycache__"), dirs_exist_ok=True)
    if is_same and os.path.isdir(os.path.join(web, "node_modules", "uplot")):
        return None
    try:
        made = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=web, capture_output=True, text=True, timeout=120)
    except subprocess.TimeoutExpired:
        return "npm does not answer within 120 s"
    return made.stderr.strip()[-200:] if made.returncode else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True, help="folder for copies and packages")
    folder = os.path.join(os.path.abspath(parser.parse_args().build), "web_sources")
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            print(f"skipped: {program} is not installed")
            return 77
    why = install(folder)
    if why:
        print(f"skipped: npm cannot install what builds the page: {why}")
        return 77
    web = os.path.join(folder, "web")
    good = subprocess.run(["node", "test.mjs"], cwd=web).returncode == 0
    print(f"{'passed' if good else 'FAILED'}  types and unit tests")
    out = os.path.join(folder, "dist")
    built = subprocess.run(["node", "build.mjs", "--out", out], cwd=web).returncode == 0
    committed = contents(os.path.join(ROOT, "web", "dist"))
    different = sorted(name for name in committed.keys() | (contents(out) if built else {}).keys()
                       if not built or committed.get(name) != contents(out).get(name))
    print(f"{'FAILED' if different else 'passed'}  web/dist is what the sources build to {different or ''}")
    if different:
        print("build it again: cd web && npm ci && npm run build")
    return 0 if good and not different else 1


if __name__ == "__main__":
    sys.exit(main())
