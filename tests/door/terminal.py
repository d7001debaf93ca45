# SPDX-License-Identifier: Apache-2.0
"""A terminal with a person before it: runs a program on a pty of its own, shows what it wrote, types
Ctrl-C. Everything the program starts belongs to its session; close() ends what is left of it."""
import fcntl
import os
import re
import signal
import struct
import subprocess
import termios
import threading
import time

_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    def __init__(self, command, columns=100, lines=40, **options):
        mine, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._mine = mine
        self._raw = b""
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command, stdin=its, stdout=its, stderr=its, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), **options)
        os.close(its)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        try:
            while piece := os.read(self._mine, 65536):
                self._raw += piece
        except OSError:
            pass  # the last program has closed its end

    def text(self):
        """What was written until now, without colours and with plain line ends."""
        return _ESCAPES.sub("", self._raw.decode(errors="replace")).replace("\r\n", "\n")

    def wait_for(self, pattern, limit=30, after=0):
        """The match of the pattern behind that place of the text; AssertionError with all of it."""
        deadline = time.monotonic() + limit
        while True:
            over = self.process.poll() is not None
            if over:
                self._reader.join(1)
            if match := re.compile(pattern, re.M).search(self.text(), after):
                return match
            if over or time.monotonic() > deadline:
                raise AssertionError(f"'{pattern}' not within {limit} s:\n{self.text()[after:]}")
            time.sleep(0.01)

    def interrupt(self):
        """Ctrl-C: the terminal sends SIGINT to whoever runs in front."""
        os.write(self._mine, b"\x03")

    def wait(self, limit=30):
        """The exit status."""
        code = self.process.wait(limit)
        self._reader.join(5)
        return code

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._reader.join(5)
        os.close(self._mine)
