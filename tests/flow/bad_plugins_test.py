# SPDX-License-Identifier: Apache-2.0
"""Every broken plugin that we have, each in its own channel, beside a good one that must not notice:
what is wrong is said, what can be read comes out once, what cannot is set aside with its bytes."""

import os
import pathlib
import re
import signal
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from beside import Beside
from voxbus_daemon import BUILD, wait_for

TEST_PLUGINS = BUILD / "test-plugins"

# Plugin, settings and keys of its channel, and what its reasons say, one after the other.
TABLE = [
    ("not_a_library", {}, {}, ["is no shared library"]),
    ("wrong_abi", {}, {}, ["speaks plugin ABI 99, this program 0"]),
    ("second_symbol", {}, {}, ["exports 'second_symbol_is_one_too_many' beside voxbus_plugin_entry"]),
    ("no_entry", {}, {}, ["does not export voxbus_plugin_entry"]),
    ("forks_on_load", {}, {}, ["exited with 3", "forks_on_load.so was set aside"]),
    ("crashes_on_load", {}, {}, ["was killed by SIGSEGV", "crashes_on_load.so was set aside"]),
    ("endless_load", {}, {}, ["took longer than 10s", "endless_load.so was set aside"]),
    ("endless_create", {}, {}, ["did not come up within 10s"]),
    ("exits", {}, {}, ["exited with 0"]),
    ("throws", {}, {}, ["the tape ran out"]),
    ("throws_raw", {}, {}, ["was killed by SIGABRT"]),
    ("closes_descriptors", {}, {}, ["exited with 0"]),
    ("leaks", {}, {"memory": "400MiB"}, ["out of memory"]),
    # Made by the test out of good ones.
    ("missing", {"file": "/dev/null"}, {}, ["missing.so: No such file"]),
    ("empty", {"file": "/dev/null"}, {}, ["is empty"]),
    ("half", {"file": "/dev/null"}, {}, ["does not export voxbus_plugin_entry"]),
    ("head_only", {"file": "/dev/null"}, {}, ["is no shared library"]),
    ("another", {"file": "/dev/null"}, {}, ["says it is 'org.voxbus.test.generator', its manifest 'org.voxbus.phone'"]),
]
# A sanitizer takes terabytes of addresses, so that its build knows no limit, and reports a SIGSEGV itself.
LEFT_OUT = set()
CACHE = BUILD / "CMakeCache.txt"
if CACHE.exists() and re.search(r"(?m)^VOXBUS_SANITIZE:\w+=.", CACHE.read_text()):
    LEFT_OUT = {"leaks"}
    TABLE = [(plugin, settings, keys, [word for word in words if "SIGSEGV" not in word])
             for plugin, settings, keys, words in TABLE if plugin not in LEFT_OUT]
# These come up; flows of their own are further down or in other files.
COME_UP = {"crashes", "generator", "hostile_items", "ignores_stop", "mends", "moods", "plain_c"}

