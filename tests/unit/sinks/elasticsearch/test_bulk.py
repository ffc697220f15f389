"""What became of each record of a request, whatever the server answers; real answers are in the integration tests."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from elastic_transport import ApiResponseMeta, ConnectionError, HttpHeaders, NodeConfig, ObjectApiResponse
from elasticsearch import ApiError, AsyncElasticsearch, UnsupportedProductError

from sinks.base import Record
from sinks.elasticsearch.bulk import Bulk
from sinks.elasticsearch.config import ElasticsearchSinkConfig
from sinks.elasticsearch.connection import Connection
from sinks.elasticsearch.deadletters import DeadLetters
from sinks.elasticsearch.operations import document_id, operation
from sinks.elasticsearch.outcomes import Answer, Verdict

START = datetime(2026, 1, 31, tzinfo=UTC)
Responder = Callable[[list[str]], Any]


def record(name: str) -> Record:
    return Record(name, START, {"@timestamp": START.isoformat(), "event": {"id": name}})


def meta(status: int) -> ApiResponseMeta:
    return ApiResponseMeta(status, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "es", 9200))


def error(status: int, body: Any) -> ApiError:
    return ApiError("", meta(status), body)


def of_kind(kind: str) -> dict[str, Any]:
    return {"error": {"type": kind, "reason": "because"}, "status": 400}


class Speaking(Connection):
    """A connection to nothing: answers as told."""

    def __init__(self, respond: Responder) -> None:
        super().__init__(ElasticsearchSinkConfig(type="elasticsearch", hosts=["http://es:9200"]))
        self.respond = respond
        self.asked: list[list[str]] = []

    def client(self) -> AsyncElasticsearch:
        return cast(AsyncElasticsearch, self)

    async def perform_request(self, *_: str, body: bytes, **__: Any) -> ObjectApiResponse[Any]:
        ids = [json.loads(line)["create"]["_id"] for line in body.splitlines()[::2]]
        self.asked.append(ids)
        found = self.respond(ids)
        if isinstance(found, Exception):
            raise found
        return ObjectApiResponse({"items": [{"create": item} for item in found]}, meta(200))


async def send(respond: Responder, names: str, folder: Path, retry: float = 5.0) -> tuple[Speaking, list[str]]:
    connection, letters = Speaking(respond), DeadLetters(folder / "refused")
    bulk = Bulk(connection, "records", letters, retry)
    errors = await bulk.send([operation(record(name)) for name in names])
    await letters.close()
    return connection, ["" if told is None else str(told) for told in errors]


def refused(folder: Path) -> list[str]:
    path = folder / "refused"
    return [orjson.loads(line)["document"]["event"]["id"] for line in path.read_bytes().splitlines() if path.exists()]


async def test_only_what_the_server_was_too_busy_for_is_sent_again(tmp_path: Path) -> None:
    statuses = {"a": [201], "b": [429, 503, 201], "c": [409], "d": [429, 409]}
    connection, told = await send(lambda ids: [{"status": statuses[name].pop(0)} for name in ids], "abcd", tmp_path)
    assert told == ["", "", "", ""]
    assert connection.asked == [["a", "b", "c", "d"], ["b", "d"], ["b"]]


@pytest.mark.parametrize("status", [429, 502, 503])
async def test_a_server_that_is_too_busy_as_a_whole_is_asked_again(status: int, tmp_path: Path) -> None:
    found: list[Any] = [error(status, "busy"), [{"status": 201}, {"status": 201}]]
    connection, told = await send(lambda _: found.pop(0), "ab", tmp_path)
    assert (told, connection.asked) == (["", ""], [["a", "b"], ["a", "b"]])


async def test_a_server_that_stays_busy_is_not_asked_for_ever(tmp_path: Path) -> None:
    def respond(ids: list[str]) -> Any:
        return [{"status": 201 if name == "a" else 429, "error": {"type": "full", "reason": "queue"}} for name in ids]

    connection, told = await send(respond, "ab", tmp_path, retry=0.3)
    assert (told[0], "answers 429: full: queue" in told[1]) == ("", True)
    assert 2 <= len(connection.asked) <= 5


async def test_what_is_too_large_as_a_whole_is_halved_until_the_culprit_stands_alone(tmp_path: Path) -> None:
    def respond(ids: list[str]) -> Any:
        return error(413, "<html>too large</html>") if "d" in ids else [{"status": 201} for _ in ids]

    connection, told = await send(respond, "abcdefgh", tmp_path)
    assert told == [""] * 8
    assert refused(tmp_path) == ["d"]
    assert ["d"] in connection.asked


async def test_a_request_that_is_too_large_for_a_proxy_is_sent_in_parts(tmp_path: Path) -> None:
    def respond(ids: list[str]) -> Any:
        return error(413, "<html>too large</html>") if len(ids) > 2 else [{"status": 201} for _ in ids]

    connection, told = await send(respond, "abcdefgh", tmp_path)
    assert told == [""] * 8
    assert [ids for ids in connection.asked if len(ids) <= 2] == [["a", "b"], ["c", "d"], ["e", "f"], ["g", "h"]]
    assert not (tmp_path / "refused").exists()


WHOLE = {
    "we are not known": (
        error(401, {"error": {"type": "security_exception", "reason": "x"}}),
        "does not know us",
        None,
    ),
    "we may not": (error(403, {"error": {"type": "security_exception", "reason": "x"}}), "does not let us", None),
    "an old server": (error(400, of_kind("media_type_header_exception")), "of a version before 9", None),
    "an old server that lacks a parameter": (
        error(400, of_kind("illegal_argument_exception")),
        "answers 400: illegal_argument_exception: because",
        5.0,
    ),
    "a proxy for another scheme": (error(400, "<html>plain HTTP to HTTPS port</html>"), "answers 400: <html>", 5.0),
    "a conflict of the whole": (error(409, "busy elsewhere"), "answers 409: busy elsewhere", 5.0),
    "a status that is no error": (error(299, "?"), "answers 299: ?", 5.0),
    "another product": (UnsupportedProductError("", meta(200), {}), "what answers is no Elasticsearch", None),
    "a wrong path": (error(404, "not found"), "answers 404: not found", 5.0),
    "nobody there": (ConnectionError("refused", errors=()), "cannot be reached: refused", 5.0),
}


@pytest.mark.parametrize(("response", "words", "retry"), WHOLE.values(), ids=WHOLE.keys())
async def test_what_no_record_is_to_blame_for_is_told_and_nothing_is_set_aside(
    response: Exception, words: str, retry: float | None, tmp_path: Path
) -> None:
    connection, letters = Speaking(lambda _: response), DeadLetters(tmp_path / "refused")
    told = await Bulk(connection, "records", letters, 5.0).send([operation(record("a")), operation(record("b"))])
    assert [words in str(one) for one in told] == [True, True]
    assert [one.retry_after for one in told if one] == [retry, retry]
    assert len(connection.asked) == 1
    assert not (tmp_path / "refused").exists()


async def test_an_answer_for_fewer_records_makes_none_safe(tmp_path: Path) -> None:
    _, told = await send(lambda _: [{"status": 201}], "ab", tmp_path)
    assert ["answers for 1 records of 2" in one for one in told] == [True, True]


async def test_what_the_server_has_put_into_its_failure_store_is_set_aside_too(tmp_path: Path) -> None:
    stored = {"status": 201}
    _, told = await send(lambda _: [stored, {**stored, "failure_store": "used"}], "ab", tmp_path)
    assert (told, refused(tmp_path)) == (["", ""], ["b"])


async def test_it_is_told_how_many_are_set_aside_each_once(tmp_path: Path) -> None:
    told: list[int] = []
    letters = DeadLetters(tmp_path / "refused", told.append)
    bulk = Bulk(Speaking(lambda ids: [{**of_kind("mapping"), "status": 400}] * len(ids)), "records", letters, 5.0)
    for names in ("ab", "abc"):
        await bulk.send([operation(record(name)) for name in names])
    await letters.close()
    assert told == [2, 1]


async def test_what_cannot_be_set_aside_is_not_safe_and_the_others_are(tmp_path: Path) -> None:
    def respond(ids: list[str]) -> Any:
        return [{"status": 400 if name == "b" else 201, "error": {"type": "mapping"}} for name in ids]

    _, told = await send(respond, "abc", tmp_path / "no-such-folder")
    assert [told[0], told[2]] == ["", ""]
    assert "cannot be set aside" in told[1]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (Answer(200), Verdict.SAFE),
        (Answer(201), Verdict.SAFE),
        (Answer(409, "version_conflict_engine_exception"), Verdict.SAFE),
        (Answer(408), Verdict.BUSY),
        (Answer(429), Verdict.BUSY),
        (Answer(500, "node_not_connected_exception"), Verdict.BUSY),
        (Answer(503), Verdict.BUSY),
        (Answer(400, "document_parsing_exception"), Verdict.REFUSED),
        (Answer(413), Verdict.REFUSED),
        (Answer(500, "fail_processor_exception"), Verdict.REFUSED),
        (Answer(400, "illegal_argument_exception", "Provided Grok expressions do not match"), Verdict.REFUSED),
        (Answer(400), Verdict.UNSAFE),
        (Answer(400, "index_closed_exception", "closed"), Verdict.UNSAFE),
        (Answer(400, "validation_exception", "this action would add [2] shards"), Verdict.UNSAFE),
        (Answer(400, "illegal_argument_exception", "pipeline with id [x] does not exist"), Verdict.UNSAFE),
        (Answer(400, "media_type_header_exception"), Verdict.UNSAFE),
        (Answer(401), Verdict.UNSAFE),
        (Answer(403, "cluster_block_exception"), Verdict.UNSAFE),
        (Answer(404, "index_not_found_exception"), Verdict.UNSAFE),
        (Answer(302), Verdict.UNSAFE),
    ],
    ids=str,
)
def test_each_answer_has_one_meaning(answer: Answer, verdict: Verdict) -> None:
    assert answer.verdict is verdict


@pytest.mark.parametrize("name", ["a", "x" * 512, "通" * 170])
def test_an_id_that_elasticsearch_takes_is_the_documents(name: str) -> None:
    assert document_id(record(name)) == name


@pytest.mark.parametrize("name", ["", "x" * 513, "通" * 171])
def test_an_id_that_it_does_not_take_becomes_a_digest_always_the_same(name: str) -> None:
    found = document_id(record(name))
    assert (len(found), found) == (64, document_id(record(name)))
    assert found != document_id(record(name + "x" * 600))
