"""Whether a disruption budget lets a pod go."""

import pytest

from pipeline.cluster.memory.budgets import Budget, Phase, refusal
from pipeline.model.node import Pod

APP = {"app": "demo"}


def _pods(count: int, owner: str | None = "ReplicaSet") -> list[Pod]:
    return [Pod("x", f"web-{i}", "a", owner, labels=APP, uid=str(i)) for i in range(count)]


@pytest.mark.parametrize(
    ("minimum", "maximum", "ready", "starting", "allowed"),
    [
        pytest.param(2, None, 3, 0, True, id="three of which two must stay: one may go"),
        pytest.param(3, None, 3, 0, False, id="three of which three must stay: none may go"),
        pytest.param(2, None, 2, 1, False, id="one that is starting does not count"),
        pytest.param(None, 1, 3, 0, True, id="one may be missing and none is"),
        pytest.param(None, 1, 2, 1, False, id="one may be missing and one is"),
        pytest.param(None, 0, 5, 0, False, id="none may be missing"),
        pytest.param("50%", None, 3, 0, True, id="half of three is two: one may go"),
        pytest.param("51%", None, 2, 0, False, id="a share is rounded up"),
        pytest.param("100%", None, 9, 0, False, id="all must stay"),
        pytest.param(None, "34%", 3, 0, True, id="a third of three, rounded up, may be missing"),
        pytest.param(None, "0%", 3, 0, False, id="no share may be missing"),
        pytest.param(0, None, 1, 0, True, id="none must stay"),
    ],
)
def test_budget(minimum: int | str | None, maximum: int | str | None, ready: int, starting: int, allowed: bool) -> None:
    budget = Budget("b", "x", APP, minimum, maximum)
    pods = _pods(ready + starting)
    phases = [Phase.READY] * ready + [Phase.PENDING] * starting
    assert (refusal(budget, pods[0], zip(pods, phases, strict=True)) is None) == allowed


@pytest.mark.parametrize(
    ("others_ready", "allowed"),
    [
        pytest.param(2, True, id="may go when enough others are healthy"),
        pytest.param(1, False, id="must stay when they are not: it may yet become healthy"),
    ],
)
def test_an_unhealthy_pod(others_ready: int, allowed: bool) -> None:
    pods = _pods(3)
    phases = [Phase.UNREADY, *[Phase.READY] * others_ready, *[Phase.UNREADY] * (2 - others_ready)]
    assert (refusal(Budget("b", "x", APP, 2), pods[0], zip(pods, phases, strict=True)) is None) == allowed


@pytest.mark.parametrize("owner", [None, "DaemonSet", "Job"])
def test_a_share_of_pods_without_a_scale_cannot_be_told_and_nothing_goes(owner: str | None) -> None:
    pods = _pods(5, owner)
    phases = [(pod, Phase.READY) for pod in pods]
    assert "failed to sync" in (refusal(Budget("b", "x", APP, None, 4), pods[0], phases) or "")
    assert refusal(Budget("b", "x", APP, 4), pods[0], phases) is None


@pytest.mark.parametrize(
    ("budget", "covered"),
    [
        pytest.param(Budget("b", "x", APP), True, id="its labels"),
        pytest.param(Budget("b", "x", {}), True, id="an empty selector takes the whole namespace"),
        pytest.param(Budget("b", "y", APP), False, id="another namespace"),
        pytest.param(Budget("b", "x", {**APP, "tier": "web"}), False, id="a label that the pod has not"),
    ],
)
def test_a_budget_covers(budget: Budget, covered: bool) -> None:
    assert budget.covers(_pods(1)[0]) == covered
