"""Calls of the Kubernetes API: JSON in, JSON out."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from kubernetes_asyncio.client import Configuration
from kubernetes_asyncio.client.rest import RESTClientObject

from pipeline.cluster.kube.answers import decoded, failure, told
from pipeline.cluster.kube.identity import Identity
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.errors import TemporaryError
from pipeline.telemetry import KUBE_CALLS

Object = dict[str, Any]
"""An object of the API as JSON has it."""

Query = Mapping[str, str | int]

MERGE_PATCH = "application/merge-patch+json"
_JSON = "application/json"
_NO_QUERY: Query = {}
_MOST_AT_ONCE = 100


class KubeApi:
    """The API of one cluster.

    Typed models cost 0.9 ms a node; so objects stay what their JSON is. Every call ends within the request timeout.
    Errors: NotFoundError (404), ConflictError (409), AlreadyExistsError (409 of a create), ExpiredError (410),
    ForbiddenError (403), TemporaryError for what may pass (429 and 5xx, with the delay that the server names; timeouts;
    connections that break), PermanentError for the rest, BadInputError for a kubeconfig that cannot be used. A
    TemporaryError of a write leaves open whether it was made.
    """

    def __init__(self, config: KubernetesClusterConfig) -> None:
        self._identity = Identity(config)
        self._timeout = config.request_timeout.total_seconds()
        self._page_size = config.page_size
        self._client: RESTClientObject | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()

    async def get(self, path: str, query: Query = _NO_QUERY) -> Object:
        """Return one object."""
        return await self._call("GET", path, query)

    async def create(self, path: str, body: Object, query: Query = _NO_QUERY) -> Object:
        """Create an object in the collection *path*, or in a subresource such as `.../pods/NAME/eviction`."""
        return await self._call("POST", path, query, body)

    async def replace(self, path: str, body: Object) -> Object:
        """Replace an object, or its status, if it still has the resourceVersion that *body* carries."""
        return await self._call("PUT", path, _NO_QUERY, body)

    async def patch(self, path: str, body: Object) -> Object:
        """Change an object by a merge patch; with a resourceVersion in it, only if it still has that one."""
        return await self._call("PATCH", path, _NO_QUERY, body, MERGE_PATCH)

    async def delete(self, path: str, options: Object | None = None) -> Object:
        """Delete an object; *options* are DeleteOptions."""
        return await self._call("DELETE", path, _NO_QUERY, options)

    async def pages(self, path: str, query: Query = _NO_QUERY) -> AsyncIterator[Object]:
        """Yield the pages of a list, each as the API gives it: `items`, and `metadata.resourceVersion` of the whole."""
        asked: dict[str, str | int] = {**query, "limit": self._page_size}
        while True:
            page = await self._call("GET", path, asked)
            yield page
            more = page["metadata"].get("continue")
            if not more:
                return
            asked["continue"] = more

    async def watch(self, path: str, query: Query, silence: float) -> AsyncIterator[Object]:
        """Yield the events of a watch as the API sends them: `type` and `object`; an ERROR raises what it says.

        It ends when the server ends it (`timeoutSeconds`); raises TemporaryError when the connection breaks, or brings
        nothing for *silence* seconds (a bookmark comes every minute).
        """
        call = f"WATCH {path}"
        timeout = aiohttp.ClientTimeout(sock_connect=self._timeout, sock_read=silence)
        asked = {**query, "watch": "true", "allowWatchBookmarks": "true"}
        try:
            response = await self._send("GET", path, asked, None, _JSON, timeout)
            async with _cut_off(response):
                KUBE_CALLS.labels("WATCH", response.status).inc()
                if response.status >= 300:
                    raise failure(response.status, await response.read(), response.headers, call)
                async for line in _lines(response):
                    event = decoded(line)
                    if event["type"] == "ERROR":
                        raise told(event["object"], call)
                    yield event
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _broken("WATCH", path, error) from error

    async def _call(
        self, method: str, path: str, query: Query, body: Object | None = None, content: str = _JSON
    ) -> Object:
        try:
            response = await self._send(method, path, query, body, content, aiohttp.ClientTimeout(self._timeout))
            async with response:
                answer = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _broken(method, path, error) from error
        KUBE_CALLS.labels(method, response.status).inc()
        if response.status >= 300:
            raise failure(response.status, answer, response.headers, f"{method} {path}")
        found: Object = decoded(answer)
        return found

    async def _send(
        self, method: str, path: str, query: Query, body: Object | None, content: str, limit: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        configuration = await self._identity.configuration()
        client = await self._opened(configuration)
        headers = {"Accept": _JSON, "Content-Type": content, "User-Agent": "gpu-rescue"}
        if key := await configuration.get_api_key_with_prefix("BearerToken"):
            headers["Authorization"] = key
        url = f"{configuration.host}{path}"
        response: aiohttp.ClientResponse = await client.request(
            method,
            url,
            query_params=dict(query),
            headers=headers,
            body=body,
            _preload_content=False,
            _request_timeout=limit,
        )
        return response

    async def _opened(self, configuration: Configuration) -> RESTClientObject:
        async with self._opening:
            if self._client is None:
                try:
                    self._client = RESTClientObject(configuration, maxsize=_MOST_AT_ONCE)
                except OSError as error:
                    # A certificate or a key that is none.
                    raise self._identity.unusable(error) from error
            return self._client


def _broken(verb: str, path: str, error: Exception) -> TemporaryError:
    KUBE_CALLS.labels(verb, "none").inc()
    return TemporaryError(f"{verb} {path}: {type(error).__name__}: {error}".rstrip(": "))


@asynccontextmanager
async def _cut_off(response: aiohttp.ClientResponse) -> AsyncIterator[None]:
    """Cut the connection if it is left before its end: to close TLS in good form takes the other side's help."""
    async with response:
        try:
            yield
        finally:
            if response.connection is not None and response.connection.transport is not None:
                response.connection.transport.abort()


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the lines of a body as they come, however long they are: an object may have 1.5 MiB."""
    rest = b""
    async for chunk in response.content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
    if rest:
        yield rest
