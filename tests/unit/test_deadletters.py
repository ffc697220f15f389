"""Dead letters: each is kept whole or told to be lost, the file stays small, and nobody has to wait for it."""

import base64
import json
from pathlib import Path

from structlog.testing import capture_logs

from pipeline.deadletters import DeadLetterFile


def letters(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_letter_says_where_it_stood_and_holds_what_came(tmp_path: Path) -> None:
    file = DeadLetterFile(tmp_path / "aside")
    file.put({"position": "logs/0@7", "reason": "no-line"}, b"NVRM\xff\n")
    file.put({"position": "logs/0@8"}, None)
    first, second = letters(tmp_path / "aside")
    assert (first["position"], base64.b64decode(first["raw"])) == ("logs/0@7", b"NVRM\xff\n")
    assert second.keys() == {"time", "position"}


def test_the_file_never_grows_beyond_its_size_and_what_is_lost_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "aside"
    file = DeadLetterFile(path, most_bytes=1000)
    with capture_logs() as told:
        for number in range(20):
            file.put({"position": str(number)}, b"x" * 100)
    kept = letters(path)
    assert path.stat().st_size <= 1000
    assert [letter["position"] for letter in kept] == [str(number) for number in range(len(kept))]
    assert 0 < len(kept) < 20
    assert [(entry["event"], "move it away" in entry["error"]) for entry in told] == [("dead-letter.lost", True)]
    path.rename(tmp_path / "looked at")
    with capture_logs() as told:
        file.put({"position": "20"}, None)
    assert [letter["position"] for letter in letters(path)] == ["20"]
    assert [(entry["event"], entry["lost"]) for entry in told] == [("dead-letter.kept-again", 20 - len(kept))]


def test_a_place_that_fails_stops_nothing(tmp_path: Path) -> None:
    with capture_logs() as told:
        DeadLetterFile(tmp_path / "none" / "aside").put({"position": "0"}, b"x")
    assert [entry["event"] for entry in told] == ["dead-letter.lost"]
