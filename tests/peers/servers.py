# SPDX-License-Identifier: Apache-2.0
"""Real servers of Debian 12 as ordinary processes: configuration, state and logs in a folder of the
test's, free ports, nothing of the system's own. Each ends with its close(), by its process."""
import imaplib
import os
import pathlib
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "flow"))
from voxbus_daemon import wait_for

LONG = os.environ.get("VOXBUS_TIER") == "long"
USER = "mail"  # whose mailboxes they are; Debian has it everywhere


def need(*programs, root=True, rights=True):
    """Skips the test loudly where a program is missing, or root, or the right to mount; what can be
    installed must be there in continuous integration, else the test fails."""
    lacking = [program for program in programs if not os.path.exists(program)]
    if not rights:
        lacking.append("the right to mount")
    if root and os.getuid() != 0:
        lacking.append("root")
    if not lacking:
        return
    words = f"needs {', '.join(lacking)}: ./dev packages installs what can be installed"
    if rights and os.environ.get("CI") == "true":
        raise AssertionError(words)
    print(f"\nSKIPPED: {words}", file=sys.stderr, flush=True)
    raise unittest.SkipTest(words)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A process in the foreground. On a port that somebody took meanwhile it is started once more."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(mode=0o755)
        self.process = None

    def run(self, command, answers, log):
        for _ in range(3):
            self.port = free_port()
            self.configure()
            with open(self.folder / "output", "ab") as output:
                self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
            try:
                wait_for(lambda: answers() or self.process.poll() is not None, f"{command[0]} answers", 20)
            except AssertionError:
                pass
            if self.process.poll() is None and answers():
                return self
            self.close()
        text = "".join(file.read_text(errors="replace")[-3000:] for file in (self.folder / "output", log) if file.exists())
        raise AssertionError(f"{command[0]} did not start:\n{text}")

    def kill(self):
        """With its children at once: they would hold its ports for a while."""
        children = [path.parent.name for path in pathlib.Path("/proc").glob("[0-9]*/stat")
                    if self.parent(path) == self.process.pid]
        for process in (self.process.pid, *map(int, children)):
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    @staticmethod
    def parent(stat):
        try:
            return int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            return None

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Postfix(Server):
    """Takes mail by SMTP: `virtual` addresses go to a path (a Maildir ends with /), `piped` ones to a
    command that runs as USER."""

    PROGRAMS = ["/usr/sbin/postfix", "/usr/lib/postfix/sbin/master", "/usr/lib/postfix/sbin/virtual"]

    def __init__(self, folder, virtual, piped):
        super().__init__(folder)
        self.virtual, self.piped = virtual, piped

    def start(self):
        # What "postfix start" does, but in our process group, and its end is the end of all of it.
        return self.run(["/usr/lib/postfix/sbin/master", "-c", str(self.folder), "-d"], self.answers, self.folder / "log")

    def answers(self):
        try:
            with smtplib.SMTP("127.0.0.1", self.port, timeout=5):
                return True
        except OSError:
            return False

    def configure(self):
        user = pwd.getpwnam(USER)
        for name, owner in (("spool", "root"), ("data", "postfix")):
            (self.folder / name).mkdir(exist_ok=True)
            shutil.chown(self.folder / name, owner)
        known = {**self.virtual, **dict.fromkeys(self.piped, "piped")}
        (self.folder / "virtual").write_text("".join(f"{address} {path}\n" for address, path in known.items()))
        (self.folder / "transport").write_text("".join(f"{address} piped{number}:\n" for number, address in enumerate(self.piped)))
        keys = {
            "compatibility_level": "3.6", "queue_directory": self.folder / "spool", "data_directory": self.folder / "data",
            "command_directory": "/usr/sbin", "daemon_directory": "/usr/lib/postfix/sbin", "mail_owner": "postfix",
            "setgid_group": "postdrop", "maillog_file": self.folder / "log", "maillog_file_prefixes": self.folder,
            "inet_interfaces": "127.0.0.1", "inet_protocols": "ipv4", "mynetworks": "127.0.0.0/8",
            "myhostname": "mail.example.org", "mydestination": "", "smtpd_peername_lookup": "no", "alias_maps": "",
            "virtual_mailbox_domains": "example.org", "virtual_mailbox_base": "/", "virtual_mailbox_limit": "0",
            "virtual_mailbox_maps": f"texthash:{self.folder}/virtual", "transport_maps": f"texthash:{self.folder}/transport",
            "virtual_uid_maps": f"static:{user.pw_uid}", "virtual_gid_maps": f"static:{user.pw_gid}",
            "virtual_minimum_uid": "1", "in_flow_delay": "0", "default_process_limit": "10",
        }
        (self.folder / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in keys.items()))
        services = [f"127.0.0.1:{self.port} inet n - n - - smtpd", "cleanup unix n - n - 0 cleanup",
                    "qmgr unix n - n 300 1 qmgr", "rewrite unix - - n - - trivial-rewrite", "bounce unix - - n - 0 bounce",
                    "defer unix - - n - 0 bounce", "trace unix - - n - 0 bounce", "proxymap unix - - n - - proxymap",
                    "error unix - - n - - error", "retry unix - - n - - error", "virtual unix - n n - - virtual",
                    "anvil unix - - n - 1 anvil", "postlog unix-dgram n - n - 1 postlogd"]
        services += [f"piped{number} unix - n n - 2 pipe\n  flags=DRhu user={USER} argv={command}"
                     for number, command in enumerate(self.piped.values())]
        (self.folder / "master.cf").write_text("\n".join(services) + "\n")
        # Makes the folders of its queue.
        checked = subprocess.run(["/usr/sbin/postfix", "-c", str(self.folder), "check"], capture_output=True, text=True,
                                 timeout=60, stdin=subprocess.DEVNULL, check=False)
        assert checked.returncode == 0, checked.stderr

    def log(self):
        return (self.folder / "log").read_text(errors="replace")


class Dovecot(Server):
    """Serves one Maildir by IMAP to the user "person", and delivers into it: lda_command()."""

    PROGRAMS = ["/usr/sbin/dovecot", "/usr/lib/dovecot/dovecot-lda", "/usr/lib/dovecot/imap"]

    def __init__(self, folder, maildir):
        super().__init__(folder)
        self.maildir = maildir
        (self.folder / "home").mkdir()
        shutil.chown(self.folder / "home", USER, USER)
        # The delivery agent runs as USER and writes there.
        (self.folder / "lda.log").touch()
        shutil.chown(self.folder / "lda.log", USER, USER)

    def start(self):
        return self.run(["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")], self.answers, self.folder / "log")

    def answers(self):
        try:
            self.imap().logout()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def configure(self):
        user = pwd.getpwnam(USER)
        common = f"""
mail_location = maildir:{self.maildir}
first_valid_uid = 1
ssl = no
"""
        (self.folder / "dovecot.conf").write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols = imap
listen = 127.0.0.1
disable_plaintext_auth = no
{common}
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={user.pw_uid} gid={user.pw_gid} home={self.folder}/home
}}
service imap-login {{
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
""")
        (self.folder / "lda.conf").write_text(f"log_path = {self.folder}/lda.log\n{common}")

    def imap(self):
        connection = imaplib.IMAP4("127.0.0.1", self.port, timeout=20)
        connection.login("person", "secret")
        return connection

    def lda_command(self):
        return f"/usr/bin/env HOME={self.folder}/home /usr/lib/dovecot/dovecot-lda -c {self.folder}/lda.conf -e -f ${{sender}}"
