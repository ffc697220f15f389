"""What a broker is called by what it says of itself."""

import struct

import pytest
from aiokafka.protocol.admin import ApiVersionRequest_v0

from pipeline.sources.kafka.version import _Versions, named


def features(**levels: int) -> bytes:
    """Supported features, as a broker sends them: a compact array of names, each with its lowest and highest level."""
    told = b"".join(
        bytes([len(name) + 1]) + name.encode() + struct.pack(">hhb", 1, highest, 0) for name, highest in levels.items()
    )
    return bytes([len(levels) + 1]) + told


@pytest.mark.parametrize(
    ("level", "release"),
    [
        (6, "Kafka before 3.3"),
        (7, "Kafka 3.3"),
        (21, "Kafka 3.9"),
        pytest.param(24, "Kafka 3.9", id="a level between two releases"),
        (25, "Kafka 4.0"),
        (33, "Kafka 4.4"),
        pytest.param(34, "Kafka after 4.4", id="a level of a release that is not known yet"),
    ],
)
def test_a_broker_is_of_the_release_that_brought_its_highest_level(level: int, release: str) -> None:
    told = features(**{"group.version": 1, "metadata.version": level, "transaction.version": 2})
    assert named(told) == release


@pytest.mark.parametrize("told", [None, b"\0", b"\1", features(**{"group.version": 40})])
def test_a_broker_that_tells_no_level_is_of_no_release(told: bytes | None) -> None:
    assert named(told) == "Kafka of a version that it does not tell (before 3.3, or of another make)"


def test_a_broker_that_knows_only_older_requests_is_asked_by_one_of_them() -> None:
    assert isinstance(_Versions().prepare({18: (0, 2)}), ApiVersionRequest_v0)
