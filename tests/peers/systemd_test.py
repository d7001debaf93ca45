#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The shipped unit under a booted systemd: ready, hardened, killed and started again, reloaded,
refused, stopped, as an administrator sees it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from machine import Machine
from servers import need, wait_for
from voxbus_daemon import BUILD, cdr, is_built_with

DYNAMIC = range(61184, 65520)  # the users that systemd makes for a run


class Unit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        need("/usr/bin/systemd-nspawn", "/usr/bin/unshare", "/usr/bin/nsenter", rights=Machine.is_possible())
        folder = pathlib.Path(tempfile.mkdtemp(prefix="voxbus-peers-"))
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.machine = Machine(folder)
        # As an administrator does; the prefix is the default, /usr.
        subprocess.run(["cmake", "--install", BUILD], env={**os.environ, "DESTDIR": str(cls.machine.installed)},
                       check=True, stdout=subprocess.DEVNULL)
        cls.addClassCleanup(cls.machine.close)
        cls.machine.boot()
        if is_built_with("asan"):  # its search for leaks needs what the unit forbids, and fails without
            drop_in = cls.machine.path("/etc/systemd/system/voxbus.service.d/sanitizer.conf")
            drop_in.parent.mkdir(parents=True, exist_ok=True)
            drop_in.write_text("[Service]\nEnvironment=ASAN_OPTIONS=detect_leaks=0\n")
            cls.machine.run("systemctl", "daemon-reload")

    def setUp(self):
        self.run_ = self.machine.run
        self.run_("systemctl", "stop", "voxbus", check=False)
        self.run_("systemctl", "reset-failed", "voxbus", check=False)
        # Also what an earlier run on this system itself may have left, which lies below the overlay.
        self.run_("rm", "-rf", "/var/lib/private/voxbus", "/var/lib/voxbus", "/srv/calls")
        self.machine.path("/srv/calls").mkdir()
        self.conf = self.machine.path("/etc/voxbus")
        for file in self.conf.rglob("*.yaml"):
            file.unlink()
        (self.conf / "voxbus.yaml").write_text("listen: 127.0.0.1:0\nregion: US\n")
        self.channel("calls")
        self.calls("calls", range(5))

    def channel(self, name, **more):
        keys = {"channel": name, "plugin": "phone", "poll_every": "50ms", "begin": "all",
                "settings": {"file": f"/srv/calls/{name}.csv"}, **more}
        (self.conf / "channels.d" / f"{name}.yaml").write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items()))

    def calls(self, name, numbers):
        with self.machine.path(f"/srv/calls/{name}.csv").open("a") as file:
            file.writelines(cdr(number) for number in numbers)

    def shown(self, *names):
        text = self.run_("systemctl", "show", "voxbus", *(f"--property={name}" for name in names)).stdout
        return dict(line.split("=", 1) for line in text.splitlines())

    def state(self):
        return self.shown("ActiveState")["ActiveState"]

    def journal(self):
        return self.run_("journalctl", "--unit=voxbus", "--no-pager", "--output=cat", f"--since=@{self.since}").stdout

    def start(self):
        self.since = float(self.run_("date", "+%s.%N").stdout)
        began = self.run_("systemctl", "start", "voxbus", check=False)
        self.assertEqual(0, began.returncode, began.stderr + self.journal())

    def channels(self):
        status = self.run_("voxbus", "status", "--json", check=False)
        if status.returncode:
            return {}
        return {channel["name"]: channel for channel in json.loads(status.stdout)["channels"]}

    def pid_of(self, name, other_than=None):
        def up():
            channel = self.channels().get(name, {})
            return channel.get("state") == "up" and channel["pid"] != other_than and channel["pid"]
        return wait_for(up, f"{name} is up")

    def brought(self, wanted):
        """The calls on the bus, once there are so many."""
        def exported():
            lines = self.run_("voxbus", "export", "--since", "2000-01-01T00:00:00Z", "--format", "ndjson", check=False).stdout.splitlines()
            ids = [event["data"]["native_id"].split(".")[0] for event in map(json.loads, lines) if ".interaction." in event["type"]]
            return len(ids) >= wanted and ids
        return wait_for(exported, f"{wanted} calls")

    def status_of(self, pid):
        """/proc/PID/status of a process inside, by name."""
        text = self.run_("cat", f"/proc/{pid}/status").stdout
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    def writable(self, pid):
        """Which of the places that matter the process could write to: in its name spaces, as its user."""
        user, group = (self.status_of(pid)[name].split()[0] for name in ("Uid", "Gid"))
        places = ["/", "/etc", "/etc/voxbus", "/etc/voxbus/channels.d", "/usr/bin", "/usr/bin/voxbusd", "/usr/lib/voxbus/plugins",
                  "/usr/lib/voxbus/plugins/phone.so", "/srv/calls", "/srv/calls/calls.csv", "/home", "/root", "/var/lib", "/run",
                  "/sys", "/proc/sys/kernel/hostname", "/run/voxbus", "/tmp", "/var/lib/private/voxbus"]
        script = 'for place; do if [ -w "$place" ]; then echo "$place"; fi; done'
        # First the name spaces, then the user, whom root there may still become.
        return set(self.run_("nsenter", "-t", pid, "-m", "-U", "-S", user, "-G", group, "--", "sh", "-c", script, "sh", *places)
                   .stdout.split())

    def test_it_is_ready_when_start_returns_and_says_how_it_is(self):
        self.start()
        shown = self.shown("ActiveState", "SubState", "StatusText", "NRestarts", "Type", "WatchdogUSec")
        self.assertEqual((shown["ActiveState"], shown["SubState"], shown["Type"]), ("active", "running", "notify"))
        self.assertEqual(shown["WatchdogUSec"], "30s")
        self.assertEqual(0, self.run_("voxbus", "status", check=False).returncode, "it answers at once")
        self.assertEqual(sorted(self.brought(5)), ["0", "1", "2", "3", "4"])
        wait_for(lambda: self.shown("StatusText")["StatusText"].startswith("1 of 1 channels up, "), "its status line")

    def test_daemon_and_channel_run_as_a_user_of_their_own_and_can_reach_nothing(self):
        static = int(self.run_("id", "-u", "voxbus").stdout)  # systemd-sysusers made it at boot
        self.assertNotEqual(static, 0)
        self.can_reach_nothing_as({static})

    def test_so_they_do_as_a_user_made_for_the_run_where_there_is_none(self):
        self.run_("userdel", "voxbus")
        self.addCleanup(self.run_, "systemd-sysusers")
        self.can_reach_nothing_as(set(DYNAMIC))

    def can_reach_nothing_as(self, users):
        self.start()
        host, main = self.pid_of("calls"), int(self.shown("MainPID")["MainPID"])
        outside = self.run_("readlink", "/proc/1/ns/user", "/proc/1/ns/mnt").stdout.split()
        for pid in (main, host):
            status = self.status_of(pid)
            self.assertLessEqual({int(uid) for uid in status["Uid"].split()}, users)
            for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(status[capabilities], 16), 0, capabilities)
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
            inside = self.run_("readlink", f"/proc/{pid}/ns/user", f"/proc/{pid}/ns/mnt").stdout.split()
            self.assertFalse(set(inside) & set(outside), "name spaces of its own")
            self.assertEqual(self.writable(pid), {"/run/voxbus", "/tmp", "/var/lib/private/voxbus"})
        state = self.run_("stat", "--format=%a", "/var/lib/private/voxbus").stdout.strip()
        self.assertEqual(state, "700")

    def test_killed_it_is_started_again_and_the_channel_goes_on_where_it_was(self):
        self.start()
        self.brought(5)
        host, main = self.pid_of("calls"), self.shown("MainPID")["MainPID"]
        self.run_("kill", "-9", main)
        self.calls("calls", range(5, 10))
        wait_for(lambda: self.shown("MainPID")["MainPID"] not in ("0", main) and self.state() == "active", "it runs again")
        self.assertEqual(self.shown("NRestarts")["NRestarts"], "1")
        again = self.pid_of("calls", other_than=host)
        self.assertNotEqual(0, self.run_("test", "-e", f"/proc/{host}", check=False).returncode, "its host ended with it")
        self.calls("calls", range(10, 15))
        self.assertEqual(sorted(self.brought(15), key=int), [str(n) for n in range(15)])
        # And a host alone is the daemon's own affair.
        self.run_("kill", "-9", again)
        self.calls("calls", range(15, 20))
        self.assertEqual(sorted(self.brought(20), key=int), [str(n) for n in range(20)])
        self.assertEqual(self.shown("NRestarts")["NRestarts"], "1")

    def test_one_that_hangs_is_ended_by_the_watchdog_and_started_again(self):
        drop_in = self.machine.path("/run/systemd/system/voxbus.service.d")
        drop_in.mkdir(parents=True)
        (drop_in / "short.conf").write_text("[Service]\nWatchdogSec=2s\nTimeoutAbortSec=1s\n")
        self.addCleanup(lambda: (shutil.rmtree(drop_in), self.run_("systemctl", "daemon-reload")))
        self.run_("systemctl", "daemon-reload")
        self.start()
        main = self.shown("MainPID")["MainPID"]
        self.run_("sleep", "3")  # longer than the watchdog waits: alive, it is left alone
        self.assertEqual(self.shown("MainPID", "NRestarts"), {"MainPID": main, "NRestarts": "0"})
        self.run_("kill", "-STOP", main)
        wait_for(lambda: self.shown("MainPID")["MainPID"] not in ("0", main) and self.state() == "active", "it runs again", 20)
        self.assertEqual(sorted(self.brought(5)), ["0", "1", "2", "3", "4"])

    def test_a_reload_with_a_bad_file_is_refused_and_changes_nothing(self):
        self.start()
        host = self.pid_of("calls")
        self.channel("calls", poll_every="70ms")
        self.channel("bad", settings={"flie": "/srv/calls/bad.csv"})
        refused = self.run_("systemctl", "reload", "voxbus", check=False)
        self.assertNotEqual(0, refused.returncode)
        wait_for(lambda: "did you mean 'file'?" in self.journal(), "the journal says why")
        self.assertEqual(self.state(), "active")
        self.assertEqual((list(self.channels()), self.pid_of("calls")), (["calls"], host))
        # Mended, it is taken: what changed starts again, what is new starts.
        self.channel("bad")
        self.calls("bad", range(3))
        self.run_("systemctl", "reload", "voxbus")
        self.pid_of("bad")
        self.pid_of("calls", other_than=host)
        self.assertEqual(len(self.brought(8)), 8)

    def test_a_wrong_voxbus_yaml_ends_it_with_78_and_it_is_not_started_again(self):
        (self.conf / "voxbus.yaml").write_text("lissten: 127.0.0.1:0\n")
        self.since = float(self.run_("date", "+%s.%N").stdout)
        self.assertNotEqual(0, self.run_("systemctl", "start", "voxbus", check=False).returncode)
        shown = self.shown("ActiveState", "SubState", "ExecMainStatus", "NRestarts")
        self.assertEqual(shown, {"ActiveState": "failed", "SubState": "failed", "ExecMainStatus": "78", "NRestarts": "0"})
        self.assertIn("did you mean 'listen'?", self.journal())

    def test_stop_is_clean_and_leaves_nobody(self):
        self.start()
        self.brought(5)
        host = self.pid_of("calls")
        self.run_("systemctl", "stop", "voxbus")
        self.assertEqual(self.state(), "inactive")
        wait_for(lambda: "voxbus.service: Deactivated successfully." in self.journal(), "systemd says that it ended well")
        self.assertIn("\nstopped\n", self.journal())
        self.assertNotEqual(0, self.run_("test", "-e", f"/proc/{host}", check=False).returncode)
        self.assertNotEqual(0, self.run_("pgrep", "voxbus", check=False).returncode)
        self.assertNotIn("Killing process", self.journal())
        self.calls("calls", range(5, 8))
        self.start()
        self.assertEqual(sorted(self.brought(8)), [str(n) for n in range(8)])

    def test_what_it_is_exposed_to_stays_below_1_2(self):
        analyzed = self.run_("systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=12",
                             "/etc/systemd/system/voxbus.service", check=False)
        self.assertEqual(0, analyzed.returncode, analyzed.stdout[-500:])


if __name__ == "__main__":
    unittest.main()
