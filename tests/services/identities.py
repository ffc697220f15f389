"""Processes told apart by more than their number, which the system gives to another one day."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process: its id, and when it started, in clock ticks of which boot."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Identity":
        """Return who has *pid* now, also when it has ended and waits to be reaped. Raises ProcessLookupError."""
        status = _status(pid)
        if status is None:
            raise ProcessLookupError(f"there is no process {pid}")
        return cls(pid, status.started, _boot())

    def alive(self) -> bool:
        """Tell whether it runs still."""
        status = _status(self.pid)
        return status is not None and not status.ended and status.started == self.started and _boot() == self.boot

    def send(self, number: signal.Signals) -> None:
        """Send it a signal if it runs still, and never to another process that has its number by now."""
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(self.pid)
            try:
                # Whom the descriptor means is fixed; whether that is the one we know is looked up after.
                if self.alive():
                    signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)


def group(leader: Identity) -> list[Identity]:
    """Return the living members of the process group that *leader* leads or led."""
    members = (_member(leader, int(path.name)) for path in PROCESSES.iterdir() if path.name.isdecimal())
    return [member for member in members if member]


def _member(leader: Identity, pid: int) -> Identity | None:
    status = _status(pid)
    if status is None or status.ended or status.group != leader.pid or status.started < leader.started:
        return None
    return Identity(pid, status.started, leader.boot)


@dataclass(frozen=True, slots=True)
class _Status:
    ended: bool
    group: int
    started: int


def _status(pid: int) -> _Status | None:
    try:
        text = (PROCESSES / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # proc(5): the second field is the command in parentheses, and may hold anything.
    fields = text.rpartition(")")[2].split()
    state, group_id, started = fields[0], int(fields[2]), int(fields[19])
    return _Status(state in "ZX", group_id, started)


def _boot() -> str:
    return (PROCESSES / "sys/kernel/random/boot_id").read_text().strip()
