"""A server's process: how it is started, that it becomes ready, how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.services.errors import MissingError, StartError
from tests.services.identities import Identity, group

LEASH = Path(__file__).with_name("leash.py")
POLL = 0.05
READY_LIMIT = 180.0
"""Seconds that a server may take to become ready: far more than it needs, for a machine with much else to do."""
STOP_LIMIT = 20.0
"""Seconds between SIGTERM and SIGKILL."""


@dataclass(frozen=True, slots=True)
class Command:
    """What is started: the arguments, where its words go, and what its environment has beside ours."""

    arguments: tuple[str, ...]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Process:
    """A server that runs: the leader of a session and a process group of its own, which Ctrl-C does not reach."""

    def __init__(self, started: subprocess.Popen[bytes], log: Path) -> None:
        self._started = started
        self.log = log
        self.identity = Identity.of(started.pid)
        self._released = False

    def wait_until(self, ready: Callable[[], bool], limit: float = READY_LIMIT) -> None:
        """Return when *ready* answers True. Raises StartError when the process ends first, or after *limit* seconds."""
        until = time.monotonic() + limit
        while not ready():
            if (code := self._started.poll()) is not None:
                raise StartError(f"the server ended with {code}:\n{tail(self.log)}")
            if time.monotonic() > until:
                raise StartError(f"the server was not ready after {limit:.0f} s:\n{tail(self.log)}")
            time.sleep(POLL)

    def running(self) -> bool:
        """Tell whether the server has not ended."""
        return self._started.poll() is None

    @property
    def code(self) -> int | None:
        """What the server ended with: its exit code, or a signal's number below 0; None while it runs."""
        return self._started.poll()

    def stop(self) -> None:
        """Let it end in order; return when nothing of it is left."""
        end(self.identity)
        self._release()

    def kill(self) -> None:
        """End it as a machine that loses its power does; return when nothing of it is left."""
        kill(self.identity)
        self._release()

    def _release(self) -> None:
        if self._released:
            return
        # A leader that ended by itself may have left others. Its watcher holds the group's number until the pipe ends.
        left = group(self.identity)
        if self._started.stdin:
            self._started.stdin.close()
        self._started.wait(STOP_LIMIT)
        _finish(left)
        self._released = True


Launch = Callable[[Command], Process]


def leashed(command: Command) -> Process:
    """Start a server that ends when this process does, however that ends. May be called from any thread."""
    return _launch(command, [sys.executable, "-I", "-S", str(LEASH), *command.arguments], subprocess.PIPE)


def detached(command: Command) -> Process:
    """Start a server that outlives this process."""
    return _launch(command, list(command.arguments), subprocess.DEVNULL)


def _launch(command: Command, arguments: list[str], stdin: int) -> Process:
    with command.log.open("ab") as log:
        try:
            started = subprocess.Popen(
                arguments,
                cwd=command.folder,
                env={**os.environ, **command.environment},
                stdin=stdin,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise MissingError(f"{arguments[0]} cannot be run: {error.strerror}") from error
    return Process(started, command.log)


def end(leader: Identity, limit: float = STOP_LIMIT) -> None:
    """Send SIGTERM to a server, and SIGKILL to what is left of it when it has ended or *limit* seconds have passed."""
    if not leader.alive():
        return
    members = group(leader)
    leader.send(signal.SIGTERM)
    until = time.monotonic() + limit
    while leader.alive() and time.monotonic() < until:
        time.sleep(POLL)
    _finish(members)


def kill(leader: Identity) -> None:
    """Send SIGKILL to a server and all that it started; return when all are gone."""
    if not leader.alive():
        return
    members = group(leader)
    os.killpg(leader.pid, signal.SIGKILL)
    _finish(members)


def _finish(members: list[Identity]) -> None:
    until = time.monotonic() + STOP_LIMIT
    while members := [member for member in members if member.alive()]:
        for member in members:
            member.send(signal.SIGKILL)
        if time.monotonic() > until:
            raise TimeoutError(f"still there {STOP_LIMIT:.0f} s after SIGKILL: {members}")
        time.sleep(POLL / 5)


def tail(log: Path, lines: int = 30) -> str:
    """Return the last lines of a log, for the message of an error."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"
