"""How actions are said: in records, journals and explanations, always the same way."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta

from pipeline.durations import format_duration
from pipeline.model.plan import Action

_ALWAYS = {"waittime", "on_timeout", "timeout"}
_WORDS = {"on_timeout": "onTimeout", "delete_empty_dir_data": "deleteEmptyDirData"}


def describe(action: Action) -> str:
    """An action of a plan and what it was told, as people write it: `drain (waittime 20min, onTimeout fail)`.

    How long and what then is always said, anything else where it is not the default.
    """
    told = []
    for field in fields(action):
        value = getattr(action, field.name)
        if field.name != "name" and (value != field.default or (field.name in _ALWAYS and value)):
            text = format_duration(value) if isinstance(value, timedelta) else str(value).lower()
            told.append(f"{_WORDS.get(field.name, field.name)} {text}")
    return f"{action.name} ({', '.join(told)})" if told else str(action.name)


def names(actions: Sequence[Action]) -> str:
    """The names of actions, in order, for a sentence."""
    return ", ".join(str(action.name) for action in actions)


def described(actions: Sequence[Action]) -> str:
    """The same, with what each was told."""
    return ", ".join(map(describe, actions))
