"""From a rule's actions to a plan: the order, what is implied, what is refused, and what the attributes mean."""

from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from pipeline.decide.actions import ActionSpec
from pipeline.decide.planner import ORDER, PreconditionError, plan_actions
from pipeline.model.plan import (
    Action,
    ActionName,
    Cordon,
    Drain,
    EnableWarmStandby,
    NamespaceMode,
    NamespaceRule,
    Offline,
    OnTimeout,
    Reboot,
    Uncordon,
)

ENTRY: TypeAdapter[ActionSpec] = TypeAdapter(ActionSpec)


def entry(name: str, **attribute: object) -> ActionSpec:
    return ENTRY.validate_python({"name": name, "attribute": attribute})


def planned(*entries: ActionSpec) -> list[str]:
    return [action.name.value for action in plan_actions(entries)]


CORDON, DRAIN, REBOOT = entry("cordon"), entry("drain"), entry("reboot")
UNCORDON, STANDBY, OFFLINE = entry("unCordon"), entry("enableWarmStandby"), entry("offline")
RETURNING = entry("reboot", unCordon="true")
STAYING = entry("reboot", unCordon="false")


@pytest.mark.parametrize(
    ("entries", "plan"),
    [
        pytest.param([CORDON], ["cordon"], id="cordon alone"),
        pytest.param([DRAIN], ["cordon", "drain"], id="drain implies cordon"),
        pytest.param([OFFLINE], ["cordon", "offline"], id="offline implies cordon"),
        pytest.param([DRAIN, REBOOT], ["cordon", "drain", "reboot"], id="a reboot leaves the node cordoned"),
        pytest.param([DRAIN, STAYING], ["cordon", "drain", "reboot"], id="unCordon false leaves it cordoned too"),
        pytest.param([DRAIN, RETURNING], ["cordon", "drain", "reboot", "unCordon"], id="reboot's attribute returns it"),
        pytest.param([DRAIN, REBOOT, UNCORDON], ["cordon", "drain", "reboot", "unCordon"], id="unCordon as an action"),
        pytest.param([DRAIN, RETURNING, UNCORDON], ["cordon", "drain", "reboot", "unCordon"], id="both say the same"),
        pytest.param([DRAIN, REBOOT, OFFLINE], ["cordon", "drain", "reboot", "offline"], id="offline after a reboot"),
        pytest.param(
            [DRAIN, STAYING, OFFLINE], ["cordon", "drain", "reboot", "offline"], id="offline and unCordon false"
        ),
        pytest.param([CORDON, STANDBY], ["cordon", "enableWarmStandby"], id="a standby for a cordoned node"),
        pytest.param([STANDBY, DRAIN], ["cordon", "enableWarmStandby", "drain"], id="a standby comes before the drain"),
        pytest.param(
            [STANDBY, OFFLINE], ["cordon", "enableWarmStandby", "offline"], id="a standby for one out for good"
        ),
    ],
)
def test_the_plan_is(entries: list[ActionSpec], plan: list[str]) -> None:
    assert planned(*entries) == plan


def test_the_order_in_the_file_does_not_matter() -> None:
    everything = [CORDON, DRAIN, REBOOT, UNCORDON, STANDBY]
    assert {tuple(planned(*order)) for order in permutations(everything)} == {
        ("cordon", "enableWarmStandby", "drain", "reboot", "unCordon")
    }


