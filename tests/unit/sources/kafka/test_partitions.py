"""How far the partitions of an assignment may be committed."""

import asyncio

from aiokafka import TopicPartition

from pipeline.sources.kafka.partitions import Acknowledge, Partitions

FIRST, SECOND = TopicPartition("kernel-logs", 0), TopicPartition("kernel-logs", 1)


def handed_out(partitions: Partitions, tp: TopicPartition, *offsets: int) -> list[Acknowledge]:
    found = [partitions.hand_out(held) for held in partitions.hold(tp, offsets)]
    assert None not in found
    return [acknowledge for acknowledge in found if acknowledge]


async def test_each_partition_is_safe_up_to_its_own_first_message_that_is_not_acknowledged() -> None:
    partitions = Partitions()
    partitions.take([FIRST, SECOND])
    first = handed_out(partitions, FIRST, 3, 7)
    (second,) = handed_out(partitions, SECOND, 5)
    assert partitions.safe({FIRST: 9, SECOND: 9}) == {FIRST: 3, SECOND: 5}
    await first[1]()
    await second()
    assert partitions.safe({FIRST: 9, SECOND: 9}) == {FIRST: 3, SECOND: 9}
    await first[0]()
    assert partitions.safe({FIRST: 9, SECOND: 9}) == {FIRST: 9, SECOND: 9}


async def test_what_is_held_and_was_not_handed_out_is_not_passed() -> None:
    partitions = Partitions()
    partitions.take([FIRST])
    partitions.hold(FIRST, [3])
    assert partitions.safe({FIRST: 4}) == {FIRST: 3}


async def test_only_what_has_moved_is_committed() -> None:
    partitions = Partitions()
    partitions.take([FIRST, SECOND])
    partitions.committed({FIRST: 4})
    assert partitions.due({FIRST: 4, SECOND: 0}) == {SECOND: 0}


async def test_messages_that_come_before_the_word_of_their_assignment_count() -> None:
    partitions = Partitions()
    (acknowledge,) = handed_out(partitions, FIRST, 3)
    partitions.take([FIRST])
    assert partitions.safe({FIRST: 9}) == {FIRST: 3}
    await acknowledge()
    assert partitions.safe({FIRST: 9}) == {FIRST: 9}


async def test_after_partitions_were_dropped_acknowledgements_do_nothing_and_nothing_held_is_handed_out() -> None:
    partitions = Partitions()
    partitions.take([FIRST])
    (late,) = handed_out(partitions, FIRST, 3)
    (held,) = partitions.hold(FIRST, [4])
    partitions.drop()
    partitions.take([FIRST])
    again = handed_out(partitions, FIRST, 3)
    await late()
    assert partitions.safe({FIRST: 9}) == {FIRST: 3}
    assert partitions.hand_out(held) is None
    assert not await partitions.settled(0.01)
    await again[0]()
    assert await partitions.settled(0.01)


async def test_settled_waits_for_what_is_in_hand_and_not_for_what_is_only_held() -> None:
    partitions = Partitions()
    partitions.take([FIRST])
    first, _ = partitions.hold(FIRST, [3, 4])
    acknowledge = partitions.hand_out(first)
    assert acknowledge is not None
    waiting = asyncio.create_task(partitions.settled(30))
    await asyncio.sleep(0)
    assert not waiting.done()
    await acknowledge()
    await acknowledge()
    assert await waiting
