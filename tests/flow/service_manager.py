# SPDX-License-Identifier: Apache-2.0
"""systemd's end of what a daemon says to it."""

import pathlib
import socket
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from voxbus_daemon import wait_for


class ServiceManager:
    """systemd's end of the notification socket: every message with the moment it came. A thread reads
    it at all times, as systemd does: the kernel keeps few datagrams, and a sender waits for room."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.messages = []  # (moment, {name: value}), only ever appended to
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        while text := self.socket.recv(65536):
            self.messages.append((time.monotonic(), dict(line.split("=", 1) for line in text.decode().splitlines())))

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", self.path)
        self.thread.join()
        self.socket.close()

    def wait_for(self, name, value, limit=30, seen=0):
        """The index of the first message from `seen` on that says name=value; AssertionError at the limit."""
        return wait_for(lambda: next((index + 1 for index in range(seen, len(self.messages))
                                      if self.messages[index][1].get(name) == value), 0),
                        f"{name}={value}", limit) - 1

    def listen_for(self, seconds):
        """What comes within so many seconds from now."""
        begin = len(self.messages)
        self.thread.join(seconds)
        return self.messages[begin:]
