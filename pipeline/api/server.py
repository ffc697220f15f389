"""The HTTP server, inside the event loop of the pipeline."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pipeline.api.readiness import Readiness
from pipeline.api.settings import ApiSettings
from pipeline.errors import BadInputError, Complaint

_log = structlog.get_logger()


@asynccontextmanager
async def serving(settings: ApiSettings, readiness: Readiness) -> AsyncIterator[str]:
    """Serve while the block runs; give the URL. Raises BadInputError if the address cannot be listened on.

    `/healthz` answers 200 as long as the event loop turns. `/readyz` answers 200, or 503 with a line for each part that
    waits for something. `/metrics` is what Prometheus scrapes.
    """
    routes = web.RouteTableDef()

    @routes.get("/healthz")
    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    @routes.get("/readyz")
    async def readyz(_: web.Request) -> web.Response:
        lacking = readiness.lacking()
        lines = [f"{name}: {what}" for name, what in lacking.items()] or ["ok"]
        return web.Response(text="\n".join(lines) + "\n", status=503 if lacking else 200)

    @routes.get("/metrics")
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            told = f"cannot be listened on: {error.strerror}"
            raise BadInputError(Complaint(f"api.listen {settings.listen}", told, "name a free port")) from error
        host, port = runner.addresses[0][:2]
        url = f"http://{host}:{port}"
        _log.info("api.listening", url=url)
        yield url
    finally:
        await runner.cleanup()
