# SPDX-License-Identifier: Apache-2.0
"""The demo's surroundings: a run directory of its own, the configuration in it, a free port, and
voxbusd as a child. Plays the part of systemd for it: starts it, starts it again, stops it."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHANNELS = ["support-mail", "shop-mbox", "service-calls"]


class Failure(Exception):
    """The demo cannot go on; the text says why and what to do."""


@contextlib.contextmanager
def undisturbed():
    """What would end us waits for the end of the block."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDINGS)


def free_port(first=8420, tries=200):
    """The first port from `first` on that nobody listens on."""
    for port in range(first, first + tries):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise Failure(f"no free port between {first} and {first + tries - 1}")


def with_key(text, key, value):
    """The YAML text with the value of one key (at any depth) replaced; it must stand there once."""
    changed, times = re.subn(rf"(?m)^(\s*{re.escape(key)}:)[^\n]*$", lambda m: f"{m[1]} {value}", text)
    if times != 1:
        raise Failure(f"the demo's configuration has '{key}:' {times} times, expected once")
    return changed


def may_hold_plugins(folder, owner=None):
    """Whether voxbusd loads plugins from here: the folder and all above it belong to root or to
    us, and nobody else may write there."""
    owners = {0, os.getuid() if owner is None else owner}
    folder = pathlib.Path(folder).resolve()
    for place in [folder, *folder.parents]:
        state = place.stat()
        if state.st_uid not in owners or state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
    return True


def plugins_in_safe_place(build):
    """The folder with the plugins: where they were built or, when others could write there (as
    anywhere below /tmp), a copy in the user's cache. Returns (folder, "", "copied" or "unsafe")."""
    built = pathlib.Path(build).resolve() / "plugins"
    if not list(built.glob("*.so")):
        raise Failure(f"no plugins in {built}: run ./dev build")
    files = [file for pattern in ("*.so", "*.plugin.yaml") for file in built.glob(pattern)]
    if may_hold_plugins(built) and not any(
            file.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH) for file in files):
        return built, ""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    safe = cache / "voxbus-demo" / "plugins"
    try:
        safe.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError:
        return built, "unsafe"
    if not may_hold_plugins(safe):
        return built, "unsafe"
    for old in safe.iterdir():
        old.unlink()
    for file in files:
        shutil.copyfile(file, safe / file.name)
        (safe / file.name).chmod(0o644)
    return safe, "copied"


class Stage:
    """The run directory and the daemon in it. Used by the main thread only: voxbusd is told to end
    when the thread that started it ends."""

    def __init__(self, build, folder=None, port=8420):
        self.build = pathlib.Path(build).resolve()
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="voxbus-demo-")).resolve()
        self.config = self.folder / "conf"
        self.state = self.folder / "state"
        self.world = self.folder / "world"  # where the customers' mail and calls arrive
        self.socket = self.state / "voxbus.sock"
        self.log = self.folder / "voxbusd.log"
        self.port = free_port(port)
        self.process = None
        self.token = None
        self.environment = dict(os.environ)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def configure(self):
        """Copies conf/demo here, pointing at this directory. Returns what is to be said of it."""
        plugins, how = plugins_in_safe_place(self.build)
        if how == "unsafe":
            self.environment["VOXBUS_TRUST_PLUGINS"] = "1"
        (self.config / "channels.d").mkdir(parents=True, exist_ok=True)
        self.state.mkdir(mode=0o700, exist_ok=True)
        text = (HERE / "voxbus.yaml").read_text(encoding="utf-8")
        for key, value in [("listen", f"127.0.0.1:{self.port}"), ("state", self.state),
                           ("socket", self.socket), ("plugins", f"[{plugins}]")]:
            text = with_key(text, key, value)
        (self.config / "voxbus.yaml").write_text(text, encoding="utf-8")
        settings = {"support-mail": ("maildir", "Maildir"), "shop-mbox": ("mbox", "shop.mbox"),
                    "service-calls": ("file", "Master.csv")}
        for channel, (key, name) in settings.items():
            file = f"channels.d/{channel}.yaml"
            text = (HERE / file).read_text(encoding="utf-8")
            (self.config / file).write_text(with_key(text, key, self.world / name), encoding="utf-8")
        return {"": None,
                "copied": f"Others may write where this was built: plugins load from {plugins}",
                "unsafe": f"Others may write where this was built and to {pathlib.Path.home()}: "
                          f"whose hands the plugins went through is not checked"}[how]

    def program(self, name):
        path = self.build / "bin" / name
        if not path.exists():
            raise Failure(f"{path} is missing: run ./dev build")
        return str(path)

    def start(self, patience=30):
        """Starts voxbusd and returns when it is ready."""
        # Else a Ctrl-C in between would leave one that nobody knows. voxbusd waits for these signals
        # in its own time, so that it may be born with them blocked.
        with open(self.log, "ab") as log, undisturbed():
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", self.program("voxbusd"),
                 "--config", str(self.config)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0, env=self.environment)
        deadline = time.monotonic() + patience
        while not self._ready():
            if self.process.poll() is not None:
                raise Failure(f"voxbusd ended with {self.process.returncode}:\n{self.last_words()}")
            if time.monotonic() > deadline:
                raise Failure(f"voxbusd is not ready after {patience} s:\n{self.last_words()}")
            time.sleep(0.02)

    def _ready(self):
        try:
            endpoint = json.loads((self.state / "endpoint.json").read_text())
        except (OSError, ValueError):
            return False
        # After a kill the file of the dead one may still lie there.
        return endpoint.get("pid") == self.process.pid

    def last_words(self, lines=15):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def make_token(self):
        answer = subprocess.run(
            [self.program("voxbus"), "--config", str(self.config), "token", "add", "demo"],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30, check=False)
        match = re.search(r"vxb_[0-9a-f]{40}", answer.stdout)
        if answer.returncode or not match:
            raise Failure(f"no token: {answer.stderr or answer.stdout}")
        self.token = match[0]

    def died(self):
        """How voxbusd ended ("SIGKILL"), or nothing while it lives."""
        code = self.process.poll()
        if code is None:
            return None
        return signal.Signals(-code).name if code < 0 else f"exit {code}"

    def stop(self, patience=20):
        """Ends voxbusd and waits for it. Returns whether it ended well."""
        if self.process is None:
            return True
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(patience) == 0
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False

    def clear(self):
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)
