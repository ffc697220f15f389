"""What the server's answer to one record means."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from elasticsearch import ApiError

_FOR_A_PERSON = ("", "media_type_header_exception", "index_closed_exception", "validation_exception")
_NO_PIPELINE = "pipeline with id ["
_BY_A_PIPELINE = "fail_processor_exception"
_FAILURE_STORE = "failure_store"


class Verdict(Enum):
    """What follows from an answer."""

    SAFE = auto()
    BUSY = auto()
    REFUSED = auto()
    UNSAFE = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """The server's answer to one record; `kind` and `reason` are its own words for an error."""

    status: int
    kind: str = ""
    reason: str = ""

    @property
    def verdict(self) -> Verdict:
        """Safe: stored, now (2xx) or before (409). Busy: the same request may succeed in a moment.

        Refused: this document will never be taken, others may. Unsafe: no record is taken before a person changes
        something: credentials, a missing template or pipeline, an index that is closed, a limit of shards, an old
        server, a proxy. These are what Elasticsearch 9 was seen to answer with 400 where no document is to blame.
        """
        if self.kind in (_BY_A_PIPELINE, _FAILURE_STORE):
            return Verdict.REFUSED
        if 200 <= self.status < 300 or self.status == 409:
            return Verdict.SAFE
        if self.status in (408, 429) or self.status >= 500:
            return Verdict.BUSY
        for_a_person = self.kind in _FOR_A_PERSON or self.reason.startswith(_NO_PIPELINE)
        refused = self.status == 413 or (self.status == 400 and not for_a_person)
        return Verdict.REFUSED if refused else Verdict.UNSAFE

    @property
    def told(self) -> str:
        """The error in one line."""
        return (f"{self.kind}: {self.reason}" if self.kind else self.reason)[:500]


def answers(body: Mapping[str, Any]) -> list[Answer]:
    """Return the answers of a bulk response, in the order of its operations."""
    return [_answer(item["create"]) for item in body.get("items", ())]


def as_answer(error: ApiError) -> Answer:
    """Return the answer to a request as a whole. An error that is not in the server's form has no kind."""
    told = error.body.get("error") if isinstance(error.body, Mapping) else error.body
    if isinstance(told, Mapping):
        return _answer({"status": error.status_code, "error": told})
    return Answer(error.status_code, "", str(told or error.message))


def _answer(item: Mapping[str, Any]) -> Answer:
    if item.get("failure_store") == "used":
        # It is called created, but is in no index of the stream, where people look for it.
        return Answer(
            item["status"], _FAILURE_STORE, "refused by the mapping; the stream's failure store has the reason"
        )
    error = item.get("error")
    if not isinstance(error, Mapping):
        return Answer(item["status"])
    cause = error.get("caused_by")
    why = f" ({cause['reason']})" if isinstance(cause, Mapping) and cause.get("reason") else ""
    return Answer(item["status"], str(error.get("type")), f"{error.get('reason')}{why}")
