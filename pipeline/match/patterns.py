"""Pattern files, read and put together: the set of rules and codes that they make."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.documents import Document, read_documents, validate
from pipeline.errors import BadInputError, Complaint
from pipeline.match.expression import Expression
from pipeline.match.message import Driver
from pipeline.match.needles import Search, Test, cheap_test, plain_test, searches
from pipeline.match.patternfile import PatternFile, RuleModel
from pipeline.match.rules import DRIVERS, GRAMMARS, Reader, Rule
from pipeline.model.catalogue import Catalogue, CodeEntry

_DRIVER_LINES = tuple((driver.literal,) for driver in Driver)
"""Lines that are wanted whatever the rules: GPUs' identities, driver loads, and what no pattern knew."""


@dataclass(frozen=True, slots=True)
class PatternSet:
    """The rules in the order in which they are tried, the catalogue, and the cheap test on raw bytes.

    `plain` is the test that takes no message for what may only be written otherwise in it. `searches` find in a block
    of messages those that can pass the cheap test; None if all can.
    """

    rules: tuple[Rule, ...]
    catalogue: Catalogue
    test: Test
    plain: Test
    searches: Sequence[Search] | None


@dataclass(frozen=True, slots=True)
class _Placed:
    """A rule as it was written, and FILE:LINE of its name."""

    model: RuleModel
    place: str


def load_patterns(paths: Sequence[Path]) -> PatternSet:
    """Load files, and folders of them (`*.yaml` by name), into one set.

    Of rules with one name the last counts; of a code's keys, the last of each key. Rules of later files are tried
    first, so that an operator's outrank the shipped ones; those of one file in their order. Raises BadInputError with
    one complaint for each thing that is wrong in any of the files.
    """
    complaints: list[Complaint] = []
    layers: list[tuple[Document, PatternFile]] = []
    for file in _files(paths, complaints):
        try:
            layers += [(document, validate(PatternFile, document)) for document in read_documents(file)]
        except BadInputError as error:
            complaints += error.complaints
    written = _rules(layers, complaints)
    if complaints:
        raise BadInputError(*complaints)
    rules = tuple(_compiled(each) for each in written if each.model.enabled)
    literals = (*_DRIVER_LINES, *(rule.contains for rule in rules))
    return PatternSet(rules, _catalogue(layers), cheap_test(literals), plain_test(literals), searches(literals))


def _files(paths: Sequence[Path], complaints: list[Complaint]) -> Iterator[Path]:
    """Yield every file once, so that naming the shipped folder again changes nothing."""
    seen: set[Path] = set()
    for path in paths:
        try:
            folder = sorted(path.iterdir()) if path.is_dir() else None
        except OSError as error:
            complaints.append(Complaint(str(path), f"cannot be read: {error.strerror}"))
            continue
        for file in [path] if folder is None else folder:
            if (folder is None or file.suffix in (".yaml", ".yml")) and file.resolve() not in seen:
                seen.add(file.resolve())
                yield file


def _rules(layers: Sequence[tuple[Document, PatternFile]], complaints: list[Complaint]) -> list[_Placed]:
    """Return the last rule of each name, those of the last file first."""
    files: dict[str, dict[str, _Placed]] = {}
    seen: dict[str, _Placed] = {}
    for document, content in layers:
        own = files.setdefault(document.path, {})
        for index, rule in enumerate(content.rules):
            placed = _Placed(rule, document.where(("rules", index, "name")))
            if rule.name in own:
                problem = f"the rule {rule.name!r} is there twice, first at {own[rule.name].place}"
                complaints.append(Complaint(placed.place, problem, "give each its own name"))
            elif not rule.reads and rule.name not in seen:
                known = ", ".join(sorted(seen)) or "none"
                problem = f"there is no rule {rule.name!r} to turn off"
                complaints.append(Complaint(placed.place, problem, f"the rules before it are {known}"))
            else:
                own[rule.name] = seen[rule.name] = placed
    return [placed for own in reversed(files.values()) for placed in own.values() if seen[placed.model.name] is placed]


def _compiled(placed: _Placed) -> Rule:
    model, where = placed.model, placed.model.where
    driver = DRIVERS[model.grammar] if model.grammar else where.driver
    return Rule(
        name=model.name,
        place=placed.place,
        read=GRAMMARS[model.grammar] if model.grammar else _reader(model),
        contains=(*where.contains, *((driver.literal,) if driver else ())),
        nodes=where.nodes,
        kernel_only=where.kernel_only,
        severity=model.severity,
    )


def _reader(model: RuleModel) -> Reader:
    expression = Expression(
        rule=model.name,
        kind=model.kind or "",
        regex=model.regex or "",
        driver=model.where.driver,
        code=model.code,
        message=model.message,
        inferred=model.inferred,
    )
    return lambda message, _: expression.read(message)


def _catalogue(layers: Sequence[tuple[Document, PatternFile]]) -> Catalogue:
    entries: dict[tuple[str, int], CodeEntry] = {}
    for _, content in layers:
        for kind, codes in content.codes.items():
            for code, model in codes.items():
                entries[kind, code] = entries.get((kind, code), CodeEntry()).changed_by(model.entry())
    return Catalogue(entries)
