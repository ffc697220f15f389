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

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from tests.services.certificates import Certificate, make_certificate
from tests.services.elasticsearch.configuration import User as ElasticsearchUser
from tests.services.elasticsearch.node import Elasticsearch
from tests.services.errors import MissingError
from tests.services.folders import temporary_folder
from tests.services.kafka.broker import Kafka
from tests.services.kafka.properties import User as KafkaUser
from tests.services.kafka.topics import create_topic
from tests.services.kube.artifact import helm_program
from tests.services.kube.definitions import install
from tests.services.kube.kubeconfig import User as KubeUser
from tests.services.kube.parts import Part
from tests.services.kube.plane import ControlPlane
from tests.services.server import Server

Opened = TypeVar("Opened", bound=Server)

KAFKA_USERS = (KafkaUser("alice", "alice-secret", superuser=True), KafkaUser("bob", "bob-secret"))
ELASTICSEARCH_USERS = (ElasticsearchUser("alice", "alice-secret"), ElasticsearchUser("bob", "bob-secret", ("viewer",)))
KUBE_USERS = (KubeUser("restricted", "restricted-token", ("testers",)),)


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


@pytest.fixture(scope="session")
def kube() -> Iterator[ControlPlane]:
    """One control plane for all tests: budgets are kept, every node becomes Ready and every bound pod Running.

    The user `restricted` may do what RBAC allows. Name nodes and namespaces uniquely.
    """

    def opened(folder: Path) -> ControlPlane:
        return ControlPlane(folder, parts=(Part.CONTROLLERS, Part.KWOK), users=KUBE_USERS)

    with running("kube", opened) as server:
        yield server


@pytest.fixture
async def kube_api(kube: ControlPlane) -> AsyncIterator[KubeApi]:
    """The administrator's calls of `kube`."""
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=kube.kubeconfig))
    yield api
    await api.close()


@pytest.fixture(scope="session")
def rescue_kinds(kube: ControlPlane) -> ControlPlane:
    """`kube`, which knows the kinds of the chart from then on."""
    install(kube)
    return kube


@pytest.fixture
def rescue_api(rescue_kinds: ControlPlane, kube_api: KubeApi) -> KubeApi:
    """`kube_api`, where the kinds of the chart are known."""
    return kube_api


@pytest.fixture
async def namespace(kube_api: KubeApi) -> str:
    """A new namespace in `kube`."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    await kube_api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture
def own_kube() -> Iterator[ControlPlane]:
    """etcd and an API server for this test alone: to be killed and started again."""
    with running("kube", ControlPlane) as server:
        yield server


@pytest.fixture
async def own_api(own_kube: ControlPlane) -> AsyncIterator[KubeApi]:
    """The administrator's calls of `own_kube`, in pages of two."""
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=own_kube.kubeconfig, page_size=2))
    yield api
    await api.close()


@pytest.fixture
def uncached_kube() -> Iterator[ControlPlane]:
    """etcd and an API server for this test alone that knows nothing of the past but what etcd does: after `compact`,
    it answers 410 to who goes on from before.
    """
    with running("kube", lambda folder: ControlPlane(folder, flags=("--watch-cache=false",))) as server:
        yield server


@pytest.fixture(scope="session")
def helm() -> Path:
    """helm's program."""
    with required():
        return helm_program()
