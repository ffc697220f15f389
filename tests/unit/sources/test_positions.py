"""The position file: whole or not at all, saved no oftener than it must be, refused with its place."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.clock import ManualClock
from pipeline.errors import BadInputError
from pipeline.sources.kmsg import KmsgMark
from pipeline.sources.logfile import Mark
from pipeline.sources.positions import PositionFile

START = datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC)


def position_file(path: Path, clock: ManualClock | None = None, stream: str = "/dev/kmsg") -> PositionFile[KmsgMark]:
    return PositionFile(path, stream, KmsgMark, clock or ManualClock(START))


def saved(path: Path) -> int | None:
    mark = position_file(path).load()
    return mark.sequence if mark else None


async def test_a_saved_position_is_read_back(tmp_path: Path) -> None:
    kept = PositionFile(tmp_path / "p", "/var/log/kern.log", Mark, ManualClock(START))
    mark = Mark(inode=2**63, head="ab", measured=2, offset=7, generation=3, seen=1.5)
    await kept.save(mark)
    assert kept.load() == mark


def test_saving_leaves_nothing_beside_the_file(tmp_path: Path) -> None:
    position_file(tmp_path / "p").create(KmsgMark("boot", 1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["p"]


def test_without_a_file_there_is_no_position(tmp_path: Path) -> None:
    assert position_file(tmp_path / "p").load() is None


async def test_a_moved_position_is_saved_once_a_second(tmp_path: Path) -> None:
    clock = ManualClock(START)
    kept = position_file(tmp_path / "p", clock)
    seen = []
    for tenth in range(25):
        clock.move_to(START + timedelta(seconds=tenth / 10))
        await kept.offer(KmsgMark("boot", tenth))
        seen.append(saved(tmp_path / "p"))
    assert seen == [0] * 10 + [10] * 10 + [20] * 5


async def test_an_unmoved_position_is_saved_twice_a_minute(tmp_path: Path) -> None:
    clock = ManualClock(START)
    kept = PositionFile(tmp_path / "p", "log", Mark, clock)
    saves = []
    for second in range(70):
        clock.move_to(START + timedelta(seconds=second))
        await kept.offer(Mark(1, "ab", 2, 7, 0, seen=second))
        mark = kept.load()
        assert mark is not None
        saves.append(mark.seen)
    assert sorted(set(saves)) == [0, 30, 60]


async def test_a_save_that_fails_is_no_error_and_is_tried_again(tmp_path: Path) -> None:
    clock = ManualClock(START)
    folder = tmp_path / "later"
    kept = position_file(folder / "p", clock)
    await kept.offer(KmsgMark("boot", 1))
    folder.mkdir()
    clock.move_to(START + timedelta(seconds=2))
    await kept.offer(KmsgMark("boot", 1))
    assert saved(folder / "p") == 1


BROKEN = {
    "is no JSON": b"{",
    "is empty": b"",
    "is no UTF-8": b"\xff",
    "holds another thing": b'{"a": 1}',
    "holds a position of another kind": b'{"stream": "/dev/kmsg", "position": {"offset": 1}}',
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_a_file_is_refused_that(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "p").write_bytes(content)
    with pytest.raises(BadInputError, match=r"p: is not a saved position; remove the file"):
        position_file(tmp_path / "p").load()


async def test_the_position_of_another_stream_is_refused(tmp_path: Path) -> None:
    await position_file(tmp_path / "p", stream="/var/log/a").save(KmsgMark("boot", 1))
    with pytest.raises(BadInputError, match=r"holds the position of /var/log/a, not of /var/log/b"):
        position_file(tmp_path / "p", stream="/var/log/b").load()


def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cannot be saved: No such file or directory; name a file in a folder"):
        position_file(tmp_path / "missing" / "p").create(KmsgMark("boot", 1))


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cannot be read: Is a directory"):
        position_file(tmp_path).load()
