"""Finding a Java that is new enough."""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.services.errors import MissingError

VERSION = re.compile(r'^JAVA_VERSION="(\d+)', re.MULTILINE)
INSTALLED = Path("/usr/lib/jvm")


def find_java(least: int, tool: str = "java") -> Path:
    """Return the home of a Java of version *least* or later that has `bin/TOOL`: JAVA_HOME's, the one on PATH, or any
    under /usr/lib/jvm, in this order.

    Raises MissingError.
    """
    seen: dict[Path, int | None] = {}
    for home in _homes():
        version = seen.setdefault(home, _version(home))
        if version and version >= least and (home / "bin" / tool).is_file():
            return home
    told = ", ".join(f"{home} is {version or 'of no known version'}" for home, version in seen.items()) or "none found"
    raise MissingError(
        f"no Java {least} or later with bin/{tool} ({told}); install a JDK of {least} or later, "
        f"such as Debian's openjdk-{least}-jdk-headless or Temurin, or say where one is by JAVA_HOME"
    )


def _homes() -> Iterator[Path]:
    if given := os.environ.get("JAVA_HOME"):
        yield Path(given)
    if java := shutil.which("java"):
        yield Path(java).resolve().parents[1]
    if INSTALLED.is_dir():
        yield from sorted(path for path in INSTALLED.iterdir() if (path / "bin" / "java").is_file())


def _version(home: Path) -> int | None:
    try:
        found = VERSION.search((home / "release").read_text())
    except OSError:
        return None
    return int(found[1]) if found else None
