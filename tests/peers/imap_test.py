#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail by IMAP from real servers, over TLS with a test's own authority: Dovecot, and Cyrus as a second
make."""
import base64
import imaplib
import pathlib
import re
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "emulators"))
from authority import Authority
from cyrus import Cyrus
from dovecot import Dovecot
from gate import Gate
from imap_server import ImapServer, Mailbox
from servers import LONG, need, wait_for
from voxbus_daemon import Daemon, mail

MAILS = 10000 if LONG else 2400


class WithServer(unittest.TestCase):
    """A server, and a daemon for each test."""

    @classmethod
    def prepare(cls, *programs):
        need(*programs, "/usr/bin/openssl")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="voxbus-imap-"))
        cls.folder.chmod(0o755)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.authority = Authority(cls.folder / "authority")

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.secret = self.daemon.folder / "password"
        self.secret.write_text("secret")
        self.secret.chmod(0o600)

    def channel(self, name, user, **settings):
        whole = {"imap": "localhost", "port": self.server.secure_port, "user": user, "password": {"file": str(self.secret)},
                 "authorities": str(self.authority.folder / "ca.pem"), **settings}
        self.daemon.channel(name, "email", {key: value for key, value in whole.items() if value}, begin="all")

    def titles(self):
        return [event["data"]["title"] for event in self.daemon.interactions()]

    def comes_over_kills(self, user, mails, part):
        """Reads the mails of the user; server and daemon are killed each in the middle, when so many bytes have passed."""
        gate = Gate(self.server.secure_port)
        self.addCleanup(gate.close)
        self.channel("support", user, port=gate.port)
        self.daemon.start()

        def in_the_middle(than):
            gate.let(part)
            wait_for(lambda: gate.holds() and len(self.titles()) > than, f"more than {than}, and the server waits", 120)
            self.assertLess(len(self.titles()), len(mails))
            return len(self.titles())
        first = in_the_middle(0)
        self.server.kill()
        self.assertLess(len(self.titles()), len(mails), "killed in the middle")
        self.server.again()
        in_the_middle(first)
        self.daemon.kill()
        gate.let(0)
        self.daemon.start()
        self.assertLess(len(self.titles()), len(mails), "killed in the middle")
        gate.let(None)
        self.daemon.wait_for_events(len(mails), limit=300)

    def validity(self, user, mailbox="INBOX"):
        with self.server.imap(user) as imap:
            return int(re.search(rb"UIDVALIDITY (\d+)", imap.status(mailbox, "(UIDVALIDITY)")[1][0])[1])

    def is_another_second(self, validity):
        """Servers make a UIDVALIDITY of the time."""
        wait_for(lambda: time.time() >= validity + 1, "the second is over")

    def trail(self, title):
        """What became of a mail: each event's kind and direction."""
        return [(event["type"].split(".")[-2], event["data"].get("direction", "inbound"))
                for event in self.daemon.interactions() if event["data"]["title"] == title]

    def came_anew(self, count):
        """As many were brought once more, and dropped."""
        wait_for(lambda: self.daemon.channel_status("support")["counts"]["duplicates"] >= count, f"{count} came once more", 200)


