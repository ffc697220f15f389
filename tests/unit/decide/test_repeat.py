"""What counts as an occurrence, which GPU it is of, and how often it has been when a fault comes."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.repeat import History, Repeat, adds, counts, occurrence_of, ordinal
from pipeline.model.fault import Drill, NodeFault, NvLink5, Severity
from pipeline.model.occurrence import Code, Gpu, Occurrence
from pipeline.model.plan import SkipReason
from pipeline.model.rescue import Member
from tests.fakes.faults import NOON, fault, line, node_fault

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
QUIET = timedelta(minutes=10)
DAY = timedelta(hours=24)
GPU = Gpu("gpu-1", "0000:3b:00")
XID_63 = Code("xid", 63, None, None, Severity.REBOOT, rescue=True, catalogued=True)


def seen(ago: timedelta, until: timedelta | None = None, boot: str | None = None, **given: Any) -> Occurrence:
    """An occurrence that began *ago* before noon and ended *until* before noon."""
    first, last = NOON - ago, NOON - (ago if until is None else until)
    return Occurrence(
        **{"name": f"{ago}", "code": XID_63, "gpu": GPU, "boot_id": boot, **given}, first_seen=first, last_seen=last
    )


def present(boot: str | None = None, **given: Any) -> NodeFault:
    return node_fault(63, boot_id=boot, **given)


def times(*occurrences: Occurrence, of: NodeFault | None = None, within: timedelta = DAY) -> int:
    return History(occurrences, QUIET).times(of or present(), within, lambda code: code.number == 63)


@pytest.mark.parametrize(
    ("occurrences", "count"),
    [
        pytest.param([], 1, id="the present one is the first"),
        pytest.param([seen(HOUR)], 2, id="one an hour ago"),
        pytest.param([seen(2 * HOUR), seen(HOUR)], 3, id="two at two times"),
        pytest.param([seen(HOUR), seen(2 * HOUR)], 3, id="in any order"),
        pytest.param([seen(timedelta(0))], 1, id="the present one counts once, noted or not"),
        pytest.param([seen(DAY)], 2, id="at the edge of the time"),
        pytest.param([seen(DAY + SECOND)], 1, id="before the time"),
        pytest.param([seen(DAY + HOUR, DAY - HOUR)], 2, id="a storm that ended within the time"),
        pytest.param([seen(QUIET)], 1, id="as near as an incident's own lines may be"),
        pytest.param([seen(QUIET + SECOND)], 2, id="after it was quiet for long enough"),
        pytest.param([seen(HOUR, QUIET)], 1, id="a storm that goes on after a restart"),
        pytest.param([seen(HOUR), seen(HOUR - QUIET)], 2, id="a storm with a restart in it"),
        pytest.param([seen(HOUR), seen(HOUR - QUIET), seen(HOUR - 2 * QUIET)], 2, id="a storm with two restarts in it"),
        pytest.param([seen(HOUR), seen(HOUR - QUIET - SECOND)], 3, id="two that are just apart"),
        pytest.param([seen(2 * HOUR, HOUR), seen(2 * HOUR - SECOND)], 2, id="one within the other"),
        pytest.param(
            [seen(2 * HOUR, HOUR), seen(2 * HOUR - SECOND), seen(HOUR - SECOND)], 2, id="the longer of two goes on"
        ),
        pytest.param([seen(HOUR, code=replace(XID_63, number=64))], 1, id="what is not the same does not count"),
        pytest.param([seen(HOUR, gpu=Gpu("gpu-1", "0000:5e:00"))], 1, id="nor does another GPU"),
        pytest.param([seen(-SECOND)], 1, id="nor what is later than the present one"),
        pytest.param([seen(-HOUR)], 1, id="nor what is much later"),
    ],
)
def test_a_fault_has_occurred(occurrences: list[Occurrence], count: int) -> None:
    assert times(*occurrences) == count


@pytest.mark.parametrize(
    ("occurrences", "boot", "count"),
    [
        pytest.param([seen(SECOND, boot="a")], "b", 2, id="in two boots, however near"),
        pytest.param([seen(0 * SECOND, boot="a")], "b", 2, id="in two boots by stamps that are the same"),
        pytest.param([seen(SECOND, boot="a")], "a", 1, id="in the same boot"),
        pytest.param([seen(SECOND, boot="AB-12")], "ab12", 1, id="in the same boot, in another spelling"),
        pytest.param([seen(SECOND, boot="a")], None, 1, id="in a boot that is not known"),
        pytest.param([seen(SECOND)], "b", 1, id="when its boot is not known"),
        pytest.param([seen(HOUR, boot="a")], "a", 2, id="twice in one boot"),
        pytest.param([seen(3 * SECOND, boot="a"), seen(2 * SECOND)], "b", 2, id="one of a boot and one of none"),
        pytest.param([seen(3 * SECOND), seen(2 * SECOND, boot="a")], "b", 2, id="one of none and one of a boot"),
        pytest.param(
            [seen(3 * SECOND, boot="a"), seen(2 * SECOND, boot="b"), seen(SECOND, boot="a")],
            "b",
            2,
            id="late lines of the boot before, between those of this one",
        ),
        pytest.param(
            [seen(3 * SECOND, boot="a"), seen(2 * SECOND, boot="b")], "c", 3, id="in three boots within seconds"
        ),
    ],
)
def test_a_reboot_tells_occurrences_apart(occurrences: list[Occurrence], boot: str | None, count: int) -> None:
    assert times(*occurrences, of=present(boot)) == count


def test_what_is_of_no_known_boot_goes_with_what_was_seen_last() -> None:
    """Were it of boot a, that one would still be near a second after noon."""
    earlier = [seen(QUIET, boot="a"), seen(QUIET - SECOND, boot="b"), seen(QUIET - 2 * SECOND)]
    assert times(*earlier, of=present("a")) == 2
    assert times(*earlier, of=replace(present("a"), time=NOON + SECOND)) == 3


def test_the_time_of_a_late_line_counts_not_when_it_came() -> None:
    late = replace(present(), time=NOON - 2 * HOUR)
    assert times(seen(HOUR), seen(3 * HOUR), of=late) == 2


OCCURRENCES = st.lists(
    st.builds(
        lambda name, ago, lasts, boot: seen(
            timedelta(minutes=ago), timedelta(minutes=max(0, ago - lasts)), boot, name=str(name)
        ),
        st.integers(),
        st.integers(0, 90),
        st.integers(0, 30),
        st.sampled_from([None, "a"]),
    ),
    max_size=8,
)


def naive(occurrences: Sequence[Occurrence], end: datetime) -> int:
    """One more than the gaps that are longer than the quiet time, where no two boots are known to differ."""
    spans = sorted([(one.first_seen, one.last_seen) for one in occurrences] + [(end, end)])
    reached = [max(last for _, last in spans[: i + 1]) for i in range(len(spans))]
    return 1 + sum(spans[i + 1][0] - reached[i] > QUIET for i in range(len(spans) - 1))


@given(OCCURRENCES, st.randoms(use_true_random=False))
def test_the_count_agrees_with_a_naive_one_in_any_order(occurrences: list[Occurrence], chance: Any) -> None:
    shuffled = list(occurrences)
    chance.shuffle(shuffled)
    assert times(*shuffled, of=present("a")) == naive(occurrences, NOON)


@given(OCCURRENCES)
def test_what_is_noted_twice_counts_once(occurrences: list[Occurrence]) -> None:
    assert times(*occurrences, *occurrences) == times(*occurrences)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(Gpu("n", "p"), Gpu("n", "p"), True, id="the same place"),
        pytest.param(Gpu("n", "p"), Gpu("n", "q"), False, id="another slot"),
        pytest.param(Gpu("n", "p"), Gpu("m", "p"), False, id="the same slot of another node"),
        pytest.param(Gpu("n", None), Gpu("n", None), True, id="a node's lines that name no device"),
        pytest.param(Gpu("n", "p", "u"), Gpu("m", "q", "u"), True, id="a UUID, moved to another node"),
        pytest.param(Gpu("n", "p", "u"), Gpu("n", "p", "v"), False, id="another UUID in its place"),
        pytest.param(Gpu("n", "p", "u"), Gpu("n", "p"), True, id="a UUID that is known once: the place decides"),
        pytest.param(Gpu("n", "p", "u"), Gpu("n", "q"), False, id="and may decide against it"),
        pytest.param(Gpu("n", "p", "u", "s"), Gpu("m", "q", "v", "s"), True, id="the board, whatever the UUID"),
        pytest.param(Gpu("n", "p", "u", "s"), Gpu("n", "p", "u", "t"), False, id="another board, whatever the UUID"),
        pytest.param(
            Gpu("n", "p", "u", "s"), Gpu("m", "q", "u"), True, id="a board that is known once: the UUID decides"
        ),
        pytest.param(Gpu("n", "p", "", ""), Gpu("n", "p", "", ""), True, id="empty identities are none"),
    ],
)
def test_two_gpus_are_the_same(one: Gpu, other: Gpu, same: bool) -> None:
    assert one.same(other) is same
    assert other.same(one) is same


def test_the_gpu_of_a_fault_is_all_that_is_known_of_it() -> None:
    assert Gpu.of(node_fault(63, gpu_uuid="u", board_serial="s")) == Gpu("gpu-1", "0000:3b:00", "u", "s")
    assert Gpu.of(node_fault(fault=fault(63, pci=None, device="nvidia0"))) == Gpu("gpu-1", "nvidia0")


COUNTED = {None, "stale", "older-than-boot", "older-than-rescue", "node-offline", "opted-out"}


@pytest.mark.parametrize("reason", [None, *SkipReason])
def test_what_the_gate_says_of_a_fault_makes_it_count_or_not(reason: SkipReason | None) -> None:
    assert counts(present(), reason) is (reason in COUNTED)


INJECTED = NvLink5("NETIR", True, False, True, 1, None, None)


@pytest.mark.parametrize(
    "drill",
    [
        pytest.param(fault(63, drill=Drill.DRY), id="a drill"),
        pytest.param(fault(63, drill=Drill.REAL), id="a drill that acts for real"),
        pytest.param(fault(149, nvlink5=INJECTED), id="what the driver marks as injected"),
    ],
)
def test_a_drill_never_counts(drill: Any) -> None:
    assert not counts(node_fault(fault=drill), None)


def test_an_nvlink_fault_that_is_no_drill_counts() -> None:
    assert counts(node_fault(fault=fault(149, nvlink5=replace(INJECTED, injected=False))), None)


@pytest.mark.parametrize(
    ("of_line", "of_node", "reason", "boot"),
    [
        pytest.param("l", "n", None, "l", id="the line's own"),
        pytest.param(None, "n", None, "n", id="the node's"),
        pytest.param("l", "n", SkipReason.STALE, "l", id="the line's own, also of a late line"),
        pytest.param(None, "n", SkipReason.STALE, None, id="of a late line, the node's may be a later one"),
        pytest.param(None, None, None, None, id="none is known"),
        pytest.param("", "", None, None, id="an empty one is none"),
    ],
)
def test_the_boot_of_an_occurrence_is(
    of_line: str | None, of_node: str | None, reason: SkipReason | None, boot: str | None
) -> None:
    found = node_fault(63, boot_id=of_node, fault=fault(63, line=line(boot_id=of_line)))
    assert occurrence_of(Member("n", found, 3, NOON, NOON + HOUR), reason) == Occurrence(
        "n", XID_63, GPU, NOON, NOON + HOUR, boot
    )


@pytest.mark.parametrize(
    ("known", "more"),
    [
        pytest.param(None, True, id="nothing was known"),
        pytest.param(seen(2 * HOUR, HOUR), False, id="all of it"),
        pytest.param(seen(2 * HOUR, HOUR + QUIET / 2), True, id="all but the last half of the quiet time"),
        pytest.param(seen(2 * HOUR, HOUR + QUIET / 2 - SECOND), False, id="all but a little of the end"),
        pytest.param(seen(2 * HOUR - QUIET / 2, HOUR), True, id="all but the first half of the quiet time"),
        pytest.param(seen(2 * HOUR - QUIET / 2 + SECOND, HOUR), False, id="all but a little of the beginning"),
        pytest.param(seen(3 * HOUR, 0 * HOUR), False, id="more than it tells"),
    ],
)
def test_an_occurrence_is_noted_again_when_it_tells_more(known: Occurrence | None, more: bool) -> None:
    assert adds(seen(2 * HOUR, HOUR), known, QUIET) is more


def test_an_occurrence_spans_the_time_of_both() -> None:
    one, other = seen(2 * HOUR, HOUR, name="a"), seen(3 * HOUR, 2 * HOUR, "boot", name="b")
    assert one.spanning(other) == seen(3 * HOUR, HOUR, "boot", name="a")
    assert other.spanning(seen(2 * HOUR, HOUR, "later")) == seen(3 * HOUR, HOUR, "boot", name="b")


@pytest.mark.parametrize(
    ("count", "judged"),
    [
        (1, (False, "but this is the 1st within 1day on this GPU, not yet the 3rd (repeat)")),
        (2, (False, "but this is the 2nd within 1day on this GPU, not yet the 3rd (repeat)")),
        (3, (True, "and this is the 3rd within 1day on this GPU (repeat: from the 3rd on)")),
        (4, (True, "and this is the 4th within 1day on this GPU (repeat: from the 3rd on)")),
    ],
)
def test_a_rule_waits_for_the_third_time(count: int, judged: tuple[bool, str]) -> None:
    assert Repeat(count=3, within=DAY).judge(count) == judged


@pytest.mark.parametrize(
    "written",
    ["1st", "2nd", "3rd", "4th", "10th", "11th", "12th", "13th", "14th", "21st", "22nd", "101st", "111th", "212th"],
)
def test_ordinals(written: str) -> None:
    assert ordinal(int(written[:-2])) == written
