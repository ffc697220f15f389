"""Services that go on when the command that started them is done, and how they are found again."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.services.artifacts import cache
from tests.services.identities import Identity
from tests.services.locks import locked
from tests.services.processes import Command, Launch, Process, detached, end
from tests.services.server import Server
from tests.services.table import SERVICES

START_LIMIT = 1800.0
"""Seconds that another start, with its fetches, is waited for."""

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Running:
    """A service in the background, one process or several. Its folder, data and logs in it, goes with it."""

    name: str
    processes: tuple[Identity, ...]
    """In the order in which they started."""
    folder: Path
    addresses: Mapping[str, str]

    def __str__(self) -> str:
        told = ", ".join(self.addresses.values())
        pids = ", ".join(str(process.pid) for process in self.processes)
        return f"{self.name:<15}{told:<25} pid {pids}, in {self.folder}"

    def alive(self) -> bool:
        """Tell whether all of it runs still."""
        return all(process.alive() for process in self.processes)


class Background:
    """The services of this user, in a state file: each with its processes, told from any later ones by their start."""

    def __init__(
        self,
        root: Path | None = None,
        services: Mapping[str, Callable[[Path, Launch], Server]] = SERVICES,
    ) -> None:
        self._root = (root or cache()) / "run"
        self._services = services

    def running(self) -> list[Running]:
        """Return what runs now."""
        return [service for service in self._read().values() if service.alive()]

    def start(self, tell: Tell) -> list[Running]:
        """Start what does not run yet and return all that runs, ready.

        Raises MissingError, DamagedError, StartError, and TimeoutError when another start takes too long.
        """
        with self._alone("starting or stopping services"):
            for name in self._services:
                found = self._read().get(name)
                if found and found.alive():
                    tell(f"{name} is running already")
                    continue
                if found:
                    tell(f"{name} had been started and is gone; it is started anew")
                    self._end(found)
                tell(f"starting {name}")
                self._start(name)
            return self.running()

    def stop(self, tell: Tell) -> None:
        """Stop what runs and remove its data; what has ended by itself is forgotten, and nothing else is touched."""
        with self._alone("starting or stopping services"):
            for service in reversed(self._read().values()):
                alive = service.alive()
                self._end(service)
                tell(f"stopped {service.name}" if alive else f"{service.name} was not running any more")

    def _start(self, name: str) -> None:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._root))
        folder.chmod(0o755)
        started: list[Identity] = []

        def recorded(command: Command) -> Process:
            process = detached(command)
            started.append(process.identity)
            # Known before it is ready: whoever is killed while waiting for it leaves nothing unknown behind.
            self._write({**self._read(), name: Running(name, tuple(started), folder, server.addresses)})
            return process

        server = self._services[name](folder, recorded)
        try:
            server.start()
        except BaseException:
            server.stop()
            self._write({known: service for known, service in self._read().items() if known != name})
            shutil.rmtree(folder)
            raise

    def _end(self, service: Running) -> None:
        for process in reversed(service.processes):
            end(process)
        shutil.rmtree(service.folder, ignore_errors=True)
        self._write({name: known for name, known in self._read().items() if name != service.name})

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(self._root / ".lock", START_LIMIT, what):
            yield

    @property
    def _state(self) -> Path:
        return self._root / "services.json"

    def _read(self) -> dict[str, Running]:
        try:
            found = json.loads(self._state.read_text())
        except FileNotFoundError:
            return {}
        return {
            name: Running(
                name,
                tuple(Identity(**process) for process in fields["processes"]),
                Path(fields["folder"]),
                fields["addresses"],
            )
            for name, fields in found.items()
        }

    def _write(self, services: Mapping[str, Running]) -> None:
        state = {name: asdict(service) | {"folder": str(service.folder)} for name, service in services.items()}
        written = self._state.with_suffix(".new")
        written.write_text(json.dumps(state, indent=2) + "\n")
        written.replace(self._state)
