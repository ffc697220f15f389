"""YAML files that an operator writes: read with the line of every value, checked by a model, refused with FILE:LINE."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import BadInputError, Complaint

Place = tuple[str | int, ...]
M = TypeVar("M", bound=BaseModel)

_LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONVERTER = yaml.SafeLoader("")
_MAX_DEPTH = 50
_MAX_VALUES = 200_000


class Strict(BaseModel):
    """The base of every model of a file: unknown keys are errors, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its data, and the line (from 1) on which the value of each place stands."""

    path: str
    data: Any
    lines: Mapping[Place, int] = field(default_factory=dict)

    def where(self, place: Sequence[str | int] = ()) -> str:
        """Return `FILE:LINE` of the nearest value at or above *place*."""
        return f"{self.path}:{self.lines.get(self.known(place), 1)}"

    def known(self, place: Sequence[str | int]) -> Place:
        """Return *place* as far as it stands in the file, without the tags of unions, which name no value."""
        known: Place = ()
        for element in place:
            if (*known, element) in self.lines:
                known = (*known, element)
        return known


def read_documents(path: Path) -> list[Document]:
    """Return the YAML documents of a file, empty ones left out; JSON is YAML.

    Raises BadInputError for a file that cannot be read, is not UTF-8, is not YAML, or sets one key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInputError(Complaint(str(path), f"cannot be read: {error.strerror}")) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise BadInputError(Complaint(f"{path}:{line}", "is not UTF-8", "save the file as UTF-8 text")) from error
    return parse_documents(text, str(path))


def parse_documents(text: str, path: str) -> list[Document]:
    """Return the YAML documents of *text*; *path* is the name that errors give it. Raises as `read_documents` does."""
    documents = []
    try:
        for root in yaml.compose_all(text, _LOADER):
            reading = _Reading(path)
            data = reading.value(root, (), 0)
            if data is not None:
                documents.append(Document(path, data, reading.lines))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else path
        raise BadInputError(Complaint(place, f"is not YAML: {error.problem or error.context}")) from error
    except (yaml.YAMLError, RecursionError) as error:
        # The reader's own errors (a control character, say) know an offset into the text instead of a mark.
        line = text[: getattr(error, "position", 0)].count("\n") + 1
        reason = getattr(error, "reason", "nested too deep")
        raise BadInputError(Complaint(f"{path}:{line}", f"is not YAML: {reason}")) from error
    return documents


class _Reading:
    """Turns composed YAML nodes into data and remembers the line of every value."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}

    def value(self, node: Any, place: Place, depth: int) -> Any:
        self.lines[place] = node.start_mark.line + 1
        if depth > _MAX_DEPTH or len(self.lines) > _MAX_VALUES:
            raise self._error(node, "is nested too deep or repeats itself too often")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*place, i), depth + 1) for i, child in enumerate(node.value)]
        try:
            return _CONVERTER.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            raise self._error(node, f"{node.value!r} is not a value of its type", "put it in quotes") from error

    def _mapping(self, node: Any, place: Place, depth: int) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a key must be a word")
            key = key_node.value
            if key in result:
                raise self._error(key_node, f"the key {key!r} is set twice", "keep one of them")
            result[key] = self.value(value_node, (*place, key), depth + 1)
            # A complaint about a whole section is best placed at its key.
            self.lines[(*place, key)] = key_node.start_mark.line + 1
        return result

    def _error(self, node: Any, problem: str, remedy: str | None = None) -> BadInputError:
        return BadInputError(Complaint(f"{self.path}:{node.start_mark.line + 1}", problem, remedy))


def validate(model: type[M], document: Document) -> M:
    """Return the document as a *model*; raise BadInputError with one complaint for each thing that is wrong."""
    try:
        return model.model_validate(document.data)
    except ValidationError as error:
        raise BadInputError(*(complaint(model, document, detail) for detail in error.errors())) from error


def complaint(model: type[BaseModel], document: Document, detail: ErrorDetails) -> Complaint:
    """Say what one validation error means in the words of the file: the key, what is wrong, what would be right."""
    place = detail["loc"]
    missing = place[-1:] if detail["type"] == "missing" else ()
    key = ".".join(str(element) for element in (*document.known(place), *missing)) or "the document"
    problem, remedy = f"{key}: {detail['msg'].removeprefix('Value error, ')}", None
    if detail["type"] == "extra_forbidden":
        problem = f"unknown key {key!r}"
        remedy = _suggestion(str(place[-1]), _keys_at(model, place[:-1]))
    elif detail["type"] == "missing":
        problem = f"the key {key!r} is missing"
    return Complaint(document.where(place), problem, remedy)


def _suggestion(word: str, known: Sequence[str]) -> str | None:
    if not known:
        return None
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known keys are {', '.join(sorted(set(known)))}"


def _keys_at(model: type[BaseModel], place: Sequence[str | int]) -> list[str]:
    """Return the keys that the model takes at *place*, found by following the annotations of its fields."""
    candidates: list[type[BaseModel]] = [model]
    for element in place:
        following: list[type[BaseModel]] = []
        for candidate in candidates:
            fields = {info.alias or name: info for name, info in candidate.model_fields.items()}
            if element in fields:
                following += _models_in(fields[str(element)].annotation)
        tagged = [m for m in candidates if element in _tags(m)]
        candidates = following or tagged or candidates
    return [info.alias or name for candidate in candidates for name, info in candidate.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _tags(model: type[BaseModel]) -> tuple[Any, ...]:
    kind = model.model_fields.get("type")
    return get_args(kind.annotation) if kind else ()


def json_schema(kind: Any) -> dict[str, Any]:
    """Return the JSON Schema of a model or any type that pydantic knows."""
    return TypeAdapter(kind).json_schema()
