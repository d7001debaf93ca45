# SPDX-License-Identifier: Apache-2.0
"""Canaries in every secret that the daemon knows, on the paths on which all goes well and on those on
which something does not, at the most talkative log level: none is ever seen anywhere. What a plugin
writes into its own messages is out of our hands: it was given its secrets to use them."""

import http.client
import json
import os
import pathlib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from voxbus_daemon import BUILD, Daemon, wait_for


class Secrets(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)
        self.secrets = self.daemon.folder / "secrets"
        self.secrets.mkdir()
        self.canaries = []
        self.seen = []  # (where, text): whatever came out

    def canary(self, name, before="", after=""):
        """A file with a secret that is looked for everywhere."""
        canary = f"canary-{name}-5f3a9d"
        self.canaries.append(canary)
        file = self.secrets / name
        file.write_bytes((before + canary + after).encode("latin-1"))
        file.chmod(0o600)
        return {"file": str(file)}

    def note(self, where, text):
        self.seen.append((where, text if isinstance(text, bytes) else text.encode()))

    def note_processes(self):
        """Arguments and environment of the daemon and of all its children."""
        pid = self.daemon.process.pid
        children = [child for task in pathlib.Path(f"/proc/{pid}/task").iterdir()
                    for child in (task / "children").read_text().split()]
        for process in (pid, *children):
            for name in ("cmdline", "environ"):
                try:
                    self.note(f"{process}'s {name}", pathlib.Path(f"/proc/{process}/{name}").read_bytes())
                except (FileNotFoundError, ProcessLookupError):
                    pass  # it ended meanwhile
        return len(children)

    def note_answers(self):
        for path in ("/v1/status", "/v1/plugins", "/v1/channels/none", "/v1/events?from=beginning", "/v1/consumers"):
            self.note(path, self.daemon.get(path, parse=False)[1])

    def note_command(self, *arguments):
        done = self.daemon.voxbus(*arguments, check=False)
        self.note("voxbus " + " ".join(arguments), done.stdout + done.stderr)
        return done

    def nothing_was_seen(self):
        self.note("the log", self.daemon.log())
        for path in self.daemon.state.rglob("*"):
            if path.is_file():
                self.note(path, path.read_bytes())
        self.assertGreater(len(self.canaries), 0)
        for where, text in self.seen:
            for canary in self.canaries:
                self.assertNotIn(canary.encode(), text, where)

    def test_of_plugins_are_seen_nowhere_whether_the_channel_is_well_or_not(self):
        self.daemon.main(log_level="trace")
        good = {"count": 1, "wait_at_end": True}
        self.daemon.channel("well", "generator", {**good, "token": self.canary("well")})
        self.daemon.channel("inlined", "generator", {**good, "token": self.canary("inlined")}, isolation="inline")
        # A wrong setting beside it, on the same line of the file.
        self.daemon.channel("misspelt", "generator", {"token": self.canary("misspelt"), "cuont": 1})
        self.daemon.channel("of-a-wrong-kind", "generator", {"token": self.canary("of-a-wrong-kind"), "count": "many"})
        # A secret that is too large, and ones that no JSON can hold as they are.
        self.daemon.channel("endless", "generator", {**good, "token": self.canary("endless", after="x" * 2_000_000)})
        self.daemon.channel("binary", "generator", {**good, "token": self.canary("binary", "\xff\x00\x01", "\xc3\x28")})
        self.daemon.channel("quoted", "generator", {**good, "token": self.canary("quoted", '"\\', '",}')})
        # Written where it must not be: it stands in the file, and is shown from there to nobody.
        self.canaries.append("canary-written-inline-5f3a9d")
        self.daemon.channel("written-inline", "generator", {"token": self.canaries[-1]})
        # A process that dies, and one that is killed, with its secret in its memory.
        self.daemon.channel("killed", "generator", {**good, "token": self.canary("killed")})
        self.daemon.start()
        for name in ("well", "inlined", "killed"):
            self.daemon.wait_for_state(name, "up")
        for name in ("misspelt", "of-a-wrong-kind", "written-inline"):
            self.daemon.wait_for_state(name, "down")
        self.daemon.wait_for_state("endless", "degraded")
        os.kill(self.daemon.channel_status("killed")["pid"], 11)
        wait_for(lambda: self.daemon.channel_status("killed")["restarts"], "its end was noticed")
        self.daemon.wait_for_state("killed", "up")
        self.assertGreaterEqual(self.note_processes(), 2)
        self.note_answers()
        for command in (("check", "--trust"), ("check", "--json", "--trust"), ("status",), ("plugins",), ("describe", "generator")):
            self.note_command(*command)
        # A reload that is refused says why.
        self.daemon.channel("well", "generator", {"token": self.canary("well"), "coutn": 1})
        said = len(self.daemon.log())
        self.daemon.process.send_signal(1)
        wait_for(lambda: "reload: nothing was changed" in self.daemon.log()[said:], "the reload is refused")
        self.assertEqual(self.daemon.stop(), 0)
        self.nothing_was_seen()

    def test_token_of_a_department_is_seen_nowhere_whatever_it_asks_for(self):
        self.daemon.main(log_level="trace", max_connections=1000)
        self.daemon.start()
        token = self.daemon.voxbus("token", "add", "desk").stdout.strip()
        self.assertTrue(token.startswith("vxb_"))
        self.canaries.append(token)
        address, port = self.daemon.endpoint()["listen"].rsplit(":", 1)

        def ask(method, path, headers, body=None):
            connection = http.client.HTTPConnection(address, int(port), timeout=30)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            self.note(f"{method} {path}", str(answer.headers).encode() + answer.read())
            connection.close()
            return answer.status

        bearer = {"Authorization": f"Bearer {token}"}
        self.assertEqual(ask("GET", "/v1/status", bearer), 200)
        for status, method, path, headers, body in (
                (404, "GET", "/v1/nothing", bearer, None),
                (400, "GET", "/v1/events?from=nonsense", bearer, None),
                (405, "DELETE", "/v1/status", bearer, None),
                (400, "PUT", "/v1/consumers/desk", {**bearer, "Content-Type": "application/json"}, "{no json"),
                (401, "GET", "/v1/status", {"Authorization": f"Bearer {token}x"}, None),
                (401, "GET", "/v1/status", {"Authorization": f"Basic {token}"}, None),
                (401, "GET", f"/v1/status?access_token={token}", {}, None),
                (401, "GET", "/v1/status", {"X-Token": token}, None),
                (403, "GET", "/v1/status", {**bearer, "Host": "elsewhere.example.org"}, None),
                (403, "GET", "/v1/status", {**bearer, "Origin": "https://elsewhere.example.org"}, None)):
            self.assertEqual(ask(method, path, headers, body), status, (method, path))
        # What is no request at all, with the token in it.
        for raw in (f"GET /v1/status HTTP/1.1\r\nAuthorization: Bearer {token}\r\nBroken line\r\n\r\n",
                    f"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nX: {'y' * 100_000}\r\n\r\n",
                    f"{token}\r\n\r\n"):
            with socket.create_connection((address, int(port)), 30) as peer:
                try:
                    peer.sendall(raw.encode())
                    while part := peer.recv(65536):
                        self.note("a broken request", part)
                except ConnectionError:
                    pass
        self.note_command("token", "list")
        self.note_command("token", "add", "desk")  # there is one
        self.note_answers()
        self.note_processes()
        self.assertEqual(self.daemon.stop(), 0)
        self.nothing_was_seen()

    def test_master_key_is_seen_nowhere_whether_it_fits_or_not(self):
        key = self.canary("master", after="-of-many-words")
        file = pathlib.Path(key["file"])
        file.chmod(0o600)
        right = file.read_bytes()
        self.daemon.main(log_level="trace", master_key=key)
        self.daemon.channel("well", "generator", {"count": 3, "wait_at_end": True})
        self.daemon.start()
        self.daemon.wait_for_events(3)
        self.note_processes()
        self.note_answers()
        for command in (("check", "--trust"), ("status",)):
            self.note_command(*command)
        self.assertEqual(self.daemon.stop(), 0)
        self.note_command("journal", "verify")
        self.canaries.append("canary-another-5f3a9d")
        for wrong in (b"canary-another-5f3a9d", b"", right + b"x" * 2_000_000):
            file.write_bytes(wrong)
            self.daemon.start(wait=False)
            self.assertNotEqual(self.daemon.process.wait(30), 0, wrong[:40])
            self.daemon.log_file.close()
            for command in (("check", "--trust"), ("journal", "verify")):
                self.note_command(*command)
        self.daemon.main(log_level="trace", master_key="canary-written-inline-5f3a9d")
        self.canaries.append("canary-written-inline-5f3a9d")
        self.daemon.start(wait=False)
        self.assertEqual(self.daemon.process.wait(30), 78)
        self.daemon.log_file.close()
        self.note_command("check", "--trust")
        file.write_bytes(right)
        self.daemon.main(log_level="trace", master_key=key)
        self.daemon.start()
        self.assertEqual(len(self.daemon.interactions()), 3)
        self.assertEqual(self.daemon.stop(), 0)
        self.nothing_was_seen()


