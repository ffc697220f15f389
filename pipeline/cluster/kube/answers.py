"""What an answer of the API server means to whoever asked."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from pipeline.errors import ConflictError, NotFoundError, PermanentError, TemporaryError

_MAY_PASS = frozenset({401, 408, 425, 429, 500, 502, 503, 504})
"""401 among them: a service account's token is renewed in time, or a moment after."""


class AlreadyExistsError(PermanentError):
    """An object of that name exists already."""


class ExpiredError(TemporaryError):
    """The version to go on from is too old (410): list again."""


class ForbiddenError(PermanentError):
    """Our identity lacks the right; the text is the server's, which names it."""


_KINDS: Mapping[int, type[TemporaryError | PermanentError]] = {
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
}


def decoded(body: bytes) -> Any:
    """Return the JSON of a body; raise TemporaryError for what no API server answers (a proxy's page, half a body)."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise TemporaryError(f"the answer is not JSON: {body[:80]!r}") from error


def failure(status: int, body: bytes, headers: Mapping[str, str], call: str) -> Exception:
    """Return the error that an answer other than success is; *call* names the call in its text.

    A 429 or 5xx carries the delay of its Retry-After header. The reasons are those of the API's Status object.
    """
    return _error(status, *_reason(body), _delay(headers.get("Retry-After")), call)


def told(status: Mapping[str, Any], call: str) -> Exception:
    """Return the error that a Status object in a watch is."""
    code, reason, message = status.get("code", 500), status.get("reason", ""), status.get("message", "")
    return _error(code, reason, message, None, call)


def _error(status: int, reason: str, message: str, delay: timedelta | None, call: str) -> Exception:
    text = f"{call}: {status} {message or reason}"
    if status in _MAY_PASS:
        return TemporaryError(text, delay)
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExistsError(text)
    return _KINDS.get(status, PermanentError)(text)


def _reason(body: bytes) -> tuple[str, str]:
    try:
        status = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", body[:200].decode(errors="replace")
    if not isinstance(status, dict):
        return "", ""
    return str(status.get("reason", "")), str(status.get("message", ""))


def _delay(retry_after: str | None) -> timedelta | None:
    return timedelta(seconds=int(retry_after)) if retry_after is not None and retry_after.isdecimal() else None
