"""Where drills are put in: each line by itself, whole, and never into a file that somebody else has to make."""

import io
import os
from pathlib import Path

import pytest

from pipeline.app import open_inlet
from pipeline.errors import NotFoundError, PermanentError
from pipeline.settings import SourceConfig
from pipeline.sources.file import FileSourceConfig
from pipeline.sources.inlet import FileInlet, StreamInlet
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kmsg import KmsgSourceConfig
from pipeline.sources.stdin import StdinSourceConfig


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(b"", b"one\ntwo\n", id="an empty file"),
        pytest.param(b"line\n", b"line\none\ntwo\n", id="after a whole line"),
        pytest.param(b"half a li", b"half a li\none\ntwo\n", id="after a line that has not ended"),
        pytest.param(b"\n", b"\none\ntwo\n", id="after an empty line"),
    ],
)
async def test_lines_are_appended_each_by_itself(before: bytes, after: bytes, tmp_path: Path) -> None:
    path = tmp_path / "kern.log"
    path.write_bytes(before)
    inlet = FileInlet(path)
    await inlet.inject([b"one", b"two"])
    assert (path.read_bytes(), inlet.place) == (after, str(path))


async def test_a_storm_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "kern.log"
    path.touch()
    await FileInlet(path).inject([b"%d" % number for number in range(2_500)])
    assert path.read_bytes().splitlines() == [b"%d" % number for number in range(2_500)]


async def test_another_writers_lines_are_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "kern.log"
    path.write_bytes(b"line\n")
    with path.open("ab", buffering=0) as other:
        await FileInlet(path).inject([b"drill"])
        other.write(b"next\n")
    assert path.read_bytes() == b"line\ndrill\nnext\n"


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    path = tmp_path / "kern.log"
    with pytest.raises(NotFoundError, match=r"kern\.log is not there"):
        await FileInlet(path).inject([b"drill"])
    assert not path.exists()


async def test_what_is_no_file_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(PermanentError, match="no file that could be appended to"):
        await FileInlet(path).inject([b"drill"])


async def test_a_stream_gets_a_line_for_each_message() -> None:
    stream = io.BytesIO()
    inlet = StreamInlet(stream)
    await inlet.inject([b"one", b"two"])
    assert (stream.getvalue(), inlet.place) == (b"one\ntwo\n", "standard output")


@pytest.mark.parametrize(
    ("config", "place"),
    [
        pytest.param(FileSourceConfig(path=Path("kern.log"), follow=True), "kern.log", id="a file that is followed"),
        pytest.param(FileSourceConfig(path=Path("kern.log")), None, id="a file that is read to its end"),
        pytest.param(
            KafkaSourceConfig(bootstrap_servers=["kafka:9092"], topics=["logs", "more"]),
            "the topic logs of kafka kafka:9092",
            id="Kafka: the first topic",
        ),
        pytest.param(StdinSourceConfig(type="stdin"), None, id="standard input"),
        pytest.param(KmsgSourceConfig(type="kmsg"), None, id="the kernel's own log"),
    ],
)
def test_only_what_a_pipeline_goes_on_reading_has_another_end(config: SourceConfig, place: str | None) -> None:
    inlet = open_inlet(config)
    assert (inlet.place if inlet else None) == place
