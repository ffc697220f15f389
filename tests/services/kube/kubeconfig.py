"""Who comes in, and by which file."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who comes in by a fixed token. Whoever is not in the group `system:masters` may do what RBAC allows."""

    name: str
    token: str
    groups: tuple[str, ...] = ()


ADMIN = User("admin", "admin-token", ("system:masters",))


def write_tokens(path: Path, users: Iterable[User]) -> None:
    """Write the API server's file of fixed tokens."""
    path.write_text("".join(f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"\n' for user in users))


def write_kubeconfig(path: Path, url: str, authority: Path, token: str) -> None:
    """Write the file by which whoever has *token* comes in; only its owner may read it."""
    path.touch(0o600)
    path.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority": str(authority)}}],
                "users": [{"name": "test", "user": {"token": token}}],
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                "current-context": "test",
            }
        )
    )
