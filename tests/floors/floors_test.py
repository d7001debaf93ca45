#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The guard of the floors must itself be able to say no."""
import pathlib
import tempfile
import unittest

import floors


class Floors(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def faults(self, **files):
        for name, text in files.items():
            path = pathlib.Path(self.folder.name) / (name.replace("__", "/") + ".cpp")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return floors.faults(self.folder.name)

    def test_lets_a_floor_include_lower_ones_and_itself(self):
        self.assertEqual([], self.faults(
            bus__feed='#include <map>\n#include "bus/feed.hpp"\n#include "journal/log.hpp"\n'
                      '#include "voxbus/abi.h"\n'))

    def test_refuses_an_include_upwards(self):
        found = self.faults(journal__log='\n#include "bus/feed.hpp"\n')
        self.assertEqual(1, len(found))
        self.assertIn("log.cpp:2: journal (2) includes upwards", found[0])

    def test_refuses_a_neighbour(self):
        found = self.faults(journal__log='  #  include "config/file.hpp"\n')
        self.assertIn("journal includes its neighbour", found[0])

    def test_keeps_the_command_out_of_the_daemon(self):
        self.assertEqual([], self.faults(cli__main='#include "host/spawn.hpp"\n'))
        found = self.faults(cli__tail='#include "bus/feed.hpp"\n')
        self.assertIn("cli may include only base, config, host, journal, model", found[0])

    def test_refuses_relative_and_bare_includes(self):
        found = self.faults(bus__feed='#include "../base/text.hpp"\n#include "feed.hpp"\n')
        self.assertIn("relative", found[0])
        self.assertIn('write "bus/feed.hpp"', found[1])

    def test_refuses_a_folder_that_is_no_floor(self):
        self.assertIn("'utils' is no floor", self.faults(utils__misc="\n")[0])

    def test_refuses_a_long_file(self):
        self.assertEqual([], self.faults(base__text="\n" * 500))
        self.assertIn("501 lines", self.faults(base__text="\n" * 501)[0])

    def test_an_empty_building_is_a_fault(self):
        self.assertIn("no source found", self.faults()[0])


if __name__ == "__main__":
    unittest.main()
