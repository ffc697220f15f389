"""What an answer of the API server means to whoever asked."""

import gc
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import orjson

from pipeline.errors import ConflictError, NotFoundError, PermanentError, TemporaryError

_MAY_PASS = frozenset({401, 408, 425, 429, 500, 502, 503, 504})
"""401 among them: a service account's token is renewed in time, or a moment after."""


class AlreadyExistsError(PermanentError):
    """An object of that name exists already."""


class NotServedError(NotFoundError):
    """The API server knows no such path: a kind or a subresource that it does not have, rather than an object."""


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
    # JSON has no cycles to collect; who looks for some while a page of nodes is read takes twice the time of reading.
    collects = gc.isenabled()
    gc.disable()
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise TemporaryError(f"the answer is not JSON: {body[:80]!r}") from error
    finally:
        if collects:
            gc.enable()


def failure(status: int, body: bytes, headers: Mapping[str, str], call: str) -> Exception:
    """Return the error that an answer other than success is; *call* names the call in its text.

    A 429 or 5xx carries the delay of its Retry-After header. The reasons are those of the API's Status object.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = {"message": body[:200].decode(errors="replace").strip()}
    return _error(status, found if isinstance(found, dict) else {}, _delay(headers.get("Retry-After")), call)


def told(status: Mapping[str, Any], call: str) -> Exception:
    """Return the error that a Status object in a watch is."""
    return _error(status.get("code", 500), status, None, call)


def _error(code: int, status: Mapping[str, Any], delay: timedelta | None, call: str) -> Exception:
    reason, details = status.get("reason", ""), status.get("details") or {}
    causes = {cause.get("reason"): cause.get("message", "") for cause in details.get("causes") or ()}
    # For a kind that it does not have the server's words begin with the code.
    text = f"{call}: {code} {(status.get('message') or reason).removeprefix(f'{code} ')}"
    if code in _MAY_PASS:
        # What the server says of an eviction names the budget only in the cause.
        return TemporaryError(" ".join(filter(None, (text, causes.get("DisruptionBudget")))), delay)
    if code == 403 and "NamespaceTerminating" in causes:
        # Nothing can be created there, evictions included, but what is there goes by itself.
        return TemporaryError(text)
    if code == 404 and not details.get("kind"):
        return NotServedError(text)
    if code == 409 and reason == "AlreadyExists":
        return AlreadyExistsError(text)
    return _KINDS.get(code, PermanentError)(text)


def _delay(retry_after: str | None) -> timedelta | None:
    return timedelta(seconds=int(retry_after)) if retry_after is not None and retry_after.isdecimal() else None
