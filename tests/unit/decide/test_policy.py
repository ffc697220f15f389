"""Policy manifests: the shape that is taken, and every problem with its place and what would be right."""

from datetime import timedelta
from textwrap import dedent

import pytest

from pipeline.decide.policy import PolicySet, policy_schema, read_policies
from pipeline.decide.repeat import Repeat
from pipeline.decide.rules import BUILT_IN
from pipeline.documents import Document, parse_documents
from pipeline.errors import BadInputError
from pipeline.model.plan import Cordon, Drain, Reboot, Uncordon

CONTRACT = """
    apiVersion: rescue.ksyun.com/v1
    kind: RescuePolicy
    metadata: {name: test-1}
    spec:
      rules:
      - priority: 10
        errorCode: ["62"]
        nodeSelector: {operator: "any", labels: {app: demo, env: test}}     # any | all
        actions:
        - name: cordon
        - name: drain
          attribute: {waittime: "20min"}
        - name: reboot
          attribute: {waittime: "20min", unCordon: "true"}
    ---
    apiVersion: rescue.ksyun.com/v1
    kind: WarmStandbyPolicy
    metadata: {name: cluster-warm-standby}
    spec:
      matches:
      - originNode: {env: dev, app: demo}
        targetNode: {env: dev, app: demo}
"""


def documents(text: str) -> list[Document]:
    return parse_documents(dedent(text), "policies.yaml")


def read(text: str) -> PolicySet:
    return read_policies(documents(text))


def rule(text: str, name: str = "p") -> str:
    """A manifest whose one rule starts on line 5."""
    head = f"apiVersion: rescue.ksyun.com/v1\nkind: RescuePolicy\nmetadata: {{name: {name}}}\nspec: {{rules: [\n"
    return f"{head}{text}\n]}}\n"


def test_the_shape_of_the_contract_is_taken_word_by_word() -> None:
    policies = read(CONTRACT)
    first, last = policies.rules
    assert (first.policy, first.index, first.priority) == ("test-1", 0, 10)
    assert [str(code) for code in first.codes] == ["62"]
    assert first.selector is not None
    assert str(first.selector) == "any of app=demo, env=test"
    wait = timedelta(minutes=20)
    assert first.actions == (Cordon(), Drain(wait), Reboot(wait), Uncordon())
    assert last is BUILT_IN
    (standby,) = policies.standby
    assert standby.metadata.name == "cluster-warm-standby"
    assert standby.spec.matches[0].origin_node == {"env": "dev", "app": "demo"}
    assert standby.spec.matches[0].target_node == {"env": "dev", "app": "demo"}


def test_what_an_api_server_adds_is_taken() -> None:
    (document,) = documents(CONTRACT)[:1]
    document.data["metadata"] |= {
        "uid": "b0a5",
        "resourceVersion": "7",
        "generation": 2,
        "creationTimestamp": "2026-11-20T12:00:00Z",
        "managedFields": [{"manager": "kubectl"}],
        "labels": {"team": "sre"},
        "annotations": {},
        "finalizers": [],
    }
    document.data["status"] = {"ties": ["one"]}
    assert len(read_policies([document]).rules) == 2


def test_codes_may_be_numbers() -> None:
    (first, _) = read(rule('{errorCode: [62, "63"], actions: [{name: cordon}]}')).rules
    assert [str(code) for code in first.codes] == ["62", "63"]


def test_a_rule_may_wait_for_repetition() -> None:
    (first, _) = read(rule("{repeat: {count: 3, within: 24h}, actions: [{name: cordon}]}")).rules
    assert first.repeat == Repeat(count=3, within=timedelta(hours=24))
    (most, _) = read(rule("{repeat: {count: 2, within: 30day}, actions: [{name: cordon}]}")).rules
    assert most.repeat == Repeat(count=2, within=timedelta(days=30))


def test_a_rule_that_waits_for_repetition_is_not_the_global_policy() -> None:
    (first, last) = read(rule("{priority: 0, repeat: {count: 2, within: 1h}, actions: [{name: drain}]}")).rules
    assert not first.is_global
    assert last is BUILT_IN


