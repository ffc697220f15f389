"""What is done every few seconds beside reading: offsets are committed, the lag is measured, trouble is told."""

import asyncio
import time
from collections.abc import Callable, Mapping

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

from pipeline import telemetry
from pipeline.sources.kafka.fast import Sieve
from pipeline.sources.kafka.session import Session
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kafka.trouble import Backoff, Listener, explained

_log = structlog.get_logger()

STUCK_AFTER = 120.0
"""Seconds in which nothing comes, though there are messages and somebody waits for them, before all begins anew."""

_FIRST_LOOK = 1.0


class StuckError(Exception):
    """Messages are there and do not come, for no reason that aiokafka tells."""


class Watch:
    """Looks after a session until it is stopped. *says* is told what is wrong, or None when nothing is."""

    def __init__(
        self,
        config: KafkaSourceConfig,
        session: Session,
        sieve: Sieve,
        listener: Listener,
        says: Callable[[str | None], None],
        waits: Callable[[], bool],
        restart: Callable[[Exception], None],
    ) -> None:
        """*waits* tells whether somebody waits for a message; *restart* ends a session that is stuck."""
        self._config = config
        self._session = session
        self._sieve = sieve
        self._listener = listener
        self._says = says
        self._waits = waits
        self._restart = restart
        self._counted = sieve.read
        self._backoff = Backoff()
        self._silent_until = self._looked = self._moved = time.monotonic()
        self._well: bool | None = None
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Look no more."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        pause = _FIRST_LOOK
        while True:
            await asyncio.sleep(pause)
            pause = self._config.commit_every.total_seconds()
            self._count()
            try:
                await self.look()
            except (KafkaError, TimeoutError, OSError) as error:
                self._troubled(error)

    async def look(self) -> None:
        """Commit, measure, and say how it stands. Raises KafkaError, TimeoutError, OSError when nothing answers."""
        looked, self._looked = self._looked, time.monotonic()
        try:
            safe = await self._session.commit()
        except CommitFailedError:
            # The partitions are being given out anew, and were committed when they were revoked.
            safe = {}
        lag = self._measured(safe, await self._session.ends())
        if not len(self._session.partitions) and self._listener.reason and self._listener.heard > looked:
            self._troubled(self._listener.reason)
            return
        self._is_well()
        if not lag or not self._waits():
            self._moved = time.monotonic()
        elif time.monotonic() - self._moved > STUCK_AFTER:
            self._restart(StuckError(f"{lag} messages do not come"))

    def _count(self) -> None:
        read = self._sieve.read - self._counted
        if read:
            self._counted += read
            self._moved = time.monotonic()
            telemetry.KAFKA_MESSAGES.labels(self._config.group_id).inc(read)

    def _measured(self, safe: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]) -> int:
        lag = {tp: max(ends[tp] - offset, 0) for tp, offset in safe.items() if tp in ends}
        for tp, behind in lag.items():
            telemetry.KAFKA_LAG.labels(self._config.group_id, tp.topic, tp.partition).set(behind)
        return sum(lag.values())

    def _troubled(self, error: BaseException) -> None:
        told = str(explained(self._config, self._listener.instead_of(error)))
        self._says(told)
        telemetry.KAFKA_UP.labels(self._config.group_id).set(0)
        self._well = False
        if time.monotonic() >= self._silent_until:
            pause = self._backoff.pause()
            self._silent_until = time.monotonic() + pause
            _log.warning("kafka.away", trouble=told, effect="aiokafka tries on; nothing is lost")

    def _is_well(self) -> None:
        if self._well is not True:
            _log.info("kafka.connected", group=self._config.group_id, topics=self._config.topics)
        telemetry.KAFKA_UP.labels(self._config.group_id).set(1)
        self._well = True
        self._backoff.reset()
        self._says(None)
