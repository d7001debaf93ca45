#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Documents, manual pages, configuration examples and the unit file stay true to what is there."""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("daemon/**/README.md"),
                    *ROOT.glob("plugin-sdk/**/*.md"), *ROOT.glob("plugins/*/README.md")])
MANUALS = sorted((ROOT / "docs/man").iterdir())


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def keys(text):
    """The keys of a YAML example at any depth, those behind # as well."""
    return set(re.findall(r"(?m)^ *(?:#(?: {2,})?)?([a-z_][a-z0-9_]*):(?= |$)", text))


def settings_of(plugin):
    """The settings that a plugin takes: as its build says, or without one as its source does."""
    build = os.environ.get("VOXBUS_BUILD")
    if not build:
        return set(re.findall(r'field(?:\.required)?\("(\w+)"', read(f"plugins/{plugin}/{plugin}.cpp")))
    build = pathlib.Path(build).resolve()
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "voxbus.yaml").write_text(f"plugins: [{json.dumps(str(build / 'plugins'))}]\n")
        told = run(build / "bin/voxbus", "--config", folder, "describe", plugin, "--json")
    assert told.returncode == 0, told.stderr
    return {setting["name"] for setting in json.loads(told.stdout)["settings"]}


def keys_read(*functions):
    """The keys that these functions of the configuration's code read."""
    code = read("daemon/config/configuration.cpp") + read("daemon/config/places.cpp")
    found = set()
    for function in functions:
        body = re.search(rf"(?ms)^\w[\w:<>, ]* {function}\(.*?^}}", code).group(0)
        found |= set(re.findall(r'\b(?:in|keys)\.(?:node|required|text|flag|size|count|duration|choice|words|each_word)\("(\w+)"', body))
        found |= set(re.findall(r'\bread_words\(in, "(\w+)"', body))
        for called in re.findall(r"\b(read_(?!words|secret|settings)\w+)\((?:in|keys), ", body):
            found |= keys_read(called)
    return found


def documented(page):
    """The keys that a manual page explains, those inside of another one as well."""
    text = read(f"docs/man/{page}").replace("\\-", "-").split(".SH KEYS")[1].split(".SH ")[0]
    lines = re.findall(r"(?m)^\.TP\n\.BR? (.*)$", text)
    return {key for line in lines for key in [line.split(" ")[0], *re.findall(r'(?:[{,] ?"? ?|" )([a-z_]+) "', line)]}


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60, check=False)


class Documents(unittest.TestCase):
    def test_every_path_that_architecture_names_exists(self):
        named = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", read("ARCHITECTURE.md"))
        self.assertGreater(len(named), 15)
        self.assertEqual([], [path for path in named if not (ROOT / path).exists()])

    def test_every_link_between_documents_leads_somewhere(self):
        for document in DOCUMENTS:
            for target in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
                if not target.startswith("http"):
                    self.assertTrue((document.parent / target).exists(), f"{document}: {target}")

    def test_the_readme_begins_with_one_sentence_and_the_two_commands(self):
        title, sentence, block = read("README.md").split("\n\n")[:3]
        self.assertEqual("# Voxbus", title)
        self.assertEqual(1, sentence.count("."))
        self.assertEqual(["./dev run", "./dev test"], re.findall(r"(?m)^\./dev \w+", block))
        self.assertIn("## When not to use it", read("README.md"))

    def test_every_verb_that_a_document_names_is_a_verb_of_dev(self):
        verbs = set(re.findall(r"(?m)^verb_(\w+)\(\)", read("dev")))
        help_text = run(ROOT / "dev", "help").stdout
        self.assertLessEqual(verbs, set(re.findall(r"(?m)^  ([a-z]+) ", help_text)))
        self.assertGreater(len(verbs), 7)
        for document in [*DOCUMENTS, *ROOT.glob("conf/**/*.yaml"), *ROOT.glob("conf/**/*.py")]:
            for verb in re.findall(r"\./dev (\w+)", document.read_text(encoding="utf-8")):
                self.assertIn(verb, verbs, document)

    def test_the_page_on_http_has_every_route_and_no_other(self):
        served = re.findall(r'\{"(GET|PUT|POST|DELETE)", "([^"]+)"', read("daemon/serve/router.cpp"))
        told = re.findall(r"(?m)^\| `(GET|PUT|POST|DELETE) ([^`]+)`", read("docs/http.md"))
        self.assertGreater(len(served), 15)
        self.assertEqual(sorted(served), sorted((method, re.sub(r"{\w+}", "{}", path)) for method, path in told))

    def test_every_floor_says_why_it_exists_what_belongs_there_and_what_never(self):
        for folder in (ROOT / "daemon").iterdir():
            if folder.is_dir():
                text = (folder / "README.md").read_text(encoding="utf-8")
                for part in ("**Why.**", "**Belongs here.**", "**Never.**"):
                    self.assertIn(part, text, folder)
                self.assertIn(f"`{folder.name}`", read("daemon/README.md"))


