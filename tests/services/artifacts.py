"""The cache of what was fetched: `gpu-rescue/NAME-VERSION-RECIPE`, whole or not there at all.

For root it is under /var/cache, for others under ~/.cache (or XDG_CACHE_HOME): Elasticsearch refuses to run as root,
and the user it runs as instead cannot look into /root.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.services.errors import DamagedError
from tests.services.locks import locked

FETCH_LIMIT = 1800.0
"""Seconds that a fetch by another process is waited for."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """A server's program files. `recipe` is all that decides what they are: another recipe is another folder."""

    name: str
    version: str
    recipe: bytes
    size: str
    """What is fetched, for people who wait for it."""
    fetch: Callable[[Path, Path], None]
    """Fill the folder of the first argument; the second one is for what is thrown away. Raises MissingError."""

    @property
    def folder(self) -> str:
        """The name of its folder in the cache."""
        return f"{self.name}-{self.version}-{hashlib.sha256(self.recipe).hexdigest()[:8]}"


def cache() -> Path:
    """The folder of everything that is kept between runs."""
    if os.geteuid() == 0:
        return Path("/var/cache/gpu-rescue")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gpu-rescue"


def placed(artifact: Artifact, root: Path | None = None) -> Path:
    """Return the artifact's folder, fetched now if it is not in the cache yet.

    Raises MissingError, or DamagedError when what came is not what is pinned.
    """
    root = root or cache()
    place = root / artifact.folder
    if place.is_dir():
        return place
    with locked(root / f".{artifact.folder}.lock", FETCH_LIMIT, f"fetching {artifact.name} {artifact.version}"):
        if not place.is_dir():
            _fetch(artifact, place)
    return place


def _fetch(artifact: Artifact, place: Path) -> None:
    began = time.monotonic()
    print(f"fetching {artifact.name} {artifact.version} ({artifact.size}, once)", file=sys.stderr, flush=True)
    for interrupted in place.parent.glob(f".{artifact.folder}.partial-*"):
        shutil.rmtree(interrupted)
    with tempfile.TemporaryDirectory(prefix=f".{artifact.folder}.partial-", dir=place.parent) as scratch:
        whole = Path(scratch) / "whole"
        whole.mkdir()
        artifact.fetch(whole, Path(scratch))
        # Only a whole folder ever has the final name, whenever this process is killed.
        whole.rename(place)
    print(f"fetched {artifact.name} in {time.monotonic() - began:.0f} s: {place}", file=sys.stderr, flush=True)


def pins(text: str) -> dict[str, str]:
    """Read `sha256sum` lines: the file's name, and its checksum."""
    pairs = (line.split() for line in text.splitlines() if line)
    return {name: checksum for checksum, name in pairs}


def verify(folder: Path, pinned: Mapping[str, str]) -> None:
    """Raise DamagedError unless *folder* holds exactly the *pinned* files with these checksums."""
    found = {path.name: _checksum(path) for path in folder.iterdir() if path.is_file()}
    wrong = sorted(name for name in found.keys() | pinned.keys() if found.get(name) != pinned.get(name))
    if wrong:
        told = ", ".join(f"{name}: {found.get(name, 'missing')}, not {pinned.get(name, 'pinned')}" for name in wrong)
        raise DamagedError(f"what was fetched into {folder} is not what the repository has pinned: {told}")


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
