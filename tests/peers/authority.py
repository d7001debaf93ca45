# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests."""
import pathlib
import subprocess


class Authority:
    """A certificate authority, and one certificate of it for the name "localhost"."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", "/CN=Test", "-keyout", "ca.key", "-out", "ca.pem")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                     "-keyout", "server.key", "-out", "server.csr")
        (self.folder / "names").write_text("subjectAltName=DNS:localhost\n")
        self.openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "2", "-extfile", "names", "-out", "server.pem")

    def certificate(self, name, alternative="DNS:localhost", expired=False):
        """Another one of this authority for CN=localhost, in a folder of its own as the first is."""
        made = object.__new__(Authority)
        made.folder = self.folder / name
        made.folder.mkdir()
        made.folder.chmod(0o755)
        made.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
                     "-keyout", "server.key", "-out", "server.csr")
        (made.folder / "names").write_text(f"subjectAltName={alternative}\n" if alternative else "basicConstraints=CA:FALSE\n")
        (made.folder / "issued").touch()
        (made.folder / "serial").write_text("10\n")
        (made.folder / "ca.cnf").write_text("[ca]\ndefault_ca=own\n[own]\ndatabase=issued\nserial=serial\nnew_certs_dir=.\n"
                                            "default_md=sha256\npolicy=policy\n[policy]\ncommonName=supplied\n")
        for part in ("ca.pem", "ca.key"):
            (made.folder / part).write_bytes((self.folder / part).read_bytes())
        time = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"] if expired else ["-days", "2"]
        made.openssl("ca", "-batch", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-in", "server.csr",
                     "-out", "server.pem", "-notext", "-extfile", "names", *time)
        return made

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, stdin=subprocess.DEVNULL)
