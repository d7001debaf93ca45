# SPDX-License-Identifier: Apache-2.0
"""Two real channels, from their files to the bus, through the real daemon and the real plugins."""

import email.message
import os
import pathlib
import shutil
import signal
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from voxbus_daemon import Daemon, Maildir, cdr, mail, wait_for


class Channels(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)

    def test_mail_of_a_maildir_becomes_interactions(self):
        maildir = Maildir(self.daemon.folder / "mail")
        self.daemon.channel("support", "email", {"maildir": str(maildir.path)}, begin="all")
        self.daemon.start()
        self.daemon.wait_for_state("support", "up")
        maildir.deliver(mail("one@example.org", "Wrong tyre", "It does not fit."))
        event = self.daemon.wait_for_events(1)[0]
        data = event["data"]
        self.assertEqual(event["type"], "org.voxbus.interaction.received.v1")
        self.assertEqual(event["time"], "2026-11-22T10:00:00Z")
        self.assertEqual(data["channel"], "support")
        self.assertEqual(data["kind"], "mail")
        self.assertEqual(data["author"]["handle"], "mailto:nora@example.org")
        self.assertEqual(data["title"], "Wrong tyre")
        self.assertIn("It does not fit.", data["text"])
        self.assertEqual(data["revision"], 1)
        self.assertFalse(data["historic"])
        status, raw = self.daemon.get(f"/v1/events/{event['sequence']}/raw", parse=False)
        self.assertEqual(status, 200)
        self.assertEqual(raw, mail("one@example.org", "Wrong tyre", "It does not fit."))

    def test_one_mail_in_two_folders_counts_once_and_in_two_channels_twice(self):
        first, second = Maildir(self.daemon.folder / "a"), Maildir(self.daemon.folder / "b")
        self.daemon.channel("a", "email", {"maildir": str(first.path)})
        self.daemon.channel("b", "email", {"maildir": str(second.path)})
        message = mail("same@example.org", "Same", "Same words")
        first.deliver(message)
        first.deliver(message, ".Archive")
        second.deliver(message)
        first.deliver(mail("last@example.org", "Last", "marks the end"))
        self.daemon.start()
        events = self.daemon.wait_for_events(3)
        wait_for(lambda: self.daemon.channel_status("a")["counts"]["duplicates"] >= 1, "the copy was noticed")
        self.assertEqual(sorted(e["data"]["channel"] for e in events if e["data"]["title"] == "Same"), ["a", "b"])
        self.assertEqual(len(self.daemon.interactions()), 3)

    def test_a_restart_neither_loses_nor_doubles(self):
        maildir = Maildir(self.daemon.folder / "mail")
        calls = self.daemon.folder / "Master.csv"
        calls.write_text("")
        self.daemon.channel("support", "email", {"maildir": str(maildir.path)})
        self.daemon.channel("calls", "phone", {"file": str(calls)})
        for number in range(20):
            maildir.deliver(mail(f"{number}@example.org", f"Mail {number}", "words"))
        with calls.open("a") as file:
            file.writelines(cdr(number) for number in range(20))
        self.daemon.start()
        self.daemon.wait_for_events(40)
        self.assertEqual(self.daemon.stop(), 0)
        for number in range(20, 30):
            maildir.deliver(mail(f"{number}@example.org", f"Mail {number}", "words"))
        with calls.open("a") as file:
            file.writelines(cdr(number) for number in range(20, 30))
        self.daemon.start()
        events = self.daemon.wait_for_events(60)
        self.assertEqual(len({e["data"]["native_id"] for e in events}), 60)
        self.assertEqual(len(self.daemon.interactions()), 60)

    def test_the_bytes_of_an_attachment_are_given_where_the_settings_permit(self):
        picture = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8000  # above what one frame carries inline
        message = email.message.EmailMessage()
        message["From"], message["Subject"], message["Message-ID"] = "nora@example.org", "Broken", "<p@example.org>"
        message.set_content("See the picture.")
        message.add_attachment(picture, maintype="image", subtype="png", filename="lamp.png")
        message.add_attachment(b"%PDF-1.4 ...", maintype="application", subtype="pdf", filename="bill.pdf")
        settings = {"support": {"attachments": ["image/*"]}, "rawless": {"attachments": ["*"]}}
        for name, more in settings.items():
            mails = Maildir(self.daemon.folder / name)
            mails.deliver(message.as_bytes())
            self.daemon.channel(name, "email", {"maildir": str(mails.path), **more}, begin="all",
                                **({"keep_raw": "quarantined"} if name == "rawless" else {}))
        self.daemon.start()
        events = {event["data"]["channel"]: event for event in self.daemon.wait_for_events(2)}

        def get(channel, which, sha256=None):
            event = events[channel]
            sha256 = sha256 or next(file["sha256"] for file in event["data"]["attachments"] if file["name"] == which)
            return self.daemon.get(f"/v1/events/{event['sequence']}/files/{sha256}", parse=False)
        for _ in range(2):  # as often as it is asked for
            status, body = get("support", "lamp.png")
            self.assertEqual(status, 200, body[:500])
            self.assertTrue(body == picture)
        for channel, which, sha256, word in (("support", "bill.pdf", None, b"'attachments' and 'max_attachment'"),
                                             ("support", "", "0" * 64, b"no such attachment"), ("rawless", "lamp.png", None, b"no raw bytes")):
            status, body = get(channel, which, sha256)
            self.assertEqual(status, 404)
            self.assertIn(word, body)
        self.assertEqual(len(self.daemon.interactions()), 2, "nothing new was said")
        (self.daemon.conf / "channels.d" / "support.yaml").unlink()
        self.daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.daemon.channel_status("support") is None, "the channel is gone")
        self.assertEqual(get("support", "lamp.png")[0], 503)

    def test_a_quote_names_the_interaction_that_it_repeats(self):
        mails = Maildir(self.daemon.folder / "quoted")
        self.daemon.channel("support", "email", {"maildir": str(mails.path)}, begin="all")
        mails.deliver(mail("question@example.org", "Lamp", "When does it arrive?"))
        self.daemon.start()
        first = self.daemon.wait_for_events(1)[0]
        mails.deliver(mail("answer@example.org", "Re: Lamp", "On Sunday.\n\n> When does it arrive?",
                           extra="In-Reply-To: <question@example.org>\n"))
        mails.deliver(mail("other@example.org", "Re: Sofa", "No.\n\n> Is it blue?", extra="In-Reply-To: <gone@example.org>\n"))
        answers = {event["data"]["title"]: event["data"]["quoted"] for event in self.daemon.wait_for_events(3)[1:]}
        self.assertEqual([block.get("interaction") for block in answers["Re: Lamp"]], [first["id"]])
        self.assertEqual([block.get("interaction") for block in answers["Re: Sofa"]], [None])

    def test_an_mbox_is_followed_as_it_grows(self):
        mbox = self.daemon.folder / "mbox"
        first = b"From nora@example.org Sun Nov 22 10:00:00 2026\n" + mail("m1@example.org", "One", "text")
        mbox.write_bytes(first + b"\n")
        self.daemon.channel("shop", "email", {"mbox": str(mbox)})
        self.daemon.start()
        self.daemon.wait_for_events(1)
        with mbox.open("ab") as file:
            file.write(b"From pat@example.org Sun Nov 22 11:00:00 2026\n"
                       + mail("m2@example.org", "Two", ">From the start it was wrong") + b"\n")
        events = self.daemon.wait_for_events(2)
        self.assertEqual([e["data"]["title"] for e in events], ["One", "Two"])

    def test_a_source_that_vanishes_degrades_its_channel_until_there_is_one_again(self):
        maildir = Maildir(self.daemon.folder / "mail")
        calls, mbox = self.daemon.folder / "Master.csv", self.daemon.folder / "mbox"
        calls.write_text(cdr(1))
        mbox.write_bytes(b"From nora@example.org Sun Nov 22 10:00:00 2026\n" + mail("1@example.org", "One", "x") + b"\n")
        self.daemon.channel("phone", "phone", {"file": str(calls)})
        self.daemon.channel("box", "email", {"mbox": str(mbox)})
        self.daemon.channel("support", "email", {"maildir": str(maildir.path)})
        self.daemon.start()
        for channel in ("phone", "box", "support"):
            self.daemon.wait_for_state(channel, "up")
        self.daemon.wait_for_events(2)

        def probes(channel, words):
            """Also what the probe found, which is asked anew with each change."""
            wait_for(lambda: words in self.daemon.channel_status(channel)["probe"], f"{channel}'s probe says {words}")
        for path, channel in ((calls, "phone"), (mbox, "box"), (maildir.path, "support")):
            with self.subTest("deleted", channel=channel):
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                state = self.daemon.wait_for_state(channel, "degraded")
                self.assertIn(str(path), state["reason"])
                probes(channel, "No such file or directory")
        for path, channel in ((calls, "phone"), (mbox, "box")):
            with self.subTest("a folder in its place", channel=channel):
                path.mkdir()
                wait_for(lambda: "is not a regular file" in self.daemon.channel_status(channel)["reason"], "it is said")
                probes(channel, "Is a directory")
                path.rmdir()
        calls.write_text(cdr(2))
        mbox.write_bytes(b"From nora@example.org Sun Nov 22 10:00:00 2026\n" + mail("2@example.org", "Two", "x") + b"\n")
        Maildir(maildir.path).deliver(mail("3@example.org", "Three", "x"))
        for channel in ("phone", "box", "support"):
            with self.subTest("there again", channel=channel):
                self.daemon.wait_for_state(channel, "up", limit=60)
                probes(channel, "ok")
        self.daemon.wait_for_events(5)

    def test_calls_are_read_with_e164_rotation_and_half_written_lines(self):
        calls = self.daemon.folder / "Master.csv"
        line = cdr(1, source="2025550101")
        calls.write_text(line[:40])
        self.daemon.channel("calls", "phone", {"file": str(calls)}, begin="all")
        self.daemon.start()
        self.daemon.wait_for_state("calls", "up")
        with calls.open("a") as file:
            file.write(line[40:])
        first = self.daemon.wait_for_events(1)[0]["data"]
        self.assertEqual(first["author"]["handle"], "tel:+12025550101")
        self.assertEqual(first["call"]["disposition"], "answered")
        os.rename(calls, f"{calls}.1")
        with open(f"{calls}.1", "a") as file:
            file.write(cdr(2, disposition="NO ANSWER", seconds=94))
        calls.write_text(cdr(3))
        events = self.daemon.wait_for_events(3)
        missed = next(e["data"] for e in events if e["data"]["call"]["disposition"] == "no_answer")
        self.assertEqual(missed["call"]["waited_seconds"], 94)

    def test_what_existed_before_the_channel_is_historic(self):
        maildir = Maildir(self.daemon.folder / "mail")
        maildir.deliver(mail("old@example.org", "Old", "from before",
                             extra="").replace(b"22 Nov 2026", b"22 Nov 2019"))
        self.daemon.channel("support", "email", {"maildir": str(maildir.path)})
        self.daemon.start()
        self.assertTrue(self.daemon.wait_for_events(1)[0]["data"]["historic"])

    def test_an_unreadable_line_is_quarantined_and_the_channel_goes_on(self):
        calls = self.daemon.folder / "Master.csv"
        broken = '"no","such","record\n'
        calls.write_text(cdr(1) + "\x00\x01 not a record\n" + cdr(2))
        self.daemon.channel("calls", "phone", {"file": str(calls)})
        self.daemon.start()
        events = self.daemon.wait_for_events(3)
        kinds = [e["type"].split(".")[3] for e in events]
        self.assertEqual(sorted(kinds), ["quarantined", "received", "received"])
        bad = next(e for e in events if "quarantined" in e["type"])
        status, raw = self.daemon.get(f"/v1/events/{bad['sequence']}/raw", parse=False)
        self.assertIn(b"not a record", raw)
        self.assertTrue(bad["data"]["reason"])
        self.assertEqual(self.daemon.channel_status("calls")["state"], "up")
        del broken

    def test_another_file_is_another_origin_with_its_own_cursor(self):
        first, second = self.daemon.folder / "one.csv", self.daemon.folder / "two.csv"
        first.write_text("".join(cdr(n) for n in range(5)))
        second.write_text(cdr(100))
        self.daemon.channel("calls", "phone", {"file": str(first)})
        self.daemon.start()
        self.daemon.wait_for_events(5)
        self.daemon.stop()
        self.daemon.channel("calls", "phone", {"file": str(second)})
        self.daemon.start()
        self.daemon.wait_for_events(6)
        self.daemon.stop()
        # Back again: the first file's cursor is still its own, so nothing is read twice.
        with first.open("a") as file:
            file.write(cdr(5))
        self.daemon.channel("calls", "phone", {"file": str(first)})
        self.daemon.start()
        self.daemon.wait_for_events(7)
        self.assertEqual(self.daemon.channel_status("calls")["counts"]["duplicates"], 0)

    def test_a_killed_host_comes_back_where_it_was(self):
        calls = self.daemon.folder / "Master.csv"
        calls.write_text("".join(cdr(n) for n in range(10)))
        self.daemon.channel("calls", "phone", {"file": str(calls)})
        self.daemon.start()
        self.daemon.wait_for_events(10)
        before = self.daemon.wait_for_state("calls", "up")["pid"]
        os.kill(before, signal.SIGKILL)
        with calls.open("a") as file:
            file.writelines(cdr(n) for n in range(10, 20))
        self.daemon.wait_for_events(20)
        after = self.daemon.wait_for_state("calls", "up")
        self.assertNotEqual(after["pid"], before)
        self.assertEqual(len(self.daemon.interactions()), 20)

    def test_hosts_die_with_the_daemon(self):
        calls = self.daemon.folder / "Master.csv"
        calls.write_text("")
        self.daemon.channel("calls", "phone", {"file": str(calls)})
        self.daemon.start()
        pid = self.daemon.wait_for_state("calls", "up")["pid"]
        self.daemon.kill()
        wait_for(lambda: not pathlib.Path(f"/proc/{pid}").exists()
                 or " Z " in pathlib.Path(f"/proc/{pid}/stat").read_text(), "the host ended")

    def test_inline_channels_bring_the_same(self):
        calls = self.daemon.folder / "Master.csv"
        calls.write_text("".join(cdr(n) for n in range(50)))
        self.daemon.channel("inside", "phone", {"file": str(calls)}, isolation="inline")
        self.daemon.channel("outside", "phone", {"file": str(calls)})
        self.daemon.start()
        events = self.daemon.wait_for_events(100)
        of = lambda name: sorted(e["data"]["native_id"] for e in events if e["data"]["channel"] == name)
        self.assertEqual(of("inside"), of("outside"))
        self.assertEqual(self.daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
