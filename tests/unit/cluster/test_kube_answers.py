"""What answers of the API server mean."""

from datetime import timedelta
from typing import Any

import orjson
import pytest

from pipeline.cluster.kube.answers import (
    AlreadyExistsError,
    ExpiredError,
    ForbiddenError,
    NotServedError,
    decoded,
    failure,
    told,
)
from pipeline.cluster.kube.paths import is_name, named
from pipeline.errors import ConflictError, NotFoundError, PermanentError, TemporaryError


def _status(reason: str = "", message: str = "", **details: Any) -> bytes:
    return orjson.dumps({"kind": "Status", "reason": reason, "message": message, "details": details})


@pytest.mark.parametrize(
    ("code", "body", "kind"),
    [
        pytest.param(400, _status("BadRequest"), PermanentError, id="what is not understood"),
        pytest.param(401, _status("Unauthorized"), TemporaryError, id="a token that is being renewed"),
        pytest.param(403, _status("Forbidden"), ForbiddenError, id="a right that lacks"),
        pytest.param(
            403,
            _status("Forbidden", causes=[{"reason": "NamespaceTerminating"}]),
            TemporaryError,
            id="a namespace that goes",
        ),
        pytest.param(404, _status("NotFound", name="a", kind="nodes"), NotFoundError, id="no such object"),
        pytest.param(404, _status("NotFound"), NotServedError, id="no such subresource"),
        pytest.param(404, b"404 page not found\n", NotServedError, id="no such kind"),
        pytest.param(409, _status("Conflict"), ConflictError, id="written in between"),
        pytest.param(409, _status("AlreadyExists"), AlreadyExistsError, id="there already"),
        pytest.param(410, _status("Expired"), ExpiredError, id="too old a version"),
        pytest.param(413, b"", PermanentError, id="too large"),
        pytest.param(422, _status("Invalid"), PermanentError, id="invalid"),
        pytest.param(429, _status("TooManyRequests"), TemporaryError, id="too many"),
        pytest.param(500, _status("InternalError"), TemporaryError, id="its own fault"),
        pytest.param(503, b"<html>", TemporaryError, id="a proxy's page"),
        pytest.param(504, b"[]", TemporaryError, id="JSON that is no status"),
    ],
)
def test_an_answer_means_what_to_do_next(code: int, body: bytes, kind: type[Exception]) -> None:
    assert type(failure(code, body, {}, "GET /x")) is kind


def test_the_text_names_call_code_and_what_the_server_says() -> None:
    error = failure(422, _status("Invalid", "metadata.labels: Invalid value"), {}, "PATCH /api/v1/nodes/a")
    assert str(error) == "PATCH /api/v1/nodes/a: 422 metadata.labels: Invalid value"


def test_a_refused_eviction_names_the_budget() -> None:
    cause = {"reason": "DisruptionBudget", "message": "The disruption budget train needs 1 healthy pods and has 1"}
    error = failure(429, _status("TooManyRequests", "Cannot evict pod.", causes=[cause]), {}, "POST /x")
    assert str(error) == "POST /x: 429 Cannot evict pod. The disruption budget train needs 1 healthy pods and has 1"


@pytest.mark.parametrize(
    ("header", "delay"), [("7", timedelta(seconds=7)), (None, None), ("Wed, 21 Oct 2026 07:28:00 GMT", None)]
)
def test_the_delay_is_what_the_server_asks_for(header: str | None, delay: timedelta | None) -> None:
    error = failure(429, b"", {} if header is None else {"Retry-After": header}, "GET /x")
    assert isinstance(error, TemporaryError)
    assert error.delay == delay


def test_an_error_in_a_watch_is_the_same() -> None:
    assert type(told({"code": 410, "reason": "Expired", "message": "too old"}, "WATCH /x")) is ExpiredError


@pytest.mark.parametrize("body", [b"<html>", b'{"items": [', b""])
def test_what_is_not_json_may_pass(body: bytes) -> None:
    with pytest.raises(TemporaryError, match="not JSON"):
        decoded(body)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../pods", "a?x", "a%2fb", "A", "-a", "a b", "a\n", "a" * 254])
def test_a_name_that_no_object_has_leads_nowhere(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(NotFoundError):
        named("/api/v1/nodes", name)


@pytest.mark.parametrize("name", ["a", "10.0.2.193", "gpu-1.example.com", "a" * 253])
def test_a_name_leads_to_its_object(name: str) -> None:
    assert named("/api/v1/nodes", name) == f"/api/v1/nodes/{name}"
