"""Processes of servers: they end when they should, all of them, and no other one does."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.errors import MissingError, StartError
from tests.services.identities import Identity, group
from tests.services.processes import Command, Launch, Process, detached, end, kill, leashed

LIMIT = 30
# Its child stands for the JVM that Elasticsearch's launcher starts.
WITH_A_CHILD = "sleep 600 & echo up; wait"
DEAF = "trap '' TERM; sleep 600 & echo up; wait; wait"
STARTER = """
import sys, time
from pathlib import Path
from tests.services.processes import Command, LAUNCH
process = LAUNCH(Command(("sh", "-c", sys.argv[2]), Path(sys.argv[1]), Path(sys.argv[1]) / "log"))
print(process.identity.pid, flush=True)
time.sleep(600)
"""

Started = Callable[[str, Launch], Process]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    processes: list[Process] = []

    def start(script: str, launch: Launch) -> Process:
        process = launch(Command(("sh", "-c", script), tmp_path, tmp_path / "log"))
        processes.append(process)
        process.wait_until(lambda: "up" in process.log.read_text(), LIMIT)
        return process

    yield start
    for process in processes:
        process.kill()


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + LIMIT
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


@pytest.mark.parametrize("launch", [leashed, detached])
@pytest.mark.parametrize("ending", [Process.stop, Process.kill])
def test_nothing_of_a_server_is_left(started: Started, launch: Launch, ending: Callable[[Process], None]) -> None:
    process = started(WITH_A_CHILD, launch)
    assert len(group(process.identity)) >= 2
    ending(process)
    assert not process.running()
    assert group(process.identity) == []


def test_a_server_that_is_deaf_to_sigterm_is_killed_at_the_limit(started: Started) -> None:
    process = started(DEAF, detached)
    end(process.identity, limit=0.2)
    assert not process.identity.alive()
    assert process.running() is False


@pytest.mark.parametrize(
    ("launch", "survives"),
    [pytest.param("leashed", False, id="leashed"), pytest.param("detached", True, id="detached")],
)
def test_a_starter_that_is_killed(launch: str, survives: bool, tmp_path: Path) -> None:
    code = STARTER.replace("LAUNCH", launch)
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), WITH_A_CHILD], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout
        server = Identity.of(int(starter.stdout.readline()))
        assert eventually(lambda: "up" in (tmp_path / "log").read_text())
        starter.kill()
    if survives:
        time.sleep(0.5)
        assert len(group(server)) == 2
        kill(server)
    assert eventually(lambda: not group(server))


def test_what_a_server_left_behind_when_it_died_by_itself_is_ended_too(started: Started) -> None:
    process = started(WITH_A_CHILD, leashed)
    process.identity.send(signal.SIGKILL)
    assert eventually(lambda: not process.running())
    left = group(process.identity)
    assert left
    process.stop()
    assert not any(member.alive() for member in left)


def test_a_number_that_another_process_has_by_now_is_not_signalled(started: Started) -> None:
    process = started(WITH_A_CHILD, detached)
    earlier = Identity(process.identity.pid, process.identity.started - 1, process.identity.boot)
    another_boot = Identity(process.identity.pid, process.identity.started, "another")
    for stale in (earlier, another_boot):
        assert not stale.alive()
        stale.send(signal.SIGKILL)
        end(stale, limit=0.2)
        kill(stale)
    time.sleep(0.2)
    assert process.running()


def test_a_server_that_ends_before_it_is_ready_says_its_last_words(tmp_path: Path) -> None:
    process = leashed(Command(("sh", "-c", "sleep 0.2; echo port is taken; exit 3"), tmp_path, tmp_path / "log"))
    with pytest.raises(StartError, match=r"ended with 3:\nport is taken"):
        process.wait_until(lambda: False, LIMIT)
    process.stop()


def test_a_server_that_does_not_become_ready_says_its_last_words(started: Started) -> None:
    process = started(WITH_A_CHILD, leashed)
    with pytest.raises(StartError, match=r"not ready after 0 s:\nup"):
        process.wait_until(lambda: False, 0.1)


def test_a_program_that_is_not_there_is_told(tmp_path: Path) -> None:
    process = leashed(Command(("no-such-program",), tmp_path, tmp_path / "log"))
    with pytest.raises(StartError, match="no-such-program"):
        process.wait_until(lambda: False, LIMIT)
    process.stop()
    with pytest.raises(MissingError, match="no-such-program"):
        detached(Command(("no-such-program",), tmp_path, tmp_path / "log"))
