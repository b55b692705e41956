#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/citations.py finds a citation of each kind that nobody can open, and leaves the good ones alone."""

import os
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "..", "tools"))
import citations  # noqa: E402 (needs the path)

RULES = """# Rules

## ABC: a chapter

### ABC-1
The relay does it. There is a reason.

### ABC-2a
It does that, too. There is another reason.

## Z: attack rows

### Z-01
X attacks. Nothing happens.
"""
ARCHITECTURE = """# Architecture

## Seams

| | seam |
|---|---|
| 1 | the only one |
"""


class Citations(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.write("docs/rules.md", RULES)
        self.write("docs/architecture.md", ARCHITECTURE)
        self.write("docs/adr/0001-one.md", "# 1. One\n")
        self.write("docs/guide.md", '# Guide\n\n## What is "here", and why?\n\n<a id="named"></a>\n## 2. Numbered\n')

    def write(self, path, text):
        whole = os.path.join(self.folder.name, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w") as file:
            file.write(text)

    def faults(self, text, path="relay/some.cpp"):
        self.write(path, text)
        found = list(citations.faults(citations.Tree(self.folder.name)))
        os.remove(os.path.join(self.folder.name, path))
        return found

    def assert_fault(self, text, path="relay/some.cpp"):
        found = self.faults(text, path)
        self.assertEqual(len(found), 1, f"{text!r}: {found}")
        self.assertTrue(found[0].startswith(f"{path}:"), found[0])

    def assert_good(self, text, path="relay/some.cpp"):
        self.assertEqual(self.faults(text, path), [], text)

    def test_rules(self):
        self.assert_good("// ABC-1, ABC-2a, ABC-1 to ABC-2a, and the row Z-01.")
        for name in ("ABC-2", "ABC-3", "ABC-1a", "Z-02"):
            with self.subTest(name):
                self.assert_fault(f"// As {name} says.")
        self.assert_fault("// one word, please (ABC-1 a).")

    def test_chapters_that_are_not_there(self):
        for text in ("// as it says (XABC-1)", "// ABCX-1 says so", "// QRS-12 and ABC-1"):
            with self.subTest(text):
                self.assert_fault(text)

    def test_words_that_look_like_rules(self):
        self.assert_good("// AES-128, SHA-256, SHA-1, UTF-8, CRC-32, GPL-2, 0xABC-9, %Z-99, a/ABC-7.")

    def test_rules_in_names_of_tests(self):
        self.assert_good("TEST(Some, ABC1_Works) {}", "tests/some_test.cpp")
        self.assert_fault("TEST(Some, ABC9_Works) {}", "tests/some_test.cpp")

    def test_variants_of_rows_are_of_the_tests(self):
        self.assert_good('Row row{"Z-01b"};', "tests/some_rows.cpp")
        self.assert_fault('Row row{"Z-02b"};', "tests/some_rows.cpp")
        self.assert_fault("// Z-01b")

    def test_files(self):
        self.assert_good("// docs/guide.md, docs/guide.md#named, docs/adr/0001-one.md")
        self.assert_fault("// docs/nothing.md")
        self.assert_fault("// relay/core/nothing.hpp")
        self.assert_fault("// docs/guide.md#nowhere")

    def test_links_of_documents(self):
        self.assert_good("[a](guide.md) [b](guide.md#what-is-here-and-why) [c](#top) [d](https://example.org/x)\n# Top",
                         "docs/some.md")
        self.assert_good("[a](../docs/guide.md#named)", "docs/some.md")
        self.assert_fault("[a](nothing.md)", "docs/some.md")
        self.assert_fault("[a](guide.md#nowhere)", "docs/some.md")
        self.assert_fault("[a](#nowhere)", "docs/some.md")

    def test_decisions_and_seams(self):
        self.assert_good("// ADR 1, ADR 0001, seam 1 of docs/architecture.md")
        self.assert_fault("// ADR 2")
        self.assert_fault("// seam 2")

    def test_sections(self):
        self.assert_good("// RFC 3550 section 5.1, and appendix A.1; later §6.2 of it")
        self.assert_good("// one line breaks (RFC\n// 3550 section 5.1)")
        self.assert_good('fail("Section 1 of the SDP names a port");')
        self.assert_good("## 4. Here\n\nAs section 4 says.", "docs/some.md")
        self.assert_fault("## 5. Here\n\nAs section 4 says.", "docs/some.md")
        self.assert_fault("// as section 4 says")
        self.assert_fault("// as §4 says")

    def test_documents_outside(self):
        for name in ("media-security", "design.md", "style.md", "sip-proxy-clients", "codecs.md",
                     "redesign", "the NG reference", "NG 7.2", "the rtpproxy reference"):
            with self.subTest(name):
                self.assert_fault(f"// as {name} has it")
        self.assert_good("[NG reference](guide.md)", "docs/some.md")


if __name__ == "__main__":
    unittest.main()
