"""Which plans are rehearsed only, and what was rehearsed or was a drill does not count for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from pipeline.decide.decision import decide
from pipeline.decide.family import kin
from pipeline.decide.guards import GuardSettings
from pipeline.decide.identity import another_name, incident_name
from pipeline.decide.incidents import Companion, Incidents, Joins, New, Repeat
from pipeline.decide.policy import PolicySet, read_policies
from pipeline.decide.repeat import Repeat as Repetition
from pipeline.decide.rules import BUILT_IN, Rule
from pipeline.documents import parse_documents
from pipeline.errors import BadInputError
from pipeline.model.fault import Drill, NodeFault
from pipeline.model.plan import ActionName, Cordon, Plan
from pipeline.model.rescue import Rescue, Status, StepState
from tests.fakes.faults import FULL, NOON, fault, node_fault, plan, rescue
from tests.fakes.incidents import MINUTE, SECOND, SETTINGS, place, seen

REHEARSED = replace(plan(), dry_run=True)


def of(drill: Drill | None) -> NodeFault:
    return node_fault(fault=fault(drill=drill))


def policies(dry_rule: bool = False, dry_run: bool = False) -> PolicySet:
    return PolicySet([Rule("p", 0, 10, FULL, dry_run=dry_rule)], dry_run=dry_run)


def planned(found: NodeFault, given: PolicySet, of_node: Sequence[Rescue] = (), **guards: Any) -> Plan:
    decision = decide(found, given, GuardSettings(**guards), of_node, NOON)
    assert isinstance(decision, Plan)
    return decision


@pytest.mark.parametrize(
    ("drill", "dry_rule", "dry_run", "rehearsed"),
    [
        pytest.param(None, False, False, False, id="a fault"),
        pytest.param(None, True, False, True, id="a fault by a policy that is watched"),
        pytest.param(None, False, True, True, id="a fault under the global dry run"),
        pytest.param(Drill.DRY, False, False, True, id="a drill"),
        pytest.param(Drill.REAL, False, False, False, id="a drill in earnest"),
        pytest.param(Drill.REAL, True, False, True, id="a drill in earnest by a policy that is watched"),
        pytest.param(Drill.REAL, False, True, True, id="a drill in earnest under the global dry run"),
    ],
)
def test_a_plan_says_whether_it_is_rehearsed_only(
    drill: Drill | None, dry_rule: bool, dry_run: bool, rehearsed: bool
) -> None:
    found = planned(of(drill), policies(dry_rule, dry_run))
    assert found.dry_run is rehearsed
    assert rescue(cause=of(drill), plan=found).dry_run is rehearsed


def rebooted(dry_run: bool = False, drill: Drill | None = None) -> Rescue:
    done = StepState(Status.SUCCEEDED, NOON, NOON, memo={"rebooted_at": NOON.isoformat()})
    made = rescue(cause=of(drill), plan=replace(plan(), dry_run=dry_run))
    return replace(made, status=Status.SUCCEEDED, ended=NOON, steps=(done,) * 4)


@pytest.mark.parametrize(
    ("before", "drill", "dry_rule", "dry_run", "counts"),
    [
        pytest.param(rebooted(), None, False, False, True, id="a reboot"),
        pytest.param(rebooted(), None, True, False, True, id="a reboot, for a plan that is rehearsed"),
        pytest.param(rebooted(), Drill.DRY, False, False, True, id="a reboot, for a drill"),
        pytest.param(rebooted(dry_run=True), None, False, False, False, id="a rehearsed one, for a plan that is done"),
        pytest.param(rebooted(dry_run=True), None, True, False, True, id="a rehearsed one, for one that is watched"),
        pytest.param(rebooted(dry_run=True), None, False, True, True, id="a rehearsed one, where all are"),
        pytest.param(rebooted(dry_run=True), Drill.DRY, False, False, False, id="a rehearsed one, for a drill"),
        pytest.param(rebooted(True, Drill.DRY), None, True, False, False, id="a drill's, for one that is watched"),
        pytest.param(rebooted(True, Drill.DRY), Drill.DRY, False, False, False, id="a drill's, for a drill"),
        pytest.param(rebooted(False, Drill.REAL), None, False, False, False, id="one of a drill in earnest"),
        pytest.param(rebooted(True, Drill.REAL), None, False, True, False, id="that of one held back"),
    ],
)
def test_which_reboots_count_for_max_reboots(
    before: Rescue, drill: Drill | None, dry_rule: bool, dry_run: bool, counts: bool
) -> None:
    found = planned(of(drill), policies(dry_rule, dry_run), [before], max_reboots=1)
    assert (found.actions[-1].name is ActionName.OFFLINE) is counts


def test_the_global_dry_run_changes_nothing_else_of_the_policies() -> None:
    watched, real = Rule("a", 0, 10, (Cordon(),), dry_run=True), Rule("b", 0, 10, (Cordon(),))
    again = Rule("c", 0, 0, (Cordon(),), repeat=Repetition(count=2, within=MINUTE))
    given = PolicySet([real, watched, again])
    dry = given.rehearsed()
    assert (given.dry_run, dry.dry_run, dry.rules, dry.standby) == (False, True, given.rules, given.standby)
    assert (dry.rules[-1] is BUILT_IN, dry.ties()) == (True, given.ties())
    assert dry.rehearsed().rules == given.rules


POLICY = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: test-1}
spec:
  %s
  rules: [{priority: 10, errorCode: ["79"], actions: [{name: cordon}]}, {actions: [{name: cordon}]}]
"""


