"""As deployed: the kernel says it, rsyslog ships it to Kafka, gpu-rescue acts, and Elasticsearch has the record."""

import signal
from pathlib import Path

from tests.e2e.commands import ended, searching, sink_sets, started
from tests.fakes.elasticsearch import install, sink_config
from tests.integration.kafka.reading import eventually
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.fixtures import running
from tests.services.kafka.broker import Kafka
from tests.services.rsyslog.shipper import Rsyslog, shipped

NODE = "gpu-h100-01"
FAULT = "[ 4711.250000] NVRM: Xid (PCI:0000:3b:00): 79, pid=412, name=python3, GPU has fallen off the bus."
NOISE = "[ 4711.000000] docker0: port 1(veth0a1b2c) entered blocking state"


async def test_a_fault_of_the_kernel_s_log_takes_its_node_out_and_is_recorded(
    kafka: Kafka, elasticsearch: Elasticsearch, topic: str, tmp_path: Path
) -> None:
    config = sink_config(elasticsearch, tmp_path)
    await install(config)
    sets = sink_sets(elasticsearch, config.data_stream)
    command = await started("run", tmp_path, kafka.address, topic, *sets)
    with running("rsyslog", lambda folder: Rsyslog(folder, shipped(kafka.address, topic), NODE)) as rsyslog:
        rsyslog.say(NOISE, FAULT, NOISE)
        async with searching(config, "step-ended") as nodes:

            async def cordoned() -> bool:
                return await nodes() == {NODE}

            await eventually(cordoned)
    command.send_signal(signal.SIGTERM)
    out, err = await ended(command)
    assert command.returncode == 0, err
    assert "Traceback" not in out + err
