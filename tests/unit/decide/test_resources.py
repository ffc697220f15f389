"""Policies that are resources: each judged alone, the same as the API server judges it or different on purpose."""

from typing import Any

import pytest

from pipeline.decide.resources import read_resources
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


def test_the_good_rules_of_a_wrong_policy_do_not_act_without_the_others() -> None:
    wrong = _policy("wrong", [{"errorCode": ["62"], "actions": [{"name": "cordon"}]}, {"actions": []}])
    policies, _ = read_resources([wrong])
    assert [rule.policy for rule in policies.rules] == ["(built-in)"]
