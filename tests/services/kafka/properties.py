"""The broker's configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.services.certificates import Certificate

MECHANISMS = ("PLAIN", "SCRAM-SHA-256")
SMALL: Mapping[str, str] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "1",
    "group.initial.rebalance.delay.ms": "0",
    "log.cleaner.dedupe.buffer.size": "2097152",
    "broker.heartbeat.interval.ms": "500",
    "broker.session.timeout.ms": "3000",
    # As sites have it: a topic that is missing is told, and not made by asking for it.
    "auto.create.topics.enable": "false",
}


@dataclass(frozen=True, slots=True)
class User:
    """Somebody who comes in by SASL, with any mechanism. Who is no superuser may do what ACLs allow, else nothing."""

    name: str
    password: str
    superuser: bool = False


def properties(
    ports: Mapping[str, int], data: Path, users: Sequence[User], certificate: Certificate | None
) -> dict[str, str]:
    """Return the properties of a broker with a listener per name in *ports*: PLAINTEXT, CONTROLLER, and of the others
    what *users* (SASL_) and *certificate* (SSL) make possible.
    """
    clients = {name: port for name, port in ports.items() if name != "CONTROLLER"}
    found = {
        **SMALL,
        "listeners": _listeners(ports),
        "advertised.listeners": _listeners(clients),
        "listener.security.protocol.map": ",".join(
            f"{name}:{'PLAINTEXT' if name == 'CONTROLLER' else name}" for name in ports
        ),
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{ports['CONTROLLER']}",
        "log.dirs": str(data),
    }
    if users:
        found |= _sasl(users, [name.lower() for name in clients if name.startswith("SASL_")])
    if certificate:
        found |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(_keystore(certificate))}
    return found


def listeners(users: Sequence[User], certificate: Certificate | None) -> list[str]:
    """Return the names of the listeners that such a broker has."""
    sasl = ["SASL_PLAINTEXT"] if users else []
    tls = ["SSL", *(["SASL_SSL"] if users else [])] if certificate else []
    return ["PLAINTEXT", "CONTROLLER", *sasl, *tls]


def _listeners(ports: Mapping[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())


def _sasl(users: Sequence[User], names: Sequence[str]) -> dict[str, str]:
    package = "org.apache.kafka.common.security"
    known = " ".join(f'user_{user.name}="{user.password}"' for user in users)
    superusers = ["User:ANONYMOUS", *(f"User:{user.name}" for user in users if user.superuser)]
    found = {
        "sasl.enabled.mechanisms": ",".join(MECHANISMS),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": ";".join(superusers),
    }
    for name in names:
        prefix = f"listener.name.{name}"
        found[f"{prefix}.plain.sasl.jaas.config"] = f"{package}.plain.PlainLoginModule required {known};"
        found[f"{prefix}.scram-sha-256.sasl.jaas.config"] = f"{package}.scram.ScramLoginModule required;"
    return found


def _keystore(certificate: Certificate) -> Path:
    store = certificate.key.with_name("keystore.pem")
    store.write_text(certificate.key.read_text() + certificate.certificate.read_text())
    return store
