"""The configuration of a Kafka source, and what a client is told of it."""

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AwareDatetime,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from pipeline.documents import Strict
from pipeline.durations import Duration
from pipeline.errors import BadInputError, Complaint


def _or_told(right: str) -> WrapValidator:
    """Say of a value that is refused what would be right, instead of a pattern or of each form that it has not."""

    def validated(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate(value)
        except ValidationError:
            raise ValueError(f"{value} is not {right}") from None

    return WrapValidator(validated)


Address = Annotated[str, StringConstraints(pattern=r"^[^\s,/]+:\d{1,5}$"), _or_told("HOST:PORT")]
TopicName = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,249}$"),
    _or_told("a topic's name: up to 249 letters, digits, dots, underscores and hyphens"),
]
Start = Annotated[
    Literal["earliest", "latest"] | AwareDatetime,
    _or_told("earliest, latest or a time with its zone (2026-11-24T08:00:00Z)"),
]

_BETWEEN_TRIES_MS = 500
_REJOIN = timedelta(seconds=20)
"""Time for the members of a group to join again, beside what they wait for the messages in hand."""


class KafkaSaslConfig(Strict):
    """Who we are."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How the password is shown. PLAIN sends it as it is: with `tls` only."
    )
    username: str = Field(min_length=1, description="The user.")
    password: SecretStr | None = Field(None, description="The password; better a password_file.")
    password_file: Path | None = Field(
        None, description="File that holds the password. It is read again whenever the source connects anew."
    )

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        if (self.password is None) == (self.password_file is None):
            raise ValueError("give either password or password_file")
        return self

    def secret(self) -> str:
        """Return the password; raise BadInputError if its file cannot be read."""
        if self.password is not None:
            return self.password.get_secret_value()
        path = str(self.password_file)
        try:
            return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInputError(Complaint(path, f"the password cannot be read: {error}")) from error


class KafkaTlsConfig(Strict):
    """TLS: the broker's certificate is checked, name and all."""

    ca: Path | None = Field(
        None, description="Certificates (PEM) of the authorities to trust. Default: those that this machine trusts."
    )
    cert: Path | None = Field(None, description="Our own certificate (PEM), where the broker asks for one.")
    key: Path | None = Field(None, description="Its private key (PEM, without a password).")

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.cert is None) != (self.key is None):
            raise ValueError("cert and key go together")
        return self

    def context(self) -> ssl.SSLContext:
        """Return what a connection needs; raise BadInputError if one of the files cannot be used."""
        path = str(self.ca)
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.cert and self.key:
                path = f"{self.cert}, {self.key}"
                context.load_cert_chain(self.cert, self.key, password=lambda: "")
        except (OSError, ValueError) as error:
            remedy = "name PEM files; a key without a password"
            raise BadInputError(Complaint(path, f"cannot be used for TLS: {error}", remedy)) from error
        return context


