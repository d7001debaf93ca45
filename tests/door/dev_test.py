#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""./dev and .ci/run, with stand-ins for apt, cmake, ninja, ctest and sudo that note how they were
called: what is missing is said and installed, nothing is when nothing is, errors come out whole."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Dev(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.bin = self.folder / "bin"
        self.bin.mkdir()
        (self.folder / ".ci").mkdir()
        (self.folder / "conf" / "demo").mkdir(parents=True)
        for name in ("dev", ".ci/run"):
            shutil.copy(ROOT / name, self.folder / name)
        self.packages = self.list_of_packages()
        self.stand_in("dpkg-query", 'for p in "${@:3}"; do [[ " $LACKING " == *" $p "* ]] || '
                                    'echo "$p installed"; done')
        self.stand_in("apt-cache", "")
        self.stand_in("cmake", 'mkdir -p "build/$2"; touch "build/$2/build.ninja"')
        for name in ("apt-get", "ninja", "ctest", "python3", "debconf-set-selections", "systemctl"):
            self.stand_in(name, "")
        self.stand_in("sudo", '[[ $1 == -v ]] || exec "$@"')
        self.unpacked = self.folder / "build/peers/cyrus/usr/lib/cyrus/bin/imapd"
        self.unpacked.parent.mkdir(parents=True)
        self.unpacked.touch(0o755)

    def list_of_packages(self):
        text = (ROOT / "dev").read_text()
        return re.search(r"packages_build=\((.*?)\)", text, re.S)[1].split()

    def stand_in(self, name, body):
        file = self.bin / name
        file.write_text(f'#!/bin/bash\nexec 3>>"$CALLS"; echo "{name} $*" >&3\n{body}\n')
        file.chmod(0o755)

    def dev(self, *arguments, program="dev", **environment):
        calls = self.folder / "calls"
        calls.write_text("")
        told = subprocess.run(
            [self.folder / program, *arguments], capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL, check=False, cwd="/",
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.folder), "CALLS": str(calls),
                 "LACKING": "", **environment})
        self.calls = [line for line in calls.read_text().splitlines()
                      if not line.startswith(("dpkg-query", "apt-cache"))]
        return told

    def test_help_needs_nothing_and_an_unknown_verb_is_refused_with_it(self):
        told = self.dev("help")
        self.assertEqual(0, told.returncode)
        self.assertIn("./dev VERB", told.stdout)
        self.assertEqual([], self.calls)
        told = self.dev("bild")
        self.assertEqual(2, told.returncode)
        self.assertIn("unknown verb 'bild'", told.stderr)
        self.assertIn("build ", told.stderr)

    def test_installs_nothing_when_nothing_is_missing(self):
        self.assertEqual(0, self.dev("build").returncode)
        self.assertEqual("cmake --preset release", self.calls[0])
        self.assertTrue(self.calls[1].startswith("ninja -C build/release"))
        self.dev("build")
        self.assertEqual(1, len(self.calls), "configured once")

    def test_says_what_is_missing_and_installs_just_that(self):
        told = self.dev("build", LACKING="mold libre2-dev")
        self.assertIn("missing Debian packages: mold libre2-dev\n", told.stderr)
        apt = [call for call in self.calls if call.startswith("apt-get")]
        self.assertEqual(2, len(apt), self.calls)
        self.assertTrue(apt[0].endswith(" update"))
        self.assertTrue(apt[1].endswith(" install mold libre2-dev"), apt)
        self.assertEqual(os.getuid() != 0, any(call.startswith("sudo") for call in self.calls))

    def test_servers_for_the_tests_are_installed_but_neither_started_nor_enabled(self):
        policy = self.folder / "policy-rc.d"
        self.stand_in("apt-get", 'case $* in *install*) echo "policy: $("$POLICY"; echo $?)" >&3 ;; esac')
        told = self.dev("test", LACKING="postfix dovecot-core", POLICY=str(policy))
        self.assertEqual(0, told.returncode, told.stderr)
        install = next(index for index, call in enumerate(self.calls) if " install " in call)
        self.assertTrue(self.calls[install].endswith(" --no-install-recommends --no-remove install postfix dovecot-core"))
        self.assertEqual("policy: 101", self.calls[install + 1], "no service may start")
        self.assertFalse(policy.exists(), "it was there for the installation only")
        self.assertTrue(any(call.startswith("debconf-set-selections") for call in self.calls[:install]))
        self.assertIn("systemctl disable postfix.service", self.calls)
        self.assertIn("systemctl disable dovecot.service", self.calls)
        policy.write_text("#!/bin/sh\nexit 101\n# an administrator's own\n")
        policy.chmod(0o755)
        self.dev("test", LACKING="postfix", POLICY=str(policy))
        self.assertIn("an administrator's own", policy.read_text())

    def test_what_is_no_peer_is_not_disabled(self):
        self.dev("test", LACKING="systemd-container", POLICY=str(self.folder / "policy"))
        self.assertFalse([call for call in self.calls if call.startswith("systemctl")])

    def test_without_the_servers_it_goes_on_and_says_so_but_not_in_continuous_integration(self):
        self.stand_in("apt-get", '[[ $* != *postfix* ]] || { echo "E: Packages need to be removed" >&2; exit 100; }')
        told = self.dev("test", LACKING="postfix", POLICY=str(self.folder / "policy"))
        self.assertEqual(0, told.returncode)
        self.assertIn("E: Packages need to be removed", told.stderr)
        self.assertIn("SKIPPED", told.stderr)
        self.assertTrue(self.calls[-1].startswith("ctest "))
        told = self.dev("test", LACKING="postfix", POLICY=str(self.folder / "policy"), CI="true")
        self.assertEqual(1, told.returncode)
        self.assertFalse([call for call in self.calls if call.startswith("ctest ")])

    def test_a_second_imap_server_is_unpacked_once_and_never_installed(self):
        self.unpacked.unlink()
        self.stand_in("apt-get", '[[ $* != *download* ]] || touch cyrus-common_1.deb cyrus-imapd_1.deb')
        self.stand_in("dpkg-deb", 'mkdir -p usr/lib/cyrus/bin; touch usr/lib/cyrus/bin/imapd; chmod +x usr/lib/cyrus/bin/imapd')
        self.assertEqual(0, self.dev("test", CI="true").returncode)
        self.assertEqual(["apt-get download cyrus-common cyrus-imapd", "dpkg-deb -x ./cyrus-common_1.deb .",
                          "dpkg-deb -x ./cyrus-imapd_1.deb ."], [call for call in self.calls if "cyrus" in call])
        self.assertEqual(0, self.dev("test", CI="true").returncode)
        self.assertEqual([], [call for call in self.calls if "cyrus" in call], "the second time it is there")
        self.unpacked.unlink()
        self.stand_in("apt-get", '[[ $* != *download* ]] || exit 100')
        told = self.dev("test")
        self.assertEqual(0, told.returncode)
        self.assertIn("SKIPPED", told.stderr)

    def test_peers_runs_the_long_tier_of_what_bears_that_label(self):
        self.stand_in("ctest", 'echo "tier $VOXBUS_TIER"')
        told = self.dev("peers")
        self.assertIn("tier long", told.stdout)
        self.assertIn(" -L peers ", self.calls[-1])
        labelled = [file for file in (ROOT / "tests").rglob("CMakeLists.txt") if "LABELS peers" in file.read_text()]
        self.assertTrue(labelled, "no test bears the label")

    def test_shows_all_that_a_failing_step_said_and_stops(self):
        self.stand_in("apt-get", 'echo "E: no such mirror" >&2; exit 100')
        told = self.dev("test", LACKING="mold")
        self.assertNotEqual(0, told.returncode)
        self.assertIn("E: no such mirror", told.stderr)
        self.assertFalse([call for call in self.calls if call.startswith(("cmake", "ctest"))])

    def test_does_not_test_what_does_not_build(self):
        self.stand_in("ninja", 'echo "[1/2] Building x"; echo "FAILED: x"; echo "x.cpp:1: error: no"; exit 1')
        told = self.dev("test")
        self.assertNotEqual(0, told.returncode)
        self.assertIn("FAILED: x\nx.cpp:1: error: no\n", told.stdout)
        self.assertFalse([call for call in self.calls if call.startswith("ctest")])

    def test_the_last_words_of_test_are_ctest_s_and_so_is_its_exit_status(self):
        self.stand_in("ctest", 'echo "100% tests passed, 0 tests failed out of 3"; exit 8')
        told = self.dev("test", "-R", "Journal")
        self.assertEqual(8, told.returncode)
        self.assertTrue(told.stdout.endswith("100% tests passed, 0 tests failed out of 3\n"))
        self.assertIn("--test-dir build/dev --output-on-failure", self.calls[-1])
        self.assertTrue(self.calls[-1].endswith("-j2 -R Journal"))

    def test_without_a_terminal_progress_is_sparse(self):
        self.stand_in("ninja", 'for i in {1..120}; do echo "[$i/120] Building"; done; echo "a warning"')
        lines = self.dev("build").stdout.splitlines()
        self.assertEqual(["[50/120] Building", "[100/120] Building", "[120/120] Building", "a warning"],
                         lines)

    def test_run_builds_only_when_there_is_something_to_build(self):
        self.stand_in("ninja", '[[ $* == *" -n "* ]] && echo "ninja: no work to do."')
        self.assertEqual(0, self.dev("run", "--fast").returncode)
        builds = [call for call in self.calls if call.startswith("ninja")]
        self.assertEqual(1, len(builds), builds)
        self.assertEqual("python3 conf/demo/demo.py --build build/release --fast", self.calls[-1])

    # The steps of `./dev check`, each with the stand-in that fails it.
    STEPS = {"format": ("clang-format", ""), "shell": ("shellcheck", ""), "floors": ("python3", ""),
             "warnings as errors": ("ninja", "[[ $* != *build/tidy* ]] ||"), "clang-tidy on 2 changed files": ("clang-tidy", ""),
             "tests": ("ctest", "")}

    def repository(self):
        """Two commits: on main a source and a header, behind it another source; and one not yet added."""
        def git(*arguments):
            subprocess.run(["git", "-c", "user.name=Nora", "-c", "user.email=nora@example.org", *arguments],
                           cwd=self.folder, check=True, capture_output=True, env={**os.environ, "HOME": str(self.folder)})
        (self.folder / ".gitignore").write_text("/bin\n/build\n/calls\n")
        git("init", "-b", "main")
        for name, branch in (("old.cpp", None), ("old.hpp", None), ("new.cpp", "work")):
            if branch:
                git("checkout", "-b", branch)
            (self.folder / name).write_text("// nothing\n")
            git("add", ".")
            git("commit", "-m", name)
        (self.folder / "untracked.cpp").write_text("// nothing\n")
        for stand_in, _ in self.STEPS.values():
            self.stand_in(stand_in, "")

    def test_check_takes_every_step(self):
        self.repository()
        told = self.dev("check")
        self.assertEqual(0, told.returncode, told.stderr)
        self.assertTrue(told.stderr.endswith("dev: check: all is well\n"))
        self.assertEqual([f"check: {step}" for step in self.STEPS],
                         re.findall(r"(?m)^dev: (check: .*)$", told.stderr)[:-1])
        self.assertIn("clang-format --dry-run --Werror new.cpp old.cpp old.hpp", self.calls)
        self.assertIn("shellcheck dev .ci/run tests/door/fresh.sh", self.calls)
        self.assertIn("python3 tests/floors/floors.py daemon", self.calls)
        self.assertIn("cmake --preset tidy -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON", self.calls)
        presets = {preset["name"]: preset for preset in json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]}
        self.assertEqual("ON", presets["tidy"]["cacheVariables"]["VOXBUS_WERROR"], "a warning is an error there")
        self.assertTrue([call for call in self.calls if call.startswith("ninja -C build/tidy ")])
        tidied = [call for call in self.calls if call.startswith("clang-tidy -p build/tidy ")]
        self.assertEqual({"new.cpp", "untracked.cpp"}, {call.split()[-1] for call in tidied}, "what changed since main")
        self.assertTrue(self.calls[-1].startswith("ctest --test-dir build/dev "))

    def test_check_fails_with_each_of_its_steps_and_still_takes_the_others(self):
        self.repository()
        for step, (program, unless) in self.STEPS.items():
            with self.subTest(step):
                self.stand_in(program, f'{unless} {{ echo "{program} has something to say"; exit 1; }}')
                told = self.dev("check")
                self.assertEqual(1, told.returncode)
                self.assertTrue(told.stderr.endswith(f"dev: check failed: {step}\n"), told.stderr[-300:])
                self.assertIn(f"{program} has something to say", told.stdout)
                self.assertTrue(self.calls[-1].startswith("ctest "))
                self.stand_in(program, "")

    def test_check_names_every_step_that_failed(self):
        self.repository()
        for program in ("shellcheck", "ctest"):
            self.stand_in(program, "exit 1")
        self.assertTrue(self.dev("check").stderr.endswith("dev: check failed: shell; tests\n"))

    def test_crash_takes_a_number_only(self):
        self.assertIn("'many' is not a number", self.dev("crash", "many").stderr)
        self.dev("crash", "7")
        loops = [call for call in self.calls if "--rounds 7" in call]
        self.assertEqual([1, 1], [sum(f"tests/crash/{name}.py" in loop for loop in loops)
                                  for name in ("kill_loop", "channels_kill")], self.calls)

    def test_crash_fails_when_the_first_of_its_loops_does(self):
        self.stand_in("python3", "exit 1")
        self.assertEqual(1, self.dev("crash", "7").returncode)
        self.assertIn("kill_loop", self.calls[-1])

    def fuzz_targets(self):
        """{name: program} as tests/fuzz/CMakeLists.txt makes them."""
        text = (ROOT / "tests/fuzz/CMakeLists.txt").read_text()
        before, after = re.search(r"add_executable\((\w*)\$\{name\}(\w*)", text).groups()
        return {name: before + name + after for name in re.findall(r"(?m)^voxbus_fuzz\((\w+)", text)}

    def test_fuzz_runs_every_target_that_cmake_makes_over_its_corpus(self):
        targets = self.fuzz_targets()
        self.assertGreaterEqual(len(targets), 6)
        made = self.folder / "build/fuzz/bin"
        made.mkdir(parents=True)
        for name, program in targets.items():
            shutil.copy(self.bin / "python3", made / program)  # the stand-in notes its name
            (made / program).write_text((made / program).read_text().replace("python3", program))
            (self.folder / "tests/fuzz/corpus" / name).mkdir(parents=True)
        told = self.dev("fuzz", "7")
        self.assertEqual(0, told.returncode, told.stderr)
        runs = {line.split()[0]: line for line in self.calls if "-max_total_time=7" in line}
        self.assertEqual(set(targets.values()), set(runs))
        for name, program in targets.items():
            self.assertTrue(runs[program].endswith(f" build/fuzz/corpus/{name} tests/fuzz/corpus/{name}"))

    def test_fuzz_says_where_the_input_of_a_crash_lies_and_ends_there(self):
        made = self.folder / "build/fuzz/bin"
        made.mkdir(parents=True)
        for name, body in (("fuzz_a", "echo 'ERROR: overflow'; exit 77"), ("fuzz_b", "")):
            (made / name).write_text(f'#!/bin/bash\necho {name} >>"$CALLS"\n{body}\n')
            (made / name).chmod(0o755)
        told = self.dev("fuzz", "1")
        self.assertEqual(1, told.returncode)
        self.assertIn("ERROR: overflow", told.stderr)
        self.assertIn("a: the input is in build/fuzz/crashes", told.stderr)
        self.assertNotIn("fuzz_b", self.calls)

    def test_fuzz_and_bench_fail_when_there_is_nothing_to_run(self):
        self.assertIn("no fuzz target was built", self.dev("fuzz").stderr)
        self.assertIn("no benchmark was built", self.dev("bench").stderr)

    def test_continuous_integration_updates_apt_first_and_ends_with_ctest(self):
        self.stand_in("ctest", 'echo "CI is $CI"')
        told = self.dev(program=".ci/run")
        self.assertEqual(0, told.returncode, told.stderr)
        self.assertEqual("apt-get -qq update", self.calls[0])
        self.assertTrue(self.calls[-1].startswith("ctest "))
        self.assertTrue(told.stdout.endswith("CI is true\n"))

    def test_the_list_of_packages_names_boost_1_81_only_and_nothing_twice(self):
        boost = [name for name in self.packages if "boost" in name]
        self.assertTrue(boost and all("1.81" in name for name in boost), boost)
        self.assertEqual(len(self.packages), len(set(self.packages)))
        self.assertNotIn("libphonenumber-dev", self.packages)

    def test_every_verb_keeps_its_compiler_cache_outside_the_repository(self):
        self.stand_in("ninja", 'echo "cache $CCACHE_DIR"')
        self.assertIn(f"cache {self.folder}/.cache/ccache", self.dev("build").stdout)
        self.assertIn("cache /elsewhere", self.dev("build", CCACHE_DIR="/elsewhere").stdout)


if __name__ == "__main__":
    unittest.main()
