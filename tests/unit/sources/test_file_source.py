"""Log files, read to their end or followed: what is delivered, under which time and name, and what is refused."""

import asyncio
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.clock import ManualClock
from pipeline.errors import BadInputError
from pipeline.sources.file import FileSource, FileSourceConfig
from pipeline.sources.port import Delivery

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)


def everything(_: bytes) -> bool:
    return True


class Reading:
    """A source that is read in the background and pauses until it is told to look again."""

    def __init__(self, path: Path, clock: ManualClock | None = None, **settings: Any) -> None:
        self.clock = clock or ManualClock(START)
        self.source = FileSource(FileSourceConfig(path=path, **settings), everything, self.clock, self._pause)
        self.pauses: list[float] = []
        self._idle, self._go_on = asyncio.Event(), asyncio.Event()
        self._delivered: list[Delivery] = []
        self._task = asyncio.create_task(self._read())

    async def look(self) -> list[Delivery]:
        """Let it read until it pauses or ends and return what it delivered since the last look."""
        self._go_on.set()
        idle = asyncio.create_task(self._idle.wait())
        await asyncio.wait({idle, self._task}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        idle.cancel()
        if self._task.done():
            self._task.result()
        self._idle.clear()
        delivered, self._delivered = self._delivered, []
        return delivered

    async def lines(self) -> list[bytes]:
        return [delivery.payload for delivery in await self.look()]

    async def stop(self) -> None:
        """Shut down as a program does that is told to."""
        await self.crash()
        await self.source.close()

    async def crash(self) -> None:
        """Stop without closing anything."""
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=10)

    async def _read(self) -> None:
        async for delivery in self.source.deliveries():
            self._delivered.append(delivery)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._go_on.clear()
        self._idle.set()
        await self._go_on.wait()


def append(path: Path, content: bytes) -> None:
    with path.open("ab") as file:
        file.write(content)


def modify(path: Path, moment: datetime) -> None:
    os.utime(path, (moment.timestamp(), moment.timestamp()))


def rename(path: Path) -> None:
    for number in range(8, 0, -1):
        old = path.with_name(f"{path.name}.{number}")
        if old.exists():
            old.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


async def test_a_file_is_read_to_its_end(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\r\ntwo\nthree")
    reading = Reading(log)
    found = await reading.look()
    assert [delivery.payload for delivery in found] == [b"one", b"two", b"three"]
    assert [delivery.position.split("@")[0] for delivery in found] == ["kern.log:0", "kern.log:5", "kern.log:9"]
    assert {(delivery.time, delivery.key) for delivery in found} == {(None, None)}
    assert not reading.source.live
    assert not reading.pauses
    assert (reading.source.read, reading.source.wanted, reading.source.cut) == (3, 3, 0)


async def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    (tmp_path / "kern.log").touch()
    assert await Reading(tmp_path / "kern.log").lines() == []


async def test_a_line_of_one_mebibyte_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"a" * 1024 * 1024 + b"\nnext\n")
    assert [len(line) for line in await Reading(log).lines()] == [1024 * 1024, 4]


async def test_a_line_beyond_measure_comes_in_pieces(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"a" * (9 * 1024 * 1024) + b"\nnext\n")
    reading = Reading(log)
    assert [len(line) for line in await reading.lines()] == [4194304, 4194304, 1048576, 4]
    assert reading.source.cut == 2


async def test_a_followed_file_is_live_and_looked_at_once_a_second(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\n")
    reading = Reading(log, follow=True)
    assert await reading.lines() == [b"one"]
    append(log, b"two\nthr")
    assert await reading.lines() == [b"two"]
    assert await reading.lines() == []
    append(log, b"ee\n")
    assert await reading.lines() == [b"three"]
    assert reading.source.live
    assert reading.pauses == [1.0] * 4
    await reading.stop()


async def test_waiting_ends_when_it_is_cancelled(tmp_path: Path) -> None:
    """With the real pause: no poll, however long, holds up a shutdown."""
    source = FileSource(FileSourceConfig(path=tmp_path / "none", follow=True, poll=timedelta(hours=1)), everything)
    task = asyncio.ensure_future(anext(source.deliveries()))
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=5)
    assert done == {task}
    assert task.cancelled()


