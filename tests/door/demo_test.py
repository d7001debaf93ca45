#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's own parts: what its customers write, how its counter counts, what its screen shows.
The whole demo against the daemon is Demo.LosesAndDoublesNothing."""
import collections
import csv
import email
import email.policy
import hashlib
import io
import mailbox
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "conf/demo"), str(ROOT / "conf/examples")]

import counter
import fake_api
import screen
import stage
import story


class InFolder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)


class Customers(InFolder):
    def setUp(self):
        super().setUp()
        self.ledger = story.Ledger()
        self.story = story.Story(self.folder, self.ledger, seed=1)

    def calls(self):
        lines = []
        for file in sorted(self.folder.glob("Master.csv*"), reverse=True):
            lines += file.read_text(encoding="utf-8").splitlines(keepends=True)
        self.assertTrue(all(line.endswith("\n") for line in lines), lines)
        return [row for row in csv.reader(lines) if len(row) == 18]

    def test_every_message_of_the_opening_can_be_read_by_other_programs(self):
        for scene in self.story.opening():
            scene()
        mails = collections.Counter()
        for file in self.folder.glob("Maildir/**/new/*"):
            parsed = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
            self.assertTrue(parsed.get_content().strip())
            mails[parsed["Message-ID"]] += 1
        box = mailbox.mbox(self.folder / "shop.mbox")
        mails.update(message["Message-ID"] for message in box)
        box.close()
        calls = [row[16] for row in self.calls()]
        keys, _, broken = self.ledger.written()
        self.assertEqual(set(keys), set(mails) | set(calls))
        self.assertEqual(len(calls), len(set(calls)))
        self.assertEqual([2], [times for times in mails.values() if times > 1], "one mail, two folders")
        self.assertEqual(1, len(broken))
        self.assertGreaterEqual(len(keys), 15)

    def test_answers_name_what_they_answer(self):
        for scene in self.story.opening():
            scene()
        found = [email.message_from_bytes(file.read_bytes())
                 for file in self.folder.glob("Maildir/new/*")]
        identities = {message["Message-ID"] for message in found}
        answers = [message for message in found if message["In-Reply-To"]]
        self.assertEqual(1, len(answers))
        self.assertIn(answers[0]["In-Reply-To"], identities)

    def test_a_mail_also_answers_to_the_hash_of_its_bytes_with_crlf(self):
        self.story.opening()[0]()
        raw = next(self.folder.glob("Maildir/new/*")).read_bytes().replace(b"\n", b"\r\n")
        keys, names, _ = self.ledger.written()
        self.assertEqual(list(keys)[0], names[hashlib.sha256(raw).hexdigest()])

    def test_nothing_stays_in_tmp(self):
        self.story.opening()[0]()
        self.assertEqual([], list(self.folder.glob("Maildir/**/tmp/*")))

    def test_half_a_line_is_written_first_and_the_rest_later(self):
        exchange = self.story.exchange
        exchange.half_call(story.SAM, talked=60)
        self.assertNotIn(b"\n", exchange.path.read_bytes())
        exchange.complete()
        exchange.complete()
        self.assertEqual(1, len(self.calls()))
        exchange.half_call(story.SAM, talked=60)
        exchange.call(story.TOM)
        self.assertEqual(3, len(self.calls()))

    def test_rotation_keeps_what_was(self):
        for _ in range(3):
            self.story.exchange.call(story.TOM, talked=5)
            self.story.exchange.rotate()
        self.assertEqual(["Master.csv", "Master.csv.1", "Master.csv.2", "Master.csv.3"],
                         sorted(file.name for file in self.folder.glob("Master.csv*")))
        self.assertEqual(["1", "2", "3"], [row[16].split(".")[1] for row in self.calls()])

    def test_lines_that_begin_with_from_do_not_split_a_mail_in_an_mbox(self):
        mailer = story.Mailer(self.ledger)
        self.story.mbox.deliver(mailer.compose(story.SAM, story.SHOP, "x", "From here\n>From there"))
        self.assertIn(b"\n>From here\n>>From there\n", self.story.mbox.path.read_bytes())
        box = mailbox.mbox(self.story.mbox.path)
        self.assertEqual(1, len(box))
        box.close()

    def test_uses_reserved_names_and_numbers_only(self):
        for person in story.EVERYBODY:
            self.assertTrue(person.mail.endswith("@example.org"))
            self.assertRegex(person.phone, r"^\+120255501\d\d$")


class Counting(unittest.TestCase):
    def setUp(self):
        self.bus = fake_api.Bus()
        self.server = fake_api.serve(self.bus)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.ledger = story.Ledger()

    def count(self):
        return counter.count(self.url, self.bus.token, self.ledger)

    def write(self, *numbers):
        for n in numbers:
            self.ledger.wrote(f"<{n}@mail.example.org>", f"mail {n}", other_name=f"{n:064x}")

    def test_finds_mails_by_message_id_or_by_hash_and_calls_by_uniqueid(self):
        self.write(1, 2)
        self.ledger.wrote("1740830400.7", "a call")
        self.bus.publish(native_id="other", native={"ids": {"message_id": "1@mail.example.org"}})
        self.bus.publish(native_id=f"sha256:{2:064x}", native={"ids": {"in-reply-to": "<1@mail.example.org>"}})
        self.bus.publish(native_id="1740830400.7/1")
        result = self.count()
        self.assertTrue(result.clean, result)
        self.assertEqual("went in 3, came out 3, lost 0, doubled 0", str(result))

    def test_sees_a_loss(self):
        self.write(1, 2)
        self.bus.publish(native_id=f"{1:064x}")
        result = self.count()
        self.assertFalse(result.clean)
        self.assertEqual(["mail 2"], result.lost)
        self.assertEqual("went in 2, came out 1, lost 1, doubled 0", str(result))

    def test_sees_one_at_two_positions(self):
        self.write(1)
        self.bus.publish(native_id=f"{1:064x}")
        self.bus.publish(native_id=f"{1:064x}")
        self.assertEqual(["mail 1"], self.count().doubled)

    def test_sees_an_event_id_that_stands_twice(self):
        self.write(1, 2)
        first = self.bus.publish(native_id=f"{1:064x}")
        self.bus.publish(native_id=f"{2:064x}")["id"] = first["id"]
        self.assertEqual([first["id"]], self.count().doubled)

    def test_sees_what_nobody_wrote(self):
        self.bus.publish(native_id="from nowhere")
        self.assertFalse(self.count().clean)
        self.assertIn("never written 1", str(self.count()))

    def test_compares_the_bytes_of_what_was_quarantined(self):
        self.ledger.wrote_broken(b'"a","b"\n')
        self.assertEqual(1, len(self.count().lost))
        self.bus.publish("quarantined", raw=b'"a","b"\n', native_id="q1")
        self.assertTrue(self.count().clean)
        self.bus.publish("quarantined", raw=b'"a","changed"\n', native_id="q2")
        self.assertEqual(1, len(self.count().strangers))

    def test_waits_until_what_is_under_way_has_arrived(self):
        self.write(1)
        arrivals = iter([lambda: None, lambda: self.bus.publish(native_id=f"{1:064x}")])
        result = counter.settle(self.url, self.bus.token, self.ledger, 60,
                                wait=lambda _: next(arrivals)())
        self.assertTrue(result.clean)
        self.assertRaises(StopIteration, next, arrivals)


class Shown(unittest.TestCase):
    def line(self, kind="interaction.received", out=None, **said):
        out = out or io.StringIO()
        event = {"type": f"org.voxbus.{kind}.v1", "recordedtime": "2025-03-01T12:00:00Z", "data": said}
        screen.Screen(out).event(event)
        return out.getvalue()

    def test_aligns_every_line_whatever_the_names_are(self):
        for name in ("Al", "Nora Lindqvist", "A name that is much too long to fit", "森 愛子", "Rémi"):
            line = self.line(channel="support-mail", author={"name": name}, title="Lamp")
            self.assertEqual(44, screen.width(line[: line.index("Lamp")]), line)

    def test_stays_on_one_line_and_shows_no_control_characters(self):
        line = self.line(channel="c", text="one\ntwo\x1b[31m\u202e" + "x" * 500)
        self.assertEqual(1, line.count("\n"))
        self.assertNotIn("\x1b", line)
        self.assertNotIn("\u202e", line)
        self.assertLess(screen.width(line.rstrip()), 100)

    def test_cuts_words_at_the_width_of_the_terminal(self):
        class Terminal(io.StringIO):
            def isatty(self):
                return True

        with mock.patch.dict(os.environ, {"COLUMNS": "70", "NO_COLOR": "1"}):
            line = self.line(out=Terminal(), channel="c", text="word " * 50)
        self.assertLess(screen.width(line.rstrip("\n")), 70)
        self.assertTrue(line.endswith("…\n"))
        self.assertNotIn("\x1b", line)

    def test_tells_calls_states_and_quarantine_apart(self):
        self.assertIn("called, talked for 3 min 12 s",
                      self.line(call={"disposition": "answered", "talked_seconds": 192}))
        self.assertIn("called, no answer after 41 s",
                      self.line(call={"disposition": "no_answer", "waited_seconds": 41}))
        self.assertIn("we called", self.line(direction="outbound", call={"talked_seconds": 1}))
        self.assertIn("channel is degraded: slow",
                      self.line("channel.degraded", channel="c", reason="slow"))
        self.assertIn("not understood: why", self.line("interaction.quarantined", reason="why"))


class Interrupted(unittest.TestCase):
    def test_a_scene_is_played_to_its_end_before_ctrl_c_is_heard(self):
        # The demo takes signals for itself as soon as it is loaded: in a process of its own.
        program = ("import demo, os, signal, stage\n"
                   "def interrupt(*_): raise KeyboardInterrupt\n"
                   "signal.signal(signal.SIGINT, interrupt)\n"
                   "played = []\n"
                   "def scene():\n"
                   "    os.kill(os.getpid(), signal.SIGINT)\n"
                   "    played.append('the rest')\n"
                   "try:\n"
                   "    demo.Demo._play(scene)\n"
                   "except KeyboardInterrupt:\n"
                   "    print('heard behind', played)\n")
        done = subprocess.run([sys.executable, "-B", "-c", program], cwd=ROOT / "conf/demo", capture_output=True, text=True,
                              timeout=30, check=False)
        self.assertEqual(done.stdout, "heard behind ['the rest']\n", done.stderr)


class Surroundings(InFolder):
    def test_a_busy_port_moves_to_the_next_free_one(self):
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            port = busy.getsockname()[1]
            self.assertGreater(stage.free_port(port), port)
            with self.assertRaisesRegex(stage.Failure, "no free port"):
                stage.free_port(port, tries=1)

    def test_points_the_configuration_at_its_own_directory(self):
        (self.folder / "plugins").mkdir()
        (self.folder / "plugins" / "email.so").write_bytes(b"x")
        with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(self.folder / "cache")}), \
                mock.patch.object(stage, "may_hold_plugins", lambda folder: True):
            made = stage.Stage(self.folder, self.folder / "run")
            self.assertIsNone(made.configure())
        for file in made.config.rglob("*.yaml"):
            text = file.read_text(encoding="utf-8")
            self.assertNotIn("/tmp/voxbus-demo/", text, file)
            self.assertIn(str(self.folder), text)
        self.assertEqual(4, len(list(made.config.rglob("*.yaml"))))

    def test_refuses_to_guess_when_a_key_is_missing_or_twice(self):
        self.assertEqual("a: 2\nb:\n  c: x\n", stage.with_key("a: 2\nb:\n  c: 1\n", "c", "x"))
        for text in ("b: 1\n", "a: 1\nb:\n  a: 2\n"):
            with self.assertRaisesRegex(stage.Failure, "'a:'"):
                stage.with_key(text, "a", "x")

    def test_copies_plugins_that_others_could_change(self):
        built = self.folder / "plugins"
        built.mkdir()
        (built / "email.so").write_bytes(b"library")
        (built / "email.plugin.yaml").write_text("name: email\n")
        (built / "notes.txt").write_text("no plugin\n")
        built.chmod(0o777)
        self.assertFalse(stage.may_hold_plugins(built))
        cache = self.folder / "cache"
        safe = lambda folder: str(folder).startswith(str(cache))
        with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(cache)}), \
                mock.patch.object(stage, "may_hold_plugins", safe):
            folder, how = stage.plugins_in_safe_place(self.folder)
        self.assertEqual("copied", how)
        self.assertEqual(["email.plugin.yaml", "email.so"], sorted(f.name for f in folder.iterdir()))

    def test_says_so_when_no_place_is_safe(self):
        (self.folder / "plugins").mkdir()
        (self.folder / "plugins" / "email.so").write_bytes(b"library")
        with mock.patch.dict(os.environ, {"XDG_CACHE_HOME": str(self.folder)}), \
                mock.patch.object(stage, "may_hold_plugins", lambda folder: False):
            made = stage.Stage(self.folder, self.folder / "run")
            self.assertIn("is not checked", made.configure())
        self.assertEqual("1", made.environment["VOXBUS_TRUST_PLUGINS"])

    def test_trusts_a_folder_only_with_all_above_it(self):
        self.assertTrue(stage.may_hold_plugins("/usr/lib"))
        inner = self.folder / "open" / "inner"
        inner.mkdir(parents=True)
        (self.folder / "open").chmod(0o1777)  # sticky does not help: others may add files
        self.assertFalse(stage.may_hold_plugins(inner))

    def test_says_what_to_do_when_nothing_was_built(self):
        with self.assertRaisesRegex(stage.Failure, "./dev build"):
            stage.plugins_in_safe_place(self.folder)


if __name__ == "__main__":
    unittest.main()
