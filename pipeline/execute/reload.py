"""Files that are read again when they change, while the pipeline runs."""

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
from watchfiles import Change, awatch

from pipeline.errors import BadInputError
from pipeline.telemetry import RELOADS

_log = structlog.get_logger()


class Reload:
    """Reads one kind of files again; what can't be used is told, and the last good set stays in force."""

    def __init__(self, kind: str, paths: Sequence[Path], read: Callable[[], None]) -> None:
        """*read* puts what stands in *paths* in force; it raises BadInputError before it has changed anything."""
        self._kind = kind
        self._paths = [path.absolute() for path in paths]
        self._read = read

    async def run(self) -> None:
        """Read again after each change, until cancelled.

        It is the folders that are watched: an editor puts another file in the place of the old one.
        """
        folders = {path if path.is_dir() else path.parent for path in self._paths}
        watched = [folder for folder in folders if folder.is_dir()]
        if watched:
            async for _ in awatch(*watched, watch_filter=self._concerns, recursive=False):
                self.again()

    def _concerns(self, _: Change, changed: str) -> bool:
        # A mounted ConfigMap changes by a link of this name, whatever its files are called.
        path = Path(changed)
        return path in self._paths or path.parent in self._paths or path.name == "..data"

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
