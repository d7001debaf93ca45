#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an earlier version stored beside its journal is still read: consumers' positions and tokens.

The fixture was made once, by `formats_test.py --make`, over the journal of tests/fixtures/journal-v1. Make it anew only
for another version, beside the old one.
"""
import http.client
import json
import pathlib
import shutil
import sys
import unittest

from voxbus_daemon import Daemon

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
JOURNAL, STATE = FIXTURES / "journal-v1", FIXTURES / "positions-v1"
SHOWN = ("floor", "in_flight", "parked", "filter", "group", "max_in_flight", "ack_within", "max_deliver")


def over_the_journal(daemon):
    daemon.state.mkdir(exist_ok=True)
    shutil.copytree(JOURNAL, daemon.state / "journal")
    (daemon.state / "journal" / "events.ndjson").unlink()


def shown(daemon, name):
    return {key: value for key, value in daemon.get(f"/v1/consumers/{name}")[1].items() if key in SHOWN}


def make():
    shutil.rmtree(STATE, ignore_errors=True)
    with Daemon() as daemon:
        over_the_journal(daemon)
        daemon.start()
        token = daemon.voxbus("token", "add", "front-desk").stdout.strip()
        daemon.put("/v1/consumers/night-shift", {"from": "beginning", "max_deliver": 1, "ack_within": "1h",
                                                  "max_in_flight": 7, "group": True})
        daemon.put("/v1/consumers/mails", {"from": "beginning", "filter": {"channel": ["mail"]}})
        events = daemon.post("/v1/consumers/night-shift/fetch", {"max": 5, "member": "ann"})[1]["events"]
        sequences = [event["sequence"] for event in events]
        daemon.post("/v1/consumers/night-shift/ack", {"sequences": [sequences[0], sequences[2]]})
        daemon.post("/v1/consumers/night-shift/ack", {"nack": [sequences[1]]})
        daemon.post("/v1/consumers/night-shift/fetch", {"max": 1, "member": "ann"})
        taken = daemon.post("/v1/consumers/mails/fetch", {"max": 1})[1]["events"]
        daemon.post("/v1/consumers/mails/ack", {"sequences": [taken[0]["sequence"]]})
        assert daemon.stop() == 0
        daemon.start()  # what is lent out is lent out no longer
        expected = {name: shown(daemon, name) for name in ("night-shift", "mails")}
        assert daemon.stop() == 0
        STATE.mkdir()
        shutil.copytree(daemon.state / "positions", STATE / "positions")
        shutil.copy(daemon.state / "tokens.json", STATE)
        (STATE / "expected.json").write_text(json.dumps({"token": token, "consumers": expected}, indent=1) + "\n")
    print(json.dumps(expected, indent=1))


class Formats(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        over_the_journal(self.daemon)
        shutil.copytree(STATE / "positions", self.daemon.state / "positions")
        shutil.copy(STATE / "tokens.json", self.daemon.state)
        self.expected = json.loads((STATE / "expected.json").read_text())
        self.daemon.start()

    def test_consumers_stand_where_they_stood(self):
        for name, consumer in self.expected["consumers"].items():
            self.assertEqual(shown(self.daemon, name), consumer)

    def test_a_token_still_opens(self):
        host, port = self.daemon.endpoint()["listen"].rsplit(":", 1)
        for token, status in ((self.expected["token"], 200), ("0" * 64, 401)):
            connection = http.client.HTTPConnection(host, int(port), timeout=30)
            connection.request("GET", "/v1/status", headers={"Authorization": f"Bearer {token}"})
            self.assertEqual(connection.getresponse().status, status)
            connection.close()


if __name__ == "__main__":
    make() if sys.argv[1:] == ["--make"] else unittest.main()
