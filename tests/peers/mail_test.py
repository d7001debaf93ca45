#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail as servers really deliver it: Postfix takes it by SMTP and writes a Maildir and an mbox, or has
Dovecot's agent deliver into a Maildir in which a person works over IMAP meanwhile."""
import collections
import concurrent.futures
import contextlib
import imaplib
import io
import os
import pathlib
import random
import shutil
import signal
import smtplib
import sys
import tempfile
import threading
import unittest
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from servers import LONG, USER, Dovecot, Postfix, need, wait_for
from voxbus_daemon import Daemon

MAILS = 3000 if LONG else 100  # to each address
PATIENCE = 900 if LONG else 60
SENDERS = 4
ADDRESSES = {"support@example.org": "maildir", "shop@example.org": "box", "orders@example.org": "person"}
# What transport and storage like to change: dots, quoting of "From ", 8 bits, trailing blanks, empty
# lines, a line that looks like a new mail, one that is nearly too long for SMTP.
BODY = ("From here on it goes wrong.\r\n\r\nFrom nora@example.org Sun Nov 22 10:00:00 2026\r\n.\r\n..two dots\r\n"
        "Grüße aus Köln, 森さん  \r\n\r\n\r\n-- \r\n" + "x" * 990 + "\r\nend\r\n")


def message(key, address):
    return (f"From: Nora <nora@example.org>\r\nTo: {address}\r\nSubject: {key}\r\nMessage-ID: <{key}@example.org>\r\n"
            "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
            f"Content-Transfer-Encoding: 8bit\r\n\r\nnumber {key}\r\n{BODY}").encode()