class KafkaSourceConfig(Strict):
    """Topics of an Apache Kafka cluster, read as a member of a consumer group: replicas share the partitions."""

    type: Literal["kafka"] = "kafka"
    bootstrap_servers: list[Address] = Field(
        min_length=1, description="Brokers to begin with, HOST:PORT; the others are found through them."
    )
    topics: list[TopicName] = Field(min_length=1, description="Topics to read.")
    group_id: str = Field(
        "gpu-rescue",
        min_length=1,
        description="The consumer group: what it has committed is where a restart goes on. Pipelines that are to see "
        "every message each need one of their own.",
    )
    group_instance_id: str | None = Field(
        None,
        min_length=1,
        description="A name that this replica keeps over restarts (a StatefulSet's pod name): a restart within "
        "session_timeout then moves no partitions. None, since a replica that is gone for good would leave its "
        "partitions unread for that long.",
    )
    start: Start = Field(
        "earliest",
        description="Where to start in a partition for which the group has committed nothing: earliest, latest, or a "
        "time (2026-11-24T08:00:00Z). At the earliest nothing is missed, also of partitions that are added later, and "
        "what is stale is recorded and skipped.",
    )
    isolation_level: Literal["read_committed", "read_uncommitted"] = Field(
        "read_committed",
        description="Whether messages of transactions count only once these are committed. What a producer takes back "
        "is not read; a producer that leaves its transaction open is waited for.",
    )
    node_from_key: bool = Field(
        True,
        description="Whether a message's key, if it looks like a host name, is the host name of messages that name "
        "none themselves. Turn it off where keys name anything else, such as a cluster.",
    )
    sasl: KafkaSaslConfig | None = Field(None, description="Who we are, where the cluster asks.")
    tls: KafkaTlsConfig | None = Field(None, description="TLS; `tls: {}` trusts what this machine trusts.")
    fetch_bytes: int = Field(
        8 * 1024 * 1024,
        ge=64 * 1024,
        le=256 * 1024 * 1024,
        description="Bytes, compressed, that are fetched from a broker at a time. It bounds the memory: twice this per "
        "broker. 8 MiB are about 100,000 messages and go through in a tenth of a second.",
    )
    partition_fetch_bytes: int = Field(
        1024 * 1024,
        ge=16 * 1024,
        le=256 * 1024 * 1024,
        description="Bytes of these for one partition, so that none starves the others. A single larger batch is "
        "fetched all the same.",
    )
    commit_every: Duration = Field(
        timedelta(seconds=5),
        ge=timedelta(seconds=1),
        le=timedelta(minutes=1),
        description="How often the offsets up to which everything is safe are committed, and the lag is measured. "
        "After a crash what came since is delivered again and changes nothing; a commit costs one small request.",
    )
    handover: Duration = Field(
        timedelta(seconds=10),
        le=timedelta(minutes=5),
        description="How long a rebalance, which stops the whole group, waits for the messages in hand to be safe. "
        "Those that are not by then are delivered again, to whoever has their partition.",
    )
    session_timeout: Duration = Field(
        timedelta(seconds=45),
        ge=timedelta(seconds=6),
        le=timedelta(minutes=30),
        description="How long a replica may be silent before its partitions go to others. Kafka's own default. A slow "
        "store or sink is no silence, however long it takes.",
    )
    dead_letter_file: Path | None = Field(
        None,
        description="File to which damaged batches are set aside, a JSON object per line; never larger than 64 MiB. It "
        "may be that of decode. Without it and without dead_letter_topic they are counted and named in the log.",
    )
    dead_letter_topic: TopicName | None = Field(
        None, description="Topic to which they are set aside: the batch's bytes, where it stood in its headers."
    )

    @property
    def place(self) -> str:
        """What errors call it."""
        return f"kafka {','.join(self.bootstrap_servers)}"

    @property
    def answer_timeout(self) -> timedelta:
        """How long a member waits for an answer: that to a join comes when all have joined."""
        return self.handover + _REJOIN + timedelta(seconds=10)

    def connection(self, request_timeout: timedelta = timedelta(seconds=10)) -> dict[str, Any]:
        """Return what every client of aiokafka is told; raise BadInputError for files that cannot be used."""
        tls, sasl = self.tls is not None, self.sasl is not None
        told: dict[str, Any] = {
            "bootstrap_servers": list(self.bootstrap_servers),
            "client_id": "gpu-rescue",
            "request_timeout_ms": _milliseconds(request_timeout),
            "retry_backoff_ms": _BETWEEN_TRIES_MS,
            "security_protocol": ("SASL_" if sasl else "") + ("SSL" if tls else "PLAINTEXT"),
        }
        if self.tls is not None:
            told["ssl_context"] = self.tls.context()
        if self.sasl is not None:
            told |= {
                "sasl_mechanism": self.sasl.mechanism,
                "sasl_plain_username": self.sasl.username,
                "sasl_plain_password": self.sasl.secret(),
            }
        return told

    def membership(self) -> dict[str, Any]:
        """Return what a consumer of the group is told.

        aiokafka would leave the group when nothing is taken for `max_poll_interval_ms`, and another replica would get
        the partition only to wait for the same store or sink: that a replica lives is told by its heartbeats.
        """
        return {
            **self.connection(self.answer_timeout),
            "group_id": self.group_id,
            "group_instance_id": self.group_instance_id,
            "enable_auto_commit": False,
            # Where to start, and what to do when the place is gone, is decided by the session.
            "auto_offset_reset": "none",
            "isolation_level": self.isolation_level,
            "session_timeout_ms": _milliseconds(self.session_timeout),
            "heartbeat_interval_ms": _milliseconds(min(self.session_timeout / 10, timedelta(seconds=3))),
            "rebalance_timeout_ms": _milliseconds(self.handover + _REJOIN),
            "max_poll_interval_ms": 2**31 - 1,
            "fetch_max_bytes": self.fetch_bytes,
            "max_partition_fetch_bytes": self.partition_fetch_bytes,
            "metadata_max_age_ms": 60_000,
        }


def _milliseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)
