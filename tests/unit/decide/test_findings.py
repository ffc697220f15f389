"""What is odd about policies of which each is valid: rules that are never met, labels that no node carries."""

from textwrap import indent

import pytest

from pipeline.decide.findings import find, unknown_labels
from pipeline.decide.policy import read_policies
from pipeline.decide.rules import PolicySet
from pipeline.documents import parse_documents

RULE = "actions: [{name: cordon}]"


def _policies(*rules: str, **others: str) -> PolicySet:
    texts = {"p": ",\n".join(rules), **others}
    return read_policies(
        document
        for name, text in texts.items()
        for document in parse_documents(
            "apiVersion: rescue.ksyun.com/v1\nkind: RescuePolicy\n"
            f"metadata: {{name: {name}}}\nspec:\n  rules: [\n{indent(text, '    ')}]\n",
            f"{name}.yaml",
        )
    )


def _unreachable(policies: PolicySet) -> dict[str, list[str]]:
    return {name: list(told) for (_, name), told in find(policies).unreachable.items()}


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        pytest.param(
            ['{priority: 9, errorCode: ["79", "62"], %s}', '{priority: 8, errorCode: ["62"], %s}'],
            "Rule 1 is never met: rule 0 comes first for all that it names.",
            id="a code that a rule above names as well",
        ),
        pytest.param(
            ['{priority: 9, errorCode: ["79"], %s}', '{priority: 8, errorCode: ["79", "62"], %s}'],
            None,
            id="a code is left to it",
        ),
        pytest.param(
            [
                '{priority: 9, errorCode: ["79"], %s}',
                '{priority: 8, errorCode: ["62"], %s}',
                '{priority: 7, errorCode: ["79", "62"], %s}',
            ],
            "Rule 2 is never met: rule 0 and rule 1 come first for all that it names.",
            id="two rules take one code each",
        ),
        pytest.param(
            ['{priority: 9, errorCode: ["149"], %s}', '{priority: 8, errorCode: ["149.NETIR:fatal"], %s}'],
            "Rule 1 is never met",
            id="a sub-code of a code",
        ),
        pytest.param(
            ['{priority: 9, errorCode: ["149:fatal"], %s}', '{priority: 8, errorCode: ["149"], %s}'],
            None,
            id="a code of which only some is taken",
        ),
        pytest.param(
            ['{priority: 9, errorCode: ["154:2"], %s}', '{priority: 8, errorCode: ["154:2"], %s}'],
            "Rule 1 is never met",
            id="a verdict of the driver",
        ),
        pytest.param(
            ['{priority: 9, errorCode: ["154:2"], %s}', '{priority: 8, errorCode: ["154:3"], %s}'],
            None,
            id="another verdict of the driver",
        ),
        pytest.param(
            ['{priority: 9, errorCode: ["class:reboot"], %s}', '{priority: 8, errorCode: ["class:reboot"], %s}'],
            "Rule 1 is never met",
            id="one class twice",
        ),
        pytest.param(
            ['{priority: 9, errorCode: ["class:reboot"], %s}', '{priority: 8, errorCode: ["62"], %s}'],
            None,
            id="a class, which the catalogue fills",
        ),
        pytest.param(
            ["{priority: 9, %s}", "{priority: 8, nodeSelector: {labels: {a: b}}, %s}"],
            "Rule 1 is never met",
            id="a rule for every node above one for some",
        ),
        pytest.param(
            ["{priority: 9, %s}", "{priority: 8, %s}", "{priority: 7, nodeSelector: {labels: {a: b}}, %s}"],
            "Rule 2 is never met: rule 0 comes first for all that it names.",
            id="a rule below two for every node, each of which is enough",
        ),
        pytest.param(
            ["{priority: 9, nodeSelector: {labels: {a: b}}, %s}", "{priority: 8, %s}"],
            None,
            id="a rule for some nodes above one for every node",
        ),
        pytest.param(
            ["{priority: 9, %s}", '{priority: 8, errorCode: ["62"], %s}'],
            None,
            id="a rule without codes, which speaks of what the catalogue says",
        ),
        pytest.param(
            [
                "{priority: 9, nodeSelector: {operator: any, labels: {a: b, c: d}}, %s}",
                "{priority: 8, nodeSelector: {labels: {a: b, e: f}}, %s}",
            ],
            "Rule 1 is never met",
            id="any of two labels above both of two, one of which is the same",
        ),
        pytest.param(
            ["{priority: 9, nodeSelector: {labels: {a: b}}, %s}", "{priority: 8, nodeSelector: {labels: {a: b}}, %s}"],
            "Rule 1 is never met",
            id="one selector twice",
        ),
        pytest.param(
            [
                "{priority: 9, nodeSelector: {labels: {a: b, c: d}}, %s}",
                "{priority: 8, nodeSelector: {operator: any, labels: {a: b, c: d}}, %s}",
            ],
            None,
            id="both of two labels above any of them",
        ),
        pytest.param(
            [
                '{priority: 9, errorCode: ["63"], repeat: {count: 3, within: 1day}, %s}',
                '{priority: 8, errorCode: ["63"], %s}',
            ],
            None,
            id="a rule that counts leaves the first times to others",
        ),
        pytest.param(
            [
                '{priority: 9, errorCode: ["63"], %s}',
                '{priority: 8, errorCode: ["63"], repeat: {count: 3, within: 1day}, %s}',
            ],
            "Rule 1 is never met",
            id="a rule that counts below one that acts each time",
        ),
    ],
)
def test_a_rule_that_is_never_met_is_found(rules: list[str], told: str | None) -> None:
    found = _unreachable(_policies(*(rule % RULE for rule in rules)))
    assert [*found] == ([] if told is None else ["p"])
    assert told is None or told in found["p"][-1]


