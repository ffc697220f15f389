"""Nodes out of service: times that overlap, the peak, and the hours."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.backtest.journal import told
from pipeline.backtest.report import RescueTold
from pipeline.backtest.service import curve, hours_of, out_of_service, peak_of
from tests.fakes.faults import NOON, rescue

END = 100
Times = list[tuple[str, int, int | None]]


def rescues(times: Times) -> list[RescueTold]:
    """Rescues by node, first and last minute out of service; None: nobody brings the node back."""
    base = told(rescue())
    minute = timedelta(minutes=1)
    return [
        base.model_copy(update={"node": node, "out_from": NOON + begin * minute, "out_to": end and NOON + end * minute})
        for node, begin, end in times
    ]


@pytest.mark.parametrize(
    ("name", "times", "most", "begin", "names", "minutes"),
    [
        ("none", [], 0, None, (), 0),
        ("one", [("a", 1, 11)], 1, 1, ("a",), 10),
        ("two apart", [("a", 1, 5), ("b", 6, 9)], 1, 1, ("a",), 7),
        ("two that touch", [("a", 1, 5), ("b", 5, 9)], 1, 1, ("a",), 8),
        ("two at a time", [("a", 1, 9), ("b", 5, 20)], 2, 5, ("a", "b"), 23),
        ("one node twice at a time", [("a", 1, 9), ("a", 5, 20)], 1, 1, ("a",), 19),
        ("one that nobody brings back", [("a", 90, None), ("b", 95, 96)], 2, 95, ("a", "b"), 11),
    ],
)
def test_the_peak_and_the_hours(
    name: str, times: Times, most: int, begin: int | None, names: tuple[str, ...], minutes: int
) -> None:
    out = out_of_service(rescues(times), NOON + timedelta(minutes=END))
    peak = peak_of(out)
    assert (peak.nodes, peak.names) == (most, names)
    assert peak.begin == (None if begin is None else NOON + timedelta(minutes=begin))
    assert sum(hours_of(each) for each in out.values()) == pytest.approx(minutes / 60)


SPANS = st.tuples(st.sampled_from("abcd"), st.integers(1, 98), st.integers(1, 20)).map(
    lambda given: (given[0], given[1], min(given[1] + given[2], END))
)


@given(st.lists(SPANS, max_size=20))
def test_the_curve_counts_the_nodes_of_each_minute(times: list[tuple[str, int, int]]) -> None:
    out = out_of_service(rescues(list(times)), NOON + timedelta(minutes=END))
    counted = dict.fromkeys(range(END), 0)
    for moment, count in curve(out):
        counted.update(dict.fromkeys(range((moment - NOON) // timedelta(minutes=1), END), count))
    expected = {minute: len({node for node, begin, end in times if begin <= minute < end}) for minute in range(END)}
    assert counted == expected
    assert peak_of(out).nodes == max(expected.values())
