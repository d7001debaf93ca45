# SPDX-License-Identifier: Apache-2.0
"""Cyrus IMAP of Debian 12, unpacked by ./dev into build/peers (it cannot be installed beside Dovecot)
and run from a copy in the test's folder, which the user whose mail it is can reach."""
import imaplib
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import threading
import time

from servers import USER, Server, free_port, wait_for

UNPACKED = pathlib.Path(__file__).resolve().parents[2] / "build/peers/cyrus"


class Passwords:
    """Stands in for saslauthd: everybody's password is "secret"."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        path.chmod(0o777)
        self.listener.listen()
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as file:
                words = [file.read(struct.unpack("!H", file.read(2))[0]) for _ in range(4)]
                answer = b"OK" if words[1] == b"secret" else b"NO"
                connection.sendall(struct.pack("!H", len(answer)) + answer)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.listener.close()


class Cyrus(Server):
    PROGRAMS = [str(UNPACKED / "usr/lib/cyrus/bin/imapd"), str(UNPACKED / "usr/lib/cyrus/bin/master")]

    def __init__(self, folder, authority):
        super().__init__(folder)
        self.programs, self.libraries = self.folder / "bin", self.folder / "lib"
        self.programs.mkdir()
        for name in ("master", "imapd", "idled"):
            shutil.copy(UNPACKED / "usr/lib/cyrus/bin" / name, self.programs)
        shutil.copytree(next(UNPACKED.glob("usr/lib/*/libcyrus.so.0")).parent, self.libraries, ignore=shutil.ignore_patterns("sasl2"))
        for name in ("conf", "conf/socket", "spool", "sockets", "tls"):
            (self.folder / name).mkdir()
            shutil.chown(self.folder / name, USER, USER)
        for name in ("server.pem", "server.key"):
            shutil.copy(authority.folder / name, self.folder / "tls")
            shutil.chown(self.folder / "tls" / name, USER, USER)
        self.authority = authority
        self.passwords = Passwords(self.folder / "sockets/mux")

    def command(self):
        return ["/usr/bin/env", f"LD_LIBRARY_PATH={self.libraries}", str(self.programs / "master"), "-C", str(self.folder / "imapd.conf"),
                "-M", str(self.folder / "cyrus.conf"), "-p", str(self.folder / "conf/pid")]

    def start(self):
        return self.run(self.command(), self.answers, self.folder / "log")

    def again(self):
        """After kill(): on the same ports."""
        with open(self.folder / "output", "ab") as output:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        wait_for(self.answers, "cyrus answers again")

    def close(self):
        super().close()
        self.passwords.close()

    def answers(self):
        try:
            self.imap("probe").logout()
            return True
        except (OSError, imaplib.IMAP4.error):
            return False

    def imap(self, user):
        context = ssl.create_default_context(cafile=str(self.authority.folder / "ca.pem"))
        connection = imaplib.IMAP4_SSL("localhost", self.secure_port, ssl_context=context, timeout=20)
        # A literal goes out in two writes, the second of which would wait for the other side.
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.login(user, "secret")
        return connection

    def configure(self):
        self.secure_port = free_port()
        (self.folder / "imapd.conf").write_text(f"""
configdirectory: {self.folder}/conf
defaultpartition: default
partition-default: {self.folder}/spool
cyrus_user: {USER}
admins: admin
servername: localhost
sasl_pwcheck_method: saslauthd
sasl_saslauthd_path: {self.folder}/sockets/mux
sasl_mech_list: PLAIN LOGIN
allowplaintext: no
autocreate_quota: 0
delete_mode: immediate
idlesocket: {self.folder}/sockets/idle
lmtpsocket: {self.folder}/sockets/lmtp
notifysocket: {self.folder}/sockets/notify
tls_server_cert: {self.folder}/tls/server.pem
tls_server_key: {self.folder}/tls/server.key
""")
        imapd = f"{self.programs}/imapd -C {self.folder}/imapd.conf"
        (self.folder / "cyrus.conf").write_text(f"""
START {{
}}
SERVICES {{
  imap cmd="{imapd}" listen="127.0.0.1:{self.port}"
  imaps cmd="{imapd} -s" listen="127.0.0.1:{self.secure_port}"
}}
EVENTS {{
}}
DAEMON {{
  idled cmd="{self.programs}/idled -C {self.folder}/imapd.conf"
}}
""")

    def fill(self, user, mails, mailbox="INBOX"):
        self.fill_all(user, {mailbox: mails})

    def fill_all(self, user, mailboxes):
        with self.imap(user) as imap:
            for mailbox, mails in mailboxes.items():
                if mailbox != "INBOX":
                    imap.create(f'"{mailbox}"')
                for data in mails:
                    done, words = imap.append(f'"{mailbox}"', "", imaplib.Time2Internaldate(time.time()), data)
                    assert done == "OK", words

    def make_anew(self, user):
        """The INBOX goes with all that is in it, and there is a new one with another UIDVALIDITY."""
        with self.imap("admin") as imap:
            for words in (imap.setacl(f"user/{user}", "admin", "lrswipkxtecda"), imap.delete(f"user/{user}")):
                assert words[0] == "OK", words
            imap.create(f"user/{user}")  # unless whoever logged in meanwhile has got one already
