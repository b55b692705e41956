#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/licences.py finds a file without its line, or with a wrong one, and puts the line where it belongs."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "..", "tools"))
import licences  # noqa: E402 (needs the path)

LINE = "SPDX-License-Identifier: "


class Licences(unittest.TestCase):
    def test_a_missing_line_is_a_fault(self):
        self.assertIn("no SPDX", licences.fault("a.cpp", "#include <x>\n"))
        self.assertIsNone(licences.fault("a.cpp", f"// {LINE}Apache-2.0\n"))

    def test_a_line_far_down_does_not_count(self):
        self.assertIsNotNone(licences.fault("a.cpp", "\n" * licences.TOP + f"// {LINE}Apache-2.0\n"))

    def test_another_licence_is_a_fault(self):
        self.assertIn("MIT", licences.fault("a.cpp", f"// {LINE}MIT\n"))
        self.assertIsNotNone(licences.fault("relay/bpf/abi.h", f"/* {LINE}Apache-2.0 */\n"))

    def test_programs_of_the_kernel_have_their_own(self):
        for path in ("relay/bpf/abi.h", "relay/bpf/ferry.bpf.c", "relay/bpf/program/parse.h"):
            self.assertIsNone(licences.fault(path, f"/* {LINE}BSD-3-Clause OR GPL-2.0 */\n"), path)
        self.assertEqual(licences.licence_of("relay/bpf/helper.cpp"), "Apache-2.0")

    def test_the_line_is_written_once_and_is_then_found(self):
        for path, text in (("a/x.cpp", "// It does.\n#pragma once\n"), ("relay/bpf/program/hop.h", "#ifndef Y\n"), ("x.py", '"""Doc."""\n'),
                           ("CMakeLists.txt", "project(x)\n"), ("Makefile", "all:\n"), ("manual.8", ".TH X 8\n"), ("empty.hpp", "")):
            written = licences.with_line(path, text)
            self.assertTrue(written.endswith(text))
            self.assertEqual(written.count(LINE), 1)
            self.assertIsNone(licences.fault(path, written), written)

    def test_what_starts_a_program_stays_first(self):
        for first in ("#!/usr/bin/env python3", "#!KAMAILIO"):
            lines = licences.with_line("a.cfg", f"{first}\nrest\n").split("\n")
            self.assertEqual([lines[0], lines[2]], [first, "rest"])
            self.assertIn(LINE, lines[1])

    def test_documents_and_data_need_none(self):
        for path in ("a.md", "a.json", "X-1.patch", "tests/golden/rtpproxy/bridge.txt", "LICENSE"):
            self.assertIsNone(licences.comment_of(path), path)


if __name__ == "__main__":
    unittest.main()
