"""The one moment that a test of whole files cannot meet: a writer at work between a read and the look that follows."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.sources import tail
from pipeline.sources.logfile import LogFile, Mark
from pipeline.sources.rotation import following


def test_what_is_written_between_the_last_read_and_the_rotation_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "kern.log"
    log.write_bytes(b"one\n")

    def rotated_just_before(path: Path, file: LogFile) -> LogFile | None:
        with path.open("ab") as writer:
            writer.write(b"two\n")
        path.rename(tmp_path / "kern.log.1")
        path.write_bytes(b"three\n")
        return following(path, file)

    reading = tail.Tail(log, Mark.before_anything(datetime(2026, 1, 31, tzinfo=UTC)))
    assert reading.read() == b"one\n"
    with monkeypatch.context() as patch:
        patch.setattr(tail, "following", rotated_just_before)
        assert reading.read() == b"two\n"
    assert reading.read() == b""
    reading.turn()
    assert reading.read() == b"three\n"
    assert reading.read() is None
    reading.close()
