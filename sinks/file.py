"""Rescue records in a file: a JSON document per line (NDJSON), appended, rotated by size, read back."""

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from sinks.appender import Appender
from sinks.base import Query, Record, SinkError
from sinks.readback import open_found

T = TypeVar("T")

_BATCH = 500
_RETRY_AFTER = 10.0
_FOR_A_PERSON = {
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EROFS: "the file system is read-only",
    errno.EISDIR: "it is a folder; name a file",
    errno.ENOENT: "its folder does not exist",
    errno.ENOTDIR: "its folder is not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "its links go round in a circle",
}


class FileSinkConfig(BaseModel):
    """Records in a file, read back by `gpu-rescue records`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["file"]
    path: Path = Field(
        description="The file; its folder must exist. Rotated ones are called PATH.1 (the newest), PATH.2, ..."
    )
    fsync: Literal["always", "close", "never"] = Field(
        "always",
        description="When records are forced to the disk: with each write, since a record that a power cut takes is "
        "lost for good and faults are rare; or when the file is rotated or closed; or when the system likes.",
    )
    rotate_bytes: int = Field(
        64 * 1024 * 1024,
        ge=4096,
        description="Size in bytes at which the file is rotated: about 30,000 records, which any editor still opens.",
    )
    keep: int = Field(
        9, ge=1, le=999, description="How many rotated files are kept, the oldest beyond is deleted. Years of rescues."
    )

    @property
    def place(self) -> str:
        """Where the records are, in a few words."""
        return str(self.path)


class FileSink:
    """Keeps records in a file. `passed_over` counts lines that held no whole record when the file was read.

    All work on the file is done in order by one thread, so that a slow disk does not stop the event loop.
    """

    def __init__(self, config: FileSinkConfig) -> None:
        self.passed_over = 0
        self._config = config
        self._appender = Appender(config.path, config.fsync, config.rotate_bytes, config.keep)
        self._worker = ThreadPoolExecutor(1, "file-sink")

    async def reach(self) -> str:
        """Tell the file's name; raise SinkError if records could not be written to it."""
        await self._work("written to", self._appender.probe)
        return str(self._config.path)

    async def write(self, records: Sequence[Record]) -> None:
        """Append the records that are not in the file yet; raise SinkError, in words for people, if that fails."""
        await self._work("written to", lambda: self._appender.append(records))

    async def read(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match, oldest first, rotated files included; raise SinkError if that fails."""
        found = await self._work("read from", lambda: open_found(self._config.path, query))
        self.passed_over += found.passed_over
        try:
            records = found.records()
            while batch := await self._work("read from", lambda: list(islice(records, _BATCH))):
                for record in batch:
                    yield record
        finally:
            found.close()

    async def close(self) -> None:
        """Force what was written to the disk, unless the settings say never, and close the file."""
        await self._work("written to", self._appender.close)

    async def _work(self, verb: str, job: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._worker, job)
        except OSError as error:
            why = _FOR_A_PERSON.get(error.errno or 0)
            text = f"records cannot be {verb} {self._config.path}: {why or error.strerror}"
            raise SinkError(text, None if why else _RETRY_AFTER) from error
