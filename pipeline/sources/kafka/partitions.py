"""The partitions that are ours: what is handed out of each, and how far each may be committed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial

from aiokafka import TopicPartition

from pipeline.sources.outstanding import Outstanding, Ticket


class _Partition(Outstanding[int]):
    ours = True


Held = tuple[_Partition, Ticket[int]]
Acknowledge = Callable[[], Awaitable[None]]


class Partitions:
    """What was handed out of the partitions of one assignment.

    An acknowledgement of a message from an earlier assignment does nothing: its partition may be another's by now.
    """

    def __init__(self) -> None:
        self._ours: dict[TopicPartition, _Partition] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._in_hand = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    def __iter__(self) -> Iterator[TopicPartition]:
        return iter(list(self._ours))

    def __len__(self) -> int:
        return len(self._ours)

    def take(self, partitions: Iterable[TopicPartition]) -> None:
        """These are ours from now on; of some of them the first messages may have been handed out by now."""
        self._ours = {tp: self._ours.get(tp) or _Partition(0) for tp in partitions}

    def drop(self) -> None:
        """None is ours any more."""
        for partition in self._ours.values():
            partition.ours = False
        self._ours, self._committed, self._in_hand = {}, {}, 0
        self._quiet.set()

    def hold(self, tp: TopicPartition, offsets: Iterable[int]) -> list[Held]:
        """Note messages that were taken, in their order; none is passed before it is acknowledged."""
        partition = self._ours.get(tp)
        if partition is None:
            # aiokafka gives the first messages of an assignment before it tells of it.
            partition = self._ours[tp] = _Partition(0)
        return [(partition, partition.hand_out(offset)) for offset in offsets]

    def hand_out(self, held: Held) -> Acknowledge | None:
        """Return what acknowledges a message that is handed out now; None if its partition is not ours any more."""
        if not held[0].ours:
            return None
        self._in_hand += 1
        self._quiet.clear()
        return partial(self._acknowledge, *held)

    async def settled(self, limit: float) -> bool:
        """Wait until all that was handed out is acknowledged, *limit* seconds at most; tell whether it is."""
        try:
            async with asyncio.timeout(limit):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def safe(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return the offsets up to which everything is safe; *positions* are those that are taken next."""
        found = {}
        for tp, position in positions.items():
            if (partition := self._ours.get(tp)) is not None:
                partition.reached = position
                found[tp] = partition.safe
        return found

    def due(self, safe: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Return those of the safe offsets that are not committed yet."""
        return {tp: offset for tp, offset in safe.items() if self._committed.get(tp) != offset}

    def committed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Note what was committed."""
        self._committed.update(offsets)

    async def _acknowledge(self, partition: _Partition, ticket: Ticket[int]) -> None:
        if partition.ours and not ticket.acknowledged:
            partition.acknowledge(ticket)
            self._in_hand -= 1
            if not self._in_hand:
                self._quiet.set()
