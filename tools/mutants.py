#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Takes each security rule out of the code and expects a test to fail.

Every patch of tests/mutants removes one rule. For each one this tool compiles the sources that the patch changes (and
those that include a changed header), links the named program with these objects in front of the libraries, and runs the
named test. The build that is given supplies everything else and stays as it is, so a mutant costs seconds. Only C++ sources
and headers can be patched: not the BPF programs, whose skeleton the build makes.

Lines of a patch before its first `diff --git`:
  Rule: LAT-11a                                    the rule of docs/rules.md
  Test: session_test --gtest_filter=*LAT11a*       a program of the build, or a script: tests/e2e/offload.py --build BIN
  What: one sentence that says what the patch takes out
  Ends: crash                                      optional: the test may end by `crash` or `time-out` instead of a failure

Exit status: 0 all mutants died, 1 one survived, did not apply, did not build, or its test proves nothing.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time

from rules import rules as known_rules

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
PATCHES = os.path.join(ROOT, "tests", "mutants")
# A rule of this list needs a mutant as soon as docs/rules.md has it.
NEED_ONE = ("LAT-3a LAT-5 LAT-7 LAT-9 LAT-10 LAT-11 LAT-11a LAT-12 LAT-13 LAT-14 LAT-15 DMX-4 DMX-5 DMX-6 SRT-4 SRT-7a "
            "SRT-11 DTL-13 DTL-14 ICE-1 CTL-6 CTL-12 CTL-13 CTL-14 CTL-15 CTL-16 CTL-17 EXP-1 EXP-2").split()
SKIPPED = 77           # exit status of a script on a machine that cannot run it
SECONDS = 300          # for one run of a test
SCRIPT_PROGRAM = "rtpferryd"  # what a script of tests/e2e tests
one_script_at_a_time = threading.Lock()  # scripts name the network namespaces that they make


class Bad(Exception):
    """Why a mutant cannot be judged."""


class Mutant:
    """One patch with what its first lines say."""

    def __init__(self, path):
        self.path, self.name = path, os.path.basename(path)[: -len(".patch")]
        text = open(path).read()
        head, _, self.diff = text.partition("diff --git ")
        self.fields = dict(re.findall(r"^(\w+): (.+)$", head, re.M))
        self.rule = self.fields.get("Rule", "")
        self.test = tuple(shlex.split(self.fields.get("Test", "")))
        self.ends = self.fields.get("Ends", "failure")
        self.changed = re.findall(r"^\+\+\+ b/(.+)$", self.diff, re.M)

    @property
    def is_script(self):
        return self.test[0].endswith(".py")

    @property
    def program(self):
        return SCRIPT_PROGRAM if self.is_script else self.test[0]


