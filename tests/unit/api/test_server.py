"""The HTTP server: alive, ready or why not, metrics, and an address that cannot be used."""

import aiohttp
import pytest
from pydantic import ValidationError

from pipeline.api.readiness import Readiness
from pipeline.api.server import serving
from pipeline.api.settings import ApiSettings
from pipeline.errors import BadInputError
from pipeline.telemetry import LINES

_ANYWHERE = ApiSettings(listen="127.0.0.1:0")


async def _get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_it_is_alive_also_when_it_is_not_ready() -> None:
    async with serving(_ANYWHERE, Readiness({"cluster": lambda: "its nodes are not known yet"})) as url:
        assert await _get(f"{url}/healthz") == (200, "ok\n")
        assert await _get(f"{url}/readyz") == (503, "cluster: its nodes are not known yet\n")


async def test_it_is_ready_when_no_part_waits_for_anything() -> None:
    waits: list[str | None] = ["it is away"]
    async with serving(_ANYWHERE, Readiness({"kafka": lambda: waits[0], "store": lambda: None})) as url:
        assert await _get(f"{url}/readyz") == (503, "kafka: it is away\n")
        waits[0] = None
        assert await _get(f"{url}/readyz") == (200, "ok\n")


async def test_metrics_are_what_the_process_counts() -> None:
    LINES.inc()
    async with serving(_ANYWHERE, Readiness({})) as url:
        status, text = await _get(f"{url}/metrics")
    assert status == 200
    assert "# TYPE gpu_rescue_lines_total counter" in text


async def test_a_port_that_is_taken_is_told_by_its_key() -> None:
    async with serving(_ANYWHERE, Readiness({})) as url:
        taken = url.removeprefix("http://")
        with pytest.raises(BadInputError, match=rf"api\.listen {taken}: cannot be listened on: .*; name a free port"):
            async with serving(ApiSettings(listen=taken), Readiness({})):
                pytest.fail("it listens twice on one port")


@pytest.mark.parametrize("text", ["8080", ":8080", "localhost", "localhost:http", "localhost:70000"])
def test_what_is_no_address_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(ValidationError, match="is not HOST:PORT; write it like"):
        ApiSettings(listen=text)


def test_an_address_of_ip_version_6_loses_its_brackets() -> None:
    settings = ApiSettings(listen="[::1]:8080")
    assert (settings.host, settings.port) == ("::1", 8080)
