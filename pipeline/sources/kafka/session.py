"""A member of a consumer group, from its start to its end."""

import asyncio
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import cast

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import (
    IllegalStateError,
    KafkaError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RecordTooLargeError,
    UnknownTopicOrPartitionError,
)

from pipeline import telemetry
from pipeline.sources.kafka.fast import Sieve, UnsuitableError, close_connections, install
from pipeline.sources.kafka.messages import Message, Unreadable
from pipeline.sources.kafka.partitions import Partitions
from pipeline.sources.kafka.reach import ANSWER_LIMIT, described
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.slow import PublicWay

_log = structlog.get_logger()
_END_LIMIT = 5.0
"""Seconds that the last commit, and then leaving the group, may take."""


class Session(ConsumerRebalanceListener):  # type: ignore[misc]
    """A consumer that has joined the group.

    `take` gives the next message, of any of the partitions that are ours now. Offsets are committed by `commit`, when
    partitions are revoked, and at the end; never beyond a message that is not acknowledged.
    """

    def __init__(self, config: KafkaSourceConfig, sieve: Sieve) -> None:
        """Raises BadInputError for files that cannot be used."""
        self.partitions = Partitions()
        self.consumer = AIOKafkaConsumer(**config.membership())
        self._config = config
        self._sieve = sieve
        self._take = self.consumer.getone
        self._commits = asyncio.Lock()
        self._starting: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Reach the cluster and see that there are topics to read. Raises KafkaError, TimeoutError, OSError."""
        # Not cancelled with whoever waits: aiokafka would leave a connection open.
        self._starting = asyncio.create_task(self._start())
        await asyncio.wait({self._starting})
        self._starting.result()

    async def _start(self) -> None:
        async with asyncio.timeout(self._config.answer_timeout.total_seconds()):
            await self.consumer.start()
        partitions = await described(self._config, self._config.topics)
        missing = [topic for topic, count in partitions.items() if not count]
        if len(missing) == len(self._config.topics):
            raise UnknownTopicOrPartitionError(missing)
        if missing:
            _log.warning("kafka.missing", topics=missing, effect="the others are read; these are once they exist")

    def join(self) -> None:
        """Ask for partitions, which come by and by, and for what passes the sieve only."""
        try:
            install(self.consumer, self._sieve)
        except UnsuitableError as error:
            warn_once(str(error))
            self._take = PublicWay(self.consumer, self._sieve).take
        self.consumer.subscribe(self._config.topics, listener=self)
        waits = "reads once the group gives it partitions: those of a member that was killed come after session_timeout"
        _log.info("kafka.joining", group=self._config.group_id, effect=waits)

    async def take(self) -> list[Message | Unreadable]:
        """Return what comes next, of one partition. Raises KafkaError when this session cannot go on."""
        while True:
            try:
                return cast(list[Message | Unreadable], await self._take())
            except NoOffsetForPartitionError as error:
                await self._begin(error.args[0])
            except OffsetOutOfRangeError as error:
                await self._begin_anew(*next(iter(error.args[0].items())))
            except RecordTooLargeError as error:
                # aiokafka has gone on behind it; brokers of this century send a batch whole, whatever its size.
                _log.error("kafka.too-large", error=str(error))

    async def commit(self, limit: float = ANSWER_LIMIT) -> dict[TopicPartition, int]:
        """Commit what is safe and return it. Raises KafkaError, TimeoutError after *limit* seconds."""
        async with asyncio.timeout(limit), self._commits:
            safe = self.partitions.safe(await self._positions())
            if due := self.partitions.due(safe):
                await self.consumer.commit(due)
                self.partitions.committed(due)
                telemetry.KAFKA_COMMITS.labels(self._config.group_id, "ok").inc()
            return safe

    async def ends(self) -> dict[TopicPartition, int]:
        """Return where the partitions end now. Raises KafkaError, TimeoutError."""
        asked = list(self.partitions) or [TopicPartition(self._config.topics[0], 0)]
        async with asyncio.timeout(ANSWER_LIMIT):
            return cast(dict[TopicPartition, int], await self.consumer.end_offsets(asked))

    async def stop(self) -> None:
        """Commit what is safe and leave the group, as far as the cluster answers."""
        await self._try_to_commit("end", _END_LIMIT)
        # Whoever is cancelled here calls again, and aiokafka would then do nothing.
        self._ending = self._ending or asyncio.create_task(self._end())
        await asyncio.wait({self._ending})
        self._forget()

    async def _end(self) -> None:
        if self._starting is not None:
            await _ended(self._starting)
        # aiokafka may end with the cancellation of a task of its own, which is none of ours.
        if not await _ended(asyncio.create_task(self.consumer.stop())):
            await close_connections(self.consumer)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """Let what is in hand come to its end, as long as the group can wait, and commit it."""
        if not revoked:
            return
        settled = await self.partitions.settled(self._config.handover.total_seconds())
        await self._try_to_commit("rebalance")
        _log.info("kafka.revoked", partitions=_named(revoked), settled=settled)
        self._forget()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """Begin with the partitions that are ours now."""
        telemetry.KAFKA_REBALANCES.labels(self._config.group_id).inc()
        self.partitions.take(assigned)
        _log.info("kafka.assigned", partitions=_named(assigned))

    def _forget(self) -> None:
        for tp in self.partitions:
            telemetry.forget(telemetry.KAFKA_LAG, self._config.group_id, tp.topic, tp.partition)
        self.partitions.drop()

    async def _try_to_commit(self, when: str, limit: float = ANSWER_LIMIT) -> None:
        try:
            await self.commit(limit)
        except (TimeoutError, KafkaError) as error:
            telemetry.KAFKA_COMMITS.labels(self._config.group_id, "failed").inc()
            _log.warning("kafka.uncommitted", when=when, error=repr(error), effect="what came since comes again")

    async def _positions(self) -> dict[TopicPartition, int]:
        """The offsets that are taken next, of those partitions of which it is known."""
        found = {}
        for tp in self.partitions:
            with suppress(TimeoutError, IllegalStateError):
                # aiokafka would wait for it; what it knows it tells at once.
                async with asyncio.timeout(0):
                    found[tp] = await self.consumer.position(tp)
        return found

    async def _begin(self, tp: TopicPartition) -> None:
        """Place the partition, for which nothing was committed, where the settings say."""
        start = self._config.start
        if start == "earliest":
            offset = (await self.consumer.beginning_offsets([tp]))[tp]
        elif isinstance(start, datetime):
            found = (await self.consumer.offsets_for_times({tp: int(start.timestamp() * 1000)}))[tp]
            offset = found.offset if found else (await self.consumer.end_offsets([tp]))[tp]
        else:
            offset = (await self.consumer.end_offsets([tp]))[tp]
        self._seek(tp, offset)
        _log.info("kafka.begins", partition=_named([tp]), offset=offset, start=str(start))

    async def _begin_anew(self, tp: TopicPartition, gone: int) -> None:
        """Go on with the oldest message that there is: what was to be read next is gone, or the topic is a new one."""
        offset = (await self.consumer.beginning_offsets([tp]))[tp]
        self._seek(tp, offset)
        telemetry.KAFKA_SKIPPED.labels(self._config.group_id, tp.topic).inc(max(offset - gone, 0))
        lost = (
            "the topic has deleted what is between, unread: look there for faults by hand, and keep its messages longer"
        )
        _log.error("kafka.gap", partition=_named([tp]), wanted=gone, oldest=offset, effect=lost)

    def _seek(self, tp: TopicPartition, offset: int) -> None:
        if tp in self.consumer.assignment():
            self.consumer.seek(tp, offset)


async def _ended(task: asyncio.Task[None]) -> bool:
    """Wait for a task, and cancel it if it takes too long; tell whether it came to its end."""
    await asyncio.wait({task}, timeout=_END_LIMIT)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_END_LIMIT)
    return task.done() and not task.cancelled() and task.exception() is None


def _named(partitions: "set[TopicPartition] | list[TopicPartition]") -> list[str]:
    return sorted(f"{tp.topic}/{tp.partition}" for tp in partitions)


@cache
def warn_once(why: str) -> None:
    """Tell that the fast way cannot be gone; each reason once, whatever the number of sources and sessions."""
    _log.warning("kafka.slow-intake", reason=why, effect="every message is read by aiokafka's public interface")
