"""Which files are read, and what is said of those that cannot be."""

import gzip
import os
from pathlib import Path

import pytest

from pipeline.backtest.blocks import blocks
from pipeline.backtest.logs import PastLog, configured_logs, host_of, past_logs
from pipeline.errors import BadInputError
from pipeline.sources.file import FileSourceConfig
from pipeline.sources.stdin import StdinSourceConfig

ROTATED = ["kern.log-20240301.gz", "kern.log-20240302", "kern.log.10", "kern.log.2.gz", "kern.log.1", "kern.log"]


def write(folder: Path, *names: str, content: bytes = b"a line\n") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


def names(logs: list[PastLog]) -> list[str]:
    return [log.path.name for log in logs]


def test_of_rotated_files_the_oldest_comes_first(tmp_path: Path) -> None:
    write(tmp_path, *sorted(ROTATED))
    dated, numbered = ROTATED[:2], ROTATED[2:]
    assert names(past_logs([str(tmp_path / "kern.log-*")])) == dated
    assert names(past_logs([str(tmp_path / "kern.log.*"), str(tmp_path / "kern.log")])) == numbered


def test_a_folder_is_read_however_deep_without_hidden_files(tmp_path: Path) -> None:
    write(tmp_path, "gpu-2/kern.log", "gpu-1/kern.log", "gpu-1/kern.log.1", ".kern.log.swp")
    found = [str(log.path.relative_to(tmp_path)) for log in past_logs([str(tmp_path)])]
    assert found == ["gpu-1/kern.log.1", "gpu-1/kern.log", "gpu-2/kern.log"]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path, "kern.log")
    assert names(past_logs([str(tmp_path), str(tmp_path / "kern.log"), f"file://{tmp_path}/kern.log"])) == ["kern.log"]


def test_the_configuration_s_files_come_with_their_rotated_ones(tmp_path: Path) -> None:
    write(tmp_path, "kern.log", "kern.log.1", "kern.log.2.gz", "kern.logger", "other.log")
    source = FileSourceConfig(path=tmp_path / "kern.log", follow=True, node="gpu-1")
    logs = configured_logs([source, StdinSourceConfig()])
    assert names(logs) == ["kern.log.2.gz", "kern.log.1", "kern.log"]
    assert {log.host for log in logs} == {"gpu-1"}


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("gpu-0001.log", "gpu-0001"),
        ("gpu-0001.log.2.gz", "gpu-0001"),
        ("gpu-1.example.com.log-20240301", "gpu-1.example.com"),
        ("10.0.1.5.log", "10.0.1.5"),
        ("gpu-1.log.gz", "gpu-1"),
    ],
)
def test_the_host_of_a_file_is_its_name_without_what_rotation_adds(name: str, host: str) -> None:
    assert host_of(Path(name)) == host


@pytest.mark.parametrize(
    ("what", "content", "told"),
    [
        ("a file by xz", b"\xfd7zXZ\x00rest", "is compressed by xz; decompress it: xz -d"),
        ("a journal", b"LPKSHHRHrest", "is a systemd journal; export it: journalctl"),
        ("an empty file", b"", "no line in it"),
    ],
)
def test_a_file_that_holds_no_lines_is_refused(what: str, content: bytes, told: str, tmp_path: Path) -> None:
    write(tmp_path, "kern.log", content=content)
    with pytest.raises(BadInputError, match=f"kern.log: {told}"):
        past_logs([str(tmp_path / "kern.log")])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("absent.log", "absent.log: does not exist; name a log file"),
        ("absent*", r"absent\*: no file matches; check the pattern, and put it in quotes"),
        ("empty", "empty: no file in the folder"),
        ("pipe", "pipe: is not a regular file"),
    ],
)
def test_what_is_not_there_is_told_by_its_name(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInputError, match=told):
        past_logs([str(tmp_path / name)])


def test_every_wrong_name_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as caught:
        past_logs([str(tmp_path / "one"), str(tmp_path / "two")])
    assert len(caught.value.complaints) == 2


def test_without_a_log_file_in_the_configuration_one_is_asked_for() -> None:
    with pytest.raises(BadInputError, match="sources: none of the configuration's sources is a log file; name past"):
        configured_logs([StdinSourceConfig()])


def read(path: Path) -> bytes:
    (log,) = past_logs([str(path)])
    found = list(blocks(log))
    assert sum(count for count, _ in found) == log.size
    return b"".join(block for _, block in found)


TEXT = b"".join(b"%d some line of a log\n" % number for number in range(60_000))


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        gzip.compress(TEXT),
        gzip.compress(TEXT[:700_000]) + gzip.compress(TEXT[700_000:]),
        gzip.compress(TEXT) + b"\0" * 40_000,
    ],
    ids=["plain", "compressed", "compressed in two parts", "compressed and filled up with zeros"],
)
def test_a_file_is_read_whole_and_once(content: bytes, tmp_path: Path) -> None:
    write(tmp_path, "kern.log", content=content)
    assert read(tmp_path / "kern.log") == TEXT


@pytest.mark.parametrize(
    ("what", "content", "told"),
    [
        ("cut off", gzip.compress(TEXT)[:-100], "ends in the middle of its compressed data"),
        ("spoilt", gzip.compress(TEXT)[:2000] + b"\xff" * 2000 + gzip.compress(TEXT)[4000:], "is damaged"),
        ("followed by something else", gzip.compress(TEXT) + b"trailer", "is damaged"),
    ],
)
def test_a_damaged_file_is_told_and_never_half_read_in_silence(
    what: str, content: bytes, told: str, tmp_path: Path
) -> None:
    write(tmp_path, "kern.log", content=content)
    with pytest.raises(BadInputError, match=f"kern.log: {told}.*; name a file that gzip -t finds whole"):
        read(tmp_path / "kern.log")


def test_a_file_that_grows_is_read_as_far_as_it_was(tmp_path: Path) -> None:
    write(tmp_path, "kern.log", content=TEXT)
    (log,) = past_logs([str(tmp_path / "kern.log")])
    write(tmp_path, "kern.log", content=TEXT * 2)
    assert b"".join(block for _, block in blocks(log)) == TEXT


def test_a_file_that_is_cut_off_meanwhile_is_told(tmp_path: Path) -> None:
    write(tmp_path, "kern.log", content=TEXT)
    (log,) = past_logs([str(tmp_path / "kern.log")])
    write(tmp_path, "kern.log", content=b"")
    with pytest.raises(BadInputError, match="was cut off or rotated while it was read"):
        list(blocks(log))
