#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the SDK's README tells an author outside of this tree: its commands, pasted, make a plugin that runs."""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from voxbus_daemon import BUILD

SDK = pathlib.Path(__file__).resolve().parents[2] / "plugin-sdk"


class Author(unittest.TestCase):
    def test_the_build_commands_of_the_readme_make_a_plugin_that_runs(self):
        commands = re.search(r"## 2\. Build.*?```sh\n(.*?)```", (SDK / "README.md").read_text(), re.S).group(1)
        self.assertEqual(len(commands.splitlines()), 2)
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            shutil.copy(SDK / "examples/guestbook/guestbook.cpp", folder)
            environment = {**os.environ, "SDK": str(SDK), "PATH": f"{BUILD / 'bin'}:{os.environ['PATH']}"}
            subprocess.run(["sh", "-ec", commands], cwd=folder, env=environment, check=True, timeout=120)
            (folder / "book.txt").write_text("hello\nagain\n")
            done = subprocess.run([BUILD / "bin/voxbus", "try", folder / "guestbook.so", "--trust", "--json",
                                   "--set", f"file={folder}/book.txt"],
                                  capture_output=True, text=True, timeout=60, check=True)
            *items, end = map(json.loads, done.stdout.splitlines())
            self.assertEqual([item["record"]["text"] for item in items], ["hello", "again"])
            self.assertEqual(list(end), ["cursor"])

    def test_a_setting_finer_than_milliseconds_does_not_compile_and_says_why(self):
        source = (SDK / "examples/guestbook/guestbook.cpp").read_text()
        for unit, compiles in (("milliseconds", True), ("microseconds", False)):
            changed = source.replace('room = "lobby";', f'room = "lobby"; std::chrono::{unit} pause{{}};').replace(
                'field("room"', 'field("pause", pause, "Between two lines"); field("room"')
            done = subprocess.run(["g++", "-std=c++20", "-fsyntax-only", f"-I{SDK}/include", "-x", "c++", "-"],
                                  input=changed, capture_output=True, text=True, timeout=120, check=False)
            self.assertEqual(done.returncode == 0, compiles, done.stderr)
            self.assertEqual("a setting is no finer than milliseconds" in done.stderr, not compiles, done.stderr)

    def test_try_says_what_is_missing_beside_the_library(self):
        with tempfile.TemporaryDirectory() as name:
            library = pathlib.Path(name) / "phone.so"
            shutil.copy(BUILD / "plugins/phone.so", library)
            done = subprocess.run([BUILD / "bin/voxbus", "try", library, "--trust"], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual((done.returncode, done.stdout), (78, ""))
            self.assertIn(f"{library} has no manifest beside it: voxbus_add_plugin() of the SDK makes phone.plugin.yaml", done.stderr)
            self.assertIn(f"voxbus-describe {library} --output {name}/phone.plugin.yaml", done.stderr)

    def test_try_prints_a_cursor_and_goes_on_at_it(self):
        with tempfile.TemporaryDirectory() as name:
            book = pathlib.Path(name) / "book.txt"
            book.write_text("one\ntwo\n")

            def run(*options):
                return subprocess.run([BUILD / "bin/voxbus", "try", BUILD / "plugins/guestbook.so", "--trust", "--set", f"file={book}",
                                       *options], capture_output=True, text=True, timeout=60, check=False)
            first = run()
            cursor = re.fullmatch("cursor: (.+)\n", first.stderr).group(1)
            self.assertEqual(base64.b64decode(cursor, validate=True), b"8")
            with book.open("a") as file:
                file.write("three\n")
            *items, end = map(json.loads, run("--json", "--cursor", cursor).stdout.splitlines())
            self.assertEqual([item["record"]["text"] for item in items], ["three"])
            self.assertEqual(base64.b64decode(end["cursor"]), b"14")
            # What a limit leaves out of a batch comes again; at its end nothing does.
            *items, end = map(json.loads, run("--json", "--cursor", cursor, "--limit", "1").stdout.splitlines())
            self.assertEqual((len(items), base64.b64decode(end["cursor"])), (1, b"14"))
            *items, end = map(json.loads, run("--json", "--limit", "1").stdout.splitlines())
            self.assertEqual((len(items), end), (1, {"cursor": ""}))
            wrong = run("--cursor", "8!")
            self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
            self.assertIn("--cursor takes Base64", wrong.stderr)

    def test_neither_try_nor_describe_waits_for_ever(self):
        done = subprocess.run([BUILD / "bin/voxbus", "try", BUILD / "test-plugins/endless_create.so", "--trust"],
                              capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("did not come up within 10s", done.stderr)
        library = BUILD / "test-plugins/endless_load.so"
        done = self.describe(library, "--within", "200ms")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, f"voxbus-describe: {library}: neither loaded nor described within 200ms; its process was ended\n")

    def test_describe_says_that_a_library_died_and_of_what(self):
        done = self.describe(BUILD / "test-plugins/crashes_on_load.so")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, r"crashes_on_load.so: died of signal \d+ \(.+\) while it was loaded and described")

    def test_describe_refuses_settings_that_no_file_could_tell_apart_or_name(self):
        source = (SDK / "tests/abi_c11.c").read_text()
        with tempfile.TemporaryDirectory() as name:
            library = pathlib.Path(name) / "plain_c.so"
            for names, why in ((["file", "rooms"], None), (["file", "room", "file"], "two settings are named 'file'"),
                               (["ro om"], "a setting is named 'ro om': a-z, 0-9 and '_' are possible"),
                               ([""], "a setting is named ''"), (["2nd"], "a setting is named '2nd'"), (["a:b"], "a setting is named 'a:b'")):
                settings = ",".join(json.dumps({"name": one, "type": "string", "help": "x"}) for one in names)
                changed = source.replace('\\"settings\\":[]', json.dumps(f'"settings":[{settings}]')[1:-1])
                self.assertNotEqual(changed, source)
                subprocess.run(["gcc", "-std=c11", "-shared", "-fPIC", f"-I{SDK}/include", "-x", "c", "-", "-o", library],
                               input=changed, text=True, check=True, timeout=120)
                done = self.describe(library)
                self.assertEqual(done.returncode, 0 if why is None else 1, done.stderr)
                self.assertIn(why or "", done.stderr)

    @staticmethod
    def describe(*arguments):
        return subprocess.run([BUILD / "bin/voxbus-describe", *arguments], capture_output=True, text=True, timeout=60, check=False)


if __name__ == "__main__":
    unittest.main()
