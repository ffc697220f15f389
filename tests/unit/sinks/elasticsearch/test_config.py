"""What the Elasticsearch sink can be told, and what it is refused for."""

import base64
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from sinks.base import SinkError
from sinks.elasticsearch.config import ElasticsearchAuth, ElasticsearchSinkConfig, ElasticsearchTls
from sinks.elasticsearch.connection import Connection
from sinks.spoolfiles import SpoolConfig

HOST = "https://es.example.com:9200"
PRINT = "ab" * 32


def config(**given: Any) -> ElasticsearchSinkConfig:
    return ElasticsearchSinkConfig.model_validate({"type": "elasticsearch", "hosts": [HOST]} | given)


@pytest.mark.parametrize("model", [ElasticsearchSinkConfig, ElasticsearchAuth, ElasticsearchTls, SpoolConfig])
def test_every_key_is_described(model: type[BaseModel]) -> None:
    assert [name for name, info in model.model_fields.items() if name != "type" and not info.description] == []


ACCEPTED = {
    "a user and a password": {"auth": {"username": "a", "password": "b"}},
    "a user and a file": {"auth": {"username": "a", "password_file": "/run/secrets/p"}},
    "a key": {"auth": {"api_key": "a"}},
    "a file with a key": {"auth": {"api_key_file": "/run/secrets/k"}},
    "nobody": {"auth": None},
    "a path behind a proxy": {"hosts": ["https://gate.example.com/es"]},
    "an address of IPv6": {"hosts": ["http://[::1]:9200"]},
    "a fingerprint with colons": {"tls": {"fingerprint": ":".join(["AB"] * 32)}},
    "a fingerprint without": {"tls": {"fingerprint": PRINT}},
}


@pytest.mark.parametrize("given", ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_it_is_accepted_and_a_client_can_be_made_of_it(given: dict[str, Any], tmp_path: Path) -> None:
    auth = dict(given.get("auth") or {})
    for key in {"password_file", "api_key_file"} & set(auth):
        (tmp_path / "secret").write_text("s\n")
        auth[key] = tmp_path / "secret"
    connection = Connection(config(**(given | {"auth": auth or None})))
    assert connection.client()
    await connection.close()


REFUSED = {
    "a user alone": ({"auth": {"username": "a"}}, "a username with a password"),
    "two passwords": ({"auth": {"username": "a", "password": "b", "password_file": "c"}}, "a username with a password"),
    "two ways at once": ({"auth": {"username": "a", "password": "b", "api_key": "c"}}, "a username with a password"),
    "an empty auth": ({"auth": {}}, "a username with a password"),
    "a number for a password": ({"auth": {"username": "a", "password": 1}}, "valid string"),
    "no host": ({"hosts": []}, "at least 1 item"),
    "a host without a scheme": ({"hosts": ["es.example.com:9200"]}, "is no URL such as https://"),
    "a password in the URL": ({"hosts": ["https://a:b@es.example.com"]}, "belongs under auth"),
    "a question in the URL": ({"hosts": ["https://es.example.com/?a=b"]}, "holds more than"),
    "a stream in capitals": ({"data_stream": "Logs"}, "lower-case"),
    "a pattern for a stream": ({"data_stream": "logs-*"}, "lower-case"),
    "a short fingerprint": ({"tls": {"fingerprint": "abcd"}}, "64 hexadecimal digits"),
    "two ways to trust": ({"tls": {"ca": "a", "fingerprint": PRINT}}, "one of ca, fingerprint"),
    "a trust that is not checked": ({"tls": {"ca": "a", "verify": False}}, "one of ca, fingerprint"),
    "an unknown key": ({"host": HOST}, "Extra inputs"),
    "a spool too small": ({"spool": {"path": "a", "max_bytes": 1}}, "greater than or equal to 65536"),
}


@pytest.mark.parametrize(("given", "told"), REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_with_what_would_be_right(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        config(**given)


def test_a_secret_is_not_shown() -> None:
    assert "swordfish" not in repr(config(auth={"username": "a", "password": "swordfish"}))


async def login(given: dict[str, Any]) -> str:
    connection = Connection(config(auth=given))
    try:
        return str(connection.client()._headers["authorization"])
    finally:
        await connection.close()


async def test_who_we_are_is_said_as_the_server_reads_it(tmp_path: Path) -> None:
    def encoded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    assert await login({"username": "a", "password": "ü:b"}) == f"Basic {encoded('a:ü:b')}"
    assert await login({"api_key": encoded("id:key")}) == f"ApiKey {encoded('id:key')}"
    assert await login({"api_key": "id:key"}) == f"ApiKey {encoded('id:key')}"
    (tmp_path / "key").write_text("id:key\n")
    assert await login({"api_key_file": tmp_path / "key"}) == f"ApiKey {encoded('id:key')}"


async def test_a_changed_secret_counts_at_once(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("old")
    connection = Connection(config(auth={"api_key_file": secret}))
    before = connection.client()._headers["authorization"]
    secret.write_text("new")
    assert (before, connection.client()._headers["authorization"]) == ("ApiKey old", "ApiKey new")
    await connection.close()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"auth": {"api_key_file": "/nowhere/key"}}, "/nowhere/key: No such file"),
        ({"tls": {"ca": "/nowhere/ca.pem"}}, "ca_certs parameter is not a path"),
    ],
    ids=["a secret", "an authority"],
)
def test_a_file_that_is_not_there_is_named(given: dict[str, Any], told: str) -> None:
    with pytest.raises(SinkError, match=told) as caught:
        Connection(config(**given)).client()
    assert caught.value.retry_after is None
