"""Go as the way by which programs of Kubernetes come to this machine: built from modules with known checksums."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.services.errors import MissingError
from tests.services.processes import POLL, Command, Process, leashed, tail

LEAST = (1, 26)
"""What Kubernetes 1.37 is written in."""
LIMIT = 1700.0
"""Seconds that one build may take: a first one takes 6 to 9 minutes on 2 cores."""
TOLD_EVERY = 15.0
VERSION = re.compile(r"go(\d+)\.(\d+)")


def find_go() -> str:
    """Return the version of the Go on PATH, such as `go1.26.8`. Raises MissingError."""
    go = shutil.which("go")
    right = f"install Go {'.'.join(map(str, LEAST))} or later and put it on PATH"
    if go is None:
        raise MissingError(f"no go on PATH; {right}")
    done = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, timeout=60, check=False)
    version = done.stdout.strip()
    found = VERSION.match(version)
    if found is None or (int(found[1]), int(found[2])) < LEAST:
        raise MissingError(f"{go} is {version or 'of no known version'}, too old; {right}")
    return version


def build(what: str, arguments: tuple[str, ...], scratch: Path, environment: Mapping[str, str]) -> None:
    """Run a build that names each package it compiles (`go ... -v`), and tell how far it is; it ends with this process.

    Raises MissingError.
    """
    # Its own folder for what is between: a build that is killed leaves it there, to be removed with *scratch*.
    between = {"GOTMPDIR": str(scratch), "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    process = leashed(Command(arguments, scratch, scratch / "log", {**between, **environment}))
    try:
        _follow(what, process)
    finally:
        process.kill()
    if process.code != 0:
        raise MissingError(f"{what} could not be built; is a proxy of Go modules reachable?\n{tail(process.log, 12)}")


def _follow(what: str, process: Process) -> None:
    began = told = time.monotonic()
    while process.running():
        time.sleep(POLL)
        now = time.monotonic()
        if now - began > LIMIT:
            raise MissingError(f"{what} was not built within {LIMIT:.0f} s:\n{tail(process.log, 12)}")
        if now - told > TOLD_EVERY:
            told = now
            print(f"building {what}: {_progress(process.log)}, {now - began:.0f} s", file=sys.stderr, flush=True)


def _progress(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    fetched = sum(line.startswith("go: downloading ") for line in lines)
    return f"{fetched} modules fetched, {len(lines) - fetched} packages compiled"
