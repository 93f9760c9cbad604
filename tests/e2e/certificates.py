"""A certificate authority of the test's own, by Debian's openssl: certificates for 127.0.0.1 that are good, expired, encrypted or another's."""

import datetime
import pathlib
import shutil
import ssl
import subprocess
import unittest


class Authority:
    def __init__(self, folder):
        if shutil.which("openssl") is None:
            raise unittest.SkipTest("openssl is absent")
        self.folder = pathlib.Path(folder)
        self.certificate = self.folder / "ca.pem"
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=test authority",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", "ca.key", "-out", "ca.pem")

    def openssl(self, *arguments, stdin=None):
        result = subprocess.run(["openssl", *map(str, arguments)], cwd=self.folder, input=stdin, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise AssertionError(f"openssl {arguments}: {result.stderr}")
        return result.stdout

    def issue(self, name, days=30, kind="ec", password=None):
        """NAME.pem and NAME.key; days < 0: expired so long ago. Returns both paths."""
        curve = ["-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["-pkeyopt", "rsa_keygen_bits:2048"]
        protection = ["-aes256", "-pass", f"pass:{password}"] if password else []
        self.openssl("genpkey", "-algorithm", "EC" if kind == "ec" else "RSA", *curve, *protection, "-out", f"{name}.key")
        opened = ["-passin", f"pass:{password}"] if password else []
        self.openssl("req", "-new", "-key", f"{name}.key", *opened, "-subj", f"/CN={name}", "-out", f"{name}.csr")
        (self.folder / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\n"
                                                "extendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n")
        (self.folder / "index.txt").write_text("")
        (self.folder / "ca.cnf").write_text("[ca]\ndefault_ca=own\n[own]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\n"
                                            "policy=any\n[any]\ncommonName=supplied\n")
        end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=days)
        begin = min(end, datetime.datetime.now(datetime.timezone.utc)) - datetime.timedelta(days=1)
        self.openssl("ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-extfile", "extensions",
                     "-startdate", begin.strftime("%y%m%d%H%M%SZ"), "-enddate", end.strftime("%y%m%d%H%M%SZ"), "-in", f"{name}.csr", "-out", f"{name}.pem")
        (self.folder / f"{name}.key").chmod(0o600)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def client(self, **limits):
        """What a client needs that trusts this authority alone. limits: attributes of the context."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        for name, value in limits.items():
            setattr(context, name, value)
        return context