@pytest.mark.parametrize(
    ("entries", "problems"),
    [
        pytest.param([REBOOT], [(0, "reboot needs drain")], id="reboot without drain"),
        pytest.param([CORDON, REBOOT], [(1, "reboot needs drain")], id="a cordon is no drain"),
        pytest.param([CORDON, UNCORDON], [(1, "unCordon needs reboot")], id="unCordon without reboot"),
        pytest.param([DRAIN, UNCORDON], [(1, "unCordon needs reboot")], id="unCordon after a drain"),
        pytest.param(
            [STANDBY], [(0, "enableWarmStandby needs one of cordon, drain, reboot")], id="a standby for nobody"
        ),
        pytest.param([DRAIN, REBOOT, UNCORDON, OFFLINE], [(2, "excludes unCordon")], id="offline and unCordon"),
        pytest.param([OFFLINE, DRAIN, RETURNING], [(2, "excludes unCordon")], id="offline and reboot's attribute"),
        pytest.param([CORDON, DRAIN, CORDON], [(2, "cordon is asked for twice")], id="an action twice"),
        pytest.param([DRAIN, STAYING, UNCORDON], [(1, 'unCordon "false"')], id="a contradiction about unCordon"),
        pytest.param(
            [REBOOT, UNCORDON, OFFLINE, UNCORDON],
            [(0, "reboot needs drain"), (1, "excludes unCordon"), (3, "asked for twice")],
            id="every problem is told, in the order of the file",
        ),
    ],
)
def test_a_precondition_is_not_met(entries: list[ActionSpec], problems: list[tuple[int, str]]) -> None:
    with pytest.raises(PreconditionError, match=r"^Failures to meet preconditions: ") as error:
        plan_actions(entries)
    found = error.value.problems
    assert [problem.action for problem in found] == [place for place, _ in problems]
    assert all(text in str(problem) for problem, (_, text) in zip(found, problems, strict=True))


@pytest.mark.parametrize(
    ("given_entry", "action"),
    [
        pytest.param(CORDON, Cordon(), id="cordon"),
        pytest.param(UNCORDON, Uncordon(), id="unCordon"),
        pytest.param(STANDBY, EnableWarmStandby(), id="enableWarmStandby"),
        pytest.param(OFFLINE, Offline(), id="offline"),
        pytest.param(DRAIN, Drain(timedelta(minutes=20), OnTimeout.FAIL, True, False), id="drain by default"),
        pytest.param(
            entry("drain", waittime="1day3h5min"), Drain(timedelta(hours=27, minutes=5)), id="drain's waittime"
        ),
        pytest.param(entry("drain", onTimeout="force"), Drain(on_timeout=OnTimeout.FORCE), id="drain's onTimeout"),
        pytest.param(
            entry("drain", deleteEmptyDirData="false", force="true"),
            Drain(delete_empty_dir_data=False, force=True),
            id="drain as kubectl is told",
        ),
        pytest.param(
            entry(
                "drain",
                gpuPodsOnly="true",
                namespaces="kube-system=evict, training-*=waitForCompletion, *=deleteAfter:19min",
            ),
            Drain(
                namespaces=(
                    NamespaceRule("kube-system"),
                    NamespaceRule("training-*", NamespaceMode.WAIT_FOR_COMPLETION),
                    NamespaceRule("*", NamespaceMode.DELETE_AFTER, timedelta(minutes=19)),
                ),
                gpu_pods_only=True,
            ),
            id="drain by namespaces, of pods with GPUs",
        ),
        pytest.param(REBOOT, Reboot(timedelta(0), timedelta(minutes=30)), id="reboot by default"),
        pytest.param(
            entry("reboot", waittime="20min", timeout="1h"),
            Reboot(timedelta(minutes=20), timedelta(hours=1)),
            id="reboot's waittime and timeout",
        ),
        pytest.param(entry("reboot", waittime="0s"), Reboot(), id="a reboot at once"),
        pytest.param(entry("reboot", waittime="30days"), Reboot(timedelta(days=30)), id="the longest waittime"),
    ],
)
def test_an_entry_means(given_entry: ActionSpec, action: Action) -> None:
    assert given_entry.action == action


