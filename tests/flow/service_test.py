# SPDX-License-Identifier: Apache-2.0
"""The daemon as a service: what it tells systemd, and what a reload touches and leaves alone."""

import os
import pathlib
import signal
import statistics
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from service_manager import ServiceManager
from voxbus_daemon import Daemon, cdr, wait_for


class Service(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.manager = ServiceManager(self.daemon.folder)
        self.addCleanup(self.manager.close)

    def start(self, **environment):
        self.daemon.start(env={"NOTIFY_SOCKET": self.manager.path, **environment})
        self.manager.wait_for("READY", "1")

    def calls(self, name, lines=3, **keys):
        file = self.daemon.folder / f"{name}.csv"
        if not file.exists():
            file.write_text("".join(cdr(n) for n in range(lines)))
        self.daemon.channel(name, "phone", {"file": str(file)}, **keys)
        return file

    def pids(self):
        """{name: pid} of the channels, once all of them are up."""
        def all_up():
            channels = self.daemon.status()["channels"]
            return all(c["state"] == "up" for c in channels) and {c["name"]: c["pid"] for c in channels}
        return wait_for(all_up, "every channel is up")

    def reload(self):
        """Sends SIGHUP; returns what was logged until the daemon said that it was done."""
        logged, seen = len(self.daemon.log()), len(self.manager.messages)
        self.daemon.process.send_signal(signal.SIGHUP)
        reloading = self.manager.wait_for("RELOADING", "1", seen=seen)
        self.manager.wait_for("READY", "1", seen=reloading)
        return self.daemon.log()[logged:]


class Notifications(Service):
    def test_it_is_ready_when_it_answers_and_not_before(self):
        self.calls("calls")
        self.daemon.start(wait=False, env={"NOTIFY_SOCKET": self.manager.path})
        first = self.manager.wait_for("READY", "1")
        self.assertEqual(first, 0, "nothing was said before")
        # The very moment it is said: no waiting here.
        self.assertEqual(self.daemon.get("/readyz", parse=False)[0], 200)

    def test_it_gives_signs_of_life_three_times_in_the_asked_interval(self):
        self.start(WATCHDOG_USEC="900000")
        self.manager.wait_for("WATCHDOG", "1")
        at = [moment for moment, said in self.manager.listen_for(4) if said.get("WATCHDOG") == "1"]
        gaps = [after - before for before, after in zip(at, at[1:])]
        self.assertLess(max(gaps), 0.9, "systemd would have ended it")
        self.assertAlmostEqual(statistics.median(gaps), 0.3, delta=0.1)

    def test_it_lives_for_systemd_with_a_hung_and_a_dying_channel(self):
        self.daemon.channel("hung", "moods", {"hangs": True})
        self.daemon.channel("dying", "exits")
        self.start(WATCHDOG_USEC="900000")
        self.daemon.wait_for_state("dying", "degraded")
        at = [moment for moment, said in self.manager.listen_for(3) if said.get("WATCHDOG") == "1"]
        self.assertLess(max(after - before for before, after in zip(at, at[1:])), 0.9)

    def test_its_status_line_counts_channels_and_events(self):
        file = self.calls("calls")
        self.daemon.channel("dying", "exits")
        self.start()
        self.manager.wait_for("STATUS", f"1 of 2 channels up, {self.settled()} events")
        with file.open("a") as out:
            out.write(cdr(9))
        wait_for(lambda: len(self.daemon.interactions()) == 4, "the call is there")
        self.manager.wait_for("STATUS", f"1 of 2 channels up, {self.settled()} events", seen=len(self.manager.messages))

    def settled(self):
        """The number of rows, once the calls and the first state of each channel are in."""
        self.daemon.wait_for_state("dying", "degraded")
        wait_for(lambda: len(self.daemon.interactions()) >= 3
                 and {e["data"]["channel"] for e in self.daemon.events("type=channel.*")} == {"calls", "dying"},
                 "calls and states are stored")
        return int(self.daemon.events()[-1]["sequence"].split(".")[-1])

    def test_it_says_that_it_stops_and_then_nothing_more(self):
        self.calls("calls")
        self.start(WATCHDOG_USEC="300000")
        seen = len(self.manager.messages)
        self.assertEqual(self.daemon.stop(), 0)
        stopping = self.manager.wait_for("STOPPING", "1", seen=seen)
        self.manager.listen_for(0.2)
        self.assertEqual(self.manager.messages[stopping + 1:], [])

    def test_it_says_when_it_reloads_as_systemd_wants_to_hear_it(self):
        self.calls("calls")
        self.start()
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        seen = len(self.manager.messages)
        self.calls("another")
        self.reload()
        reloading = self.manager.wait_for("RELOADING", "1", seen=seen)
        moment = int(self.manager.messages[reloading][1]["MONOTONIC_USEC"])
        self.assertTrue(before <= moment <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
        # Done when it says so: the new channel is known.
        self.assertIsNotNone(self.daemon.channel_status("another"))

    def test_a_host_can_tell_systemd_nothing(self):
        self.calls("calls")
        self.start(WATCHDOG_USEC="900000")
        environment = pathlib.Path(f"/proc/{self.pids()['calls']}/environ").read_text()
        self.assertNotIn("NOTIFY_SOCKET", environment)
        self.assertNotIn("WATCHDOG", environment)


class Reload(Service):
    def setUp(self):
        super().setUp()
        self.files = {name: self.calls(name) for name in ("a", "b", "c")}
        self.start()
        self.before = self.pids()
        self.daemon.wait_for_events(9)

    def goes_on(self):
        """Every channel that is up brings its next call, and nothing was read twice."""
        have = len(self.daemon.interactions())
        names = list(self.pids())
        for name in names:
            with self.files[name].open("a") as file:
                file.write(cdr(1000 + have))
        self.daemon.wait_for_events(have + len(names))
        native = [(e["source"], e["data"]["native_id"]) for e in self.daemon.interactions()]
        self.assertEqual(len(native), len(set(native)))
        self.assertEqual(sum(c["counts"]["duplicates"] for c in self.daemon.status()["channels"]), 0)

    def unchanged(self):
        self.assertEqual(self.pids(), self.before)
        self.goes_on()

    def test_only_the_channel_whose_file_changed_starts_again(self):
        self.calls("b", poll_every="60ms")
        log = self.reload()
        self.assertIn("reloaded: changed b\n", log)
        after = self.pids()
        self.assertNotEqual(after["b"], self.before["b"])
        self.assertEqual({**after, "b": 0}, {**self.before, "b": 0})
        self.assertFalse(pathlib.Path(f"/proc/{self.before['b']}").exists(), "its old process ended first")
        self.goes_on()

    def test_a_file_written_anew_with_the_same_meaning_touches_nothing(self):
        file = self.daemon.conf / "channels.d" / "b.yaml"
        file.write_text("# a remark\n" + file.read_text().replace("\n", "  # and another\n"))
        self.assertIn("reloaded: no channel changed", self.reload())
        self.unchanged()

    def test_a_new_file_starts_its_channel(self):
        self.files["d"] = self.calls("d")
        self.reload()
        after = self.pids()
        self.assertEqual({name: after[name] for name in self.before}, self.before)
        self.daemon.wait_for_events(12)
        self.goes_on()

    def test_a_removed_file_stops_its_channel(self):
        (self.daemon.conf / "channels.d" / "c.yaml").unlink()
        self.reload()
        self.assertFalse(pathlib.Path(f"/proc/{self.before['c']}").exists())
        self.assertEqual(self.pids(), {name: self.before[name] for name in ("a", "b")})
        with self.files["c"].open("a") as file:
            file.write(cdr(77))
        self.goes_on()
        # Back again it goes on where it was: the call that came meanwhile, and no other.
        have = len(self.daemon.interactions())
        self.calls("c")
        self.reload()
        self.pids()
        self.daemon.wait_for_events(have + 1)
        self.goes_on()

    def test_enabled_no_stops_and_enabled_yes_starts_it(self):
        self.calls("c", enabled=False)
        self.reload()
        self.assertEqual(self.daemon.channel_status("c")["state"], "down")
        self.assertFalse(pathlib.Path(f"/proc/{self.before['c']}").exists())
        self.calls("c")
        self.reload()
        after = self.pids()
        self.assertEqual((after["a"], after["b"]), (self.before["a"], self.before["b"]))
        self.goes_on()

    def test_a_problem_in_one_file_changes_nothing_anywhere_and_is_said_with_its_place(self):
        for trouble, words in (("channel: b\nplugin: phone\nsettings: {flie: /x}\n", "b.yaml:3:12: unknown setting 'flie'"),
                               ("channel: b\nplugin: phnoe\n", "phnoe"),
                               ("channel: b\n  plugin: [\n", "b.yaml:"),
                               ("", "b.yaml")):
            with self.subTest(trouble):
                self.calls("a", poll_every="70ms")   # a good change, which must wait as well
                self.files["d"] = self.calls("d")
                (self.daemon.conf / "channels.d" / "c.yaml").unlink()
                (self.daemon.conf / "channels.d" / "b.yaml").write_text(trouble)
                log = self.reload()
                self.assertIn(words, log)
                self.assertIn("reload: nothing was changed", log)
                self.assertNotIn("reloaded:", log)
                self.unchanged()
                for name in ("a", "b", "c"):
                    self.calls(name)
                (self.daemon.conf / "channels.d" / "d.yaml").unlink()
        self.assertIn("reloaded: no channel changed", self.reload())

    def test_a_problem_in_the_main_file_changes_nothing_either(self):
        self.calls("a", poll_every="70ms")
        self.daemon.main(lissten="x")
        log = self.reload()
        self.assertIn("did you mean 'listen'?", log)
        self.assertIn("reload: nothing was changed", log)
        self.unchanged()
        self.daemon.main()
        self.assertIn("changed a", self.reload())

    def test_what_was_down_because_of_its_file_comes_up_once_that_is_mended(self):
        self.assertEqual(self.daemon.stop(), 0)
        (self.daemon.conf / "channels.d" / "b.yaml").write_text("channel: b\nplugin: phone\nsettings: {flie: /x}\n")
        self.start()
        self.daemon.wait_for_state("b", "down")
        self.daemon.wait_for_state("a", "up")
        pid = self.daemon.channel_status("a")["pid"]
        self.calls("b")
        self.reload()
        self.assertEqual(self.pids()["a"], pid)
        self.goes_on()

    def test_what_only_a_restart_can_change_is_said(self):
        self.daemon.main(hosts=["bus.example.org"], max_connections=7)
        self.assertIn("hosts, max_connections take effect at a restart", self.reload())
        self.unchanged()

    def test_the_name_in_the_journal_rules_and_it_is_said(self):
        self.assertEqual(self.daemon.stop(), 0)
        self.daemon.main(installation="elsewhere")
        self.start()
        self.assertIn("installation 'elsewhere' of voxbus.yaml is not used", self.daemon.log())
        self.assertIn(":voxbus/", self.daemon.interactions()[-1]["source"])

    def test_many_at_once_end_in_the_last_configuration(self):
        for number in range(20):
            self.calls("b", poll_every=f"{60 + number}ms")
            os.kill(self.daemon.process.pid, signal.SIGHUP)
        self.files["d"] = self.calls("d")
        os.kill(self.daemon.process.pid, signal.SIGHUP)
        self.daemon.wait_for_events(12)
        self.daemon.wait_for_state("d", "up")
        after = self.pids()
        self.assertEqual((after["a"], after["c"]), (self.before["a"], self.before["c"]))
        self.goes_on()


if __name__ == "__main__":
    unittest.main()
