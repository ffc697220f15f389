"""`make services`: started once, found again, stopped without touching anything else."""

import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from tests.services.background import Background
from tests.services.errors import StartError
from tests.services.identities import Identity
from tests.services.processes import Command, Launch, Process


class Sleeper:
    """A server that serves nobody; `words` is what its shell runs."""

    started: ClassVar[list[Process]] = []

    def __init__(self, folder: Path, launch: Launch, words: str = "sleep 600") -> None:
        self.folder = folder
        self.process: Process | None = None
        self._launch = launch
        self._words = words

    @property
    def addresses(self) -> Mapping[str, str]:
        return {"PLAINTEXT": "127.0.0.1:20000"}

    def start(self) -> None:
        self.process = self._launch(Command(("sh", "-c", self._words), self.folder, self.folder / "log"))
        self.started.append(self.process)
        time.sleep(0.2)
        self.process.wait_until(self.process.running, 5)

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()


class Pair(Sleeper):
    """A server of two processes."""

    def start(self) -> None:
        super().start()
        super().start()


def end_by_itself(process: Identity) -> None:
    process.send(signal.SIGKILL)
    while process.alive():
        time.sleep(0.02)


def broken(folder: Path, launch: Launch) -> Sleeper:
    return Sleeper(folder, launch, "echo the disk is full; exit 1")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def reaped() -> Iterator[None]:
    """They outlive who started them, but not this test."""
    yield
    while Sleeper.started:
        Sleeper.started.pop().kill()


@pytest.fixture
def background(tmp_path: Path, reaped: None) -> Background:
    return Background(tmp_path, {"one": Sleeper, "two": Sleeper})


def test_a_second_start_finds_what_runs(background: Background, said: list[str]) -> None:
    started = background.start(said.append)
    assert [service.name for service in started] == ["one", "two"]
    assert said == ["starting one", "starting two"]
    assert background.start(said.append) == started
    assert said[2:] == ["one is running already", "two is running already"]
    assert "127.0.0.1:20000" in str(started[0])
    assert str(started[0].processes[0].pid) in str(started[0])


def test_a_stop_ends_what_was_started_and_removes_its_data(background: Background, said: list[str]) -> None:
    started = background.start(said.append)
    assert all(service.folder.is_dir() for service in started)
    background.stop(said.append)
    assert said[2:] == ["stopped two", "stopped one"]
    assert not any(service.alive() or service.folder.exists() for service in started)
    background.stop(said.append)
    assert len(said) == 4


def test_what_has_ended_by_itself_is_started_anew(background: Background, said: list[str]) -> None:
    one, two = background.start(said.append)
    end_by_itself(one.processes[0])
    assert background.running() == [two]
    again = {service.name: service for service in background.start(said.append)}
    assert again["two"] == two
    assert again["one"].processes != one.processes
    assert "one had been started and is gone; it is started anew" in said
    assert not one.folder.exists()


@pytest.mark.usefixtures("reaped")
@pytest.mark.parametrize("gone", [0, 1])
def test_one_of_two_processes_that_has_ended_is_started_anew_with_the_other(
    gone: int, tmp_path: Path, said: list[str]
) -> None:
    background = Background(tmp_path, {"pair": Pair})
    (pair,) = background.start(said.append)
    assert [process.alive() for process in pair.processes] == [True, True]
    end_by_itself(pair.processes[gone])
    assert background.running() == []
    (again,) = background.start(said.append)
    assert not any(process.alive() for process in pair.processes)
    background.stop(said.append)
    assert not any(process.alive() for process in again.processes)


def test_a_number_that_another_process_has_by_now_is_left_alone(
    background: Background, tmp_path: Path, said: list[str]
) -> None:
    service, _ = background.start(said.append)
    state = tmp_path / "run" / "services.json"
    state.write_text(state.read_text().replace(f'"started": {service.processes[0].started}', '"started": 1'))
    background.stop(said.append)
    assert "one was not running any more" in said
    assert service.alive()


@pytest.mark.usefixtures("reaped")
def test_one_that_does_not_start_leaves_nothing_and_the_others_run(tmp_path: Path, said: list[str]) -> None:
    background = Background(tmp_path, {"one": Sleeper, "two": broken})
    with pytest.raises(StartError, match="the disk is full"):
        background.start(said.append)
    assert [service.name for service in background.running()] == ["one"]
    assert [path.name[:4] for path in (tmp_path / "run").iterdir() if path.is_dir()] == ["one-"]
    background.stop(said.append)
