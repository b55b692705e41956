#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plays the cases of this folder against rtpferryd, several side by side, each in a network namespace of its own.

    run.py [CASE ...] --build BIN [--kernel] [--quick] [--jobs N] [-v]

CASE is a file name or its beginning; all cases without one. BIN holds rtpferryd, rtpferryctl and rtpferry-rtpproxy.
--kernel puts the parties behind a veth, and the relay's tc program forwards plain streams.
--quick leaves out the cases that say SLOW: those run in `make soak`.
Exit status: 0 no case failed, 1 some failed, 77 cannot run here (the reason is printed).
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import cases

sys.exit(cases.main(HERE, __doc__))