def test_the_operator_is_all_where_none_is_written() -> None:
    (first, _) = read(rule("{nodeSelector: {labels: {a: x, b: y}}, actions: [{name: cordon}]}")).rules
    assert str(first.selector) == "all of a=x, b=y"


def test_without_a_policy_the_built_in_one_cordons() -> None:
    assert read_policies([]).rules == (BUILT_IN,)
    assert BUILT_IN.actions == (Cordon(),)
    assert (BUILT_IN.priority, BUILT_IN.codes, BUILT_IN.selector) == (0, (), None)


def test_a_rule_without_priority_has_the_lowest() -> None:
    (only,) = read(rule("{actions: [{name: drain}]}")).rules
    assert only.is_global


def test_a_global_policy_takes_the_place_of_the_built_in_one() -> None:
    (only,) = read(rule("{priority: 0, actions: [{name: drain}]}", "global")).rules
    assert only.is_global
    assert only.policy == "global"


def test_standby_policies_are_kept_in_the_order_of_their_names() -> None:
    text = dedent(CONTRACT).split("---")[1]
    policies = read("---".join(text.replace("cluster-warm-standby", name) for name in ("zeta", "alpha")))
    assert [policy.metadata.name for policy in policies.standby] == ["alpha", "zeta"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("- 1", "policies.yaml:1: is not a policy: it has no kind", id="not a mapping"),
        pytest.param("metadata: {}", "policies.yaml:1: is not a policy: it has no kind", id="no kind"),
        pytest.param(
            "a: 1\nkind: RescuePolice", "policies.yaml:2: kind: 'RescuePolice' is not a policy", id="no such kind"
        ),
        pytest.param("kind: [1]", "policies.yaml:1: kind: [1] is not a policy", id="a kind that is no word"),
        pytest.param(
            rule("{actions: [{name: cordon}]}").replace("/v1", "/v2"),
            "policies.yaml:1: apiVersion: Input should be 'rescue.ksyun.com/v1'",
            id="another version",
        ),
        pytest.param(
            rule("{actions: [{name: cordon}]}", "Upper"), "policies.yaml:3: metadata.name: 'Upper'", id="a bad name"
        ),
        pytest.param(
            rule("{actions: [{name: cordon}]}").replace("{name: p}", "{}"),
            "policies.yaml:3: the key 'metadata.name' is missing",
            id="no name",
        ),
        pytest.param(rule(""), "policies.yaml:4: spec.rules: is empty", id="no rules"),
        pytest.param(rule("{actions: []}"), "policies.yaml:5: spec.rules.0.actions: is empty", id="no actions"),
        pytest.param(
            rule("{priority: 1}"), "policies.yaml:5: the key 'spec.rules.0.actions' is missing", id="no key actions"
        ),
        pytest.param(
            rule("{prio: 1, actions: [{name: cordon}]}"),
            "policies.yaml:5: unknown key 'spec.rules.0.prio'; did you mean 'priority'?",
            id="a misspelt key",
        ),
        pytest.param(
            rule("{priority: -1, actions: [{name: cordon}]}"), "greater than or equal to 0", id="below the lowest"
        ),
        pytest.param(
            rule("{priority: true, actions: [{name: cordon}]}"), "a valid integer", id="a priority that is a flag"
        ),
        pytest.param(
            rule('{priority: "1", actions: [{name: cordon}]}'), "a valid integer", id="a priority that is text"
        ),
        pytest.param(
            rule("{errorCode: [\n62,\n149.1], actions: [{name: cordon}]}"),
            'policies.yaml:7: spec.rules.0.errorCode.1: 149.1 is not an error code; write it in quotes, like "62"',
            id="a code that YAML read as a fraction",
        ),
        pytest.param(
            rule("{errorCode: [154:2], actions: [{name: cordon}]}"), '"154:2", need quotes', id="a bare 154:2"
        ),
        pytest.param(
            rule("{errorCode: [true], actions: [{name: cordon}]}"), "True is not an error code", id="a flag as code"
        ),
        pytest.param(
            rule("{errorCode: [], actions: [{name: cordon}]}"), "errorCode: is empty", id="an empty errorCode"
        ),
        pytest.param(
            rule("{errorCode: , actions: [{name: cordon}]}"), "errorCode: Input should be a", id="a blank errorCode"
        ),
        pytest.param(
            rule("{nodeSelector: , actions: [{name: cordon}]}"), "nodeSelector: is blank", id="a blank selector"
        ),
        pytest.param(
            rule("{nodeSelector: {operator: any, labels: {}}, actions: [{name: cordon}]}"),
            "nodeSelector.labels: is empty",
            id="a selector without labels",
        ),
        pytest.param(
            rule("{nodeSelector: {operator: any}, actions: [{name: cordon}]}"),
            "the key 'spec.rules.0.nodeSelector.labels' is missing",
            id="a selector with an operator only",
        ),
        pytest.param(
            rule("{nodeSelector: {operator: one, labels: {a: b}}, actions: [{name: cordon}]}"),
            "Input should be 'any' or 'all'",
            id="no such operator",
        ),
        pytest.param(
            rule("{nodeSelector: {labels: {a: 1}}, actions: [{name: cordon}]}"),
            'labels.a: 1 is not text; put it in quotes: "1"',
            id="a label's value that is a number",
        ),
        pytest.param(
            rule("{\nrepeat: {\ncount: 1, within: 1h}, actions: [{name: cordon}]}"),
            "policies.yaml:7: spec.rules.0.repeat.count: Input should be greater than or equal to 2",
            id="a repetition that is none",
        ),
        pytest.param(
            rule('{repeat: {count: "3", within: 1h}, actions: [{name: cordon}]}'), "valid integer", id="a count in text"
        ),
        pytest.param(
            rule("{repeat: {count: 3}, actions: [{name: cordon}]}"),
            "the key 'spec.rules.0.repeat.within' is missing",
            id="a repetition at any time",
        ),
        pytest.param(
            rule("{repeat: {within: 1h}, actions: [{name: cordon}]}"),
            "the key 'spec.rules.0.repeat.count' is missing",
            id="a repetition of any number",
        ),
        pytest.param(
            rule("{repeat: {count: 3, within: 24}, actions: [{name: cordon}]}"),
            "repeat.within: 24 is not a duration; write it with its unit",
            id="a time without unit",
        ),
        pytest.param(
            rule("{repeat: {count: 3, within: 0s}, actions: [{name: cordon}]}"), "greater than 0", id="no time at all"
        ),
        pytest.param(
            rule("{repeat: {count: 3, within: 30day1s}, actions: [{name: cordon}]}"),
            "repeat.within: Input should be less than or equal to 30 days",
            id="a time longer than the memory",
        ),
        pytest.param(
            rule("{repeat: {count: 3, witin: 1h, within: 1h}, actions: [{name: cordon}]}"),
            "unknown key 'spec.rules.0.repeat.witin'; did you mean 'within'?",
            id="a misspelt key of a repetition",
        ),
        pytest.param(
            rule("{repeat: , actions: [{name: cordon}]}"),
            "policies.yaml:5: spec.rules.0.repeat: is blank; leave the key out to act each time",
            id="a blank repetition, which would act each time",
        ),
        pytest.param(
            rule("{actions: [{name: restart}]}"), "'cordon', 'drain', 'reboot', 'unCordon'", id="no such action"
        ),
        pytest.param(
            rule("{actions: [{name: cordon},\n{name: drain, attribute: {waittme: 1min}}]}"),
            "policies.yaml:6: unknown key 'spec.rules.0.actions.1.attribute.waittme'; did you mean 'waittime'?",
            id="a misspelt attribute",
        ),
        pytest.param(
            rule("{actions: [{name: cordon},\n{name: reboot}]}"),
            "policies.yaml:6: spec.rules.0.actions.1: Failures to meet preconditions: reboot needs drain",
            id="a precondition, at the action that has it",
        ),
        pytest.param(
            rule("{actions: [{name: cordon}]},\n{actions: [{name: cordon}]}"),
            "policies.yaml:6: spec.rules.1: a second global rule, which would never be met; keep one of them",
            id="two global rules of one policy",
        ),
        pytest.param(
            rule("{actions: [{name: cordon}]}") + "---\n" + rule("{actions: [{name: cordon}]}"),
            "policies.yaml:10: there is a RescuePolicy named 'p' already, at policies.yaml:3",
            id="two policies of one name",
        ),
    ],
)
def test_a_policy_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(BadInputError) as error:
        read(text)
    assert complaint in str(error.value)
    assert len(error.value.complaints) == 1


