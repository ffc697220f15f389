"""How actions are said: in records, journals and explanations, always the same way."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta

from pipeline.durations import format_duration
from pipeline.model.plan import Action

_ATTRIBUTES = {"waittime": "waittime", "on_timeout": "onTimeout", "timeout": "timeout", "force": "force"}


def describe(action: Action) -> str:
    """An action of a plan and what it was told, as people write it: `drain (waittime 20min, onTimeout fail)`."""
    told = []
    for key, value in asdict(action).items():
        if key in _ATTRIBUTES and value:
            text = format_duration(value) if isinstance(value, timedelta) else str(value)
            told.append(f"{_ATTRIBUTES[key]} {text}")
    return f"{action.name} ({', '.join(told)})" if told else str(action.name)


def names(actions: Sequence[Action]) -> str:
    """The names of actions, in order, for a sentence."""
    return ", ".join(str(action.name) for action in actions)


def described(actions: Sequence[Action]) -> str:
    """The same, with what each was told."""
    return ", ".join(map(describe, actions))
