"""The file of a durable store: SQLite, one process at a time, nothing lost by a crash or a power cut."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import BadInputError, Complaint, ConflictError, NotFoundError, TemporaryError
from pipeline.execute.saved import OCCURRENCE, RESCUE, LaterFormatError, SavedForm, T, UnreadableError
from pipeline.execute.store_lock import InUseError, StoreLock
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import Rescue

_APPLICATION = 0x67707572
"""SQLite's application_id: the letters `gpur`. It tells our files from others'."""

_LAYOUT = 1
"""SQLite's user_version: the number of the tables' layout."""

SETTINGS = ("journal_mode = WAL", "synchronous = FULL")
"""Pragmas: a commit costs one sync, and what is committed outlives a power cut."""

_NEW = f"""
CREATE TABLE rescues (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, content TEXT NOT NULL)
CREATE TABLE occurrences (name TEXT PRIMARY KEY, content TEXT NOT NULL)
PRAGMA application_id = {_APPLICATION}
PRAGMA user_version = {_LAYOUT}
"""


class StoreFile:
    """One file of rescues and occurrences; nothing else may open it as long as it is open here.

    Every call blocks. What `together` returns from is on the disk (WAL with synchronous=FULL).
    """

    def __init__(self, path: Path, patience: float = 1.0) -> None:
        """Open the file, made if there is none; raise BadInputError, which names it, if it cannot serve as a store.

        One that is about to end may hold it still: *patience*, in seconds, is how long to wait for that.
        """
        self._path = path
        with ExitStack() as opened:
            self._lock = StoreLock(path, patience)
            opened.callback(self._lock.close)
            try:
                self._database = sqlite3.connect(path, patience, isolation_level=None, check_same_thread=False)
                opened.callback(self._database.close)
                self._prepare()
            except sqlite3.Error as error:
                raise self._unusable(error) from error
            self._log = path.resolve().with_name(f"{path.resolve().name}-wal")
            self._log_opened = self._log.stat()
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()

    def rescues(self) -> Iterator[Rescue]:
        """Yield every rescue; raise BadInputError for what cannot be read."""
        return self._read("rescues", RESCUE)

    def occurrences(self) -> Iterator[Occurrence]:
        """Yield every occurrence, in the order of their noting; raise BadInputError for what cannot be read."""
        return self._read("occurrences", OCCURRENCE)

    def together(self, changes: Sequence[Callable[[], object]]) -> list[object]:
        """Make the changes in one transaction, in order; return what each returned, or the error that it raised.

        A change that raises changes nothing, and the others are made. Raises TemporaryError when nothing was saved
        (the disk is full, say), BadInputError when the file is damaged or is not there any more.
        """
        try:
            self._assert_there()
            self._database.execute("BEGIN IMMEDIATE")
            made = [_outcome(change) for change in changes]
            self._database.execute("COMMIT")
        except sqlite3.OperationalError as error:
            self._roll_back()
            raise TemporaryError(f"{self._path}: rescues cannot be saved: {error}") from error
        except sqlite3.Error as error:
            self._roll_back()
            raise self._damaged(str(error)) from error
        return made

    # Changes: to be made by `together`.

    def create(self, rescue: Rescue) -> Rescue:
        """Add a rescue and return it with its revision; return the one that is there, if the name is taken."""
        saved = replace(rescue, revision=rescue.revision + 1)
        values = (saved.name, saved.revision, RESCUE.write(saved))
        if self._database.execute("INSERT OR IGNORE INTO rescues VALUES (?, ?, ?)", values).rowcount:
            return saved
        return RESCUE.read(self._value("content", "rescues", saved.name))

    def save(self, rescue: Rescue) -> Rescue:
        """Replace a rescue that is at its revision still; raise ConflictError or NotFoundError else."""
        saved = replace(rescue, revision=rescue.revision + 1)
        values = (saved.revision, RESCUE.write(saved), saved.name, rescue.revision)
        update = "UPDATE rescues SET revision = ?, content = ? WHERE name = ? AND revision = ?"
        if self._database.execute(update, values).rowcount:
            return saved
        stored = self._value("revision", "rescues", saved.name)
        if stored is None:
            raise NotFoundError(f"rescue {saved.name} is gone")
        raise ConflictError(f"rescue {saved.name} is at revision {stored}, not {rescue.revision}")

    def note(self, occurrence: Occurrence) -> Occurrence:
        """Add an occurrence, or have the one of its name span the time of both; return what is saved."""
        stored = self._value("content", "occurrences", occurrence.name)
        noted = occurrence if stored is None else OCCURRENCE.read(stored).spanning(occurrence)
        # A row that is replaced gets a new number: they stay in the order of their noting.
        values = (noted.name, OCCURRENCE.write(noted))
        self._database.execute("INSERT OR REPLACE INTO occurrences VALUES (?, ?)", values)
        return noted

    def forget(self, rescues: Iterable[str], occurrences: Iterable[str]) -> None:
        """Remove rescues and occurrences by name."""
        self._database.executemany("DELETE FROM rescues WHERE name = ?", ((name,) for name in rescues))
        self._database.executemany("DELETE FROM occurrences WHERE name = ?", ((name,) for name in occurrences))

    # What holds it together.

    def _prepare(self) -> None:
        # No tool of SQLite's looks on, so there is nothing to share with any: no third file, for which a full disk has
        # no place.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        empty = self._pragma("schema_version") == 0
        if not empty and self._pragma("application_id") != _APPLICATION:
            raise self._bad("is a database of something else", "name another file")
        if self._pragma("user_version") > _LAYOUT:
            raise self._later()
        for setting in SETTINGS:
            self._database.execute(f"PRAGMA {setting}")
        self._database.execute("BEGIN IMMEDIATE")
        if empty:
            for statement in _NEW.strip().splitlines():
                self._database.execute(statement)
        self._database.execute("COMMIT")
        (found,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise self._damaged(str(found))

    def _read(self, table: str, form: SavedForm[T]) -> Iterator[T]:
        try:
            for name, content in self._database.execute(f"SELECT name, content FROM {table} ORDER BY rowid"):
                try:
                    yield form.read(content)
                except LaterFormatError as error:
                    raise self._later() from error
                except UnreadableError as error:
                    raise self._damaged(f"{table}, {name}: {error}") from error
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from error

    def _value(self, column: str, table: str, name: str) -> Any:
        row = self._database.execute(f"SELECT {column} FROM {table} WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _pragma(self, name: str) -> int:
        (value,) = self._database.execute(f"PRAGMA {name}").fetchone()
        return int(value)

    def _assert_there(self) -> None:
        """A file that was removed goes on taking writes, and nobody would ever find them; so does the log beside it."""
        with suppress(OSError):
            if self._lock.there and os.path.samestat(self._log.stat(), self._log_opened):
                return
        raise self._bad("was removed or replaced while it was in use", "start again, with the right file in its place")

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            self._database.execute("ROLLBACK")

    def _unusable(self, error: sqlite3.Error) -> BadInputError:
        # The low byte is the kind of error, the rest its circumstances.
        kind = error.sqlite_errorcode & 0xFF
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return InUseError(self._path)
        if kind == sqlite3.SQLITE_NOTADB:
            return self._bad("is no store of gpu-rescue", "name another file")
        if isinstance(error, sqlite3.OperationalError):
            return self._bad(f"cannot be used: {error}", "name a file in a folder that exists and can be written to")
        return self._damaged(str(error))

    def _later(self) -> BadInputError:
        return self._bad("is the store of a later version of gpu-rescue", "use that version, or name another file")

    def _damaged(self, what: str) -> BadInputError:
        remedy = (
            "move it away to begin with an empty one; the open rescues in it are then forgotten, and nodes that they "
            "have cordoned stay so"
        )
        return self._bad(f"is damaged or cannot be read ({' '.join(what.split())})", remedy)

    def _bad(self, problem: str, remedy: str) -> BadInputError:
        return BadInputError(Complaint(str(self._path), problem, remedy))


def _outcome(change: Callable[[], object]) -> object:
    try:
        return change()
    except sqlite3.Error:
        raise
    except Exception as error:
        return error
