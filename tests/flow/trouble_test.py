# SPDX-License-Identifier: Apache-2.0
"""Bad plugins, bad input and bad configuration beside a good channel, which must not notice."""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from beside import Beside
from voxbus_daemon import BUILD, cdr, wait_for


class Trouble(Beside):
    def test_a_plugin_that_ignores_stop_is_killed_at_its_deadline(self):
        self.daemon.channel("bad", "ignores_stop", {}, stop_within="500ms")
        self.start()
        self.daemon.wait_for_state("bad", "up")
        self.good_one_did_not_notice()
        self.assertEqual(self.daemon.stop(limit=10), 0)

    def test_a_plugin_that_others_may_write_is_not_loaded(self):
        folder = self.daemon.folder / "plugins"
        folder.mkdir()
        for name in ("phone.so", "phone.plugin.yaml"):
            shutil.copy(BUILD / "plugins" / name, folder / name)
        (folder / "phone.so").chmod(0o666)
        self.daemon.main(plugins=[str(folder)])
        self.daemon.start(env={"VOXBUS_TRUST_PLUGINS": ""})
        self.assertIn("may be written by others", self.daemon.wait_for_state("good", "degraded")["reason"])

    def test_a_fault_in_one_channel_file_leaves_that_channel_down(self):
        self.daemon.channel("bad", "phone", {"flie": "/x"})
        self.start()
        state = self.daemon.wait_for_state("bad", "down")
        self.assertIn("flie", state["reason"])
        self.good_one_did_not_notice()

    def test_a_fault_in_the_main_file_ends_with_78_and_leaves_the_journal_as_it_was(self):
        self.daemon.start()
        self.daemon.wait_for_events(5)
        self.daemon.stop()
        before = {path: path.read_bytes() for path in (self.daemon.state / "journal").rglob("*") if path.is_file()}
        self.daemon.main(lissten="x")
        self.daemon.start(wait=False)
        self.assertEqual(self.daemon.process.wait(20), 78)
        self.assertIn("did you mean 'listen'?", self.daemon.log())
        after = {path: path.read_bytes() for path in (self.daemon.state / "journal").rglob("*") if path.is_file()}
        self.assertEqual(before, after)

    def test_what_the_command_line_says_wrongly_is_named(self):
        for option, value, said in (("--listen", "here", "write ADDRESS:PORT"), ("--log-level", "loud", "debug")):
            done = subprocess.run([BUILD / "bin" / "voxbusd", "--config", self.daemon.conf, option, value],
                                  capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(option, done.stderr)
            self.assertIn(said, done.stderr)

    def test_a_configuration_that_is_named_must_be_there(self):
        missing = self.daemon.folder / "no-such"
        for program in (["voxbusd", "--config", missing], ["voxbus", "check", missing], ["voxbus", "--config", missing, "check"]):
            done = subprocess.run([BUILD / "bin" / program[0], *program[1:]], capture_output=True, text=True, timeout=30,
                                  stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 78, program)
            self.assertIn(str(missing), done.stderr)

    def test_a_state_folder_that_others_may_write_is_refused(self):
        self.daemon.state.mkdir(exist_ok=True)
        self.daemon.state.chmod(0o777)
        self.daemon.start(wait=False)
        self.assertEqual(self.daemon.process.wait(20), 78)
        self.assertIn("chmod 700", self.daemon.log())
        self.daemon.state.chmod(0o700)

    def test_a_state_folder_too_long_for_its_socket_is_a_fault_of_the_configuration(self):
        state = self.daemon.folder / ("s" * 100)
        done = subprocess.run([BUILD / "bin" / "voxbusd", "--config", self.daemon.conf, "--state", state],
                              capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("voxbus.yaml: the default of 'socket'", done.stderr)
        self.assertIn("name a shorter one", done.stderr)
        self.assertFalse(state.exists())

    def test_a_second_daemon_on_the_same_state_is_refused(self):
        self.start()
        second = subprocess.run([BUILD / "bin" / "voxbusd", "--config", self.daemon.conf], capture_output=True,
                                text=True, timeout=30, stdin=subprocess.DEVNULL)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn("another voxbusd", second.stderr)
        self.good_one_did_not_notice()

    def test_no_configuration_at_all_is_healthy(self):
        empty = self.daemon.folder / "nothing"
        empty.mkdir()
        self.daemon.conf = empty
        self.daemon.process = subprocess.Popen(
            [BUILD / "bin" / "voxbusd", "--config", empty, "--state", self.daemon.state, "--listen", "127.0.0.1:0"],
            stdin=subprocess.DEVNULL, stderr=open(self.daemon.log_path, "ab"))
        self.daemon.log_file = open(os.devnull)
        wait_for(lambda: self.daemon.endpoint() and self.daemon.get("/readyz", parse=False)[0] == 200, "it is ready")
        self.assertEqual(self.daemon.status()["channels"], [])
        self.assertEqual(self.daemon.stop(), 0)

    def test_an_item_of_several_megabytes_comes_through_whole(self):
        self.daemon.channel("bad", "generator", {"count": 3, "size": 200, "raw_size": 5_300_000})
        self.daemon.start()
        events = wait_for(lambda: (lambda all_: len(all_) >= 3 and all_)(self.daemon.interactions("channel=bad")), "3 large items")
        status, raw = self.daemon.get(f"/v1/events/{events[0]['sequence']}/raw", parse=False)
        self.assertEqual(status, 200)
        self.assertTrue(raw == b"r" * 5_300_000, len(raw))

    def test_a_two_gigabyte_line_is_passed_over_with_flat_memory(self):
        huge = self.daemon.folder / "huge.csv"
        with huge.open("wb") as file:
            file.write(cdr(1).encode())
            file.seek(2 << 30, os.SEEK_CUR)
            file.write(b"\n" + cdr(2).encode())
        self.daemon.channel("bad", "phone", {"file": str(huge)}, memory="256MiB")
        self.daemon.start()
        wait_for(lambda: len(self.daemon.interactions("channel=bad&type=interaction.received")) == 2,
                 "both calls around the line", 120)
        quarantined = self.daemon.interactions("channel=bad&type=interaction.quarantined")
        self.assertEqual(len(quarantined), 1)
        self.assertEqual(self.daemon.channel_status("bad")["restarts"], 0)


if __name__ == "__main__":
    unittest.main()
