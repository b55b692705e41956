#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The packaged unit: how exposed it is, and whether its filter leaves what the daemon's own tables allow (CTL-17, PRC-1).

Exit status: 0 passed, 1 failed, 77 skipped.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
UNIT = os.path.join(TOP, "packaging", "rtpferry.service")
MOST_EXPOSED = 2.5
failed = False


def check(good, text):
    global failed
    failed = failed or not good
    print(f"{'passed' if good else 'FAILED'}  {text}")


def lines(option):
    """Values of an option in the unit, in order."""
    return [line.partition("=")[2].strip() for line in open(UNIT) if line.startswith(option + "=")]


def names_of(file, start, end):
    """Names inside SCMP_SYS(…) between two words of a source file."""
    text = open(os.path.join(TOP, file)).read()
    part = text[text.index(start):]
    return set(re.findall(r"SCMP_SYS\(([a-z_0-9]+)\)", part[:part.index(end)]))


def expanded(word, groups):
    if not word.startswith("@"):
        return {word}
    return set().union(*(expanded(each, groups) for each in groups[word]))


def groups_of_systemd():
    """@group -> its lines, as systemd-analyze prints them."""
    groups, current = {}, None
    for line in subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True).stdout.splitlines():
        if line.startswith("@"):
            current = groups.setdefault(line.split()[0], [])
        elif current is not None and line.startswith("    ") and not line.strip().startswith("#"):
            current.append(line.strip())
    return groups


def exposure():
    result = subprocess.run(["systemd-analyze", "security", "--offline=true", UNIT], capture_output=True, text=True)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", result.stdout)
    check(level is not None and float(level[1]) <= MOST_EXPOSED, f"CTL-17: systemd-analyze security says {level and level[1]}, at most {MOST_EXPOSED}")


def verify(unit):
    """On a copy whose program is there."""
    with tempfile.TemporaryDirectory() as directory:
        copy = os.path.join(directory, os.path.basename(unit))
        with open(copy, "w") as f:
            f.write(re.sub("/usr/sbin/rtpferryd(-dpdk)?", shutil.which("true"), open(unit).read()))
        result = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True)
        about = [line for line in result.stderr.splitlines() if "rtpferry" in line]
        check(result.returncode == 0 and not about, f"systemd-analyze verify has nothing to say of {os.path.basename(unit)} {about or ''}")


def calls():
    groups = groups_of_systemd()
    allowed = set()
    for value in lines("SystemCallFilter"):
        words = set().union(*(expanded(word, groups) for word in value.lstrip("~").split()))
        allowed = allowed - words if value.startswith("~") else allowed | words
    tables = {
        "the daemon": names_of("tools/rtpferryd/syscalls.cpp", "kMemory", "constexpr std::array kDpdk"),
        "the helper": names_of("relay/bpf/helper.cpp", "kCalls", "};"),
        "their start": {"seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "execve", "clone", "clone3", "vfork",
                        "setsid", "dup2", "prlimit64", "pidfd_open", "mkdir", "capset", "prctl"},
    }
    for who, wanted in tables.items():
        check(wanted and wanted <= allowed, f"CTL-17: the unit's filter leaves all {len(wanted)} calls of {who} {sorted(wanted - allowed) or ''}")
    for hostile in ("mount", "init_module", "ptrace", "kexec_load", "setuid", "chroot", "add_key"):
        check(hostile not in allowed, f"and not {hostile}")


def capabilities():
    helper = open(os.path.join(TOP, "relay/bpf/helper.cpp")).read()
    wanted = set(re.search(r"keep_only\(std::array\{([A-Z_, ]+)\}\)", helper)[1].split(", "))
    for option in ("AmbientCapabilities", "CapabilityBoundingSet"):
        check(set(" ".join(lines(option)).split()) == wanted, f"{option} has what the helper keeps, and nothing else")


def document():
    """docs/operations.md says what the table of capabilities says."""
    rows = re.findall(r'CapabilityRow\{\s*CAP_\w+,\s*"(CAP_\w+)",\s*"([^"]+)"', open(os.path.join(TOP, "tools/rtpferryd/rights.cpp")).read())
    text = open(os.path.join(TOP, "docs/operations.md")).read()
    missing = [name for name, when in rows if f"| {name} | {when} |" not in text]
    check(len(rows) >= 5 and not missing, f"CTL-17: docs/operations.md has the {len(rows)} rows of capabilities {missing or ''}")


def main():
    document()
    if shutil.which("systemd-analyze") is None:
        print("skipped  systemd-analyze is not installed")
        return 1 if failed else 77
    exposure()
    verify(UNIT)
    verify(UNIT.replace("rtpferry.service", "rtpferry-dpdk.service"))
    calls()
    capabilities()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