# What hostile_items brings between two good items: what becomes of it, and the words or the member
# that say so. A call that breaks the ABI is refused to the plugin's face; there is nothing to keep.
HOSTILE = {
    "not_utf8": ("quarantined", "not valid JSON", b'{"kind":"message","text":"\xff\xfe"}'),
    "not_json": ("quarantined", "not valid JSON", b'{"kind":'),
    "no_kind": ("quarantined", "member 'kind' is missing", b'{"text":"bad"}'),
    "unknown_kind": ("quarantined", "member 'kind' is none of the known words", b'{"kind":"letter"}'),
    "deep_json": ("quarantined", "too deep", b'{"kind":"message","native":{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}}"),
    "huge_record": ("quarantined", "its record is larger than max_item", (b'{"kind":"message","text":"' + b"x" * 65536)[:65536]),
    "huge_raw": ("quarantined", "its raw bytes are larger than max_item", b"x" * 65536),
    "no_reason": ("quarantined", "the plugin could not read it", b"{}"),
    "nul_in_text": ("received", {"text": "ab"}, None),
    "unknown_member": ("received", {"native": {"colour": "red"}}, None),
    "long_cursor": ("received", {"text": "bad"}, None),
    "long_id": ("received", {"text": "bad"}, None),
    "empty_id": ("quarantined", "the plugin gave it no native id", b'{"kind":"message","text":"bad"}'),
    "small_struct": ("refused", None, None),
}


def choices(plugin, setting):
    text = (TEST_PLUGINS / f"{plugin}.plugin.yaml").read_text()
    found = re.search(rf"\b{setting}\b.*?choices: \[(.*?)\]", text, re.S)
    return {word.strip().strip('"') for word in found[1].split(",")}


class Broken(Beside):
    def test_the_table_holds_every_plugin_there_is(self):
        self.assertEqual({name for name, *_ in TABLE if (TEST_PLUGINS / f"{name}.so").exists()} | COME_UP | LEFT_OUT,
                         {file.stem for file in TEST_PLUGINS.glob("*.so")})

    def made(self):
        """A folder with libraries that something happened to, and the manifests of good ones."""
        folder = self.daemon.folder / "made"
        folder.mkdir()
        phone = (BUILD / "plugins" / "phone.so").read_bytes()
        manifest = (BUILD / "plugins" / "phone.plugin.yaml").read_text()
        for name, library in (("missing", None), ("empty", b""), ("half", phone[:len(phone) // 2]),
                              ("head_only", phone[:40]), ("another", (TEST_PLUGINS / "generator.so").read_bytes())):
            (folder / f"{name}.plugin.yaml").write_text(re.sub(r"(?m)^name: phone$", f"name: {name}", manifest))
            if library is not None:
                (folder / f"{name}.so").write_bytes(library)
        return str(folder)

    def test_each_says_what_is_wrong_with_it_and_the_good_one_beside_goes_on(self):
        self.daemon.main(plugins=[str(BUILD / "plugins"), str(TEST_PLUGINS), self.made()])
        due = {}
        for plugin, settings, keys, words in TABLE:
            name = plugin.replace("_", "-")
            due[name] = list(words)
            self.daemon.channel(name, plugin, settings, **keys)
        self.start()
        deadline, reasons = time.monotonic() + 90, {name: [] for name in due}
        while any(due.values()):
            self.assertLess(time.monotonic(), deadline, f"not said: {due}; said: {reasons}")
            for channel in self.daemon.status()["channels"]:
                name, reason = channel["name"], channel.get("reason", "")
                if name == "good":
                    self.assertEqual((channel["state"], channel["pid"]), ("up", self.good["pid"]))
                    continue
                if channel["state"] == "degraded" and reason not in reasons[name]:
                    reasons[name].append(reason)
                    self.assertTrue(channel["remedy"], channel)
                while due[name] and any(due[name][0] in said for said in reasons[name]):
                    due[name].pop(0)
            time.sleep(0.02)
        self.good_one_did_not_notice()
        brought = {event["data"]["channel"] for event in self.daemon.interactions()}
        self.assertEqual(brought, {"good"}, "nothing came from a broken one")
        self.assertEqual(self.daemon.stop(), 0)

    def test_inline_a_broken_library_harms_no_other_either(self):
        # Those that die do so in the child that tries them; the thread of this one may throw.
        self.daemon.channel("bad", "throws", isolation="inline")
        self.start()
        self.assertIn("the tape ran out", self.daemon.wait_for_state("bad", "degraded")["reason"])
        self.good_one_did_not_notice()
        self.assertEqual(self.daemon.stop(), 0)


class Poison(Beside):
    # The others take longer; the supervisor's own tests have them, with shorter limits.
    HOWS = {"segv": "SIGSEGV", "abort": "SIGABRT", "exit": "exited with 0"}

    def test_the_ways_to_die_are_all_here(self):
        self.assertEqual(choices("crashes", "how"), {*self.HOWS, "hang", "kill", "throw"})

    def test_a_record_that_kills_its_reader_twice_goes_to_quarantine_and_the_rest_comes_once(self):
        for how in self.HOWS:
            self.daemon.channel(how, "crashes", {"how": how})
        self.start()
        for how, words in self.HOWS.items():
            with self.subTest(how):
                wait_for(lambda: len(self.daemon.interactions(f"channel={how}")) >= 10, "all are there", 60)
                self.daemon.wait_for_state(how, "up")
                events = self.daemon.interactions(f"channel={how}")
                self.assertEqual([e["data"]["native_id"] for e in events], [f"c-{n}" for n in range(10)])
                kinds = [e["type"].split(".")[3] for e in events]
                self.assertEqual(kinds, ["received"] * 5 + ["quarantined"] + ["received"] * 4)
                self.assertIn("died or failed each time", events[5]["data"]["reason"])
                status, raw = self.daemon.get(f"/v1/events/{events[5]['sequence']}/raw", parse=False)
                self.assertEqual((status, raw), (200, b"bytes of c-5"))
                now = self.daemon.channel_status(how)
                self.assertEqual((now["restarts"], now["crashes"], now["counts"]["quarantined"]), (2, 2, 1))
                self.assertIn(f"channel {how}: degraded: the plugin's process " + ("was killed by " if "SIG" in words else "")
                              + words, self.daemon.log())
        self.good_one_did_not_notice()

    def test_without_knowing_over_which_record_it_died_nothing_is_set_aside_or_passed_over(self):
        self.daemon.channel("blind", "crashes", {"examine": False, "at": 2})
        self.start()
        wait_for(lambda: len(self.daemon.interactions("channel=blind")) >= 2, "what lies before it is there")
        died = self.daemon.channel_status("blind")["crashes"]
        wait_for(lambda: self.daemon.channel_status("blind")["crashes"] >= died + 2, "it died twice more", 120)
        events = self.daemon.interactions("channel=blind")
        self.assertEqual([e["data"]["native_id"] for e in events], ["c-0", "c-1"])
        self.assertEqual({e["type"].split(".")[3] for e in events}, {"received"})
        self.good_one_did_not_notice()

    def test_somebody_s_kill_is_not_the_record_s_fault(self):
        self.daemon.channel("bad", "crashes", {"how": "hang", "at": 5})
        self.start()
        for _ in range(3):
            pid = wait_for(lambda: len(self.daemon.interactions("channel=bad")) >= 5
                           and self.daemon.channel_status("bad").get("pid"), "it reads the record")
            self.daemon.wait_for_state("bad", "up")
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: self.daemon.channel_status("bad").get("pid") != pid, "its end was noticed")
        self.assertEqual([e["data"]["native_id"] for e in self.daemon.interactions("channel=bad")],
                         [f"c-{n}" for n in range(5)])
        self.good_one_did_not_notice()


class Hostile(Beside):
    def test_the_table_holds_every_kind_there_is(self):
        self.assertEqual(set(HOSTILE), choices("hostile_items", "what"))

    def test_what_breaks_the_rules_is_refused_or_set_aside_and_the_channel_goes_on(self):
        names = {(what, how): f"{what.replace('_', '-')}-{how}" for what in HOSTILE for how in ("process", "inline")}
        for (what, how), name in names.items():
            self.daemon.channel(name, "hostile_items", {"what": what, "size": "33MiB"}, isolation=how)
        self.start()
        for (what, how), name in names.items():
            becomes, said, raw = HOSTILE[what]
            with self.subTest(name):
                wait_for(lambda: any(e["data"]["native_id"] == "after" for e in self.daemon.interactions(f"channel={name}")),
                         "the good item behind it", 60)
                events = self.daemon.interactions(f"channel={name}")
                ids = [e["data"]["native_id"] for e in events]
                if becomes == "refused":  # and no cursor passes over it: the author has to mend it
                    self.assertEqual(ids, ["before", "after"])
                    self.assertIn("misuse", self.daemon.wait_for_state(name, "degraded")["reason"])
                    self.assertIn(f"channel {name}: the plugin handed over an item that is not filled in",
                                  self.daemon.log())
                    continue
                self.assertEqual([ids[0], *ids[2:]], ["before", "after"])
                self.assertRegex(ids[1], r"^sha256:[0-9a-f]{64}$" if what.endswith("_id") else "^bad$")
                channel = self.daemon.wait_for_state(name, "up")
                self.assertEqual((channel["restarts"], channel["crashes"]), (0, 0))
                self.assertEqual(channel["counts"]["quarantined"], 1 if becomes == "quarantined" else 0)
                bad = events[1]
                self.assertEqual(bad["type"].split(".")[3], becomes)
                if becomes == "received":
                    self.assertEqual({key: bad["data"].get(key) for key in said}, said)
                    continue
                self.assertIn(said, bad["data"]["reason"])
                status, kept = self.daemon.get(f"/v1/events/{bad['sequence']}/raw", parse=False)
                self.assertEqual((status, kept), (200, raw))
                huge = what.startswith("huge")
                self.assertEqual(bad["data"]["raw_size"] // (33 << 20), 1 if huge else 0)
                self.assertTrue(huge or bad["data"]["raw_size"] == len(raw), bad["data"])
                self.assertEqual("raw_sha256" in bad["data"], huge)
        self.good_one_did_not_notice()
        self.assertEqual(self.daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
