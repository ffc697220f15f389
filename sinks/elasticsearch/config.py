"""What the Elasticsearch sink can be told."""

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from sinks.spoolfiles import SpoolConfig

_SHA_256 = re.compile(r"[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}")
_STREAM = re.compile(r"[a-z0-9][a-z0-9_.-]{0,254}")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ElasticsearchAuth(_Strict):
    """How a server knows us: by a name and a password, or by an API key."""

    username: str | None = Field(None, description="Name of a user; goes with a password.")
    password: SecretStr | None = Field(None, description="Its password, as text in quotes.")
    password_file: Path | None = Field(
        None, description="File that holds it instead; read at every request, so that a changed one counts at once."
    )
    api_key: SecretStr | None = Field(None, description="An API key, encoded as Kibana shows it, or as ID:KEY.")
    api_key_file: Path | None = Field(None, description="File that holds it instead; read as the password's.")

    @model_validator(mode="after")
    def _one_way(self) -> "ElasticsearchAuth":
        given = {name for name in type(self).model_fields if getattr(self, name) is not None}
        ways = ({"username", "password"}, {"username", "password_file"}, {"api_key"}, {"api_key_file"})
        if given not in ways:
            raise ValueError("give a username with a password or a password_file, or an api_key or an api_key_file")
        return self


class ElasticsearchTls(_Strict):
    """How we know a server of https, beyond the authorities that this system trusts."""

    ca: Path | None = Field(None, description="File of the certificates, PEM, of the authorities to trust instead.")
    fingerprint: str | None = Field(
        None, description="SHA-256 of the server's own certificate, in hex: trust this one, and no authority."
    )
    verify: bool = Field(True, description="false: trust whoever answers. For tests only: it hides any attack.")

    @field_validator("fingerprint")
    @classmethod
    def _of_sha_256(cls, value: str | None) -> str | None:
        if value is not None and not _SHA_256.fullmatch(value):
            raise ValueError("a SHA-256 fingerprint is 64 hexadecimal digits, with or without colons")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> "ElasticsearchTls":
        if (self.ca is not None) + (self.fingerprint is not None) + (not self.verify) > 1:
            raise ValueError("give one of ca, fingerprint and verify: false")
        return self


class ElasticsearchSinkConfig(_Strict):
    """Records in an Elasticsearch data stream."""

    type: Literal["elasticsearch"]
    hosts: list[str] = Field(
        min_length=1, description="URLs of the servers; when one is away the next is taken. Without a port: 80 or 443."
    )
    data_stream: str = Field(
        "logs-gpu_rescue.records-default",
        description="The data stream. Its last part is free; what `gpu-rescue install elasticsearch` puts in place is "
        "for logs-gpu_rescue.records-*.",
    )
    auth: ElasticsearchAuth | None = Field(None, description="How the server knows us; none: it asks nobody.")
    tls: ElasticsearchTls = Field(ElasticsearchTls(), description="How we know the server.")
    batch_records: int = Field(
        1000, ge=1, le=10_000, description="Most records in one request. More would gain nothing measurable."
    )
    batch_bytes: int = Field(
        1_000_000,
        ge=1024,
        description="Most bytes in one request, unless one record alone has more. Sending more would hold up all else.",
    )
    batch_seconds: float = Field(
        0.0,
        ge=0,
        le=10,
        description="How long a record waits for others. 0: not at all; what comes during a request is one batch.",
    )
    timeout_seconds: float = Field(10.0, gt=0, le=300, description="How long one request may take.")
    retry_seconds: float = Field(
        5.0,
        ge=0,
        le=300,
        description="How long a request that finds the server too busy (429, 5xx) is made again before the records "
        "count as not taken: then they go to the spool or, without one, lines wait.",
    )
    dead_letters: Path = Field(
        Path("rescue-records-refused.ndjson"),
        description="File for records that the server's mapping refuses, each with the reason; its folder must exist.",
    )
    spool: SpoolConfig | None = Field(
        None, description="Where records wait while no server takes them; none: lines wait where they come from."
    )

    @property
    def place(self) -> str:
        """Where the records are, in a few words."""
        return f"{self.data_stream} at {', '.join(self.hosts)}"

    @field_validator("hosts")
    @classmethod
    def _urls(cls, value: list[str]) -> list[str]:
        for host in value:
            url = urlsplit(host)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError(f"{host!r} is no URL such as https://es.example.com:9200")
            if url.username or url.password:
                raise ValueError("a URL must not hold a password: it belongs under auth")
            if url.query or url.fragment:
                raise ValueError(f"{host!r} holds more than scheme, host, port and path")
        return value

    @field_validator("data_stream")
    @classmethod
    def _name(cls, value: str) -> str:
        if not _STREAM.fullmatch(value):
            raise ValueError("a data stream's name is of lower-case letters, digits, dots, hyphens and underscores")
        return value
