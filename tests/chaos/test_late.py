"""A consumer that comes back after two hours replays everything: all of it is recorded, and nothing acted on."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from pipeline.decide.guards import GuardSettings
from pipeline.decide.standby import StandbySettings
from tests.chaos.script import FAMILIES, POLICIES, Spoken
from tests.fakes.site import Site
from tests.fakes.world import gpu_node

_LATE = timedelta(hours=2)
_NODES = [f"gpu-{number:03}" for number in range(len(FAMILIES))]
_REMAP = FAMILIES[8][0].on(7)


@pytest.fixture
def site() -> Iterator[Site]:
    policies = "---".join(POLICIES[name] for name in ("everything", "reboot", "standby", "offline", "repeated"))
    nodes = [gpu_node(name) for name in _NODES]
    nodes.append(gpu_node("spare", labels={"rescue.ksyun.com/warm-standby": "true"}, unschedulable=True))
    guards = GuardSettings(max_nodes=99, max_percent=100)
    made = Site(nodes, [], policies, guards, StandbySettings(), timedelta(seconds=2))
    yield made
    made.close()


def _replay(site: Site, restart_after: int | None = None) -> None:
    """Every family on a node of its own, a storm, a drill, a fault of one GPU that comes twice: all two hours old."""
    for number, (node, family) in enumerate(zip(_NODES, FAMILIES, strict=True)):
        for spoken in family:
            site.take(spoken.on(1), node, ago=_LATE, companion=spoken.companion)
        if number == restart_after:
            site.leave()
            site.start()
    for _ in range(100):
        site.take(Spoken("NVRM: Xid (PCI:GPU): 45, Ch 00000008").on(2), _NODES[0], ago=_LATE)
    site.take(Spoken("gpu-rescue-drill: NVRM: Xid (PCI:GPU): 79, a drill").on(3), _NODES[1], ago=_LATE)
    for ago in (_LATE, _LATE - timedelta(minutes=30)):
        site.take(_REMAP, _NODES[2], ago=ago)


@pytest.mark.parametrize("restart_after", [None, 4], ids=["at one go", "with a restart on the way"])
def test_all_is_recorded_and_nothing_acted_on(site: Site, restart_after: int | None) -> None:
    before = dict(site.cluster.truth())
    _replay(site, restart_after)
    site.run(timedelta(hours=1))
    site.leave()
    assert list(site.store.all()) == []
    assert dict(site.cluster.truth()) == before
    assert site.cluster.reboots == ()
    assert site.counted() == site.handled["counted"]
    told = {str(record.document["event"]["action"]) for record in site.sink.records}
    assert told == {"fault-detected", "fault-skipped", "fault-repeated"}
    skips = {
        record.document["event"]["reason"]
        for record in site.sink.records
        if record.document["event"]["action"] == "fault-skipped"
    }
    assert skips == {"stale", "drill", "recovered"}


def test_what_came_late_counts_for_the_rules_that_count(site: Site) -> None:
    _replay(site)
    assert list(site.store.all()) == []
    site.take(_REMAP, _NODES[2])
    (rescue,) = site.store.all()
    assert (rescue.plan.policy, rescue.node) == ("repeated", _NODES[2])


def test_what_is_new_is_acted_on_though_the_same_was_stale(site: Site) -> None:
    """A stale incident takes in no fresh line: that would be a silent miss."""
    _replay(site)
    site.take(FAMILIES[0][0].on(1), _NODES[0])
    site.run(timedelta(hours=1))
    assert [reboot.node for reboot in site.cluster.reboots] == [_NODES[0]]
    assert site.judge.wrong == []
