"""Maven as the way by which programs of the JVM come to this machine."""

import shutil
import subprocess
from pathlib import Path

from tests.services.errors import MissingError

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"
LIMIT = 1500.0
"""Seconds that one run of Maven may take: the largest artifact has 950 MB."""


def run_maven(goal: str, scratch: Path, **properties: object) -> Path:
    """Run a goal of the dependency plugin in *scratch* and return the local repository it filled.

    That repository is one of its own, thrown away with *scratch*: nothing is left in the user's, and nothing that an
    interrupted run left there is used. Raises MissingError.
    """
    maven = shutil.which("mvn")
    if maven is None:
        raise MissingError("no mvn on PATH; install Maven 3.6 or later (Debian: apt-get install maven)")
    repository = scratch / "repository"
    arguments = [f"-D{name.replace('_', '.')}={value}" for name, value in properties.items()]
    command = [maven, "-B", "-q", f"-Dmaven.repo.local={repository}", f"{PLUGIN}:{goal}", *arguments]
    try:
        done = subprocess.run(
            command, cwd=scratch, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MissingError(f"mvn {goal} did not end within {LIMIT:.0f} s") from error
    if done.returncode != 0:
        told = "\n".join((done.stdout + done.stderr).strip().splitlines()[:12])
        raise MissingError(f"mvn {goal} failed; is a Maven repository reachable?\n{told}")
    return repository
