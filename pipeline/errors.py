"""Errors that say what the caller does next: wait and try again, give up, or tell a person which input to mend."""

from dataclasses import dataclass
from datetime import timedelta


class TemporaryError(Exception):
    """The same call may succeed later; `delay`, when the other side named one, is how long to wait first."""

    def __init__(self, message: str, delay: timedelta | None = None) -> None:
        super().__init__(message)
        self.delay = delay


class ConflictError(TemporaryError):
    """Somebody else wrote in between: read again, decide again, then write."""


class PermanentError(Exception):
    """The same call will never succeed."""


class NotFoundError(PermanentError):
    """What the call is about does not exist."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing wrong with something an operator wrote.

    `place` is `FILE:LINE` for a file, or the name of the variable or option; `problem` says what is wrong; `remedy`,
    where one is known, what would be right.
    """

    place: str
    problem: str
    remedy: str | None = None

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" + (f"; {self.remedy}" if self.remedy else "")


class BadInputError(Exception):
    """What an operator wrote cannot be used; the text is one line per complaint."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__("\n".join(map(str, complaints)))
        self.complaints = complaints
