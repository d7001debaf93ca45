#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev run` as a person sees it, on a terminal: the story, the commands that it offers, kill -9,
the counts, Ctrl-C. With the real ./dev, demo and daemon; only ninja has nothing to build."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = pathlib.Path(os.environ.get("VOXBUS_BUILD", ROOT / "build/dev")).resolve()
sys.path[:0] = [str(HERE), str(ROOT / "conf/demo")]

import screen
from terminal import Terminal

COUNT = r"^--- ([^\n]*): went in (\d+), came out (\d+), lost (\d+), doubled (\d+) ---$"
PLAIN_COUNT = r"^--- went in (\d+), came out (\d+), lost (\d+), doubled (\d+) ---$"


class Person(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.temporary = self.folder / "tmp"
        self.temporary.mkdir()
        built = self.folder / "build/release"
        built.mkdir(parents=True)
        (built / "build.ninja").touch()
        for name in ("bin", "plugins"):
            (built / name).symlink_to(BUILD / name)
        (self.folder / "conf").symlink_to(ROOT / "conf")
        shutil.copy(ROOT / "dev", self.folder / "dev")
        tools = self.folder / "tools"
        tools.mkdir()
        for name, body in (("ninja", 'echo "ninja: no work to do."'), ("dpkg-query", 'for p in "${@:3}"; do echo "$p installed"; done')):
            (tools / name).write_text(f"#!/bin/bash\n{body}\n")
            (tools / name).chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "TMPDIR": str(self.temporary),
                            "TERM": "xterm", "PYTHONDONTWRITEBYTECODE": "1"}
        self.environment.pop("NO_COLOR", None)

    def run_demo(self, *arguments, columns=100):
        terminal = Terminal([str(self.folder / "dev"), "run", *arguments], columns=columns, cwd="/", env=self.environment)
        self.addCleanup(terminal.close)
        return terminal

    def nothing_is_left(self):
        self.assertEqual([], list(self.temporary.iterdir()), "its run directory is gone")
        for process in pathlib.Path("/proc").iterdir():
            if process.name.isdigit():
                try:
                    words = (process / "cmdline").read_bytes()
                except OSError:
                    continue
                self.assertNotIn(bytes(self.temporary), words, process)

    def pasted(self, line, limit=20):
        """Runs a line as it stands on the screen."""
        return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=limit, stdin=subprocess.DEVNULL,
                              env=self.environment, check=False)

    def pasted_for_a_while(self, line, wanted):
        """Runs a line that goes on for ever; returns once it has said what is wanted."""
        terminal = Terminal(["bash", "-c", line], env=self.environment)
        try:
            return terminal.wait_for(wanted, limit=15)
        finally:
            terminal.close()


