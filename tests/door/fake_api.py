# SPDX-License-Identifier: Apache-2.0
"""The HTTP API as its clients see it, in memory, with faults on demand. It exists to test the
clients (conf/examples, conf/demo): what they send, and what they do when things break. Whether the
daemon keeps the contract is shown by the flow tests with the daemon."""
import http.server
import json
import re
import socketserver
import threading
import urllib.parse


def sequence(position):
    return f"0001.{position:018d}"


class Bus:
    """Events, consumers and the faults to come. Guarded by one condition."""

    def __init__(self, token="vxb_" + "a" * 40):
        self.token = token
        self.events = []
        self.raws = {}
        self.consumers = {}
        self.channels = []
        self.requests = []     # (method, path, query, body) as received
        self.refuse = 0        # so many requests are answered 503
        self.cut_after = None  # a stream breaks in the middle of the event after so many
        self.changed = threading.Condition()

    def publish(self, kind="received", raw=None, **data):
        with self.changed:
            position = len(self.events) + 1
            event = {"specversion": "1.0", "id": f"{position:032x}",
                     "source": "urn:voxbus:test/channels/x",
                     "type": f"org.voxbus.interaction.{kind}.v1", "sequence": sequence(position),
                     "recordedtime": "2025-03-01T12:00:00.000000Z", "data": data}
            self.events.append(event)
            if raw is not None:
                self.raws[event["sequence"]] = raw
            self.changed.notify_all()
            return event

    def after(self, start, limit=10**6):
        with self.changed:
            if start == "now":
                return []
            if start == "beginning":
                start = ""
            return [e for e in self.events if e["sequence"] > start][:limit]

    def end(self):
        with self.changed:
            return sequence(len(self.events))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bus = None
    needs_token = True

    def log_message(self, *arguments):
        pass

    def address_string(self):
        return "client"

    def _problem(self, status, slug, **members):
        self._answer(status, {"type": f"urn:voxbus:problem:{slug}", "title": slug,
                              "status": status, **members}, "application/problem+json")

    def _answer(self, status, document, kind="application/json", headers=()):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _handle(self):
        bus = self.bus
        parts = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(parts.query)
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        if len(text) < length:  # the client went away
            self.close_connection = True
            return None
        body = json.loads(text) if text else None
        with bus.changed:
            bus.requests.append((self.command, parts.path, query, body))
            if bus.refuse:
                bus.refuse -= 1
                return self._problem(503, "unavailable")
        if self.needs_token and self.headers.get("Authorization") != f"Bearer {bus.token}":
            return self._problem(401, "unauthorised", detail="no token or an unknown one")
        names = parts.path.strip("/").split("/")[1:]
        if names == ["stream"]:
            return self._stream(query)
        if names == ["events"]:
            found = bus.after(query["from"][0], int(query.get("limit", ["100"])[0]))
            wanted = ",".join(query.get("type", [])).split(",") if "type" in query else None
            following = found[-1]["sequence"] if found else bus.end()
            return self._answer(200, [e for e in found if not wanted or e["type"] in wanted],
                                "application/cloudevents-batch+json",
                                [("Voxbus-Next", following), ("Voxbus-End", bus.end())])
        if names[0] == "events" and names[-1] == "raw":
            return self._answer(200, bus.raws[names[1]], "application/octet-stream")
        if names == ["status"]:
            return self._answer(200, {"channels": bus.channels})
        if names[0] == "consumers":
            return self._consumer(urllib.parse.unquote(names[1]), names[2] if len(names) > 2 else None,
                                  query, body)
        return self._problem(404, "not-found")

    do_GET = do_PUT = do_POST = _handle

    def _consumer(self, name, verb, query, body):
        bus = self.bus
        with bus.changed:
            state = bus.consumers.get(name)
            if self.command == "PUT":
                return self._put_consumer(name, state, query, body or {})
            if state is None:
                return self._problem(404, "not-found")
            if verb is None:
                return self._answer(200, {"name": name, **state["spec"]})
            if verb == "ack":
                state["acked"].update(body.get("sequences", []))
                given_back = body.get("nack", []) + body.get("release", [])
                state["flying"].difference_update(body.get("sequences", []), given_back)
                bus.changed.notify_all()
                return self._answer(200, {"floor": "", "in_flight": len(state["flying"])})
            due = [e for e in bus.events
                   if e["sequence"] not in state["acked"] | state["flying"]][: body["max"]]
            if not due:
                bus.changed.wait(0.05)
            state["flying"].update(e["sequence"] for e in due)
            return self._answer(200, {"events": due, "deliveries": [], "floor": ""})

    def _put_consumer(self, name, state, query, body):
        """What a request leaves out stays as it is; what differs needs ?update=1."""
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
            return self._problem(400, "bad-request", parameter="name", detail="a bad name")
        wanted = {key: value for key, value in body.items() if key != "from"}
        created = state is None
        if created:
            spec = {"filter": {}, "max_in_flight": 1000, "ack_within": "30s", "max_deliver": 5,
                    "group": False}
            state = self.bus.consumers[name] = {"acked": set(), "flying": set(), "spec": spec}
        differs = [key for key in wanted if wanted[key] != state["spec"].get(key)]
        if differs and not created and query.get("update") != ["1"]:
            return self._problem(409, "conflict", detail="it has another " + ", ".join(differs))
        state["spec"].update(wanted)
        return self._answer(201 if created else 200, {"name": name, **state["spec"]})

    def _stream(self, query):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        position = self.headers.get("Last-Event-ID") or query.get("from", ["now"])[0]
        bus, sent = self.bus, 0

        def chunk(text):
            data = text.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

        chunk(": \n\n")
        while True:
            for event in bus.after(position):
                text = f"id: {event['sequence']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n"
                if bus.cut_after == sent:
                    bus.cut_after = None
                    chunk(text[: len(text) // 2])
                    self.close_connection = True
                    return
                chunk(text)
                position, sent = event["sequence"], sent + 1
            chunk(f"id: {position}\n\n" if position[0].isdigit() else ": \n\n")
            with bus.changed:
                bus.changed.wait(0.5)  # then it is seen whether the client is still there


class TcpServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)


def serve(bus, address=("127.0.0.1", 0)):
    """Starts a server on (host, port), port 0 for any free one, or on a Unix socket's path."""
    unix = isinstance(address, str)
    handler = type("BoundHandler", (Handler,), {"bus": bus, "needs_token": not unix})
    server = (UnixServer if unix else TcpServer)(address, handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    return server
