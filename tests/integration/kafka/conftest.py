"""Fixtures of the tests of the Kafka source."""

from collections.abc import Iterator

import pytest

from tests.integration.kafka.reading import going


@pytest.fixture(params=["fast", "slow"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """The two ways through what was fetched."""
    with going(request.param):
        yield request.param
