"""What a Kafka source can be told, and what it then tells its client."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from pipeline.errors import BadInputError
from pipeline.sources.kafka.settings import KafkaSaslConfig, KafkaSourceConfig, KafkaTlsConfig

LEAST: dict[str, Any] = {"bootstrap_servers": ["kafka-1:9092", "10.0.0.1:9092"], "topics": ["kernel-logs"]}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param({"topics": []}, "at least 1", id="no topic"),
        pytest.param({"topics": ["a b"]}, "a b is not a topic's name: up to 249 letters", id="no name of a topic"),
        pytest.param({"bootstrap_servers": ["kafka-1"]}, "kafka-1 is not HOST:PORT", id="no port"),
        pytest.param(
            {"bootstrap_servers": ["http://kafka-1:9092"]}, "http://kafka-1:9092 is not HOST:PORT", id="a URL"
        ),
        pytest.param({"start": "newest"}, "newest is not earliest, latest or a time", id="an unknown start"),
        pytest.param(
            {"start": "2026-11-24T08:00:00"},
            "is not earliest, latest or a time with its zone",
            id="a time without its zone",
        ),
        pytest.param({"sasl": {"username": "a"}}, "give either password or password_file", id="no password"),
        pytest.param(
            {"sasl": {"username": "a", "password": "b", "password_file": "c"}},
            "give either password or password_file",
            id="two passwords",
        ),
        pytest.param({"tls": {"cert": "a.pem"}}, "cert and key go together", id="a certificate without its key"),
        pytest.param({"session_timeout": "1s"}, "session_timeout", id="a session shorter than brokers allow"),
    ],
)
def test_what_is_wrong_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        KafkaSourceConfig.model_validate(LEAST | wrong)


@pytest.mark.parametrize("model", [KafkaSourceConfig, KafkaSaslConfig, KafkaTlsConfig])
def test_every_key_is_described(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if name != "type" and not field.description] == []


def test_a_start_is_a_word_or_a_time() -> None:
    assert KafkaSourceConfig.model_validate(LEAST | {"start": "latest"}).start == "latest"
    moment = KafkaSourceConfig.model_validate(LEAST | {"start": "2026-11-24T08:00:00Z"}).start
    assert moment == datetime(2026, 11, 24, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("more", "protocol"),
    [
        ({}, "PLAINTEXT"),
        ({"tls": {}}, "SSL"),
        ({"sasl": {"username": "a", "password": "b"}}, "SASL_PLAINTEXT"),
        ({"sasl": {"username": "a", "password": "b"}, "tls": {}}, "SASL_SSL"),
    ],
)
def test_the_protocol_follows_from_tls_and_sasl(more: dict[str, Any], protocol: str) -> None:
    told = KafkaSourceConfig.model_validate(LEAST | more).connection()
    assert told["security_protocol"] == protocol
    assert ("ssl_context" in told) is ("tls" in more)
    assert told.get("sasl_plain_password") == ("b" if "sasl" in more else None)


def test_a_password_is_read_from_its_file_each_time_and_never_shown(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("first\n")
    sasl = KafkaSaslConfig(username="a", password_file=secret)
    assert sasl.secret() == "first"
    secret.write_text("second")
    assert sasl.secret() == "second"
    secret.unlink()
    with pytest.raises(BadInputError, match="the password cannot be read"):
        sasl.secret()
    assert "hidden" not in repr(KafkaSaslConfig.model_validate({"username": "a", "password": "hidden"}))


def test_a_replica_that_is_slow_is_no_replica_that_is_silent() -> None:
    told = KafkaSourceConfig.model_validate(LEAST).membership()
    assert told["heartbeat_interval_ms"] * 3 < told["session_timeout_ms"] == 45_000
    assert told["max_poll_interval_ms"] > 7 * 86_400_000
    assert told["enable_auto_commit"] is False
    # A join is answered when all have joined, or have had the time to.
    assert told["request_timeout_ms"] > told["rebalance_timeout_ms"] > 10_000
