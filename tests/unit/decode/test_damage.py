"""Damaged and hostile messages: no exception, the damage is counted, and the text is searched all the same."""

import json
import time
from collections.abc import Callable

import pytest

from pipeline.decode.envelopes import Decoded, Problem

MARK = "NVRM: Xid (PCI:0000:3b:00): 79,"
TEXT = f"{MARK} pid=7, name=python3, GPU has fallen off the bus."
RECORD = json.dumps({"hostname": "gpu-1", "msg": TEXT, "severity": "err"})


def nested(levels: int) -> str:
    payload = TEXT
    for _ in range(levels):
        payload = json.dumps({"msg": payload})
    return payload


@pytest.mark.parametrize(
    ("says", "payload", "problem"),
    [
        ("a byte that is not UTF-8", TEXT.encode() + b" \xff\xfe", Problem.INVALID_UTF8),
        (
            "JSON with a byte that is not UTF-8",
            RECORD.encode().replace(b"python3", b"py\xffthon3"),
            Problem.INVALID_UTF8,
        ),
        ("a hole of NULs before the line", b"\0" * 512 + TEXT.encode(), Problem.NUL_BYTES),
        ("an escaped NUL in JSON", RECORD.replace("python3", "py\\u0000thon3").encode(), Problem.NUL_BYTES),
        ("half a record", RECORD[: RECORD.index("fallen")].encode(), Problem.BROKEN_JSON),
        ("half an array", f"[{RECORD}, {RECORD[:30]}".encode(), Problem.BROKEN_JSON),
        ("half a record between whole ones", f"{RECORD}\n{RECORD[:70]}\n{RECORD}".encode(), Problem.BROKEN_JSON),
        ("NaN", f'{{"msg": "{TEXT}", "load": NaN}}'.encode(), Problem.LAX_JSON),
        ("a number beyond all bounds", f'{{"msg": "{TEXT}", "n": {"9" * 5000}}}'.encode(), Problem.LAX_JSON),
        ("a lone surrogate", f'{{"msg": "{TEXT} \\ud800", "host": "a\\ud800"}}'.encode(), Problem.LAX_JSON),
        ("a raw tab inside a string", f'{{"msg": "a\t{TEXT}"}}'.encode(), Problem.LAX_JSON),
        ("records without a break between", f"{RECORD}{RECORD}".encode(), Problem.LAX_JSON),
        ("arrays in arrays", ("[" * 100_000 + f'"{TEXT}"' + "]" * 100_000).encode(), Problem.BROKEN_JSON),
        ("arrays in arrays, fewer", ("[" * 500 + f'"{TEXT}"' + "]" * 500).encode(), Problem.NESTED_TOO_DEEP),
        ("objects in objects", ('{"a":' * 900 + f'"{TEXT}"' + "}" * 900).encode(), Problem.NESTED_TOO_DEEP),
        ("records in records", nested(11).encode(), Problem.NESTED_TOO_DEEP),
        ("a line of a mebibyte", b"x" * 500_000 + TEXT.encode() + b"y" * 550_000, Problem.OVERSIZED),
        ("a record of a mebibyte", json.dumps({"msg": "x" * 1_000_000 + TEXT}).encode(), Problem.OVERSIZED),
        ("a time that is none", f'{{"msg": "{TEXT}", "time": "yesterday"}}'.encode(), Problem.BAD_TIME),
        (
            "the journal's export, cut off",
            b"A=1\nMESSAGE\n\xff\x00\x00\x00\x00\x00\x00\x00" + TEXT.encode(),
            Problem.NUL_BYTES,
        ),
    ],
)
def test_damage_is_counted_and_the_text_is_found(
    says: str, payload: bytes, problem: Problem, decode: Callable[..., Decoded]
) -> None:
    decoded = decode(payload)

    assert problem in decoded.problems
    assert any(MARK in line.text for line in decoded.lines)
    for line in decoded.lines:
        assert f"{line.text}{line.node}{line.original}".encode()


@pytest.mark.parametrize("damage", [b"\xff\xfe", b"\0\0\0", b"\xff \0", b"\xef\xbb\xbf\xff"])
@pytest.mark.parametrize(
    "header",
    [
        "<3>1 2024-07-04T11:59:00Z gpu-4 kernel - - - ",
        "Jul  4 11:59:00 gpu-4 kernel: ",
        "2024-07-04T11:59:00Z gpu-4 kernel: ",
    ],
)
def test_the_node_behind_bytes_that_are_no_text_is_the_line_s_own_and_not_the_key_s(
    header: str, damage: bytes, decode: Callable[..., Decoded]
) -> None:
    """The key may be a relay's, or that of another node: acting on it would take out the wrong machine."""
    (line,) = decode(damage + f"{header}{TEXT}".encode(), key="gpu-3").lines

    assert (line.node, line.text) == ("gpu-4", TEXT)


def test_whole_records_around_a_broken_one_are_read(decode: Callable[..., Decoded]) -> None:
    lines = decode(f"{RECORD}\n{RECORD[:70]}\n{RECORD}").lines

    assert [line.node for line in lines] == ["gpu-1", None, "gpu-1"]
    assert [lines[0].text, lines[2].text] == [TEXT, TEXT]


def test_escapes_of_broken_json_are_undone(decode: Callable[..., Decoded]) -> None:
    broken = '{"msg":"a \\"quoted\\" \\u4e2d\\u56fd\\n' + MARK

    assert [line.text for line in decode(broken).lines] == ['{"msg":"a "quoted" 中国', MARK]


def test_a_torn_node_name_is_not_believed(decode: Callable[..., Decoded]) -> None:
    """Half of `gpu-node-15` is the name of another node."""
    (line,) = decode(f'{{"msg": "{TEXT}", "hostname": "gpu-node-1').lines

    assert line.node is None


@pytest.mark.parametrize("payload", [b"", b"\n \r\n\t", b"{}", b"[{}]", b"\0\0", b'{"msg": null}', b"\xef\xbb\xbf"])
def test_nothing_in_it_makes_no_line(payload: bytes, decode: Callable[..., Decoded]) -> None:
    assert decode(payload).lines == ()


@pytest.mark.parametrize(
    ("says", "payload"),
    [
        ("empty lines", b"\n" * 1_000_000),
        ("empty records", b"{}" * 500_000),
        ("opened arrays", b"[[\n" * 300_000),
        ("opened records", b'{"a\n' * 250_000),
        ("opened brackets", b"[" * 1_000_000),
        ("properties", b"3,1,1,-;x\n" + b" A=1\n" * 200_000),
        (
            "properties that do not end the record",
            json.dumps({"sec": 1, "usec": 1, "msg": "\n A=1" * 200_000 + "\nx"}).encode(),
        ),
        ("escaped quotes", b'{"msg":"' + b'\\"' * 500_000),
        ("structured data that never ends", b"<3>1 - - - - - [" + b'a="b" ' * 170_000),
        ("headers on headers", b"<3>" * 340_000),
        ("one word", b"a" * 1_000_000),
        ("spaces", b"Jul  4 03:09:40" + b" " * 1_000_000 + b"x"),
        ("fields of an export", b"A=1\n" * 250_000),
        ("records in records", nested(18).encode()),
    ],
)
def test_hostile_messages_cost_little(says: str, payload: bytes, decode: Callable[..., Decoded]) -> None:
    """A mebibyte takes far less than the bound; anything that grows with the square of the size would take minutes."""
    before = time.process_time()
    decoded = decode(payload)

    assert time.process_time() - before < 10
    assert len(decoded.lines) <= len(payload)
