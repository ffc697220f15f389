"""Which files the past logs are."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import BadInputError, Complaint
from pipeline.sources.file import FileSourceConfig

_GZIP = b"\x1f\x8b"
_UNREAD = {
    b"\xfd7zXZ\x00": ("is compressed by xz", "decompress it: xz -d"),
    b"BZh": ("is compressed by bzip2", "decompress it: bzip2 -d"),
    b"\x28\xb5\x2f\xfd": ("is compressed by zstd", "decompress it: zstd -d"),
    b"PK\x03\x04": ("is a zip archive", "unpack it"),
    b"LPKSHHRH": ("is a systemd journal", "export it: journalctl --file=FILE -k -o json > FILE.json"),
}
# As logrotate(8) names them: a number that grows with the age, or a date.
_TURNED = re.compile(r"(?P<base>.+?)(?:\.(?P<age>\d{1,5})|[.-](?P<date>\d[\d.T:_-]{5,}))?(?:\.gz)?")
_LOG_SUFFIX = re.compile(r"\.(log|txt|json|jsonl|ndjson)$")


@dataclass(frozen=True, slots=True)
class PastLog:
    """One file: its size in bytes, and the host name for messages that name none."""

    path: Path
    size: int
    compressed: bool
    host: str | None = None


def past_logs(named: Iterable[str]) -> list[PastLog]:
    """Return the files that paths, folders and patterns with wildcards name, each once; of rotated ones oldest first.

    A folder stands for all the files in it, however deep. A file's name without .log and without what rotation adds is
    the host name for messages without one, as for `gpu-rescue run --source`. Raises BadInputError if anything named is
    not there, or holds no log.
    """
    complaints: list[Complaint] = []
    found: dict[Path, None] = {}
    for name in named:
        files = sorted(_files(name), key=_age)
        if not files:
            complaints.append(_nothing(name))
        found.update(dict.fromkeys(files))
    return _opened(((path, host_of(path)) for path in found), complaints)


def configured_logs(sources: Sequence[object]) -> list[PastLog]:
    """Return the files of the configuration's sources, each with the rotated ones beside it.

    Raises BadInputError if none is a file.
    """
    files = [source for source in sources if isinstance(source, FileSourceConfig)]
    if not files:
        remedy = "name past logs: --source PATH"
        raise BadInputError(Complaint("sources", "none of the configuration's sources is a log file", remedy))
    found: dict[Path, str | None] = {}
    for source in files:
        for path in sorted({source.path, *_rotated(source.path)}, key=_age):
            host = host_of(path) if source.node_from_file_name else None
            found.setdefault(path, source.node or host)
    return _opened(found.items(), [])


def host_of(path: Path) -> str:
    """Return a file's name without .log, and without what rotation has added."""
    turned = _TURNED.fullmatch(path.name)
    return _LOG_SUFFIX.sub("", turned["base"] if turned else path.name)


def _files(name: str) -> Iterator[Path]:
    path = Path(name.removeprefix("file://"))
    if path.is_dir():
        yield from (entry for entry in path.rglob("*") if entry.is_file() and not entry.name.startswith("."))
    elif path.exists() or not _is_pattern(name):
        yield path
    else:
        root = Path(path.anchor)
        yield from (entry for entry in root.glob(str(path.relative_to(root))) if entry.is_file())


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _age(path: Path) -> tuple[str, int, str, str]:
    """Sort by name; of the rotated ones of a name dates come first, oldest first, and the name itself comes last."""
    turned = _TURNED.fullmatch(path.name)
    if turned is None:
        return str(path), 0, "", ""
    base = str(path.parent / turned["base"])
    return base, -int(turned["age"] or 0), turned["date"] or "~", path.name


def _rotated(path: Path) -> Iterator[Path]:
    if path.parent.is_dir():
        for entry in path.parent.iterdir():
            turned = _TURNED.fullmatch(entry.name)
            if turned and turned["base"] == path.name and entry.name != path.name and entry.is_file():
                yield entry


def _opened(files: Iterable[tuple[Path, str | None]], complaints: list[Complaint]) -> list[PastLog]:
    logs = []
    for path, host in files:
        try:
            logs.append(_looked_at(path, host))
        except BadInputError as error:
            complaints += error.complaints
    if complaints:
        raise BadInputError(*complaints)
    if not any(log.size for log in logs):
        raise BadInputError(Complaint(", ".join(str(log.path) for log in logs), "no line in it", "name a log"))
    return logs


def _looked_at(path: Path, host: str | None) -> PastLog:
    if path.exists() and not path.is_file():
        remedy = "name log files; what comes through a pipe is to be saved first"
        raise BadInputError(Complaint(str(path), "is not a regular file", remedy))
    try:
        with path.open("rb") as file:
            head, size = file.read(8), os.fstat(file.fileno()).st_size
    except FileNotFoundError as error:
        raise BadInputError(_nothing(str(path))) from error
    except OSError as error:
        raise BadInputError(Complaint(str(path), f"cannot be read: {error.strerror}")) from error
    for magic, (problem, remedy) in _UNREAD.items():
        if head.startswith(magic):
            raise BadInputError(Complaint(str(path), problem, remedy))
    return PastLog(path, size, head.startswith(_GZIP), host)


def _nothing(name: str) -> Complaint:
    if Path(name).is_dir():
        return Complaint(name, "no file in the folder", "name a folder of log files")
    if _is_pattern(name):
        return Complaint(name, "no file matches", "check the pattern, and put it in quotes so that the shell leaves it")
    return Complaint(name, "does not exist", "name a log file, a folder of them, or a pattern such as 'kern.log*'")
