"""Certificates for servers on 127.0.0.1, made when a test needs them."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.services.errors import MissingError

DAYS = 2
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True, slots=True)
class Certificate:
    """PEM files: the authority that clients trust, and a server's certificate and key (PKCS #8, without a password)."""

    authority: Path
    certificate: Path
    key: Path


def make_certificate(folder: Path, name: str = "gpu-rescue test") -> Certificate:
    """Make an authority called *name* and a certificate of it for localhost and 127.0.0.1, valid for two days.

    Raises MissingError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "ca.crt", folder / "server.crt", folder / "server.key")
    authority_key = folder / "ca.key"
    _request(
        made.authority,
        authority_key,
        f"/CN={name}",
        "basicConstraints=critical,CA:TRUE",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    _request(
        made.certificate,
        made.key,
        "/CN=localhost",
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=serverAuth,clientAuth",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        signed_by=("-CA", str(made.authority), "-CAkey", str(authority_key)),
    )
    return made


def _request(out: Path, key: Path, subject: str, *extensions: str, signed_by: tuple[str, ...] = ()) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        raise MissingError("no openssl on PATH; install OpenSSL 3 (Debian: apt-get install openssl)")
    added = [word for extension in extensions for word in ("-addext", extension)]
    # Without a configuration file: the system's may add extensions of its own, and then each is there twice.
    files = ("-keyout", str(key), "-out", str(out))
    command = [openssl, "req", "-x509", "-config", "/dev/null", *KEY, *files, "-days", str(DAYS)]
    done = subprocess.run(
        [*command, "-subj", subject, *added, *signed_by], capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode != 0:
        raise MissingError(f"openssl could not make {out.name}; OpenSSL 3 is needed: {done.stderr.strip()}")
