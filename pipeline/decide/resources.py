"""Policies that are resources of the cluster: each is judged alone, and a wrong one is left out of the set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.decide.policy import read_policies
from pipeline.decide.rules import PolicySet
from pipeline.documents import Document, Place
from pipeline.errors import BadInputError

Manifest = Mapping[str, Any]

Key = tuple[str, str]
"""A policy's kind and name."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What became of resources: what is wrong with those that were left out, and which generation of each was read."""

    refused: Mapping[Key, str] = field(default_factory=dict)
    generations: Mapping[Key, int] = field(default_factory=dict)


def read_resources(manifests: Iterable[Manifest]) -> tuple[PolicySet, Reading]:
    """Return the policies in force, and what became of each.

    A wrong one is left out as a whole, so that no rule of it acts without the others that its author wrote beside it.
    The last good version of it is not kept: after a restart nobody would know of it.
    """
    good: list[Document] = []
    refused: dict[Key, str] = {}
    generations: dict[Key, int] = {}
    for manifest in manifests:
        key, document = key_of(manifest), _document(manifest)
        if (generation := manifest.get("metadata", {}).get("generation")) is not None:
            generations[key] = generation
        try:
            read_policies([document])
        except BadInputError as error:
            refused[key] = "; ".join(_told(error))
        else:
            good.append(document)
    return read_policies(good), Reading(refused, generations)


def key_of(manifest: Manifest) -> Key:
    """Return the kind and name of a manifest."""
    return str(manifest.get("kind", "")), str(manifest.get("metadata", {}).get("name", ""))


def without_status(manifests: Sequence[Manifest]) -> list[dict[str, Any]]:
    """Return what of the manifests decides: two that are equal so far make the same set."""
    return [
        {
            "kind": manifest.get("kind"),
            "apiVersion": manifest.get("apiVersion"),
            "name": manifest.get("metadata", {}).get("name"),
            "generation": manifest.get("metadata", {}).get("generation"),
            "spec": manifest.get("spec"),
        }
        for manifest in manifests
    ]


def _document(manifest: Manifest) -> Document:
    kind, name = key_of(manifest)
    # A resource has no lines; that each place is on the first one lets complaints name the place itself.
    return Document(f"{kind} {name}", manifest, dict.fromkeys(_places(manifest, ()), 1))


def _places(value: Any, place: Place) -> Iterator[Place]:
    yield place
    children = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield from _places(child, (*place, key))


def _told(error: BadInputError) -> Iterator[str]:
    for complaint in error.complaints:
        yield complaint.problem + (f" ({complaint.remedy})" if complaint.remedy else "")
