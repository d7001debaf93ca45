# SPDX-License-Identifier: Apache-2.0
"""Departments read the bus: streams, pulls and named consumers over the real daemon."""

import collections
import json
import pathlib
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from voxbus_daemon import BUILD, Daemon, wait_for

CLIENT = pathlib.Path(__file__).resolve().parents[2] / "conf" / "examples"
sys.path.insert(0, str(CLIENT))


class Stream:
    """A raw SSE reader over the Unix socket, so that nothing is hidden by a library."""

    def __init__(self, daemon, path, headers=()):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(daemon.endpoint()["socket"])
        lines = [f"GET {path} HTTP/1.1", "Host: localhost", "Accept: text/event-stream", *headers, "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.chunked = False
        while (line := self.file.readline().strip()):
            self.chunked |= line.lower() == b"transfer-encoding: chunked"
        self.buffer = b""

    def _more(self):
        if self.chunked:
            size = int(self.file.readline().strip() or b"0", 16)
            self.buffer += self.file.read(size)
            self.file.readline()
        else:
            self.buffer += self.file.read1(65536)

    def blocks(self):
        while True:
            while b"\n\n" not in self.buffer:
                self._more()
            block, self.buffer = self.buffer.split(b"\n\n", 1)
            yield dict(line.split(b": ", 1) if b": " in line else (line, b"") for line in block.split(b"\n") if line)

    def events(self, count):
        out = []
        for block in self.blocks():
            if b"data" in block:
                out.append((block[b"id"].decode(), json.loads(block[b"data"])))
                if len(out) == count:
                    return out

    def close(self):
        self.socket.close()


class Consumers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon()
        cls.daemon.channel("load", "generator", {"count": 3000, "size": 200, "seed": 1}, begin="all")
        cls.daemon.start()
        cls.daemon.wait_for_events(3000)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.close()

    def test_a_stream_resumes_exactly_after_the_last_event(self):
        stream = Stream(self.daemon, "/v1/stream?from=beginning&type=interaction.*")
        first = stream.events(700)
        stream.close()
        again = Stream(self.daemon, "/v1/stream?type=interaction.*", [f"Last-Event-ID: {first[-1][0]}"])
        rest = again.events(2300)
        again.close()
        ids = [event["id"] for _, event in first + rest]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertEqual(ids, [event["id"] for event in self.daemon.interactions()])

    def test_a_rare_filter_gets_bookmarks(self):
        stream = Stream(self.daemon, "/v1/stream?from=beginning&text=%5Enothing%20like%20this$")
        for block in stream.blocks():
            self.assertNotIn(b"data", block)
            if block.get(b"id", b"") >= b"0001.000000000000003000":
                break  # told how far it was looked, so that a reconnect does not look again
        stream.close()

    def test_pull_pages_through_everything_once(self):
        events = self.daemon.events()
        sequences = [event["sequence"] for event in events]
        self.assertEqual(sequences, sorted(set(sequences)))
        status, body = self.daemon.get("/v1/events?from=beginning&limit=10",
                                       headers={"Accept": "application/x-ndjson"}, parse=False)
        self.assertEqual(len(body.decode().strip().split("\n")), 10)

    def test_every_event_fits_its_schema_attributes(self):
        for event in self.daemon.events()[:500]:
            self.assertEqual(event["specversion"], "1.0")
            self.assertRegex(event["id"], "^[0-9a-f]{32}$")
            self.assertRegex(event["source"], "^urn:voxbus:")
            for name in event:
                self.assertRegex(name, "^[a-z0-9]{1,20}$")

    def test_a_consumer_gets_every_event_and_acknowledges(self):
        self.daemon.put("/v1/consumers/all", {"from": "beginning", "filter": {"type": ["interaction.*"]},
                                              "max_in_flight": 500})
        seen = collections.Counter()
        while sum(seen.values()) < 3000:
            status, got = self.daemon.post("/v1/consumers/all/fetch", {"max": 400, "wait": "5s"})
            self.assertEqual(status, 200)
            self.assertTrue(got["events"], "a fetch that waits gives events while there are some")
            seen.update(event["id"] for event in got["events"])
            self.daemon.post("/v1/consumers/all/ack", {"sequences": [e["sequence"] for e in got["events"]]})
        self.assertEqual(max(seen.values()), 1)
        self.assertEqual(len(seen), 3000)
        self.assertEqual(self.daemon.get("/v1/consumers/all")[1]["in_flight"], 0)

    def test_members_of_a_group_share_and_keep_conversations_together(self):
        self.daemon.put("/v1/consumers/team", {"from": "beginning", "filter": {"type": ["interaction.*"]},
                                               "max_in_flight": 3000, "group": True})
        taken = {}
        counts = collections.Counter()
        while sum(counts.values()) < 3000:
            for member in ("ann", "bob"):
                _, got = self.daemon.post("/v1/consumers/team/fetch", {"max": 100, "wait": "0s", "member": member})
                for event in got["events"]:
                    key = event.get("partitionkey")
                    if key:
                        self.assertEqual(taken.setdefault(key, member), member)
                    counts[member] += 1
        self.assertGreater(min(counts["ann"], counts["bob"]), 0)

    def test_what_is_not_acknowledged_comes_again_and_is_parked_at_last(self):
        self.daemon.put("/v1/consumers/slow", {"from": "beginning", "filter": {"type": ["interaction.*"]},
                                               "max_in_flight": 3, "ack_within": "200ms", "max_deliver": 2})
        attempts = collections.Counter()

        def deliver():
            _, got = self.daemon.post("/v1/consumers/slow/fetch", {"max": 3, "wait": "1s"})
            attempts.update(delivery["sequence"] for delivery in got["deliveries"])
            return self.daemon.get("/v1/consumers/slow")[1]["parked"] >= 3
        wait_for(deliver, "three were parked")
        self.assertEqual(max(attempts.values()), 2)
        # From here on nothing runs out by itself.
        status, _ = self.daemon.put("/v1/consumers/slow?update=1", {"ack_within": "10m", "max_in_flight": 100})
        self.assertEqual(status, 200)
        parked = self.parked("slow")
        self.assertGreaterEqual(len(parked), 3)
        for one in parked:
            self.assertEqual((one["attempts"], attempts[one["sequence"]]), (2, 2))
            self.assertEqual(one["event"]["sequence"], one["sequence"])

        def acknowledge(fetched):
            sequences = [event["sequence"] for event in fetched["events"]]
            self.daemon.post("/v1/consumers/slow/ack", {"sequences": sequences})
            return sequences

        def take_until_seen(wanted):
            seen = []

            def take():
                seen.extend(acknowledge(self.daemon.post("/v1/consumers/slow/fetch", {"max": 100, "wait": "1s"})[1]))
                return wanted <= set(seen)
            wait_for(take, "what was taken up again is delivered")
            return seen
        first, *rest = [one["sequence"] for one in parked]
        floor = self.daemon.get("/v1/consumers/slow")[1]["floor"]
        self.assertEqual(self.redeliver("slow", {"sequences": [first]}), (200, {"redelivered": 1}))
        state = self.daemon.get("/v1/consumers/slow")[1]
        self.assertEqual(state["floor"], floor, "it does not go back, though an older event waits again")
        self.assertGreaterEqual(floor, first)
        seen = take_until_seen({first})
        self.assertEqual([one["sequence"] for one in self.parked("slow")], rest)
        self.assertEqual(self.redeliver("slow", {"sequences": [first]})[0], 400, "it is parked no longer")
        self.assertEqual(self.redeliver("slow", {"all": True}), (200, {"redelivered": len(rest)}))
        seen += take_until_seen(set(rest))
        self.assertEqual(self.parked("slow"), [])
        self.assertEqual([seen.count(one) for one in (first, *rest)], [1] * len(parked))

    def parked(self, name):
        status, answer = self.daemon.get(f"/v1/consumers/{name}/parked")
        self.assertEqual(status, 200)
        return answer["parked"]

    def redeliver(self, name, what):
        return self.daemon.post(f"/v1/consumers/{name}/parked/redeliver", what)

    def test_the_python_client_consumes_with_acknowledgement_in_five_lines(self):
        import voxbus_client
        url = "unix:" + self.daemon.endpoint()["socket"]

        def five_lines(count):
            seen = []
            for event in voxbus_client.consume("five-lines", url=url, start="beginning"):
                seen.append(event)
                if len(seen) == count:
                    break
            return seen

        def state():
            return self.daemon.get("/v1/consumers/five-lines")[1]
        first = five_lines(50)
        self.assertEqual(len({event["id"] for event in first}), 50)
        # The loop never came back to say that the fiftieth was handled; all before it are settled,
        # and nothing is left with a program that has ended.
        self.assertEqual(state()["floor"], first[48]["sequence"])
        self.assertEqual((state()["in_flight"], state()["waiting"]), (0, 51))
        second = five_lines(71)
        self.assertEqual(second[0]["sequence"], first[49]["sequence"], "it begins where the first ended")
        read = first[:49] + second
        self.assertEqual([event["id"] for event in read], [event["id"] for event in self.daemon.events()[:120]])
        self.assertEqual(state()["floor"], second[69]["sequence"])
        self.assertEqual(state()["in_flight"], 0)
        self.assertEqual(state()["parked"], 0)

    def test_what_a_consumer_is_asked_that_has_no_meaning_is_refused(self):
        self.daemon.put("/v1/consumers/plain", {"from": "beginning"})
        for path, body in (("plain", {"from": "rubbish"}), ("plain?updat=1", {}), ("plain?update=true", {}), ("fresh", {"from": "rubbish"})):
            self.assertEqual(self.daemon.put(f"/v1/consumers/{path}", body)[0], 400, (path, body))
        for path in ("", "/plain", "/plain/parked"):
            self.assertEqual(self.daemon.get(f"/v1/consumers{path}?limit=abc")[0], 400, path)
        self.assertEqual(self.daemon.put("/v1/consumers/plain", {"from": "now"})[0], 200, "it goes on where it was")

    def test_the_python_client_ends_without_a_word_when_its_reader_has_enough(self):
        url = "unix:" + self.daemon.endpoint()["socket"]
        client = subprocess.Popen([sys.executable, CLIENT / "voxbus_client.py", "closed-pipe", "--url", url, "--from", "beginning"],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            client.stdout.readline()
            client.stdout.close()
            self.assertEqual((client.wait(30), client.stderr.read()), (1, ""))
        finally:
            client.kill()
            client.wait()
            client.stderr.close()

    def test_the_python_client_takes_a_consumer_as_an_administrator_set_it(self):
        import voxbus_client
        self.daemon.put("/v1/consumers/set-up", {"from": "beginning", "filter": {"type": ["interaction.*"]},
                                                 "ack_within": "90s", "max_deliver": 77})
        before = self.daemon.get("/v1/consumers/set-up")[1]
        url = "unix:" + self.daemon.endpoint()["socket"]
        event = next(voxbus_client.consume("set-up", url=url))
        self.assertEqual(event["type"], "org.voxbus.interaction.received.v1")
        after = self.daemon.get("/v1/consumers/set-up")[1]
        for member in ("filter", "ack_within", "max_deliver", "max_in_flight", "group"):
            self.assertEqual(after[member], before[member], member)
        with self.assertRaisesRegex(voxbus_client.Problem, "409 .*another ack_within: .*update=1"):
            next(voxbus_client.consume("set-up", url=url, ack_within="5s"))
        next(voxbus_client.consume("fresh", url=url, start="beginning"))
        self.assertTrue(self.daemon.get("/v1/consumers/fresh")[1]["group"], "a conversation stays with one")

    def test_tcp_wants_a_token_a_known_host_and_origin(self):
        address = self.daemon.endpoint()["listen"]
        made = json.loads(self.daemon.voxbus("token", "add", "tests", "--json").stdout)
        token = made["token"]

        def ask(*headers, path="/v1/events?limit=1"):
            host, port = address.rsplit(":", 1)
            with socket.create_connection((host, int(port)), 10) as connection:
                lines = [f"GET {path} HTTP/1.1", *headers, "Connection: close", "", ""]
                connection.sendall("\r\n".join(lines).encode())
                return int(connection.makefile("rb").readline().split()[1])
        good = f"Authorization: Bearer {token}"
        self.assertEqual(ask(f"Host: {address}", good), 200)
        self.assertEqual(ask(f"Host: {address}"), 401)
        self.assertEqual(ask(f"Host: {address}", good[:-1]), 401)
        self.assertEqual(ask("Host: evil.example", good), 403)
        self.assertEqual(ask(f"Host: {address}", good, "Origin: https://evil.example"), 403)
        self.assertEqual(ask(f"Host: {address}", path="/healthz"), 200)
        self.assertEqual(ask(f"Host: {address}", path="/v1/schemas/event.v1"), 200)

    def test_errors_are_problem_documents(self):
        for path, status in (("/v1/nothing", 404), ("/v1/events?limit=x", 400), ("/v1/events?text=(", 400),
                             ("/v1/consumers/none", 404), ("/v1/events?from=yesterday", 400)):
            got, problem = self.daemon.get(path)
            self.assertEqual(got, status, path)
            self.assertEqual(problem["status"], status)
            self.assertTrue(problem["type"].startswith("urn:voxbus:problem:"))
            self.assertIn("application/problem+json", self.daemon.headers.get("Content-Type", ""))

    def test_a_request_that_never_ends_harms_nobody(self):
        path = self.daemon.endpoint()["socket"]
        open_ends = []
        for start in (b"GET /v1/status HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nX: " + b"a" * 8000,
                      b"PUT /v1/consumers/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{"):
            for _ in range(5):
                one = socket.socket(socket.AF_UNIX)
                one.connect(path)
                one.sendall(start)
                open_ends.append(one)
        self.assertEqual(self.daemon.get("/readyz", parse=False)[0], 200)
        huge = socket.socket(socket.AF_UNIX)
        huge.connect(path)
        huge.settimeout(20)
        try:
            huge.sendall(b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000)
            answer = huge.recv(100)
            self.assertTrue(answer == b"" or b" 431 " in answer or b" 400 " in answer, answer)
        except (BrokenPipeError, ConnectionResetError):
            pass
        # They are ended as well, 30 s after they began, whatever they have said of it.
        deadline = time.monotonic() + 90
        for one in open_ends:
            one.settimeout(max(deadline - time.monotonic(), 0.1))
            try:
                while one.recv(4096):
                    pass
            except ConnectionResetError:
                pass
            one.close()


class Restarts(unittest.TestCase):
    def test_a_consumers_position_survives_kill_9_and_never_goes_back(self):
        with Daemon() as daemon:
            daemon.channel("load", "generator", {"count": 500, "size": 100, "seed": 2}, begin="all")
            daemon.start()
            daemon.wait_for_events(500)
            daemon.put("/v1/consumers/keeper", {"from": "beginning", "filter": {"type": ["interaction.*"]}})
            seen, floor = collections.Counter(), ""
            for _ in range(5):
                _, got = daemon.post("/v1/consumers/keeper/fetch", {"max": 100, "wait": "5s"})
                seen.update(e["id"] for e in got["events"])
                _, state = daemon.post("/v1/consumers/keeper/ack", {"through": got["events"][-1]["sequence"]})
                self.assertGreater(state["floor"], floor)
                floor = state["floor"]
                daemon.kill()
                daemon.start()
                self.assertGreaterEqual(daemon.get("/v1/consumers/keeper")[1]["floor"], floor)
            self.assertEqual(max(seen.values()), 1)
            self.assertEqual(len(seen), 500)

    def test_that_the_positions_are_gone_is_said(self):
        with Daemon() as daemon:
            daemon.channel("load", "generator", {"count": 20, "size": 100, "seed": 2}, begin="all")
            daemon.start()
            daemon.wait_for_events(20)
            daemon.put("/v1/consumers/keeper", {"from": "beginning"})
            for hurt in (lambda file: None, lambda file: file.unlink(), lambda file: file.write_bytes(b"")):
                daemon.stop()
                hurt(daemon.state / "positions" / "positions.db")
                began = len(daemon.log())
                daemon.start()
                is_there = daemon.get("/v1/consumers/keeper")[0] == 200
                self.assertEqual("positions are missing" in daemon.log()[began:], not is_there)
                if not is_there:
                    daemon.put("/v1/consumers/keeper", {"from": "beginning"})
            self.assertFalse(is_there)


if __name__ == "__main__":
    unittest.main()
