"""A file for what nobody could read, so that a person can look at it and nothing else has to wait for it."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog

_log = structlog.get_logger()

MOST_BYTES = 64 * 1024 * 1024
"""Size that the file never passes."""

Told = Mapping[str, str | int]
"""Where a letter stood, and what is wrong with it."""

Keep = Callable[[Told, bytes | None], None]
"""Keep what is told of a letter, and its bytes as they came; a place that fails is told of, and stops nothing."""


def kept_nowhere(_: Told, __: bytes | None) -> None:
    """Keep nothing: the log has named it."""


class DeadLetterFile:
    """A file with a JSON object per line: `time`, what is told, and the bytes as base64 under `raw`.

    It is open only while something is appended. What would make it larger than it may be is not kept: it is meant to be
    looked at, and moved away.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._lost = 0

    def put(self, told: Told, raw: bytes | None) -> None:
        """Append a letter; raise nothing."""
        letter: dict[str, str | int] = {"time": datetime.now(UTC).isoformat(), **told}
        if raw is not None:
            letter["raw"] = base64.b64encode(raw).decode()
        try:
            self._append(json.dumps(letter).encode() + b"\n")
        except OSError as error:
            if not self._lost:
                _log.error("dead-letter.lost", file=str(self._path), error=error.strerror)
            self._lost += 1
        else:
            if self._lost:
                _log.warning("dead-letter.kept-again", file=str(self._path), lost=self._lost)
            self._lost = 0

    def _append(self, line: bytes) -> None:
        with self._path.open("ab") as file:
            if file.tell() + len(line) > self._most_bytes:
                raise OSError(0, f"it would be larger than {self._most_bytes} bytes; move it away")
            file.write(line)
