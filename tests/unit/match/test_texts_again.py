"""A text that was read before tells of the same fault: remembering it changes nothing but what it costs."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet, load_patterns
from pipeline.model.fault import Fault
from pipeline.model.line import LogLine
from pipeline.settings import shipped as shipped_files
from tests.fakes.faults import NOON, line

Load = Callable[[str], PatternSet]

_CORPUS = Path(__file__).parents[2] / "data" / "xid_lines.jsonl"
_SHIPPED = load_patterns([shipped_files() / "patterns"])
_FIRST = "NVRM: The NVIDIA GPU 0000:b3:00.0"
_THIRD = "NVRM: fallen off the bus and is not responding to commands."
_TEXTS = [json.loads(text)["line"] for text in _CORPUS.read_text().splitlines()]
_TEXTS += 40 * [_FIRST, _FIRST.replace("b3", "17"), _THIRD, f"gpu-rescue-drill: {_THIRD}"]
_ONE = "NVRM: Xid (PCI:0000:3b:00): 13, pid=7, name=python3, Graphics Exception"

_lines = st.builds(
    lambda text, node, kernel, at, stamped: line(
        text, node=node, from_kernel=kernel, position=str(at), time=NOON, kernel_time="1.5" if stamped else None
    ),
    st.sampled_from(_TEXTS),
    st.sampled_from(("gpu-1", "gpu-2", None)),
    st.sampled_from((True, False, None)),
    st.integers(0, 9),
    st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(_lines, max_size=40))
def test_a_matcher_that_remembers_finds_what_one_finds_that_does_not(lines: list[LogLine]) -> None:
    remembers, forgets = Matcher(_SHIPPED), Matcher(_SHIPPED)
    for one in [*lines, *lines]:
        forgets.replace(_SHIPPED)
        assert remembers.match(one) == forgets.match(one)


def test_a_fault_that_is_told_again_is_of_the_line_that_tells_it() -> None:
    matcher = Matcher(_SHIPPED)
    first, second = (line(_ONE, position=position) for position in ("log:1", "log:2"))
    found = matcher.match(first)
    assert isinstance(found, Fault)
    assert matcher.match(second) == replace(found, line=second)


def test_other_patterns_read_every_text_anew(load: Load) -> None:
    matcher = Matcher(_SHIPPED)
    assert isinstance(matcher.match(line(_ONE)), Fault)
    matcher.replace(load("rules: [{name: xid, enabled: false}]"))
    assert not isinstance(matcher.match(line(_ONE)), Fault)


def test_a_storm_of_many_texts_is_not_remembered_for_ever() -> None:
    matcher = Matcher(_SHIPPED)
    for number in range(20_000):
        found = matcher.match(line(_ONE.replace("pid=7", f"pid={number}")))
        assert isinstance(found, Fault)
        assert found.pid == number
    assert len(matcher._read) <= 8192
