"""Every line of the corpus gives exactly what it says, through the decoder, the cheap test and the report."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet
from pipeline.match.report import report
from pipeline.model.fault import Fault

DATA = Path(__file__).parents[2] / "data"
NOT_IN_THE_CORPUS = {"line_no", "node", "time"}


def corpus(name: str) -> list[Any]:
    lines = [json.loads(line) for line in (DATA / name).read_text().splitlines()]
    return [pytest.param(line, id=f"{index}: {line['line'][:60]!r}") for index, line in enumerate(lines, 1)]


def expected(line: dict[str, Any]) -> list[dict[str, Any]]:
    found = line["expect"] if isinstance(line["expect"], list) else [line["expect"]]
    extra = line.get("expect_extra") or {}
    return [{"code": one["xid"], **{key: one[key] for key in one if key != "xid"}, **extra} for one in found]


def matched(shipped: PatternSet, payload: bytes) -> list[dict[str, Any]]:
    matcher = Matcher(shipped)
    if not matcher.wanted(payload):
        return []
    decoded = Decoder(DecodeSettings()).decode(payload, "1", received=datetime(2026, 1, 1, tzinfo=UTC))
    found = [matcher.match(line) for line in decoded.lines]
    return [report(fault, 1) for fault in found if isinstance(fault, Fault)]


@pytest.mark.parametrize("line", corpus("xid_lines.jsonl"))
def test_a_line_of_the_corpus_gives_what_it_says(line: dict[str, Any], shipped: PatternSet) -> None:
    found = matched(shipped, line["line"].encode())

    read = [{key: one[key] for key in one if key not in NOT_IN_THE_CORPUS} for one in found]
    if isinstance(line["expect"], list):
        # The corpus says of a batch's lines only what is common to them.
        read = [{key: one[key] for key in wanted} for one, wanted in zip(read, expected(line), strict=True)]
    assert read == expected(line)


@pytest.mark.parametrize("line", corpus("xid_lines_negative.jsonl"))
def test_a_negative_of_the_corpus_gives_no_fault(line: dict[str, Any], shipped: PatternSet) -> None:
    assert matched(shipped, line["line"].encode()) == []
