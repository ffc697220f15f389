"""Rescues and occurrences as custom resources.

The spec of a Rescue is the rescue as it was created, and complete: the API server keeps no status with a new object.
Its status is all that can change since, and holds from the first save on; what never changes is in the spec only. Keys
are camelCase, but for those of labels, memos and details, which are data. `status` of the model is `state` here, since
a resource has a status of its own.

The evidence that records are made of (the rules and guards of a plan, what was planned at an entry, the members) is
JSON text: an API server takes longer over an object with hundreds of fields than over one with a few, and people read
the journal, where each entry stays an object.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from hashlib import sha256
from typing import Any

import orjson
from pydantic.alias_generators import to_camel

from pipeline.cluster.kube.api import Object
from pipeline.execute.saved import SavedForm, T, UnreadableError
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import Rescue

GROUP = "rescue.ksyun.com"
VERSION = "v1"
CLEAN_UP = "rescue.ksyun.com/clean-up"
"""Our finalizer: a rescue that is deleted stays until what it has done to nodes is undone and its records are safe."""

_NEVER_CHANGES = frozenset({"name", "node", "created", "dryRun"})
_OURS = frozenset({"revision"})
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME = 253
_NOTHING: tuple[Any, ...] = (None, [], {})
_PLAN_AS_TEXT = ("considered", "guards")
_ENTRY_AS_TEXT = ("plan", "guards")
_RESCUE_AS_TEXT = ("members",)


def object_name(name: str) -> str:
    """Return what the resource is called: as the rescue, where that is a DNS subdomain name, else by a hash of it."""
    if len(name) <= _LONGEST_NAME and _SUBDOMAIN.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower())[:40].strip("-")
    return f"{readable or 'rescue'}-{sha256(name.encode()).hexdigest()[:32]}"


def new_rescue(rescue: Rescue, namespace: str) -> Object:
    """Return the object to create for a rescue."""
    return _object("Rescue", rescue.name, namespace, finalizers=[CLEAN_UP]) | {"spec": _rescue_told(rescue)}


def with_status(rescue: Rescue, namespace: str) -> Object:
    """Return what replaces the status of the rescue's object, if that is still at the rescue's revision."""
    told = _rescue_told(rescue)
    status = {key: value for key, value in told.items() if key not in _NEVER_CHANGES}
    if rescue.current is not None and rescue.begun and not rescue.status.ended:
        status["step"] = rescue.plan.actions[rescue.current].name
    version = str(rescue.revision)
    return _object("Rescue", rescue.name, namespace, resourceVersion=version) | {"status": status}


def rescue_of(found: Object) -> Rescue:
    """Return the rescue of an object, with its revision; raise UnreadableError, which says what is wrong with it."""
    spec, status = found.get("spec"), found.get("status", {})
    if not isinstance(spec, dict) or not isinstance(status, dict):
        raise UnreadableError("it cannot be read: spec and status are not both objects")
    # A status that we have not written is what the server shows until there is one.
    saved = "format" in status
    told = {**{key: spec[key] for key in _NEVER_CHANGES if key in spec}, **status} if saved else spec
    rescue = _RESCUE.read(orjson.dumps(_spoken(told)).decode())
    if object_name(rescue.name) != found["metadata"]["name"]:
        raise UnreadableError(f"it is of another rescue: {rescue.name}")
    return replace(rescue, revision=revision_of(found))


def occurrence_object(occurrence: Occurrence, namespace: str, version: str | None = None) -> Object:
    """Return the object of an occurrence: a new one, or what replaces the one at *version*."""
    metadata = {} if version is None else {"resourceVersion": version}
    return _object("Occurrence", occurrence.name, namespace, **metadata) | {"spec": _told(_OCCURRENCE, occurrence)}


def occurrence_of(found: Object) -> Occurrence:
    """Return the occurrence of an object; raise UnreadableError, which says what is wrong with it."""
    return _OCCURRENCE.read(orjson.dumps(found.get("spec")).decode())


def revision_of(found: Object) -> int:
    """Return the version of an object as a number that grows: it is etcd's."""
    return int(found["metadata"]["resourceVersion"])


def _object(kind: str, name: str, namespace: str, **metadata: Any) -> Object:
    known = {"name": object_name(name), "namespace": namespace, **metadata}
    return {"apiVersion": f"{GROUP}/{VERSION}", "kind": kind, "metadata": known}


def _told(form: SavedForm[T], value: T) -> Object:
    """The value's keys; where people look, those that say nothing are left out, and are the model's defaults again."""
    told: Object = orjson.loads(form.write(value))
    shown = {key: value for key, value in told.items() if key not in _OURS}
    for part in ("steps", "journal"):
        if part in shown:
            shown[part] = [_brief(item) for item in shown[part]]
    return _brief(shown)


def _rescue_told(rescue: Rescue) -> Object:
    """The rescue's keys, its evidence as text."""
    told = _told(_RESCUE, rescue)
    plan, journal = _each(told["plan"], _PLAN_AS_TEXT, _text), told.get("journal", [])
    entries = [_each(entry, _ENTRY_AS_TEXT, _text) for entry in journal]
    return _each({**told, "plan": plan, "journal": entries}, _RESCUE_AS_TEXT, _text)


def _spoken(told: Object) -> Object:
    """The keys with the evidence as it was before it became text; what is damaged is left for the model to refuse."""
    told = _each(told, _RESCUE_AS_TEXT, _parsed)
    plan, journal = told.get("plan"), told.get("journal")
    if isinstance(plan, dict):
        told["plan"] = _each(plan, _PLAN_AS_TEXT, _parsed)
    if isinstance(journal, list):
        told["journal"] = [_each(one, _ENTRY_AS_TEXT, _parsed) if isinstance(one, dict) else one for one in journal]
    return told


def _each(told: Object, keys: Collection[str], change: Callable[[Any], Any]) -> Object:
    return {key: change(value) if key in keys else value for key, value in told.items()}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()


def _parsed(value: Any) -> Any:
    try:
        return orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        return value


def _brief(told: Object) -> Object:
    return {key: value for key, value in told.items() if value not in _NOTHING}


def _key(field: str) -> str:
    return "state" if field == "status" else to_camel(field)


_RESCUE = SavedForm(Rescue, _key)
_OCCURRENCE = SavedForm(Occurrence, _key)
