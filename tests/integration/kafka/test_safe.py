"""The intake over a real topic: an offset is committed once its rescue is saved and its records are safe, no sooner."""

from datetime import timedelta

from pipeline.execute.reading import MOST_IN_HAND
from tests.fakes.intake import APPLICATION
from tests.integration.kafka.reading import config, eventually
from tests.integration.kafka.replicas import NODES, at, replica
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import Sent, committed, produce
from tests.services.kafka.topics import create_topic


async def _committed(kafka: Kafka, topic: str, *offsets: int | None) -> bool:
    return tuple([await committed(kafka.address, topic, topic, n) for n in range(len(offsets))]) == offsets


async def test_nothing_is_committed_before_its_records_are_safe_and_no_fault_waits_for_another(
    kafka: Kafka, topic: str
) -> None:
    await produce(kafka.address, topic, [b"noise", *map(at, NODES), b"noise"])
    async with replica(config(kafka.address, topic, group_id=topic)) as running:
        await eventually(lambda: running.decided == set(NODES))
        await eventually(lambda: _committed(kafka, topic, 1))
        assert running.sink.records == []
        running.sink.opened.set()
        await eventually(lambda: _committed(kafka, topic, 6))
    assert {record.document["host"]["name"] for record in running.sink.records} == set(NODES)


async def test_what_is_in_hand_when_a_run_ends_is_recorded_and_committed(kafka: Kafka, topic: str) -> None:
    await produce(kafka.address, topic, [*map(at, NODES)])
    async with replica(config(kafka.address, topic, group_id=topic)) as running:
        await eventually(lambda: running.decided == set(NODES))
    assert await _committed(kafka, topic, 4)


async def test_a_long_outage_of_the_sinks_stops_the_reading_and_the_replica_stays_in_its_group(
    kafka: Kafka, topic: str
) -> None:
    lines = [at(NODES[0], APPLICATION.replace("pid=7", f"pid={number}")) for number in range(2 * MOST_IN_HAND)]
    await produce(kafka.address, topic, lines, compression_type="lz4")
    async with replica(config(kafka.address, topic, group_id=topic)) as running:
        await eventually(lambda: running.source.wanted == MOST_IN_HAND + 2)
        await eventually(lambda: _committed(kafka, topic, 0))
        assert running.source.wanted == MOST_IN_HAND + 2
        running.sink.opened.set()
        await eventually(lambda: _committed(kafka, topic, len(lines)))
        assert running.source.wanted == len(lines)


async def test_what_waits_for_its_records_is_handed_back_in_a_rebalance_and_its_late_end_commits_nothing(
    kafka: Kafka, topic: str
) -> None:
    shared = f"{topic}-shared"
    await create_topic(kafka.address, shared, partitions=2)
    settings = config(kafka.address, shared, group_id=shared, handover=timedelta(seconds=1))
    await produce(kafka.address, shared, [Sent(at(node), partition=n % 2) for n, node in enumerate(NODES)])
    async with replica(settings) as first:
        await eventually(lambda: first.decided == set(NODES))
        async with replica(settings) as second:
            await eventually(lambda: first.owns == second.owns == 1)
            await eventually(lambda: len(second.decided) == 2)
            first.sink.opened.set()
            await eventually(lambda: len({r.document["host"]["name"] for r in first.sink.records}) == len(NODES))
            theirs = [1 if node in second.decided else 0 for node in NODES[:2]]
            # The first has written all four records, and has committed of its own partition only.
            await eventually(lambda: _committed(kafka, shared, *(0 if other else 2 for other in theirs)))
            second.sink.opened.set()
            await eventually(lambda: _committed(kafka, shared, 2, 2))
        again = {record.id for record in second.sink.records}
        assert again <= {record.id for record in first.sink.records}
