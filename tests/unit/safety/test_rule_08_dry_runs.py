"""Rule 8: a dry run makes every decision and has no effect, because it is given a twin of the cluster.

Broken by giving it the cluster itself: nothing else stands between a rehearsal and the machines.
"""

import pytest

from pipeline.cluster.memory import SimulatedCluster
from pipeline.model.rescue import Status
from tests.fakes.intake import OFF_THE_BUS
from tests.fakes.theatre import REBOOT, Theatre, policy

ROWS = [
    pytest.param(OFF_THE_BUS, False, True, id="the global setting"),
    pytest.param(OFF_THE_BUS, True, False, id="the policy's own word"),
    pytest.param(f"gpu-rescue-drill: {OFF_THE_BUS}", False, False, id="a drill, which one call asks for"),
]


async def _rehearsed(text: str, by_policy: bool, everywhere: bool) -> Theatre:
    theatre = Theatre(policy("reboot", "79", REBOOT, dry_run=by_policy), dry_run=everywhere)
    rescue = await theatre.take(text)
    await theatre.run()
    ended = theatre.rescue(rescue.name)
    assert (ended.status, ended.dry_run, ended.rebooted_at is not None) == (Status.SUCCEEDED, True, True)
    return theatre


@pytest.mark.parametrize(("text", "by_policy", "everywhere"), ROWS)
async def test_every_step_is_gone_through_and_nothing_is_touched(text: str, by_policy: bool, everywhere: bool) -> None:
    cluster = (await _rehearsed(text, by_policy, everywhere)).world.cluster
    untouched = Theatre(policy("reboot", "79", REBOOT)).world.cluster
    assert cluster.nodes() == untouched.nodes()
    assert cluster.reboots == ()


@pytest.mark.parametrize(("text", "by_policy", "everywhere"), ROWS)
async def test_with_the_cluster_in_the_twin_s_place_it_is_done_for_real(
    text: str, by_policy: bool, everywhere: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def itself(cluster: SimulatedCluster, _: object) -> SimulatedCluster:
        return cluster

    for place in ("tests.fakes.theatre.twin", "pipeline.app.executing.twin"):
        monkeypatch.setattr(place, itself)
    monkeypatch.setattr(SimulatedCluster, "put_back", lambda *_: None, raising=False)
    theatre = await _rehearsed(text, by_policy, everywhere)
    assert [reboot.node for reboot in theatre.world.cluster.reboots] == ["gpu-1"]
