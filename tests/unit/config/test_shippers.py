"""The shippers' configurations: each sends the kernel's messages alone, to one topic, keyed by the node, acknowledged.

rsyslog's is run for real (tests/integration/services/test_rsyslog.py); of the others only the form is held here, as
their documentation has it, and what they ship is among the samples of tests/unit/decode.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

SHIPPERS = Path(__file__).parents[3] / "config" / "shippers"


def fluent_bit(read: Any) -> tuple[object, ...]:
    (taken,), (sent,) = read["pipeline"]["inputs"], read["pipeline"]["outputs"]
    assert taken["tag"] == sent["match"]
    return taken["systemd_filter"], sent["brokers"], sent["topics"], sent["message_key"], sent["rdkafka.acks"]


def filebeat(read: Any) -> tuple[object, ...]:
    (taken,), sent = read["filebeat.inputs"], read["output.kafka"]
    (filtered,), (broker,) = taken["include_matches.match"], sent["hosts"]
    return filtered, broker, sent["topic"], sent["key"], {-1: "all"}[sent["required_acks"]]


def vector(read: Any) -> tuple[object, ...]:
    ((name, taken),), (sent,) = read["sources"].items(), read["sinks"].values()
    assert sent["inputs"] == [name]
    ((field, (value,)),) = taken["include_matches"].items()
    acks = sent["librdkafka_options"]["acks"]
    return f"{field}={value}", sent["bootstrap_servers"], sent["topic"], sent["key_field"], acks


@pytest.mark.parametrize(
    ("name", "told", "node"),
    [
        ("fluent-bit.yaml", fluent_bit, "${HOSTNAME}"),
        ("filebeat.yml", filebeat, "%{[host.hostname]}"),
        ("vector.yaml", vector, "host"),
    ],
)
def test_what_is_shipped_is_the_kernels_and_comes_safely_to_one_topic(
    name: str, told: Callable[[Any], tuple[object, ...]], node: str
) -> None:
    read = yaml.safe_load((SHIPPERS / name).read_text())
    assert told(read) == ("_TRANSPORT=kernel", "kafka.example.com:9092", "kernel-logs", node, "all")


def test_every_shipper_is_in_the_readme() -> None:
    listed = (SHIPPERS / "README.md").read_text()
    assert [
        path.name for path in SHIPPERS.iterdir() if path.name != "README.md" and f"`{path.name}`" not in listed
    ] == []
