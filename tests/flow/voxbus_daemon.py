# SPDX-License-Identifier: Apache-2.0
"""Runs the real voxbusd on a folder of its own, with real plugins, for the flow and crash tests.

A Daemon owns its folder, its process and its configuration files; it is used by one thread. Waiting
is always for a condition, with a limit; nothing here sleeps a fixed time and hopes.
"""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(os.environ.get("VOXBUS_BUILD", "build/dev")).resolve()


def is_built_with(sanitizer):
    """`asan` or `tsan`."""
    return f"__{sanitizer}_init".encode() in (BUILD / "bin/voxbus-host").read_bytes()


def memory_scale():
    """What a limit of memory is multiplied by: a sanitizer keeps several bytes for each, that of addresses 256 MiB of
    what was given back."""
    return 12 if is_built_with("asan") or is_built_with("tsan") else 1


def wait_for(condition, what, limit=30.0):
    """Calls `condition` until it gives something true, and returns that; AssertionError at the limit."""
    deadline = time.monotonic() + limit
    pause = 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit:g} s: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    def __init__(self, folder=None, listen="127.0.0.1:0"):
        self.own = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="voxbus-flow-"))
        self.conf = self.folder / "conf"
        self.state = self.folder / "state"
        (self.conf / "channels.d").mkdir(parents=True, exist_ok=True)
        self.log_path = self.folder / "log"
        self.process = None
        self.main(listen=listen)

    # --- configuration ---
    def main(self, listen="127.0.0.1:0", **more):
        """Writes voxbus.yaml; JSON values are YAML values."""
        keys = {"listen": listen, "state": str(self.state), "region": "US", "log_level": "debug",
                "plugins": [str(BUILD / "plugins"), str(BUILD / "test-plugins")], **more}
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in keys.items())
        (self.conf / "voxbus.yaml").write_text(text)

    def channel(self, name, plugin, settings=None, **keys):
        lines = {"channel": name, "plugin": plugin, "poll_every": "50ms", **keys, "settings": settings or {}}
        text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items())
        (self.conf / "channels.d" / f"{name}.yaml").write_text(text)

    # --- process ---
    def start(self, wait=True, env=None, under=()):
        """`under` is a command that becomes the daemon, as env(1) does."""
        (self.state / "endpoint.json").unlink(missing_ok=True)
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen([*under, BUILD / "bin" / "voxbusd", "--config", self.conf], stdin=subprocess.DEVNULL,
                                        stdout=self.log_file, stderr=self.log_file,
                                        env={**os.environ, "VOXBUS_TRUST_PLUGINS": "1", **(env or {})})
        if wait:
            wait_for(lambda: self.endpoint() or self.process.poll() is not None, "the daemon listens")
            assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}:\n{self.log()}"
            wait_for(lambda: self.get("/readyz", parse=False)[0] == 200, "the daemon is ready")
        return self

    def endpoint(self):
        try:
            return json.loads((self.state / "endpoint.json").read_text())
        except (OSError, ValueError):
            return None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log_file.close()

    def stop(self, limit=20):
        """SIGTERM, and the exit code."""
        self.check_events()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(limit)
        self.log_file.close()
        return code

    def close(self):
        try:
            if self.process and self.process.poll() is None:
                try:
                    self.check_events()
                finally:
                    self.kill()
        finally:
            if self.own:
                shutil.rmtree(self.folder, ignore_errors=True)

    def check_events(self):
        """Whatever a flow was about: all that was recorded fits the schemas that the daemon serves."""
        if self.process.poll() is not None or not self.endpoint() or not self.is_ready():
            return
        with subprocess.Popen([BUILD / "bin" / "voxbus", "--config", self.conf, "export", "--since", "2000-01-01",
                               "--format", "ndjson"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as export:
            checked = subprocess.run([BUILD / "bin" / "event_check"], stdin=export.stdout, capture_output=True,
                                     text=True, timeout=120)
        assert checked.returncode == 0, checked.stdout[-4000:]

    def is_ready(self):
        try:
            return self.get("/readyz", parse=False)[0] == 200
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if error[0] is not None:
            sys.stderr.write(self.log()[-6000:])
        self.close()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    # --- HTTP over the Unix socket, where root needs no token ---
    def connection(self, timeout=60):
        return UnixConnection(self.endpoint()["socket"], timeout)

    def request(self, method, path, body=None, headers=None, parse=True):
        connection = self.connection()
        try:
            data = json.dumps(body) if body is not None else None
            all_headers = {**({"Content-Type": "application/json"} if data else {}), **(headers or {})}
            connection.request(method, path, data, all_headers)
            answer = connection.getresponse()
            text = answer.read()
            self.headers = dict(answer.getheaders())
            return answer.status, (json.loads(text) if parse and text else text)
        finally:
            connection.close()

    def get(self, path, **options):
        try:
            return self.request("GET", path, **options)
        except OSError:
            return 0, None

    def post(self, path, body=None):
        return self.request("POST", path, body if body is not None else {})

    def put(self, path, body=None):
        return self.request("PUT", path, body if body is not None else {})

    # --- what the bus holds ---
    def events(self, query="", at=""):
        """Every event from the beginning, in order."""
        out, at = [], at or "beginning"
        while True:
            status, page = self.get(f"/v1/events?from={at}&limit=5000{'&' + query if query else ''}")
            assert status == 200, (status, page)
            out += page
            if self.headers["Voxbus-Next"] == at or self.headers["Voxbus-Next"] == self.headers["Voxbus-End"]:
                return out
            at = self.headers["Voxbus-Next"]

    def interactions(self, query=""):
        return [event for event in self.events(query) if ".interaction." in event["type"]]

    def wait_for_events(self, count, query="type=interaction.*", limit=60):
        return wait_for(lambda: (lambda all_: len(all_) >= count and all_)(self.events(query)), f"{count} events", limit)

    def status(self):
        return self.get("/v1/status")[1]

    def channel_status(self, name):
        return next((c for c in self.status()["channels"] if c["name"] == name), None)

    def wait_for_state(self, name, state, limit=30):
        return wait_for(lambda: (lambda c: c and c["state"] == state and c)(self.channel_status(name)),
                        f"channel {name} is {state}", limit)

    # --- the command ---
    def voxbus(self, *arguments, check=True, **options):
        done = subprocess.run([BUILD / "bin" / "voxbus", "--config", self.conf, *map(str, arguments)],
                              capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options)
        if check:
            assert done.returncode == 0, (arguments, done.returncode, done.stdout, done.stderr)
        return done


def mail(message_id, subject, text, sender="Nora <nora@example.org>", extra=""):
    """One plain mail as bytes, with LF line ends."""
    return (f"From: {sender}\nTo: support@example.org\nSubject: {subject}\nMessage-ID: <{message_id}>\n"
            f"Date: Sun, 22 Nov 2026 10:00:00 +0000\n{extra}MIME-Version: 1.0\n"
            f"Content-Type: text/plain; charset=utf-8\n\n{text}\n").encode()


class Maildir:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.count = 0
        for folder in ("", ".Archive"):
            for part in ("tmp", "new", "cur"):
                (self.path / folder / part).mkdir(parents=True, exist_ok=True)

    def deliver(self, message, folder=""):
        self.count += 1
        name = f"{time.time_ns()}.{self.count}.example.org"
        (self.path / folder / "tmp" / name).write_bytes(message)
        os.rename(self.path / folder / "tmp" / name, self.path / folder / "new" / name)
        return self.path / folder / "new" / name


def cdr(number, source="+12025550101", seconds=60, disposition="ANSWERED", start="2026-11-22 10:00:00"):
    """A line of Master.csv with uniqueid, as Asterisk writes it."""
    talked = seconds if disposition == "ANSWERED" else 0
    answered = start if talked else ""
    return (f'"","{source}","100","inbound","""Nora"" <{source}>","SIP/a-{number}","SIP/b-{number}","Dial","SIP/100",'
            f'"{start}","{answered}","{start}",{seconds},{talked},"{disposition}","DOCUMENTATION","{number}.1",""\n')