def test_the_rule_of_another_policy_is_named_with_it() -> None:
    above = '{priority: 9, errorCode: ["62"], actions: [{name: cordon}]}'
    assert find(_policies(above.replace("9", "8"), b=above)).unreachable == {
        ("RescuePolicy", "p"): ["Rule 0 is never met: rule 0 of policy b comes first for all that it names."]
    }


def test_the_second_global_rule_of_all_policies_is_never_met() -> None:
    rule = "{actions: [{name: cordon}]}"
    assert [*_unreachable(_policies(rule, b=rule))] == ["p"]


def test_nobody_is_told_of_the_built_in_rule() -> None:
    assert not _unreachable(_policies("{priority: 9, actions: [{name: cordon}], nodeSelector: {labels: {a: b}}}"))


def test_ties_are_told_of_the_policies_that_have_them() -> None:
    rule = '{priority: 9, errorCode: ["62"], actions: [{name: cordon}]}'
    policies = _policies(rule, b=rule)
    assert find(policies).ties == {("RescuePolicy", name): told for name, told in policies.ties().items()}
    assert [*find(policies).ties] == [("RescuePolicy", "b"), ("RescuePolicy", "p")]


STANDBY = """
apiVersion: rescue.ksyun.com/v1
kind: WarmStandbyPolicy
metadata: {name: w}
spec: {matches: [{originNode: {a: b}, targetNode: {a: c}}]}
"""


def test_a_label_that_no_node_carries_is_told_with_its_place() -> None:
    rule = "{priority: 9, actions: [{name: cordon}], nodeSelector: {operator: any, labels: {a: b, c: d}}}"
    found = unknown_labels(_policies(rule), [{"a": "b", "c": "e"}, {}])
    assert found == {("RescuePolicy", "p"): ["Rule 0 asks for c=d, which no node carries today."]}


def test_the_labels_of_warm_standby_policies_are_looked_for_as_well() -> None:
    policies = read_policies(parse_documents(STANDBY, "w.yaml"))
    assert unknown_labels(policies, [{"a": "b"}]) == {
        ("WarmStandbyPolicy", "w"): ["Match 0 (targetNode) asks for a=c, which no node carries today."]
    }
    assert unknown_labels(policies, [{"a": "c"}]) == {
        ("WarmStandbyPolicy", "w"): ["Match 0 (originNode) asks for a=b, which no node carries today."]
    }
