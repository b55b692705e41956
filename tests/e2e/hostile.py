#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plays attacks against a real rtpferryd with default options, each in a network namespace of its own.

    hostile.py [CASE ...] --build BIN [--quick] [--jobs N] [-v]

Each file of hostile/ that begins with a number is an attack: on the listeners, on DTLS, a process that stood still.
A live call goes on beside it and may lose nothing (hostile/beside.py). Each attack is bounded in time.
CASE is a file name or its beginning; all without one. --quick leaves out those that say SLOW: those run in `make soak`.
Exit status: 0 no case failed, 1 some failed, 77 cannot run here (the reason is printed).
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
import cases

# One at a time: an attack loads the machine, and the call beside it is judged.
sys.exit(cases.main(os.path.join(HERE, "hostile"), __doc__, jobs=1))
