"""JSON in a message: whole, several documents one after the other, or broken off."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson

from pipeline.decode.problems import Problem

_MOST_FAILURES = 16
_START = re.compile(r'\s*(?:\{\s*["}]|\[\s*[{\["]|")')
_RECORD = re.compile(r'\s*(?=\{\s*["}]|\[\s*[{\["])')
_LATER_RECORD = re.compile(r'\n(?:\{\s*["}]|\[\s*[{\["])')
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))')
_ESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


@dataclass(frozen=True, slots=True)
class Unread:
    """Text between or instead of documents; its escapes, where it was meant as JSON, are undone."""

    text: str


def looks_like_json(text: str) -> bool:
    """Whether *text* begins as an object, a string, or an array of either; `[ 3023.054882]` does not."""
    return _START.match(text) is not None


def holds_json(text: str) -> bool:
    """Whether the first line of *text*, or a later one, begins as JSON."""
    return looks_like_json(text) or ("\n" in text and _LATER_RECORD.search(text) is not None)


def documents(text: str, problems: set[Problem]) -> Iterable[object]:
    """Return the documents of *text*, and what is none as `Unread`; never raises.

    A strict reader is tried on the whole and on each line; what it refuses is read leniently, until that has failed a
    number of times that bounds the work.
    """
    try:
        return [orjson.loads(text)]
    except orjson.JSONDecodeError:
        return _one_by_one(text, problems)


def _one_by_one(text: str, problems: set[Problem]) -> Iterator[object]:
    start, failures = 0, 0
    while start < len(text):
        end = text.find("\n", start) + 1 or len(text)
        line = text[start:end]
        if not _RECORD.match(line):
            yield Unread(line)
        elif strict := _strictly(line):
            yield strict[0]
        else:
            documents, resume = _leniently(text, start, end) if failures < _MOST_FAILURES else ([], start)
            if documents:
                problems.add(Problem.LAX_JSON)
                yield from documents
            if resume < end and _RECORD.match(text, resume, end):
                failures += 1
                problems.add(Problem.BROKEN_JSON)
                yield Unread(unescaped(text[resume:end]))
            elif resume < end:
                yield Unread(text[resume:end])
            end = max(end, resume)
        start = end


def _strictly(line: str) -> tuple[object] | None:
    try:
        return (orjson.loads(line),)
    except orjson.JSONDecodeError:
        return None


def _leniently(text: str, start: int, end: int) -> tuple[list[object], int]:
    """Return the documents that begin between *start* and *end*, which the last may pass, and where reading stopped."""
    found: list[object] = []
    while start < end and (match := _RECORD.match(text, start)):
        try:
            document, start = _LENIENT.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            break
        found.append(document)
    return found, start


def unescaped(text: str) -> str:
    """Return *text* with JSON's escapes undone wherever they stand, so that the kernel's words are found in it."""
    return _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]) if match[1] else chr(int(match[2], 16)), text)


def _integer(digits: str) -> float:
    # Python refuses to read integers of thousands of digits; no field that is used has more than 19.
    return int(digits) if len(digits) < 20 else float(digits)


_LENIENT = json.JSONDecoder(parse_int=_integer, strict=False)
