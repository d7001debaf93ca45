# SPDX-License-Identifier: Apache-2.0
"""What could not be read: listed, shown, and read anew once the plugin was mended."""

import json
import os
import pathlib
import re
import signal
import time
import unittest

from voxbus_daemon import BUILD, Daemon, Maildir, mail, wait_for


class Quarantine(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.mended = self.daemon.folder / "mended"

    def start(self, count=3, isolation="process", **settings):
        self.daemon.main(plugins=[str(BUILD / "test-plugins"), str(BUILD / "plugins")])
        self.daemon.channel("odd", "mends", {"mended": str(self.mended), "count": count, **settings}, isolation=isolation)
        self.daemon.start()
        self.daemon.wait_for_events(count)

    def listed(self, *more):
        return [json.loads(line) for line in self.daemon.voxbus("quarantine", "list", "--json", *more).stdout.splitlines()]

    def replay(self, *what, check=True):
        done = self.daemon.voxbus("quarantine", "replay", "--json", *what, check=check)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_it_is_listed_and_shown_with_reason_bytes_and_count(self):
        self.start()
        text = self.daemon.voxbus("quarantine", "list").stdout
        self.assertIn("words that nobody knows yet", text)
        self.assertIn("3 in quarantine", text)
        one = self.listed()[0]
        self.assertEqual((one["channel"], one["native_id"], one["raw_size"]), ("odd", "1", 10))
        shown = self.daemon.voxbus("quarantine", "show", one["sequence"]).stdout
        self.assertIn("words that nobody knows yet", shown)
        self.assertEqual(self.daemon.voxbus("quarantine", "show", one["sequence"], "--raw").stdout, "bytes of 1")
        for part in ("sequence", "native_id", "raw_size"):
            self.assertRegex(shown, rf"(?m)^{part} +\S", "names are whole")
        self.assertEqual(len({re.match(r"\w+ +", line).end() for line in shown.split("\n\n")[0].splitlines()}), 1, shown)

    def test_a_channel_that_is_not_configured_is_said_to_be_none(self):
        self.start()
        for verb in ("list", "replay"):
            done = self.daemon.voxbus("quarantine", verb, "--channel", "od", check=False)
            self.assertEqual((done.returncode, done.stderr),
                             (1, "voxbus: no channel 'od' is configured; 'voxbus status' lists them\n"), verb)
            done = self.daemon.voxbus("quarantine", verb, "--channel", "od", "--json", check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""), verb)
        self.assertEqual(self.daemon.voxbus("quarantine", "list", "--channel", "odd").stderr, "")

    def test_what_a_channel_left_that_is_no_more_is_listed_and_it_is_said(self):
        self.start()
        self.daemon.stop()
        (self.daemon.conf / "channels.d" / "odd.yaml").unlink()
        self.daemon.start()
        done = self.daemon.voxbus("quarantine", "list", "--channel", "odd")
        self.assertIn("3 in quarantine of channel odd", done.stdout)
        self.assertIn("no channel 'odd' is configured", done.stderr)

    def test_what_had_no_bytes_has_none(self):
        mail = Maildir(self.daemon.folder / "mail")
        self.daemon.channel("support", "email", {"maildir": str(mail.path)})
        (mail.path / "tmp" / "empty").write_bytes(b"")
        os.utime(mail.path / "tmp" / "empty", (0, 0))
        os.rename(mail.path / "tmp" / "empty", mail.path / "new" / "empty")
        self.start()
        item = wait_for(lambda: self.listed("--channel", "support"), "the mail is in quarantine")[0]
        self.assertEqual((item["reason"], item["raw_size"]), ("empty", 0))
        shown = self.daemon.voxbus("quarantine", "show", item["sequence"], "--raw", check=False)
        self.assertEqual((shown.returncode, shown.stdout), (1, ""))
        self.assertIn("no raw", shown.stderr)
        self.assertNotIn("max_item", self.replay(item["sequence"], check=False)[0]["reason"])

    def test_what_is_not_in_quarantine_is_not_shown_as_if_it_were(self):
        self.start()
        other = wait_for(lambda: self.daemon.events("type=channel.*"), "the channel says that it is up")[0]["sequence"]
        for more in ([], ["--json"], ["--raw"]):
            done = self.daemon.voxbus("quarantine", "show", other, *more, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"{other} is not in quarantine", done.stderr)

    def test_what_was_mended_is_revised_once_and_what_was_not_stays(self):
        for isolation in ("process", "inline"):
            with self.subTest(isolation):
                self.setUp()
                self.start(isolation=isolation)
                sequences = [one["sequence"] for one in self.listed()]
                self.assertEqual({one["outcome"] for one in self.replay("--all")}, {"unreadable"})
                self.assertEqual(len(self.daemon.interactions()), 3, "nothing new was said")
                self.mended.touch()
                self.assertEqual(self.replay(sequences[0]), [{"sequence": sequences[0], "outcome": "readable"}])
                events = self.daemon.wait_for_events(4)
                self.assertEqual(events[3]["type"], "org.voxbus.interaction.revised.v1")
                data = events[3]["data"]
                self.assertEqual((data["native_id"], data["revision"], data["reason"], data["text"]),
                                 ("1", 2, "reparsed", "words of 1"))
                self.assertEqual([one["sequence"] for one in self.listed()], sequences[1:])
                self.assertEqual(len(self.listed("--all")), 3)
                self.assertEqual(self.replay(sequences[0])[0]["outcome"], "superseded")
                self.assertEqual([one["outcome"] for one in self.replay("--channel", "odd")], ["readable"] * 2)
                self.daemon.wait_for_events(6)
                self.assertEqual(self.replay("--all"), [])
                # A kill later all is still as it was: nothing is lost, nothing doubled.
                self.daemon.kill()
                self.daemon.start()
                self.daemon.wait_for_state("odd", "up")
                self.assertEqual(len(self.daemon.interactions()), 6)

    def test_more_than_a_page_is_replayed(self):
        self.start(count=1200)
        self.assertEqual(len(self.listed()), 1200)
        status, page = self.daemon.get("/v1/quarantine?limit=700")
        self.assertEqual((status, len(page["items"])), (200, 700))
        status, rest = self.daemon.get(f"/v1/quarantine?limit=700&after={page['next']}")
        self.assertEqual((len(rest["items"]), rest.get("next")), (500, None))

    def test_a_plugin_that_dies_of_it_is_started_again_and_says_so(self):
        self.start(dies=True)
        first = self.listed()[0]["sequence"]
        done = self.replay(first, check=False)
        self.assertEqual(done[0]["outcome"], "failed")
        self.assertIn("SIGABRT", done[0]["reason"])
        self.daemon.wait_for_state("odd", "up")
        self.assertEqual(len(self.daemon.interactions()), 3)

    def test_another_name_for_what_is_read_anew_is_refused(self):
        self.start(misnames=True)
        self.mended.touch()
        first = self.listed()[0]["sequence"]
        self.assertNotEqual(self.replay(first, check=False)[0]["outcome"], "readable")
        self.assertEqual(len(self.daemon.interactions()), 3)

    def test_what_cannot_be_replayed_says_why(self):
        self.start()
        for path, status, words in (("0001.000000000000009999", 404, "no such event"), ("x", 404, "no such event"),
                                    (wait_for(lambda: self.daemon.events("type=channel.*"), "the channel is up")[0]["sequence"], 409, "not one of")):
            got, problem = self.daemon.post(f"/v1/quarantine/{path}/replay")
            self.assertEqual(got, status, path)
            self.assertIn(words, problem["detail"])
        self.assertEqual(self.daemon.get("/v1/quarantine?limit=0")[0], 400)
        self.assertEqual(self.daemon.get("/v1/quarantine?chanel=x")[0], 400)
        self.assertEqual(self.daemon.voxbus("quarantine", "replay", check=False).returncode, 2)

    def end_while_it_reads(self, channel):
        """By a fault, in the middle of a record: what the process looks at stands in its page of memory (crash_mark.hpp)."""
        def is_reading():
            pid = (self.daemon.channel_status(channel) or {}).get("pid")
            try:
                mark = next(path for path in pathlib.Path(f"/proc/{pid}/fd").iterdir() if "voxbus-mark" in os.readlink(path))
                deadline = time.monotonic() + 5
                while time.monotonic() < deadline:
                    os.kill(pid, signal.SIGSTOP)
                    if mark.read_bytes()[:1] == b"\1":
                        os.kill(pid, signal.SIGABRT)
                        os.kill(pid, signal.SIGCONT)
                        return True
                    os.kill(pid, signal.SIGCONT)
                    time.sleep(0.002)
            except (OSError, StopIteration, TypeError):
                pass  # it is not there yet
            return False
        crashes = self.daemon.channel_status(channel)["crashes"]
        wait_for(is_reading, "a process reads a record")
        wait_for(lambda: self.daemon.channel_status(channel)["crashes"] > crashes, "it ended")

    def test_a_mail_over_which_its_reader_died_comes_as_reparsed_once_it_can_be_read(self):
        maildir = Maildir(self.daemon.folder / "mail")
        self.daemon.channel("support", "email", {"maildir": str(maildir.path)}, begin="all")
        self.daemon.start()
        self.daemon.wait_for_state("support", "up")
        # Long enough to be met while it is read.
        words = ("x" * 70 + "\n") * 300_000
        bytes_of_it = mail("big@example.org", "Big", "My lamp is dark.\n-- \n" + words, extra="In-Reply-To: <first@example.org>\n")
        maildir.deliver(bytes_of_it)
        for _ in range(2):
            self.end_while_it_reads("support")
        item = wait_for(self.listed, "it is in quarantine")[0]
        self.assertEqual(item["raw_size"], len(bytes_of_it), "whole, and not its head alone")
        maildir.deliver(mail("next@example.org", "Next", "words"))
        wait_for(lambda: "Next" in [event["data"].get("title") for event in self.daemon.interactions()], "the next one")
        self.assertEqual(self.replay(item["sequence"]), [{"sequence": item["sequence"], "outcome": "readable"}])
        revised = wait_for(lambda: self.daemon.events("type=interaction.revised"), "it is on the bus")
        self.assertEqual([(event["data"]["native_id"], event["data"]["revision"], event["data"]["reason"], event["data"]["title"],
                           event["data"]["text"][:16], event["data"]["conversation"]) for event in revised],
                         [(item["native_id"], 2, "reparsed", "Big", "My lamp is dark.", "first@example.org")])
        self.assertEqual(self.listed(), [])

    def test_a_mail_of_which_only_the_head_was_kept_stays_there(self):
        maildir = Maildir(self.daemon.folder / "mail")
        maildir.deliver(mail("big@example.org", "Big", "x" * 5000))
        self.daemon.channel("support", "email", {"maildir": str(maildir.path), "max_item": "1KiB"}, begin="all")
        self.daemon.start()
        wait_for(self.listed, "it is in quarantine")
        done = self.replay("--all")
        self.assertEqual(done[0]["outcome"], "unreadable")
        self.assertIn("only a part", done[0]["reason"])


if __name__ == "__main__":
    unittest.main()