def test_every_problem_of_every_document_is_told() -> None:
    bad = rule("{actions: [{name: reboot}]}, {actions: [{name: enableWarmStandby}]}, {priority: x, actions: []}", "a")
    worse = rule("{actions: [{name: reboot}]}, {actions: [{name: enableWarmStandby}]}", "b")
    with pytest.raises(BadInputError) as error:
        read(bad + "---\n" + worse + "---\nkind: x\n")
    assert [complaint.place for complaint in error.value.complaints] == [
        f"policies.yaml:{n}" for n in (5, 5, 12, 12, 15)
    ]


def test_a_standby_policy_without_labels_is_refused() -> None:
    text = dedent(CONTRACT).split("---")[1].replace("originNode: {env: dev, app: demo}", "originNode: {}")
    with pytest.raises(BadInputError, match="originNode: is empty"):
        read(text)


def test_the_schema_shows_how_repetition_is_written() -> None:
    repeat = policy_schema()["$defs"]["Repeat"]
    assert repeat["required"] == ["count", "within"]
    assert repeat["properties"]["count"] == {
        "description": "The occurrence from which on the rule matches: 3 is the third and all after it.",
        "minimum": 2,
        "title": "Count",
        "type": "integer",
    }
    assert repeat["properties"]["within"]["type"] == "string"


