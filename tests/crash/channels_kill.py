#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same kills as kill_loop.py over the real channels, while their outside systems go on: a Maildir
in which mails arrive, are moved, flagged and deleted; an mbox that grows under a lock and is
compacted; a Master.csv with lines written in halves, rotated by renaming and by copying. Everything
that was written must come out once, with its bytes.

    channels_kill.py --rounds 10 [--seed N] [--build build/dev]
"""

import collections
import fcntl
import http.client
import os
import pathlib
import random
import shutil
import socket
import sys
import threading
import time

import killing


class Outside(threading.Thread):
    """An outside system: writes until it is told to stop. `written` maps a key to the bytes that must
    come out; `seen` holds the keys that did, and only those may be deleted here."""

    def __init__(self, seed, pause):
        super().__init__(daemon=True)
        self.dice, self.pause = random.Random(seed), pause
        self.enough = threading.Event()
        self.written, self.seen = {}, set()
        self.did = collections.Counter()
        self.failure = None

    def run(self):
        try:
            while not self.enough.wait(self.dice.uniform(0, self.pause)):
                self.step(len(self.written))
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def wait_a_little(self):
        time.sleep(self.dice.uniform(0, 0.05))  # between two halves: where the kill falls is what is tried


def mail(key, words):
    return (f"From: Nora <nora@example.org>\nTo: support@example.org\nSubject: {key}\nMessage-ID: <{key}@example.org>\n"
            f"Date: Sun, 22 Nov 2026 10:00:00 +0000\n\n{words}\n").encode()


class MailServer(Outside):
    """Delivers into a Maildir, where a person reads: mails go from new to cur, get flags, are deleted."""

    def __init__(self, seed, path):
        super().__init__(seed, 0.03)
        self.path, self.files = path, {}
        for part in ("tmp", "new", "cur"):
            (path / part).mkdir(parents=True)

    def step(self, number):
        key = f"maildir-{number}"
        name = f"{int(time.time())}.M{time.time_ns() // 1000 % 1_000_000:06}P{os.getpid()}Q{number}.{socket.gethostname()}"
        data = mail(key, f"words of {number}\nFrom here on it is quoted nowhere")
        (self.path / "tmp" / name).write_bytes(data)
        self.written[key] = data
        os.rename(self.path / "tmp" / name, self.path / "new" / name)
        self.files[key] = self.path / "new" / name
        if self.dice.random() < 0.3:
            self.read_one()

    def read_one(self):
        key = self.dice.choice(list(self.files))
        file = self.files[key]
        if key in self.seen and self.dice.random() < 0.3:
            file.unlink()
            del self.files[key]
            self.did["deleted"] += 1
            return
        flags = "".join(flag for flag in "FRS" if self.dice.random() < 0.5)
        target = self.path / "cur" / f"{file.name.split(':')[0]}:2,{flags}"
        file.rename(target)
        self.files[key] = target
        self.did["moved"] += 1


class MboxServer(Outside):
    """Appends to one file under its lock, in two halves; now and then takes out what was read."""

    def __init__(self, seed, path):
        super().__init__(seed, 0.06)
        self.path, self.mails = path, {}
        path.touch()

    def step(self, number):
        key = f"mbox-{number}"
        data = mail(key, f"words\n\nFrom me Sun Nov 22 10:00:00 2026\n>From number {number}")
        head, _, body = data.partition(b"\n\n")
        quoted = b"".join(b">" + line if line.lstrip(b">").startswith(b"From ") else line
                          for line in body.splitlines(keepends=True))
        entry = b"From nora@example.org Sun Nov 22 10:00:00 2026\n" + head + b"\n\n" + quoted + b"\n"
        with self.locked() as file:
            file.seek(0, os.SEEK_END)
            cut = self.dice.randrange(len(entry))
            file.write(entry[:cut])
            if self.dice.random() < 0.3:
                self.wait_a_little()
            file.write(entry[cut:])
        self.mails[key] = entry
        self.written[key] = data
        if self.dice.random() < 0.05:
            self.compact()

    def locked(self):
        file = open(self.path, "r+b", buffering=0)
        fcntl.lockf(file, fcntl.LOCK_EX)  # ends when it is closed
        return file

    def compact(self):
        gone = [key for key in self.mails if key in self.seen and self.dice.random() < 0.5]
        for key in gone:
            del self.mails[key]
        left = b"".join(self.mails.values())
        with self.locked() as file:
            if self.dice.random() < 0.5:
                new = self.path.with_suffix(".new")
                new.write_bytes(left)
                os.rename(new, self.path)
                self.did["replaced"] += 1
            else:
                file.write(left)
                file.truncate()
                self.did["rewritten"] += 1


class Exchange(Outside):
    """Appends lines, some in two halves, and is rotated: renamed, or copied and truncated."""

    def __init__(self, seed, path):
        super().__init__(seed, 0.02)
        self.path = path
        path.touch()

    def step(self, number):
        from voxbus_daemon import cdr
        line = cdr(number).encode()
        self.written[f"call-{number}"] = line.rstrip(b"\n")
        how = self.dice.random()
        if how < 0.05 and self.seen:
            self.shift()
            if self.dice.random() < 0.5:
                # The writer has the file open meanwhile: the line's second half goes to the renamed one.
                with open(self.path, "ab", buffering=0) as file:
                    file.write(line[:30])
                    os.rename(self.path, f"{self.path}.1")
                    self.wait_a_little()
                    file.write(line[30:])
                self.path.touch()
                self.did["renamed"] += 1
                return
            shutil.copyfile(self.path, f"{self.path}.1")
            os.truncate(self.path, 0)
            self.did["copied"] += 1
        with open(self.path, "ab", buffering=0) as file:
            if how > 0.8:
                cut = self.dice.randrange(len(line))
                file.write(line[:cut])
                self.wait_a_little()
                file.write(line[cut:])
                self.did["halved"] += 1
            else:
                file.write(line)

    def shift(self):
        older = sorted((int(file.suffix[1:]) for file in self.path.parent.glob(f"{self.path.name}.*")), reverse=True)
        for number in older:
            os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")


def key_of(event):
    data = event["data"]
    if data["channel"] == "calls":
        return "call-" + data["native_id"].split(".")[0]
    return data.get("title", data["native_id"])


class Loop:
    def __init__(self, daemon, dice):
        self.daemon, self.dice = daemon, dice
        seeds = [dice.randrange(1 << 30) for _ in range(3)]
        self.outside = {"mails": MailServer(seeds[0], daemon.folder / "Maildir"),
                        "box": MboxServer(seeds[1], daemon.folder / "box" / "mbox"),
                        "calls": Exchange(seeds[2], daemon.folder / "cdr" / "Master.csv")}
        daemon.channel("mails", "email", {"maildir": str(self.outside["mails"].path)}, begin="all")
        daemon.channel("box", "email", {"mbox": str(self.outside["box"].path)}, begin="all")
        daemon.channel("calls", "phone", {"file": str(self.outside["calls"].path)}, begin="all")
        self.at = "beginning"
        self.events = []
        self.kills = killing.Kills(daemon, dice)

    def look(self):
        """Reads on, and tells the outside systems what came out; whether something did."""
        try:
            status, page = self.daemon.get(f"/v1/events?from={self.at}&limit=5000&type=interaction.*")
            if status != 200:
                return False
            self.at = self.daemon.headers["Voxbus-Next"]
        except (OSError, ValueError, http.client.HTTPException, TypeError, KeyError):
            return False
        self.events += page
        for event in page:
            self.outside[event["data"]["channel"]].seen.add(key_of(event))
        return bool(page)

    def round(self, number):
        from voxbus_daemon import wait_for
        before = len(self.events)
        end = time.monotonic() + self.dice.uniform(0.1, 1.0)
        while time.monotonic() < end:
            self.look()
            time.sleep(0.01)  # how long this goes on is chance; here it is only not to take all of the machine
        wait_for(lambda: self.look() and False or len(self.events) > before, "something new since the last round")
        self.kills.kill(number)

    def run(self, rounds):
        from voxbus_daemon import wait_for
        self.daemon.start()
        for name, system in self.outside.items():
            self.daemon.wait_for_state(name, "up")
            system.start()
        # What is rotated away before there is a cursor is not looked for: the README says so.
        wait_for(lambda: self.look() and False or all(system.seen for system in self.outside.values()), "each has begun")
        for number in range(rounds):
            self.round(number)
            for system in self.outside.values():
                assert system.is_alive(), f"the test's own writer failed: {system.failure!r}"
        for system in self.outside.values():
            system.enough.set()
            system.join()
            assert system.failure is None, repr(system.failure)

    def missing(self):
        self.look()
        return {key for system in self.outside.values() for key in set(system.written) - system.seen}

    def wrong_bytes(self, events):
        wrong = []
        for event in events:
            status, raw = self.daemon.get(f"/v1/events/{event['sequence']}/raw", parse=False)
            expected = self.outside[event["data"]["channel"]].written.get(key_of(event))
            if status != 200 or raw.rstrip(b"\r\n") != (expected or b"").rstrip(b"\r\n"):
                wrong.append((key_of(event), status, raw[:200]))
        return wrong


def main():
    options = killing.options(__doc__, rounds=10)
    from voxbus_daemon import wait_for

    daemon = killing.new_daemon(options.seed)
    for folder in ("box", "cdr"):
        (daemon.folder / folder).mkdir()
    begun = time.monotonic()
    loop = Loop(daemon, random.Random(options.seed))
    try:
        loop.run(options.rounds)
        try:
            wait_for(lambda: not loop.missing(), "all is there", limit=60)
        except AssertionError:
            pass  # counted below
        stored = daemon.interactions()
        times = collections.Counter(key_of(event) for event in stored)
        written = {key for system in loop.outside.values() for key in system.written}
        lost, strangers = written - set(times), set(times) - written
        doubled = {key for key, count in times.items() if count > 1}
        wrong = loop.wrong_bytes(stored)
        quarantined = [event["data"]["reason"] for event in stored if "quarantined" in event["type"]]
        stopped = daemon.stop()
    finally:
        daemon.close()
    verified = daemon.voxbus("journal", "verify", daemon.state / "journal", check=False)
    did = sum((system.did for system in loop.outside.values()), collections.Counter())
    print(f"{options.rounds} rounds in {time.monotonic() - begun:.0f} s, seed {options.seed}: {loop.kills}")
    print("meanwhile: " + ", ".join(f"{len(system.written)} in {name}" for name, system in loop.outside.items())
          + "; " + ", ".join(f"{count} x {what}" for what, count in sorted(did.items())))
    print(f"in {len(written)}, out {len(times)}, lost {len(lost)}, doubled {len(doubled)}, never written {len(strangers)}, "
          f"other bytes {len(wrong)}; journal verify {'clean' if verified.returncode == 0 else verified.stdout}")
    for what, found in (("lost", lost), ("doubled", doubled), ("never written", strangers), ("other bytes", wrong),
                        ("quarantined", quarantined)):
        for one in sorted(found)[:10]:
            print(f"  {what}: {one}")
    tried = {"moved", "halved", "renamed", "copied"} <= set(did)
    good = not (lost or doubled or strangers or wrong or quarantined) and stopped == 0 and verified.returncode == 0 and tried
    return killing.end(daemon, good, options.keep)


if __name__ == "__main__":
    sys.exit(main())
