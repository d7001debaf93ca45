# SPDX-License-Identifier: Apache-2.0
"""A daemon with a good channel, and the proof that nothing happened to it whatever went on beside it."""

import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from voxbus_daemon import Daemon, cdr, wait_for


class Beside(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.calls = self.daemon.folder / "Master.csv"
        self.calls.write_text("".join(cdr(n) for n in range(5)))
        self.daemon.channel("good", "phone", {"file": str(self.calls)})

    def start(self):
        self.daemon.start()
        self.good = self.daemon.wait_for_state("good", "up")

    def good_one_did_not_notice(self):
        with self.calls.open("a") as file:
            file.writelines(cdr(n) for n in range(5, 10))
        wait_for(lambda: len(self.daemon.interactions("channel=good")) >= 10, "the good channel goes on")
        now = self.daemon.channel_status("good")
        self.assertEqual((now["state"], now["since"], now["pid"], now["restarts"]),
                         ("up", self.good["since"], self.good["pid"], 0))
        self.assertEqual(len(self.daemon.interactions("channel=good")), 10)
