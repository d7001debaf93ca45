# SPDX-License-Identifier: Apache-2.0
"""An IMAP server (RFC 3501, 2177, 5465 in small) that is strict with its client and as bad as a test
wants it. It takes only what a reader that touches nothing may send; everything else is answered BAD
and remembered in `violations`. One thread for each connection; close() ends them all.

How it is bad, all at any time:
  on[VERB] = f(session, tag, words)   f answers instead; "greeting", "UID FETCH", "UID SEARCH", ...
  sizes, withheld, refused, hangs     by UID: what RFC822.SIZE says (None: nothing), mails that are
                                      left out, answered NO, or over which the connection ends
  capabilities, idles, says_next      what it can, whether IDLE is true, whether UIDNEXT is said
  refused_mailboxes, silent_mailboxes not opened; not to be looked at by STATUS
  events                              what NOTIFY may ask for: "", "messages", or "names" as well
  stale_mailboxes                     by name, the last login to which it is refused
  byte_by_byte, answers_before_bye    how it sends, and how many commands a connection lives
  swaps                               of two FETCH commands that are there it answers the second first
"""
import base64
import re
import select
import socket
import ssl
import threading

ATOM = r'[^\x00-\x20(){%*"\\\]\x7f-\xff]+'
NAME = rf'(?:{ATOM}|"(?:[^"\\\x00\r\n]|\\["\\])*")'
# What is allowed, in which state: before the login, after it, with a mailbox open.
COMMANDS = [
    ("CAPABILITY", r"", "any"), ("NOOP", r"", "any"), ("LOGOUT", r"", "any"),
    ("STARTTLS", r"", "before"), ("AUTHENTICATE", r" (PLAIN|LOGIN|SCRAM-SHA-256)", "before"),
    ("LOGIN", rf" ({NAME}) ({NAME})", "before"),
    ("NOTIFY", r" SET \(selected \(MessageNew \(UID\) MessageExpunge\)\) \(personal \(MessageNew MessageExpunge( MailboxName)?\)\)",
     "after"),
    ("LIST", r' "" "\*"', "after"), ("STATUS", rf" ({NAME}) \(UIDVALIDITY UIDNEXT\)", "after"),
    ("EXAMINE", rf" ({NAME})", "after"), ("IDLE", r"", "after"),
    ("UID SEARCH", r" UID (?:([1-9]\d{0,9}):([1-9]\d{0,9})|\*)", "open"),
    ("UID FETCH", r" ([1-9]\d{0,9})(?::([1-9]\d{0,9}))? \(UID (RFC822\.SIZE|BODY\.PEEK\[\]<(\d{1,10})\.([1-9]\d{0,9})>)\)", "open"),
]


class Mailbox:
    def __init__(self, mails=(), validity=1000, attributes=""):
        self.validity, self.next, self.mails, self.attributes = validity, 1, {}, attributes
        for mail in mails:
            self.add(mail)

    def add(self, mail):
        self.mails[self.next] = mail.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self.next += 1
        return self.next - 1


class Gone(Exception):
    """The connection has ended, by the client or by us."""


class ImapServer:
    def __init__(self, mailboxes=None, tls="none", certificate=None, user="nora", password="secret"):
        self.mailboxes = mailboxes or {"INBOX": Mailbox()}
        self.tls, self.certificate, self.user, self.password = tls, certificate, user, password
        self.on, self.sizes = {}, {}
        self.withheld, self.refused, self.hangs, self.refused_mailboxes, self.silent_mailboxes = set(), set(), set(), set(), set()
        self.stale_mailboxes = {}
        self.events, self.made = "", []
        self.capabilities = "IMAP4rev1 AUTH=PLAIN IDLE"
        self.idles = self.says_next = True
        self.byte_by_byte, self.answers_before_bye, self.swaps = False, None, False
        self.violations, self.commands = [], []
        self.clear = bytearray()  # all that came before TLS
        self.flooded = 0          # bytes that flood() could send, of all connections
        self.logins = self.connections = 0
        self.changed = threading.Condition()
        self.stopping = False
        self.sessions = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.accept)
        self.thread.start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            session = Session(self, connection)
            self.connections += 1
            with self.changed:
                if self.stopping:
                    connection.close()
                    return
                self.sessions.add(session)
            session.thread.start()

    def deliver(self, mail, mailbox="INBOX"):
        with self.changed:
            uid = self.mailboxes[mailbox].add(mail)
            self.changed.notify_all()
        return uid

    def make(self, name, mailbox):
        """A new mailbox, of which those hear who asked by NOTIFY."""
        with self.changed:
            self.mailboxes = {**self.mailboxes, name: mailbox}
            self.made.append(name)
            self.changed.notify_all()

    def close(self):
        with self.changed:
            self.stopping = True
            sessions = list(self.sessions)
            self.changed.notify_all()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for session in sessions:
            session.cut()
        self.thread.join()
        for session in sessions:
            session.thread.join()


