#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The IMAP source against servers gone bad: what they send is cut at its limit, no password goes out
in clear, memory stays flat, the channel says what is wrong, and what can be read is read once."""
import base64
import itertools
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "emulators"))
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "peers"))
from authority import Authority
from imap_server import Gone, ImapServer, Mailbox
from voxbus_daemon import Daemon, mail, memory_scale, wait_for

PASSWORD = "canary-7f3a"
MOST_KIB = 120 * 1024  # of a host: one mail of 8 MiB as it came, parsed and handed over
SMALL_KIB = 64 * 1024  # without such a mail


def mails(*names):
    return [mail(f"{name}@example.org", name, "words") for name in names]


class BadServer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="voxbus-bad-imap-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.authority = Authority(cls.folder / "authority")

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.secret = self.daemon.folder / "password"
        self.secret.write_text(PASSWORD)
        self.secret.chmod(0o600)
        self.servers = {}

    def tearDown(self):
        """Whatever a test is about: nothing was sent that may not be, and no password in clear."""
        for name, server in self.servers.items():
            self.assertEqual(server.violations, [], name)
            if server.tls != "none":
                self.assertTrue(safe(server.clear), f"{name}: {bytes(server.clear)[:500]}")
        self.assertNotIn(PASSWORD, self.daemon.log())

    def server(self, name, mailboxes=None, tls="none", settings=None, **switches):
        server = ImapServer(mailboxes, tls, self.authority.folder, password=PASSWORD)
        self.addCleanup(server.close)
        for key, value in switches.items():
            assert hasattr(server, key), key
            setattr(server, key, value)
        self.servers[name] = server
        self.daemon.channel(name, "email", {
            "imap": "localhost", "port": server.port, "user": "nora", "password": {"file": str(self.secret)}, "tls": tls,
            **({} if tls == "none" else {"authorities": str(self.authority.folder / "ca.pem")}),
            "check_every": "200ms", **(settings or {})}, begin="all")
        return server

    def titles(self, channel):
        return [event["data"]["title"] for event in self.daemon.interactions(f"channel={channel}")
                if "quarantined" not in event["type"]]

    def quarantined(self, channel):
        return [event["data"] for event in self.daemon.interactions(f"channel={channel}&type=interaction.quarantined")]

    def wait_for_titles(self, channel, *names, limit=60):
        wait_for(lambda: len(self.titles(channel)) >= len(names), f"{len(names)} mails of {channel}", limit)
        self.assertEqual(sorted(self.titles(channel)), sorted(names))

    def degraded(self, channel, *words, limit=60):
        """It says all these words; answers the reason."""
        return wait_for(lambda: (lambda c: c and c["state"] == "degraded" and all(word in c["reason"] for word in words) and
                                 c["reason"])(self.daemon.channel_status(channel)), f"{channel} says {words}", limit)

    def memory(self, channel):
        """The most that its host ever held, in KiB."""
        status = pathlib.Path(f"/proc/{self.daemon.channel_status(channel)['pid']}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0])

    # --- nothing is believed before the login ---
    def test_before_the_login_nothing_is_believed_and_no_password_goes_out_in_clear(self):
        def say(text):
            return lambda session, tag, words: session.send(text)

        def then_gone(text):
            def answer(session, tag, words):
                session.send(text)
                raise Gone
            return answer

        def injected(session, tag, words):
            session.send(f"{tag} OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
            session.secure()

        rows = {
            "preauth": ("starttls", {"greeting": say("* PREAUTH you are nora\r\n")}, ["does not greet"]),
            "preauth-clear": ("none", {"greeting": say("* PREAUTH you are nora\r\n")}, ["does not greet"]),
            "early-ok": ("starttls", {"greeting": say("* OK hi\r\nv1 OK begin\r\na1 OK begin\r\n")}, ["answers what was not asked"]),
            "no-starttls": ("starttls", {"STARTTLS": lambda s, tag, w: s.send(f"{tag} NO never\r\n")}, ["does not offer STARTTLS"]),
            "bad-starttls": ("starttls", {"STARTTLS": lambda s, tag, w: s.send(f"{tag} BAD what\r\n")}, ["does not offer STARTTLS"]),
            "injected": ("starttls", {"STARTTLS": injected}, ["more than its answer to STARTTLS"]),
            "bye": ("none", {"greeting": then_gone("* BYE too many of you\r\n")}, ["ends the session", "too many of you"]),
            "nothing": ("none", {"greeting": then_gone("")}, ["it closed the connection"]),
            "not-tls": ("implicit", {"greeting": say("")}, []),
            "http": ("none", {"greeting": say("HTTP/1.1 400 Bad Request\r\n\r\n")}, ["breaks the IMAP protocol"]),
            "tagged": ("none", {"greeting": say("v1 OK come in\r\n")}, ["does not greet"]),
            "ssh": ("none", {"greeting": say("SSH-2.0-OpenSSH_9.2\r\n")}, ["breaks the IMAP protocol"]),
            "literal": ("none", {"greeting": say("* X {4294967295}\r\n")}, ["a literal of 4294967295 bytes"]),
            "huge": ("none", {"greeting": say("* X {99999999999999999999}\r\n")}, ["a literal of 99999999999999999999 bytes"]),
            "line": ("none", {"greeting": lambda s, tag, w: s.flood(b"* OK " + b"x" * 65536)}, ["a line that never ends"]),
            "untagged": ("none", {"CAPABILITY": lambda s, tag, w: s.flood(b"* OK still here\r\n" * 4096)},
                         ["sends more than its answer can be"]),
            "capabilities": ("none", {"CAPABILITY": lambda s, tag, w: s.send("* CAPABILITY" + " X" * 10000 + "\r\n")},
                             ["too many values"]),
            "no-login": ("none", {"CAPABILITY": lambda s, tag, w: s.send(f"* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n{tag} OK\r\n")},
                         ["no way to log in"]),
            "scram": ("none", {"CAPABILITY": lambda s, tag, w: s.send(f"* CAPABILITY AUTH=SCRAM-SHA-256\r\n{tag} OK\r\n"),
                               "AUTHENTICATE": endless_scram}, ["by SCRAM-SHA-256 failed"]),
        }
        for name, (tls, on, _) in rows.items():
            self.server(name, {"INBOX": Mailbox(mails("never"))}, tls, on=on)
        self.servers["not-tls"].tls = "none"  # it speaks clear where TLS is wanted
        self.servers["not-tls"].on = {}
        self.server("good", {"INBOX": Mailbox(mails("good"))}, "starttls")
        begun = time.monotonic()
        self.daemon.start()
        for name, (_, _, words) in rows.items():
            self.degraded(name, *words)
            self.assertEqual(self.servers[name].logins, 0, name)
            self.assertTrue(safe(self.servers[name].clear), name)
            self.assertLess(self.memory(name), SMALL_KIB * memory_scale(), name)
        self.assertLess(time.monotonic() - begun, 60)
        self.wait_for_titles("good", "good")
        # Of each connection no more than its limit, and what the kernel holds meanwhile.
        for name in ("line", "untagged"):
            server = self.servers[name]
            connections = wait_for(lambda server=server: server.flooded > 0 and max(1, server.clear.count(b"CAPABILITY")), name)
            self.assertLess(server.flooded / (connections if name == "untagged" else 10), 8 << 20, name)

    def test_a_certificate_that_is_expired_or_names_nobody_gets_no_password(self):
        rows = {"expired": ({"expired": True}, "expired"), "nameless": ({"alternative": ""}, "not for that name"),
                "other": ({"alternative": "DNS:other.example.org"}, "not for that name"),
                "partial": ({"alternative": "DNS:local*"}, "not for that name"), "good": ({}, "")}
        for name, (how, _) in rows.items():
            made = self.authority.certificate(name, **how)
            for tls in ("implicit", "starttls"):
                self.server(f"{name}-{tls}", {"INBOX": Mailbox(mails(name))}, tls, certificate=made.folder)
        self.daemon.start()
        for name, (_, words) in rows.items():
            for tls in ("implicit", "starttls"):
                if words:
                    self.degraded(f"{name}-{tls}", "is not trusted", words)
                    self.assertEqual(self.servers[f"{name}-{tls}"].logins, 0)
                else:
                    self.wait_for_titles(f"{name}-{tls}", name)

    # --- limits behind the login ---
    def test_what_no_answer_can_be_is_cut_and_other_mailboxes_go_on(self):
        def in_bad(answer):
            def answer_or_not(session, tag, words):
                if session.mailbox is not session.server.mailboxes["Bad"]:
                    return False
                return answer(session, tag, words)
            return answer_or_not

        def endless(piece):
            return in_bad(lambda session, tag, words: session.flood(piece))

        def with_body(text):
            def answer(session, tag, words):
                if "BODY" not in words:
                    return False
                return session.send(text)
            return in_bad(answer)

        rows = {
            "literal": ("UID FETCH", with_body("* 1 FETCH (UID 1 BODY[] {4294967295}\r\n"), "a literal of 4294967295 bytes"),
            "huge": ("UID FETCH", with_body("* 1 FETCH (UID 1 BODY[] {99999999999999999999}\r\n"), "a literal of 9999999999999999999"),
            "untagged": ("UID SEARCH", endless(b"* 5 EXISTS\r\n* OK so it goes\r\n" * 2000), "sends more than its answer can be"),
            "search": ("UID SEARCH", endless(b"* SEARCH 1 2 3\r\n" * 4000), "sends more than its answer can be"),
            "fetch": ("UID FETCH", endless(b"* 1 FETCH (UID 1 RFC822.SIZE 5 BODY[] {5}\r\nA: b\n)\r\n" * 2000),
                      "sends more than its answer can be"),
            "others": ("UID FETCH", in_bad(lambda s, tag, w: flood_of_others(s)), "sends more than its answer can be"),
            "line": ("UID SEARCH", endless(b" 1111111" * 8192), ""),
            "values": ("UID SEARCH", in_bad(lambda s, tag, w: s.send("* SEARCH" + " 1" * 300000 + "\r\n")), "too many values"),
            "nested": ("UID SEARCH", in_bad(lambda s, tag, w: s.send("* X " + "(" * 100000 + "\r\n")), ""),
            "status": ("EXAMINE", lambda s, tag, w: "Bad" in w and s.flood(b"* STATUS Bad (UIDNEXT 5)\r\n" * 2000),
                       "sends more than its answer can be"),
            "wants": ("EXAMINE", lambda s, tag, w: "Bad" in w and s.send("+ go on\r\n"), "waits for more"),
        }
        for name, (verb, answer, _) in rows.items():
            self.server(name, {"INBOX": Mailbox(mails("first")), "Bad": Mailbox(mails("bad")), "Shop": Mailbox(mails("shop"))},
                        on={verb: answer}, settings={"max_item": "1MiB"})
        self.daemon.start()
        for name, (_, _, words) in rows.items():
            self.degraded(name, *([words] if words else ["breaks the IMAP protocol"]))
            # What lies in other mailboxes comes, though they are behind the bad one.
            wait_for(lambda name=name: {"first", "shop"} <= set(self.titles(name)), f"the good ones of {name}")
            self.assertLess(self.memory(name), SMALL_KIB * memory_scale(), name)
        for name in ("untagged", "search", "fetch", "others", "line", "status"):
            server = self.servers[name]
            connections = max(1, server.logins)
            self.assertGreater(server.flooded, 0, name)
            self.assertLess(server.flooded / connections, 32 << 20, name)
        # Later mail as well.
        self.servers["untagged"].deliver(mails("later")[0])
        wait_for(lambda: "later" in self.titles("untagged"), "mail beside the bad mailbox", 60)
        for name in rows:
            self.assertEqual(len(self.titles(name)), len(set(self.titles(name))), name)

    def test_a_flood_in_idle_is_cut(self):
        def idle(session, tag, words):
            session.send("+ idling\r\n")
            session.flood(b"* OK still here\r\n" * 4096)
        server = self.server("support", {"INBOX": Mailbox(mails("first"))}, on={"IDLE": idle}, settings={"check_every": "1m"})
        self.daemon.start()
        self.wait_for_titles("support", "first")
        self.degraded("support", "sends more than its answer can be")
        self.assertLess(server.flooded / server.logins, 16 << 20)
        self.assertLess(self.memory("support"), SMALL_KIB * memory_scale())
        server.deliver(mails("later")[0])
        self.wait_for_titles("support", "first", "later")

    def test_the_list_of_mailboxes_is_bounded_and_asks_for_no_name_that_breaks_a_line(self):
        def names(session, tag, words):
            session.send('* LIST () "/" "INBOX"\r\n* LIST () "/" inbox\r\n* LIST () "/" "INBOX"\r\n')
            session.send("* LIST () \"/\" {23}\r\nx\"\r\nv9 DELETE \"INBOX\"\r\n\r\n* LIST () \"/\" " + '"' + "x" * 2000 + '"\r\n')
            session.ok(tag)
        odd = self.server("odd", {"INBOX": Mailbox(mails("one"))}, on={"LIST": names})
        self.server("flood", on={"LIST": lambda s, tag, w: s.flood(b'* LIST () "/" "INBOX"\r\n' * 3000)})
        self.server("many", on={"LIST": lambda s, tag, w: many(s, tag, 30000)})
        self.server("more", on={"LIST": lambda s, tag, w: many(s, tag, 2000)})
        self.daemon.start()
        self.wait_for_titles("odd", "one")
        self.degraded("flood", "sends more than its answer can be")
        self.degraded("many", "lists more than 20000 mailboxes")
        self.degraded("more", "has 2000 mailboxes", "'folders'")
        for name in self.servers:
            self.assertLess(self.memory(name), SMALL_KIB * memory_scale(), name)
        self.assertEqual(len([one for one in odd.commands if one == 'EXAMINE "INBOX"']), 1)

    # --- sizes ---
    def test_a_mail_that_is_longer_than_its_server_says_is_set_aside_as_an_oversized_one(self):
        big = mail("big@example.org", "big", ("x" * 70 + "\n") * 60000)
        server = self.server("lies", {"INBOX": Mailbox([*mails("a"), big, *mails("b")])}, settings={"max_item": "1MiB"}, sizes={2: 500})
        unsaid = self.server("unsaid", {"INBOX": Mailbox([*mails("a"), big, *mails("b")])}, settings={"max_item": "1MiB"},
                             sizes={1: None, 2: None, 3: None})
        self.server("zero", {"INBOX": Mailbox([*mails("a"), big, *mails("b")])}, settings={"max_item": "1MiB"}, sizes={1: 0, 2: 0, 3: 0})
        self.server("honest", {"INBOX": Mailbox([*mails("a"), big, *mails("b")])}, settings={"max_item": "1MiB"})
        self.server("boasts", {"INBOX": Mailbox(mails("a", "b"))}, settings={"max_item": "1MiB"}, sizes={1: 1 << 40, 2: 2 << 20})
        self.daemon.start()
        ids = set()
        for name in ("lies", "unsaid", "zero", "honest"):
            self.wait_for_titles(name, "a", "b")
            wait_for(lambda name=name: self.quarantined(name), f"the large one of {name}")
            self.assertEqual(len(self.quarantined(name)), 1)
            self.assertIn("larger than max_item", self.quarantined(name)[0]["reason"])
            ids.add(self.quarantined(name)[0]["native_id"])
            self.daemon.wait_for_state(name, "up")
        self.assertEqual(len(ids), 1, "by the id that it has elsewhere")
        self.wait_for_titles("boasts", "a", "b")
        self.assertEqual(self.quarantined("boasts"), [])
        for one in (server, unsaid):
            self.assertLessEqual(one.logins, 3, "it is not read again and again")

    def test_many_mails_that_are_larger_than_said_are_no_more_in_memory_than_one(self):
        large = [mail(f"{n}@example.org", f"large {n}", ("x" * 70 + "\n") * 100000) for n in range(12)]
        self.server("support", {"INBOX": Mailbox(large)}, sizes=dict.fromkeys(range(1, 13), 100), settings={"max_item": "8MiB"})
        self.daemon.start()
        self.wait_for_titles("support", *[f"large {n}" for n in range(12)], limit=120)
        self.assertLess(self.memory("support"), MOST_KIB * memory_scale())

    def test_a_mail_of_the_largest_size_comes_and_one_byte_more_does_not(self):
        def of(size, name):
            head = mail(f"{name}@example.org", name, "")
            head = head.replace(b"\n", b"\r\n")
            lines = (size - len(head)) // 72
            return head + b"x" * 70 * 0 + (b"y" * 70 + b"\r\n") * lines + b"z" * (size - len(head) - lines * 72)
        most = 1 << 20
        self.server("support", {"INBOX": Mailbox([of(most, "most"), of(most + 1, "more"), of(2 * most, "even")])},
                    sizes={1: 10, 2: 10, 3: 10}, settings={"max_item": "1MiB"})
        self.daemon.start()
        wait_for(lambda: len(self.quarantined("support")) == 2, "two are too large")
        self.assertEqual(self.titles("support"), ["most"])
        self.assertIn(f"({most + 1} bytes", self.quarantined("support")[0]["reason"])
        self.assertIn(f"({2 * most} bytes", self.quarantined("support")[1]["reason"])

    # --- what is listed and not handed over ---
    def test_what_is_listed_and_not_handed_over_is_set_aside_and_the_rest_comes(self):
        names = [f"m{n}" for n in range(1, 41)]
        kinds = {"withheld": "leaves a mail out", "refused": "mail 7 cannot be read", "hangs": "it closed the connection"}
        for kind in kinds:
            self.server(kind, {"INBOX": Mailbox(mails(*names)), "Shop": Mailbox(mails("shop"))}, **{kind: {7}})
        nil = self.server("nil", {"INBOX": Mailbox(mails(*names)), "Shop": Mailbox(mails("shop"))})
        nil.on["UID FETCH"] = lambda s, tag, w: fetch_with(s, tag, w, 7, b"* 7 FETCH (UID 7 BODY[] NIL)\r\n")
        self.daemon.start()
        for kind in (*kinds, "nil"):
            self.wait_for_titles(kind, *[name for name in names if name != "m7"], "shop", limit=60)
            aside = wait_for(lambda kind=kind: self.quarantined(kind), f"what {kind} keeps")
            self.assertEqual(len(aside), 1, kind)
            self.assertIn(kinds.get(kind, "leaves a mail out"), aside[0]["reason"])
            self.assertIn("UID 7, UIDVALIDITY 1000 of mailbox 'INBOX'", aside[0]["reason"])
            self.assertTrue(aside[0]["native_id"].endswith("-1000-7"), aside[0]["native_id"])
            self.daemon.wait_for_state(kind, "up")
            self.servers[kind].deliver(mails("later")[0])
            wait_for(lambda kind=kind: "later" in self.titles(kind), f"what comes later to {kind}")

    def test_answers_may_come_in_another_order_than_their_questions(self):
        names = [f"m{n}" for n in range(1500)]
        server = self.server("support", {"INBOX": Mailbox(mails(*names))}, swaps=True)
        self.daemon.start()
        self.wait_for_titles("support", *names)
        self.assertEqual(server.logins, 1)

    def test_a_mail_that_vanishes_while_it_is_read_is_gone_and_nothing_else(self):
        server = self.server("support", {"INBOX": Mailbox(mails("a", "b", "c"))})

        def fetch(session, tag, words):
            if "BODY" in words:
                server.mailboxes["INBOX"].mails.pop(2, None)
            return False
        server.on["UID FETCH"] = fetch
        self.daemon.start()
        self.wait_for_titles("support", "a", "c")
        server.deliver(mails("d")[0])
        self.wait_for_titles("support", "a", "c", "d")
        self.assertEqual(self.quarantined("support"), [])

    def test_a_server_that_hands_over_nothing_for_a_while_loses_nothing(self):
        names = [f"m{n}" for n in range(6)]
        server = self.server("ill", {"INBOX": Mailbox(mails(*names))}, refused=set(range(1, 7)))
        passing = self.server("passing", {"INBOX": Mailbox(mails(*names))})
        passing.on["UID FETCH"] = lambda s, tag, w: "BODY" in w and (s.send(f"{tag} NO [UNAVAILABLE] the disk is away\r\n") or True)
        self.daemon.start()
        self.degraded("ill", "cannot be read", "mail 1 of mailbox 'INBOX'")
        self.degraded("passing", "the disk is away")
        wait_for(lambda: server.logins >= 4 and passing.logins >= 4, "it tries again and again")
        server.refused, passing.on = set(), {}
        for name in ("ill", "passing"):
            self.wait_for_titles(name, *names, limit=60)
            self.assertEqual(self.quarantined(name), [])

    def test_an_empty_mail_is_set_aside_and_not_asked_for_again(self):
        server = self.server("support", {"INBOX": Mailbox([*mails("a"), b"", *mails("b")])})
        self.daemon.start()
        self.wait_for_titles("support", "a", "b")
        self.assertEqual(len(wait_for(lambda: self.quarantined("support"), "the empty one")), 1)
        self.assertEqual(server.logins, 1)

    # --- mailboxes ---
    def test_a_mailbox_that_is_refused_does_not_stop_the_others(self):
        boxes = {"INBOX": Mailbox(mails("first")), "Closed": Mailbox(mails("closed")), "Shop": Mailbox(mails("shop")),
                 "Quiet": Mailbox(mails("quiet"))}
        server = self.server("support", boxes, refused_mailboxes={"Closed"}, silent_mailboxes={"Quiet"})
        self.daemon.start()
        self.wait_for_titles("support", "first", "shop", "quiet")
        self.degraded("support", "mailbox Closed", "no such mailbox for you")
        server.deliver(mails("later")[0], "Quiet")
        server.deliver(mails("soon")[0])
        self.wait_for_titles("support", "first", "shop", "quiet", "later", "soon")
        self.assertEqual(server.logins, 2, "asked for once more on a new connection")
        server.refused_mailboxes = set()
        self.wait_for_titles("support", "first", "shop", "quiet", "later", "soon", "closed")
        self.daemon.wait_for_state("support", "up")

    def test_an_inbox_that_is_refused_does_not_stop_the_others(self):
        server = self.server("support", {"INBOX": Mailbox(), "Shop": Mailbox(mails("shop"))}, refused_mailboxes={"INBOX"})
        self.daemon.start()
        self.wait_for_titles("support", "shop")
        self.degraded("support", "mailbox INBOX")
        server.deliver(mails("later")[0], "Shop")
        self.wait_for_titles("support", "shop", "later")
        self.assertEqual(server.logins, 2, "asked for once more on a new connection")

    def test_a_mailbox_that_only_an_old_session_cannot_see_is_read_in_a_new_one(self):
        boxes = {"INBOX": Mailbox(mails("first")), "Shop": Mailbox(mails("shop"))}
        one = self.server("one", boxes, settings={"check_every": "1h"}, stale_mailboxes={"Shop": 1})
        # Not in the next session either, but later.
        late = self.server("late", {"INBOX": Mailbox(mails("c")), "Shop": Mailbox(mails("d"))},
                           settings={"check_every": "100ms"}, stale_mailboxes={"Shop": 2})
        # That goes on being refused: connections must not come one behind the other.
        often = self.server("often", {"INBOX": Mailbox(mails("a")), "Shop": Mailbox(mails("b"))})
        refusals = itertools.count()
        often.on["EXAMINE"] = lambda s, tag, name: "Shop" in name and next(refusals) % 2 == 0 and (s.send(f"{tag} NO not now\r\n") or True)
        self.daemon.start()
        self.wait_for_titles("one", "first", "shop", limit=20)
        self.assertEqual(one.logins, 2)
        self.wait_for_titles("late", "c", "d", limit=20)
        self.assertEqual(late.logins, 3)
        self.wait_for_titles("often", "a", "b")
        self.daemon.wait_for_state("often", "up")
        begun, before = time.monotonic(), often.logins
        for number in range(12):
            often.deliver(mails(f"later {number}")[0], "Shop")
            self.daemon.wait_for_events(7 + number)
        self.assertLessEqual(often.logins - before, 2 + (time.monotonic() - begun) / 0.2)

    def test_a_mailbox_that_is_made_meanwhile_is_read_with_the_next_look_or_when_it_is_told(self):
        looks = self.server("looks", {"INBOX": Mailbox(mails("first"))}, settings={"check_every": "1s"})
        told = self.server("told", {"INBOX": Mailbox(mails("first"))}, settings={"check_every": "1h"},
                           capabilities="IMAP4rev1 AUTH=PLAIN IDLE NOTIFY", events="names")
        fewer = self.server("fewer", {"INBOX": Mailbox(mails("first"))}, settings={"check_every": "1s"},
                            capabilities="IMAP4rev1 AUTH=PLAIN IDLE NOTIFY", events="messages")
        self.daemon.start()
        for name in ("looks", "told", "fewer"):
            self.wait_for_titles(name, "first")
        # Where it waits an hour, else, or a minute, it waits already.
        wait_for(lambda: "IDLE" in told.commands and "IDLE" in fewer.commands, "they wait")
        looks.make("New", Mailbox(mails("in looks")))
        self.wait_for_titles("looks", "first", "in looks", limit=6)  # ten looks would be 10 s
        told.make("New", Mailbox(mails("in told")))
        self.wait_for_titles("told", "first", "in told", limit=6)
        self.assertEqual([one.rpartition(" (")[2] for one in fewer.commands if "NOTIFY" in one],
                         ["MessageNew MessageExpunge MailboxName))", "MessageNew MessageExpunge))"])
        fewer.make("New", Mailbox(mails("in fewer")))
        self.wait_for_titles("fewer", "first", "in fewer", limit=6)
        # One question for each look, and with mail that comes in between none.
        listed = told.commands.count('LIST "" "*"')
        told.deliver(mails("later")[0])
        self.wait_for_titles("told", "first", "in told", "later")
        self.assertEqual(told.commands.count('LIST "" "*"'), listed)

    def test_mail_in_the_mailbox_that_is_marked_as_sent_is_outbound_and_junk_is_known_by_its_name(self):
        self.server("support", {"INBOX": Mailbox(mails("came")), "Out": Mailbox(mails("went"), attributes="\\Sent"),
                                "Spam": Mailbox(mails("junk")), "Sent": Mailbox(mails("unmarked"))})
        self.daemon.start()
        self.wait_for_titles("support", "came", "went", "unmarked")
        directions = {event["data"]["title"]: event["data"].get("direction", "inbound") for event in self.daemon.interactions()}
        self.assertEqual(directions, {"came": "inbound", "went": "outbound", "unmarked": "inbound"})

    def test_what_was_found_as_sent_stays_outbound_wherever_else_it_lies_and_is_found_again(self):
        both, went, came = mails("both", "went", "came")
        boxes = {"INBOX": Mailbox([both, came]), "Out": Mailbox([both, went], attributes="\\Sent"), "Archive": Mailbox([both])}
        server = self.server("support", boxes, settings={"addresses": ["us@example.org"]})

        def trail(title):
            return [(event["type"].split(".")[-2], event["data"].get("direction", "inbound"))
                    for event in self.daemon.interactions("channel=support") if event["data"]["title"] == title]

        def read_behind(word, change):
            """Each mailbox is read on to a mail of its own, which is its last."""
            with server.changed:
                change()
                for name, box in server.mailboxes.items():
                    box.add(mail(f"{word}-{name}@example.org", f"{word} {name}", "words"))
                server.changed.notify_all()
            wait_for(lambda: {f"{word} {name}" for name in server.mailboxes} <= set(self.titles("support")), f"all {word}")

        def all_as_it_should_be():
            self.assertEqual(trail("both"), [("received", "inbound"), ("revised", "outbound")])
            self.assertEqual(trail("went"), [("received", "outbound")])
            self.assertEqual(trail("came"), [("received", "inbound")])
        self.daemon.start()
        read_behind("first", lambda: None)
        all_as_it_should_be()

        def to_archive():
            sent = boxes["Out"].mails.pop(2)
            boxes["Archive"].add(sent)
            boxes["INBOX"].add(sent)
        read_behind("moved", to_archive)
        all_as_it_should_be()

        def made_anew():
            for box in server.mailboxes.values():
                box.validity += 1
        for number in range(3):
            read_behind(f"anew {number}", made_anew)
            all_as_it_should_be()
            self.daemon.stop()
            self.daemon.start()
        # Where it was known before as what came.
        read_behind("found", lambda: boxes["Out"].add(came))
        self.assertEqual(trail("came"), [("received", "inbound"), ("revised", "outbound")])
        read_behind("once more", made_anew)
        self.assertEqual(trail("came"), [("received", "inbound"), ("revised", "outbound")])
        self.assertEqual([trail("both"), trail("went")], [[("received", "inbound"), ("revised", "outbound")], [("received", "outbound")]])

    def test_where_no_mailbox_can_be_looked_at_they_are_opened(self):
        boxes = {"INBOX": Mailbox(mails("first")), "Shop": Mailbox(mails("shop"))}
        server = self.server("support", boxes, silent_mailboxes={"INBOX", "Shop"})
        self.daemon.start()
        self.wait_for_titles("support", "first", "shop")
        self.daemon.wait_for_state("support", "up")
        for name in boxes:
            server.deliver(mails(f"later in {name}")[0], name)
        self.wait_for_titles("support", "first", "shop", "later in INBOX", "later in Shop")

    def test_without_uidnext_without_idle_and_byte_by_byte_mail_comes_once(self):
        switches = {"plain": {}, "no-next": {"says_next": False}, "no-idle": {"capabilities": "IMAP4rev1 AUTH=PLAIN"},
                    "login": {"capabilities": "IMAP4rev1"}, "idle-refused": {"idles": False}, "bytes": {"byte_by_byte": True},
                    "tired": {"answers_before_bye": 12}, "starttls": {"tls": "starttls"}, "implicit": {"tls": "implicit"}}
        for name, more in switches.items():
            self.server(name, {"INBOX": Mailbox(mails("a", "b", "c")), "Shop": Mailbox(mails("shop"))}, **more)
        self.daemon.start()
        for name in switches:
            self.wait_for_titles(name, "a", "b", "c", "shop")
        for name in switches:
            self.servers[name].deliver(mails("later")[0])
            self.servers[name].deliver(mails("shop later")[0], "Shop")
        for name in switches:
            self.wait_for_titles(name, "a", "b", "c", "shop", "later", "shop later")
        # "none" is clear on purpose; who asks for TLS gets it.
        self.assertIn(base64.b64encode(f"\0nora\0{PASSWORD}".encode()), bytes(self.servers["plain"].clear))
        self.assertGreater(self.servers["tired"].logins, 1)
        for name in set(switches) - {"tired"}:
            self.assertEqual(self.servers[name].logins, 1, f"{name}, on one connection")

    def test_mail_that_comes_between_looking_and_waiting_is_not_left_until_the_next_look(self):
        server = self.server("support", {"INBOX": Mailbox(mails("first"))}, settings={"check_every": "1h"})
        late = iter(["behind the search", "behind the fetch", "behind the status"])

        def slip_in(when):
            def answer(session, tag, words):
                if when(words) and session.mailbox:
                    name = next(late, None)
                    if name:
                        server.deliver(mails(name)[0])
                        # Said with this answer; IDLE will not say it once more.
                        session.told = len(session.mailbox.mails)
                        session.send(f"* {session.told} EXISTS\r\n")
                return False
            return answer
        server.on["UID FETCH"] = slip_in(lambda words: "BODY" in words)
        self.daemon.start()
        self.wait_for_titles("support", "first", "behind the search", "behind the fetch", "behind the status", limit=20)

    def test_a_mailbox_made_anew_or_put_back_from_a_copy_loses_nothing_and_doubles_nothing(self):
        anew = self.server("anew", {"INBOX": Mailbox(mails("a", "b", "c"))})
        back = self.server("back", {"INBOX": Mailbox(mails("a", "b", "c"))})
        self.daemon.start()
        for name in ("anew", "back"):
            self.wait_for_titles(name, "a", "b", "c")
        anew.mailboxes["INBOX"] = Mailbox(mails("a", "b", "c", "d"), validity=1001)
        back.mailboxes["INBOX"] = Mailbox(mails("a", "e"), validity=1000)  # UID 2 is another mail now
        for server in (anew, back):
            for session in list(server.sessions):
                session.cut()
        self.wait_for_titles("anew", "a", "b", "c", "d")
        self.wait_for_titles("back", "a", "b", "c", "e")

    def test_the_last_uid_that_there_is_ends_nothing(self):
        box = Mailbox(mails("a"))
        box.next = 0xFFFFFFFF
        box.add(mails("last")[0])
        box.next = 0xFFFFFFFF
        server = self.server("support", {"INBOX": box, "Shop": Mailbox(mails("shop"))})
        self.daemon.start()
        self.wait_for_titles("support", "a", "last", "shop")
        server.deliver(mails("later")[0], "Shop")
        self.wait_for_titles("support", "a", "last", "shop", "later")

    def test_a_hundred_and_fifty_thousand_mails_are_searched_for_in_parts(self):
        box = Mailbox(mails("a"))
        box.next = 250_000
        box.add(mails("b")[0])
        parts = ["UID SEARCH UID 1:100000", "UID SEARCH UID 100001:200000", "UID SEARCH UID 200001:250000"]
        for name, following in {"said": f"* OK [UIDNEXT {box.next}]\r\n", "unsaid": ""}.items():
            def examine(session, tag, words, following=following):
                session.mailbox, session.told = box, len(box.mails)
                session.send(f"* 150000 EXISTS\r\n* OK [UIDVALIDITY 1000]\r\n{following}")
                session.ok(tag)
            self.server(name, {"INBOX": box}, says_next=bool(following)).on["EXAMINE"] = examine
        self.daemon.start()
        for name, asked in {"said": parts, "unsaid": ["UID SEARCH UID *", *parts]}.items():
            self.wait_for_titles(name, "a", "b")
            self.assertEqual([one for one in self.servers[name].commands if "SEARCH" in one][:len(asked)], asked)

    def test_a_login_that_is_refused_names_who_and_is_not_tried_at_once_again(self):
        server = self.server("support", password="another")
        self.daemon.start()
        self.degraded("support", "refuses the login of nora", "mend 'user' or 'password'")
        self.assertEqual(server.commands.count("AUTHENTICATE PLAIN"), 1)


def safe(clear):
    """No form of the password is in it."""
    clear = bytes(clear)
    forms = [PASSWORD.encode(), base64.b64encode(PASSWORD.encode()), base64.b64encode(f"\0nora\0{PASSWORD}".encode())]
    return not any(form in clear for form in forms)


def flood_of_others(session):
    """Mails that nobody asked for, each another one."""
    uid = 1000
    while not session.server.stopping:
        uid += 1
        data = f"* {uid} FETCH (UID {uid} BODY[] {{60000}}\r\n".encode() + b"x" * 60000 + b")\r\n"
        try:
            session.socket.sendall(data)
        except OSError:
            break
        session.server.flooded += len(data)
    raise Gone


def fetch_with(session, tag, words, uid, said):
    """As ever, but of this mail that is said."""
    if "BODY" not in words:
        return False
    first, _, last = words.split()[2].partition(":")
    inside = int(first) <= uid <= int(last or first)
    if inside:
        session.send(said)
        session.server.withheld = {uid}
    return False


def many(session, tag, count):
    session.send("".join(f'* LIST () "/" "box {number}"\r\n' for number in range(count)))
    session.ok(tag)


def endless_scram(session, tag, words):
    session.send("+ \r\n")
    first = base64.b64decode(session.line()).decode()
    nonce = first.split("r=")[1]
    session.send("+ " + base64.b64encode(f"r={nonce}xyz,s=QSXCR+Q6sek8bf92,i=4000000000".encode()).decode() + "\r\n")
    session.line()
    raise Gone


if __name__ == "__main__":
    unittest.main()
