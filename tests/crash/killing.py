# SPDX-License-Identifier: Apache-2.0
"""What the kill loops have in common: their options, the kills themselves, and the end. The modules of
the flows are imported late, because they look for the build in the environment, where options() puts it."""

import argparse
import collections
import http.client
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "flow"))


def options(description, rounds):
    arguments = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=rounds)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments.add_argument("--build", default=os.environ.get("VOXBUS_BUILD", "build/dev"))
    arguments.add_argument("--keep", action="store_true", help="keep the folder for a look")
    given = arguments.parse_args()
    os.environ["VOXBUS_BUILD"] = str(pathlib.Path(given.build).resolve())
    return given


def new_daemon(seed):
    from voxbus_daemon import Daemon
    daemon = Daemon()
    daemon.own = False  # kept, unless all went well
    print(f"seed {seed}, {daemon.folder}", flush=True)
    return daemon


def end(daemon, good, keep):
    """Removes the folder after a good end; gives the exit code."""
    daemon.own = good and not keep
    daemon.close()
    if not daemon.own:
        print(f"kept: {daemon.folder}")
    return 0 if good else 1


class Kills:
    """Kills the daemon, its hosts, or both, and in every third round the daemon once more within its start."""

    def __init__(self, daemon, dice):
        self.daemon, self.dice = daemon, dice
        self.start_took = 0.1  # seconds until it listened, the last time
        self.counts = collections.Counter()
        self.early = self.late = 0  # killed within its start before it listened, and just after

    def __str__(self):
        return ", ".join(f"{times} x {what}" for what, times in sorted(self.counts.items()))

    def kill(self, number):
        from voxbus_daemon import wait_for
        what = "start" if number % 3 == 2 else self.dice.choice(["daemon", "hosts", "both"])
        self.counts[what] += 1
        if what in ("hosts", "both"):
            self._kill_some_hosts()
        if what == "hosts":
            return
        self.daemon.kill()
        if what == "start":
            self.daemon.start(wait=False)
            if self.counts[what] % 2:
                wait_for(lambda: self.daemon.endpoint(), "the daemon listens")
            time.sleep(self.dice.uniform(0, self.start_took))  # the instant is what is tried here
            if self.daemon.endpoint() is None:
                self.early += 1
            else:
                self.late += 1
            self.daemon.kill()
        begun = time.monotonic()
        self.daemon.start()
        self.start_took = time.monotonic() - begun

    def _kill_some_hosts(self):
        try:
            pids = [channel["pid"] for channel in self.daemon.status()["channels"] if channel.get("pid")]
        except (OSError, TypeError, ValueError, http.client.HTTPException):
            return
        for pid in pids:
            if self.dice.random() < 0.7:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
