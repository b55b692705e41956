#!/usr/bin/python3
"""Plays the cases of this folder against rtpferryd, several side by side, each in a network namespace of its own.

    run.py [CASE ...] --build BIN [--kernel] [--quick] [--jobs N] [-v]

CASE is a file name or its beginning; all cases without one. BIN holds rtpferryd, rtpferryctl and rtpferry-rtpproxy.
--kernel puts the parties behind a veth, and the relay's tc program forwards plain streams.
--quick leaves out the cases that say SLOW: those run in `make soak`.
Exit status: 0 no case failed, 1 some failed, 77 cannot run here (the reason is printed).
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
sys.path.insert(0, HERE)
try:
    import kit
except ImportError as missing:
    # Debian's modules belong to Debian's interpreter; ctest may have found another one.
    if os.path.realpath(sys.executable) != os.path.realpath(SYSTEM_PYTHON) and os.path.exists(SYSTEM_PYTHON):
        os.execv(SYSTEM_PYTHON, [SYSTEM_PYTHON, *sys.argv])
    print(f"skipped: {missing} (apt-get install python3-cryptography)")
    sys.exit(77)

PASS, FAIL, UNSUPPORTED = 0, 1, 3
WORDS = {PASS: "pass", FAIL: "FAIL", UNSUPPORTED: "unsupported"}


def load(path):
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


def play_apart(name, relay):
    """Plays one case in a process and a namespace of its own. Returns (name, status, what it printed, seconds)."""
    path = os.path.join(HERE, name)
    began = time.monotonic()
    try:
        done = subprocess.run(["unshare", "-n", sys.executable, os.path.abspath(__file__), "--inside", path, relay],
                              capture_output=True, text=True, timeout=getattr(load(path), "LIMIT", 120))
        status, text = done.returncode, done.stdout + done.stderr[-2000:]
    except subprocess.TimeoutExpired:
        status, text = FAIL, "fault: took too long"
    return name, status if status in WORDS else FAIL, text, time.monotonic() - began


def main():
    if sys.argv[1:2] == ["--inside"]:
        return play(sys.argv[2], sys.argv[3])
    ap = argparse.ArgumentParser(usage=__doc__)
    ap.add_argument("cases", nargs="*")
    ap.add_argument("--build", required=True)
    ap.add_argument("--kernel", action="store_true")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--jobs", type=int, default=4)
    ap.add_argument("-v", action="store_true", help="prints the notes of cases that passed too")
    args = ap.parse_args()
    if os.geteuid() != 0 or subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode != 0:
        print("skipped: network namespaces need root")
        return 77
    if args.kernel:
        os.environ["FIELD_CASE_OFFLOAD"] = "v0=tc"
    relay = os.path.join(os.path.abspath(args.build), "rtpferryd")
    names = sorted(n for n in os.listdir(HERE) if n[0].isdigit() and n.endswith(".py"))
    if args.cases:
        names = [n for n in names if any(n.startswith(c.removesuffix(".py")) for c in args.cases)]
    if args.quick:
        names = [n for n in names if not getattr(load(os.path.join(HERE, n)), "SLOW", False)]
    counts = dict.fromkeys(WORDS, 0)
    with concurrent.futures.ThreadPoolExecutor(max(1, args.jobs)) as pool:
        for name, status, text, seconds in pool.map(lambda n: play_apart(n, relay), names):
            counts[status] += 1
            print(f"{WORDS[status]:11} {name[:-3]:44} ({seconds:.1f} s)", flush=True)
            if status != PASS or args.v:
                for line in text.splitlines():
                    print("            " + line, flush=True)
    print(f"{counts[PASS]} passed, {counts[FAIL]} failed, {counts[UNSUPPORTED]} unsupported")
    return 1 if counts[FAIL] or not sum(counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
