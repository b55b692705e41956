#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/ng_docs.py finds what a reference lacks, and a table that is not the one of the source."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "..", "tools"))
import ng_docs  # noqa: E402 (needs the path)


class References(unittest.TestCase):
    def setUp(self):
        self.texts = ng_docs.sources()
        self.pages = {path: ng_docs.read(path) for path in (ng_docs.NG, ng_docs.RTPPROXY)}

    def faults_without(self, path, text):
        self.assertIn(text, self.pages[path])
        pages = dict(self.pages)
        pages[path] = pages[path].replace(text, "")
        return ng_docs.faults(self.texts, pages)

    def test_the_references_are_complete(self):
        self.assertEqual(ng_docs.faults(self.texts, self.pages), [])

    def test_each_kind_of_gap_is_found(self):
        for path, text, fault in (
                (ng_docs.NG, "Trying to inject to self", "lacks the error Trying to inject to self"),
                (ng_docs.NG, "`inject start`", "lacks the command `inject start`"),
                (ng_docs.NG, "crtansw", "lacks the short name crtansw"),
                (ng_docs.NG, "| `call-id` | now |", "is not what the tables say: run tools/ng_docs.py"),
                (ng_docs.RTPPROXY, "`E75`", "lacks the error `E75`"),
                (ng_docs.RTPPROXY, "| 20191015 |", "lacks the capability | 20191015 |"),
                (ng_docs.RTPPROXY, "`rtpa_javg`", "lacks the counter `rtpa_javg`")):
            with self.subTest(text):
                self.assertIn(f"{path} {fault}", self.faults_without(path, text))

    def test_a_new_error_needs_a_line(self):
        self.texts["control/" + "new.cpp"] = '{RequestFault::kNoX, "No \\"x\\" in message"},'
        self.assertEqual(ng_docs.faults(self.texts, self.pages), [f'{ng_docs.NG} lacks the error No "x" in message'])

    def test_a_source_that_the_patterns_do_not_fit_is_a_fault(self):
        path = next(each for each in self.texts if each.endswith("/ng/service.cpp"))
        self.texts[path] = self.texts[path].replace('    {"', '  {"')
        self.assertIn(f"tools/ng_docs.py finds fewer than 30 of what {ng_docs.NG} needs: command",
                      ng_docs.faults(self.texts, self.pages))


if __name__ == "__main__":
    unittest.main()