class Imap(WithServer):
    @classmethod
    def setUpClass(cls):
        cls.prepare("/usr/sbin/dovecot", "/usr/lib/dovecot/imap")
        cls.server = cls.dovecot = Dovecot(cls.folder / "dovecot", cls.authority).start()
        cls.addClassCleanup(cls.dovecot.close)

    def test_every_mail_comes_once_over_kills_a_new_mailbox_and_flags_stay(self):
        keys = [f"bulk-{number}" for number in range(MAILS)]
        mails = [mail(f"{key}@example.org", key, "words " * 200) for key in keys]
        self.dovecot.fill("bulk", mails)
        # Three groups of 256 are asked for at a time, and Dovecot may hand them over side by side: one is whole.
        self.comes_over_kills("bulk", mails, 1000 * len(mails[-1]))
        with self.dovecot.imap("bulk") as imap:
            imap.select("INBOX", readonly=True)
            self.assertEqual(imap.search(None, "SEEN")[1], [b""], "nothing was marked as read")
        before = self.validity("bulk")
        self.is_another_second(before)
        # The index goes: Dovecot makes a new UIDVALIDITY, and all UIDs anew. Its processes would remember the old one.
        self.dovecot.kill()
        for name in ("dovecot-uidlist", "dovecot-uidvalidity", "dovecot.index", "dovecot.index.log", "dovecot.index.cache",
                     "dovecot.list.index", "dovecot.list.index.log"):
            (self.dovecot.mail / "bulk" / name).unlink(missing_ok=True)
        for path in (self.dovecot.mail / "bulk").glob("dovecot-uidvalidity*"):
            path.unlink()
        self.dovecot.again()
        self.dovecot.fill("bulk", [mail("after@example.org", "after", "words")])
        wait_for(lambda: "after" in self.titles(), "the mail behind the new UIDVALIDITY", 200)
        self.assertNotEqual(self.validity("bulk"), before)
        self.came_anew(len(keys))
        self.assertEqual(sorted(self.titles()), sorted([*keys, "after"]), "each once")

    def test_a_mail_is_there_within_two_seconds_of_its_delivery(self):
        self.dovecot.fill("quick", [mail("first@example.org", "first", "words")])
        self.channel("support", "quick")
        self.daemon.start()
        self.daemon.wait_for_events(1)
        with self.dovecot.imap("quick") as imap:
            for number in range(3):
                imap.append("INBOX", "", imaplib.Time2Internaldate(time.time()), mail(f"q{number}@example.org", f"q{number}", "words"))
                begun = time.monotonic()
                self.daemon.wait_for_events(2 + number, limit=10)
                self.assertLess(time.monotonic() - begun, 2)

    def test_fifty_mailboxes_are_read_and_followed_and_trash_is_not(self):
        names = ["", *(f"Shop {number}" for number in range(48)), "Köln & Bonn"]
        with self.dovecot.imap("many") as imap:
            for name in names[1:49]:
                imap.create(f'"{name}"')
            imap.create('"K&APY-ln &- Bonn"')
            for number, name in enumerate(["INBOX", *names[1:49], "K&APY-ln &- Bonn"]):
                imap.append(f'"{name}"', "", imaplib.Time2Internaldate(time.time()), mail(f"{number}@example.org", f"in {number}", "w"))
            imap.append("Trash", "", imaplib.Time2Internaldate(time.time()), mail("t@example.org", "thrown away", "w"))
            # Nobody looks: the server tells of all of them (NOTIFY).
            self.channel("support", "many", check_every="1h")
            self.daemon.start()
            self.daemon.wait_for_events(50)
            imap.append('"Shop 31"', "", imaplib.Time2Internaldate(time.time()), mail("late@example.org", "late", "w"))
            begun = time.monotonic()
            wait_for(lambda: "late" in self.titles(), "what came into one of them", 20)
            self.assertLess(time.monotonic() - begun, 10)
        self.assertEqual(sorted(self.titles()), sorted([*(f"in {number}" for number in range(50)), "late"]))

    def test_a_mailbox_that_is_made_meanwhile_is_read_at_once(self):
        with self.dovecot.imap("maker") as imap:
            imap.append("INBOX", "", imaplib.Time2Internaldate(time.time()), mail("0@example.org", "first", "w"))
            self.channel("support", "maker", check_every="1h")
            self.daemon.start()
            self.daemon.wait_for_events(1)
            for number, name in enumerate(("Brandnew", "Deep.Sub", "Brandnew")):
                if number < 2:
                    imap.create(name)
                imap.append(name, "", imaplib.Time2Internaldate(time.time()), mail(f"n{number}@example.org", f"n{number}", "w"))
                wait_for(lambda number=number: f"n{number}" in self.titles(), f"the mail in {name}", 20)
            imap.rename("Brandnew", "Older")
            imap.append("Older", "", imaplib.Time2Internaldate(time.time()), mail("n3@example.org", "n3", "w"))
            wait_for(lambda: "n3" in self.titles(), "the mail in the one of another name", 20)
        self.assertEqual(sorted(self.titles()), ["first", "n0", "n1", "n2", "n3"])

    def test_only_the_named_mailboxes_are_read_and_a_missing_one_is_told(self):
        with self.dovecot.imap("named") as imap:
            imap.create('"K&APY-ln"')
            for name in ("INBOX", "K&APY-ln"):
                imap.append(f'"{name}"', "", imaplib.Time2Internaldate(time.time()), mail(f"{name}@example.org", name, "w"))
        self.channel("support", "named", folders=["Köln", "Nowhere"])
        self.daemon.start()
        self.daemon.wait_for_events(1)
        self.assertEqual(self.titles(), ["K&APY-ln"])
        self.assertIn("Nowhere", self.daemon.wait_for_state("support", "degraded")["reason"])

    def test_starttls_and_every_way_to_log_in(self):
        for mechanisms in ("scram-sha-256", "plain", "login"):
            server = Dovecot(self.folder / mechanisms, self.authority, mechanisms)
            server.fill("nora", [mail("one@example.org", mechanisms, "words")])
            server.answers = lambda server=server: self.greets(server.port)
            server.start()
            self.addCleanup(server.close)
            self.channel(mechanisms, "nora", port=server.port, tls="starttls")
        self.daemon.start()
        self.daemon.wait_for_events(3)
        self.assertEqual(sorted(self.titles()), ["login", "plain", "scram-sha-256"])

    @staticmethod
    def greets(port):
        try:
            imaplib.IMAP4("localhost", port, timeout=5).shutdown()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def test_sent_mail_stays_outbound_wherever_it_lies_and_is_moved_and_read_again(self):
        self.channel("support", "sender")
        with self.dovecot.imap("sender") as imap:
            imap.create("Archive")
            for mailbox, title in (("INBOX", "both"), ("Sent", "both"), ("Archive", "both"), ("Sent", "sent"), ("INBOX", "came")):
                imap.append(mailbox, "", imaplib.Time2Internaldate(time.time()), mail(f"{title}@example.org", title, "words"))

            def all_read(word):
                for mailbox in ("INBOX", "Sent", "Archive"):
                    imap.append(mailbox, "", imaplib.Time2Internaldate(time.time()), mail(f"{word}{mailbox}@x.example", f"{word} {mailbox}", "w"))
                wait_for(lambda: {f"{word} {mailbox}" for mailbox in ("INBOX", "Sent", "Archive")} <= set(self.titles()), f"all {word}", 60)

            def all_well():
                self.assertEqual(self.trail("both"), [("received", "inbound"), ("revised", "outbound")])
                self.assertEqual(self.trail("sent"), [("received", "outbound")])
                self.assertEqual(self.trail("came"), [("received", "inbound")])
            self.daemon.start()
            all_read("first")
            all_well()
            imap.select("Sent")
            imap.uid("MOVE", "2", "Archive")
            all_read("moved")
            all_well()
        before = self.validity("sender", "Sent")
        # Of several mailboxes Dovecot makes one in each second's name, ahead of time where need be.
        self.is_another_second(max(before, self.validity("sender"), self.validity("sender", "Archive")))
        self.dovecot.kill()
        for path in (self.dovecot.mail / "sender").rglob("dovecot*"):
            path.unlink()
        self.dovecot.again()
        with self.dovecot.imap("sender") as imap:
            imap.append("Sent", "", imaplib.Time2Internaldate(time.time()), mail("anew@x.example", "anew", "w"))
        wait_for(lambda: "anew" in self.titles(), "the mail behind the new UIDVALIDITY", 60)
        self.assertNotEqual(self.validity("sender", "Sent"), before)
        wait_for(lambda: self.daemon.channel_status("support")["counts"]["received"] >= 24, "all of it came once more")
        all_well()

    def test_whom_it_cannot_trust_gets_no_password(self):
        self.dovecot.fill("nora", [mail("one@example.org", "one", "words")])
        # Servers of our own, which keep all that they are told: beside those that may not be trusted one that may.
        spies = {}
        for name, settings in (("name", {"imap": "127.0.0.1"}), ("authority", {"authorities": ""}), ("trusted", {})):
            for tls in ("implicit", "starttls"):
                spy = spies[name, tls] = ImapServer({"INBOX": Mailbox()}, tls, self.authority.folder)
                self.addCleanup(spy.close)
                self.channel(f"{name}-{tls}", "nora", port=spy.port, tls=tls, **settings)
        self.channel("name", "nora", imap="127.0.0.1")
        self.channel("authority", "nora", authorities="")
        (self.daemon.folder / "wrong").write_text("another")
        (self.daemon.folder / "wrong").chmod(0o600)
        self.channel("wrong", "nora", password={"file": str(self.daemon.folder / "wrong")})
        self.daemon.start()
        for like, words in (("name", "not for that name"), ("authority", "is not trusted")):
            for channel in (like, f"{like}-implicit", f"{like}-starttls"):
                self.assertIn(words, self.daemon.wait_for_state(channel, "degraded")["reason"])
        self.assertIn("refuses the login of nora", self.daemon.wait_for_state("wrong", "degraded")["reason"])
        for (name, tls), spy in spies.items():
            told = bytes(spy.clear) + "".join(spy.commands).encode()
            if name == "trusted":
                wait_for(lambda spy=spy: spy.logins == 1, f"the login at {name}, {tls}")
            else:
                self.assertGreater(spy.connections, 0, "it was asked")
                self.assertEqual((spy.logins, set(spy.commands) - {"STARTTLS"}), (0, set()), f"{name}, {tls}")
            for word in (b"secret", base64.b64encode(b"\0nora\0secret")):
                self.assertNotIn(word, told, f"{name}, {tls}: not in clear, and to nobody unknown")
        self.assertEqual(self.titles(), [])
        self.assertNotIn("another", self.daemon.log())

    def test_a_mail_above_max_item_is_quarantined_by_the_id_that_it_has_elsewhere(self):
        big = mail("big@example.org", "big", "x" * 70 + "\n" + "y" * 3_000_000)
        self.dovecot.fill("large", [big, mail("small@example.org", "small", "w")])
        maildir = self.daemon.folder / "copy"
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True)
        (maildir / "new" / "1.example.org").write_bytes(big)
        self.channel("support", "large", max_item="1MiB")
        self.daemon.channel("copy", "email", {"maildir": str(maildir), "max_item": "1MiB"}, begin="all")
        self.daemon.start()
        events = self.daemon.wait_for_events(3)
        ids = {event["data"]["channel"]: event["data"]["native_id"] for event in events if "quarantined" in event["type"]}
        self.assertEqual(ids["support"], ids["copy"])
        self.assertIn("small", [event["data"].get("title") for event in events])


