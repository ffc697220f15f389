"""One way to the servers: the client, who we are, and errors in words for people."""

import base64
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from elastic_transport import ConnectionError as NoConnectionError
from elastic_transport import ConnectionTimeout, TlsError, TransportError
from elasticsearch import ApiError, AsyncElasticsearch, UnsupportedProductError

from sinks.base import SinkError
from sinks.elasticsearch.config import ElasticsearchAuth, ElasticsearchSinkConfig
from sinks.elasticsearch.outcomes import Answer, as_answer

RETRY_AFTER = 5.0
"""Seconds after which a server that is away or too busy is asked again."""

_NOT_TRUSTED = "its certificate is not trusted; tls.ca or tls.fingerprint of the sink names one that is"


class Connection:
    """The official client, opened when it is first used and again after a close."""

    def __init__(self, config: ElasticsearchSinkConfig) -> None:
        self._config = config
        self._opened: AsyncElasticsearch | None = None

    def client(self) -> AsyncElasticsearch:
        """Return a client that says who we are; raise SinkError for a secret or certificate that cannot be read."""
        try:
            login = _authorization(self._config.auth)
            if self._opened is None:
                self._opened = self._open()
        except (OSError, ValueError, ssl.SSLError) as error:
            raise SinkError(f"{self.name} is not asked: {_unreadable(error)}") from error
        return self._opened.options(headers={"authorization": login}) if login else self._opened

    async def close(self) -> None:
        """End the connections."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            await opened.close()

    @property
    def name(self) -> str:
        """What the servers are called in errors."""
        return f"Elasticsearch at {', '.join(self._config.hosts)}"

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Turn whatever goes wrong with a request into a SinkError that says what a person can do."""
        try:
            yield
        except UnsupportedProductError as error:
            raise SinkError(f"{self.name}: what answers is no Elasticsearch") from error
        except ApiError as error:
            raise self.error(as_answer(error)) from error
        except TransportError as error:
            raise self._unreached(error) from error

    def error(self, answer: Answer) -> SinkError:
        """Return what an answer that is no success means."""
        if answer.status == 401:
            return SinkError(f"{self.name} does not know us (401): auth of the sink is missing or wrong; {answer.told}")
        if answer.status == 403:
            return SinkError(f"{self.name} does not let us (403): {answer.told}")
        if answer.kind == "media_type_header_exception":
            return SinkError(f"{self.name} is of a version before 9, which is not supported; {answer.told}")
        return SinkError(f"{self.name} answers {answer.status}: {answer.told}", RETRY_AFTER)

    def _unreached(self, error: TransportError) -> SinkError:
        if isinstance(error.__context__, aiohttp.ServerFingerprintMismatch):
            return SinkError(f"{self.name} is not spoken to: its certificate has another fingerprint than the sink's")
        if isinstance(error, TlsError):
            why = _NOT_TRUSTED if "CERTIFICATE_VERIFY_FAILED" in error.message else f"TLS fails: {error.message}"
            return SinkError(f"{self.name} is not spoken to: {why}")
        if isinstance(error, ConnectionTimeout):
            return SinkError(f"{self.name} has not answered in {self._config.timeout_seconds:g} s", RETRY_AFTER)
        return SinkError(f"{self.name} cannot be reached: {_cause(error)}", RETRY_AFTER)

    def _open(self) -> AsyncElasticsearch:
        tls = self._config.tls
        given: dict[str, Any] = {}
        if any(host.startswith("https:") for host in self._config.hosts):
            given = {"verify_certs": tls.verify, "ssl_show_warn": False}
            if tls.ca is not None:
                given["ca_certs"] = str(tls.ca)
            if tls.fingerprint is not None:
                given["ssl_assert_fingerprint"] = tls.fingerprint
        hosts = [_with_port(host) for host in self._config.hosts]
        # A server that is away has the next one asked; an answer is judged by us, who know what is safe.
        return AsyncElasticsearch(
            hosts,
            request_timeout=self._config.timeout_seconds,
            max_retries=len(hosts) - 1,
            retry_on_status=(),
            **given,
        )


def unknown_call(error: ApiError) -> bool:
    """Tell whether the server does not have what was called at all: one without security or life cycles, say."""
    return "no handler found" in as_answer(error).reason


def _cause(error: TransportError) -> str:
    match error.__context__:
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError(), host=host, port=port):
            return f"nobody listens at {host}:{port}; see that it runs, and check hosts of the sink"
        case aiohttp.ClientConnectorError(os_error=socket.gaierror() as unknown, host=host):
            return f"the name {host} is not known: {unknown.strerror}; check hosts of the sink"
        case aiohttp.ClientConnectorError(os_error=failure, host=host, port=port):
            return f"{host}:{port}: {failure.strerror or failure}"
    return error.message if isinstance(error, NoConnectionError) else repr(error)


def _authorization(auth: ElasticsearchAuth | None) -> str | None:
    if auth is None:
        return None
    if auth.username is not None:
        secret = auth.password.get_secret_value() if auth.password else _read(auth.password_file)
        return "Basic " + base64.b64encode(f"{auth.username}:{secret}".encode()).decode()
    key = auth.api_key.get_secret_value() if auth.api_key else _read(auth.api_key_file)
    return "ApiKey " + (base64.b64encode(key.encode()).decode() if ":" in key else key)


def _read(path: Path | None) -> str:
    return path.read_text().strip() if path else ""


def _unreadable(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def _with_port(host: str) -> str:
    scheme, _, rest = host.partition("://")
    address, slash, path = rest.partition("/")
    has_port = address.rpartition("]")[2].rpartition(":")[1]
    return host if has_port else f"{scheme}://{address}:{443 if scheme == 'https' else 80}{slash}{path}"
