"""The pipeline as it is deployed, killed with all that is around it, and scaled out and in, under load.

Every fault is recorded exactly once, none is missing, none is acted on twice.
"""

import asyncio
import random
import uuid
from collections import Counter
from contextlib import suppress
from pathlib import Path

from sinks.elasticsearch import ElasticsearchSinkConfig
from tests.fakes.deployed import Load, Replica, documents, load, running
from tests.fakes.elasticsearch import install, sink_config
from tests.integration.kafka.reading import eventually
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import committed, end_of
from tests.services.kafka.topics import create_topic
from tests.services.server import Server

PARTITIONS = 4
KILLS = 20
SEED = 1
NODES = [f"gpu-{number:03}" for number in range(300)]
ENDINGS = ("rescue-succeeded", "rescue-failed", "rescue-cancelled")
ONCE = ("fault-detected", "rescue-planned", "rescue-succeeded")


async def new_topic(kafka: Kafka) -> str:
    topic = f"kernel-logs-{uuid.uuid4().hex[:12]}"
    await create_topic(kafka.address, topic, PARTITIONS)
    return topic


def replica(
    folder: Path, kafka: Kafka, topic: str, sink: ElasticsearchSinkConfig, lasting_name: str | None = None
) -> Replica:
    source = {"bootstrap_servers": [kafka.address], "topics": [topic], "group_id": topic}
    return Replica(folder, NODES, {**source, "group_instance_id": lasting_name}, sink)


async def test_each_fault_is_recorded_and_acted_on_once_whatever_is_killed(
    own_kafka: Kafka, own_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    sink = sink_config(own_elasticsearch, tmp_path)
    await install(sink)
    topic = await new_topic(own_kafka)
    outages: dict[Server, range] = {own_kafka: range(5, 7), own_elasticsearch: range(11, 14)}
    # Under a name of its own it has its partitions again at once, and is dead for less than a session_timeout.
    with running(replica(tmp_path / "replica-0", own_kafka, topic, sink, "replica-0")) as only:
        async with load(own_kafka.address, topic, NODES, pause=0.5) as writing:
            at_work = await lives(only, random.Random(SEED), outages)
        await ended(sink, writing, only)
        assert only.stop() == 0, only.errors
    print(f"seed {SEED}: {len(writing.faulty)} faults, {KILLS} kills, {at_work} of them of a process at work on nodes")
    assert at_work >= KILLS / 4
    assert "kafka.waiting" in only.errors
    assert "spool.begins" in only.errors
    await check_once(sink, writing, only)
    for partition in range(PARTITIONS):
        found = await committed(own_kafka.address, topic, topic, partition)
        assert found == await end_of(own_kafka.address, topic, partition)


async def test_each_fault_is_recorded_and_acted_on_once_over_one_then_two_then_one_replica(
    kafka: Kafka, elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    sink = sink_config(elasticsearch, tmp_path)
    await install(sink)
    topic = await new_topic(kafka)
    first, second = (replica(tmp_path / name, kafka, topic, sink) for name in ("replica-0", "replica-1"))
    with running(first):
        async with load(kafka.address, topic, NODES, pause=0.1) as writing:
            await more(first)
            with running(second):
                await more(second, 20)
                await more(first, 20)
                assert second.stop() == 0, second.errors
            await more(first, 20)
            alone = set(writing.faulty)
            # Those of the partitions that the second has left, too.
            await eventually(lambda: first.taken | second.taken >= alone)
        # What the second had begun when it was stopped is its own, and ends when it comes back.
        with running(second):
            await ended(sink, writing, first, second)
            assert (first.stop(), second.stop()) == (0, 0)
    print(f"{len(writing.faulty)} faults: {len(first.taken)} to the first, {len(second.taken)} to the second replica")
    assert not first.taken & second.taken
    await check_once(sink, writing, first, second)


async def more(one: Replica, count: int = 5) -> None:
    """Return once a replica has taken up so many nodes more."""
    before = len(one.taken)
    await eventually(lambda: len(one.taken) >= before + count)


async def lives(only: Replica, chance: random.Random, outages: dict[Server, range]) -> int:
    """Kill a replica again and again, and each server once; return how often it had acted and was not done with a node.

    A server is away from one kill to another.
    """
    at_work, coming = 0, []
    for kill in range(KILLS):
        for server, away in outages.items():
            if kill == away.start:
                await asyncio.to_thread(server.kill)
            if kill == away.stop:
                coming.append(asyncio.create_task(asyncio.to_thread(server.start)))
        before = only.cordons
        await moment(only, chance)
        assert only.alive(), only.errors
        only.kill()
        at_work += bool(only.cordons != before and only.cordoned)
        only.start()
    await asyncio.gather(*coming)
    return at_work


async def moment(only: Replica, chance: random.Random) -> None:
    """Return at a random moment: soon after it was given partitions, or while it starts, if that takes too long."""
    before = only.errors.count("kafka.assigned")
    with suppress(TimeoutError):
        async with asyncio.timeout(chance.uniform(1, 6)):
            await eventually(lambda: only.errors.count("kafka.assigned") > before)
    await asyncio.sleep(chance.uniform(0, 1.5))


async def ended(sink: ElasticsearchSinkConfig, writing: Load, *replicas: Replica) -> None:
    """Return once Elasticsearch has the end of a rescue of every node that was struck."""

    async def all_have() -> bool:
        assert all(one.alive() for one in replicas)
        return {node for _, node, action in await documents(sink) if action in ENDINGS} >= set(writing.faulty)

    await eventually(all_have)


async def check_once(sink: ElasticsearchSinkConfig, writing: Load, *replicas: Replica) -> None:
    """Each node that was struck was told of once, rebooted once by one replica, and is as it was; no other was."""
    told = await documents(sink)
    assert len({record for record, _, _ in told}) == len(told)
    counts = Counter((node, action) for _, node, action in told if action in (*ONCE, *ENDINGS))
    assert counts == {(node, action): 1 for node in writing.faulty for action in ONCE}
    assert {node for _, node, _ in told} == set(writing.faulty)
    assert sum((one.rebooted for one in replicas), Counter()) == dict.fromkeys(writing.faulty, 1)
    cordons = sum((one.cordons for one in replicas), Counter[tuple[str, bool]]())
    assert cordons == {(node, cordoned): 1 for node in writing.faulty for cordoned in (True, False)}
    for one in replicas:
        cluster = one.cluster
        assert Counter(reboot.node for reboot in cluster.reboots) == one.rebooted
        for node in cluster.nodes().values():
            marks = [key for key in (*node.annotations, *node.labels) if key.startswith("rescue.ksyun.com/")]
            assert (node.unschedulable, node.ready, node.gpus_allocatable, marks) == (False, True, 8, [])
        assert not one.spooled
        assert not one.refused.exists()
        assert "Traceback" not in one.errors
