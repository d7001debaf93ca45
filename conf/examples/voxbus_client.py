#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads the Voxbus from Python: one file, nothing but the standard library.

Five lines, and nothing is lost when they stop in between:

    import voxbus_client as voxbus

    for event in voxbus.consume("support", url="http://127.0.0.1:8420", token="vxb_..."):
        handle(event)

`consume` is a named, durable consumer: an event counts as acknowledged when the loop comes back for
the next one. If the body raises, breaks off or the program dies, that event comes again, so
`handle` must bear to see one twice (event["id"] never changes). What was fetched and not yet yielded
is given back when the loop is left, so that the next run begins where this one ended. Several programs that consume under
one name share the work; a conversation stays with one of them at a time. What an administrator has
set for a consumer that exists stays as it is: only what a call names is asked for.

`stream` only watches and keeps no state in the daemon; `events` reads from one place to the end.
All three reconnect by themselves with a growing, random pause. A refusal (wrong token, unknown
filter, position below retention) raises Problem.

The address is http://HOST:PORT, or unix:/run/voxbus/voxbus.sock, where members of the service's
group need no token.
"""
import argparse
import http.client
import json
import os
import random
import socket
import sys
import time
import urllib.parse

DEFAULT_URL = "http://127.0.0.1:8420"
SILENCE = 60.0  # seconds; the daemon says something at least every 15


class Problem(Exception):
    """What the daemon refused: an RFC 9457 document. `status`, and its members in `document`."""

    def __init__(self, status, document):
        self.status = status
        self.document = document
        title = document.get("title") or http.client.responses.get(status, "refused")
        detail = document.get("detail")
        super().__init__(f"{status} {title}: {detail}" if detail else f"{status} {title}")


class Unreachable(Exception):
    """The daemon cannot be reached just now, or said that it is busy: trying again may help."""

    def __init__(self, reason, retry_after=None):
        self.retry_after = retry_after
        super().__init__(str(reason))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Client:
    """One keep-alive connection. Not for several threads at once."""

    def __init__(self, url=DEFAULT_URL, token=None, timeout=SILENCE):
        self._url = url
        self._token = token
        self._timeout = timeout
        self._connection = None

    def _connect(self):
        parts = urllib.parse.urlsplit(self._url)
        if parts.scheme == "unix":
            return _UnixConnection(parts.path, self._timeout)
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=self._timeout)
        if parts.scheme == "https":
            return http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=self._timeout)
        raise ValueError(f"cannot read the address {self._url!r}: http://, https:// or unix:/path")

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def open(self, method, path, query=None, body=None, headers=None):
        """Sends a request; returns the response, unread. Raises Problem or Unreachable."""
        pairs = [(key, value) for key, value in (query or {}).items() if value is not None]
        target = path + ("?" + urllib.parse.urlencode(pairs, doseq=True) if pairs else "")
        headers = dict(headers or {})
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        if body is not None:
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request(method, target, body=body, headers=headers)
            response = self._connection.getresponse()
            if response.status < 400:
                return response
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(error) from error
        try:
            document = json.loads(text)
        except ValueError:
            document = {}
        if response.status == 429 or response.status >= 500:
            after = response.getheader("Retry-After", "")
            raise Unreachable(Problem(response.status, document),
                              float(after) if after.isdigit() else None)
        raise Problem(response.status, document)

    def call(self, method, path, query=None, body=None, headers=None):
        """Sends a request and reads the whole answer: (bytes, headers)."""
        response = self.open(method, path, query, body, headers)
        try:
            return response.read(), response.headers
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(error) from error

    def json(self, method, path, query=None, body=None):
        text, _ = self.call(method, path, query, body)
        return json.loads(text) if text else None


class _Patience:
    """The pause between two attempts: doubled each time up to 30 s, and random, so that a thousand
    consumers do not return in the same instant."""

    def __init__(self, sleep):
        self._sleep = sleep
        self._failures = 0

    def reset(self):
        self._failures = 0

    def wait(self, error):
        pause = min(30.0, 0.25 * 2 ** min(self._failures, 10))
        self._failures += 1
        self._sleep(error.retry_after or pause * random.uniform(0.5, 1.0))

    def insist(self, action):
        """Repeats `action` until the daemon can be reached; returns what it returns."""
        while True:
            try:
                result = action()
                self.reset()
                return result
            except Unreachable as error:
                self.wait(error)


def consume(name, url=DEFAULT_URL, token=None, start="now", filter=None, member=None, batch=100,
            wait="20s", sleep=time.sleep, **settings):
    """Yields events for ever, each at least once; see the top of this file.

    start     where a new consumer begins: "now", "beginning" or a sequence; an existing one goes on
    filter    {"channel": ["support-mail"], "kind": ["mail"], "text": "refund"}: any of the values
              of one member, all of the members; without it an existing consumer keeps its own
    member    the name of this worker within the consumer
    batch     events fetched at once; must be handled within ack_within, else they are redelivered
    settings  further members of the consumer: ack_within="60s", max_deliver=10, max_in_flight=...,
              and group=False when order within a conversation does not matter

    A filter or setting that differs from the existing consumer's raises Problem (409): it is
    changed by PUT /v1/consumers/NAME?update=1, not by whoever comes along.
    """
    client = Client(url, token)
    patience = _Patience(sleep)
    path = "/v1/consumers/" + urllib.parse.quote(name, safe="")
    wanted = {**settings, **({"filter": filter} if filter else {})}
    request = {"max": batch, "wait": wait, "member": member or f"{socket.gethostname()}-{os.getpid()}"}
    handled, waiting = [], []

    def declare():
        body = wanted
        try:
            client.json("GET", path)
        except Problem as problem:
            if problem.status != 404:
                raise
            body = {"from": start, "group": True, **wanted}
        if body:
            client.json("PUT", path, body=body)

    def acknowledge():
        if handled:
            client.json("POST", path + "/ack", body={"sequences": handled})
            handled.clear()

    def next_batch():
        acknowledge()
        waiting.extend(client.json("POST", path + "/fetch", body=request)["events"])

    def give_back(current):
        """At the end. The event at hand counts as delivered, so that one which always fails is
        parked at last; those behind it were never looked at."""
        acknowledge()
        if current:
            client.json("POST", path + "/ack", body={"nack": [current]})
        if waiting:
            client.json("POST", path + "/ack", body={"release": [e["sequence"] for e in waiting]})

    current = None
    try:
        patience.insist(declare)
        while True:
            acknowledged_at = time.monotonic()
            patience.insist(next_batch)
            while waiting:
                event = waiting.pop(0)
                current = event["sequence"]
                yield event
                handled.append(current)
                current = None
                if time.monotonic() - acknowledged_at > 1.0:
                    patience.insist(acknowledge)
                    acknowledged_at = time.monotonic()
    finally:
        # The loop was left. What cannot be given back now comes again after ack_within.
        try:
            give_back(current)
        except (Unreachable, Problem):
            pass
        client.close()


def stream(url=DEFAULT_URL, token=None, start="now", filter=None, sleep=time.sleep):
    """Yields events as they are committed, for ever, in order; goes on where it stood after a
    broken connection. Keeps no state in the daemon: a program that starts again passes its last
    event["sequence"] as `start`."""
    client = Client(url, token)
    patience = _Patience(sleep)
    last = None

    def connect():
        headers = {"Accept": "text/event-stream"}
        if last:
            headers["Last-Event-ID"] = last
        query = dict(filter or {}) if last else {"from": start, **(filter or {})}
        return client.open("GET", "/v1/stream", query, headers=headers)

    try:
        while True:
            response = patience.insist(connect)
            try:
                for identity, text in _blocks(response):
                    last = identity or last
                    if text:
                        yield json.loads(text)
                raise Unreachable("the stream ended")
            except (OSError, http.client.HTTPException, Unreachable) as error:
                client.close()
                patience.wait(error if isinstance(error, Unreachable) else Unreachable(error))
    finally:
        client.close()


def _blocks(lines):
    """Server-sent events: (id or None, data or ""). A block without data is a bookmark: the
    position moved past events that the filter left out. A block cut off in the middle is nothing."""
    identity, data = None, []
    for line in iter(lines.readline, b""):
        line = line.rstrip(b"\r\n").decode("utf-8")
        if not line:
            if identity or data:
                yield identity, "\n".join(data)
            identity, data = None, []
        elif line.startswith("id:"):
            identity = line[3:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))


def events(url=DEFAULT_URL, token=None, start="beginning", filter=None, limit=1000,
           sleep=time.sleep):
    """Yields what is held after `start`, in order, up to the end as it is met; then returns."""
    client = Client(url, token)
    patience = _Patience(sleep)
    position = start
    try:
        while True:
            query = {"from": position, "limit": limit, **(filter or {})}
            text, headers = patience.insist(lambda: client.call("GET", "/v1/events", query))
            yield from json.loads(text)
            if headers["Voxbus-Next"] == position or headers["Voxbus-Next"] >= headers["Voxbus-End"]:
                return
            position = headers["Voxbus-Next"]
    finally:
        client.close()


def main():
    parser = argparse.ArgumentParser(description="Prints what people say on the Voxbus.")
    parser.add_argument("name", nargs="?",
                        help="consume under this name, with acknowledgement; without it only watch")
    parser.add_argument("--url", default=DEFAULT_URL, help="http://HOST:PORT or unix:/path")
    parser.add_argument("--token-file", help="the token; $VOXBUS_TOKEN otherwise")
    parser.add_argument("--from", dest="start", default="now", help="now, beginning or a sequence")
    parser.add_argument("--channel", action="append", help="only this channel (may be repeated)")
    parser.add_argument("--text", help="only what matches this pattern")
    options = parser.parse_args()
    token = os.environ.get("VOXBUS_TOKEN")
    if options.token_file:
        with open(options.token_file, encoding="ascii") as file:
            token = file.read().strip()
    chosen = {"channel": options.channel, "text": options.text}
    chosen = {key: value for key, value in chosen.items() if value}
    arguments = {"url": options.url, "token": token, "start": options.start, "filter": chosen}
    source = consume(options.name, **arguments) if options.name else stream(**arguments)
    try:
        for event in source:
            said = event.get("data") or {}
            who = said.get("author") or {}
            print(event.get("time") or event["recordedtime"], said.get("channel", "-"),
                  who.get("name") or who.get("handle") or "-",
                  said.get("title") or said.get("text") or event["type"], sep="\t", flush=True)
    except Problem as problem:
        sys.exit(f"voxbus_client: {problem}")
    except KeyboardInterrupt:
        pass
    except BrokenPipeError:  # whoever read our output is gone, as head does when it has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
