"""Fixtures of the tests of the Kafka source."""

from collections.abc import Iterator

import pytest

from pipeline.sources.kafka import fast


@pytest.fixture(params=["fast", "slow"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The two ways through what was fetched; the slow one as if another aiokafka were installed."""
    if request.param == "slow":
        monkeypatch.setattr(fast, "TRIED", ())
    fast.check.cache_clear()
    yield request.param
    fast.check.cache_clear()
