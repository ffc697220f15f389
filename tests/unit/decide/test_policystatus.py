"""What people read in a policy's status."""

from datetime import timedelta
from typing import Any

from pipeline.decide.findings import Findings
from pipeline.decide.policystatus import policy_status
from pipeline.decide.resources import Reading
from tests.fakes.faults import NOON

KEY = ("RescuePolicy", "p")
NOTHING = Findings()


def _manifest(status: dict[str, Any] | None = None, kind: str = "RescuePolicy") -> dict[str, Any]:
    manifest: dict[str, Any] = {"kind": kind, "metadata": {"name": "p"}}
    return manifest if status is None else {**manifest, "status": status}


def test_a_valid_policy_is_in_force() -> None:
    assert policy_status(_manifest(), Reading({}, {KEY: 4}), NOTHING, NOON) == {
        "observedGeneration": 4,
        "ties": [],
        "unreachableRules": [],
        "unknownLabels": [],
        "conditions": [
            {
                "type": "Accepted",
                "status": "True",
                "observedGeneration": 4,
                "lastTransitionTime": NOON.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "reason": "Valid",
                "message": "In force.",
            }
        ],
    }


def test_a_wrong_policy_says_what_is_wrong() -> None:
    (condition,) = policy_status(_manifest(), Reading({KEY: "spec: is bad"}), NOTHING, NOON)["conditions"]
    assert (condition["status"], condition["reason"]) == ("False", "Invalid")
    assert condition["message"] == "Left out, no rule of it acts: spec: is bad"


def test_a_valid_policy_with_something_odd_is_in_force_and_says_so() -> None:
    findings = Findings({KEY: ["tie"]}, {KEY: ["never met"]}, {KEY: ["no node", "nor here"]})
    status = policy_status(_manifest(), Reading(), findings, NOON)
    assert (status["ties"], status["unreachableRules"]) == (["tie"], ["never met"])
    assert status["unknownLabels"] == ["no node", "nor here"]
    (condition,) = status["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", "Questionable")
    assert "(4 in all)" in condition["message"]


def test_the_time_of_the_transition_stays_while_nothing_has_changed() -> None:
    first = policy_status(_manifest(), Reading(), NOTHING, NOON)
    assert policy_status(_manifest(first), Reading(), NOTHING, NOON + timedelta(hours=1)) == first


def test_the_time_of_the_transition_is_that_of_the_change() -> None:
    first = policy_status(_manifest(), Reading(), NOTHING, NOON)
    later = policy_status(_manifest(first), Reading({KEY: "bad"}), NOTHING, NOON + timedelta(hours=1))
    assert later["conditions"][0]["lastTransitionTime"] > first["conditions"][0]["lastTransitionTime"]


def test_a_status_without_conditions_has_been_in_none_before() -> None:
    first = policy_status(_manifest(), Reading(), NOTHING, NOON)
    assert policy_status(_manifest({"ties": []}), Reading(), NOTHING, NOON) == first


def test_a_standby_policy_has_no_rules_to_be_told_of() -> None:
    status = policy_status(_manifest(kind="WarmStandbyPolicy"), Reading(), NOTHING, NOON)
    assert status.keys() == {"unknownLabels", "conditions"}
