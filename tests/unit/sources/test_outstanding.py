"""The position that a restart goes on from."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.outstanding import Outstanding


@given(st.permutations(range(6)), st.integers(0, 6))
def test_the_position_never_passes_a_message_that_is_not_acknowledged(order: list[int], acknowledged: int) -> None:
    outstanding = Outstanding(0)
    tickets = [outstanding.hand_out(10 * number) for number in range(6)]
    outstanding.reached = 60
    for number in order[:acknowledged]:
        outstanding.acknowledge(tickets[number])
    waiting = set(range(6)) - set(order[:acknowledged])
    assert outstanding.safe == (10 * min(waiting) if waiting else 60)


def test_noise_moves_the_position_while_nothing_waits() -> None:
    outstanding = Outstanding(0)
    outstanding.reached = 100
    assert outstanding.safe == 100


def test_acknowledging_twice_is_once() -> None:
    outstanding = Outstanding(0)
    first, second = outstanding.hand_out(0), outstanding.hand_out(1)
    outstanding.acknowledge(first)
    outstanding.acknowledge(first)
    assert outstanding.safe == 1
    outstanding.acknowledge(second)
    assert outstanding.safe == 0
