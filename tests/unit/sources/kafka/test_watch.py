"""What is done beside reading: the lag is measured, trouble is told, and what is stuck begins anew."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError, SaslAuthenticationFailed

from pipeline.sources.kafka import watch as watches
from pipeline.sources.kafka.fast import Sieve
from pipeline.sources.kafka.session import Session
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.trouble import Listener
from pipeline.sources.kafka.watch import StuckError, Watch
from pipeline.telemetry import KAFKA_LAG, KAFKA_UP

TP = TopicPartition("kernel-logs", 0)
CONFIG = KafkaSourceConfig(bootstrap_servers=["kafka-1:9092"], topics=["kernel-logs"], group_id="watched")


class FakeSession:
    def __init__(self, safe: int, end: int) -> None:
        self.partitions = [TP]
        self.safe: dict[TopicPartition, int] | Exception = {TP: safe}
        self.end = end

    async def commit(self) -> dict[TopicPartition, int]:
        if isinstance(self.safe, Exception):
            raise self.safe
        return self.safe

    async def ends(self) -> dict[TopicPartition, int]:
        return {TP: self.end}


class Watched:
    def __init__(self, session: FakeSession, waits: bool = True) -> None:
        self.said: list[str | None] = []
        self.restarted: list[Exception] = []
        self.listener = Listener()
        self.watch = Watch(
            CONFIG,
            cast(Session, session),
            Sieve(lambda _: True, lambda: None),
            self.listener,
            self.said.append,
            lambda: waits,
            self.restarted.append,
        )


@asynccontextmanager
async def watched(session: FakeSession, **how: Any) -> AsyncIterator[Watched]:
    found = Watched(session, **how)
    try:
        yield found
    finally:
        await found.watch.stop()


async def test_the_lag_is_what_is_not_safe_yet() -> None:
    async with watched(FakeSession(safe=7, end=10)) as found:
        await found.watch.look()
    assert found.said == [None]
    assert KAFKA_LAG.labels("watched", "kernel-logs", 0)._value.get() == 3
    assert KAFKA_UP.labels("watched")._value.get() == 1


async def test_a_rebalance_is_no_trouble() -> None:
    session = FakeSession(safe=7, end=10)
    session.safe = CommitFailedError()
    async with watched(session) as found:
        await found.watch.look()
    assert found.said == [None]


async def test_what_aiokafka_says_in_its_log_alone_is_what_is_told() -> None:
    async with watched(FakeSession(safe=7, end=10)) as found:
        found.listener.hear(SaslAuthenticationFailed("no"))
        found.watch._troubled(KafkaConnectionError("closed"))
    assert found.said == [
        "kafka kafka-1:9092: does not let this client in (none); check sasl.username and sasl.password"
    ]
    assert KAFKA_UP.labels("watched")._value.get() == 0


@pytest.mark.parametrize(
    ("session", "waits", "restarts"),
    [
        pytest.param(FakeSession(safe=7, end=10), True, 1, id="messages are there and somebody waits: it is stuck"),
        pytest.param(FakeSession(safe=7, end=10), False, 0, id="nobody waits: they are held back"),
        pytest.param(FakeSession(safe=10, end=10), True, 0, id="there are none"),
    ],
)
async def test_what_is_stuck_begins_anew(
    monkeypatch: pytest.MonkeyPatch, session: FakeSession, waits: bool, restarts: int
) -> None:
    monkeypatch.setattr(watches, "STUCK_AFTER", 0.0)
    async with watched(session, waits=waits) as found:
        await found.watch.look()
    assert [type(error) for error in found.restarted] == [StuckError] * restarts
