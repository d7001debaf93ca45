# SPDX-License-Identifier: Apache-2.0
"""A POP3 server of RFC 1939 in clear, without STLS, that can be told to misbehave. Refuses whatever would change a maildrop
and keeps every byte that it got. One test's, on a free port; close() ends it."""
import contextlib
import socket
import socketserver
import threading


class _Session(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            self.talk()

    def say(self, line):
        self.wfile.write(line.encode() + b"\r\n")

    def talk(self):
        self.owner = self.server.owner
        if self.owner.silent:
            self.owner.closed.wait()
            return
        self.say("+OK ready")
        maildrop, user = None, ""
        while (line := self.rfile.readline(1000)):
            with self.owner.lock:
                self.owner.got += line
            verb, _, argument = line.decode(errors="replace").strip().partition(" ")
            verb = verb.upper()
            if verb == "QUIT":
                self.say("+OK")
                return
            if verb == "CAPA":
                self.say("+OK\r\nUSER\r\nUIDL\r\n.")
            elif verb == "USER":
                user = argument
                self.say("+OK")
            elif verb == "PASS" and user:
                refusal = self.owner.refusals.pop(0) if self.owner.refusals else None
                maildrop = None if refusal else list(self.owner.mails.items())
                self.say(f"-ERR {refusal}" if refusal else "+OK")
            elif maildrop is None:
                self.say("-ERR log in first")
            elif verb == "UIDL" and not argument:
                self.list(maildrop)
                if self.owner.leaves_after_list:
                    self.owner.leaves_after_list -= 1
                    self.owner.left()
                    return
            elif verb == "RETR" and argument.isdigit() and 0 < int(argument) <= len(maildrop):
                identity, data = maildrop[int(argument) - 1]
                self.owner.taken.append(identity)
                self.say("+OK")
                for part in data.replace(b"\r\n", b"\n").splitlines():
                    self.wfile.write((b"." if part.startswith(b".") else b"") + part + b"\r\n")
                self.say(".")
            elif verb == "NOOP":
                self.say("+OK")
            else:
                self.owner.wrong.append(line)
                self.say("-ERR not here")

    def list(self, maildrop):
        self.say("+OK")
        sent = 0
        while self.owner.endless_list:
            self.wfile.write(b"1 x\r\n" * 10000)
            sent += 50000
            self.owner.sent = max(self.owner.sent, sent)
        for number, (identity, _) in enumerate(maildrop, 1):
            self.say(f"{number} {identity}")
        self.say(".")


class Pop3Server:
    def __init__(self, mails=None):
        self.mails = dict(mails or {})   # unique id: bytes, in the maildrop's order
        self.refusals = []               # of the next logins, as "[IN-USE] another session"
        self.leaves_after_list = 0       # sessions that end behind UIDL
        self.left = lambda: None         # called then
        self.silent = False
        self.endless_list = False
        self.sent = 0                    # bytes of an endless list in one session
        self.got, self.taken, self.wrong = b"", [], []
        self.lock = threading.Lock()
        self.closed = threading.Event()
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session)
        self.server.daemon_threads = True
        self.server.owner = self
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.closed.set()
        self.server.shutdown()
        self.server.server_close()