class Person:
    """Reads over IMAP, in a random order: flags, moves to a folder, deletes. What is deleted or moved
    away must be on the bus already: nobody promises to bring what is gone before it was looked at."""

    def __init__(self, dovecot, seen):
        self.dovecot, self.seen = dovecot, seen
        self.dice = random.Random(8)
        self.enough = threading.Event()
        self.did = collections.Counter()

    def read(self):
        imap = self.dovecot.imap()
        imap.create("Archive")
        try:
            while not self.enough.wait(0.02):
                self.look(imap)
        except imaplib.IMAP4.abort as gone:  # nobody here ends the server: who did, it says itself
            raise AssertionError(f"{gone}\n{(self.dovecot.folder / 'log').read_text(errors='replace')[-2000:]}") from gone
        imap.logout()

    def look(self, imap):
        imap.select("INBOX")  # this moves what is new to cur
        self.did["looked"] += 1
        _, found = imap.uid("SEARCH", "ALL")
        for uid in self.dice.sample(found[0].split(), min(5, len(found[0].split()))):
            flags = " ".join(flag for flag in (r"\Seen", r"\Flagged", r"\Answered") if self.dice.random() < 0.5)
            imap.uid("STORE", uid, self.dice.choice(["+FLAGS", "-FLAGS"]), f"({flags})")
            self.did["flagged"] += 1
            _, head = imap.uid("FETCH", uid, "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
            key = head[0][1].decode().split(":", 1)[1].strip() if head and head[0] else None
            if key not in self.seen or self.dice.random() < 0.7:
                continue
            what = self.dice.choice(["MOVE", "COPY", "delete"])
            if what == "delete":
                imap.uid("STORE", uid, "+FLAGS", r"(\Deleted)")
                imap.expunge()
            else:
                imap.uid(what, uid, "Archive")
            self.did[what] += 1


class Mail(unittest.TestCase):
    def setUp(self):
        need(*Postfix.PROGRAMS, *Dovecot.PROGRAMS)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="voxbus-peers-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o755)  # Postfix and the mailboxes' user come by
        self.mail = self.folder / "mail"
        self.mail.mkdir()
        for name in ("maildir", "person"):
            for part in ("", "new", "cur", "tmp"):
                (self.mail / name / part).mkdir(exist_ok=True)
                shutil.chown(self.mail / name / part, USER, USER)
        (self.mail / "box").touch()
        for path in (self.mail, self.mail / "box"):
            shutil.chown(path, USER, USER)
        self.dovecot = Dovecot(self.folder / "dovecot", self.mail / "person").start()
        self.addCleanup(self.dovecot.close)
        self.postfix = Postfix(self.folder / "postfix",
                               {"support@example.org": f"{self.mail}/maildir/", "shop@example.org": f"{self.mail}/box"},
                               {"orders@example.org": self.dovecot.lda_command()}).start()
        self.addCleanup(self.postfix.close)
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.daemon.channel("maildir", "email", {"maildir": str(self.mail / "maildir")}, begin="all")
        self.daemon.channel("box", "email", {"mbox": str(self.mail / "box")}, begin="all")
        self.daemon.channel("person", "email", {"maildir": str(self.mail / "person")}, begin="all")
        self.seen = set()

    def send(self, sender):
        with smtplib.SMTP("127.0.0.1", self.postfix.port, timeout=60) as smtp:
            for number in range(sender, MAILS, SENDERS):
                for address, channel in ADDRESSES.items():
                    smtp.sendmail("nora@example.org", [address], message(f"{channel}-{number}", address), ["BODY=8BITMIME"])

    @staticmethod
    def failed(*running):
        """Raises what one of them raised."""
        for one in running:
            if one.done():
                one.result()
        return False

    def look(self):
        """Notes what is on the bus; how many there are of each."""
        page = self.daemon.events("type=interaction.*", at=getattr(self, "at", ""))
        self.at = self.daemon.headers["Voxbus-Next"]
        self.found = getattr(self, "found", []) + page
        self.seen.update(event["data"].get("title") for event in page)
        return len(self.seen)

    def wait_for_all(self, wanted, person_reads):
        """However slow the machine: only where nothing has arrived for PATIENCE has something been lost."""
        while (missing := len(wanted - self.seen)) > 0:
            try:
                wait_for(lambda: self.look() is None or len(wanted - self.seen) < missing or self.failed(person_reads),
                         "a further mail has arrived", PATIENCE)
            except AssertionError as stalled:
                raise AssertionError(f"{stalled}; missing: {sorted(wanted - self.seen)[:20]}; "
                                     f"{self.postfix.log()[-2000:]}\n{self.daemon.status()['channels']}") from stalled

    def test_each_mail_comes_once_whatever_servers_and_people_do_with_it(self):
        self.daemon.start()
        person = Person(self.dovecot, self.seen)
        with concurrent.futures.ThreadPoolExecutor() as threads:
            person_reads = threads.submit(person.read)
            sent = [threads.submit(self.send, n) for n in range(SENDERS)]
            try:
                wait_for(lambda: self.look() >= MAILS or self.failed(*sent, person_reads), "a third has arrived", PATIENCE)
                for channel in ("person", "box", "maildir"):
                    os.kill(self.daemon.wait_for_state(channel, "up")["pid"], signal.SIGKILL)
                for sender in sent:
                    sender.result()
                wanted = {f"{channel}-{number}" for channel in ADDRESSES.values() for number in range(MAILS)}
                self.wait_for_all(wanted, person_reads)
                # The person goes on, and a look at everything shows nothing new.
                # Looks, not flags: the inbox may be empty by now.
                looked = person.did["looked"]
                wait_for(lambda: self.failed(person_reads) or person.did["looked"] >= looked + 20, "the person reads on")
            finally:
                person.enough.set()
            person_reads.result()
        self.assertTrue({"MOVE", "COPY", "delete"} <= set(person.did), person.did)
        self.daemon.stop()
        self.daemon.start()
        for channel in ADDRESSES.values():
            self.daemon.wait_for_state(channel, "up")
        # After a start everything is compared anew; a last mail marks its end.
        with smtplib.SMTP("127.0.0.1", self.postfix.port, timeout=60) as smtp:
            for address, channel in ADDRESSES.items():
                smtp.sendmail("nora@example.org", [address], message(f"{channel}-last", address), ["BODY=8BITMIME"])
        wanted |= {f"{channel}-last" for channel in ADDRESSES.values()}
        wait_for(lambda: self.look() >= len(wanted), "the last ones")
        self.all_came_once(wanted)
        self.the_words_are_what_was_sent()

    def all_came_once(self, wanted):
        events = self.daemon.interactions()
        self.assertEqual({event["type"].split(".")[3] for event in events}, {"received"})
        times = collections.Counter((event["data"]["channel"], event["data"]["title"]) for event in events)
        self.assertEqual(set(times), {(key.split("-")[0], key) for key in wanted})
        self.assertEqual([], [one for one, count in times.items() if count > 1])

    def the_words_are_what_was_sent(self):
        self.assertIn(b"\n>From here on it goes wrong.\n", (self.mail / "box").read_bytes(), "Postfix quoted it")
        events = self.daemon.interactions()
        for event in random.Random(1).sample(events, min(len(events), 300)):
            key = event["data"]["title"]
            body = f"number {key}\r\n{BODY}".encode()
            status, raw = self.daemon.get(f"/v1/events/{event['sequence']}/raw", parse=False)
            self.assertEqual(status, 200)
            head, _, kept = raw.replace(b"\r\n", b"\n").partition(b"\n\n")
            self.assertEqual(kept, body.replace(b"\r\n", b"\n"), key)
            self.assertIn(b"\nReceived: ", b"\n" + head, "it went through Postfix")
            for words in ("From here on it goes wrong.", "From nora@example.org Sun", "Grüße aus Köln, 森さん"):
                self.assertIn(words, event["data"]["text"], key)
            self.assertNotIn(">From", event["data"]["text"])


class Need(unittest.TestCase):
    def test_what_is_missing_skips_a_test_loudly_and_fails_it_in_continuous_integration(self):
        for ci, outcome in (("", unittest.SkipTest), ("true", AssertionError)):
            with mock.patch.dict(os.environ, {"CI": ci}), contextlib.redirect_stderr(io.StringIO()) as said, \
                    self.assertRaisesRegex(outcome, "needs /no/such/server: ./dev packages"):
                need("/bin/sh", "/no/such/server", root=False)
            self.assertEqual(not ci, "SKIPPED: needs /no/such/server" in said.getvalue())


if __name__ == "__main__":
    unittest.main()
