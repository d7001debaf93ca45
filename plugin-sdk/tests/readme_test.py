#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the documents of the SDK show is what is compiled and tested, and what they name exists."""
import pathlib
import re
import unittest

SDK = pathlib.Path(__file__).resolve().parents[1]
PLUGINS = SDK.parent / "plugins"


class Documents(unittest.TestCase):
    def test_every_snippet_stands_in_the_file_that_it_is_from(self):
        text = (SDK / "README.md").read_text(encoding="utf-8")
        blocks = re.findall(r"(?:<!-- from: (\S+) -->\n)?```cpp\n(.*?)```", text, re.S)
        self.assertGreater(len(blocks), 3)
        for source, block in blocks:
            self.assertTrue(source, block)
            self.assertIn(block, (SDK / source).read_text(encoding="utf-8"), source)

    def test_every_link_leads_somewhere(self):
        for document in [*SDK.rglob("*.md"), *PLUGINS.rglob("*.md")]:
            for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
                self.assertTrue((document.parent / target).exists(), f"{document}: {target}")

    def test_the_guestbook_is_a_channel_of_about_forty_lines(self):
        source = (SDK / "examples/guestbook/guestbook.cpp").read_text(encoding="utf-8")
        channel = source[source.index("class Guestbook"):]
        self.assertLessEqual(len([line for line in channel.splitlines() if line.strip()]), 46)

    def test_every_setting_of_a_plugin_is_in_its_readme(self):
        for name in ("phone", "email"):
            readme = (PLUGINS / name / "README.md").read_text(encoding="utf-8")
            source = (PLUGINS / name / f"{name}.cpp").read_text(encoding="utf-8")
            settings = re.findall(r'field(?:\.required)?\("(\w+)"', source)
            self.assertGreater(len(settings), 3)
            for setting in settings:
                self.assertIn(f"`{setting}`", readme)


if __name__ == "__main__":
    unittest.main()
