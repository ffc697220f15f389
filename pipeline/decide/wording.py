"""How actions are said: in records, journals and explanations, always the same way."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

from pipeline.durations import format_duration
from pipeline.model.plan import Action, NamespaceRule

_ALWAYS = {"waittime", "on_timeout", "timeout"}
_WORDS = {
    "on_timeout": "onTimeout",
    "delete_empty_dir_data": "deleteEmptyDirData",
    "gpu_pods_only": "gpuPodsOnly",
}


def describe(action: Action) -> str:
    """An action of a plan and what it was told, as people write it: `drain (waittime 20min, onTimeout fail)`.

    How long and what then is always said, anything else where it is not the default.
    """
    told = []
    for field in fields(action):
        value = getattr(action, field.name)
        if field.name != "name" and (value != field.default or (field.name in _ALWAYS and value)):
            told.append(f"{_WORDS.get(field.name, field.name)} {_text(value)}")
    return f"{action.name} ({', '.join(told)})" if told else str(action.name)


def _text(value: Any) -> str:
    match value:
        case timedelta():
            return format_duration(value)
        case tuple():
            return f"[{'; '.join(map(_text, value))}]"
        case NamespaceRule(name, mode, after):
            return f"{name} {mode}" + (f" {format_duration(after)}" if after is not None else "")
        case _:
            return str(value).lower()


def names(actions: Sequence[Action]) -> str:
    """The names of actions, in order, for a sentence."""
    return ", ".join(str(action.name) for action in actions)


def described(actions: Sequence[Action]) -> str:
    """The same, with what each was told."""
    return ", ".join(map(describe, actions))