def test_the_schema_speaks_of_both_kinds_and_of_text_attributes() -> None:
    schema = policy_schema()
    assert set(schema["discriminator"]["mapping"]) == {"RescuePolicy", "WarmStandbyPolicy"}
    assert schema["$defs"]["RebootAttributes"]["properties"]["unCordon"]["anyOf"][0]["enum"] == ["true", "false"]
    assert schema["$defs"]["RuleSpec"]["properties"]["errorCode"]["items"]["anyOf"] == [
        {"type": "integer"},
        {"type": "string"},
    ]


def test_the_rules_of_every_document_are_in_force() -> None:
    texts = [
        rule(f"{{priority: {number}, actions: [{{name: cordon}}]}}", name) for number, name in ((1, "a"), (2, "b"))
    ]
    assert [one.policy for one in read("---\n".join(texts)).rules] == ["b", "a", BUILT_IN.policy]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param(
            "kind: RescuePolice",
            "policies.yaml:1: kind: 'RescuePolice' is not a policy; the kinds are RescuePolicy and WarmStandbyPolicy",
            id="no such kind",
        ),
        pytest.param(
            "---\n".join([rule("{actions: [{name: cordon}]}").replace("{name: p}", "\n  name: p")] * 2),
            "policies.yaml:12: there is a RescuePolicy named 'p' already, at policies.yaml:4; give each its own name",
            id="two of one name",
        ),
    ],
)
def test_a_refusal_says_where_it_is_and_what_would_be_right(text: str, complaint: str) -> None:
    with pytest.raises(BadInputError) as error:
        read(text)
    assert str(error.value) == complaint


def test_what_is_rehearsed_has_the_same_standby_policies() -> None:
    policies = read(CONTRACT)
    assert policies.rehearsed().standby == policies.standby != ()
