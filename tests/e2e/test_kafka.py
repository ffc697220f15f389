"""The command line over a real Kafka: it runs, it stops in good order, and it says what is missing."""

import asyncio
import json
import signal
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from pipeline.settings import shipped
from tests.integration.kafka.reading import eventually
from tests.services.kafka.broker import Kafka
from tests.services.kafka.messages import committed, produce

EXAMPLE = shipped() / "examples" / "kafka-elasticsearch.yaml"
LIMIT = 60


def envelope(node: str, text: str) -> bytes:
    return json.dumps({"@timestamp": datetime.now(UTC).isoformat(), "hostname": node, "msg": text}).encode()


def lines(count: int) -> list[bytes]:
    noise = envelope("gpu-1", "docker0: port 1(veth0a1b2c) entered blocking state")
    fault = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=python3, GPU has fallen off the bus."
    return [line for n in range(count) for line in (noise, envelope(f"gpu-{n}", fault), noise)]


async def started(command: str, folder: Path, address: str, topic: str) -> asyncio.subprocess.Process:
    options = {
        "sources.0.bootstrap_servers": [address],
        "sources.0.topics": [topic],
        "sources.0.group_id": topic,
        "sources.0.dead_letter_file": str(folder / "dead-letters"),
        "sinks.0.path": str(folder / "records"),
    }
    sets = [word for key, value in options.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    words = ["-m", "pipeline.cli", *command.split(), "-c", str(EXAMPLE), *sets]
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, *words, stdout=pipe, stderr=pipe)


async def test_faults_of_a_topic_are_recorded_and_then_committed(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    written, nodes = lines(20), [f'"gpu-{n}"' for n in range(20)]
    await produce(kafka.address, topic, written, compression_type="lz4")
    running = await started("run", tmp_path, kafka.address, topic)
    records = tmp_path / "records"
    await eventually(lambda: records.exists() and all(node in records.read_text() for node in nodes))
    running.send_signal(signal.SIGTERM)
    out, err = await asyncio.wait_for(running.communicate(), LIMIT)
    assert running.returncode == 0, err.decode()
    assert b"Traceback" not in out + err
    assert await committed(kafka.address, topic, topic) == len(written)


async def test_a_check_says_what_answers_and_what_is_missing(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    there = await started("check --online", tmp_path, kafka.address, topic)
    out, err = await asyncio.wait_for(there.communicate(), LIMIT)
    assert there.returncode == 0, err.decode()
    assert f"sources.0 (kafka): ok, 1 broker, {topic} (1 partition)" in out.decode()
    missing = f"missing-{uuid.uuid4().hex[:12]}"
    away = await started("check --online", tmp_path, kafka.address, missing)
    _, err = await asyncio.wait_for(away.communicate(), LIMIT)
    assert away.returncode == 1
    expected = f"sources.0 (kafka): kafka {kafka.address}: there is no topic {missing}; create it, or mend topics"
    assert err.decode().strip() == expected
