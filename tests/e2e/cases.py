# SPDX-License-Identifier: Apache-2.0
"""Plays cases against rtpferryd, several side by side, each in a process and a network namespace of its own.

A case is a file of a folder with a docstring (first line: its title), REFERENCE, RIGHT and `play(w)`; `w` is a World of
field/kit.py. A case may set SLOW (left out by --quick) and LIMIT (seconds that it may take, 120 by default).
A script names its folder: see field/run.py and hostile.py.
"""
import argparse
import concurrent.futures
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEM_PYTHON = "/usr/bin/python3"
sys.path.insert(0, os.path.join(HERE, "field"))
if os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON) and os.path.exists(SYSTEM_PYTHON):
    # Debian's modules belong to Debian's interpreter; ctest may have found another one.
    os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
try:
    import kit
except ImportError as missing:
    print(f"skipped: {missing} (apt-get install python3-cryptography)")
    sys.exit(77)

PASS, FAIL, UNSUPPORTED = 0, 1, 3
WORDS = {PASS: "pass", FAIL: "FAIL", UNSUPPORTED: "unsupported"}


def load(path):
    """The case as a module; it may import what lies in its own folder."""
    if os.path.dirname(path) not in sys.path:
        sys.path.insert(0, os.path.dirname(path))
    spec = importlib.util.spec_from_file_location("case", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def play(path, relay):
    """Plays one case, already in its namespace. Returns its exit status."""
    case = load(path)
    kit.build_network(getattr(case, "MORE_ADDRESSES", ()))
    root = tempfile.mkdtemp(prefix="field-case-")
    os.chmod(root, 0o755)
    w, status = kit.World(os.path.dirname(relay), root), PASS
    try:
        case.play(w)
    except kit.Unsupported as e:
        print(f"unsupported: {e}")
        status = UNSUPPORTED
    except kit.Failed as e:
        w.faults.append(str(e))
    except (LookupError, TypeError, ValueError, AttributeError, OSError, subprocess.SubprocessError) as e:
        import traceback
        where = traceback.extract_tb(e.__traceback__)[-1]
        w.faults.append(f"unusable answer: {e!r} ({os.path.basename(where.filename)}:{where.lineno})")
    w.close()
    for text in w.notes:
        print(f"note: {text}")
    for text in w.faults:
        print(f"fault: {text}")
    if os.environ.get("FIELD_CASE_KEEP"):
        print(f"note: kept {root}")
    else:
        shutil.rmtree(root, ignore_errors=True)
    return FAIL if w.faults else status


def play_apart(path, relay):
    """Plays one case in a process and a namespace of its own. Returns (path, status, what it printed, seconds)."""
    began = time.monotonic()
    try:
        done = subprocess.run(["unshare", "-n", sys.executable, os.path.abspath(__file__), "--inside", path, relay],
                              capture_output=True, text=True, timeout=getattr(load(path), "LIMIT", 120))
        status, text = done.returncode, done.stdout + done.stderr[-2000:]
    except subprocess.TimeoutExpired:
        status, text = FAIL, "fault: took too long"
    return path, status if status in WORDS else FAIL, text, time.monotonic() - began


def is_case(name):
    return name.endswith(".py") and name[0].isdigit()


def main(folder, usage, jobs=4):
    """The whole of a script that plays the cases of `folder`. Returns its exit status: 0 no case failed, 1 some failed,
    77 cannot run here (the reason is printed)."""
    ap = argparse.ArgumentParser(usage=usage)
    ap.add_argument("cases", metavar="CASE", nargs="*", help="file name of a case, or its beginning")
    ap.add_argument("--build", metavar="BIN", required=True, help="folder of the built programs")
    ap.add_argument("--kernel", action="store_true", help="the relay forwards in the kernel (offload=v0=tc)")
    ap.add_argument("--quick", action="store_true", help="leave out the cases that say SLOW")
    ap.add_argument("--jobs", type=int, metavar="N", default=jobs, help=f"cases at a time (default {jobs})")
    ap.add_argument("-v", action="store_true", help="prints the notes of cases that passed too")
    args = ap.parse_args()
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        print("skipped: network namespaces need root")
        return 77
    if args.kernel:
        os.environ["FIELD_CASE_OFFLOAD"] = "v0=tc"
    relay = os.path.join(os.path.abspath(args.build), "rtpferryd")
    names = sorted(filter(is_case, os.listdir(folder)))
    if args.cases:
        names = [n for n in names if any(n.startswith(c.removesuffix(".py")) for c in args.cases)]
    paths = [os.path.join(folder, n) for n in names]
    if args.quick:
        paths = [p for p in paths if not getattr(load(p), "SLOW", False)]
    counts = dict.fromkeys(WORDS, 0)
    with concurrent.futures.ThreadPoolExecutor(max(1, args.jobs)) as pool:
        for path, status, text, seconds in pool.map(lambda p: play_apart(p, relay), paths):
            counts[status] += 1
            print(f"{WORDS[status]:11} {os.path.basename(path)[:-3]:44} ({seconds:.1f} s)", flush=True)
            if status != PASS or args.v:
                for line in text.splitlines():
                    print("            " + line, flush=True)
    print(f"{counts[PASS]} passed, {counts[FAIL]} failed, {counts[UNSUPPORTED]} unsupported")
    return 1 if counts[FAIL] or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(play(sys.argv[2], sys.argv[3]))
