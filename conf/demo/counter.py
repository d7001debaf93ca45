# SPDX-License-Identifier: Apache-2.0
"""The independent consumer: reads the whole bus from the beginning and compares it with the ledger.

It trusts nothing that the story's display read, keeps nothing between two counts, and recognises
each interaction by the outside system's own name of it (Message-ID, uniqueid), not by Voxbus's.
What cannot be read must come out as quarantined, with exactly the bytes that went in.
"""
import collections
import dataclasses
import re
import time
import urllib.parse

import voxbus_client as voxbus

RECEIVED = "org.voxbus.interaction.received.v1"
QUARANTINED = "org.voxbus.interaction.quarantined.v1"
_TOKENS = re.compile(r"[0-9A-Za-z.@+_-]+")


@dataclasses.dataclass
class Count:
    went_in: int = 0
    came_out: int = 0
    lost: list = dataclasses.field(default_factory=list)
    doubled: list = dataclasses.field(default_factory=list)
    strangers: list = dataclasses.field(default_factory=list)

    @property
    def clean(self):
        return not (self.lost or self.doubled or self.strangers)

    def __str__(self):
        line = f"went in {self.went_in}, came out {self.came_out}, " \
               f"lost {len(self.lost)}, doubled {len(self.doubled)}"
        return line + (f", never written {len(self.strangers)}" if self.strangers else "")


def count(url, token, ledger):
    """Counts what is on the bus at this moment. Raises what voxbus_client raises."""
    keys, names, broken = ledger.written()
    seen, identities, raws = collections.Counter(), collections.Counter(), collections.Counter()
    result = Count(went_in=len(keys) + len(broken))
    client = voxbus.Client(url, token)
    for event in voxbus.events(url, token, filter={"type": f"{RECEIVED},{QUARANTINED}"}):
        identities[event["id"]] += 1
        if event["type"] == QUARANTINED:
            sequence = urllib.parse.quote(event["sequence"])
            raw, _ = client.call("GET", f"/v1/events/{sequence}/raw")
            raws[raw.rstrip(b"\r\n")] += 1
            continue
        key = key_of(event, names)
        if key is None:
            result.strangers.append(event["id"])
        else:
            seen[key] += 1
    client.close()
    for raw in broken:
        seen[raw] = raws.pop(raw.rstrip(b"\r\n"), 0)
    result.strangers += [str(raw) for raw in raws]
    result.came_out = sum(1 for times in seen.values() if times)
    result.lost = [str(keys.get(key, key)) for key in [*keys, *broken] if not seen[key]]
    result.doubled = [str(keys.get(key, key)) for key, times in seen.items() if times > 1]
    result.doubled += [identity for identity, times in identities.items() if times > 1]
    return result


def settle(url, token, ledger, patience, wait):
    """Counts until nothing is missing or `patience` seconds are over; returns the last count.

    `wait(seconds)` passes the time between two counts (and looks after what has died meanwhile).
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            result = count(url, token, ledger)
            if not result.lost or time.monotonic() > deadline:
                return result
        except voxbus.Unreachable:
            if time.monotonic() > deadline:
                raise
        wait(0.1)


def key_of(event, names):
    """The ledger's key that an event carries in its native ids, or None."""
    said = event.get("data") or {}
    texts = [said.get("native_id", "")]
    for name, value in ((said.get("native") or {}).get("ids") or {}).items():
        # Only what names this very item: a mail's ids also name the mails that it answers.
        if re.sub("[^a-z]", "", name.lower()) in ("messageid", "uniqueid"):
            texts.append(value)
    for text in texts:
        if text in names:
            return names[text]
        for token in _TOKENS.findall(text):
            for name in (token, f"<{token}>"):
                if name in names:
                    return names[name]
    return None
