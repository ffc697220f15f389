"""Debian's packages of rsyslog and of what it loads (GPL-3), unpacked and not installed."""

import shutil
import subprocess
from pathlib import Path

from tests.services.artifacts import Artifact
from tests.services.errors import MissingError

PACKAGES = ("rsyslog", "rsyslog-kafka", "libestr0", "libfastjson4", "liblognorm5", "librdkafka1", "libyajl2")
LIMIT = 300.0
"""Seconds that one command may take."""


def _fetch(folder: Path, scratch: Path) -> None:
    # Lists and cache of its own: those of the system may be old or not there, and are root's.
    state, cache = scratch / "state", scratch / "cache"
    for made in (state / "lists" / "partial", cache / "archives" / "partial"):
        made.mkdir(parents=True)
    apt = ("apt-get", "-q", "-o", f"Dir::State={state}", "-o", f"Dir::Cache={cache}", "-o", "APT::Sandbox::User=")
    _run((*apt, "update"), scratch)
    _run((*apt, "download", *PACKAGES), scratch)
    for package in sorted(scratch.glob("*.deb")):
        _run(("dpkg-deb", "--extract", str(package), str(folder)), scratch)


def _run(command: tuple[str, ...], scratch: Path) -> None:
    """Run *command* in *scratch*. Raises MissingError."""
    if shutil.which(command[0]) is None:
        raise MissingError(f"no {command[0]} on PATH: rsyslog is fetched as packages of Debian or Ubuntu")
    try:
        done = subprocess.run(
            command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"{' '.join(command)} did not end within {LIMIT:.0f} s") from error
    if done.returncode != 0:
        told = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise MissingError(f"{command[0]} failed; are Debian's packages reachable?\n{told}")


RSYSLOG = Artifact("rsyslog", "debian", "\n".join(PACKAGES).encode(), f"{len(PACKAGES)} packages, 2 MB", _fetch)
"""What the machine's distribution has today: apt checks the signatures, so that nothing is pinned here."""
