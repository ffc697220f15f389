"""Policies that are resources: each judged alone, the same as the API server judges it or different on purpose."""

from typing import Any

import pytest

from pipeline.decide.resources import read_resources, without_status
from tests.fakes.policies import JudgedPolicy, judged_policies, params


def _policy(name: str, rules: list[dict[str, Any]], generation: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "rescue.ksyun.com/v1",
        "kind": "RescuePolicy",
        "metadata": {"name": name, "generation": generation, "uid": "7", "managedFields": []},
        "spec": {"rules": rules},
    }


@pytest.mark.parametrize("row", params())
def test_the_models_judge_as_the_table_says(row: JudgedPolicy) -> None:
    _, reading = read_resources([row.manifest("p")])
    refusal = reading.refused.get((row.kind, "p"))
    assert (refusal is None) == (row.models is None), refusal
    assert row.models is None or row.models in str(refusal)


@pytest.mark.parametrize("row", params())
def test_the_api_server_and_the_models_differ_only_on_purpose(row: JudgedPolicy) -> None:
    assert ((row.server is None) != (row.models is None)) == (row.differs is not None)


def test_what_the_api_server_refuses_the_models_refuse_as_well() -> None:
    assert not [row.name for row in judged_policies() if row.server is not None and row.models is None]


def test_a_wrong_policy_is_left_out_and_the_others_act() -> None:
    wrong = _policy("wrong", [{"priority": 9, "errorCode": ["62"], "actions": [{"name": "reboot"}]}], 3)
    good = _policy("good", [{"priority": 8, "actions": [{"name": "drain"}]}], 2)
    policies, reading = read_resources([wrong, good])
    assert [rule.policy for rule in policies.rules] == ["good", "(built-in)"]
    assert reading.generations == {("RescuePolicy", "wrong"): 3, ("RescuePolicy", "good"): 2}
    assert [*reading.refused] == [("RescuePolicy", "wrong")]


def test_every_problem_of_a_policy_is_told_with_its_place() -> None:
    wrong = _policy("wrong", [{"actions": [{"name": "reboot"}]}, {"actions": [{"name": "cordon"}] * 2}])
    refusal = read_resources([wrong])[1].refused["RescuePolicy", "wrong"]
    assert "spec.rules.0.actions.0: Failures to meet preconditions: reboot needs drain" in refusal
    assert "; spec.rules.1.actions.1: Failures to meet preconditions: cordon is asked for twice" in refusal


def test_a_problem_is_told_with_its_remedy_where_it_has_one() -> None:
    wrong = _policy("wrong", [{"prio": 1, "priority": -1, "actions": [{"name": "cordon"}]}])
    assert read_resources([wrong])[1].refused == {
        ("RescuePolicy", "wrong"): "spec.rules.0.priority: Input should be greater than or equal to 0; "
        "unknown key 'spec.rules.0.prio' (did you mean 'priority'?)"
    }
    assert read_resources([{}])[1].refused == {
        ("", ""): "is not a policy: it has no kind (the kinds are RescuePolicy and WarmStandbyPolicy)"
    }


def test_the_good_rules_of_a_wrong_policy_do_not_act_without_the_others() -> None:
    wrong = _policy("wrong", [{"errorCode": ["62"], "actions": [{"name": "cordon"}]}, {"actions": []}])
    policies, _ = read_resources([wrong])
    assert [rule.policy for rule in policies.rules] == ["(built-in)"]


def test_what_decides_of_a_resource_is_its_spec_and_what_it_is() -> None:
    policy = _policy("p", [{"actions": [{"name": "cordon"}]}], 3)
    assert without_status([{**policy, "status": {"ties": []}}, {}]) == [
        {
            "kind": "RescuePolicy",
            "apiVersion": "rescue.ksyun.com/v1",
            "name": "p",
            "generation": 3,
            "spec": {"rules": [{"actions": [{"name": "cordon"}]}]},
        },
        {"kind": None, "apiVersion": None, "name": None, "generation": None, "spec": None},
    ]