@pytest.mark.parametrize(
    ("said", "rehearsed"), [("dryRun: true", True), ("dryRun: false", False), ("# nothing", False)]
)
def test_a_policy_says_it_for_all_of_its_rules(said: str, rehearsed: bool) -> None:
    found = read_policies(parse_documents(POLICY % said, "p.yaml"))
    assert [rule.dry_run for rule in found.rules] == [rehearsed] * 2
    assert not found.dry_run


@pytest.mark.parametrize("said", ['dryRun: "true"', "dryRun: 1", "dryRun:", "dry_run: true"])
def test_what_is_no_plain_yes_or_no_is_told(said: str) -> None:
    with pytest.raises(BadInputError, match=r"p\.yaml:6"):
        read_policies(parse_documents(POLICY % said, "p.yaml"))


@pytest.mark.parametrize("drill", list(Drill))
def test_a_drill_is_kin_to_drills_of_its_kind_only(drill: Drill) -> None:
    other = next(one for one in Drill if one is not drill)
    assert [kin(of(drill), of(one)) for one in (drill, other, None)] == [True, False, False]
    assert kin(of(None), of(None))


@pytest.mark.parametrize(
    ("lead", "line"),
    [
        pytest.param(seen(79), seen(79, at=SECOND), id="the same fault"),
        pytest.param(seen(79), seen(79, at=SECOND, inferred=True), id="the other form of a fall"),
        pytest.param(seen(79, inferred=True), seen(79, at=SECOND), id="the first form of one"),
        pytest.param(seen(79), seen(45, at=SECOND, caused_by_xid=79), id="a consequence"),
        pytest.param(seen(48), seen(95, at=SECOND), id="a fault of the family"),
        pytest.param(seen(48), seen(45, at=MINUTE), id="the aftermath"),
        pytest.param(seen(7, kind="sxid"), seen(7, at=SECOND, kind="sxid", companion=True), id="a companion"),
    ],
)
@pytest.mark.parametrize(
    ("first", "second"), [(None, Drill.DRY), (Drill.DRY, None), (Drill.DRY, Drill.REAL), (None, Drill.REAL)]
)
def test_what_goes_with_a_fault_goes_with_no_drill_of_it(
    lead: NodeFault, line: NodeFault, first: Drill | None, second: Drill | None
) -> None:
    def meant(found: NodeFault, drill: Drill | None) -> NodeFault:
        return replace(found, fault=replace(found.fault, drill=drill))

    apart, together = Incidents(SETTINGS), Incidents(SETTINGS)
    place(apart, meant(lead, first))
    place(together, meant(lead, first))
    assert isinstance(place(together, meant(line, first)), Companion | Repeat | Joins)
    assert isinstance(place(apart, meant(line, second)), New)


@pytest.mark.parametrize("decision", [REHEARSED, plan()])
def test_what_was_only_rehearsed_is_decided_anew_when_policies_change(decision: Plan) -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, seen()).incident.decided(decision, "the-rescue")
    incidents.forget_skipped()
    assert isinstance(place(incidents, seen(at=SECOND)), New if decision.dry_run else Repeat)


def test_an_incident_that_is_not_decided_yet_stays_when_policies_change() -> None:
    incidents = Incidents(SETTINGS)
    place(incidents, seen())
    incidents.forget_skipped()
    assert isinstance(place(incidents, seen(at=SECOND)), Repeat)


@pytest.mark.parametrize("decision", [REHEARSED, plan()])
def test_what_was_only_rehearsed_is_decided_anew_after_a_restart(decision: Plan) -> None:
    lead, incidents = seen(), Incidents(SETTINGS)
    incidents.restore([rescue(incident_name(lead), cause=lead, plan=decision)], NOON)
    assert isinstance(place(incidents, seen(at=SECOND)), New if decision.dry_run else Repeat)


def test_a_rescue_whose_line_was_rehearsed_has_another_name_always_the_same() -> None:
    name = incident_name(seen(node="a-very-long-name-of-a-node-" * 4))
    other = another_name(name)
    assert (len(other), other[:-8], another_name(name)) == (len(name), name[:-8], other)
    assert other[-8:] != name[-8:]


@pytest.mark.parametrize(
    ("drill", "status", "placed"),
    [
        pytest.param(Drill.DRY, Status.SUCCEEDED, New, id="a drill that is over"),
        pytest.param(Drill.REAL, Status.FAILED, New, id="a drill in earnest that has failed"),
        pytest.param(Drill.DRY, Status.RUNNING, Repeat, id="a drill that goes on"),
        pytest.param(None, Status.SUCCEEDED, Repeat, id="a fault whose node was only cordoned"),
    ],
)
def test_a_drill_can_be_held_again_when_it_is_over(drill: Drill | None, status: Status, placed: type) -> None:
    incidents, lead = Incidents(SETTINGS), seen(drill=drill)
    name = place(incidents, lead).incident.name
    ended = NOON + MINUTE if status.ended else None
    incidents.close(replace(rescue(name, cause=lead, plan=plan(Cordon())), status=status, ended=ended))
    assert isinstance(place(incidents, seen(at=MINUTE, drill=drill)), Repeat)
    assert isinstance(place(incidents, seen(at=MINUTE + SECOND, drill=drill)), placed)