class Story(Person):
    def test_from_the_first_line_to_ctrl_c(self):
        with socket.socket() as busy:
            busy.bind(("127.0.0.1", 0))
            busy.listen()
            port = busy.getsockname()[1]
            demo = self.run_demo("--port", str(port), "--seed", "7")
            begin = demo.wait_for(r"^voxbusd (\d+) listens on http://127\.0\.0\.1:(\d+); 3 channels, ")
            self.assertLess(time.monotonic() - demo.started, 5, "a start with nothing to build is quick")
            self.assertGreater(int(begin[2]), port, "the port was busy")
            self.said = demo.wait_for(r"Ctrl-C ends it\.\n")
        self.the_lines_are_aligned(demo.text()[:self.said.end()])
        self.the_readme_shows_the_same(demo.text()[:self.said.end()])
        self.assertIn("\x1b[", demo._raw.decode(), "in colours, on a terminal")
        self.the_offered_commands_work(demo)
        self.kills_are_counted(demo)
        demo.interrupt()
        code = demo.wait()
        last = re.findall(COUNT, demo.text(), re.M)[-1]
        self.assertEqual((last[0], last[3], last[4]), ("at the end", "0", "0"))
        self.assertEqual(0, code, demo.text()[-2000:])
        self.assertNotIn("Traceback", demo.text())
        self.nothing_is_left()

    def the_lines_are_aligned(self, text):
        lines = [line for line in text.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)]
        self.assertGreaterEqual(len(lines), 18, text)
        head = next(line for line in text.splitlines() if line.startswith("time "))
        starts = [screen.width(head[:head.index(word)]) for word in ("channel", "person", "words")]
        channels = {"support-mail", "shop-mbox", "service-calls"}
        for line in lines:
            self.assertLess(screen.width(line), 100, "no line is wrapped")
            columns = [self.from_column(line, start) for start in starts]
            self.assertIn(columns[0].split("  ")[0].strip(), channels, line)
            for start in starts:
                before = self.from_column(line, start - 2)
                self.assertTrue(before.startswith("  ") and not before.startswith("   "), line)
        counted = re.search(COUNT, text, re.M)
        self.assertEqual(counted[1], "the story so far")
        self.assertEqual((counted[4], counted[5]), ("0", "0"))
        self.assertEqual(counted[2], counted[3])

    def the_readme_shows_the_same(self, text):
        """Apart from times, and from words cut at the width of the terminal."""
        def story(shown):
            opening = shown[:re.search(COUNT, shown, re.M).end()]
            told = {line[10:60] for line in opening.splitlines() if re.match(r"\d\d:\d\d:\d\d  ", line)}
            return told, re.search(COUNT, opening, re.M).groups()
        readme = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[3]
        self.assertGreaterEqual(len(readme.strip().splitlines()), 20)
        self.assertEqual(story(readme), story(text))

    def from_column(self, line, column):
        for index in range(len(line)):
            if screen.width(line[:index]) >= column:
                return line[index:]
        return ""

    def the_offered_commands_work(self, demo):
        block = demo.text()[demo.text().index("Look at it from another terminal:"):]
        offered = {name: next(line for line in block.splitlines() if f" {name} " in f"{line} ")
                   for name in ("status", "tail", "export", "curl")}
        status = self.pasted(offered["status"])
        self.assertEqual(0, status.returncode, status.stderr)
        self.assertEqual(3, len(re.findall(r"(?m)^  \S+ +\S+ +up ", status.stdout)), status.stdout)
        export = self.pasted(offered["export"])
        self.assertEqual(0, export.returncode, export.stderr)
        self.assertIn("Lamp arrived broken", export.stdout)
        self.assertTrue(self.pasted_for_a_while(offered["tail"], r"support-mail"))
        self.assertTrue(self.pasted_for_a_while(offered["curl"], r"Lamp arrived broken"))

    def victims(self, text):
        return {what: line for line, what in re.findall(r"(?m)^( *kill -9 \d+ .*?(voxbusd|voxbus-host of [a-z-]+))$", text)}

    def kills_are_counted(self, demo):
        lists = demo.text()
        for victim in ("voxbus-host of shop-mbox", "voxbusd", "voxbus-host of support-mail"):
            line = self.victims(lists)[victim]
            pid = int(line.split()[2])
            before = len(demo.text())
            killed = self.pasted(line)
            self.assertEqual((0, ""), (killed.returncode, killed.stderr), "the line can be pasted whole")
            demo.wait_for(rf"{victim.split(' of ')[0]} {pid}\b.* died", after=before)
            count = demo.wait_for(PLAIN_COUNT, after=before, limit=60)
            self.assertEqual(("0", "0"), (count[3], count[4]))
            self.assertEqual(count[1], count[2])
            # What was said of the others may not hold any more: the whole list is said anew.
            again = demo.wait_for(r"^Now there are:\n(.*\n){4}", after=count.end())
            lists = again[0]
            self.assertEqual(4, len(self.victims(lists)), lists)
            for other in self.victims(lists).values():
                os.kill(int(other.split()[2]), 0)  # each of them lives
            self.assertNotIn(f" {pid} ", lists)


class Leaving(Person):
    def test_ctrl_c_at_any_early_moment_ends_it_in_peace(self):
        # From the shell's first line over Python's imports to the daemon's start and the first mails.
        for moment in (0.03, 0.08, 0.12, 0.15, 0.2, 0.3, 0.45, 0.7):
            with self.subTest(moment=moment):
                demo = self.run_demo("--port", "18420")
                time.sleep(moment)  # the moment is what is tried
                demo.interrupt()
                code = demo.wait()
                self.assertNotIn("Traceback", demo.text())
                self.assertNotIn("kept:", demo.text())
                if code in (-signal.SIGINT, 130):
                    self.assertEqual("^C", demo.text().strip(), "this early it was still the shell's: nothing had begun")
                else:
                    self.assertEqual(0, code, demo.text())
                self.nothing_is_left()

    def test_ctrl_c_at_half_a_line_counts_the_whole_one(self):
        demo = self.run_demo("--port", "18420")
        deadline = time.monotonic() + 20
        while not any(file.read_bytes()[-1:] not in (b"", b"\n") for file in self.temporary.glob("*/world/Master.csv")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.002)
        demo.interrupt()
        self.assertEqual(0, demo.wait(), demo.text())
        self.assertRegex(demo.text(), r"(?m)^--- at the end: went in (\d+), came out \1, lost 0, doubled 0 ---$")
        self.nothing_is_left()

    def test_ctrl_c_while_the_daemon_starts_ends_both(self):
        demo = self.run_demo("--port", "18420")
        deadline = time.monotonic() + 10
        while not list(self.temporary.glob("*/voxbusd.log")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.002)
        demo.interrupt()
        self.assertEqual(0, demo.wait(), demo.text())
        self.assertNotIn("Traceback", demo.text())
        self.nothing_is_left()

    def test_a_closed_terminal_ends_it_too(self):
        demo = self.run_demo("--port", "18420")
        demo.wait_for("Lamp arrived broken")
        os.kill(demo.process.pid, signal.SIGHUP)
        self.assertEqual(0, demo.wait(), demo.text())
        self.nothing_is_left()


if __name__ == "__main__":
    unittest.main()
