#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""First sync of an IMAP account, durable, beside mbsync (isync) with its default configuration on the
same Dovecot in the same run, both over TLS: imap_bench [MAILS]      (10,000)

Of mbsync counts the whole command, which syncs each mail to the disk; of Voxbus all from the start of
the daemon to the commit of the last mail. Each has a mailbox of its own with the same mails, which
Dovecot has seen before; the runs take turns, and the best of each counts. Fails below five times
the rate of mbsync.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

BUILD = pathlib.Path(sys.argv[0]).absolute().parent.parent  # build/release/bin/imap_bench leads here
ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/peers"), str(ROOT / "tests/flow")]
import voxbus_daemon
voxbus_daemon.BUILD = BUILD
from authority import Authority
from dovecot import Dovecot
from servers import need

MAILS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
LEAST = 5
ROUNDS = 2
WORDS = "order parcel yesterday still waiting lamp refund please call back number wrong invoice thank you again".split()


def mails():
    for number in range(MAILS):
        text = "\n".join(" ".join(WORDS[(number * 7 + i * 13 + k * k) % len(WORDS)] for i in range(11)) for k in range(20))
        yield voxbus_daemon.mail(f"{number}@example.org", f"About order {number}", text, f"Customer {number % 900} <c{number % 900}@example.org>")


def prepare(dovecot, user, all_mails):
    dovecot.fill(user, all_mails)
    with dovecot.imap(user) as imap:  # it has found and numbered them
        count = int(imap.select("INBOX", readonly=True)[1][0])
        assert count == MAILS, count


def mbsync_rate(folder, dovecot, user, authority):
    folder.mkdir()
    (folder / "mbsyncrc").write_text(f"""
IMAPAccount account
Host localhost
Port {dovecot.secure_port}
User {user}
Pass secret
SSLType IMAPS
CertificateFile {authority.folder}/ca.pem

IMAPStore far
Account account

MaildirStore near
Inbox {folder}/inbox

Channel all
Far :far:
Near :near:
Create Near
SyncState *
""")
    begun = time.monotonic()
    done = subprocess.run(["mbsync", "-c", folder / "mbsyncrc", "-q", "all"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          check=False)
    took = time.monotonic() - begun
    count = sum(1 for _ in (folder / "inbox").glob("[nc]??/*"))
    assert done.returncode == 0 and count == MAILS, (done, count)
    shutil.rmtree(folder)
    return MAILS / took


def voxbus_rate(folder, dovecot, user, authority):
    folder.mkdir()
    secret = folder / "password"
    secret.write_text("secret")
    secret.chmod(0o600)
    daemon = voxbus_daemon.Daemon(folder / "daemon")
    daemon.main(log_level="info")
    daemon.channel("support", "email", {"imap": "localhost", "port": dovecot.secure_port, "user": user, "password": {"file": str(secret)},
                                        "authorities": str(authority.folder / "ca.pem")}, begin="all")
    def stored():
        return daemon.channel_status("support")["counts"]["stored"]

    try:
        begun = time.monotonic()
        daemon.start()
        voxbus_daemon.wait_for(lambda: stored() >= MAILS, "all are stored", 600)
        took = time.monotonic() - begun
        daemon.kill()
        daemon.start()
        assert len(daemon.events("type=interaction.received")) == MAILS, "each once, over a kill"
        return MAILS / took
    finally:
        daemon.kill()
        shutil.rmtree(folder)


def main():
    need("/usr/sbin/dovecot", "/usr/lib/dovecot/imap", "/usr/bin/openssl", "/usr/bin/mbsync")
    # On the disk of the build, where the other benchmarks are as well; /tmp may be memory.
    folder = pathlib.Path(tempfile.mkdtemp(prefix="imap-bench-", dir=BUILD))
    folder.chmod(0o755)
    dovecot = None
    try:
        authority = Authority(folder / "authority")
        dovecot = Dovecot(folder / "dovecot", authority).start()
        users = {"mbsync": mbsync_rate, "voxbus": voxbus_rate}
        for user in users:
            prepare(dovecot, user, list(mails()))
        rates = {user: 0.0 for user in users}
        for _ in range(ROUNDS):
            for user, measure in users.items():
                rate = measure(folder / user, dovecot, user, authority)
                print(f"  {user} {rate:7.0f}/s", flush=True)
                rates[user] = max(rates[user], rate)
    finally:
        if dovecot:
            dovecot.close()
        shutil.rmtree(folder, ignore_errors=True)
    ratio = rates["voxbus"] / rates["mbsync"]
    print(f"first sync of {MAILS} mails, durable: mbsync {rates['mbsync']:7.0f}/s  voxbus {rates['voxbus']:7.0f}/s  ratio {ratio:.2f}")
    if ratio < LEAST:
        print(f"  NOT AS PROMISED: at least {LEAST} times as fast as mbsync")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
