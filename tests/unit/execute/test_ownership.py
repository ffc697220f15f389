"""We undo only what we did: whatever an action writes, labels, taints, annotations and cordons of others stay."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import ConflictError
from pipeline.execute.actions.cordon import CordonRunner
from pipeline.execute.actions.drain import DrainRunner
from pipeline.execute.actions.offline import OfflineRunner
from pipeline.execute.actions.port import Abandon, ActionRunner, Done
from pipeline.execute.actions.replenish import ReplenishRunner
from pipeline.execute.actions.uncordon import UncordonRunner
from pipeline.model.node import Taint
from pipeline.model.ownership import CORDONED_BY, OFFLINE, STANDBY_FOR, WARM_STANDBY
from pipeline.model.plan import Cordon, Drain, EnableWarmStandby, Offline, Uncordon
from tests.fakes.stage import SIGNED, Stage
from tests.fakes.standbys import claiming, replaced, spare
from tests.fakes.world import gpu_node

THEIRS = (Taint("team", "a", "NoExecute"), Taint(OFFLINE, "by-hand", "NoExecute"), Taint("team", "a", "NoSchedule"))
LABELS = {"team": "a", "rack": "r1"}
NOTES = {"note": "mine", "rescue.ksyun.com.example.com/cordoned-by": "me"}

Setting = tuple[Stage, ActionRunner[Any], str]


def _cordon() -> Setting:
    stage = Stage(Cordon())
    return stage, CordonRunner(stage.cluster), "gpu-1"


def _cordon_found() -> Setting:
    stage = Stage(Cordon(), gpu_node(unschedulable=True))
    return stage, CordonRunner(stage.cluster), "gpu-1"


def _uncordon() -> Setting:
    stage = Stage(Uncordon())
    return stage, UncordonRunner(stage.cluster), "gpu-1"


def _offline() -> Setting:
    stage = Stage(Offline())
    return stage, OfflineRunner(stage.cluster), "gpu-1"


def _left() -> Setting:
    stage = Stage(Drain())
    stage.cluster.uncordon_by_hand("gpu-1")
    return stage, DrainRunner(stage.cluster), "gpu-1"


def _claim() -> Setting:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare())
    return stage, claiming(stage), "spare-1"


def _give_back() -> Setting:
    stage = replaced(Drain())
    stage.cluster.uncordon_by_hand("gpu-1")
    return stage, DrainRunner(stage.cluster), "spare-1"


def _replenish() -> Setting:
    stage = replaced(Uncordon())
    return stage, ReplenishRunner(stage.cluster, UncordonRunner(stage.cluster), tuple, WARM_STANDBY), "spare-1"


SETTINGS = [
    pytest.param(_cordon, id="cordon"),
    pytest.param(_cordon_found, id="cordon of a cordoned node"),
    pytest.param(_uncordon, id="unCordon"),
    pytest.param(_offline, id="offline"),
    pytest.param(_left, id="a node that is left to a person"),
    pytest.param(_claim, id="enableWarmStandby"),
    pytest.param(_give_back, id="a standby that goes back"),
    pytest.param(_replenish, id="a standby that stays in service"),
]


def _assert_theirs(stage: Stage, name: str) -> None:
    node = stage.cluster.nodes()[name]
    assert [taint for taint in node.taints if taint in THEIRS] == list(THEIRS)
    assert LABELS.items() <= node.labels.items()
    assert NOTES.items() <= node.annotations.items()


@pytest.mark.parametrize("setting", SETTINGS)
async def test_what_others_have_written_stays(setting: Callable[[], Setting]) -> None:
    stage, runner, name = setting()
    stage.edit(name, labels=LABELS, annotations=NOTES, taints=THEIRS)
    assert isinstance(await stage.calls(runner), Done | Abandon)
    _assert_theirs(stage, name)


@pytest.mark.parametrize("setting", SETTINGS)
async def test_what_others_write_between_our_look_and_our_write_stays(setting: Callable[[], Setting]) -> None:
    stage, runner, name = setting()
    meddled = False

    def meddle() -> None:
        nonlocal meddled
        meddled = True
        stage.edit(name, labels=LABELS, annotations=NOTES, taints=THEIRS)

    stage.cluster.before_patch = meddle
    with pytest.raises(ConflictError):
        await stage.calls(runner)
    assert meddled
    _assert_theirs(stage, name)
    assert isinstance(await stage.calls(runner), Done | Abandon)
    _assert_theirs(stage, name)


async def test_a_cordon_that_comes_between_our_look_and_our_cordon_stays_theirs() -> None:
    stage = Stage(Cordon())
    stage.cluster.before_patch = lambda: stage.cluster.cordon_by_hand("gpu-1")
    with pytest.raises(ConflictError):
        await stage.call(CordonRunner(stage.cluster))
    outcome = await stage.call(CordonRunner(stage.cluster))
    assert isinstance(outcome, Done)
    assert outcome.details == {"cordoned_before": True}
    assert CORDONED_BY not in stage.node.annotations


@pytest.mark.parametrize(
    ("name", "mark"), [("another rescue's", {CORDONED_BY: "other"}), ("a person's", dict.fromkeys(SIGNED))]
)
async def test_a_cordon_that_becomes_theirs_between_our_look_and_our_uncordon_stays(
    name: str, mark: dict[str, str | None]
) -> None:
    stage = Stage(Uncordon())
    stage.cluster.before_patch = lambda: stage.edit(annotations=mark)
    with pytest.raises(ConflictError):
        await stage.call(UncordonRunner(stage.cluster))
    outcome = await stage.call(UncordonRunner(stage.cluster))
    assert isinstance(outcome, Done)
    assert outcome.details == {"left_cordoned": True}
    assert stage.node.unschedulable


async def test_a_standby_that_a_person_cordons_after_its_claim_is_not_put_into_service_again() -> None:
    stage = Stage(EnableWarmStandby(), gpu_node(), spare())
    runner = claiming(stage)
    await stage.calls(runner)
    stage.cluster.cordon_by_hand("spare-1")
    assert isinstance(await stage.call(runner), Done)
    standby = stage.cluster.nodes()["spare-1"]
    assert (standby.unschedulable, STANDBY_FOR in standby.annotations) == (True, True)
