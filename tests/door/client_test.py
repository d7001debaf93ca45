#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""conf/examples/voxbus_client.py: what it sends, and what it does when things break."""
import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "conf" / "examples"))

import fake_api
import voxbus_client as voxbus


class Client(unittest.TestCase):
    def setUp(self):
        self.bus = fake_api.Bus()
        self.server = fake_api.serve(self.bus)
        self.addCleanup(self.stop)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.at = {"url": self.url, "token": self.bus.token}
        self.pauses = []

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def sleep(self, seconds):
        self.pauses.append(seconds)

    def bodies(self, ending):
        return [body for _, path, _, body in self.bus.requests if path.endswith(ending)]


class Consume(Client):
    def test_yields_every_event_and_acknowledges_what_was_handled(self):
        texts = [self.bus.publish(text=f"word {n}")["data"]["text"] for n in range(5)]
        source = voxbus.consume("support", start="beginning", batch=2, **self.at)
        self.assertEqual(texts, [event["data"]["text"] for event in itertools.islice(source, 5)])
        source.close()
        # The fifth was taken, but the loop never came back to say that it was handled.
        self.assertEqual({fake_api.sequence(n) for n in (1, 2, 3, 4)},
                         self.bus.consumers["support"]["acked"])

    def test_does_not_acknowledge_the_event_whose_handler_raised(self):
        for n in range(3):
            self.bus.publish(text=str(n))
        with self.assertRaisesRegex(RuntimeError, "handler"):
            for event in voxbus.consume("support", start="beginning", **self.at):
                if event["data"]["text"] == "1":
                    raise RuntimeError("the handler failed")
        self.assertEqual({fake_api.sequence(1)}, self.bus.consumers["support"]["acked"])

    def test_gives_back_at_the_end_what_it_had_fetched(self):
        for n in range(6):
            self.bus.publish(text=str(n))
        source = voxbus.consume("support", start="beginning", **self.at)
        for _ in range(3):
            next(source)
        source.close()
        at = fake_api.sequence
        self.assertEqual([{"sequences": [at(1), at(2)]}, {"nack": [at(3)]},
                          {"release": [at(4), at(5), at(6)]}], self.bodies("/ack"))
        again = voxbus.consume("support", **self.at)
        self.assertEqual(list("2345"), [next(again)["data"]["text"] for _ in range(4)])

    def test_declares_the_consumer_with_its_start_filter_and_settings(self):
        self.bus.publish(text="x")
        next(voxbus.consume("night-shift", start="beginning", filter={"kind": ["mail"]},
                            ack_within="60s", member="desk-1", batch=7, **self.at))
        self.assertEqual(("GET", "/v1/consumers/night-shift"), self.bus.requests[0][:2])
        method, path, _, body = self.bus.requests[1]
        self.assertEqual(("PUT", "/v1/consumers/night-shift"), (method, path))
        self.assertEqual({"from": "beginning", "filter": {"kind": ["mail"]}, "ack_within": "60s",
                          "group": True}, body)
        self.assertEqual({"max": 7, "wait": "20s", "member": "desk-1"}, self.bodies("/fetch")[0])

    def test_takes_a_consumer_that_exists_as_it_is(self):
        for text in ("x", "y"):
            self.bus.publish(text=text)
        client = voxbus.Client(**self.at)
        client.json("PUT", "/v1/consumers/support",
                    body={"filter": {"kind": ["mail"]}, "max_deliver": 50})
        before = dict(self.bus.consumers["support"]["spec"])
        next(voxbus.consume("support", batch=1, **self.at))
        self.assertEqual(1, [method for method, *_ in self.bus.requests].count("PUT"))
        next(voxbus.consume("support", max_deliver=50, **self.at))
        self.assertEqual({"max_deliver": 50},
                         [body for method, _, _, body in self.bus.requests if method == "PUT"][-1])
        self.assertEqual(before, self.bus.consumers["support"]["spec"])

    def test_says_that_a_name_is_none(self):
        for name in ("night shift", "Desk", "-a", "a/b"):
            with self.assertRaises(voxbus.Problem) as caught:
                next(voxbus.consume(name, **self.at))
            self.assertEqual((400, "name"), (caught.exception.status,
                                             caught.exception.document["parameter"]), name)

    def test_comes_back_after_refusals_with_growing_pauses(self):
        self.bus.publish(text="after the storm")
        self.bus.refuse = 6
        source = voxbus.consume("support", start="beginning", sleep=self.sleep, **self.at)
        self.assertEqual("after the storm", next(source)["data"]["text"])
        self.assertEqual(6, len(self.pauses))
        for n, pause in enumerate(self.pauses):
            self.assertTrue(0.125 * 2 ** n <= pause <= 0.25 * 2 ** n, self.pauses)

    def test_keeps_what_it_handled_over_a_broken_connection_and_acknowledges_it_then(self):
        self.bus.publish(text="one")
        source = voxbus.consume("support", start="beginning", sleep=self.sleep, **self.at)
        next(source)
        self.bus.refuse = 2
        self.bus.publish(text="two")
        self.assertEqual("two", next(source)["data"]["text"])
        self.assertIn(fake_api.sequence(1), self.bus.consumers["support"]["acked"])

    def test_knocks_until_the_daemon_is_back_on_its_port(self):
        self.bus.publish(text="one")
        port = self.server.server_address[1]
        self.stop()

        def begin_again(seconds):
            self.pauses.append(seconds)
            if len(self.pauses) == 3:
                self.server = fake_api.serve(self.bus, ("127.0.0.1", port))

        source = voxbus.consume("support", start="beginning", sleep=begin_again, **self.at)
        self.assertEqual("one", next(source)["data"]["text"])
        self.assertEqual(3, len(self.pauses))

    def test_raises_what_trying_again_cannot_mend(self):
        with self.assertRaises(voxbus.Problem) as caught:
            next(voxbus.consume("support", url=self.url, token="vxb_wrong", sleep=self.sleep))
        self.assertEqual(401, caught.exception.status)
        self.assertEqual("urn:voxbus:problem:unauthorised", caught.exception.document["type"])
        self.bus.publish()
        next(voxbus.consume("support", start="beginning", filter={"kind": ["mail"]}, **self.at))
        with self.assertRaisesRegex(voxbus.Problem, "409 conflict: it has another filter"):
            next(voxbus.consume("support", filter={"kind": ["call"]}, **self.at))
        self.assertEqual([], self.pauses)