class SecondMake(WithServer):
    @classmethod
    def setUpClass(cls):
        cls.prepare(*Cyrus.PROGRAMS)
        cls.server = cls.cyrus = Cyrus(cls.folder / "cyrus", cls.authority).start()
        cls.addClassCleanup(cls.cyrus.close)

    def test_every_mail_comes_once_over_kills_and_a_new_mailbox(self):
        keys = [f"bulk-{number}" for number in range(3000 if LONG else 300)]
        # Large ones, so that they do not come all at once: three groups of 2 MiB are asked for at a time.
        mails = [mail(f"{key}@example.org", key, ("words " * 12 + "\n") * 600) for key in keys]
        self.cyrus.fill("bulk", mails)
        self.comes_over_kills("bulk", mails, 6_500_000)
        with self.cyrus.imap("bulk") as imap:
            imap.select("INBOX", readonly=True)
            self.assertEqual(imap.uid("SEARCH", None, "SEEN")[1], [b""], "nothing was marked as read")
        before = self.validity("bulk")
        self.is_another_second(before)
        self.cyrus.make_anew("bulk")
        self.cyrus.fill("bulk", [*mails[:len(mails) // 2], mail("after@example.org", "after", "words")])
        wait_for(lambda: "after" in self.titles(), "the mail behind the new UIDVALIDITY", 200)
        self.assertNotEqual(self.validity("bulk"), before)
        self.came_anew(len(mails) // 2)
        self.assertEqual(sorted(self.titles()), sorted([*keys, "after"]), "each once")

    def test_a_mail_is_there_within_two_seconds_of_its_delivery(self):
        self.cyrus.fill("quick", [mail("first@example.org", "first", "words")])
        self.channel("support", "quick", check_every="1h")
        self.daemon.start()
        self.daemon.wait_for_events(1)
        for number in range(3):
            self.cyrus.fill("quick", [mail(f"q{number}@example.org", f"q{number}", "words")])
            begun = time.monotonic()
            self.daemon.wait_for_events(2 + number, limit=10)
            self.assertLess(time.monotonic() - begun, 2)

    def test_fifty_mailboxes_are_read_and_followed(self):
        names = ["INBOX", *(f"Shop {number}" for number in range(48)), "K&APY-ln &- Bonn"]
        self.cyrus.fill_all("many", {name: [mail(f"{number}@example.org", f"in {number}", "w")] for number, name in enumerate(names)})
        self.channel("support", "many", check_every="1s")
        self.daemon.start()
        self.daemon.wait_for_events(50)
        self.cyrus.fill("many", [mail("late@example.org", "late", "w")], "Shop 31")
        wait_for(lambda: "late" in self.titles(), "what came into one of them", 20)
        self.assertEqual(sorted(self.titles()), sorted([*(f"in {number}" for number in range(50)), "late"]))

    def test_tls_both_ways_and_whom_it_cannot_trust(self):
        self.cyrus.fill("nora", [mail("one@example.org", "one", "words")])
        self.channel("starttls", "nora", port=self.cyrus.port, tls="starttls")
        self.channel("name", "nora", imap="127.0.0.1")
        self.channel("authority", "nora", authorities="")
        (self.daemon.folder / "wrong").write_text("another")
        (self.daemon.folder / "wrong").chmod(0o600)
        self.channel("wrong", "nora", password={"file": str(self.daemon.folder / "wrong")})
        self.daemon.start()
        self.daemon.wait_for_events(1)
        self.assertIn("not for that name", self.daemon.wait_for_state("name", "degraded")["reason"])
        self.assertIn("is not trusted", self.daemon.wait_for_state("authority", "degraded")["reason"])
        self.assertIn("refuses the login of nora", self.daemon.wait_for_state("wrong", "degraded")["reason"])
        self.assertEqual(self.titles(), ["one"])

    def test_a_mail_above_max_item_is_quarantined_and_the_others_come(self):
        self.cyrus.fill("large", [mail("a@example.org", "a", "w"), mail("big@example.org", "big", ("y" * 70 + "\n") * 40000),
                                  mail("b@example.org", "b", "w")])
        self.channel("support", "large", max_item="1MiB")
        self.daemon.start()
        events = self.daemon.wait_for_events(3)
        self.assertEqual(sorted(event["data"].get("title", "") for event in events), ["", "a", "b"])
        self.assertIn("larger than max_item", str(events))


if __name__ == "__main__":
    unittest.main()
