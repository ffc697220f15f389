"""The command line over a real Kafka and a real Elasticsearch: faults go through, and what is missing is told."""

import json
import signal
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.e2e.commands import ended, searching, sink_sets, started
from tests.fakes.elasticsearch import sink_config
from tests.integration.kafka.reading import eventually
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.kafka.artifact import KAFKA
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import committed, produce


def envelope(node: str, text: str) -> bytes:
    return json.dumps({"@timestamp": datetime.now(UTC).isoformat(), "hostname": node, "msg": text}).encode()


def lines(count: int) -> list[bytes]:
    noise = envelope("gpu-1", "docker0: port 1(veth0a1b2c) entered blocking state")
    fault = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=python3, GPU has fallen off the bus."
    return [line for n in range(count) for line in (noise, envelope(f"gpu-{n}", fault), noise)]


async def test_faults_of_a_topic_are_recorded_and_then_committed(
    kafka: Kafka, elasticsearch: Elasticsearch, topic: str, tmp_path: Path
) -> None:
    config = sink_config(elasticsearch, tmp_path)
    sets = sink_sets(elasticsearch, config.data_stream)
    installing = await started("install elasticsearch", tmp_path, kafka.address, topic, *sets)
    _, err = await ended(installing)
    assert installing.returncode == 0, err
    written, nodes = lines(20), {f"gpu-{n}" for n in range(20)}
    await produce(kafka.address, topic, written, compression_type="lz4")
    running = await started("run", tmp_path, kafka.address, topic, *sets)
    async with searching(config) as hosts:
        await eventually(lambda: _are(hosts, nodes))
    running.send_signal(signal.SIGTERM)
    out, err = await ended(running)
    assert running.returncode == 0, err
    assert "Traceback" not in out + err
    assert await committed(kafka.address, topic, topic) == len(written)


async def _are(hosts: Callable[[], Awaitable[set[str]]], expected: set[str]) -> bool:
    return await hosts() == expected


async def test_a_rule_that_is_added_while_it_runs_is_looked_for_in_the_topic(
    kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    rules, records = tmp_path / "rules", tmp_path / "records"
    rules.mkdir()
    sets = ["--set", f"patterns={json.dumps([str(rules)])}", "--set", "sinks=[{type: file, path: records}]"]
    running = await started("run", tmp_path, kafka.address, topic, *sets)
    wave = [envelope("gpu-1", "mlx5_core 0000:3b:00.0: health compromised"), *lines(1)] * 5

    async def recorded(kind: str) -> bool:
        await produce(kafka.address, topic, wave, compression_type="lz4")
        return records.exists() and f'"kind":"{kind}"' in records.read_text()

    await eventually(lambda: recorded("xid"))
    assert not await recorded("net")
    rule = "{name: mine, where: {contains: [mlx5_core]}, regex: 'mlx5_core.* compromised', kind: net, code: 1}"
    (rules / "mine.yaml").write_text(f"rules: [{rule}]")
    await eventually(lambda: recorded("net"))
    running.send_signal(signal.SIGTERM)
    _, err = await ended(running)
    assert running.returncode == 0, err


async def test_a_drill_goes_to_the_topic_and_is_rehearsed_by_the_pipeline_that_reads_it(
    kafka: Kafka, topic: str, tmp_path: Path
) -> None:
    records, to_file = tmp_path / "records", ("--set", "sinks=[{type: file, path: records}]")
    running = await started("run", tmp_path, kafka.address, topic, *to_file)
    drill = await started("inject --node gpu-h100-02 --xid 79", tmp_path, kafka.address, topic, *to_file)
    out, err = await ended(drill)
    assert drill.returncode == 0, err
    assert out.startswith(f"wrote 1 line to the topic {topic} of kafka {kafka.address}: ")
    await eventually(lambda: records.exists() and '"action":"rescue-planned"' in records.read_text())
    running.send_signal(signal.SIGTERM)
    _, err = await ended(running)
    assert running.returncode == 0, err
    bodies = [json.loads(line) for line in records.read_text().splitlines()]
    assert {body["gpu_rescue"]["fault"]["drill"] for body in bodies if "fault" in body["gpu_rescue"]} == {"dry"}
    assert {body["host"]["name"] for body in bodies} == {"gpu-h100-02"}


async def test_a_check_says_what_answers_and_what_is_missing(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    to_file = ("--set", "sinks=[{type: file, path: records}]")
    there = await started("check --online", tmp_path, kafka.address, topic, *to_file)
    out, err = await ended(there)
    assert there.returncode == 0, err
    release = KAFKA.version.rpartition(".")[0]
    assert f"sources.0 (kafka): ok, Kafka {release}, 1 broker, {topic} (1 partition)" in out
    missing = f"missing-{uuid.uuid4().hex[:12]}"
    away = await started("check --online", tmp_path, kafka.address, missing, *to_file)
    _, err = await ended(away)
    assert away.returncode == 1
    expected = f"sources.0 (kafka): kafka {kafka.address}: there is no topic {missing}; create it, or mend topics"
    assert err.strip() == expected
