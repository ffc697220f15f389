"""The account of the pods that are left on a node: who, and why, in a bounded text for people."""

import json
from collections.abc import Iterable, Mapping

from pipeline.execute.actions.pod_filters import Fate, Sorted
from pipeline.model.rescue import StepState

PODS_LEFT = "pods_left"
"""Memo: the pods that are left, and why, for people."""

ANSWERS = "answers"
"""Memo: what the server last answered instead of letting a pod go, a JSON object by `namespace/name`."""

_MOST_NAMED = 10
_LONGEST_REASON = 200


def kept(answers: Mapping[str, str]) -> str:
    """Return the server's answers as they are remembered: of ten pods at most, 200 characters each."""
    return json.dumps({name: why[:_LONGEST_REASON] for name, why in sorted(answers.items())[:_MOST_NAMED]})


def remembered(step: StepState) -> Mapping[str, str]:
    """Return the answers that the step remembers."""
    answers: dict[str, str] = json.loads(step.memo.get(ANSWERS, "{}"))
    return answers


def told(pods: Sorted, answers: Mapping[str, str], fates: Iterable[Fate] = tuple(Fate)) -> str:
    """Name the pods of these fates, each with the reason why it is still there: the server's, where it gave one.

    Ten are named, and how many more there are: first those about which something must be done elsewhere.
    """
    chosen = [(pod.full_name, why) for pod, fate, why in pods.pods if fate in fates]
    named = sorted((name not in answers, name, answers.get(name, why)[:_LONGEST_REASON]) for name, why in chosen)
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return ", ".join(f"{name} ({why})" for _, name, why in named[:_MOST_NAMED]) + more
