"""Which rule wins for a fault, why each rule did or did not match, and which ties only names decide."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.decision import decide
from pipeline.decide.errorcodes import code_of, parse
from pipeline.decide.guards import GuardSettings
from pipeline.decide.nodeselector import NodeSelector, Operator
from pipeline.decide.repeat import History, Repeat, occurrence_of
from pipeline.decide.rules import BUILT_IN, PolicySet, Rule, UnknownCodes
from pipeline.model.fault import CodeMeaning, Lookup, NodeFault, NvLink5, RecoveryAction, Severity
from pipeline.model.occurrence import Occurrence
from pipeline.model.plan import Cordon, Drain, Plan, Skip, SkipReason
from pipeline.model.rescue import Member
from tests.fakes.faults import NOON, fault, node_fault

QUIET = timedelta(minutes=10)
DEMO_TEST = {"app": "demo", "env": "test"}


def selects(labels: Mapping[str, str], operator: str = "all") -> NodeSelector:
    return NodeSelector(operator=Operator(operator), labels=dict(labels))


def rule(
    policy: str,
    priority: int = 0,
    *codes: str,
    labels: Mapping[str, str] | None = None,
    operator: str = "all",
    index: int = 0,
    repeat: int | None = None,
) -> Rule:
    selector = selects(labels, operator) if labels else None
    again = Repeat(count=repeat, within=timedelta(hours=24)) if repeat else None
    return Rule(policy, index, priority, (Cordon(),), tuple(map(parse, codes)), selector, again)


def found(code: int = 62, labels: Mapping[str, str] | None = None, **given: Any) -> NodeFault:
    return node_fault(code, labels=DEMO_TEST if labels is None else labels, **given)


def meaning(code: int, rescue: bool = True, catalogued: bool = True) -> CodeMeaning:
    return CodeMeaning("xid", code, rescue=rescue, catalogued=catalogued)


HARMLESS = found(13, meaning=meaning(13, rescue=False))
UNKNOWN = found(999, meaning=meaning(999, rescue=False, catalogued=False))


@pytest.mark.parametrize(
    ("rules", "winner"),
    [
        pytest.param([], "(built-in)", id="without rules the built-in one"),
        pytest.param([rule("a", 1, "62"), rule("b", 2, "62")], "b", id="the highest priority"),
        pytest.param([rule("a", 1, "62", labels=DEMO_TEST), rule("b", 2)], "b", id="priority before what is specific"),
        pytest.param(
            [rule("a", 1, "62"), rule("b", 1, "62", labels=DEMO_TEST)], "b", id="code and selector before code"
        ),
        pytest.param([rule("a", 1, labels=DEMO_TEST), rule("b", 1, "62")], "b", id="code before selector"),
        pytest.param([rule("a", 1), rule("b", 1, labels=DEMO_TEST)], "b", id="selector before neither"),
        pytest.param([rule("b", 1, "62"), rule("a", 1, "62")], "a", id="the policy's name when all is equal"),
        pytest.param([rule("a", 0), rule("b", 1, "63")], "a", id="the global policy when no other matches"),
        pytest.param(
            [rule("a", 5, "63"), rule("b", 1, "class:unknown")], "(built-in)", id="the built-in when none matches"
        ),
    ],
)
def test_the_winner_is(rules: list[Rule], winner: str) -> None:
    chosen, considered = PolicySet(rules).choose(found())
    assert chosen is not None
    assert chosen.policy == winner
    assert [entry.policy for entry in considered] == [entry.policy for entry in PolicySet(rules).rules]


def test_the_rules_index_decides_within_a_policy() -> None:
    first, second = rule("a", 1, "62", index=0), rule("a", 1, "62", index=1)
    assert PolicySet([second, first]).choose(found())[0] is first


@pytest.mark.parametrize(
    ("one", "fault", "matched", "why"),
    [
        pytest.param(rule("a", 1, "62"), found(), True, "It names 62; it is the first that matches.", id="a code"),
        pytest.param(
            rule("a", 1, "63", "sxid:1"), found(), False, "It names 63, sxid:1, not xid 62.", id="other codes"
        ),
        pytest.param(
            rule("a", 1),
            found(),
            True,
            "It speaks of every code that needs a rescue, as xid 62 does; it is the first that matches.",
            id="no code, for a code that needs a rescue",
        ),
        pytest.param(
            rule("a", 1),
            HARMLESS,
            False,
            "It names no code, and the catalogue says that xid 13 needs no rescue.",
            id="no code, for an application's own fault",
        ),
        pytest.param(
            rule("a", 1, "13"),
            HARMLESS,
            True,
            "It names 13; it is the first that matches.",
            id="a code that is harmless",
        ),
        pytest.param(
            rule("a", 1),
            UNKNOWN,
            False,
            "It names no code, and no catalogue knows xid 999 (unknown_codes: record).",
            id="no code, for an unknown code",
        ),
        pytest.param(
            rule("a", 1, "999"),
            UNKNOWN,
            True,
            "It names 999; it is the first that matches.",
            id="an unknown code by name",
        ),
        pytest.param(
            rule("a", 1, "62", labels=DEMO_TEST),
            found(),
            True,
            "It names 62, and the node carries all of app=demo, env=test; it is the first that matches.",
            id="all labels",
        ),
        pytest.param(
            rule("a", 1, "62", labels=DEMO_TEST),
            found(labels={"app": "demo"}),
            False,
            "It names 62, but the node does not carry all of app=demo, env=test.",
            id="one of all labels is missing",
        ),
        pytest.param(
            rule("a", 1, "62", labels=DEMO_TEST, operator="any"),
            found(labels={"env": "test"}),
            True,
            "It names 62, and the node carries any of app=demo, env=test; it is the first that matches.",
            id="any label",
        ),
        pytest.param(
            rule("a", 1, "62", labels=DEMO_TEST, operator="any"),
            found(labels={"env": "prod", "app": ""}),
            False,
            "It names 62, but the node does not carry any of app=demo, env=test.",
            id="other values are other labels",
        ),
        pytest.param(
            rule("a", 1, "62", labels=DEMO_TEST, operator="any"),
            found(lookup=Lookup.NOT_READY),
            False,
            "It names 62, but has a nodeSelector and the node's labels are not known (node not-ready).",
            id="labels of a node that is not known do not count",
        ),
        pytest.param(
            rule("a", 1, "63", labels=DEMO_TEST),
            found(),
            False,
            "It names 63, not xid 62.",
            id="the code is looked at first",
        ),
    ],
)
def test_a_rule_is_considered(one: Rule, fault: NodeFault, matched: bool, why: str) -> None:
    first = PolicySet([one]).choose(fault)[1][0]
    assert (first.policy, first.rule, first.priority, first.matched, first.why) == ("a", 0, 1, matched, why)


def test_a_rule_that_matches_and_does_not_win_says_which_does() -> None:
    rules = [rule("a", 2, "62"), rule("b", 1, "62", index=3), rule("c", 1, "63")]
    considered = PolicySet(rules).choose(found())[1]
    assert [entry.matched for entry in considered] == [True, True, False, True]
    assert considered[2].why == "It names 63, not xid 62."
    assert considered[1].why == "It names 62; rule 0 of policy a comes first."
    assert considered[1].rule == 3


@pytest.mark.parametrize(
    ("setting", "winner"),
    [
        pytest.param(UnknownCodes.RECORD, None, id="record: no rule without errorCode acts"),
        pytest.param(UnknownCodes.POLICIES, "a", id="policies: rules without errorCode act"),
    ],
)
def test_an_unknown_code_by_setting(setting: UnknownCodes, winner: str | None) -> None:
    chosen = PolicySet([rule("a", 0)]).choose(UNKNOWN, setting)[0]
    assert (chosen and chosen.policy) == winner


def test_the_setting_for_unknown_codes_does_not_touch_known_ones() -> None:
    assert PolicySet([rule("a", 0)]).choose(HARMLESS, UnknownCodes.POLICIES)[0] is None


def before(*faults: NodeFault) -> list[Occurrence]:
    """What was noted of faults an hour apart, the last one an hour ago."""
    times = [NOON - timedelta(hours=len(faults) - number) for number in range(len(faults))]
    seen = zip(faults, times, strict=True)
    return [occurrence_of(Member(str(time), fault, 1, time, time), None) for fault, time in seen]


def nvlink5(subcode: str) -> NodeFault:
    return found(149, fault=fault(149, nvlink5=NvLink5(subcode, True, False, False, 1, None, None)))


def verdict(to: int) -> NodeFault:
    return found(154, fault=fault(154, recovery_action=RecoveryAction("None", "x", to)))


def of_class(code: int, severity: Severity) -> NodeFault:
    return found(code, meaning=CodeMeaning("xid", code, severity=severity, rescue=True))


RESET, REBOOT = of_class(62, Severity.RESET), of_class(79, Severity.REBOOT)


@pytest.mark.parametrize(
    ("codes", "earlier", "fault", "counts"),
    [
        pytest.param(["62"], [found(62)], found(62), True, id="the same code"),
        pytest.param(["62"], [found(63)], found(62), False, id="another code"),
        pytest.param(["62", "63"], [found(63)], found(62), False, id="another code that the rule names"),
        pytest.param(["62", "63"], [found(62)], found(62), True, id="the same of two codes"),
        pytest.param(["149"], [nvlink5("TREX")], nvlink5("NETIR"), True, id="any sub-code where none is named"),
        pytest.param(["149.NETIR"], [nvlink5("NETIR")], nvlink5("NETIR"), True, id="the sub-code that is named"),
        pytest.param(["149.NETIR"], [nvlink5("TREX")], nvlink5("NETIR"), False, id="another sub-code"),
        pytest.param(
            ["149.NETIR", "149.TREX"], [nvlink5("TREX")], nvlink5("NETIR"), False, id="another that is named too"
        ),
        pytest.param(["149.NETIR", "149"], [nvlink5("TREX")], nvlink5("NETIR"), True, id="the widest entry counts"),
        pytest.param(["154:2"], [verdict(2)], verdict(2), True, id="the same verdict"),
        pytest.param(["154:2"], [verdict(1)], verdict(2), False, id="another verdict"),
        pytest.param(["class:reset"], [of_class(48, Severity.RESET)], RESET, True, id="any code of the class"),
        pytest.param(["class:reset"], [REBOOT], RESET, False, id="a code of another class"),
        pytest.param(["class:reset", "class:reboot"], [REBOOT], RESET, False, id="of another class that is named"),
        pytest.param([], [REBOOT], RESET, True, id="without codes, every code that needs a rescue"),
        pytest.param([], [HARMLESS], RESET, False, id="without codes, none that needs no rescue"),
        pytest.param([], [UNKNOWN], RESET, False, id="without codes, none that nobody knows"),
    ],
)
def test_what_counts_as_the_same_fault(
    codes: list[str], earlier: list[NodeFault], fault: NodeFault, counts: bool
) -> None:
    policies = PolicySet([rule("a", 1, *codes, repeat=2)])
    chosen, _ = policies.choose(fault, history=History(before(*earlier), QUIET))
    assert chosen is not None
    assert (chosen.policy == "a") is counts


def test_unknown_codes_count_where_rules_without_codes_act_on_them() -> None:
    history = History(before(UNKNOWN), QUIET)
    chosen, _ = PolicySet([rule("a", 1, repeat=2)]).choose(RESET, UnknownCodes.POLICIES, history)
    assert chosen is not None
    assert chosen.policy == "a"


def test_a_rule_for_the_third_time_stands_before_one_for_each_time() -> None:
    policies = PolicySet([rule("offline", 20, "62", repeat=3), rule("reboot", 10, "62")])
    told = []
    for times in range(4):
        chosen, considered = policies.choose(found(), history=History(before(*[found()] * times), QUIET))
        assert chosen is not None
        told.append((chosen.policy, considered[0].matched, considered[0].why))
    assert told == [
        ("reboot", False, "It names 62, but this is the 1st within 1day on this GPU, not yet the 3rd (repeat)."),
        ("reboot", False, "It names 62, but this is the 2nd within 1day on this GPU, not yet the 3rd (repeat)."),
        (
            "offline",
            True,
            "It names 62, and this is the 3rd within 1day on this GPU (repeat: from the 3rd on); it is the first that "
            "matches.",
        ),
        (
            "offline",
            True,
            "It names 62, and this is the 4th within 1day on this GPU (repeat: from the 3rd on); it is the first that "
            "matches.",
        ),
    ]


@pytest.mark.parametrize(
    ("one", "why"),
    [
        pytest.param(rule("a", 1, "63", repeat=2), "It names 63, not xid 62.", id="another code"),
        pytest.param(
            rule("a", 1, "62", labels={"app": "x"}, repeat=2),
            "It names 62, but the node does not carry all of app=x.",
            id="another node",
        ),
        pytest.param(
            rule("a", 1, "62", labels={"app": "demo"}, repeat=2),
            "It names 62, and the node carries all of app=demo, but this is the 1st within 1day on this GPU, not yet "
            "the 2nd (repeat).",
            id="the first time on a node of its own",
        ),
    ],
)
def test_a_rule_that_waits_says_first_what_else_it_is_not_for(one: Rule, why: str) -> None:
    assert PolicySet([one]).choose(found())[1][0].why == why


def test_a_decision_counts_what_was_noted_and_takes_the_incident_window_for_one() -> None:
    policies = PolicySet([rule("a", 1, "62", repeat=2)])
    earlier = before(found())
    for window, policy in ((timedelta(minutes=59), "a"), (timedelta(hours=1), "(built-in)")):
        decision = decide(found(), policies, GuardSettings(incident_window=window), (), NOON, earlier)
        assert isinstance(decision, Plan)
        assert decision.policy == policy


def test_a_rule_that_waits_is_before_the_built_in_one_and_ties_with_none() -> None:
    policies = PolicySet([rule("a", 0, repeat=2)])
    assert [one.policy for one in policies.rules] == ["a", "(built-in)"]
    assert policies.ties() == {}
    chosen, _ = policies.choose(found(), history=History(before(found()), QUIET))
    assert chosen is policies.rules[0]


@pytest.mark.parametrize(
    ("rules", "fault", "counted"),
    [
        pytest.param([rule("a", 1, "62", repeat=2)], found(62), True, id="a code that is counted"),
        pytest.param([rule("a", 1, "62", repeat=2)], found(63), False, id="another code"),
        pytest.param([rule("a", 1, "62")], found(62), False, id="a rule that does not count"),
        pytest.param([], found(62), False, id="no rule"),
        pytest.param(
            [rule("a", 1, "62", labels={"app": "x"}, repeat=2)], found(62), True, id="the GPU may come to other nodes"
        ),
        pytest.param([rule("a", 1, repeat=2)], HARMLESS, False, id="a code that needs no rescue"),
        pytest.param([rule("a", 1, repeat=2)], UNKNOWN, False, id="a code that nobody knows"),
        pytest.param([rule("a", 1, "63", repeat=2), rule("b", 1, "62", repeat=2)], found(62), True, id="any rule"),
    ],
)
def test_what_a_rule_counts_is_to_be_remembered(rules: list[Rule], fault: NodeFault, counted: bool) -> None:
    assert PolicySet(rules).counted(fault) is counted


def test_unknown_codes_are_remembered_where_rules_without_codes_act_on_them() -> None:
    assert PolicySet([rule("a", 1, repeat=2)]).counted(UNKNOWN, UnknownCodes.POLICIES)


@pytest.mark.parametrize("unknown", list(UnknownCodes))
def test_a_plan_says_which_rule_made_it(unknown: UnknownCodes) -> None:
    winner = Rule("a", 4, 7, (Cordon(), Drain()), (parse("62"),))
    decision = decide(found(), PolicySet([winner]), GuardSettings(unknown_codes=unknown), (), NOON)
    assert isinstance(decision, Plan)
    assert (decision.actions, decision.policy, decision.rule, decision.priority) == ((Cordon(), Drain()), "a", 4, 7)
    assert len(decision.considered) == 2


NEEDS_NONE = "the code needs no rescue, and no rule names it here"


@pytest.mark.parametrize(
    ("fault", "settings", "reason", "why"),
    [
        pytest.param(
            HARMLESS, GuardSettings(), SkipReason.NO_RESCUE_NEEDED, NEEDS_NONE, id="a code that needs no rescue"
        ),
        pytest.param(
            UNKNOWN,
            GuardSettings(),
            SkipReason.UNKNOWN_CODE,
            "no catalogue knows the code, and no rule names it here",
            id="a code that nobody knows",
        ),
        pytest.param(
            HARMLESS,
            GuardSettings(unknown_codes=UnknownCodes.POLICIES),
            SkipReason.NO_RESCUE_NEEDED,
            NEEDS_NONE,
            id="a code that needs no rescue, where unknown ones are for the policies",
        ),
    ],
)
def test_a_fault_that_no_rule_speaks_of_is_skipped(
    fault: NodeFault, settings: GuardSettings, reason: SkipReason, why: str
) -> None:
    decision = decide(fault, PolicySet(), settings, (), NOON)
    assert isinstance(decision, Skip)
    assert decision.reason is reason
    assert decision.detail == f"gpu-1: xid {fault.fault.code} is not acted on: {why}"
    assert [entry.policy for entry in decision.considered] == [BUILT_IN.policy]


def test_a_fault_that_a_rule_names_but_only_from_the_third_time_on_is_not_said_to_be_named_by_none() -> None:
    third = Rule("a", 0, 7, (Cordon(),), (parse("13"),), repeat=Repeat(count=3, within=timedelta(days=1)))
    decision = decide(HARMLESS, PolicySet([third]), GuardSettings(), (), NOON)
    assert isinstance(decision, Skip)
    assert decision.detail.endswith("no rule names it here, or not yet this often (repeat)")


def test_a_plan_tells_whether_the_global_rule_alone_has_led_to_it() -> None:
    of_global = decide(found(), PolicySet([rule("a")]), GuardSettings(), (), NOON)
    of_code = decide(found(), PolicySet([rule("a", 1, "62")]), GuardSettings(), (), NOON)
    assert isinstance(of_global, Plan)
    assert isinstance(of_code, Plan)
    assert (of_global.fallback, of_code.fallback) == (True, False)


def test_an_unknown_code_is_planned_for_where_the_policies_decide() -> None:
    assert isinstance(decide(UNKNOWN, PolicySet(), GuardSettings(unknown_codes=UnknownCodes.POLICIES), (), NOON), Plan)


A, B = {"a": "1"}, {"b": "1"}


@pytest.mark.parametrize(
    ("one", "other", "tied"),
    [
        pytest.param(rule("p", 1, "62"), rule("q", 1, "62"), True, id="the same code"),
        pytest.param(rule("p", 1, "62", "63"), rule("q", 1, "64", "63"), True, id="one code in common"),
        pytest.param(rule("p", 1, "62"), rule("q", 1, "63"), False, id="no code in common"),
        pytest.param(rule("p", 1, "62"), rule("q", 2, "62"), False, id="two priorities"),
        pytest.param(rule("p", 1, "62"), rule("q", 1), False, id="one is more specific"),
        pytest.param(rule("p"), rule("q"), True, id="two global policies"),
        pytest.param(rule("p", 1, "62", repeat=3), rule("q", 1, "62"), True, id="one waits for repetition"),
        pytest.param(rule("p", 1, "62", repeat=3), rule("q", 1, "62", repeat=2), True, id="both wait for repetition"),
        pytest.param(rule("p", 2, "62", repeat=3), rule("q", 1, "62"), False, id="the one that waits is higher"),
        pytest.param(rule("p", 1, labels=A), rule("q", 1, labels=A), True, id="the same nodes"),
        pytest.param(rule("p", 1, labels=A), rule("q", 1, labels=B), True, id="a node may carry both labels"),
        pytest.param(
            rule("p", 1, labels=A), rule("q", 1, labels={"a": "2"}), False, id="no node has two values of a label"
        ),
        pytest.param(
            rule("p", 1, labels={"a": "1", "b": "1"}, operator="any"),
            rule("q", 1, labels={"a": "2", "b": "2"}),
            False,
            id="any of labels that the other one excludes",
        ),
        pytest.param(
            rule("p", 1, labels={"a": "1", "c": "1"}, operator="any"),
            rule("q", 1, labels={"a": "2", "b": "2"}),
            True,
            id="any of labels, one of which the other one allows",
        ),
        pytest.param(
            rule("p", 1, labels={"a": "1", "c": "1"}),
            rule("q", 1, labels={"a": "2", "b": "2"}),
            False,
            id="all labels, one of which the other one excludes",
        ),
        pytest.param(rule("p", 1, "62", labels=A), rule("q", 1, "62", labels=B), True, id="codes and nodes in common"),
        pytest.param(
            rule("p", 1, "62", labels=A), rule("q", 1, "63", labels=A), False, id="nodes in common, codes not"
        ),
        pytest.param(
            rule("p", 1, "62", labels=A), rule("q", 1, "62", labels={"a": "2"}), False, id="codes in common, nodes not"
        ),
    ],
)
def test_rules_tie(one: Rule, other: Rule, tied: bool) -> None:
    assert set(PolicySet([one, other]).ties()) == ({"p", "q"} if tied else set())


def test_both_policies_are_told_of_a_tie() -> None:
    ties = PolicySet([rule("q", 3, "62", index=1), rule("p", 3, "62", index=2)]).ties()
    told = "have priority 3, are equally specific and can match the same fault"
    assert ties == {
        "p": (f"Rule 2 and rule 1 of policy q {told}: the former wins.",),
        "q": (f"Rule 1 and rule 2 of policy p {told}: the latter wins.",),
    }


def test_a_tie_within_a_policy_is_told_once() -> None:
    (told,) = PolicySet([rule("p", 3, "62", index=1), rule("p", 3, "62", index=0)]).ties()["p"]
    assert told.startswith("Rule 0 and rule 1 have priority 3")


LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"), min_size=1)
RULES = st.builds(
    lambda policy, priority, codes, labels, operator, index: rule(
        policy, priority, *codes, labels=labels, operator=operator, index=index
    ),
    st.sampled_from("pqr"),
    st.integers(0, 2),
    st.lists(st.sampled_from(["62", "63", "154:2", "class:reboot"]), max_size=2),
    st.none() | LABELS,
    st.sampled_from(["any", "all"]),
    st.integers(0, 9),
)
FAULTS = st.builds(
    lambda code, labels, rescue, catalogued, lookup: node_fault(
        code, labels=labels, lookup=lookup, meaning=meaning(code, rescue, catalogued)
    ),
    st.sampled_from([62, 63, 64]),
    st.just({}) | LABELS,
    st.booleans(),
    st.booleans(),
    st.sampled_from([Lookup.FOUND, Lookup.UNKNOWN]),
)


def naive_match(one: Rule, fault: NodeFault, unknown: UnknownCodes) -> bool:
    """The rules of the design, written down once more without regard to how they are told."""
    if one.codes:
        if not any(selector.matches(code_of(fault)) for selector in one.codes):
            return False
    elif not (fault.meaning.rescue if fault.meaning.catalogued else unknown is UnknownCodes.POLICIES):
        return False
    if one.selector is None:
        return True
    held = [fault.labels.get(key) == value for key, value in one.selector.labels.items()]
    return fault.lookup is Lookup.FOUND and (any(held) if one.selector.operator == "any" else all(held))


def naive_better(one: Rule, other: Rule) -> bool:
    def order(r: Rule) -> tuple[int, int]:
        return r.priority, {(True, True): 3, (True, False): 2, (False, True): 1}.get(
            (bool(r.codes), bool(r.selector)), 0
        )

    if order(one) != order(other):
        return order(one) > order(other)
    return (one.policy, one.index) < (other.policy, other.index)


@given(st.lists(RULES, max_size=6), FAULTS, st.sampled_from(UnknownCodes))
def test_the_choice_agrees_with_a_naive_one(rules: list[Rule], fault: NodeFault, unknown: UnknownCodes) -> None:
    everything = rules if any(r.priority == 0 and not r.codes and not r.selector for r in rules) else [*rules, BUILT_IN]
    matching = [one for one in everything if naive_match(one, fault, unknown)]
    chosen, considered = PolicySet(rules).choose(fault, unknown)
    assert sorted((c.policy, c.rule, c.matched) for c in considered) == sorted(
        (one.policy, one.index, one in matching) for one in everything
    )
    assert (chosen is None) is (not matching)
    if chosen is not None:
        assert not any(naive_better(one, chosen) for one in matching)


@given(st.lists(RULES, max_size=6), FAULTS)
def test_ties_are_told_whenever_two_rules_of_one_rank_match(rules: list[Rule], fault: NodeFault) -> None:
    policies = PolicySet(rules)
    chosen, considered = policies.choose(fault)
    rivals = [
        one
        for one, entry in zip(policies.rules, considered, strict=True)
        if chosen and entry.matched and (one.priority, one.specificity) == (chosen.priority, chosen.specificity)
    ]
    assert len(rivals) < 2 or {one.policy for one in rivals} <= set(policies.ties())
