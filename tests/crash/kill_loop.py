#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the daemon, its hosts, or both, at random instants, round after round, under load; then
counts. Every id that upstream has must be on the bus exactly once, a named consumer must have seen
every one of them, its position must never have gone back, and `voxbus journal verify` must be clean.

    kill_loop.py --rounds 50 [--seed N] [--build build/dev]
"""

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

CHANNELS = {"one": {"seed": 1, "duplicates": 20}, "two": {"seed": 2}, "three": {"seed": 3, "duplicates": 5}}


def consume(daemon, seen, floors):
    """Fetches and acknowledges what is there, and notes what it saw; False when the daemon is gone."""
    try:
        status, got = daemon.post("/v1/consumers/counter/fetch", {"max": 2000, "wait": "0s"})
        if status != 200:
            return False
        for event in got["events"]:
            seen[event["id"]] += 1
        if got["events"]:
            status, state = daemon.post("/v1/consumers/counter/ack",
                                        {"sequences": [event["sequence"] for event in got["events"]]})
            if status == 200:
                floors.append(state["floor"])
        return bool(got["events"])
    except (OSError, ValueError, http.client.HTTPException, TypeError):
        return False


def host_pids(daemon):
    try:
        return [channel["pid"] for channel in daemon.status()["channels"] if channel.get("pid")]
    except (OSError, TypeError, ValueError, http.client.HTTPException):
        return []


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=50)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    arguments.add_argument("--build", default=os.environ.get("VOXBUS_BUILD", "build/dev"))
    arguments.add_argument("--keep", action="store_true", help="keep the folder for a look")
    options = arguments.parse_args()
    os.environ["VOXBUS_BUILD"] = str(pathlib.Path(options.build).resolve())
    from voxbus_daemon import Daemon, wait_for

    dice = random.Random(options.seed)
    daemon = Daemon()
    per_channel = max(2_000, options.rounds * 400)
    for name, extra in CHANNELS.items():
        daemon.channel(name, "generator", {"count": per_channel, "size": 300, "rate": 4000, "batch": 50, "raw_size": 200, **extra},
                       begin="all")
    expected = per_channel * len(CHANNELS)
    seen, floors = collections.Counter(), []
    killed = collections.Counter()
    begun = time.monotonic()
    daemon.start()
    daemon.put("/v1/consumers/counter", {"from": "beginning", "filter": {"type": ["interaction.*"]},
                                         "max_in_flight": 5000, "ack_within": "2s", "max_deliver": 1000})
    for round_ in range(options.rounds):
        end = time.monotonic() + dice.uniform(0.02, 0.5)
        while time.monotonic() < end:
            consume(daemon, seen, floors)
        what = dice.choice(["daemon", "hosts", "both"])
        killed[what] += 1
        if what in ("hosts", "both"):
            for pid in host_pids(daemon):
                if dice.random() < 0.7:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
        if what in ("daemon", "both"):
            daemon.kill()
            daemon.start()
        if sys.stdout.isatty():
            print(f"\rround {round_ + 1}/{options.rounds}, {len(seen)} of {expected} seen", end="", flush=True)

    def finished():
        while consume(daemon, seen, floors):
            pass
        return len(seen) >= expected

    wait_for(finished, f"the consumer has seen all {expected}", limit=120)
    stored = daemon.interactions()
    by_native = collections.Counter((event["source"], event["data"]["native_id"]) for event in stored)
    by_id = collections.Counter(event["id"] for event in stored)
    doubled = sum(count - 1 for count in by_native.values())
    lost = expected - len(by_native)
    unseen = sum(1 for id_ in by_id if id_ not in seen)
    back = sum(1 for before, after in zip(floors, floors[1:]) if after < before)
    daemon.stop()
    verified = daemon.voxbus("journal", "verify", daemon.state / "journal", "--json", check=False)
    clean = verified.returncode == 0
    print(f"\n{options.rounds} rounds in {time.monotonic() - begun:.0f} s, seed {options.seed}: "
          + ", ".join(f"{count} x {what}" for what, count in sorted(killed.items())))
    print(f"in {expected}, out {len(by_native)}, lost {lost}, doubled {doubled}; consumer missed {unseen}, "
          f"its position went back {back} times, redelivered {sum(seen.values()) - len(seen)}; "
          f"journal verify {'clean' if clean else 'FAILED: ' + verified.stdout + verified.stderr}")
    good = lost == 0 and doubled == 0 and unseen == 0 and back == 0 and clean
    if not good:
        print(f"kept: {daemon.folder}")
        daemon.own = False
    if options.keep:
        daemon.own = False
    daemon.close()
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
