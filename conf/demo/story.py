# SPDX-License-Identifier: Apache-2.0
"""What the demo's customers do: the writers of three channels, and the words.

Each writer plays an outside system: a mail server delivering into a Maildir, another appending to
an mbox, a telephone exchange appending to Master.csv. All of it goes through one Ledger, which
remembers what must come out of the bus. Nothing here knows Voxbus.
"""
import csv
import dataclasses
import email.message
import email.policy
import email.utils
import fcntl
import hashlib
import io
import itertools
import os
import pathlib
import random
import socket
import threading
import time


@dataclasses.dataclass(frozen=True)
class Person:
    name: str
    mail: str
    phone: str


NORA = Person("Nora Lindqvist", "nora@example.org", "+12025550117")
TOM = Person("Tom Becker", "tom.becker@example.org", "+12025550142")
AIKO = Person("Aiko Mori", "aiko@example.org", "+12025550163")
SAM = Person("Sam Okafor", "sam.okafor@example.org", "+12025550128")
LENA = Person("Lena Fischer", "lena@example.org", "+12025550171")
REMI = Person("Rémi Caron", "remi.caron@example.org", "+12025550155")
EVERYBODY = [NORA, TOM, AIKO, SAM, LENA, REMI]

SUPPORT = "support@example.org"
SHOP = "shop@example.org"
SERVICE_LINE = "+12025550100"


class Ledger:
    """What was written: one key per interaction, and the bytes of what cannot be read.

    Keys are the outside systems' own: a mail's Message-ID, a call's uniqueid. A mail answers to the
    SHA-256 of its bytes as well.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._keys = {}
        self._other_names = {}
        self._broken = []

    def wrote(self, key, what, other_name=None):
        with self._lock:
            self._keys[key] = what
            self._other_names[key] = key
            if other_name:
                self._other_names[other_name] = key

    def wrote_broken(self, raw):
        with self._lock:
            self._broken.append(raw)

    def written(self):
        """({key: what}, {name: key}, [bytes]) as of now."""
        with self._lock:
            return dict(self._keys), dict(self._other_names), list(self._broken)


class Mailer:
    """Makes real MIME messages. The Message-ID is what the counter looks for."""

    def __init__(self, ledger):
        self._ledger = ledger
        self._numbers = itertools.count(1)

    def compose(self, person, to, subject, text, answers=None):
        message = email.message.EmailMessage()
        identity = f"<{time.time_ns():x}.{next(self._numbers)}@mail.example.org>"
        message["From"] = email.utils.formataddr((person.name, person.mail))
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = email.utils.format_datetime(email.utils.localtime())
        message["Message-ID"] = identity
        if answers is not None:
            message["In-Reply-To"] = answers["Message-ID"]
            earlier = answers.get("References")
            message["References"] = (f"{earlier} " if earlier else "") + answers["Message-ID"]
        message.set_content(text + "\n")
        raw = message.as_bytes(policy=email.policy.SMTP)  # with CRLF
        self._ledger.wrote(identity, f"mail of {person.name}: {subject}",
                           other_name=hashlib.sha256(raw).hexdigest())
        return message


class Maildir:
    """Delivers as a mail server does: written below tmp/, then moved into new/ in one step."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self._numbers = itertools.count(1)
        self._make(self.path)

    def _make(self, folder):
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)

    def deliver(self, message, folder=None):
        """`folder` is a subfolder by Maildir++ ("Archive" lies in .Archive)."""
        place = self.path / f".{folder}" if folder else self.path
        self._make(place)
        name = f"{int(time.time())}.M{time.time_ns() // 1000 % 1000000}P{os.getpid()}" \
               f"Q{next(self._numbers)}.{socket.gethostname()}"
        with open(place / "tmp" / name, "wb") as file:
            file.write(message.as_bytes(policy=email.policy.default))
            file.flush()
            os.fsync(file.fileno())
        os.rename(place / "tmp" / name, place / "new" / name)


