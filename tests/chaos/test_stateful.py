"""Anything may happen to a site of two hundred nodes, in any order: what must hold holds after each of it.

GPU_RESCUE_CHAOS=N runs N times as many examples, longer ones and others each time; without it they are the same.
"""

import os
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pipeline.cluster.memory import Budget, Trouble
from pipeline.decide.guards import GuardSettings
from pipeline.decide.standby import StandbySettings
from pipeline.execute.records import records
from pipeline.model.node import Pod
from tests.chaos.people import Deed, People
from tests.chaos.script import FAMILIES, Spoken
from tests.chaos.sites import GPUS, GUARDS, NODES, POLICIES_IN_FORCE
from tests.chaos.sites import node as site_node
from tests.fakes.site import Site

_DEPTH = int(os.environ.get("GPU_RESCUE_CHAOS", "0"))
_SECOND, _MINUTE, _HOUR, _DAY = (timedelta(seconds=seconds) for seconds in (1, 60, 3600, 86400))
_PASSING = (Trouble.CONFLICT, Trouble.TIMEOUT, Trouble.LOST_ANSWER, Trouble.THROTTLED, Trouble.SERVER_ERROR)


class Chaos(RuleBasedStateMachine):
    """A site, and all that can happen to it."""

    @initialize(
        guards=GUARDS,
        policies=POLICIES_IN_FORCE,
        replenish=st.booleans(),
        forgetful=st.booleans(),
        settle=st.booleans(),
        chance=st.sampled_from((0.0, 0.05, 0.2)),
    )
    def begin(
        self, guards: dict[str, Any], policies: str, replenish: bool, forgetful: bool, settle: bool, chance: float
    ) -> None:
        names = [f"gpu-{number:03}" for number in range(192)] + [f"spare-{number:03}" for number in range(8)]
        pods = [Pod("team", f"train-{n}", f"gpu-{n:03}", owner="Job", labels={"n": str(n)}) for n in range(24)]
        guard_settings = GuardSettings.model_validate(guards)
        standby = StandbySettings(replenish=replenish)
        self.site = Site(
            [site_node(name) for name in names], pods, policies, guard_settings, standby, timedelta(seconds=2 * settle)
        )
        self.site.cluster.add_budget(Budget("kept", "team", {"n": "3"}, min_available=1))
        self.site.cluster.troubles.never_returns.add("gpu-002")
        self.site.cluster.troubles.reboots_forgotten = forgetful
        self.site.cluster.troubles.sometimes(chance, 0, _PASSING)
        self.people = People(self.site)

    # What the kernel says.

    @rule(node=NODES, gpu=GPUS, family=st.sampled_from(FAMILIES), apart=st.sampled_from((0, 200, 3_000)))
    def family(self, node: str, gpu: int, family: tuple[Spoken, ...], apart: int) -> None:
        for spoken in family:
            self.site.take(spoken.on(gpu), node, companion=spoken.companion)
            self.site.run(timedelta(milliseconds=apart))

    @rule(node=NODES, gpu=GPUS, family=st.sampled_from(FAMILIES), minutes=st.integers(1, 40))
    def rescued(self, node: str, gpu: int, family: tuple[Spoken, ...], minutes: int) -> None:
        self.family(node, gpu, family, 200)
        self.site.run(minutes * _MINUTE)

    @rule(
        node=NODES,
        family=st.sampled_from(FAMILIES),
        before=st.sampled_from(Deed),
        after=st.integers(1, 400),
        during=st.sampled_from(Deed),
        gpu=GPUS,
    )
    def meddled_with(
        self, node: str, family: tuple[Spoken, ...], before: Deed, after: int, during: Deed, gpu: int
    ) -> None:
        self.people.do(before, node)
        self.family(node, gpu, family, 0)
        self.site.run(after * _SECOND)
        self.people.do(during, node)
        self.site.run(15 * _MINUTE)

    @rule(node=NODES, gpu=GPUS, copies=st.integers(2, 60), code=st.sampled_from((45, 79, 13, 48)))
    def storm(self, node: str, gpu: int, copies: int, code: int) -> None:
        text = Spoken(f"NVRM: Xid (PCI:GPU): {code}, pid=7, name=python3, Ch 00000008").on(gpu)
        for _ in range(copies):
            self.site.take(text, node)

    @rule(node=NODES, gpu=GPUS, family=st.sampled_from(FAMILIES), hours=st.sampled_from((-1, 1, 30)))
    def out_of_time(self, node: str, gpu: int, family: tuple[Spoken, ...], hours: int) -> None:
        self.site.take(family[0].on(gpu), node, ago=hours * _HOUR)

    @rule(node=NODES, gpu=GPUS, real=st.booleans(), code=st.sampled_from((79, 74, 95)))
    def drill(self, node: str, gpu: int, real: bool, code: int) -> None:
        mark = "gpu-rescue-drill-for-real:" if real else "gpu-rescue-drill:"
        self.site.take(Spoken(f"{mark} NVRM: Xid (PCI:GPU): {code}, a drill").on(gpu), node)

    @rule(rack=st.integers(0, 3), nodes=st.integers(2, 8), code=st.sampled_from((79, 74)))
    def rack(self, rack: int, nodes: int, code: int) -> None:
        for number in range(nodes):
            self.site.take(Spoken(f"NVRM: Xid (PCI:GPU): {code}, of all").on(0), f"gpu-{rack * 8 + number:03}")
            self.site.run(_SECOND)

    # What people do.

    @rule(node=NODES, deed=st.sampled_from(Deed))
    def person(self, node: str, deed: Deed) -> None:
        self.people.do(deed, node)

    @rule()
    def register(self) -> None:
        self.people.register()

    @rule(policies=POLICIES_IN_FORCE)
    def decree(self, policies: str) -> None:
        self.site.decree(policies)

    # What time and machines do.

    @rule(length=st.sampled_from((5 * _SECOND, _MINUTE, 15 * _MINUTE, 2 * _HOUR)))
    def pass_time(self, length: timedelta) -> None:
        self.site.run(length)

    @rule(length=st.sampled_from((_MINUTE, 20 * _MINUTE, 5 * _HOUR)))
    def away(self, length: timedelta) -> None:
        """Nobody is there for a while."""
        self.site.leave()
        self.site.clock.move_to(self.site.clock.now() + length)
        self.site.start()

    @rule(node=NODES, family=st.sampled_from(FAMILIES), at=st.integers(1, 60))
    def killed(self, node: str, family: tuple[Spoken, ...], at: int) -> None:
        self.site.killer.at = self.site.killer.moments + at
        self.family(node, 0, family, 200)
        self.site.run(15 * _MINUTE)
        self.site.killer.at = None

    @rule(chance=st.sampled_from((0.0, 0.05, 0.3)), seed=st.integers(0, 99))
    def trouble(self, chance: float, seed: int) -> None:
        self.site.cluster.troubles.sometimes(chance, seed, _PASSING)

    @rule(length=st.sampled_from((5 * _SECOND, 90 * _SECOND)))
    def lag(self, length: timedelta) -> None:
        """The cache is behind for less than the time in which it is not trusted alone."""
        self.site.cluster.troubles.cache_lags = True
        self.site.run(length)
        self.site.cluster.troubles.cache_lags = False

    # What must hold.

    @invariant()
    def nothing_is_wrong(self) -> None:
        if hasattr(self, "site"):
            self.site.judge.look()
            assert self.site.judge.wrong == []

    def teardown(self) -> None:
        if not hasattr(self, "site"):
            return
        try:
            if not self.site.judge.wrong:
                self._let_time_run()
        finally:
            self.site.close()

    def _let_time_run(self) -> None:
        self.site.cluster.troubles.sometimes(0.0, 0)
        self.site.leave()
        self.site.run(3 * _DAY)
        self.site.leave()
        self.nothing_is_wrong()
        every = self.site.store.all()
        assert [rescue for rescue in every if not rescue.status.ended] == []
        written = [record.id for record in self.site.sink.records]
        assert {record.id for rescue in every for record in records(rescue)} <= set(written)
        assert len(written) == len(set(written))
        handled = self.site.handled["counted"]
        # What a process had counted and not yet saved when it was killed is gone with it; what it had saved and not yet
        # acknowledged is delivered again, and counts twice.
        assert (handled if self.site.exact else 0) <= self.site.counted() <= handled + self.site.delivered_again


Chaos.TestCase.settings = settings(
    max_examples=40 * max(1, _DEPTH),
    stateful_step_count=40,
    deadline=None,
    derandomize=not _DEPTH,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink] if _DEPTH else [Phase.generate],
)
TestChaos = Chaos.TestCase
