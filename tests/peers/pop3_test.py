#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Mail by POP3 from a real server: Dovecot, over TLS with a test's own authority."""
import pathlib
import poplib
import shutil
import signal
import socket
import ssl
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import dovecot
from authority import Authority
from servers import LONG, free_port, need, wait_for
from voxbus_daemon import Daemon, mail

MAILS = 10000 if LONG else 1000


class Dovecot(dovecot.Dovecot):
    """The same accounts, by POP3."""

    def configure(self):
        super().configure()
        self.secure_port = free_port()
        with open(self.folder / "dovecot.conf", "a", encoding="ascii") as file:
            file.write(f"""
protocols = pop3
service pop3-login {{
  inet_listener pop3 {{
    port = {self.port}
  }}
  inet_listener pop3s {{
    port = {self.secure_port}
    ssl = yes
  }}
}}
""")

    def answers(self):
        try:
            self.pop("probe").quit()
            return True
        except (OSError, poplib.error_proto):
            return False

    def pop(self, user):
        context = ssl.create_default_context(cafile=str(self.authority.folder / "ca.pem"))
        connection = poplib.POP3_SSL("localhost", self.secure_port, context=context, timeout=20)
        connection.user(user)
        connection.pass_("secret")
        return connection


class Pop3(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("/usr/sbin/dovecot", "/usr/lib/dovecot/pop3", "/usr/bin/openssl")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="voxbus-pop3-"))
        cls.folder.chmod(0o755)
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.authority = Authority(cls.folder / "authority")
        cls.dovecot = Dovecot(cls.folder / "dovecot", cls.authority).start()
        cls.addClassCleanup(lambda: cls.dovecot.close())

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.secret = self.daemon.folder / "password"
        self.secret.write_text("secret")
        self.secret.chmod(0o600)

    def channel(self, name, user, **settings):
        whole = {"pop3": "localhost", "port": self.dovecot.secure_port, "user": user, "password": {"file": str(self.secret)},
                 "authorities": str(self.authority.folder / "ca.pem"), "check_every": "300ms", **settings}
        self.daemon.channel(name, "email", {key: value for key, value in whole.items() if value}, begin="all")

    def titles(self):
        return [event["data"]["title"] for event in self.daemon.interactions()]

    def test_every_mail_comes_once_over_kills_and_stays_on_the_server(self):
        keys = [f"bulk-{number}" for number in range(MAILS)]
        self.dovecot.fill("bulk", [mail(f"{key}@example.org", key, "words " * 200) for key in keys])
        self.channel("support", "bulk")
        self.daemon.start()
        self.daemon.wait_for_events(MAILS // 10)
        self.dovecot.process.kill()  # in the middle
        self.dovecot.process.wait()
        self.dovecot.again()
        self.daemon.wait_for_events(MAILS // 2, limit=120)
        self.daemon.kill()
        self.daemon.start()
        self.daemon.wait_for_events(MAILS, limit=300)
        self.daemon.stop()
        pop = self.dovecot.pop("bulk")
        pop.dele(3)
        pop.dele(MAILS - 2)
        pop.quit()
        self.daemon.start()
        self.dovecot.fill("bulk", [mail("after@example.org", "after", "words")])
        wait_for(lambda: "after" in self.titles(), "the mail behind the deleted ones", 60)
        self.assertEqual(sorted(self.titles()), sorted([*keys, "after"]), "each once")
        pop = self.dovecot.pop("bulk")
        self.assertEqual(pop.stat()[0], MAILS - 1, "nothing is deleted")
        pop.quit()

    def test_lines_that_begin_with_a_dot_and_large_mails_have_the_id_that_they_have_elsewhere(self):
        dots = mail("dots@example.org", "dots", ".\n..\n...words\n.")
        big = mail("big@example.org", "big", "y" * 70 + "\n" + "x" * 3_000_000)
        self.dovecot.fill("large", [dots, big, mail("small@example.org", "small", "w")])
        maildir = self.daemon.folder / "copy"
        for part in ("tmp", "new", "cur"):
            (maildir / part).mkdir(parents=True)
        (maildir / "new" / "1.example.org").write_bytes(big)
        (maildir / "new" / "2.example.org").write_bytes(dots)
        self.channel("support", "large", max_item="1MiB")
        self.daemon.channel("copy", "email", {"maildir": str(maildir), "max_item": "1MiB"}, begin="all")
        self.daemon.start()
        ids = {"support": set(), "copy": set()}
        for event in self.daemon.wait_for_events(5):
            ids[event["data"]["channel"]].add((event["type"], event["data"]["native_id"]))
        self.assertEqual(len(ids["copy"]), 2)
        self.assertLess(ids["copy"], ids["support"])

    def test_starttls_and_without_tls_on_this_machine(self):
        self.dovecot.fill("nora", [mail("one@example.org", "one", "words")])
        self.channel("starttls", "nora", port=self.dovecot.port, tls="starttls")
        self.daemon.start()
        self.daemon.wait_for_events(1)
        self.channel("clear", "nora", port=self.dovecot.port, tls="none")
        self.daemon.process.send_signal(signal.SIGHUP)
        self.daemon.wait_for_events(2)

    def test_whom_it_cannot_trust_gets_no_password(self):
        self.dovecot.fill("nora", [mail("one@example.org", "one", "words")])
        self.channel("name", "nora", pop3="127.0.0.1")
        self.channel("authority", "nora", authorities="")
        (self.daemon.folder / "wrong").write_text("another")
        (self.daemon.folder / "wrong").chmod(0o600)
        self.channel("wrong", "nora", password={"file": str(self.daemon.folder / "wrong")})
        self.daemon.start()
        self.assertIn("is not trusted", self.daemon.wait_for_state("name", "degraded")["reason"])
        self.assertIn("is not trusted", self.daemon.wait_for_state("authority", "degraded")["reason"])
        self.assertIn("refuses the login of nora", self.daemon.wait_for_state("wrong", "degraded")["reason"])
        self.assertEqual(self.titles(), [])
        self.assertNotIn("another", self.daemon.log())

    def test_a_certificate_that_is_expired_or_names_nobody_is_refused(self):
        rows = {"expired": {"expired": True}, "nameless": {"alternative": ""}, "other": {"alternative": "DNS:other.example.org"}}
        for name, how in rows.items():
            server = Dovecot(self.folder / name, self.authority.certificate(name, **how))
            server.answers = lambda server=server: self.greets(server.port)
            server.fill("nora", [mail("one@example.org", name, "words")])
            server.start()
            self.addCleanup(server.close)
            self.channel(name, "nora", port=server.secure_port)
            self.channel(f"{name}-starttls", "nora", port=server.port, tls="starttls")
        self.daemon.start()
        for name in (*rows, *(f"{name}-starttls" for name in rows)):
            self.assertIn("is not trusted", self.daemon.wait_for_state(name, "degraded")["reason"], name)
        self.assertEqual(self.titles(), [])

    @staticmethod
    def greets(port):
        try:
            socket.create_connection(("localhost", port), 5).close()
            return True
        except OSError:
            return False

    def test_a_server_that_is_not_there_is_told_and_waited_for(self):
        self.channel("support", "nora", port=free_port())
        self.daemon.start()
        self.assertIn("cannot read from localhost", self.daemon.wait_for_state("support", "degraded")["reason"])


if __name__ == "__main__":
    unittest.main()
