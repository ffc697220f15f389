from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet, load_patterns
from pipeline.model.fault import Fault, Sighting
from pipeline.model.line import LogLine

SHIPPED = Path(__file__).parents[3] / "config" / "patterns"
RULES = [SHIPPED / "bus.yaml", SHIPPED / "sxid.yaml", SHIPPED / "xid.yaml"]

RECEIVED = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

Read = Callable[[str], Fault | Sighting | None]
Load = Callable[[str], PatternSet]


@pytest.fixture(scope="session")
def shipped() -> PatternSet:
    return load_patterns([SHIPPED])


@pytest.fixture
def matcher(shipped: PatternSet) -> Matcher:
    return Matcher(shipped)


@pytest.fixture
def read(matcher: Matcher) -> Read:
    """Match one text by the shipped patterns."""
    return lambda text: matcher.match(LogLine(text, "1"))


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the shipped rules and, after them, one file of the operator's; the catalogue would take its time."""

    def loaded(text: str) -> PatternSet:
        file = tmp_path / "own.yaml"
        file.write_text(text)
        return load_patterns([*RULES, file])

    return loaded
