"""Fixtures of real servers. Each is started when the first test asks for it and stopped when its scope ends; whatever
ends the tests, SIGKILL too, ends the servers.

Where a server is not to be had, a test that asks for one is skipped with the reason, but under CI=true it fails.
"""

import os
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from tests.services.certificates import Certificate, make_certificate
from tests.services.elasticsearch.configuration import User as ElasticsearchUser
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.errors import MissingError
from tests.services.folders import temporary_folder
from tests.services.kafka.broker import Kafka
from tests.services.kafka.properties import User as KafkaUser
from tests.services.kafka.topics import create_topic
from tests.services.server import Server

Opened = TypeVar("Opened", bound=Server)

KAFKA_USERS = (KafkaUser("alice", "alice-secret", superuser=True), KafkaUser("bob", "bob-secret"))
ELASTICSEARCH_USERS = (ElasticsearchUser("alice", "alice-secret"), ElasticsearchUser("bob", "bob-secret", ("viewer",)))


@contextmanager
def running(name: str, opened: Callable[[Path], Opened]) -> Iterator[Opened]:
    """A server in a folder of its own, ready."""
    with temporary_folder(name) as folder:
        server = opened(folder)
        try:
            with required():
                server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def required() -> Iterator[None]:
    """Turn what this machine lacks into a skip, or under CI=true into a failure."""
    try:
        yield
    except MissingError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def certificate() -> Iterator[Certificate]:
    """A certificate for 127.0.0.1; clients trust its authority."""
    with temporary_folder("certificates") as folder:
        with required():
            made = make_certificate(folder)
        yield made


@pytest.fixture(scope="session")
def kafka(certificate: Certificate) -> Iterator[Kafka]:
    """One broker for all tests, with every listener: alice may do all, bob what ACLs allow. Name topics uniquely."""
    with running("kafka", lambda folder: Kafka(folder, users=KAFKA_USERS, certificate=certificate)) as server:
        yield server


@pytest.fixture
async def topic(kafka: Kafka) -> AsyncIterator[str]:
    """A new topic of one partition in `kafka`."""
    name = f"kernel-logs-{uuid.uuid4().hex[:12]}"
    await create_topic(kafka.address, name)
    yield name


@pytest.fixture
def own_kafka() -> Iterator[Kafka]:
    """A broker for this test alone, with the plain listener: to be killed and started again."""
    with running("kafka", Kafka) as server:
        yield server


@pytest.fixture(scope="session")
def elasticsearch() -> Iterator[Elasticsearch]:
    """One node for all tests, without security. Name indices uniquely."""
    with running("elasticsearch", Elasticsearch) as server:
        yield server


@pytest.fixture(scope="session")
def secured_elasticsearch(certificate: Certificate) -> Iterator[Elasticsearch]:
    """One node for all tests, with TLS and users: alice may do all, bob may read."""

    def opened(folder: Path) -> Elasticsearch:
        return Elasticsearch(folder, users=ELASTICSEARCH_USERS, certificate=certificate)

    with running("elasticsearch", opened) as server:
        yield server


@pytest.fixture
def own_elasticsearch() -> Iterator[Elasticsearch]:
    """A node for this test alone, without security: to be killed and started again."""
    with running("elasticsearch", Elasticsearch) as server:
        yield server
