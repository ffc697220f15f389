"""The file of a store: one process has it, and a file that cannot serve is refused by name and left as it is."""

import shutil
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from pipeline.errors import BadInputError
from pipeline.execute.saved import FORMAT
from pipeline.execute.store_file import StoreFile
from pipeline.execute.store_lock import InUseError
from pipeline.execute.store_sqlite import SqliteStore
from tests.fakes.faults import rescue


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rescues.db"


@pytest.mark.parametrize("gone", ["rescues.db", "rescues.db-wal"])
async def test_a_file_that_was_removed_takes_no_more(path: Path, gone: str) -> None:
    store = SqliteStore(path)
    await store.create(rescue())
    path.with_name(gone).unlink()
    with pytest.raises(BadInputError, match="was removed or replaced while it was in use; start again"):
        await store.create(rescue("another"))
    await store.close()


async def test_one_that_was_replaced_takes_no_more(path: Path) -> None:
    store = SqliteStore(path)
    shutil.copy(path, path.with_name("copy.db"))
    path.with_name("copy.db").replace(path)
    with pytest.raises(BadInputError, match="was removed or replaced"):
        await store.create(rescue("another"))
    await store.close()


async def test_a_file_by_another_name_is_the_same_file(path: Path) -> None:
    store = SqliteStore(path)
    link = path.with_name("link.db")
    link.symlink_to(path)
    with pytest.raises(InUseError):
        StoreFile(link, patience=0)
    await store.close()
    again = SqliteStore(link)
    created = await again.create(rescue())
    await again.close()
    third = SqliteStore(path)
    assert list(third.all()) == [created]
    await third.close()


def test_of_those_that_open_a_new_file_at_once_each_has_it_in_turn(tmp_path: Path) -> None:
    start = threading.Barrier(4)

    def opened(name: str) -> str:
        start.wait(10)
        StoreFile(tmp_path / name, patience=10).close()
        return "opened"

    with ThreadPoolExecutor(4) as threads:
        for number in range(10):
            assert list(threads.map(opened, [f"{number}.db"] * 4)) == ["opened"] * 4


def test_beside_an_open_file_there_is_nothing_but_its_log(path: Path) -> None:
    for _ in range(2):
        with closing(StoreFile(path)):
            assert sorted(file.name for file in path.parent.iterdir()) == ["rescues.db", "rescues.db-wal"]
        assert [file.name for file in path.parent.iterdir()] == ["rescues.db"]


def test_a_tool_of_sqlite_that_reads_the_file_is_told_as_well(path: Path) -> None:
    StoreFile(path).close()
    with closing(sqlite3.connect(path)) as tool:
        tool.execute("BEGIN EXCLUSIVE")
        with pytest.raises(InUseError):
            StoreFile(path, patience=0)


async def test_a_second_process_is_told_that_the_file_is_in_use(path: Path) -> None:
    store = SqliteStore(path)
    with pytest.raises(InUseError) as refused:
        StoreFile(path, patience=0.1)
    remedy = "stop that one, or give each pipeline a store of its own"
    assert str(refused.value) == f"{path}: is in use by another process; {remedy}"
    await store.create(rescue())
    await store.close()
    StoreFile(path).close()


def _other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE people (name TEXT)")


def _later(path: Path) -> None:
    StoreFile(path).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 2")


def _with_content(content: str) -> Callable[[Path], None]:
    def prepare(path: Path) -> None:
        StoreFile(path).close()
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("INSERT INTO rescues VALUES ('a', 1, ?)", (content,))

    return prepare


def _overwritten(path: Path) -> None:
    """Its last pages are somebody else's."""
    with closing(StoreFile(path)) as file:
        file.together([partial(file.create, rescue(f"r-{number}")) for number in range(50)])
    size = path.stat().st_size
    with path.open("r+b") as raw:
        raw.seek(size - 40_000)
        raw.write(b"\xab" * 40_000)


@pytest.mark.parametrize(
    ("prepare", "told"),
    [
        pytest.param(
            lambda path: path.write_text("- a: 1\n" * 300), "is no store of gpu-rescue; name", id="no database"
        ),
        pytest.param(_other_database, "is a database of something else; name another file", id="another database"),
        pytest.param(_later, "is the store of a later version of gpu-rescue; use that version", id="a later layout"),
        pytest.param(
            _with_content(f'{{"format": {FORMAT + 1}}}'),
            "is the store of a later version of gpu-rescue; use that version",
            id="a later format",
        ),
        pytest.param(
            _with_content("{"), "is damaged or cannot be read (rescues, a: it cannot be read", id="half a row"
        ),
        pytest.param(_overwritten, "is damaged or cannot be read (", id="pages that were overwritten"),
        pytest.param(lambda path: path.mkdir(), "cannot be used: Is a directory; name a file", id="a folder"),
    ],
)
def test_a_file_that_cannot_serve_is_refused_and_left_as_it_is(
    path: Path, prepare: Callable[[Path], None], told: str
) -> None:
    prepare(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(BadInputError) as refused:
        SqliteStore(path)
    assert str(refused.value).startswith(f"{path}: {told}")
    assert "\n" not in str(refused.value)
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cannot be used: No such file or directory; name a file in a folder"):
        SqliteStore(tmp_path / "none" / "rescues.db")
