"""Compares the last run of mutmut with tests/data/mutants.yaml and writes docs/mutation.md: `python -m docs.mutation`.

Fails when a mutant survives that the list does not explain, and when one that it explains does not survive any more.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

_ROOT = Path(__file__).parents[1]
_LIST = _ROOT / "tests" / "data" / "mutants.yaml"
_PAGE = _ROOT / "docs" / "mutation.md"
_CAUGHT = ("killed", "timeout", "caught by type check")
_NAME = re.compile(r"pipeline\.decide\.(?P<module>\w+)\.(?:xǁ(?P<type>\w+)ǁ|x_)(?P<function>\w+)__mutmut_[0-9]+")


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """A change of one place of a function; `was` and `becomes` are the lines before and after it."""

    place: str
    was: str
    becomes: str


@dataclass(frozen=True, slots=True)
class Group:
    """Mutants that survive for the same reason."""

    why: str
    mutants: tuple[Mutant, ...]


def explained(text: str) -> tuple[Group, ...]:
    """Return what the list explains."""
    return tuple(
        Group(
            " ".join(group["why"].split()),
            tuple(
                Mutant(entry["in"], entry["was"], becomes)
                for entry in group["mutants"]
                for becomes in ([entry["becomes"]] if isinstance(entry["becomes"], str) else entry["becomes"])
            ),
        )
        for group in yaml.safe_load(text)
    )


def table(groups: Sequence[Group]) -> str:
    """Return every surviving mutant and why it is harmless, as Markdown."""
    return "\n".join(_section(number, group) for number, group in enumerate(groups, 1))


def _section(number: int, group: Group) -> str:
    rows = "\n".join(f"| `{one.place}` | {_cell(one.was)} | {_cell(one.becomes)} |" for one in group.mutants)
    count = len(group.mutants)
    return f"{number}. {group.why} ({count})\n\n| in | was | becomes |\n|---|---|---|\n{rows}\n"


def _cell(code: str) -> str:
    escaped = code.replace("|", "\\|")
    return f"`` {escaped} ``" if "`" in code else f"`{escaped}`"


def place(name: str) -> str:
    """Return where a mutant is, as people say it: `boots._bare`, `windows.Window.end_of`."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise ValueError(f"{name!r} is no mutant of pipeline.decide")
    return ".".join(part for part in match.group("module", "type", "function") if part is not None)


def difference(shown: str) -> tuple[str, str]:
    """Return the lines before and after the change that `mutmut show` tells of, each joined into one."""
    lines = [line for line in shown.splitlines() if line[:1] in ("-", "+") and line[:3] not in ("---", "+++")]
    was, becomes = (" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")
    return was, becomes


def _mutmut(*arguments: str) -> str:
    command = [sys.executable, "-m", "mutmut", *arguments]
    return subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout


def _outcomes() -> Iterator[tuple[str, str]]:
    for line in _mutmut("results", "--all", "true").splitlines():
        name, _, outcome = line.strip().partition(": ")
        if outcome:
            yield name, outcome


def main() -> int:
    """Compare, and write the page."""
    outcomes = dict(_outcomes())
    left = sorted(name for name, outcome in outcomes.items() if outcome not in _CAUGHT)
    found = Counter(Mutant(place(name), *difference(_mutmut("show", name))) for name in left)
    groups = explained(_LIST.read_text())
    known = Counter(mutant for group in groups for mutant in group.mutants)
    for mutant in sorted((found - known).elements()):
        print(f"not explained: {mutant.place}\n  was      {mutant.was}\n  becomes  {mutant.becomes}")
    for mutant in sorted((known - found).elements()):
        print(
            f"explained, but it does not survive: {mutant.place}\n  was      {mutant.was}\n  becomes  {mutant.becomes}"
        )
    caught = Counter(outcomes.values())
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(caught.items())))
    if found != known:
        return 1
    ran = f"The last run made {len(outcomes)} mutants: {len(outcomes) - len(left)} were caught, {len(left)} survived."
    _PAGE.write_text(f"{_HEAD}\n{ran}\n\n{table(groups)}")
    return 0


_HEAD = """# What mutation says of the tests

`make mutants` changes `pipeline/decide/` in every way that mutmut knows, one place at a time (a comparison, a constant,
an argument, a word of a message), and runs the tests of `tests/unit/decide` against each. A mutant that no test notices
survives. It takes about ten minutes on two cores. Every survivor is explained in `tests/data/mutants.yaml`; the run
fails on one that is not, and on an explanation whose mutant does not survive any more. This page is written by it.

The tests that break each safety rule of the design on purpose, one file per rule, are in `tests/unit/safety`.

Rows of a parametrized test are made when tests are collected, before a mutant is chosen: what is to be held against
mutants must be called inside the test.
"""


if __name__ == "__main__":
    sys.exit(main())
