"""Lines out of blocks: what is wanted is found, wherever the blocks are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.lines import Lines


def everything(_: bytes) -> bool:
    return True


def faults(message: bytes) -> bool:
    return b"NVRM" in message


def cut(stream: bytes, sizes: list[int]) -> list[bytes]:
    blocks, at = [], 0
    for size in sizes:
        blocks.append(stream[at : at + size])
        at += size
    return [*blocks, stream[at:]]


CASES = {
    "lines end with a line feed": (b"a\nb\n", [b"a", b"b"]),
    "the end of a line may be that of Windows": (b"a\r\nb\r\n", [b"a", b"b"]),
    "a carriage return alone ends no line": (b"50%\r100%\nb\n", [b"50%\r100%", b"b"]),
    "the last line may lack its end": (b"a\nb", [b"a", b"b"]),
    "an empty stream holds no line": (b"", []),
    "an empty line is a line": (b"\n\na\n", [b"", b"", b"a"]),
    "zeros inside a line stay": (b"a\0b\n", [b"a\0b"]),
    "zeros before a line are no part of it": (b"\0\0\0a\n", [b"a"]),
    "bytes that are no text stay as they are": (b"\xff\xfe\n", [b"\xff\xfe"]),
}


@pytest.mark.parametrize(("stream", "expected"), CASES.values(), ids=CASES.keys())
def test_a_stream_is_cut_into_its_lines(stream: bytes, expected: list[bytes]) -> None:
    lines = Lines(everything)
    assert [line.payload for line in lines.feed(stream) + lines.end()] == expected
    assert (lines.read, lines.wanted) == (len(expected), len(expected))


@given(
    st.lists(st.sampled_from([b"noise", b"NVRM: Xid", b"", b"\xff" * 3000, b"x" * 700 + b"NVRM"]), max_size=40),
    st.lists(st.integers(0, 5000), max_size=20),
    st.booleans(),
)
def test_wanted_lines_are_found_at_their_place_however_the_stream_is_cut(
    written: list[bytes], sizes: list[int], ended: bool
) -> None:
    stream = b"\n".join(written) + (b"\n" if ended and written else b"")
    lines = Lines(faults)
    found = [line for block in cut(stream, sizes) for line in lines.feed(block)] + lines.end()
    assert [line.payload for line in found] == [line for line in written if faults(line)]
    assert all(stream[line.start :].startswith(line.payload) for line in found)
    assert lines.offset == len(stream)
    assert lines.wanted == len(found)


def test_noise_is_never_tested_line_by_line() -> None:
    tested: list[int] = []

    def counted(message: bytes) -> bool:
        tested.append(len(message))
        return False

    Lines(counted).feed(b"noise\n" * 10_000)
    assert sum(tested) == 60_000
    assert len(tested) < 60_000 / 1_500


def test_one_wanted_line_among_many_takes_few_tests() -> None:
    tested: list[int] = []

    def counted(message: bytes) -> bool:
        tested.append(len(message))
        return b"NVRM" in message

    found = Lines(counted).feed(b"noise\n" * 5_000 + b"NVRM\n" + b"noise\n" * 5_000)
    assert [(line.start, line.payload) for line in found] == [(30_000, b"NVRM")]
    # Each byte once, and those around the wanted line once more: with one in a hundred, more would be most of the work.
    assert sum(tested) < 60_005 + 2 * 2_048
    assert len(tested) < 500


def test_a_line_longer_than_memory_allows_comes_in_pieces_that_are_counted() -> None:
    lines = Lines(everything, longest=10)
    found = [line for block in (b"a" * 7, b"b" * 7, b"c" * 7, b"d\ne\n") for line in lines.feed(block)]
    assert [line.payload for line in found] == [b"aaaaaaabbb", b"bbbbcccccc", b"cd", b"e"]
    assert [line.start for line in found] == [0, 10, 20, 23]
    assert (lines.cut, lines.read) == (2, 2)


def test_a_fault_is_found_in_any_piece_of_an_endless_line() -> None:
    lines = Lines(faults, longest=100)
    found = lines.feed(b"\0" * 1000 + b"NVRM: Xid") + lines.end()
    assert [line.payload for line in found] == [b"NVRM: Xid"]