async def test_a_file_may_appear_later(tmp_path: Path) -> None:
    log = tmp_path / "later" / "kern.log"
    reading = Reading(log, follow=True, start="end")
    assert await reading.lines() == []
    log.parent.mkdir()
    append(log, b"one\n")
    assert await reading.lines() == [b"one"]
    await reading.stop()


async def test_reading_may_start_at_the_end(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"old\n")
    reading = Reading(log, follow=True, start="end")
    assert await reading.lines() == []
    append(log, b"new\n")
    assert await reading.lines() == [b"new"]
    await reading.stop()


async def test_a_renamed_file_is_finished_before_the_next_one(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\n")
    reading = Reading(log, follow=True)
    await reading.look()
    append(log, b"two\n")
    rename(log)
    log.write_bytes(b"three\n")
    assert await reading.lines() == [b"two", b"three"]
    await reading.stop()


async def test_a_writer_that_is_late_to_turn_to_the_new_file_loses_nothing(tmp_path: Path) -> None:
    """logrotate renames, makes the new file, and only then tells the writer."""
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\n")
    reading = Reading(log, follow=True)
    await reading.look()
    with log.open("ab", buffering=0) as writer:
        rename(log)
        log.touch()
        assert await reading.lines() == []
        writer.write(b"two\n")
        assert await reading.lines() == [b"two"]
        writer.write(b"three\nfour")
    append(log, b"five\n")
    assert await reading.lines() == [b"three", b"four", b"five"]
    await reading.stop()


async def test_rotations_between_two_looks_are_all_gone_through(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"0\n")
    reading = Reading(log, follow=True)
    await reading.look()
    for number in range(1, 5):
        rename(log)
        log.write_bytes(b"%d\n" % number)
    assert await reading.lines() == [b"1", b"2", b"3", b"4"]
    await reading.stop()


async def test_a_truncated_file_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\ntwo\n")
    reading = Reading(log, follow=True)
    await reading.look()
    log.write_bytes(b"new\n")
    assert await reading.lines() == [b"new"]
    await reading.stop()


async def test_a_truncated_file_that_has_outgrown_its_old_size_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\n")
    reading = Reading(log, follow=True)
    await reading.look()
    log.write_bytes(b"another and longer line\n")
    assert await reading.lines() == [b"another and longer line"]
    await reading.stop()


async def test_a_truncated_file_that_begins_as_before_is_known_by_its_size(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    header = b"the same header\n" * 100
    log.write_bytes(header + b"one\ntwo\n")
    reading = Reading(log, follow=True)
    await reading.look()
    log.write_bytes(header + b"new\n")
    assert (await reading.lines())[100:] == [b"new"]
    await reading.stop()


async def test_what_was_not_read_before_a_truncation_is_read_from_the_copy(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\nhalf")
    reading = Reading(log, follow=True)
    await reading.look()
    append(log, b" a line\ntwo\n")
    shutil.copyfile(log, tmp_path / "kern.log.1")
    log.write_bytes(b"three\n")
    assert await reading.lines() == [b"half a line", b"two", b"three"]
    await reading.stop()


async def test_zeros_that_a_writer_leaves_in_a_truncated_file_are_passed_over(tmp_path: Path) -> None:
    """A writer that does not append goes on at its old offset; what is before that reads as zeros."""
    log = tmp_path / "kern.log"
    with log.open("wb", buffering=0) as writer:
        writer.write(b"one\n" * 1000)
        reading = Reading(log, follow=True)
        await reading.look()
        os.truncate(log, 0)
        writer.write(b"NVRM: Xid\n")
    assert await reading.lines() == [b"NVRM: Xid"]
    await reading.stop()


async def test_a_deleted_file_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\n")
    reading = Reading(log, follow=True)
    await reading.look()
    log.unlink()
    assert await reading.lines() == []
    log.write_bytes(b"two\n")
    assert await reading.lines() == [b"two"]
    await reading.stop()


async def test_equal_lines_at_equal_offsets_of_a_file_begun_anew_have_positions_of_their_own(tmp_path: Path) -> None:
    """Else the second fault would count as the first one delivered again, and be missed."""
    log = tmp_path / "kern.log"
    reading = Reading(log, follow=True)
    positions = []
    for _ in range(3):
        log.write_bytes(b"NVRM: Xid (0000:03:00): 62, Channel 00000001\n")
        positions += [delivery.position for delivery in await reading.look()]
        log.write_bytes(b"")
        await reading.look()
    assert len(positions) == len(set(positions)) == 3
    await reading.stop()


async def test_reading_goes_on_at_the_saved_position(tmp_path: Path) -> None:
    log, positions = tmp_path / "kern.log", tmp_path / "positions"
    log.write_bytes(b"one\ntwo\n")
    first = Reading(log, follow=True, positions=positions)
    for delivery in await first.look():
        await delivery.ack()
    await first.stop()
    append(log, b"three\n")
    second = Reading(log, follow=True, positions=positions)
    assert await second.lines() == [b"three"]
    await second.stop()


async def test_what_was_not_acknowledged_is_delivered_again_under_the_same_position(tmp_path: Path) -> None:
    log, positions = tmp_path / "kern.log", tmp_path / "positions"
    log.write_bytes(b"one\ntwo\nthree\nfour\n")
    first = Reading(log, follow=True, positions=positions)
    before = await first.look()
    await before[0].ack()
    await before[2].ack()
    await first.stop()
    rename(log)
    log.write_bytes(b"five\n")
    second = Reading(log, follow=True, positions=positions)
    after = await second.look()
    assert [delivery.payload for delivery in after] == [b"two", b"three", b"four", b"five"]
    assert [delivery.position for delivery in after][:3] == [delivery.position for delivery in before][1:]
    await second.stop()


async def test_a_crash_between_delivery_and_acknowledgement_loses_nothing(tmp_path: Path) -> None:
    log, positions = tmp_path / "kern.log", tmp_path / "positions"
    log.write_bytes(b"one\n")
    first = Reading(log, follow=True, positions=positions)
    before = await first.look()
    await first.crash()
    second = Reading(log, follow=True, positions=positions)
    assert [delivery.position for delivery in await second.look()] == [delivery.position for delivery in before]
    await second.stop()


async def test_noise_moves_the_position(tmp_path: Path) -> None:
    log, positions = tmp_path / "kern.log", tmp_path / "positions"
    log.write_bytes(b"noise\n" * 100_000)
    settings = FileSourceConfig(path=log, positions=positions)
    first = FileSource(settings, lambda message: b"NVRM" in message)
    assert [delivery async for delivery in first.deliveries()] == []
    await first.close()
    second = FileSource(settings, everything)
    assert [delivery async for delivery in second.deliveries()] == []
    assert (first.read, second.read) == (100_000, 0)
    await second.close()


async def test_what_was_there_at_the_first_look_is_no_younger_than_its_file(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\n")
    modify(log, START - timedelta(days=3))
    reading = Reading(log, follow=True)
    assert [delivery.time for delivery in await reading.look()] == [START - timedelta(days=3)]
    await reading.stop()


async def test_a_new_line_was_not_there_at_the_last_look(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\n")
    reading = Reading(log, follow=True)
    for seconds in range(3):
        reading.clock.move_to(START + timedelta(seconds=seconds))
        await reading.look()
    append(log, b"two\n")
    reading.clock.move_to(START + timedelta(seconds=3))
    assert [delivery.time for delivery in await reading.look()] == [START + timedelta(seconds=2)]
    await reading.stop()


async def test_what_was_written_while_nobody_watched_is_as_old_as_it_may_be(tmp_path: Path) -> None:
    """After hours away, a line without a time may be hours old, however young its file: nothing must act on it."""
    log, positions = tmp_path / "kern.log", tmp_path / "positions"
    log.write_bytes(b"one\n")
    modify(log, START - timedelta(hours=9))
    first = Reading(log, follow=True, positions=positions)
    for delivery in await first.look():
        await delivery.ack()
    await first.stop()
    append(log, b"two\n")
    rename(log)
    log.write_bytes(b"three\n")
    later = START + timedelta(hours=5)
    for path in (log, tmp_path / "kern.log.1"):
        modify(path, later)
    second = Reading(log, ManualClock(later), follow=True, positions=positions)
    assert [delivery.time for delivery in await second.look()] == [START, START]
    append(log, b"four\n")
    assert [delivery.time for delivery in await second.look()] == [later]
    await second.stop()


async def test_a_short_restart_of_a_quiet_log_makes_no_line_stale(tmp_path: Path) -> None:
    log, positions = tmp_path / "kern.log", tmp_path / "positions"
    log.write_bytes(b"one\n")
    modify(log, START - timedelta(hours=9))
    first = Reading(log, follow=True, positions=positions)
    for delivery in await first.look():
        await delivery.ack()
    for seconds in range(100):
        first.clock.move_to(START + timedelta(seconds=seconds))
        await first.look()
    await first.crash()
    append(log, b"two\n")
    modify(log, START + timedelta(seconds=110))
    second = Reading(log, ManualClock(START + timedelta(seconds=110)), follow=True, positions=positions)
    (delivery,) = await second.look()
    assert delivery.time is not None
    assert START + timedelta(seconds=60) < delivery.time <= START + timedelta(seconds=99)
    await second.stop()


KEYS: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "a file's name means nothing by itself": ("kern.log", {}, None),
    "a file may be named by its node": ("gpu-node-01.log", {"node_from_file_name": True}, "gpu-node-01"),
    "only an ending of logs is dropped": ("10.0.2.193", {"node_from_file_name": True}, "10.0.2.193"),
    "a name with dots keeps them": ("gpu-01.example.com.log", {"node_from_file_name": True}, "gpu-01.example.com"),
    "the settings name the node": ("kern.log", {"node": "gpu-node-02"}, "gpu-node-02"),
    "what the settings name goes first": ("a.log", {"node": "b", "node_from_file_name": True}, "b"),
}


@pytest.mark.parametrize(("name", "settings", "expected"), KEYS.values(), ids=KEYS.keys())
async def test_the_key_of_a_delivery(name: str, settings: dict[str, Any], expected: str | None, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"one\n")
    assert [delivery.key for delivery in await Reading(tmp_path / name, **settings).look()] == [expected]


async def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"kern.log: does not exist; name a log file, or follow it"):
        await Reading(tmp_path / "kern.log").look()


@pytest.mark.parametrize("follow", [False, True])
async def test_a_folder_is_refused(follow: bool, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r": is a folder; name one log file"):
        await Reading(tmp_path, follow=follow).look()


async def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInputError, match=r"is not a regular file; .* read from standard input"):
        await Reading(tmp_path / "pipe").look()


async def test_what_is_no_folder_holds_no_log(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BadInputError, match=r"cannot be read: Not a directory"):
        await Reading(tmp_path / "file" / "kern.log", follow=True).look()


async def test_a_position_that_cannot_be_saved_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "kern.log").touch()
    with pytest.raises(BadInputError, match=r"cannot be saved: No such file or directory"):
        await Reading(tmp_path / "kern.log", positions=tmp_path / "missing" / "positions").look()
