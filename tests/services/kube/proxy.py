"""What stands between a client and an API server, and may do harm to each call."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from aiohttp import web

from tests.services.kube.kubeconfig import write_kubeconfig
from tests.services.kube.plane import ControlPlane
from tests.services.ports import free_port

_PASSED_ON = ("Authorization", "Content-Type", "Accept", "User-Agent")
_LARGEST = 16 * 1024 * 1024
_LONGEST = 30.0
"""Seconds that an answer which never comes is awaited for: far longer than any client does."""


class Trouble(StrEnum):
    """What becomes of a call instead of its answer. Unless it says so, the API server never sees the call."""

    CONFLICT = "409"
    EXPIRED = "410, of a watch in its stream"
    BUSY = "429, with Retry-After"
    BROKEN = "500"
    SILENT = "no answer ever"
    CUT = "the connection is cut"
    LOST = "the API server does it, and the connection is cut before the answer"
    UNHEARD = "the API server does it, and no answer ever comes"
    DROPPED = "a watch is cut after its first event"


_STATUS = {
    Trouble.CONFLICT: (409, "Conflict"),
    Trouble.EXPIRED: (410, "Expired"),
    Trouble.BUSY: (429, "TooManyRequests"),
    Trouble.BROKEN: (500, "InternalError"),
}


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the client's."""

    method: str
    path: str
    watch: bool
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it changes something."""
        return self.method != "GET"

    def __str__(self) -> str:
        return f"{'WATCH' if self.watch else self.method} {self.path}"


class Meddler(Protocol):
    """Who says what becomes of each call."""

    async def asked(self, call: Call) -> Trouble | None:
        """Return what becomes of it; None for its answer."""
        ...

    async def answered(self, call: Call) -> None:
        """The API server has done it; the client does not know yet."""
        ...


class Proxy:
    """Passes a client's calls on to the API server of *plane*, without TLS towards the client."""

    def __init__(self, plane: ControlPlane, meddler: Meddler, kubeconfig: Path) -> None:
        """*kubeconfig* is written: by it a client comes in here, as the administrator."""
        self._plane = plane
        self._meddler = meddler
        self._port = free_port()
        self._handling: set[asyncio.Task[Any]] = set()
        self.kubeconfig = kubeconfig
        write_kubeconfig(kubeconfig, f"http://127.0.0.1:{self._port}", plane.authority, plane.token)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve while the block runs."""
        trusted = ssl.create_default_context(cafile=self._plane.authority)
        connector = aiohttp.TCPConnector(ssl=trusted, limit=0)
        async with aiohttp.ClientSession(self._plane.url, connector=connector, auto_decompress=False) as self._session:
            application = web.Application(client_max_size=_LARGEST)
            application.router.add_route("*", "/{path:.*}", self._handle)
            # What has begun goes on when the client is gone: it may be dead, and the API server does what it is told.
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", self._port).start()
                yield
            finally:
                for task in self._handling:
                    task.cancel()
                await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._handling.add(task)
        try:
            return await self._answer(request)
        finally:
            self._handling.discard(task)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        call = Call(request.method, request.path, "watch" in request.query, await request.read())
        trouble = await self._meddler.asked(call)
        match trouble:
            case Trouble.CONFLICT | Trouble.EXPIRED | Trouble.BUSY | Trouble.BROKEN:
                return _refused(trouble, call)
            case Trouble.SILENT:
                return await _silent(request)
            case Trouble.CUT:
                return _cut(request)
            case _:
                return await self._passed_on(request, call, trouble)

    async def _passed_on(self, request: web.Request, call: Call, trouble: Trouble | None) -> web.StreamResponse:
        headers = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
        try:
            async with self._session.request(
                call.method, request.rel_url, headers=headers, data=call.body or None, timeout=_no_limit()
            ) as answer:
                if call.watch:
                    return await _streamed(request, answer, trouble)
                body = await answer.read()
        except aiohttp.ClientError:
            # The API server is away.
            return _cut(request)
        await self._meddler.answered(call)
        if trouble is Trouble.LOST:
            return _cut(request)
        if trouble is Trouble.UNHEARD:
            return await _silent(request)
        return web.Response(status=answer.status, body=body, headers=_headers(answer))


async def _streamed(
    request: web.Request, answer: aiohttp.ClientResponse, trouble: Trouble | None
) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    await response.prepare(request)
    async for chunk in answer.content.iter_any():
        await response.write(chunk)
        if trouble is Trouble.DROPPED:
            return _cut(request)
    return response


def _headers(answer: aiohttp.ClientResponse) -> dict[str, str]:
    return {name: answer.headers[name] for name in ("Content-Type", "Content-Encoding") if name in answer.headers}


def _no_limit() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None)


def _refused(trouble: Trouble, call: Call) -> web.Response:
    code, reason = _STATUS[trouble]
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    told = {**status, "message": f"{reason}, says the proxy"}
    if trouble is Trouble.EXPIRED and call.watch:
        return web.json_response({"type": "ERROR", "object": told})
    return web.json_response(told, status=code, headers={"Retry-After": "1"} if trouble is Trouble.BUSY else None)


async def _silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(_LONGEST)
    return _cut(request)


def _cut(request: web.Request) -> web.StreamResponse:
    """Abort the connection; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=502)