class Mbox:
    """Appends under a lock, as delivery agents do; ">From " as in mboxrd."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.touch()

    def deliver(self, message):
        sender = email.utils.parseaddr(message["From"])[1]
        lines = [f"From {sender} {time.asctime(time.gmtime())}\n".encode()]
        for line in message.as_bytes(policy=email.policy.default).splitlines(keepends=True):
            lines.append(b">" + line if line.lstrip(b">").startswith(b"From ") else line)
        with open(self.path, "ab", buffering=0) as file:
            fcntl.lockf(file, fcntl.LOCK_EX)
            file.write(b"".join(lines) + b"\n")


class Exchange:
    """An Asterisk that writes Master.csv: eighteen columns, UTC, one line per call."""

    def __init__(self, path, ledger):
        self.path = pathlib.Path(path)
        self._ledger = ledger
        self._numbers = itertools.count(1)
        self._rest = b""
        self.path.touch()

    def _line(self, person, talked, waited, inbound, disposition):
        now = time.time()
        number = next(self._numbers)
        unique = f"{int(now)}.{number}"
        start = now - talked - waited

        def at(moment):
            return time.strftime("%Y-%m-%d %T", time.gmtime(moment))

        answered = disposition == "ANSWERED"
        source, target = (person.phone, SERVICE_LINE) if inbound else (SERVICE_LINE, person.phone)
        row = ["", source, target, "from-customers" if inbound else "to-customers",
               f'"{person.name if inbound else "Service"}" <{source}>',
               f"PJSIP/trunk-{number:08x}", "PJSIP/desk-1" if answered else "",
               "Dial", "PJSIP/desk-1,30", at(start), at(start + waited) if answered else "",
               at(start + waited + talked), waited + talked, talked if answered else 0,
               disposition, "DOCUMENTATION", unique, ""]
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerow(row)
        return line.getvalue().encode(), unique

    def _append(self, raw):
        with open(self.path, "ab", buffering=0) as file:
            file.write(raw)

    def call(self, person, talked=0, waited=8, inbound=True, disposition=None):
        disposition = disposition or ("ANSWERED" if talked else "NO ANSWER")
        line, unique = self._line(person, talked, waited, inbound, disposition)
        self._ledger.wrote(unique, f"call with {person.name}")
        self._append(self._take_rest() + line)

    def half_call(self, person, talked, waited=6):
        """Writes half of a line; the next call, or complete(), writes the rest first."""
        line, unique = self._line(person, talked, waited, True, "ANSWERED")
        self._ledger.wrote(unique, f"call with {person.name}, written in two halves")
        self._append(self._take_rest() + line[: len(line) // 2])
        self._rest = line[len(line) // 2:]

    def complete(self):
        self._append(self._take_rest())

    def _take_rest(self):
        rest, self._rest = self._rest, b""
        return rest

    def broken_line(self):
        raw = f'"this line","is no call","{time.time_ns():x}"\n'.encode()
        self._ledger.wrote_broken(raw)
        self._append(self._take_rest() + raw)

    def rotate(self):
        """As logrotate does: what was is renamed, and a new file begun."""
        self.complete()
        older = [self.path.with_name(f"{self.path.name}.{n}") for n in range(9, 0, -1)]
        for name, previous in zip(older, older[1:]):
            if previous.exists():
                previous.rename(name)
        self.path.rename(older[-1])
        self.path.touch()


class Story:
    """The three channels and what happens on them. Used by one thread at a time."""

    def __init__(self, folder, ledger, seed=None):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.maildir = Maildir(folder / "Maildir")
        self.mbox = Mbox(folder / "shop.mbox")
        self.exchange = Exchange(folder / "Master.csv", ledger)
        self._mailer = Mailer(ledger)
        self._random = random.Random(seed)
        self._first = None
        self._order = None

    def opening(self):
        """The scenes of the beginning, as functions to be called one after the other."""
        support, shop, phone = self._to_support, self._to_shop, self.exchange
        return [
            lambda: self._nora_complains(),
            lambda: phone.call(TOM, talked=192, waited=11),
            lambda: shop(LENA, "Order 2041: wrong size", "Hello, the boots came in 39 instead of 41."),
            lambda: support(AIKO, "Invoice missing", "Could you send me the invoice for March again?"),
            lambda: phone.half_call(SAM, talked=64),
            lambda: support(NORA, "Re: Lamp arrived broken", "I forgot the order number: it is 2037.",
                            answers=self._first),
            lambda: phone.complete(),
            lambda: shop(TOM, "Do you deliver to islands?", "We spend the summer on one."),
            lambda: phone.call(NORA, waited=41),
            lambda: phone.broken_line(),
            lambda: self._deliver_twice(),
            lambda: phone.call(AIKO, waited=3, disposition="BUSY"),
            lambda: self._nora_orders(),
            lambda: phone.rotate(),
            lambda: phone.call(NORA, talked=305, waited=4),
            lambda: support(SAM, "Thank you",
                            "The colleague on the phone was very kind.\n\nFrom now on I only buy here."),
            lambda: phone.call(TOM, talked=48, inbound=False),
            lambda: shop(NORA, "Re: Order 2044", "Please put it into the same parcel as the new lamp.",
                         answers=self._order),
        ]

    def _to_support(self, person, subject, text, answers=None):
        message = self._mailer.compose(person, SUPPORT, subject, text, answers)
        self.maildir.deliver(message)
        return message

    def _to_shop(self, person, subject, text, answers=None):
        message = self._mailer.compose(person, SHOP, subject, text, answers)
        self.mbox.deliver(message)
        return message

    def _nora_complains(self):
        self._first = self._to_support(
            NORA, "Lamp arrived broken", "The glass is in pieces. What shall I do now?")

    def _nora_orders(self):
        self._order = self._to_shop(NORA, "Order 2044", "One more bulb, please, the warm white one.")

    def _deliver_twice(self):
        # One mail, the same bytes in two folders of one Maildir: one interaction.
        message = self._mailer.compose(
            REMI, SUPPORT, "Réparation possible ?", "Bonjour, réparez-vous aussi les vieux modèles ?")
        self.maildir.deliver(message)
        self.maildir.deliver(message, folder="Archive")

    TOPICS = [
        ("Where is my parcel?", "The tracking page has said the same for three days."),
        ("Return label", "Could you send me a label? I would like to return the blue one."),
        ("Opening hours", "Are you open on Saturday?"),
        ("Refund", "The money has not arrived yet. When may I expect it?"),
        ("Spare parts", "Is there a new cable for the old model?"),
        ("Praise", "Best advice I have had in a long time."),
        ("Gift wrapping", "Can you wrap it? It is for my mother."),
        ("Address", "We have moved. Please change the address of my next order."),
    ]

    def more(self):
        """One further interaction, any person, any channel."""
        person = self._random.choice(EVERYBODY)
        topic, text = self._random.choice(self.TOPICS)
        channel = self._random.randrange(3)
        if channel == 0:
            self._to_support(person, topic, text)
        elif channel == 1:
            self._to_shop(person, topic, text)
        else:
            self.exchange.call(person, talked=self._random.choice([0, 25, 70, 240]),
                               waited=self._random.randrange(2, 40))
