"""Where damaged batches are set aside."""

import asyncio
from pathlib import Path
from typing import Protocol

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from pipeline.deadletters import DeadLetterFile
from pipeline.sources.kafka.messages import Unreadable
from pipeline.sources.kafka.settings import KafkaSourceConfig

_log = structlog.get_logger()
_SEND_LIMIT = 30.0


class DeadLetters(Protocol):
    """A place for what nobody can read. A place that fails is told of, and stops nothing."""

    async def put(self, letter: Unreadable) -> None:
        """Keep it."""
        ...

    async def close(self) -> None:
        """Let go of the place."""
        ...


class NoDeadLetters:
    """Nothing is kept: the log has named it."""

    async def put(self, letter: Unreadable) -> None:
        """Keep nothing."""

    async def close(self) -> None:
        """There is nothing to let go of."""


class FileDeadLetters:
    """A file, which may be the one for messages of which nothing could be made."""

    def __init__(self, path: Path) -> None:
        self._file = DeadLetterFile(path)

    async def put(self, letter: Unreadable) -> None:
        """Append it."""
        await asyncio.to_thread(self._file.put, _told(letter), letter.raw)

    async def close(self) -> None:
        """The file is open only while something is appended."""


class TopicDeadLetters:
    """A topic: the bytes of the batch as the message's value, where it stood in its headers."""

    def __init__(self, topic: str, config: KafkaSourceConfig) -> None:
        self._topic = topic
        self._config = config
        self._producer: AIOKafkaProducer | None = None

    async def put(self, letter: Unreadable) -> None:
        """Send it."""
        headers = [(name, str(value).encode()) for name, value in _told(letter).items()]
        try:
            async with asyncio.timeout(_SEND_LIMIT):
                producer = await self._started()
                await producer.send_and_wait(self._topic, letter.raw or b"", headers=headers)
        except (TimeoutError, KafkaError) as error:
            _log.error("dead-letter.lost", topic=self._topic, error=repr(error), position=_position(letter))

    async def close(self) -> None:
        """End the producer."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            # A batch with what is told of it may be a little larger than the batch was.
            producer = AIOKafkaProducer(**self._config.connection(), acks="all", max_request_size=1 << 28)
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer


def open_dead_letters(config: KafkaSourceConfig) -> DeadLetters:
    """Return the place that the settings name; a topic, if they name both."""
    if config.dead_letter_topic is not None:
        return TopicDeadLetters(config.dead_letter_topic, config)
    return FileDeadLetters(config.dead_letter_file) if config.dead_letter_file is not None else NoDeadLetters()


def _position(letter: Unreadable) -> str:
    return f"{letter.topic}/{letter.partition}@{letter.offset}"


def _told(letter: Unreadable) -> dict[str, str | int]:
    return {
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "following": letter.following,
        "problem": letter.problem,
    }