@pytest.mark.parametrize(
    ("name", "attribute", "told"),
    [
        pytest.param("cordon", {"waittime": "1min"}, "takes no attributes; leave out waittime", id="cordon takes none"),
        pytest.param("drain", {"unCordon": "true"}, "Extra inputs", id="an attribute of another action"),
        pytest.param("drain", {"waittime": "0s"}, "more than 0s", id="no time at all"),
        pytest.param("drain", {"waittime": "-5min"}, "is not a duration", id="a negative duration"),
        pytest.param("drain", {"waittime": "31days"}, "more than 30day", id="too long"),
        pytest.param("drain", {"waittime": 20}, "with its unit", id="a duration without unit"),
        pytest.param("drain", {"onTimeout": "give-up"}, "'fail', 'force' or 'continue'", id="no onTimeout"),
        pytest.param("drain", {"force": True}, 'put it in quotes: "true"', id="a flag that is no text"),
        pytest.param("drain", {"gpuPodsOnly": True}, 'put it in quotes: "true"', id="another flag that is no text"),
        pytest.param("drain", {"namespaces": {"x": "evict"}}, "is no text", id="namespaces that are no text"),
        pytest.param("drain", {"namespaces": "x"}, "is not NAME=MODE", id="no mode"),
        pytest.param("drain", {"namespaces": "x=wait"}, "'waitForCompletion'", id="an unknown mode"),
        pytest.param("drain", {"namespaces": "X=evict"}, "like training-*", id="no name of a namespace"),
        pytest.param("reboot", {"unCordon": "yes"}, "'true' or 'false'", id="no flag"),
        pytest.param("reboot", {"timeout": "0s"}, "more than 0s", id="no time for the proof"),
        pytest.param("reboot", {"waittime": "30days1s"}, "more than 30day", id="one second too long"),
        pytest.param("uncordon", {}, "'unCordon'", id="a name in the wrong case"),
    ],
)
def test_an_entry_is_refused(name: str, attribute: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError) as error:
        ENTRY.validate_python({"name": name, "attribute": attribute})
    assert told in str(error.value)


ENTRIES = st.lists(
    st.sampled_from([CORDON, DRAIN, REBOOT, UNCORDON, STANDBY, OFFLINE, RETURNING, STAYING]), min_size=1, max_size=6
)


@given(ENTRIES)
def test_every_plan_is_ordered_and_meets_its_preconditions(entries: list[ActionSpec]) -> None:
    asked = {spec.name for spec in entries}
    try:
        plan = plan_actions(entries)
    except PreconditionError as error:
        assert error.problems
        return
    names = [action.name for action in plan]
    assert names == sorted(set(names), key=ORDER.index)
    assert asked <= set(names)
    assert set(names) - asked <= {ActionName.CORDON, ActionName.UNCORDON}
    assert names[0] is ActionName.CORDON
    assert ActionName.REBOOT not in names or ActionName.DRAIN in names
    assert ActionName.UNCORDON not in names or ActionName.REBOOT in names
    assert not {ActionName.OFFLINE, ActionName.UNCORDON} <= set(names)
    wish = any(spec in (UNCORDON, RETURNING) for spec in entries)
    assert (ActionName.UNCORDON in names) is wish


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        pytest.param(
            [DRAIN, STAYING, UNCORDON],
            'reboot says unCordon "false" beside the action unCordon; keep one of them',
            id="two words about unCordon",
        ),
        pytest.param(
            [DRAIN, REBOOT, UNCORDON, OFFLINE],
            "offline takes the node out for good; it excludes unCordon",
            id="out for good and back",
        ),
        pytest.param(
            [UNCORDON, CORDON, CORDON],
            "unCordon needs reboot: without it the fault would still be there; cordon is asked for twice; "
            "keep one of them",
            id="two problems",
        ),
        pytest.param(
            [STANDBY],
            "enableWarmStandby needs one of cordon, drain, reboot: a standby replaces a node that leaves service",
            id="a standby for nobody",
        ),
    ],
)
def test_a_refusal_says_what_would_be_right(entries: list[ActionSpec], told: str) -> None:
    with pytest.raises(PreconditionError) as error:
        plan_actions(entries)
    assert str(error.value) == f"Failures to meet preconditions: {told}"


def test_thirty_days_are_not_too_long_and_no_time_is_too_short() -> None:
    longest = ENTRY.validate_python({"name": "reboot", "attribute": {"waittime": "30days"}})
    assert longest.action == Reboot(timedelta(days=30))
    with pytest.raises(ValidationError, match=r"Value error, must be more than 0s \[type=value_error"):
        ENTRY.validate_python({"name": "drain", "attribute": {"waittime": "0s"}})