class Memory(unittest.TestCase):
    # Root may do everything, without its capabilities what any user may; a process that has more of
    # them than we is closed to us for that alone.
    ORDINARY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []

    def may_open(self, pid, name):
        """Whether another process of the same user may."""
        done = subprocess.run([*self.ORDINARY, sys.executable, "-c", f"open('/proc/{pid}/{name}', 'rb')"],
                              capture_output=True, text=True)
        self.assertTrue(done.returncode == 0 or "PermissionError" in done.stderr, done.stderr)
        return done.returncode == 0

    def test_of_the_daemon_and_its_hosts_is_closed_to_other_processes_of_their_user(self):
        daemon = Daemon()
        self.addCleanup(daemon.close)
        daemon.channel("well", "generator", {"count": 1, "wait_at_end": True})
        daemon.start(under=self.ORDINARY)
        host = daemon.wait_for_state("well", "up")["pid"]
        other = subprocess.Popen([*self.ORDINARY, "sleep", "600"])
        self.addCleanup(other.wait)
        self.addCleanup(other.kill)
        wait_for(lambda: pathlib.Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n", "it sleeps")
        for name in ("environ", "maps", "mem"):
            # Where the kernel keeps `mem` to a process's parent alone, that says nothing.
            if name != "mem":
                self.assertTrue(self.may_open(other.pid, name), "it can tell what is open")
            for pid in (daemon.process.pid, host):
                self.assertFalse(self.may_open(pid, name), f"/proc/{pid}/{name}")
        self.assertEqual(daemon.stop(), 0)


if __name__ == "__main__":
    unittest.main()
