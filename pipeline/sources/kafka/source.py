"""The source: one stream of deliveries, over as many sessions as it takes."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from pipeline import telemetry
from pipeline.errors import BadInputError, TemporaryError
from pipeline.sources.kafka.fast import Sieve
from pipeline.sources.kafka.letters import open_dead_letters
from pipeline.sources.kafka.messages import Message, Unreadable
from pipeline.sources.kafka.partitions import Acknowledge, Partitions
from pipeline.sources.kafka.reach import reached
from pipeline.sources.kafka.session import Session
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.trouble import Backoff, Listener, explained
from pipeline.sources.kafka.watch import StuckError, Watch
from pipeline.sources.port import Delivery, Search, Wanted

_log = structlog.get_logger()
_HOST = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?")
_FAILURES = (KafkaError, OSError, TimeoutError, TemporaryError, StuckError)


class _ClosedError(Exception):
    """The source was closed while its reader waited."""


def spare_the_collector() -> None:
    """Let no garbage collection walk what was loaded by now, which lives as long as the process, and let them be rare.

    What an intake leaves behind has no cycles. The collector, which runs by the number of objects made, would walk all
    of the process's again and again: a fifth to a third of the time in which messages are read.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


class KafkaSource:
    """Reads topics as a member of a consumer group.

    `Delivery.position` is `TOPIC/PARTITION@OFFSET`, `Delivery.time` the message's own stamp. Only as much is fetched
    as is taken. A cluster that cannot be reached is waited for; `trouble` then says why, in words for people.
    """

    def __init__(
        self,
        config: KafkaSourceConfig,
        wanted: Wanted,
        searches: Callable[[], Sequence[Search] | None] = lambda: None,
        begin: Callable[[], None] = spare_the_collector,
    ) -> None:
        """*begin* is called once, when reading begins: by then all that stays has been loaded."""
        self.trouble: str | None = "not connected yet"
        self.wanted = 0
        self._config = config
        self._sieve = Sieve(wanted, searches)
        self._begin = begin
        self._listener = Listener()
        self._backoff = Backoff()
        self._letters = open_dead_letters(config)
        self._session: Session | None = None
        self._watch: Watch | None = None
        self._reader: asyncio.Task[object] | None = None
        self._failure: Exception | None = None
        self._stuck: Exception | None = None
        self._opened_before = self._closed = False

    @property
    def live(self) -> bool:
        """True: a topic goes on."""
        return True

    @property
    def read(self) -> int:
        """How many messages were read."""
        return self._sieve.read

    async def reach(self) -> str:
        """Tell brokers, topics and partitions; raise BadInputError or TemporaryError, which say what is wrong."""
        with self._listener.listening():
            try:
                return await reached(self._config)
            except _FAILURES as error:
                raise explained(self._config, self._listener.instead_of(error)) from error

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield the wanted messages, those of each partition in order.

        Raises BadInputError for files of the settings that cannot be used, and for nothing else.
        """
        self._begin()
        with suppress(_ClosedError):
            while not self._closed:
                partitions, messages = await self._next()
                tp = TopicPartition(messages[0].topic, messages[0].partition)
                held = partitions.hold(tp, [message.offset for message in messages])
                for message, each in zip(messages, held, strict=True):
                    acknowledge = partitions.hand_out(each)
                    if acknowledge is None:
                        # Whoever has the partition now reads it again.
                        break
                    if isinstance(message, Unreadable):
                        await self._set_aside(message)
                        await acknowledge()
                    else:
                        yield self._delivery(message, acknowledge)

    async def close(self) -> None:
        """Commit what is acknowledged and leave the group."""
        if not self._closed:
            self._closed = True
            self._interrupt()
            await self._end_session()
            await self._letters.close()

    def _delivery(self, message: Message, acknowledge: Acknowledge) -> Delivery:
        self.wanted += 1
        position = f"{message.topic}/{message.partition}@{message.offset}"
        key = _node(message.key) if self._config.node_from_key else None
        return Delivery(message.value or b"", position, acknowledge, _time(message.timestamp), key)

    async def _next(self) -> tuple[Partitions, list[Message | Unreadable]]:
        """Return the next messages, and what they are to be noted in, however long that takes."""
        self._reader = asyncio.current_task()
        try:
            while True:
                try:
                    if self._failure is not None:
                        await self._begin_anew()
                    session = self._session or await self._opened()
                    return session.partitions, await session.take()
                except ConsumerStoppedError:
                    raise _ClosedError from None
                except asyncio.CancelledError:
                    self._failure = self._interruption()
                except BadInputError as error:
                    if not self._opened_before:
                        raise
                    self._failure = error
                except _FAILURES as error:
                    self._failure = error
        finally:
            self._reader = None

    def _interruption(self) -> Exception:
        """Return why this source has cancelled its reader; raise what ends it."""
        stuck, reader = self._stuck, asyncio.current_task()
        self._stuck = None
        if not (stuck or self._closed) or (reader is not None and reader.uncancel()):
            raise asyncio.CancelledError
        if self._closed or stuck is None:
            raise _ClosedError
        return stuck

    async def _opened(self) -> Session:
        with self._listener.listening():
            self._session = session = Session(self._config, self._sieve)
            self._opened_before = True
            await session.start()
            session.join()
            self._watch = Watch(
                self._config,
                session,
                self._sieve,
                self._listener,
                self._says,
                lambda: self._reader is not None,
                self._restart,
            )
        return session

    async def _begin_anew(self) -> None:
        """Say what is wrong, end what there is, and wait a while."""
        failure, self._failure = self._failure, None
        assert failure is not None
        told = explained(self._config, self._listener.instead_of(failure))
        pause = self._backoff.pause()
        self.trouble = str(told)
        telemetry.KAFKA_UP.labels(self._config.group_id).set(0)
        _log.warning("kafka.waiting", trouble=str(told), seconds=pause)
        await self._end_session()
        await asyncio.sleep(pause)

    async def _end_session(self) -> None:
        if self._watch is not None:
            await self._watch.stop()
            self._watch = None
        if (session := self._session) is not None:
            await session.stop()
            # Known until then: the reader may be cancelled here, and then the source is closed by somebody else.
            if self._session is session:
                self._session = None

    def _says(self, trouble: str | None) -> None:
        """The watch says what is wrong, None when nothing is."""
        self.trouble = trouble
        if trouble is None:
            self._backoff.reset()

    def _restart(self, stuck: Exception) -> None:
        self._stuck = stuck
        self._interrupt()

    def _interrupt(self) -> None:
        """Wake the reader, if it waits."""
        if self._reader is not None and self._reader is not asyncio.current_task():
            self._reader.cancel()

    async def _set_aside(self, unreadable: Unreadable) -> None:
        telemetry.KAFKA_SET_ASIDE.labels(self._config.group_id, unreadable.topic).inc()
        _log.error(
            "kafka.unreadable",
            position=f"{unreadable.topic}/{unreadable.partition}@{unreadable.offset}",
            following=unreadable.following,
            problem=unreadable.problem,
        )
        await self._letters.put(unreadable)


def _node(key: bytes | None) -> str | None:
    """Return a message's key if it looks like a host name."""
    return key.decode() if key is not None and _HOST.fullmatch(key) else None


def _time(milliseconds: int | None) -> datetime | None:
    """Return a message's stamp; None if it has none, or one that no calendar knows."""
    if milliseconds is None or milliseconds < 0:
        return None
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
