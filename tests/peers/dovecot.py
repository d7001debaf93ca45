# SPDX-License-Identifier: Apache-2.0
"""Dovecot of Debian 12 as an IMAP server for many users over TLS."""
import imaplib
import pwd
import shutil
import ssl
import subprocess
import time

from servers import USER, Server, free_port, wait_for


class Dovecot(Server):
    """Serves a Maildir to each user; everybody's password is "secret"."""

    def __init__(self, folder, authority, mechanisms="plain login scram-sha-256"):
        super().__init__(folder)
        self.authority, self.mechanisms = authority, mechanisms
        self.mail = self.folder / "mail"
        self.mail.mkdir()
        shutil.chown(self.mail, USER, USER)

    def start(self):
        return self.run(["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")], self.answers, self.folder / "log")

    def again(self):
        """After kill(): on the same ports."""
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", str(self.folder / "dovecot.conf")],
                                            stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_for(self.answers, "dovecot answers again")

    def answers(self):
        try:
            self.imap("probe").logout()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def imap(self, user):
        context = ssl.create_default_context(cafile=str(self.authority.folder / "ca.pem"))
        connection = imaplib.IMAP4_SSL("localhost", self.secure_port, ssl_context=context, timeout=20)
        connection.login(user, "secret")
        return connection

    def configure(self):
        user = pwd.getpwnam(USER)
        self.secure_port = free_port()
        (self.folder / "dovecot.conf").write_text(f"""
base_dir = {self.folder}/run
state_dir = {self.folder}/state
log_path = {self.folder}/log
protocols = imap
listen = 127.0.0.1, ::1
auth_mechanisms = {self.mechanisms}
mail_location = maildir:{self.mail}/%u
mailbox_list_index = yes
mail_max_userip_connections = 200
first_valid_uid = 1
ssl = yes
ssl_cert = <{self.authority.folder}/server.pem
ssl_key = <{self.authority.folder}/server.key
passdb {{
  driver = static
  args = password=secret
}}
userdb {{
  driver = static
  args = uid={user.pw_uid} gid={user.pw_gid} home={self.mail}/%u
}}
namespace inbox {{
  inbox = yes
  mailbox Trash {{
    special_use = \\Trash
    auto = create
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = create
  }}
}}
service imap-login {{
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.secure_port}
    ssl = yes
  }}
}}
""")

    def fill(self, user, mails, mailbox=""):
        """As a delivery agent would: files into the Maildir, which Dovecot finds."""
        folder = self.mail / user / (f".{mailbox}" if mailbox else "")
        for part in ("tmp", "new", "cur"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(mails):
            (folder / "new" / f"{time.time_ns()}.{number}.example.org").write_bytes(data)
        for path in [self.mail / user, *(self.mail / user).rglob("*")]:
            shutil.chown(path, USER, USER)
