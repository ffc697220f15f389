"""The taking apart of one message, layer by layer, until only the texts of lines are left."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pipeline.decode import journal
from pipeline.decode.facts import Facts
from pipeline.decode.framing import frames
from pipeline.decode.headers import peel
from pipeline.decode.jsontext import Unread, documents, holds_json, looks_like_json
from pipeline.decode.origin import mentions_driver
from pipeline.decode.printk import NAME, escaped_lines, is_metadata, record_lines
from pipeline.decode.problems import Problem
from pipeline.decode.records import Record, RecordReader, about_driver, pushed, strings, values
from pipeline.decode.stamps import Stamps

_DEEPEST = 16
# Characters. The kernel ends a line at about a thousand, syslog daemons at 64 Ki or less.
_LONGEST_LINE = 65_536


class Reading:
    """Gathers in `found` the text of each line and the facts of the layers around it, in `problems` the damage."""

    def __init__(self, records: RecordReader, stamps: Stamps) -> None:
        self.found: list[tuple[str, Facts]] = []
        self.problems: set[Problem] = set()
        self._records = records
        self._stamps = stamps

    def message(self, payload: bytes) -> str:
        """Take the whole message apart; return it as text."""
        entries = journal.entries(payload)
        if entries:
            for entry in entries:
                self._record({name: self._decoded(value) for name, value in entry.items()}, Facts(), 0)
            # The sizes of binary values are full of NULs, and are no damage.
            return payload.decode(errors="replace").replace("\0", "")
        texts = [self._decoded(frame) for frame in frames(payload) or (payload,)]
        for text in texts:
            self._text(text, Facts(), 0)
        return "\n".join(texts)

    def _decoded(self, octets: bytes) -> str:
        try:
            text = octets.decode()
        except UnicodeDecodeError:
            # The replacement character, unlike an escape with a backslash, leaves JSON what it is.
            self.problems.add(Problem.INVALID_UTF8)
            text = octets.decode(errors="replace")
        return self._plain(text).removeprefix("\ufeff")

    def _plain(self, text: str) -> str:
        """Return *text* without NULs, of which a file has holes after a power failure."""
        if "\0" in text:
            self.problems.add(Problem.NUL_BYTES)
            return text.replace("\0", "")
        return text

    def _text(self, text: str, facts: Facts, depth: int) -> None:
        if depth > _DEEPEST:
            self.problems.add(Problem.NESTED_TOO_DEEP)
            self._found(text, facts)
        elif looks_like_json(text) if facts.printk else holds_json(text):
            for document in documents(text, self.problems):
                if isinstance(document, Unread):
                    self._lines(document.text, facts, depth)
                else:
                    self._value(document, facts.copy(), depth + 1)
        else:
            self._lines(text, facts, depth)

    def _value(self, value: Any, facts: Facts, depth: int) -> None:
        if depth > _DEEPEST:
            self.problems.add(Problem.NESTED_TOO_DEEP)
            for text in strings(value):
                self._found(text, facts)
        elif isinstance(value, str):
            self._text(self._plain(value), facts, depth)
        elif isinstance(value, dict):
            self._record(value, facts, depth)
        elif isinstance(value, list):
            octets = _octets(value)
            if octets is not None:
                self._text(self._decoded(octets), facts, depth)
            else:
                for item in value:
                    self._value(item, facts.copy(), depth + 1)

    def _record(self, record: Record, facts: Facts, depth: int) -> None:
        message = self._records.read(record, facts, self._stamps, self.problems)
        if message is not None:
            start = len(self.found)
            # Text and lists leave these facts as they are: what their lines say goes to copies.
            self._value(message, facts, depth + 1)
            if not any(mentions_driver(text) for text, _ in self.found[start:]):
                facts.origin = facts.origin.beside()
                self._each(about_driver(record), facts, depth)
        elif entries := pushed(record):
            for labels, stamp, line in entries:
                own = facts.copy()
                own.field_time(stamp, self._stamps)
                self._records.read(labels, own, self._stamps, self.problems)
                self._text(self._plain(line), own, depth + 1)
        else:
            self.problems.add(Problem.NO_MESSAGE)
            self._each(values(record), facts, depth)

    def _each(self, candidates: Iterable[Any], facts: Facts, depth: int) -> None:
        """Search the values of a record, in which shippers keep the same line more than once; it counts as one."""
        known: set[tuple[str, str | None, datetime | None]] = set()
        for value in candidates:
            start = len(self.found)
            self._value(value, facts.copy(), depth + 1)
            told = [(text, own.node, own.time.told()) for text, own in self.found[start:]]
            self.found[start:] = [one for one, key in zip(self.found[start:], told, strict=True) if key not in known]
            known.update(told)

    def _lines(self, text: str, facts: Facts, depth: int) -> None:
        before: Facts | None = None
        head, one_message = "", facts.printk or facts.origin.kernel
        for line in record_lines(text) if facts.printk else text.split("\n"):
            if not line or (before is not None and before.printk and is_metadata(line)):
                continue
            own = facts.copy()
            bare = peel(line, own, self._stamps)
            if bare is line and before is not None:
                # A line without a header goes on where the one before it stopped.
                own = before
            if before is None or not (bare is line or one_message):
                head = bare
            else:
                own = own.behind(head)
                head = "" if NAME in bare else head
            before = own
            if bare is not line:
                own.bare = True
                own.origin.header(line.removesuffix(bare))
            if bare is not line and looks_like_json(bare):
                self._text(bare, own, depth + 1)
            else:
                first, *more = escaped_lines(bare)
                self._found(first, own)
                for piece in more:
                    self._found(piece, own.behind(head))

    def _found(self, text: str, facts: Facts) -> None:
        text = facts.origin.whole(text.strip())
        if len(text) > _LONGEST_LINE:
            self.problems.add(Problem.OVERSIZED)
        if text:
            self.found.append((text, facts))


def _octets(value: list[Any]) -> bytes | None:
    """Return the bytes that a list of numbers stands for, the journal's way to write what is not UTF-8; else None."""
    try:
        return bytes(value) if value else None
    except (TypeError, ValueError):
        return None
