"""Who leads, second by second: a candidate for a lease before an API server that may be slow, away, or not ours."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from pipeline.cluster.kube.answers import AlreadyExistsError, ForbiddenError
from pipeline.cluster.kube.api import Object
from pipeline.cluster.kube.lease import Lease, identity
from pipeline.cluster.kube.settings import LeaseSettings
from pipeline.errors import ConflictError, NotFoundError, TemporaryError
from tests.fakes.fasttime import run_fast

SETTINGS = LeaseSettings()


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class Server:
    """A lease on an API server; `trouble` is raised instead of an answer, `hangs` is how long each answer takes."""

    lease: Object | None = None
    trouble: Exception | None = None
    hangs: float = 0.0
    writes: list[tuple[float, str]] = field(default_factory=list)

    async def get(self, path: str) -> Object:
        await self._answer()
        if self.lease is None:
            raise NotFoundError("none")
        return {"metadata": dict(self.lease["metadata"]), "spec": dict(self.lease["spec"])}

    async def create(self, path: str, body: Object) -> Object:
        await self._answer()
        if self.lease is not None:
            raise AlreadyExistsError("there")
        return self._put(body, 1)

    async def replace(self, path: str, body: Object) -> Object:
        await self._answer()
        assert self.lease is not None
        version = self.lease["metadata"]["resourceVersion"]
        if body["metadata"]["resourceVersion"] != version:
            raise ConflictError("changed")
        return self._put(body, int(version) + 1)

    def give(self, holder: str) -> None:
        """Let somebody else have written it, by whatever clock."""
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 20, "renewTime": f"1970-01-01T00:00:{now():09.6f}Z"}
        version = int(self.lease["metadata"]["resourceVersion"]) + 1 if self.lease else 1
        self._put({"metadata": {"name": "gpu-rescue"}, "spec": spec}, version)

    @property
    def holder(self) -> str | None:
        return self.lease["spec"]["holderIdentity"] if self.lease else None

    def _put(self, body: Object, version: int) -> Object:
        self.lease = {"metadata": {**body["metadata"], "resourceVersion": str(version)}, "spec": body["spec"]}
        self.writes.append((now(), str(self.holder)))
        return self.lease

    async def _answer(self) -> None:
        await asyncio.sleep(self.hangs)
        if self.trouble is not None:
            raise self.trouble


def candidate(server: Server, name: str) -> Lease:
    return Lease(server, "ns", SETTINGS, name)  # type: ignore[arg-type]


@dataclass
class Body:
    """Work without end; it notes when it ran."""

    spans: list[list[float]] = field(default_factory=list)

    async def __call__(self) -> None:
        self.spans.append([now()])
        try:
            await asyncio.Event().wait()
        finally:
            self.spans[-1].append(now())


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def test_the_first_candidate_leads_at_once_and_renews() -> None:
    async def main() -> None:
        server, body = Server(), Body()
        lease = candidate(server, "a")
        task = asyncio.create_task(lease.lead(body))
        await asyncio.sleep(60)
        assert (body.spans, lease.leading, server.holder) == ([[0.0]], True, "a")
        assert len(server.writes) >= 25
        assert server.lease is not None
        stamp = server.lease["spec"]["renewTime"]
        assert datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        await ended(task)
        assert (lease.leading, server.holder) == (False, "")

    run_fast(main())


def test_of_two_one_leads_and_the_other_goes_on_as_soon_as_it_lets_go() -> None:
    async def main() -> None:
        server, first, second = Server(), Body(), Body()
        one = asyncio.create_task(candidate(server, "a").lead(first))
        await asyncio.sleep(0)
        lease = candidate(server, "b")
        other = asyncio.create_task(lease.lead(second))
        await asyncio.sleep(100)
        assert (second.spans, lease.leading) == ([], False)
        await ended(one)
        await asyncio.sleep(3)
        assert (first.spans[0][1], second.spans[0][0] <= 103) == (100.0, True)
        await ended(other)

    run_fast(main())


@pytest.mark.parametrize(
    "clock", ["1970-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z"], ids=["far behind", "far ahead"]
)
def test_one_that_was_killed_is_followed_when_it_was_silent_for_the_duration_whatever_its_clock(clock: str) -> None:
    async def main() -> None:
        server, body = Server(), Body()
        server.give("dead")
        assert server.lease is not None
        server.lease["spec"]["renewTime"] = clock
        task = asyncio.create_task(candidate(server, "b").lead(body))
        await asyncio.sleep(60)
        assert 20.0 <= body.spans[0][0] <= 20 + 2.4
        assert server.lease["spec"]["leaseTransitions"] == 1
        await ended(task)

    run_fast(main())


def test_one_that_renews_is_never_followed_though_its_clock_stands_still() -> None:
    async def main() -> None:
        server, body = Server(), Body()
        task = asyncio.create_task(candidate(server, "b").lead(body))
        server.give("a")
        for _ in range(20):
            await asyncio.sleep(15)
            server.give("a")
        assert body.spans == []
        await ended(task)

    run_fast(main())


@pytest.mark.parametrize(
    "break_off",
    [
        pytest.param(lambda server: setattr(server, "trouble", TemporaryError("away")), id="answers with errors"),
        pytest.param(lambda server: setattr(server, "trouble", ForbiddenError("no right")), id="refuses"),
        pytest.param(lambda server: setattr(server, "hangs", 3600.0), id="hangs"),
    ],
)
def test_the_body_ends_before_another_could_lead_when_the_server(break_off: Callable[[Server], None]) -> None:
    async def main() -> None:
        server, body = Server(), Body()
        lease = candidate(server, "a")
        task = asyncio.create_task(lease.lead(body))
        await asyncio.sleep(60)
        last = server.writes[-1][0]
        break_off(server)
        await asyncio.sleep(9.9 - (now() - last))
        assert (len(body.spans[0]), lease.leading) == (1, True)
        await asyncio.sleep(1)
        assert body.spans[0][1] <= last + 10.0
        assert not lease.leading
        server.trouble, server.hangs = None, 0.0
        await asyncio.sleep(4000)
        assert (len(body.spans), lease.leading) == (2, True)
        await ended(task)

    run_fast(main())


def test_why_nobody_knows_who_leads_is_told_once_and_forgotten_with_the_next_answer() -> None:
    async def main() -> None:
        server = Server(trouble=ForbiddenError("403 no right"))
        lease = candidate(server, "a")
        with capture_logs() as logs:
            task = asyncio.create_task(lease.lead(Body()))
            await asyncio.sleep(60)
            assert (lease.trouble, lease.leading) == ("403 no right", False)
            assert [(each["event"], each["error"]) for each in logs] == [("lease.refused", "403 no right")]
        server.trouble = None
        server.give("b")
        await asyncio.sleep(5)
        assert (lease.trouble, lease.leading) == (None, False)
        await ended(task)

    run_fast(main())


def test_a_short_outage_costs_nothing() -> None:
    async def main() -> None:
        server, body = Server(), Body()
        task = asyncio.create_task(candidate(server, "a").lead(body))
        for _ in range(10):
            await asyncio.sleep(10)
            server.trouble = TemporaryError("away")
            await asyncio.sleep(5)
            server.trouble = None
        assert body.spans == [[0.0]]
        await ended(task)

    run_fast(main())


def test_a_lease_that_somebody_gives_to_another_ends_the_body_with_the_next_renewal() -> None:
    async def main() -> None:
        server, body = Server(), Body()
        task = asyncio.create_task(candidate(server, "a").lead(body))
        await asyncio.sleep(60)
        server.give("b")
        await asyncio.sleep(2.5)
        assert len(body.spans[0]) == 2
        assert server.holder == "b"
        await ended(task)

    run_fast(main())


async def _fails() -> None:
    await asyncio.sleep(30)
    raise ValueError("a defect")


async def _returns() -> None:
    await asyncio.sleep(30)


@pytest.mark.parametrize(("body", "raised"), [(_fails, ValueError), (_returns, None)], ids=["fails", "returns"])
def test_a_body_that_ends_by_itself_ends_the_campaign(
    body: Callable[[], Awaitable[None]], raised: type[Exception] | None
) -> None:
    async def main() -> None:
        server = Server()
        try:
            await candidate(server, "a").lead(body)
            assert raised is None
        except ValueError:
            assert raised is ValueError
        assert (now() >= 30, server.holder) == (True, "")

    run_fast(main())


def test_the_lease_is_kept_while_a_body_that_was_cancelled_comes_to_its_end() -> None:
    async def main() -> None:
        server = Server()
        lease = candidate(server, "a")
        led: list[bool] = []

        async def slow() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(15)
                led.append(lease.leading)

        task = asyncio.create_task(lease.lead(slow))
        await asyncio.sleep(60)
        await ended(task)
        assert (led, server.holder, now()) == ([True], "", 75.0)

    run_fast(main())


def test_no_two_processes_have_one_identity() -> None:
    assert identity() != identity()


def test_settings_under_which_two_could_lead_are_refused() -> None:
    with pytest.raises(ValueError, match="duration must be more"):
        LeaseSettings(duration=timedelta(seconds=15))