class Watch(Client):
    def test_streams_in_order_and_goes_on_behind_a_cut_in_the_middle_of_an_event(self):
        for n in range(6):
            self.bus.publish(text=str(n))
        self.bus.cut_after = 3
        source = voxbus.stream(start="beginning", filter={"channel": ["x"]}, sleep=self.sleep, **self.at)
        self.assertEqual(list("012345"), [e["data"]["text"] for e in itertools.islice(source, 6)])
        streams = [query for _, path, query, _ in self.bus.requests if path == "/v1/stream"]
        self.assertEqual([{"from": ["beginning"], "channel": ["x"]}, {"channel": ["x"]}], streams)
        self.assertEqual(1, len(self.pauses))

    def test_reads_server_sent_events_bookmarks_and_comments(self):
        import io
        text = b": hello\n\nid: 1\nevent: a\ndata: {\"a\":\ndata: 1}\n\nid: 9\n\ndata: cut off"
        self.assertEqual([("1", '{"a":\n1}'), ("9", "")], list(voxbus._blocks(io.BytesIO(text))))

    def test_pages_through_all_events_and_stops_at_the_end(self):
        for n in range(25):
            self.bus.publish(text=str(n))
        found = [e["data"]["text"] for e in voxbus.events(limit=10, **self.at)]
        self.assertEqual([str(n) for n in range(25)], found)
        self.assertEqual(3, len(self.bus.requests))

    def test_needs_no_token_on_the_unix_socket(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "voxbus.sock")
            server = fake_api.serve(self.bus, path)
            self.bus.publish(text="by the side door")
            found = list(voxbus.events(f"unix:{path}"))
            self.assertEqual("by the side door", found[0]["data"]["text"])
            server.shutdown()
            server.server_close()


class Program(Client):
    def test_prints_what_people_say_and_ends_with_a_clear_word_when_refused(self):
        program = [sys.executable, "-B", str(ROOT / "conf/examples/voxbus_client.py"),
                   "--url", self.url, "--from", "beginning"]
        self.bus.publish(channel="support-mail", author={"name": "Nora"}, title="Lamp")
        with subprocess.Popen([*program, "desk"], stdout=subprocess.PIPE, text=True,
                              env={**os.environ, "VOXBUS_TOKEN": self.bus.token}) as child:
            line = child.stdout.readline()
            child.terminate()
        self.assertEqual("2025-03-01T12:00:00.000000Z\tsupport-mail\tNora\tLamp\n", line)
        refused = subprocess.run(program, capture_output=True, text=True, timeout=30, check=False,
                                 env={**os.environ, "VOXBUS_TOKEN": "vxb_wrong"})
        self.assertEqual(1, refused.returncode)
        self.assertIn("voxbus_client: 401 unauthorised", refused.stderr)


if __name__ == "__main__":
    unittest.main()
