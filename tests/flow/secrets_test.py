# SPDX-License-Identifier: Apache-2.0
"""Where secrets must never be seen."""

import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from voxbus_daemon import Daemon, wait_for


class Memory(unittest.TestCase):
    # Root may do everything, without its capabilities what any user may; a process that has more of
    # them than we is closed to us for that alone.
    ORDINARY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []

    def may_open(self, pid, name):
        """Whether another process of the same user may."""
        done = subprocess.run([*self.ORDINARY, sys.executable, "-c", f"open('/proc/{pid}/{name}', 'rb')"],
                              capture_output=True, text=True)
        self.assertTrue(done.returncode == 0 or "PermissionError" in done.stderr, done.stderr)
        return done.returncode == 0

    def test_of_the_daemon_and_its_hosts_is_closed_to_other_processes_of_their_user(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        daemon.channel("well", "generator", {"count": 1, "wait_at_end": True})
        daemon.start(under=self.ORDINARY)
        host = daemon.wait_for_state("well", "up")["pid"]
        other = subprocess.Popen([*self.ORDINARY, "sleep", "600"])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        wait_for(lambda: pathlib.Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n", "it sleeps")
        for name in ("environ", "maps", "mem"):
            # Where the kernel keeps `mem` to a process's parent alone, that says nothing.
            if name != "mem":
                self.assertTrue(self.may_open(other.pid, name), "it can tell what is open")
            for pid in (daemon.process.pid, host):
                self.assertFalse(self.may_open(pid, name), f"/proc/{pid}/{name}")
        self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
