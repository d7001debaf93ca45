#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo: a small shop's customers write and call, Voxbus hears them, and you may kill anything.

Started by `./dev run`. Customers are played by story.py, systemd by stage.py; the lines come from
the bus itself, read as any department would; counter.py counts what came out.
"""
import os
import signal

# Whoever presses Ctrl-C while the rest is still being loaded has nothing to wait for. "./dev run"
# blocks the signal until here, since Python itself answers it with a traceback.
for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, lambda *_: os._exit(0))
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

import argparse
import pathlib
import random
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "examples")]

import counter
import screen
import stage
import story
import voxbus_client as voxbus

PATIENCE = 60  # seconds within which everything written must have come out


class Demo:
    def __init__(self, options):
        self._options = options
        self._screen = screen.Screen(colour=not options.no_color)
        self._stage = None
        self._ledger = story.Ledger()
        self._story = None
        self._random = random.Random(options.seed)
        self._hosts = {}
        self._deaths = []
        self._pids_changed = False  # what was said of whom to kill is no longer true
        self._last = None
        self.ended_well = False

    def run(self):
        self._begin()
        for scene in self._story.opening():
            self._play(scene)
            self._pause(0 if self._options.fast else 0.45)
        if not self._count("the story so far"):
            return
        if self._options.fast:
            self._rounds(self._options.rounds)
            return
        self._invite()
        while True:
            self._pause(self._random.uniform(1.5, 3.5))
            self._play(self._story.more)

    @staticmethod
    def _play(scene):
        """What is noted as written is written, whenever Ctrl-C comes."""
        with stage.undisturbed():
            scene()

    def _begin(self):
        with stage.undisturbed():  # else it could be ended before it knows what it has to clear away
            self._stage = stage.Stage(self._options.build, self._options.run_dir, self._options.port)
        self._story = story.Story(self._stage.world, self._ledger, self._options.seed)
        remark = self._stage.configure()
        if remark:
            self._screen.say(remark)
        self._stage.start()
        self._stage.make_token()
        wanted = len(stage.CHANNELS)
        self._wait(lambda: len(self._look_for_hosts()) == wanted, "the channels to start")
        self._screen.say(
            f"voxbusd {self._stage.process.pid} listens on {self._stage.url}; "
            f"{wanted} channels, each in a process of its own. Everything is in {self._stage.folder}",
            "",
            self._screen.paint("head", "  ".join(
                ["time    ", screen.fit("channel", screen.CHANNEL_WIDTH),
                 screen.fit("person", screen.PERSON_WIDTH), "words"])))
        threading.Thread(target=self._show, daemon=True).start()

    def _show(self):
        """Prints what comes over the bus; its own thread, its own connection."""
        try:
            for event in voxbus.stream(f"unix:{self._stage.socket}", start="beginning"):
                self._screen.event(event)
        except voxbus.Problem as problem:
            self._screen.say(f"the display stopped: {problem}")

    def _invite(self):
        command = f"{self._stage.program('voxbus')} --config {self._stage.config}"
        self._screen.say(
            "",
            self._screen.paint("head", "Look at it from another terminal:"),
            f"  {command} status",
            f"  {command} tail --channel support-mail",
            f"  {command} export --since {time.strftime('%Y-%m-%dT00:00:00Z', time.gmtime())} --format csv",
            f"  curl -N -H 'Authorization: Bearer {self._stage.token}' "
            f"'{self._stage.url}/v1/stream?from=beginning'",
            "",
            self._screen.paint("head", "Try to lose something:"),
            *self._victims(self._look_for_hosts()),
            "  After each kill an independent consumer counts. Customers keep writing. Ctrl-C ends it.",
            "")

    def _victims(self, hosts):
        """Lines that can be pasted whole."""
        return [f"  kill -9 {self._stage.process.pid:<8}  # voxbusd",
                *(f"  kill -9 {pid:<8}  # voxbus-host of {channel}" for channel, pid in sorted(hosts.items()))]

    def _say_who_runs_now(self):
        """After a death, once all are up again."""
        hosts = self._look_for_hosts()
        if self._pids_changed and len(hosts) == len(stage.CHANNELS):
            self._pids_changed = False
            self._screen.say(self._screen.paint("head", "Now there are:"), *self._victims(hosts))

    # ---- looking after the processes ------------------------------------------------------------

    def _look_for_hosts(self):
        """{channel: pid} of the hosts that run now; nothing while the daemon cannot be asked."""
        client = voxbus.Client(self._stage.url, self._stage.token, timeout=5)
        try:
            channels = client.json("GET", "/v1/status")["channels"]
        except (voxbus.Unreachable, voxbus.Problem):
            return {}
        finally:
            client.close()
        return {c["name"]: c["pid"] for c in channels if c.get("state") == "up" and c.get("pid")}

    def _attend(self):
        """Starts voxbusd again when it died, as systemd would, and notices hosts that did. Hosts
        are voxbusd's own affair. Returns whether anything happened."""
        how = self._stage.died()
        if how and how.startswith("exit ") and how != "exit 0":
            raise stage.Failure(f"voxbusd gave up ({how}):\n{self._stage.last_words()}")
        if how:
            dead = self._stage.process.pid
            self._hosts = {}
            self._play(self._story.more)  # customers do not wait for a restart
            self._stage.start()
            self._screen.say(self._screen.paint(
                "bad", f"voxbusd {dead} died ({how}); started again as {self._stage.process.pid}"))
            self._deaths.append("voxbusd")
            return True
        found = self._look_for_hosts()
        for channel, pid in found.items():
            before = self._hosts.get(channel)
            if before and before != pid:
                self._screen.say(self._screen.paint(
                    "bad", f"voxbus-host {before} of {channel} died; voxbusd started {pid}"))
                self._deaths.append(channel)
        self._hosts.update(found)
        return bool(self._deaths)

    def _pause(self, seconds):
        """Lets time pass; looks after what dies meanwhile, and counts after each death."""
        deadline = time.monotonic() + seconds
        while True:
            if not self._options.fast:
                if self._attend():
                    self._deaths.clear()
                    self._pids_changed = True
                    self._count()
                elif self._pids_changed:
                    self._say_who_runs_now()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, 0.25))

    def _wait(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._stage.died():
                raise stage.Failure(f"voxbusd died while waiting for {what}:\n"
                                    f"{self._stage.last_words()}")
            if time.monotonic() > deadline:
                raise stage.Failure(f"waited {PATIENCE} s for {what}:\n{self._stage.last_words()}")
            time.sleep(0.05)

    # ---- counting -------------------------------------------------------------------------------

    def _count(self, what=None):
        """Counts and prints; False when something was lost or doubled."""
        self._last = counter.settle(self._stage.url, self._stage.token, self._ledger, PATIENCE,
                                    wait=lambda pause: (self._attend(), time.sleep(pause)))
        good = self._last.clean
        line = f"{what}: {self._last}" if what else str(self._last)
        self._screen.say(self._screen.paint("good" if good else "bad", f"--- {line} ---"))
        if not good:
            self._screen.say(*(f"  lost: {key}" for key in self._last.lost[:20]),
                             *(f"  doubled: {key}" for key in self._last.doubled[:20]),
                             *(f"  never written: {key}" for key in self._last.strangers[:20]))
        self.ended_well = good
        return good

    def last_count(self):
        """Printed when a person ends the demo; before the first mail there is nothing to count."""
        self.ended_well = True
        if self._stage and self._stage.token:
            self.ended_well = False
            self._attend()
            self._play(self._story.exchange.complete)
            self._count("at the end")

    # ---- without a person -----------------------------------------------------------------------

    def _rounds(self, rounds):
        """Kills the daemon and the hosts in turn, at a random moment between things written."""
        for number in range(1, rounds + 1):
            writes = self._random.randrange(5, 25)
            moment = self._random.randrange(writes)
            for step in range(writes):
                self._play(self._story.more)
                if step == moment:
                    victim = self._kill(number)
            if number % 5 == 0:
                self._story.exchange.rotate()
            self._attend()
            if not self._count(f"round {number}, {victim} killed"):
                return

    def _kill(self, number):
        """In turn the daemon, then one of the hosts that run; returns what was killed."""
        hosts = self._look_for_hosts() if number % 2 == 0 else {}
        if hosts:
            channel = self._random.choice(sorted(hosts))
            try:
                os.kill(hosts[channel], signal.SIGKILL)
                return f"voxbus-host of {channel}"
            except ProcessLookupError:
                pass  # it had ended by itself: the daemon then
        self._stage.process.kill()
        self._stage.process.wait()
        return "voxbusd"

    def close(self):
        """Ends the daemon and clears away; keeps everything when something went wrong."""
        if self._stage is None:
            return
        # Whoever ends it this early may end voxbusd before it can answer.
        stopped = self._stage.stop() or self._stage.token is None
        if not stopped and self.ended_well:
            self._screen.say("voxbusd did not end as it was asked to")
        self.ended_well = self.ended_well and stopped
        if self.ended_well and not self._options.keep:
            self._stage.clear()
        else:
            self._screen.say(f"kept: {self._stage.folder}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default="build/release", help="where the programs were built")
    parser.add_argument("--run-dir", help="run in this directory instead of a new temporary one")
    parser.add_argument("--port", type=int, default=8420, help="the first port to try")
    parser.add_argument("--keep", action="store_true", help="keep the run directory at the end")
    parser.add_argument("--no-color", action="store_true")
    parser.add_argument("--fast", action="store_true",
                        help="without pauses and without a person: kill, count, end")
    parser.add_argument("--rounds", type=int, default=3, help="with --fast: how many kills")
    parser.add_argument("--seed", type=int, help="the same customers again")
    options = parser.parse_args()

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    demo = Demo(options)
    try:
        try:
            for number in stage.ENDINGS:
                signal.signal(number, interrupt)
            demo.run()
        except KeyboardInterrupt:
            print(flush=True)
            demo.last_count()
    except (stage.Failure, voxbus.Problem, voxbus.Unreachable) as error:
        demo.ended_well = False
        print(f"demo: {error}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        demo.ended_well = False  # a second one: not even counting was wanted
    finally:
        for number in stage.ENDINGS:
            signal.signal(number, signal.SIG_IGN)
        demo.close()
    return 0 if demo.ended_well else 1


if __name__ == "__main__":
    sys.exit(main())