class Session:
    def __init__(self, server, connection):
        self.server, self.socket, self.raw = server, connection, connection
        self.buffer, self.encrypted, self.logged_in, self.mailbox = b"", False, False, None
        self.tags, self.answers = set(), 0
        self.notified, self.heard = set(), 0
        self.thread = threading.Thread(target=self.run)

    def cut(self):
        try:
            self.raw.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def run(self):
        try:
            self.socket.settimeout(60)
            if self.server.tls == "implicit":
                self.secure()
            if not self.does("greeting", "", ""):
                self.send("* OK ready\r\n")
            while True:
                self.command(self.line())
        except (Gone, OSError, ValueError):
            pass
        finally:
            self.socket.close()
            with self.server.changed:
                self.server.sessions.discard(self)

    # --- bytes ---
    def secure(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.certificate / "server.pem", self.server.certificate / "server.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.encrypted = True

    def receive(self):
        data = self.socket.recv(65536)
        if not data:
            raise Gone
        if not self.encrypted:
            self.server.clear += data
        self.buffer += data

    def line(self):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > 65536:
                self.blame("a line without an end")
                raise Gone
            self.receive()
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        if len(line) > 8192:
            self.blame(f"a line of {len(line)} bytes")  # RFC 7162
        if re.search(rb"[\x00-\x1f\x7f-\xff]", line):
            self.blame(f"bytes that no command may have: {line[:80]!r}")
        return line.decode("latin-1")

    def send(self, data):
        data = data.encode() if isinstance(data, str) else data
        if not self.server.byte_by_byte:
            self.socket.sendall(data)
            return
        for byte in data:
            self.socket.sendall(bytes([byte]))

    def flood(self, piece, most=1 << 30):
        """Sends it until the client has enough, at most so many bytes."""
        sent = 0
        try:
            while sent < most and not self.server.stopping:
                self.socket.sendall(piece)
                sent += len(piece)
                self.server.flooded += len(piece)
        except OSError:
            pass
        raise Gone

    # --- commands ---
    def blame(self, words):
        self.server.violations.append(words)

    def does(self, verb, tag, words):
        return verb in self.server.on and self.server.on[verb](self, tag, words) is not False

    def ok(self, tag, words="done"):
        self.send(f"{tag} OK {words}\r\n")

    def command(self, line):
        server = self.server
        tag, _, rest = line.partition(" ")
        if not re.fullmatch(r"[A-Za-z0-9.]+", tag) or tag in self.tags:
            self.blame(f"a tag that may not be: {tag[:80]!r}")
        self.tags.add(tag)
        server.commands.append(rest)
        if server.answers_before_bye is not None and len(self.tags) > server.answers_before_bye:
            self.send("* BYE that is enough\r\n")
            raise Gone
        for verb, form, state in COMMANDS:
            found = re.fullmatch(verb + form, rest)
            if not found:
                continue
            if (state == "before" and self.logged_in) or (state in ("after", "open") and not self.logged_in) or \
                    (state == "open" and not self.mailbox):
                self.blame(f"{verb} at the wrong time")
                return
            if self.server.swaps and "BODY" in rest and (self.buffer or select.select([self.socket], [], [], 0.1)[0]):
                self.command(self.line())
            if not self.does(verb, tag, rest):
                getattr(self, verb.lower().replace(" ", "_"))(tag, *found.groups())
            return
        self.blame(f"no command for a reader: {rest[:200]!r}")
        self.send(f"{tag} BAD not here\r\n")

    def capability(self, tag):
        self.send(f"* CAPABILITY {self.server.capabilities}\r\n")
        self.ok(tag)

    def noop(self, tag):
        self.ok(tag)

    def logout(self, tag):
        self.send("* BYE\r\n")
        self.ok(tag)
        raise Gone

    def starttls(self, tag):
        if self.buffer:
            self.blame("more than STARTTLS")
        self.ok(tag, "begin")
        self.secure()

    def authenticate(self, tag, mechanism):
        if f"AUTH={mechanism}" not in self.server.capabilities:
            self.blame(f"{mechanism} was not offered")
        self.send("+ \r\n")
        _, user, password = base64.b64decode(self.line(), validate=True).decode().split("\0")
        self.let_in(tag, user, password)

    def login(self, tag, user, password):
        if "LOGINDISABLED" in self.server.capabilities:
            self.blame("LOGIN where it is disabled")
        self.let_in(tag, unquoted(user), unquoted(password))

    def let_in(self, tag, user, password):
        if (user, password) != (self.server.user, self.server.password):
            self.send(f"{tag} NO [AUTHENTICATIONFAILED] wrong\r\n")
            return
        self.logged_in = True
        self.server.logins += 1
        self.number = self.server.logins
        self.ok(tag)

    def notify(self, tag, names):
        if not self.server.events:
            self.send(f"{tag} NO not here\r\n")
        elif names and self.server.events != "names":
            self.send(f"{tag} NO [BADEVENT (MessageNew MessageExpunge)] fewer\r\n")
        else:
            self.notified = {"messages", "names"} if names else {"messages"}
            self.heard = len(self.server.made)
            self.ok(tag)

    def list(self, tag):
        for name, mailbox in self.server.mailboxes.items():
            self.send(f'* LIST ({mailbox.attributes}) "/" {quoted(name)}\r\n')
        self.ok(tag)

    def status(self, tag, name):
        name = unquoted(name)
        mailbox = self.server.mailboxes.get(name)
        if not mailbox or name in self.server.silent_mailboxes or self.refuses(name):
            self.send(f"{tag} NO not this one\r\n")
            return
        following = f" UIDNEXT {mailbox.next}" if self.server.says_next else ""
        self.send(f"* STATUS {quoted(name)} (UIDVALIDITY {mailbox.validity}{following})\r\n")
        self.ok(tag)

    def refuses(self, name):
        return name in self.server.refused_mailboxes or self.number <= self.server.stale_mailboxes.get(name, 0)

    def examine(self, tag, name):
        name = unquoted(name)
        self.mailbox = None
        if name not in self.server.mailboxes or self.refuses(name):
            self.send(f"{tag} NO no such mailbox for you\r\n")
            return
        self.mailbox = self.server.mailboxes[name]
        self.told = len(self.mailbox.mails)
        self.send(f"* FLAGS (\\Seen)\r\n* {self.told} EXISTS\r\n* 0 RECENT\r\n"
                  f"* OK [UIDVALIDITY {self.mailbox.validity}] valid\r\n")
        if self.server.says_next:
            self.send(f"* OK [UIDNEXT {self.mailbox.next}] next\r\n")
        self.ok(tag, "[READ-ONLY] done")

    def uid_search(self, tag, first, last):
        uids = sorted(self.mailbox.mails)
        highest = max(uids, default=0)  # "*"
        low, high = sorted((int(first or highest), int(last or highest)))
        self.send("* SEARCH" + "".join(f" {uid}" for uid in uids if low <= uid <= high) + "\r\n")
        self.ok(tag)

    def uid_fetch(self, tag, first, last, what, origin, count):
        server = self.server
        for number, uid in enumerate(sorted(self.mailbox.mails), 1):
            if not int(first) <= uid <= int(last or first):
                continue
            mail = self.mailbox.mails[uid]
            if what == "RFC822.SIZE":
                size = server.sizes.get(uid, len(mail))
                said = "" if size is None else f" RFC822.SIZE {size}"
                self.send(f"* {number} FETCH (UID {uid}{said})\r\n")
                continue
            if uid in server.hangs:
                raise Gone
            if uid in server.refused:
                self.send(f"{tag} NO mail {uid} cannot be read\r\n")
                return
            if uid in server.withheld:
                continue
            part = mail[int(origin):int(origin) + int(count)]
            self.send(f"* {number} FETCH (UID {uid} BODY[]<{origin}> {{{len(part)}}}\r\n".encode() + part + b")\r\n")
        self.ok(tag)

    def idle(self, tag):
        if "IDLE" not in self.server.capabilities.split():
            self.blame("IDLE was not offered")
        if not self.server.idles:
            self.send(f"{tag} NO not today\r\n")
            return
        if self.buffer:
            self.blame("something behind IDLE")
        self.send("+ idling\r\n")
        while b"\r\n" not in self.buffer:
            with self.server.changed:
                if self.server.stopping:
                    raise Gone
                now = len(self.mailbox.mails) if self.mailbox else 0
                made = self.server.made[self.heard:] if "names" in self.notified else []
                self.heard += len(made)
                if self.mailbox and now == self.told and not made:
                    self.server.changed.wait(0.02)
            for name in made:
                self.send(f'* LIST () "/" {quoted(name)}\r\n')
            if self.mailbox and now != self.told:
                self.told = now
                self.send(f"* {now} EXISTS\r\n")
            if select.select([self.socket], [], [], 0)[0]:
                self.receive()
        if self.line() != "DONE":
            self.blame("something else than DONE")
        self.ok(tag)


def quoted(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquoted(word):
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word
