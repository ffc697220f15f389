"""What a reflector says of itself while the API server does not let it follow."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from structlog.testing import capture_logs

from pipeline.cluster.kube.answers import ForbiddenError
from pipeline.cluster.kube.api import Object
from pipeline.cluster.kube.reflector import Reflector, troubles
from pipeline.errors import TemporaryError
from tests.fakes.fasttime import run_fast

PATH = "/api/v1/nodes"


@dataclass
class Server:
    """Lists nothing and watches in silence; `trouble` is raised instead, of a list or, `watching`, of a watch."""

    trouble: Exception | None = None
    watching: bool = False
    lists: int = 0
    shown: list[object] = field(default_factory=list)

    async def pages(self, path: str, query: object) -> AsyncIterator[Object]:
        self.lists += 1
        if self.trouble is not None and not self.watching:
            raise self.trouble
        yield {"items": [], "metadata": {"resourceVersion": "1"}}

    async def watch(self, path: str, query: object, silence: float) -> AsyncIterator[Object]:
        if self.trouble is not None and self.watching:
            raise self.trouble
        await asyncio.Event().wait()
        yield {}

    def listed(self, found: object) -> None:
        self.shown.append(found)

    def changed(self, found: object) -> None:
        pytest.fail("nothing changes")

    def deleted(self, found: object) -> None:
        pytest.fail("nothing is deleted")


def reflector(server: Server) -> Reflector[Object]:
    return Reflector(server, PATH, lambda found: found, server)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trouble", "event"),
    [
        pytest.param(ForbiddenError("GET: 403 forbidden"), "watch.refused", id="a right lacks"),
        pytest.param(TemporaryError("GET: 503 away"), "watch.broken", id="it is away"),
    ],
)
@pytest.mark.parametrize("watching", [False, True], ids=["of the list", "of the watch"])
def test_why_it_does_not_follow_is_told_once_however_often_it_tries(
    trouble: Exception, event: str, watching: bool
) -> None:
    async def main() -> None:
        server = Server(trouble, watching)
        following = reflector(server)
        assert following.trouble == f"GET {PATH}: not answered yet"
        task = asyncio.create_task(following.run())
        with capture_logs() as logs:
            await asyncio.sleep(120)
            assert troubles([following]) == str(trouble)
            assert server.lists > 5
            assert [(each["event"], each["error"]) for each in logs] == [(event, str(trouble))]
            server.trouble = TemporaryError("another")
            await asyncio.sleep(60)
            assert [each["error"] for each in logs] == [str(trouble), "another"]
            server.trouble = None
            await asyncio.sleep(60)
        assert troubles([following]) is None
        assert following.synced
        assert server.shown
        task.cancel()
        await asyncio.wait({task})

    run_fast(main())


def test_the_troubles_of_several_are_told_together_and_those_who_follow_say_nothing() -> None:
    async def main() -> None:
        away, well = Server(TemporaryError("away")), Server()
        both = [reflector(away), reflector(well)]
        assert troubles(both) == f"GET {PATH}: not answered yet; GET {PATH}: not answered yet"
        tasks = [asyncio.create_task(each.run()) for each in both]
        await asyncio.sleep(1)
        assert troubles(both) == "away"
        away.trouble = None
        await asyncio.sleep(60)
        assert troubles(both) is None
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    run_fast(main())
