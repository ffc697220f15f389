"""1,000 broken files of an operator: each is read, or refused with a complaint that names its place."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import policy_documents
from pipeline.clock import WallClock
from pipeline.cluster.memory import SimulatedCluster, load_cluster
from pipeline.decide.policy import read_policies
from pipeline.errors import BadInputError
from pipeline.match.patterns import load_patterns
from pipeline.settings import read_settings, shipped

_FILES = 250
_WORDS = (
    "x",
    "null",
    "-1",
    "[]",
    "{}",
    "'",
    '"',
    ":",
    "- ",
    "  ",
    "\t",
    "&a",
    "*a",
    "!!int x",
    "99999999999999999999",
    "2020-13-45",
    "é",
    "\x07",
    "|",
    "% ",
    "true",
    "1.5",
    "(",
    "\n",
)

_KINDS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "configuration": ("pipeline.yaml", lambda path: read_settings(path, environment={})),
    "policies": ("examples/policies/reboot.yaml", lambda path: read_policies(policy_documents([path]))),
    "cluster": ("examples/cluster.yaml", lambda path: load_cluster(path, WallClock(), SimulatedCluster)),
    "patterns": ("patterns/bus.yaml", lambda path: load_patterns([path])),
}


def _broken(text: str, rng: random.Random) -> str:
    for _ in range(rng.randrange(1, 4)):
        lines = text.split("\n")
        at, word = rng.randrange(len(lines)), rng.choice(_WORDS)
        line = lines[at]
        match rng.randrange(6):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, line)
            case 2:
                lines[at] = re.sub(r":.*", f": {word}", line)
            case 3:
                cut = rng.randrange(len(line) + 1)
                lines[at] = line[:cut] + word + line[cut:]
            case 4:
                lines[at] = line.replace("a", "e", 1)
            case _:
                lines[at] = " " * rng.randrange(5) + line.lstrip()
        text = "\n".join(lines)
    return text


@pytest.mark.parametrize("kind", _KINDS)
def test_a_broken_file_is_refused_with_its_place(kind: str, tmp_path: Path) -> None:
    source, read = _KINDS[kind]
    whole, rng = (shipped() / source).read_text(), random.Random(kind)
    path = tmp_path / "broken.yaml"
    refused = 0
    for _ in range(_FILES):
        path.write_text(_broken(whole, rng))
        try:
            read(path)
        except BadInputError as error:
            refused += 1
            for told in error.complaints:
                assert re.match(rf"{re.escape(str(path))}:\d+$", told.place), (str(told), path.read_text())
                assert told.problem
    assert refused > _FILES // 4
