# SPDX-License-Identifier: Apache-2.0
"""A booted systemd: this very system once more, in a container over an overlay whose changes lie in
memory. Mounts and processes live in name spaces that end with the test, whatever happens to it; only
empty control groups need to be cleared away."""
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "flow"))
from voxbus_daemon import wait_for

GROUPS = [pathlib.Path(path) for path in ("/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup")]

BOOT = r"""
set -eu
folder=$1 group=$2
# A control group of its own: two of these do not meet in it.
for root in /sys/fs/cgroup/systemd /sys/fs/cgroup/unified /sys/fs/cgroup; do
  [ -e $root/cgroup.procs ] || continue
  mkdir -p $root/$group
  echo $$ >$root/$group/cgroup.procs
done
mount -t tmpfs -o mode=755 tmpfs $folder/memory
mkdir $folder/memory/up $folder/memory/work $folder/memory/root
mount -t overlay overlay -o lowerdir=/,upperdir=$folder/memory/up,workdir=$folder/memory/work $folder/memory/root
root=$folder/memory/root
# No service of this system is started, and it is no first boot.
rm -rf $root/etc/systemd/system/*.wants $root/etc/systemd/system/default.target
head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n' >$root/etc/machine-id
rm -rf $root/var/log/journal
cp -a --no-preserve=ownership $folder/installed/. $root/
exec systemd-nspawn --directory=$root --boot --register=no --keep-unit --private-network --console=pipe \
  --machine=$group --link-journal=no --resolv-conf=off --timezone=off \
  -- --unit=basic.target
"""


class Machine:
    """`installed` is a folder with what is to be there beside what this system has."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.installed = self.folder / "installed"
        self.installed.mkdir()
        (self.folder / "memory").mkdir()
        self.group = f"voxbus-peers-{os.getpid()}"
        self.process = None

    @staticmethod
    def is_possible():
        """Whether we may mount, which not every container lets its root do."""
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                              capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode == 0

    def boot(self):
        for folder in (self.installed, *(path for path in self.installed.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        self.output = open(self.folder / "console", "wb")
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork",
             "--kill-child", "sh", "-c", BOOT, "boot", str(self.folder), self.group],
            stdin=subprocess.DEVNULL, stdout=self.output, stderr=self.output)
        wait_for(lambda: self.process.poll() is not None or self.is_up(), "systemd is up", 60)
        if self.process.poll() is not None:
            raise AssertionError("systemd did not boot:\n" + (self.folder / "console").read_text(errors="replace")[-3000:])
        return self

    def leader(self):
        """The container's process 1: child of systemd-nspawn, which is that of unshare. Nothing until
        it is that, so that no command ever reaches the system outside."""
        try:
            nspawn, = self.children(self.process.pid)
            one, = self.children(nspawn)
            apart = all(os.readlink(f"/proc/{one}/ns/{space}") != os.readlink(f"/proc/{nspawn}/ns/{space}")
                        for space in ("pid", "mnt", "net"))
            named = pathlib.Path(f"/proc/{one}/comm").read_text().strip() == "systemd"
            return one if apart and named else None
        except (OSError, ValueError):
            return None

    @staticmethod
    def children(pid):
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def is_up(self):
        if not self.leader() or not self.path("/run/systemd/private").exists():
            return False
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def run(self, *command, check=True, limit=60):
        """A command in the container, as root."""
        leader = self.leader()
        assert leader, "the container has ended:\n" + (self.folder / "console").read_text(errors="replace")[-2000:]
        done = subprocess.run(["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C", "--", *map(str, command)],
                              capture_output=True, text=True, timeout=limit, stdin=subprocess.DEVNULL, check=False,
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"})
        if check and done.returncode:
            raise AssertionError(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def path(self, inside):
        """A path inside, as it is reached from here."""
        return pathlib.Path(f"/proc/{self.leader()}/root") / inside.lstrip("/")

    def close(self):
        if not self.process:
            return
        self.process.kill()  # and with it, by the kernel, everything inside
        self.process.wait()
        self.output.close()
        for root in GROUPS:
            if (root / self.group).exists():
                wait_for(lambda group=root / self.group: self.removed(group), "nobody is left in the container")

    @staticmethod
    def removed(group):
        for inner, _, _ in os.walk(group, topdown=False):
            try:
                os.rmdir(inner)
            except OSError:
                return False  # somebody is still in it
        return True