class Manuals(unittest.TestCase):
    def test_the_formatter_finds_nothing_to_complain_about(self):
        self.assertEqual(4, len(MANUALS))
        for manual in MANUALS:
            told = run("groff", "-man", "-Tutf8", "-ww", "-z", manual)
            self.assertEqual((0, ""), (told.returncode, told.stderr), manual)

    def test_pages_name_only_pages_that_exist(self):
        pages = {manual.name for manual in MANUALS}
        for manual in MANUALS:
            for name, section in re.findall(r"(?m)^\.BR (voxbus\S*) \((\d)\)",
                                            manual.read_text().replace("\\-", "-")):
                self.assertIn(f"{name}.{section}", pages, manual)
        unit = read("systemd/voxbus.service")
        for name, section in re.findall(r"man:(\S+?)\((\d)\)", unit):
            self.assertIn(f"{name}.{section}", pages)

    def test_every_key_of_voxbus_yaml_is_in_its_page_and_its_example_and_is_read(self):
        known = keys_read("read_daemon")
        self.assertLessEqual({"listen", "wal_ceiling", "hosts", "master_key"}, known)
        self.assertEqual(known, keys(read("conf/voxbus.yaml")))
        self.assertEqual(known, documented("voxbus.yaml.5"))
        self.assertLessEqual(keys(read("conf/demo/voxbus.yaml")), known)

    def test_every_key_of_a_channel_is_in_its_page_and_its_example_and_is_read(self):
        known = keys_read("read_channel")
        self.assertLessEqual({"channel", "settings", "stop_within", "region"}, known)
        self.assertEqual(known, documented("voxbus-channel.5"))
        examples = sorted(ROOT.glob("conf/channels.d/*"))
        self.assertEqual(["email", "phone"], [example.name.split(".")[0] for example in examples])
        for example in examples:
            text = example.read_text(encoding="utf-8")
            plain, settings = re.split(r"(?m)^settings:$", text)
            if "email" in example.name:
                self.assertEqual(known, keys(plain) | {"settings"})
            self.assertLessEqual(keys(plain), known, example)
            self.assertEqual(settings_of(re.search(r"(?m)^plugin: (\w+)$", plain).group(1)), keys(settings), example)
        for demo in ROOT.glob("conf/demo/channels.d/*"):
            plain, settings = re.split(r"(?m)^settings:$", demo.read_text(encoding="utf-8"))
            self.assertLessEqual(keys(plain), known, demo)
            self.assertLessEqual(keys(settings), settings_of(re.search(r"(?m)^plugin: (\w+)$", plain).group(1)), demo)


class Unit(unittest.TestCase):
    def test_exposes_no_more_than_the_best_of_its_kind(self):
        told = run("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=12",
                   ROOT / "systemd/voxbus.service")
        self.assertEqual(0, told.returncode, told.stdout[-400:] + told.stderr)

    def test_systemd_understands_every_line(self):
        unit = re.sub(r"(?m)^(Exec\w+)=/usr/bin/voxbus.*$", r"\1=/bin/true",
                      read("systemd/voxbus.service"))
        example = read("systemd/voxbus.service.d/credentials.conf.example")
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "voxbus.service"
            file.write_text(unit)
            file.with_name("voxbus.service.d").mkdir()
            (file.with_name("voxbus.service.d") / "credentials.conf").write_text(example)
            told = run("systemd-analyze", "verify", "--man=no", file)
        self.assertEqual((0, ""), (told.returncode, told.stdout + told.stderr))

    def test_keeps_what_the_daemon_relies_on(self):
        unit = read("systemd/voxbus.service")
        for line in ("Type=notify", "NotifyAccess=main", "DynamicUser=yes", "StateDirectory=voxbus",
                     "RuntimeDirectory=voxbus", "RestartPreventExitStatus=78", "OOMPolicy=continue"):
            self.assertIn(f"\n{line}\n", unit)
        allowed = set(" ".join(re.findall(r"(?m)^SystemCallFilter=([^~].*)$", unit)).split())
        self.assertLessEqual({"@system-service", "seccomp", "landlock_create_ruleset",
                              "landlock_add_rule", "landlock_restrict_self"}, allowed)
        self.assertRegex(unit, r"(?m)^WatchdogSec=\d+s$")


if __name__ == "__main__":
    unittest.main()
