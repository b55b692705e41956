# SPDX-License-Identifier: Apache-2.0
"""What a script of end-to-end checks says: a line for each check, and the failed ones once more at the end, below all logs."""

FAILED = []


def check(good, what):
    print(f"{'passed' if good else 'FAILED'}  {what}", flush=True)
    if not good:
        FAILED.append(what)


def exit_status():
    """Of the whole script: 0 passed, 1 failed."""
    for what in FAILED:
        print(f"FAILED  {what}", flush=True)
    return 1 if FAILED else 0