def run(command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", **options)


def apply(patch, tree, *options):
    """git apply, which must not look for a repository above the tree; returns what it complains about."""
    around = dict(os.environ, GIT_CEILING_DIRECTORIES=os.path.dirname(tree))
    done = run(["git", "apply", *options, patch], cwd=tree, env=around)
    return done.stdout.strip() if done.returncode else ""


def faults_of_form(mutant, rules, programs):
    """What is wrong with a patch that can be seen without building anything."""
    for field in ("Rule", "Test", "What"):
        if not mutant.fields.get(field):
            yield f"has no line `{field}:`"
    if mutant.rule and mutant.rule not in rules:
        yield f"names {mutant.rule}, which docs/rules.md does not have"
    if mutant.rule and not mutant.name.startswith(mutant.rule + "-"):
        yield f"has a name that does not begin with {mutant.rule}-"
    if mutant.ends not in ("failure", "crash", "time-out"):
        yield f"says `Ends: {mutant.ends}`; failure, crash and time-out are known"
    if mutant.test and mutant.is_script and not os.path.exists(os.path.join(ROOT, mutant.test[0])):
        yield f"names the script {mutant.test[0]}, which does not exist"
    if mutant.test and not mutant.is_script and mutant.test[0] not in programs:
        yield f"names the program {mutant.test[0]}, which tests/CMakeLists.txt does not have"
    if not mutant.changed or any(name.startswith("tests/") for name in mutant.changed):
        yield "changes no code, or changes a test"
    complaint = apply(mutant.path, ROOT, "--check")
    if complaint:
        yield "does not apply: " + complaint.replace("\n", "; ")


def check(mutants):
    """--check: every patch is well formed and applies, and no rule that needs a mutant is without one."""
    rules = {rule.name for rule in known_rules()}
    programs = re.findall(r"ferry_test\((\w+)", open(os.path.join(ROOT, "tests", "CMakeLists.txt")).read())
    faults = [f"{mutant.name} {fault}" for mutant in mutants for fault in faults_of_form(mutant, rules, programs)]
    have = {mutant.rule for mutant in mutants}
    faults += [f"{rule} has no mutant" for rule in NEED_ONE if rule in rules and rule not in have]
    for fault in faults:
        print(fault)
    print(f"{len(mutants)} mutants of {len(have)} rules, {len(faults)} faults")
    return 1 if faults else 0


class Build:
    """A finished Ninja build: how it compiles a source and links a program."""

    def __init__(self, programs):
        self.programs = os.path.realpath(programs)
        self.folder = os.path.dirname(self.programs)
        cache = open(os.path.join(self.folder, "CMakeCache.txt")).read()
        self.source = re.search(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.+)$", cache, re.M).group(1)
        self.scratch = os.path.join(ROOT, "build", "mutants")
        entries = json.load(open(os.path.join(self.folder, "compile_commands.json")))
        self.compiles = {re.search(r" -o (\S+) ", entry["command"]).group(1): entry for entry in entries}
        self.includes = self._read_includes()

    def _read_includes(self):
        """Header -> the files that include it, by names from the top of the tree."""
        found = {}
        for part in ("relay", "control", "codecs", "recorder", "tools", "tests"):
            for where, _, names in os.walk(os.path.join(self.source, part)):
                for name in (name for name in names if name.endswith((".cpp", ".hpp", ".h"))):
                    path = os.path.join(where, name)
                    for header in re.findall(r'^#include "(.+?)"', open(path, errors="replace").read(), re.M):
                        found.setdefault(header, set()).add(os.path.relpath(path, self.source))
        return found

    def affected(self, changed):
        """The changed files and all that include them."""
        todo, seen = list(changed), set()
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo += self.includes.get(name, ())
        return seen

    def commands(self, program):
        done = run(["ninja", "-t", "commands", "bin/" + program], cwd=self.folder)
        if done.returncode:
            raise Bad(f"the build has no program {program}")
        return done.stdout.splitlines()

    def sources(self, entry):
        """The sources that one object is made of, by names from the top of the tree: a unity build compiles
        several as one."""
        names = [entry["file"]]
        if "/Unity/" in entry["file"]:
            names = re.findall(r'^#include "(.+?)"', open(entry["file"]).read(), re.M)
        return [os.path.relpath(name, self.source) for name in names]

    def compile(self, entry, overlay, output):
        """One object. Headers and sources in `overlay` stand before those of the tree."""
        words, skip = [], 0
        for word in shlex.split(entry["command"]):
            if skip or word in ("-MF", "-MT", "-o"):
                skip = 0 if skip else 1
            elif word not in ("-MD", "-Werror"):
                words.append(word)
        changed = {name: os.path.join(overlay, name) for name in self.sources(entry)
                   if os.path.exists(os.path.join(overlay, name))}
        if changed:
            # The compiler would find another source of a unity build in the tree: all of them are named here.
            merged = output + ".cpp"
            with open(merged, "w") as out:
                for name in self.sources(entry):
                    out.write(f'#include "{changed.get(name, os.path.join(self.source, name))}"\n')
            words = [merged if word == entry["file"] else word for word in words]
        at = next(i for i, word in enumerate(words) if word.startswith("-I"))
        words[at:at] = ["-I" + overlay]
        done = run(words + ["-o", output], cwd=entry["directory"])
        if done.returncode:
            raise Bad("does not build: " + next((line for line in done.stdout.splitlines() if "error" in line), "?"))

    def make(self, program, mutant, folder):
        """The mutant's program in `folder`/bin."""
        overlay = os.path.join(folder, "source")
        for name in mutant.changed:
            os.makedirs(os.path.dirname(os.path.join(overlay, name)), exist_ok=True)
            shutil.copy(os.path.join(self.source, name), os.path.join(overlay, name))
        complaint = apply(mutant.path, overlay)
        if complaint:
            raise Bad("does not apply: " + complaint.splitlines()[0])
        commands, affected = self.commands(program), self.affected(mutant.changed)
        made = set(re.findall(r" -o (\S+\.o) ", "\n".join(commands)))
        objects = {}
        for output in sorted(made & set(self.compiles)):
            if affected.intersection(self.sources(self.compiles[output])):
                objects[output] = os.path.join(folder, f"{len(objects)}.o")
                self.compile(self.compiles[output], overlay, objects[output])
        if not objects:
            raise Bad(f"changes nothing that {program} is made of")
        self.link(commands, program, objects, os.path.join(folder, "bin", program))

    def link(self, commands, program, objects, output):
        """An object that comes first keeps the linker from taking its twin out of a library."""
        line = next(line for line in reversed(commands) if f" -o bin/{program} " in line)
        words = [word for word in shlex.split(line) if word not in (":", "&&")]
        first = next(i for i, word in enumerate(words) if word.endswith((".o", ".a")))
        words[first:first] = [path for name, path in objects.items() if name not in words]
        words = [objects.get(word, output if word == f"bin/{program}" else word) for word in words]
        done = run(words, cwd=self.folder)
        if done.returncode:
            raise Bad("does not link: " + done.stdout.strip().splitlines()[-1])


def in_a_network_of_its_own(command):
    """Tests that bind loopback addresses do not meet. Without the right to do so they run where we are."""
    if os.geteuid() != 0:
        return command
    return ["unshare", "-n", "sh", "-c", 'ip link set lo up; exec "$@"', "sh", *command]


def outcome(mutant, programs):
    """How the test ends with the programs of a folder: passed, failure, crash, time-out, skipped or empty."""
    if mutant.is_script:
        script, *rest = mutant.test
        command = [sys.executable, os.path.join(ROOT, script), *(programs if word == "BIN" else word for word in rest)]
    else:
        command = [os.path.join(programs, mutant.test[0]), *mutant.test[1:]]
    lock = one_script_at_a_time if mutant.is_script else threading.Lock()
    with lock:
        try:
            done = run(in_a_network_of_its_own(command), timeout=SECONDS, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return "time-out"
    if done.returncode == SKIPPED:
        return "skipped"
    if mutant.is_script:
        if done.returncode == 0:
            return "passed"
        return "crash" if done.returncode != 1 or "Traceback (most recent" in done.stdout else "failure"
    if done.returncode == 0:
        return "passed" if "[       OK ]" in done.stdout else "empty"
    return "failure" if done.returncode == 1 and "[  FAILED  ]" in done.stdout else "crash"


def programs_for(mutant, build, folder):
    """A folder with the mutant's program, beside the others of the build for a script."""
    shutil.rmtree(folder, ignore_errors=True)
    programs = os.path.join(folder, "bin")
    os.makedirs(programs)
    if mutant.is_script:
        for name in os.listdir(build.programs):
            if name != mutant.program:
                os.symlink(os.path.join(build.programs, name), os.path.join(programs, name))
    build.make(mutant.program, mutant, folder)
    return programs


def judge(mutant, build, plain):
    """(verdict, why): killed, survived, broken or skipped. `plain` is how the test ends without the patch."""
    if plain == "skipped":
        return "skipped", "this machine cannot run its test"
    if plain != "passed":
        return "broken", {"empty": "its test selects nothing"}.get(plain, f"without the patch its test ends by {plain}")
    folder = os.path.join(build.scratch, mutant.name)
    try:
        end = outcome(mutant, programs_for(mutant, build, folder))
    except Bad as bad:
        return "broken", str(bad)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if end == "passed":
        return "survived", "its test passes without the rule"
    return ("killed", "") if end in ("failure", mutant.ends) else ("broken", f"its test ends by {end}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", metavar="BIN", default=os.path.join(ROOT, "build", "release", "bin"),
                        help="the programs of an up-to-date build")
    parser.add_argument("--only", metavar="RULE", action="append", default=[], help="only this rule, or this patch")
    parser.add_argument("--check", action="store_true", help="build nothing; look at the patches only")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time (default: one for each core)")
    asked = parser.parse_args()
    mutants = [Mutant(os.path.join(PATCHES, name)) for name in sorted(os.listdir(PATCHES)) if name.endswith(".patch")]
    if asked.check:
        return check(mutants)
    mutants = [mutant for mutant in mutants if not asked.only or mutant.rule in asked.only or mutant.name in asked.only]
    bad = [mutant for mutant in mutants if not mutant.test]
    if bad or not mutants:
        print(f"{bad[0].name} has no line `Test:`" if bad else "no such mutant")
        return 1
    build, count = Build(asked.build), dict.fromkeys(("killed", "survived", "broken", "skipped"), 0)
    with concurrent.futures.ThreadPoolExecutor(asked.jobs) as pool:
        tests = {mutant.test: mutant for mutant in mutants}
        plain = dict(zip(tests, pool.map(lambda mutant: outcome(mutant, build.programs), tests.values())))

        def timed(mutant):
            start = time.monotonic()
            return judge(mutant, build, plain[mutant.test]), time.monotonic() - start

        for mutant, ((verdict, why), seconds) in zip(mutants, pool.map(timed, mutants)):
            count[verdict] += 1
            print(f"{verdict:<9} {mutant.name:<32} {seconds:5.1f} s  {why or ' '.join(mutant.test)}", flush=True)
    rules = len({mutant.rule for mutant in mutants})
    print(f"{len(mutants)} mutants of {rules} rules: " + ", ".join(f"{n} {verdict}" for verdict, n in count.items()))
    return 1 if count["survived"] or count["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
