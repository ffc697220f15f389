"""Finding the content of a log file again, and what came after it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.sources.logfile import LogFile, Mark
from pipeline.sources.rotation import find, following, newer_than


def write(path: Path, content: bytes, modified: float) -> None:
    path.write_bytes(content)
    os.utime(path, (modified, modified))


def marked(path: Path, offset: int) -> Mark:
    file = LogFile(path)
    file.read()
    mark = file.mark(offset, path.stat().st_mtime)
    file.close()
    return mark


def text(file: LogFile | None) -> bytes | None:
    if file is None:
        return None
    content = file.read()
    file.close()
    return content


def nothing(_: Path) -> None:
    pass


def renamed(log: Path) -> None:
    log.rename(log.with_name("kern.log.1"))


def renamed_and_replaced(log: Path) -> None:
    renamed(log)
    log.write_bytes(b"new\n")


def renamed_by_date(log: Path) -> None:
    log.rename(log.with_name("kern.log-20260131"))


def moved_under_a_name_of_its_own(log: Path) -> None:
    log.rename(log.with_name("saved by hand"))


def copied_and_truncated(log: Path) -> None:
    shutil.copyfile(log, log.with_name("kern.log.1"))
    log.write_bytes(b"")


def copied_truncated_and_grown(log: Path) -> None:
    shutil.copyfile(log, log.with_name("kern.log.1"))
    log.write_bytes(b"new line 1\nnew line 2\n")


def grown(log: Path) -> None:
    log.write_bytes(log.read_bytes() + b"four\n")


def replaced(log: Path) -> None:
    log.rename(log.with_name("x"))
    log.write_bytes(b"other\nlines\n")
    log.with_name("x").unlink()


def shortened(log: Path) -> None:
    log.write_bytes(b"one\n")


def rewritten(log: Path) -> None:
    log.write_bytes(b"a file with the same inode and more bytes\n")


def compressed(log: Path) -> None:
    shutil.copyfile(log, log.with_name("kern.log.1.gz"))
    log.unlink()


FOUND: dict[str, tuple[Callable[[Path], None], bytes | None]] = {
    "stayed where it was": (nothing, b"two\nthree\n"),
    "has grown": (grown, b"two\nthree\nfour\n"),
    "was renamed": (renamed, b"two\nthree\n"),
    "was renamed and has a successor": (renamed_and_replaced, b"two\nthree\n"),
    "was renamed by date": (renamed_by_date, b"two\nthree\n"),
    "was moved by hand beside it": (moved_under_a_name_of_its_own, b"two\nthree\n"),
    "was copied before the file was truncated": (copied_and_truncated, b"two\nthree\n"),
    "was copied before the file was truncated and written again": (copied_truncated_and_grown, b"two\nthree\n"),
    "is gone, since the file was replaced": (replaced, None),
    "is gone, since the file was cut short": (shortened, None),
    "is gone, since the file was written anew": (rewritten, None),
    "is gone, since the file was compressed": (compressed, None),
}


@pytest.mark.parametrize(("change", "expected"), FOUND.values(), ids=FOUND.keys())
def test_marked_content_is_found_again_that(
    change: Callable[[Path], None], expected: bytes | None, tmp_path: Path
) -> None:
    log = tmp_path / "kern.log"
    write(log, b"one\ntwo\nthree\n", 1000)
    mark = marked(log, 4)
    change(log)
    assert text(find(log, mark)) == expected


NAMES = {
    "by number": ("kern.log.2", "kern.log.1"),
    "by number after a dash": ("kern.log-2", "kern.log-1"),
    "by day": ("kern.log-20260130", "kern.log-20260131"),
    "by hour": ("kern.log-2026013104", "kern.log-2026013105"),
    "by time in ISO 8601": ("kern.log.2026-01-30T04:05:06", "kern.log.2026-01-30T04:05:07"),
    "with the ending kept last": ("kern-20260130.log", "kern-20260131.log"),
    "with the number before the ending": ("kern.2.log", "kern.1.log"),
}


@pytest.mark.parametrize("same_time", [False, True], ids=["at different times", "within one tick of the clock"])
@pytest.mark.parametrize(("old", "new"), NAMES.values(), ids=NAMES.keys())
def test_several_rotations_are_gone_through_in_order(old: str, new: str, same_time: bool, tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    write(tmp_path / old, b"first\n", 1000)
    write(tmp_path / new, b"second\n", 1000 if same_time else 1001)
    write(log, b"third\n", 1000 if same_time else 1002)
    first = LogFile(tmp_path / old)
    second = following(log, first)
    assert second is not None
    third = following(log, second)
    assert third is not None
    assert [file.generation for file in (first, second, third)] == [0, 1, 2]
    assert [text(file) for file in (first, second, third)] == [b"first\n", b"second\n", b"third\n"]


def test_the_newest_file_has_no_successor(tmp_path: Path) -> None:
    write(tmp_path / "kern.log.1", b"old\n", 1000)
    write(tmp_path / "kern.log", b"new\n", 1001)
    newest = LogFile(tmp_path / "kern.log")
    assert following(tmp_path / "kern.log", newest) is None
    newest.close()


OTHERS = ["kern.log.bak", "kern.log.1.gz", "kern.log.old", "kern.logger.1", "auth.log.1", "kern.log~", ".kern.log.swp"]


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_of_the_folder_are_no_successors(name: str, tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    write(log, b"old\n", 1000)
    old = LogFile(log)
    log.rename(tmp_path / "kern.log.1")
    write(tmp_path / name, b"other\n", 1001)
    assert following(log, old) is None
    old.close()


def test_an_empty_file_is_not_gone_on_to_yet(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    write(log, b"old\n", 1000)
    old = LogFile(log)
    log.rename(tmp_path / "kern.log.1")
    log.touch()
    assert following(log, old) is None
    log.write_bytes(b"new\n")
    assert text(following(log, old)) == b"new\n"
    old.close()


def test_a_deleted_file_is_followed_by_what_was_written_after_it(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    write(tmp_path / "kern.log.2", b"long ago\n", 900)
    write(log, b"old\n", 1000)
    old = LogFile(log)
    log.unlink()
    write(tmp_path / "kern.log.1", b"between\n", 1001)
    write(log, b"new\n", 1002)
    assert text(following(log, old)) == b"between\n"
    old.close()


def test_when_the_marked_content_is_gone_reading_goes_on_with_what_is_newer(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    write(log, b"one\ntwo\n", 1000)
    mark = marked(log, 4)
    log.unlink()
    write(tmp_path / "kern.log.2", b"older\n", 900)
    write(tmp_path / "kern.log.1", b"newer\n", 1001)
    write(log, b"newest\n", 1002)
    assert text(newer_than(log, mark)) == b"newer\n"


def test_a_link_to_the_current_file_is_followed_when_it_is_turned(tmp_path: Path) -> None:
    log = tmp_path / "kern.log"
    write(tmp_path / "kern.log-20260130", b"old\n", 1000)
    write(tmp_path / "kern.log-20260131", b"new\n", 1001)
    log.symlink_to("kern.log-20260130")
    old = LogFile(log)
    log.unlink()
    log.symlink_to("kern.log-20260131")
    assert text(following(log, old)) == b"new\n"
    old.close()
