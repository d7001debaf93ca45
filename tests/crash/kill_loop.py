#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kills the daemon, its hosts, or both, at random instants, and in a third of the rounds the daemon
once more within its start, round after round, under load; then counts. Every id that upstream has
must be on the bus exactly once, a named consumer must have seen every one of them, none again that
it had acknowledged, its position must never have gone back, and `voxbus journal verify` must be
clean. What upstream has grows until the last round, and no round counts in which nothing arrived.

    kill_loop.py --rounds 50 [--seed N] [--build build/dev]
"""

import collections
import http.client
import random
import signal
import sys
import time

import killing

CHANNELS = {"one": {"seed": 1, "duplicates": 20}, "two": {"seed": 2}, "three": {"seed": 3, "duplicates": 5}}
RATE = 600           # a second and channel: more than the kills let through, few enough to count at the end
UNACKNOWLEDGED = 0.1  # of what is fetched


class Consumer:
    """The durable consumer: fetches, leaves some unacknowledged, and notes what it saw."""

    def __init__(self, daemon, dice):
        self.daemon, self.dice = daemon, dice
        self.seen = collections.Counter()
        self.indexes = {name: set() for name in CHANNELS}
        self.acknowledged = set()
        self.again = 0   # came although they were acknowledged
        self.floors = []
        daemon.put("/v1/consumers/counter", {"from": "beginning", "filter": {"type": ["interaction.*"]},
                                             "max_in_flight": 5000, "ack_within": "1s", "max_deliver": 1000})

    def consume(self, leave=UNACKNOWLEDGED):
        """Takes what is there; whether anything was, which is not so when the daemon is gone."""
        try:
            status, got = self.daemon.post("/v1/consumers/counter/fetch", {"max": 2000, "wait": "0s"})
            if status != 200 or not got["events"]:
                return False
            for event in got["events"]:
                self.seen[event["id"]] += 1
                self.again += event["id"] in self.acknowledged
                self.indexes[event["data"]["channel"]].add(int(event["data"]["native_id"].split("-")[1]))
            mine = [event for event in got["events"] if self.dice.random() >= leave]
            status, state = self.daemon.post("/v1/consumers/counter/ack",
                                             {"sequences": [event["sequence"] for event in mine]})
            if status == 200:
                self.acknowledged.update(event["id"] for event in mine)
                self.floors.append(state["floor"])
            return True
        except (OSError, ValueError, http.client.HTTPException, TypeError):
            return False

    def has_all(self, count):
        while self.consume(leave=0):
            pass
        return all(len(indexes) >= count for indexes in self.indexes.values())


def configure(daemon, count):
    for name, extra in CHANNELS.items():
        daemon.channel(name, "generator", {"count": count, "size": 300, "rate": RATE, "batch": 50, "raw_size": 200, **extra},
                       begin="all")


class Loop:
    def __init__(self, daemon, dice, rounds):
        self.daemon, self.dice, self.rounds = daemon, dice, rounds
        self.kills = killing.Kills(daemon, dice)

    def run(self):
        configure(self.daemon, 1_000_000_000)
        self.daemon.start()
        self.consumer = Consumer(self.daemon, self.dice)
        for round_ in range(self.rounds):
            self.let_it_run()
            self.kills.kill(round_)
            if sys.stdout.isatty():
                print(f"\rround {round_ + 1}/{self.rounds}, {len(self.consumer.seen)} seen", end="", flush=True)

    def let_it_run(self):
        """For a random while, but until something new has come: an idle round shows nothing."""
        from voxbus_daemon import wait_for
        before = len(self.consumer.seen)
        end = time.monotonic() + self.dice.uniform(0.02, 0.5)
        while time.monotonic() < end:
            self.consumer.consume()
        wait_for(lambda: self.consumer.consume() and len(self.consumer.seen) > before
                 or len(self.consumer.seen) > before, "something new since the last round")

    def end_the_load(self):
        """Upstream gets an end a little beyond what is there; returns how many each channel has then."""
        count = 1000 + max(max(indexes) for indexes in self.consumer.indexes.values())
        configure(self.daemon, count)
        self.daemon.process.send_signal(signal.SIGHUP)
        return count


def main():
    options = killing.options(__doc__, rounds=50)
    from voxbus_daemon import wait_for

    daemon = killing.new_daemon(options.seed)
    loop = Loop(daemon, random.Random(options.seed), options.rounds)
    begun = time.monotonic()
    try:
        loop.run()
        count = loop.end_the_load()
        consumer = loop.consumer
        wait_for(lambda: consumer.has_all(count), f"the consumer has seen all {count} of each channel", limit=120)
        stored = daemon.interactions()
        assert daemon.stop() == 0
    finally:
        daemon.close()
    by_native = collections.Counter((event["data"]["channel"], event["data"]["native_id"]) for event in stored)
    by_id = {event["id"] for event in stored}
    upstream = {(name, f"{extra['seed']}-{index}") for name, extra in CHANNELS.items() for index in range(count)}
    lost = len(upstream - set(by_native))
    doubled = sum(times - 1 for times in by_native.values())
    strangers = len(set(by_native) - upstream)
    unseen = len(by_id - set(consumer.seen))
    back = sum(1 for before, after in zip(consumer.floors, consumer.floors[1:]) if after < before)
    redelivered = sum(consumer.seen.values()) - len(consumer.seen)
    verified = daemon.voxbus("journal", "verify", daemon.state / "journal", "--json", check=False)
    clean = verified.returncode == 0
    print(f"\n{options.rounds} rounds in {time.monotonic() - begun:.0f} s, seed {options.seed}: "
          f"{loop.kills}, {loop.kills.early} of them before it listened and {loop.kills.late} after")
    print(f"in {len(upstream)}, out {len(by_native)}, lost {lost}, doubled {doubled}, never written {strangers}; "
          f"consumer missed {unseen}, redelivered {redelivered}, of what it had acknowledged {consumer.again}, "
          f"its position went back {back} times; "
          f"journal verify {'clean' if clean else 'FAILED: ' + verified.stdout + verified.stderr}")
    good = not (lost or doubled or strangers or unseen or back or consumer.again) and clean
    if options.rounds >= 50:  # with fewer, chance may leave these out
        if not redelivered or not loop.kills.early or not loop.kills.late:
            print("nothing was redelivered, or starts were hit on one side only: the loop did not try what it is for")
            good = False
    return killing.end(daemon, good, options.keep)


if __name__ == "__main__":
    sys.exit(main())
