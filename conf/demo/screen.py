# SPDX-License-Identifier: Apache-2.0
"""What the demo prints: one aligned line per event (time, channel, person, words), cut to the width
of the terminal. Colour only on a terminal, and not under NO_COLOR. Any thread."""
import datetime
import os
import shutil
import sys
import threading
import unicodedata

CHANNEL_WIDTH = 14
PERSON_WIDTH = 16
_COLOURS = {"channel": "36", "person": "1", "time": "2", "bad": "33", "good": "32", "head": "1"}


def width(text):
    """Columns that the text takes on a terminal."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in text)


def fit(text, columns, fill=True):
    """The text on one line, cut to so many columns and, when asked, filled up to them."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if width(text) > columns:
        while text and width(text) > columns - 1:
            text = text[:-1]
        text = text.rstrip() + "…"
    return text + " " * (columns - width(text)) if fill else text


def seconds(number):
    minutes, rest = divmod(int(number), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def words(event):
    """What an event says, in one line."""
    said = event.get("data") or {}
    kind = event["type"].removeprefix("org.voxbus.").removesuffix(".v1")
    if kind.startswith("channel."):
        return f"channel is {kind.removeprefix('channel.')}" + \
            (f": {said['reason']}" if said.get("reason") else "")
    if kind == "interaction.quarantined":
        return f"set aside, not understood: {said.get('reason', '')}"
    call = said.get("call")
    if call:
        answer = call.get("disposition", "unknown").replace("_", " ")
        waited, talked = call.get("waited_seconds"), call.get("talked_seconds")
        line = "we called" if said.get("direction") == "outbound" else "called"
        if talked:
            return f"{line}, talked for {seconds(talked)}"
        return f"{line}, {answer}" + (f" after {seconds(waited)}" if waited else "")
    parts = [part for part in (said.get("title"), said.get("text")) if part]
    return " — ".join(parts) or kind


def person(event):
    author = (event.get("data") or {}).get("author") or {}
    return author.get("name") or author.get("handle", "").split(":", 1)[-1] or "·"


def clock(event):
    text = event.get("recordedtime") or event.get("time") or ""
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return "--:--:--"
    return moment.astimezone().strftime("%H:%M:%S")


class Screen:
    def __init__(self, out=None, colour=True):
        self._out = out or sys.stdout
        self._lock = threading.Lock()
        self._colour = colour and self._out.isatty() and not os.environ.get("NO_COLOR") \
            and os.environ.get("TERM") != "dumb"

    def paint(self, name, text):
        return f"\033[{_COLOURS[name]}m{text}\033[0m" if self._colour else text

    def say(self, *lines):
        with self._lock:
            for line in lines:
                self._out.write(line + "\n")
            self._out.flush()

    def event(self, event):
        room = shutil.get_terminal_size((100, 24)).columns if self._out.isatty() else 100
        said = event.get("data") or {}
        used = 8 + 2 + CHANNEL_WIDTH + 2 + PERSON_WIDTH + 2
        text = fit(words(event), max(room - used - 1, 20), fill=False)
        bad = "quarantined" in event["type"] or event["type"].endswith((".down.v1", ".degraded.v1"))
        self.say("  ".join([
            self.paint("time", clock(event)),
            self.paint("channel", fit(said.get("channel", "·"), CHANNEL_WIDTH)),
            self.paint("person", fit(person(event), PERSON_WIDTH)),
            self.paint("bad", text) if bad else text]))
