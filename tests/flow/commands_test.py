# SPDX-License-Identifier: Apache-2.0
"""The `voxbus` command as an administrator uses it."""

import csv
import http.server
import io
import json
import os
import shutil
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from voxbus_daemon import BUILD, Daemon, Maildir, cdr, mail, wait_for


class Commands(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        calls = cls.daemon.folder / "Master.csv"
        calls.write_text("".join(cdr(n, source=f"+1202555{n:04d}") for n in range(100)))
        cls.calls = calls
        cls.daemon.channel("calls", "phone", {"file": str(calls)}, begin="all")
        cls.daemon.start()
        cls.daemon.wait_for_events(100)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def test_check_says_all_is_well_or_exits_78_with_file_and_line(self):
        # Who may write the plugins is another test's affair: a build folder may lie below /tmp.
        self.daemon.voxbus("check", "--trust")
        bad = self.daemon.conf / "channels.d" / "zz.yaml"
        bad.write_text("channel: zz\nplugin: phone\nsettings:\n  flie: /x\n")
        try:
            done = self.daemon.voxbus("check", self.daemon.conf, check=False)
            self.assertEqual(done.returncode, 78)
            self.assertIn("zz.yaml:4:3: unknown setting 'flie'", done.stdout + done.stderr)
            self.assertIn("did you mean 'file'?", done.stdout + done.stderr)
            done = self.daemon.voxbus("check", "--json", check=False)
            self.assertEqual(done.returncode, 78)
            self.assertTrue(json.loads(done.stdout))
        finally:
            bad.unlink()

    def test_status_shows_every_channel(self):
        self.assertIn("calls", self.daemon.voxbus("status").stdout)
        state = json.loads(self.daemon.voxbus("status", "--json").stdout)
        self.assertEqual(state["channels"][0]["name"], "calls")

    def test_plugins_and_describe_come_from_manifests(self):
        names = [p.get("name") for p in json.loads(self.daemon.voxbus("plugins", "--json").stdout)]
        self.assertIn("email", names)
        self.assertIn("phone", names)
        self.assertIn("file", self.daemon.voxbus("describe", "phone").stdout)
        self.assertEqual(json.loads(self.daemon.voxbus("describe", "phone", "--json").stdout)["name"], "phone")
        self.assertNotEqual(self.daemon.voxbus("describe", "phnoe", check=False).returncode, 0)

    def test_try_prints_interactions_without_a_daemon(self):
        done = self.daemon.voxbus("try", BUILD / "plugins" / "phone.so", "--set", f"file={self.calls}", "--trust", "--json",
                                  "--region", "US")
        *lines, end = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(lines), 100)
        self.assertTrue(end["cursor"])
        self.assertEqual(lines[0]["record"]["author"]["handle"], "tel:+12025550000")
        bad = self.daemon.voxbus("try", BUILD / "plugins" / "phone.so", "--set", "flie=/x", "--trust", check=False)
        self.assertEqual(bad.returncode, 78)
        self.assertIn("did you mean 'file'?", bad.stderr)

    def test_export_resumes_after_an_interruption(self):
        out = self.daemon.folder / "export.ndjson"
        self.daemon.voxbus("export", "--since", "2020-01-01", "--format", "ndjson", "--output", out, "--type", "interaction.*")
        whole = out.read_bytes()
        self.assertEqual(len(whole.splitlines()), 100)
        for cut in (0, 10, len(whole) // 2, len(whole) - 1):
            out.write_bytes(whole[:cut])
            self.daemon.voxbus("export", "--since", "2020-01-01", "--format", "ndjson", "--output", out, "--resume",
                               "--type", "interaction.*")
            self.assertEqual(out.read_bytes(), whole, f"cut at {cut}")

    def test_export_goes_on_only_in_a_file(self):
        done = self.daemon.voxbus("export", "--since", "2020-01-01", "--resume", check=False)
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("--output", done.stderr)

    def test_export_goes_on_in_no_file_but_an_export_of_that_form(self):
        out = self.daemon.folder / "foreign"
        whole = {form: self.daemon.voxbus("export", "--since", "2020-01-01", "--format", form).stdout
                 for form in ("ndjson", "csv")}
        for form, other in (("ndjson", "csv"), ("csv", "ndjson")):
            for content in (whole[other], "my notes\n", "my notes", whole[form] + "my notes\n", "\0\xff\n"):
                out.write_text(content)
                done = self.daemon.voxbus("export", "--since", "2020-01-01", "--format", form, "--output", out,
                                          "--resume", check=False)
                self.assertEqual(done.returncode, 1, content[:40])
                self.assertIn("name another file", done.stderr)
                self.assertEqual(out.read_text(), content, "it is left as it was")

    def test_json_is_json_everywhere(self):
        self.assertTrue(json.loads(self.daemon.voxbus("version", "--json").stdout)["version"])
        plain = self.daemon.voxbus("export", "--since", "2020-01-01").stdout
        self.assertEqual(self.daemon.voxbus("export", "--since", "2020-01-01", "--json").stdout, plain)
        done = self.daemon.voxbus("export", "--since", "2020-01-01", "--json", "--format", "csv", check=False)
        self.assertEqual(done.returncode, 2)

    def test_export_as_csv_is_rfc_4180(self):
        done = self.daemon.voxbus("export", "--since", "2020-01-01", "--format", "csv", "--type", "interaction.*")
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        self.assertEqual(len(rows), 100)
        self.assertEqual(rows[0]["channel"], "calls")
        self.assertEqual({(row["disposition"], row["talked_seconds"].isdigit()) for row in rows}, {("answered", True)})

    def test_tail_prints_what_matches(self):
        tail = subprocess.Popen([BUILD / "bin" / "voxbus", "--config", self.daemon.conf, "tail", "--from", "beginning",
                                 "--json", "--type", "interaction.*"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        try:
            lines = [json.loads(tail.stdout.readline()) for _ in range(100)]
            self.assertEqual(len({line["id"] for line in lines}), 100)
        finally:
            tail.terminate()
            tail.wait()
            tail.stdout.close()

    def test_tokens_are_added_listed_and_removed(self):
        token = json.loads(self.daemon.voxbus("token", "add", "crm", "--json").stdout)["token"]
        self.assertTrue(token.startswith("vxb_"))
        self.assertIn("crm", self.daemon.voxbus("token", "list").stdout)
        self.assertNotIn(token, (self.daemon.state / "tokens.json").read_text())
        self.daemon.voxbus("token", "remove", "crm")
        self.assertNotIn("crm", self.daemon.voxbus("token", "list").stdout)

    def test_a_consumers_name_never_becomes_another_path(self):
        self.daemon.put("/v1/consumers/mine", {"from": "now"})
        for name in ("../status", "mine?update=1", "mine/parked", "no such"):
            done = self.daemon.voxbus("consumer", "show", name, check=False)
            self.assertEqual(done.returncode, 1, (name, done.stdout))
        self.assertEqual(json.loads(self.daemon.voxbus("consumer", "show", "mine").stdout)["name"], "mine")
        self.daemon.voxbus("consumer", "delete", "mine")
        self.assertEqual(self.daemon.voxbus("consumer", "show", "mine", check=False).returncode, 1)

    def test_the_journal_verifies_while_it_is_live(self):
        done = self.daemon.voxbus("journal", "verify", self.daemon.state / "journal", "--json")
        self.assertTrue(json.loads(done.stdout))

    def test_the_configuration_may_be_named_before_or_behind_the_verb(self):
        for arguments in (["--config", self.daemon.conf, "status", "--json"], ["status", "--json", "--config", self.daemon.conf],
                          ["journal", "verify", "--config", self.daemon.conf, "--json"]):
            done = subprocess.run([BUILD / "bin" / "voxbus", *arguments], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(0, done.returncode, done.stderr)
            json.loads(done.stdout)

    def test_usage_is_2_and_an_absent_daemon_69(self):
        for words, said in ((["statu"], "there is no command 'statu'; did you mean 'status'?"), ([], "a command is missing"),
                            (["journal", "verfy"], "there is no command 'verfy'; did you mean 'verify'?")):
            done = subprocess.run([BUILD / "bin" / "voxbus", *words], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual((2, ""), (done.returncode, done.stdout))
            self.assertIn(said, done.stderr)
        absent = self.daemon.folder / "absent"
        (absent / "channels.d").mkdir(parents=True, exist_ok=True)
        (absent / "voxbus.yaml").write_text(f"state: {absent}/state\n")
        done = subprocess.run([BUILD / "bin" / "voxbus", "--config", absent, "status"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
        self.assertEqual(done.returncode, 69, done.stderr)
        self.assertTrue(done.stderr.strip())

    def test_reload_touches_only_what_changed(self):
        other = self.daemon.folder / "other.csv"
        other.write_text(cdr(7777))
        before = self.daemon.wait_for_state("calls", "up")["pid"]
        self.daemon.channel("other", "phone", {"file": str(other)}, begin="all")
        self.daemon.process.send_signal(1)
        wait_for(lambda: self.daemon.interactions("channel=other"), "the new channel brings something")
        self.assertEqual(self.daemon.channel_status("calls")["pid"], before)
        (self.daemon.conf / "channels.d" / "other.yaml").write_text("channel: other\nplugin: phone\nsettings: {}\n")
        self.daemon.process.send_signal(1)
        wait_for(lambda: "nothing was changed" in self.daemon.log(), "a bad file changes nothing")
        self.assertEqual(self.daemon.channel_status("other")["state"], "up")
        (self.daemon.conf / "channels.d" / "other.yaml").unlink()
        self.daemon.process.send_signal(1)
        wait_for(lambda: self.daemon.channel_status("other") is None, "the channel is gone")
        self.assertEqual(self.daemon.channel_status("calls")["pid"], before)

    def test_output_that_cannot_be_written_is_a_failure(self):
        for verb in (["status"], ["status", "--json"], ["tail", "--from", "beginning", "--limit", "3"], ["plugins"], ["version"],
                     ["export", "--since", "2020-01-01"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([BUILD / "bin" / "voxbus", "--config", self.daemon.conf, *verb], stdout=full,
                                      stderr=subprocess.PIPE, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, verb)
            self.assertIn("No space left on device", done.stderr, verb)


class Tail(unittest.TestCase):
    def test_goes_on_after_a_kill_of_the_daemon_where_it_was(self):
        with Daemon() as daemon:
            calls = daemon.folder / "Master.csv"
            calls.write_text("".join(cdr(n) for n in range(20)))
            daemon.channel("calls", "phone", {"file": str(calls)}, begin="all")
            daemon.start()
            daemon.wait_for_events(20)
            tail = subprocess.Popen([BUILD / "bin" / "voxbus", "--config", daemon.conf, "tail", "--from", "beginning",
                                     "--limit", "40", "--json", "--type", "interaction.*"],
                                    stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            try:
                lines = [tail.stdout.readline() for _ in range(20)]
                # It finds the daemon gone only once another one has committed what comes next.
                tail.send_signal(signal.SIGSTOP)
                daemon.kill()
                with calls.open("a") as file:
                    file.write("".join(cdr(n) for n in range(20, 40)))
                daemon.start()
                daemon.wait_for_events(40)
                tail.send_signal(signal.SIGCONT)
                lines += tail.communicate(timeout=60)[0].splitlines()
            finally:
                tail.kill()
                tail.wait()
                tail.stdout.close()
            self.assertEqual([json.loads(line)["sequence"] for line in lines],
                             [event["sequence"] for event in daemon.interactions()])

    def test_without_a_limit_it_goes_on_after_a_restart_as_well(self):
        with Daemon() as daemon:
            calls = daemon.folder / "Master.csv"
            calls.write_text("".join(cdr(n) for n in range(5)))
            daemon.channel("calls", "phone", {"file": str(calls)}, begin="all")
            daemon.start()
            daemon.wait_for_events(5)
            tail = subprocess.Popen([BUILD / "bin" / "voxbus", "--config", daemon.conf, "tail", "--from", "beginning",
                                     "--json", "--type", "interaction.*"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            try:
                lines = [tail.stdout.readline() for _ in range(5)]
                daemon.kill()
                time.sleep(1)  # it meets nobody there
                self.assertIsNone(tail.poll())
                with calls.open("a") as file:
                    file.write("".join(cdr(n) for n in range(5, 10)))
                daemon.start()
                lines += [tail.stdout.readline() for _ in range(5)]
            finally:
                tail.kill()
                tail.wait()
                tail.stdout.close()
            self.assertEqual([json.loads(line)["id"] for line in lines], [event["id"] for event in daemon.interactions()])


class StallingDaemon:
    """Stands before the daemon on a port of its own, lets so many answers pass, and then says nothing more."""

    def __init__(self, daemon, answers):
        stalled, ended = self.stalled, self.ended = threading.Event(), threading.Event()
        left = [answers]

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                if left[0] == 0:
                    stalled.set()
                    ended.wait(60)
                    return
                left[0] -= 1
                status, body = daemon.get(self.path, headers={"Accept": self.headers["Accept"]}, parse=False)
                self.send_response(status)
                for name in ("Content-Type", "Voxbus-Next", "Voxbus-End"):
                    if name in daemon.headers:
                        self.send_header(name, daemon.headers[name])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


class Configured(unittest.TestCase):
    """What a command does when the configuration is not as it should be."""

    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.state = self.daemon.folder / "right"

    def fails(self, *arguments, code=78):
        done = self.daemon.voxbus(*arguments, check=False)
        self.assertEqual(done.returncode, code, (arguments, done.stdout, done.stderr))
        return done.stdout + done.stderr

    def test_no_command_works_on_another_state_than_was_meant(self):
        (self.daemon.conf / "voxbus.yaml").write_text(f"state: {self.state}\nlisten: [\n")
        for words in (["token", "add", "x"], ["token", "list"], ["journal", "verify"], ["journal", "restored"]):
            self.assertIn("voxbus.yaml:", self.fails(*words))
        done = subprocess.run([BUILD / "bin/voxbus", "--config", self.daemon.folder / "nowhere", "token", "add", "x"],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (78, ""))
        self.assertIn("nowhere is no folder", done.stderr)

    def test_check_finds_what_the_daemon_itself_would_not_start_with(self):
        self.state.mkdir()
        self.state.chmod(0o777)
        key = self.daemon.folder / "key"
        self.daemon.main(state=str(self.state), master_key={"file": str(key)})
        said = self.fails("check", "--trust")
        self.assertIn("may be written by others: name a folder of its own, with chmod 700", said)
        self.assertIn(f"{key}", said)
        self.state.chmod(0o700)
        key.write_text("0" * 32)
        key.chmod(0o604)
        self.assertIn("by anybody: keep it in a file of its own, with chmod 600", self.fails("check", "--trust"))
        key.chmod(0o600)
        self.daemon.voxbus("check", "--trust")
        self.daemon.main(state=str(self.state), listen="192.0.2.1:8420")
        self.assertIn("cannot listen on 192.0.2.1:8420: this machine has no such address", self.fails("check", "--trust"))

    def test_check_names_a_source_that_cannot_be_used_once_and_the_plugin_finds_no_second_fault(self):
        self.daemon.channel("mail", "email", {"maildir": "relative/Maildir"})
        done = self.daemon.voxbus("check", "--trust", "--json", check=False)
        self.assertEqual(done.returncode, 78)
        problems = json.loads(done.stdout)["problems"]
        self.assertEqual(["must be an absolute path" in problem["message"] for problem in problems], [True], problems)

    def test_check_asks_the_plugin_also_where_another_key_is_wrong(self):
        self.daemon.channel("shop", "email", {"maildir": "/tmp", "mbox": "/tmp/x"}, poll_every=5)
        said = self.fails("check", "--trust")
        self.assertIn("poll_every", said)
        self.assertIn("exactly one of 'maildir', 'mbox', 'imap' and 'pop3' is to be set", said)

    def test_a_limit_of_none_is_refused_in_words_that_can_be_read(self):
        for limit in ("0", "-1"):
            self.assertIn(f"Value {limit} not in range 1 to 1000000000\n", self.fails("tail", "--limit", limit, code=2))

    def test_check_announces_a_new_origin(self):
        for file in ("one", "two"):
            (self.daemon.folder / file).write_text(cdr(1))
        self.daemon.channel("calls", "phone", {"file": str(self.daemon.folder / "one")})
        self.assertNotIn("note", self.daemon.voxbus("check", "--trust").stdout)
        self.daemon.start()
        self.daemon.wait_for_events(1)
        self.daemon.channel("calls", "phone", {"file": str(self.daemon.folder / "one"), "extension_digits": 4})
        self.assertNotIn("note", self.daemon.voxbus("check", "--trust").stdout)
        self.daemon.channel("calls", "phone", {"file": str(self.daemon.folder / "two")})
        for is_running in (True, False):
            if not is_running:
                self.daemon.stop()
            self.assertIn("note: channel calls gets a new origin", self.daemon.voxbus("check", "--trust").stdout)
            notes = json.loads(self.daemon.voxbus("check", "--trust", "--json").stdout)["notes"]
            self.assertEqual(len(notes), 1, notes)

    def test_a_broken_main_file_blames_no_channel(self):
        self.daemon.channel("calls", "phone", {"file": "/nowhere/Master.csv"})
        (self.daemon.conf / "voxbus.yaml").write_text("plugins: [\n")
        said = self.fails("check", "--trust")
        self.assertIn("voxbus.yaml:", said)
        self.assertNotIn("calls.yaml", said)


class Mended(unittest.TestCase):
    def test_a_reload_loads_the_plugin_that_was_put_in_its_place(self):
        with Daemon() as daemon:
            plugins = daemon.folder / "plugins"
            plugins.mkdir()
            for name in ("phone.so", "phone.plugin.yaml"):
                shutil.copy(BUILD / "plugins" / name, plugins)
            calls = daemon.folder / "Master.csv"
            calls.write_text(cdr(1))
            daemon.main(plugins=[str(plugins)])
            daemon.channel("calls", "phone", {"file": str(calls)}, begin="all")
            daemon.start()
            daemon.wait_for_events(1)
            before = daemon.channel_status("calls")["pid"]
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "no channel changed" in daemon.log(), "nothing has changed")
            self.assertEqual(daemon.channel_status("calls")["pid"], before)
            shutil.copy(BUILD / "plugins/phone.so", plugins / "next")
            (plugins / "next").rename(plugins / "phone.so")
            daemon.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "changed calls" in daemon.log(), "the channel is started anew")
            wait_for(lambda: daemon.channel_status("calls").get("pid") not in (None, before), "another process")


class Damage(unittest.TestCase):
    def test_verify_names_what_is_damaged_and_what_to_do(self):
        with Daemon() as daemon:
            calls = daemon.folder / "Master.csv"
            calls.write_text("".join(cdr(n) for n in range(200)))
            daemon.channel("calls", "phone", {"file": str(calls)}, begin="all")
            daemon.start()
            daemon.wait_for_events(200)
            daemon.stop()
            journal = daemon.state / "journal" / "journal.db"
            whole = journal.read_bytes()
            self.assertEqual(daemon.voxbus("journal", "verify", journal.parent).returncode, 0)
            # Each page of a tree, cut off at its head: none of them may go unseen.
            pages = [at for at in range(8192, len(whole), 8192) if whole[at] in (2, 5, 10, 13)]
            self.assertGreater(len(pages), 10)
            for at in pages:
                journal.write_bytes(whole[:at] + bytes(byte ^ 0xFF for byte in whole[at:at + 200]) + whole[at + 200:])
                done = daemon.voxbus("journal", "verify", journal.parent, check=False)
                self.assertEqual(done.returncode, 1, (at, done.stdout))
                if done.stdout:
                    self.assertRegex(done.stdout, r"PROBLEMS\nThe daemon salvages what is readable when it next starts")
            daemon.start()
            self.assertEqual(daemon.voxbus("journal", "verify", journal.parent).returncode, 0, "as it said")


class Exports(unittest.TestCase):
    """More than fits into one page, with words that a file could be torn in."""
    EVENTS = 11_000
    SINCE = ("export", "--since", "2020-01-01", "--type", "interaction.*")

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        maildir = Maildir(cls.daemon.folder / "mail")
        for n, text in enumerate(('He said "no",\nand then\n"yes"', '=1+1, "" and\n\n"', 'a,b;c\n@x', '"')):
            maildir.deliver(mail(f"nasty-{n}@example.org", f'"{n}", quoted', text))
        cls.daemon.channel("mail", "email", {"maildir": str(maildir.path)}, begin="all")
        cls.daemon.channel("load", "generator", {"count": cls.EVENTS, "size": 50, "seed": 3}, begin="all")
        cls.daemon.start()
        cls.daemon.wait_for_events(cls.EVENTS + 4)
        cls.ids = [event["id"] for event in cls.daemon.interactions()]

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def ids_in(self, file):
        if file.suffix == ".csv":
            with open(file, newline="", encoding="utf-8") as text:
                return [row["id"] for row in csv.DictReader(text)]
        return [json.loads(line)["id"] for line in file.read_text().splitlines()]

    def test_a_csv_file_that_was_cut_anywhere_is_gone_on_with(self):
        out = self.daemon.folder / "cut.csv"
        only_mail = (*self.SINCE, "--channel", "mail", "--format", "csv", "--output", out)
        self.daemon.voxbus(*only_mail)
        whole = out.read_bytes()
        self.assertEqual(len(self.ids_in(out)), 4)
        self.assertIn(b'""yes""', whole)
        # Every place within the records' quotes, line breaks and between their CR and LF.
        for cut in sorted({*range(0, len(whole), 29), *(at for at, byte in enumerate(whole) if byte in b'\r\n'),
                           *(at + 1 for at, byte in enumerate(whole) if byte in b'\r\n'), len(whole)}):
            out.write_bytes(whole[:cut])
            self.daemon.voxbus(*only_mail, "--resume")
            self.assertEqual(out.read_bytes(), whole, f"cut at {cut}")

    def test_an_export_of_another_bus_is_not_gone_on_with(self):
        other = Daemon()
        self.addCleanup(other.close)
        maildir = Maildir(other.folder / "mail")
        other.channel("mail", "email", {"maildir": str(maildir.path)}, begin="all")
        for number in range(3):
            maildir.deliver(mail(f"{number}@example.org", f"other {number}", "words"))
        other.start()
        other.wait_for_events(3)
        for form in ("ndjson", "csv"):
            out = self.daemon.folder / f"other.{form}"
            other.voxbus(*self.SINCE, "--format", form, "--output", out)
            whole = out.read_bytes() + b"half a rec"
            out.write_bytes(whole)
            done = self.daemon.voxbus(*self.SINCE, "--format", form, "--output", out, "--resume", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("than this bus has", done.stderr)
            self.assertEqual(out.read_bytes(), whole, "nothing of it was touched")
            other.voxbus(*self.SINCE, "--format", form, "--output", out, "--resume")
            self.assertEqual(len(self.ids_in(out)), 3)

    def test_an_export_that_is_killed_goes_on_and_writes_each_event_once(self):
        for form in ("ndjson", "csv"):
            out = self.daemon.folder / f"killed.{form}"
            command = (*self.SINCE, "--format", form, "--output", out, "--resume")
            sizes = []
            for answers in (1, 2):  # the second begins with a look at what is there
                stalling = StallingDaemon(self.daemon, answers)
                self.addCleanup(stalling.close)
                export = subprocess.Popen([BUILD / "bin" / "voxbus", "--url", stalling.url, *map(str, command)],
                                          stdin=subprocess.DEVNULL)
                self.assertTrue(stalling.stalled.wait(30), "it asks for more")
                export.kill()
                self.assertEqual(export.wait(30), -signal.SIGKILL)
                sizes.append(out.stat().st_size)
                # A kill may tear the last write as well.
                with open(out, "r+b") as file:
                    file.truncate(sizes[-1] - 7)
            self.daemon.voxbus(*command)
            self.assertTrue(0 < sizes[0] < sizes[1] < out.stat().st_size, sizes)
            self.assertEqual(self.ids_in(out), self.ids, form)


class ManualPage(unittest.TestCase):
    """docs/man/voxbus.1 and the helps of the command say the same."""
    SAID_ONCE = {"--help", "--json"}  # of all commands together

    @classmethod
    def setUpClass(cls):
        text = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "man" / "voxbus.1").read_text()
        text = re.sub(r"\\f[RBIP]|\"", "", text.replace("\\-", "-"))
        cls.sections = {title.strip(): body for title, body in re.findall(r"(?ms)^\.SH (.*?)\n(.*?)(?=^\.SH|\Z)", text)}
        # The heads of the paragraphs of COMMANDS: "consumer list | show NAME | delete NAME".
        cls.entries = {}
        for entry in re.split(r"(?m)^\.TP\n|^\.SS .*\n", cls.sections["COMMANDS"])[1:]:
            if not entry.strip():
                continue
            head = re.sub(r"^\.(BI|BR|B) *", "", entry.split("\n")[0])
            first, *others = [part.split() for part in head.split(" | ")]
            twofold = len(first) > 1 and re.fullmatch("[a-z]+", first[1])
            cls.entries[(first[0], first[1]) if twofold else (first[0],)] = entry
            for other in others:
                cls.entries[(first[0], other[0])] = entry

    def options(self, text):
        return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", text))

    def help_of(self, *command):
        """The options, the filters among them, and the commands below."""
        done = subprocess.run([BUILD / "bin" / "voxbus", *command, "--help"], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        titled = dict(re.findall(r"(?ms)^([A-Z][a-z]+)\b[^\n]*:\n(.*?)(?=^\S|\Z)", done.stdout))
        declared = {title: {option for line in re.findall(r"(?m)^  (-.*?)(?:  |$)", body) for option in self.options(line)}
                    for title, body in titled.items()}
        below = re.findall(r"(?m)^  ([a-z]+)  ", titled.get("Subcommands", ""))
        return declared.get("Options", set()), declared.get("Filters", set()), below

    def leaves(self, *command):
        options, filters, below = self.help_of(*command)
        if not below:
            return {command: (options, filters)}
        return {leaf: found for name in below for leaf, found in self.leaves(*command, name).items()}

    def test_names_every_command_and_no_other(self):
        leaves = self.leaves()
        self.assertGreater(len(leaves), 14)
        self.assertEqual(set(self.entries), set(leaves))

    def test_names_every_option_of_every_command_and_no_other(self):
        for command, (options, filters) in self.leaves().items():
            entry = self.entries[command]
            self.assertEqual(self.options(entry) - self.SAID_ONCE, options - self.SAID_ONCE, command)
            self.assertLessEqual(self.SAID_ONCE, options, command)
            self.assertEqual("FILTER" in entry, bool(filters), command)
            if filters:
                named = self.options(" ".join(re.findall(r"(?m)^\.TP\n(.*)$", self.sections["FILTERS"])))
                self.assertEqual(named, filters, command)

    def test_names_every_option_before_a_command_and_no_other(self):
        options, _, _ = self.help_of()
        self.assertEqual(self.options(self.sections["OPTIONS"]), options)


class Others(unittest.TestCase):
    """People who are neither root nor the service: members of the socket's group, and nobody."""
    GROUP, NOBODY = 54321, 65534

    def setUp(self):
        if os.geteuid() != 0:
            print("SKIPPED: only root can become another user; the socket's group is NOT tested", file=sys.stderr)
            self.skipTest("only root can become another user")
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.daemon.folder.chmod(0o755)
        # This tree may lie where nobody else may look, as in root's home.
        self.command = self.daemon.folder / "voxbus"
        shutil.copy(BUILD / "bin" / "voxbus", self.command)
        self.run_folder = self.daemon.folder / "run"
        self.run_folder.mkdir()
        os.chown(self.run_folder, 0, self.GROUP)
        self.run_folder.chmod(0o2755)  # what is made in it belongs to the group

    def as_nobody(self, *arguments, groups=(), **env):
        return subprocess.run([self.command, "--config", self.daemon.conf, *arguments], timeout=60,
                              user=self.NOBODY, group=self.NOBODY, extra_groups=list(groups), capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, env={**os.environ, **env})

    def check_that_members_get_in_and_others_do_not(self, **env):
        self.assertEqual(self.daemon.state.stat().st_mode & 0o777, 0o700)
        done = self.as_nobody("status", "--json", groups=[self.GROUP], **env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["pid"], self.daemon.process.pid)
        refused = self.as_nobody("status", **env)
        self.assertEqual(refused.returncode, 69, refused.stdout)
        self.assertIn(f"cannot read {self.daemon.state}/endpoint.json: Permission denied", refused.stderr)
        self.assertIn(f"cannot use {self.run_folder}/voxbus.sock: Permission denied", refused.stderr)
        self.assertIn("members of the socket's group may", refused.stderr)

    def test_members_of_the_sockets_group_use_the_command_by_the_configured_socket(self):
        self.daemon.main(socket=str(self.run_folder / "voxbus.sock"))
        self.daemon.start()
        self.daemon.state.chmod(0o700)
        self.check_that_members_get_in_and_others_do_not()

    def test_members_of_the_sockets_group_use_the_command_by_the_runtime_directory(self):
        env = {"RUNTIME_DIRECTORY": str(self.run_folder)}
        self.daemon.start(env=env)
        self.daemon.state.chmod(0o700)
        self.check_that_members_get_in_and_others_do_not(**env)
        # Without it there is no telling where the socket of such a configuration lies.
        lost = self.as_nobody("status", groups=[self.GROUP])
        self.assertEqual(lost.returncode, 69)
        self.assertIn(f"cannot use {self.daemon.state}/voxbus.sock: Permission denied", lost.stderr)

    def test_a_daemon_that_is_gone_is_said_to_be_gone(self):
        self.daemon.main(socket=str(self.run_folder / "voxbus.sock"))
        self.daemon.start()
        self.daemon.state.chmod(0o700)
        self.daemon.kill()  # leaves its socket behind
        done = self.as_nobody("status", groups=[self.GROUP])
        self.assertEqual(done.returncode, 69)
        self.assertIn("is voxbusd running?", done.stderr)
        self.assertIn(f"cannot reach the daemon at {self.run_folder}/voxbus.sock: Connection refused", done.stderr)
        self.assertNotIn("127.0.0.1", done.stderr, "nobody asked there")


if __name__ == "__main__":
    unittest.main()
