"""Files that are read again when they change, while the pipeline runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from watchfiles import awatch

from pipeline.errors import BadInputError
from pipeline.telemetry import RELOADS

_log = structlog.get_logger()


class Reload:
    """Reads one kind of files again; what can't be used is told, and the last good set stays in force."""

    def __init__(self, kind: str, paths: Sequence[Path], read: Callable[[], None]) -> None:
        """*read* puts what stands in *paths* in force; it raises BadInputError before it has changed anything."""
        self._kind = kind
        self._paths = [path for path in paths if path.exists()]
        self._read = read

    async def run(self) -> None:
        """Read again after each change, until cancelled."""
        if self._paths:
            async for _ in awatch(*self._paths):
                self.again()

    def again(self) -> bool:
        """Read once; return whether what was read is in force."""
        try:
            self._read()
        except BadInputError as error:
            RELOADS.labels(self._kind, "refused").inc()
            _log.error("reload.refused", files=self._kind, problems=[str(told) for told in error.complaints])
            return False
        RELOADS.labels(self._kind, "done").inc()
        _log.info("reload.done", files=self._kind)
        return True
