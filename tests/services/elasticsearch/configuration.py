"""A node's folder of configuration."""

import base64
import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.services.certificates import Certificate

ROUNDS = 10000
RESERVED = frozenset(
    ["elastic", "kibana", "kibana_system", "logstash_system", "beats_system", "apm_system", "remote_monitoring_user"]
)
"""Names that the node keeps for its own realm, which is asked before its files are."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody whom the node knows from its files, before any index; others are made by its API."""

    name: str
    password: str
    roles: tuple[str, ...] = ("superuser",)

    def __post_init__(self) -> None:
        if self.name in RESERVED:
            raise ValueError(f"Elasticsearch takes the password of {self.name} from elsewhere: choose another name")


def settings(
    folder: Path, http: int, transport: int, users: Sequence[User], certificate: Certificate | None
) -> dict[str, str]:
    """Return what elasticsearch.yml says of a single node: security where it has users, TLS with a certificate."""
    found = {
        "cluster.name": "test",
        "node.name": "test",
        "path.data": str(folder / "data"),
        "path.logs": str(folder / "logs"),
        "network.host": "127.0.0.1",
        "http.port": str(http),
        "transport.port": str(transport),
        "discovery.type": "single-node",
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "xpack.security.enabled": "true" if users else "false",
    }
    if certificate:
        found |= {
            "xpack.security.http.ssl.enabled": "true",
            "xpack.security.http.ssl.key": str(certificate.key),
            "xpack.security.http.ssl.certificate": str(certificate.certificate),
            "xpack.security.http.ssl.certificate_authorities": str(certificate.authority),
        }
    return found


def write(home: Path, folder: Path, found: Mapping[str, str], users: Sequence[User]) -> None:
    """Make *folder* the node's configuration: the shipped one of *home*, with these settings and users."""
    shutil.copytree(home / "config", folder, dirs_exist_ok=True)
    options = (home / "config" / "jvm.options").read_text().splitlines()
    # The collector is chosen by the node's environment, for little memory; its log would be in the program's folder.
    kept = [line for line in options if "UseG1GC" not in line and "gc.log" not in line]
    (folder / "jvm.options").write_text("\n".join(kept) + "\n")
    (folder / "elasticsearch.yml").write_text("".join(f"{name}: {value}\n" for name, value in found.items()))
    (folder / "users").write_text("".join(f"{user.name}:{_hashed(user.password)}\n" for user in users))
    roles = sorted({role for user in users for role in user.roles})
    (folder / "users_roles").write_text(
        "".join(f"{role}:{','.join(user.name for user in users if role in user.roles)}\n" for role in roles)
    )


def _hashed(password: str) -> str:
    salt = os.urandom(32)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS, 32)
    return f"{{PBKDF2}}{ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
