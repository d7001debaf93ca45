# SPDX-License-Identifier: Apache-2.0
"""A POP3 server that misbehaves: nothing is lost or doubled, no password leaves in clear, memory stays."""
import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "emulators")]
from pop3_server import Pop3Server
from voxbus_daemon import Daemon, mail, memory_scale, wait_for


class BadServer(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.secret = self.daemon.folder / "password"
        self.secret.write_text("s3cret-words")
        self.secret.chmod(0o600)
        self.server = Pop3Server({f"id-{number}": mail(f"m{number}@example.org", f"m{number}", "words") for number in range(20)})
        self.addCleanup(self.server.close)

    def begin(self, **settings):
        self.daemon.channel("support", "email", {"pop3": "localhost", "port": self.server.port, "user": "nora", "tls": "none",
                                                 "password": {"file": str(self.secret)}, "check_every": "100ms", **settings}, begin="all")
        self.daemon.start()

    def titles(self):
        return sorted(event["data"]["title"] for event in self.daemon.interactions())

    def reason(self):
        return self.daemon.wait_for_state("support", "degraded")["reason"]

    def test_only_what_reads_is_asked_and_each_mail_once(self):
        self.begin()
        self.daemon.wait_for_events(20)
        self.server.mails["late"] = mail("late@example.org", "late", ".\n..two")
        self.daemon.wait_for_events(21)
        self.assertEqual(self.titles(), sorted([*(f"m{number}" for number in range(20)), "late"]))
        self.assertEqual((len(self.server.taken), self.server.wrong), (21, []))

    def test_a_session_that_ends_behind_its_list_does_not_give_one_mail_the_name_of_another(self):
        def renumber():
            self.server.mails = {"new": mail("new@example.org", "new", "words"), **self.server.mails}
        self.server.leaves_after_list = 1
        self.server.left = renumber
        self.begin()
        self.daemon.wait_for_events(21)
        self.assertEqual(self.titles(), sorted([*(f"m{number}" for number in range(20)), "new"]))

    def test_a_maildrop_in_use_is_waited_for_and_a_wrong_password_told(self):
        self.server.refusals = ["[IN-USE] another session", "[SYS/TEMP] later"]
        self.begin()
        self.daemon.wait_for_events(20)
        self.server.refusals = ["[AUTH] wrong"] * 1000
        reason = self.reason()
        self.assertIn("refuses the login of nora", reason)
        self.assertIn("[AUTH] wrong", reason)
        self.assertNotIn("s3cret", self.daemon.log())

    def test_a_line_break_in_the_login_makes_no_command_and_is_told_without_the_password(self):
        for name, word in (("user", "nora\r\nDELE 1"), ("password", "s3cret-words\nDELE 1\n")):
            with self.subTest(name):
                self.setUp()
                settings = {name: word} if name == "user" else {}
                if name == "password":
                    self.secret.write_text(word)
                self.begin(**settings)
                problem = wait_for(lambda: (lambda c: c and c["state"] in ("down", "degraded") and c)(self.daemon.channel_status("support")), "it is refused")
                self.assertIn(f"'{name}' holds a line break", problem["reason"])
                checked = self.daemon.voxbus("check", "--trust", check=False)
                self.assertEqual(checked.returncode, 78)
                self.assertIn(f"'{name}' holds a line break", checked.stdout)
                self.assertNotIn("s3cret", checked.stdout + checked.stderr + self.daemon.log())
                self.assertEqual(self.server.got, b"", "nobody asked the server")

    def test_a_server_without_stls_gets_no_credentials(self):
        self.begin(tls="starttls")
        self.assertIn("does not offer STLS", self.reason())
        self.assertNotIn(b"USER", self.server.got)
        self.assertNotIn(b"s3cret", self.server.got)

    def test_an_endless_list_is_cut_and_memory_stays(self):
        self.server.endless_list = True
        self.begin()
        self.assertIn("never comes to an end", self.reason())
        self.assertLess(self.server.sent, 200 << 20)
        pid = self.daemon.channel_status("support").get("pid")
        if pid:
            peak = next(line for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
            self.assertLess(int(peak.split()[1]), (400 << 10) * memory_scale(), peak)
        self.server.endless_list = False
        self.daemon.wait_for_events(20)

    def test_an_id_beyond_70_characters_is_refused_and_told(self):
        self.server.mails["x" * 71] = mail("x@example.org", "x", "words")
        self.begin()
        self.assertIn("names a mail by 71 characters", self.reason())

    def test_a_silent_server_does_not_hold_the_end_up(self):
        self.server.silent = True
        self.begin()
        wait_for(lambda: self.daemon.channel_status("support")["state"] != "down", "it tries")
        begun = time.monotonic()
        self.daemon.stop()
        self.assertLess(time.monotonic() - begun, 5)
        self.assertNotIn("killed", self.daemon.log())


if __name__ == "__main__":
    unittest.main()
