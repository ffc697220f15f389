"""How two trials over the same logs differ."""

from collections.abc import Iterator

from pipeline.backtest.ledger import Ledger
from pipeline.backtest.report import Changed, Difference, OnlyOne, Outcome, RescueTold, Total


def difference(proposed: Outcome, against: Outcome, ledgers: tuple[Ledger, Ledger]) -> Difference:
    """Return the totals side by side, and the rescues that only one has, or that go or end in another way.

    A rescue is the same in both by its name, which depends on the line alone that led to it. *ledgers* are those of the
    two outcomes, in their order.
    """
    mine, theirs = ledgers
    both = [(rescue, theirs.rescues[rescue.name]) for rescue in proposed.rescues if rescue.name in theirs.rescues]
    return Difference(
        totals=tuple(
            Total(what=what, proposed=count, against=getattr(against.totals, what)) for what, count in proposed.totals
        ),
        only_proposed=tuple(_only(proposed, theirs)),
        only_against=tuple(_only(against, mine)),
        other_actions=tuple(
            _changed(one, ", ".join(one.plan), ", ".join(other.plan)) for one, other in both if one.plan != other.plan
        ),
        other_outcome=tuple(
            _changed(one, ended(one), ended(other)) for one, other in both if ended(one) != ended(other)
        ),
    )


def ended(rescue: RescueTold) -> str:
    """`Failed (reboot-timeout)`."""
    return rescue.status + (f" ({rescue.reason})" if rescue.reason else "")


def _only(outcome: Outcome, other: Ledger) -> Iterator[OnlyOne]:
    for rescue in outcome.rescues:
        if rescue.name not in other.rescues:
            reason = other.reasons.get(rescue.name)
            instead = f"skipped: {reason}" if reason else "counted to an incident that was open"
            yield OnlyOne(
                name=rescue.name,
                node=rescue.node,
                fault=rescue.fault,
                plan=rescue.plan,
                status=ended(rescue),
                instead=instead,
            )


def _changed(rescue: RescueTold, proposed: str, against: str) -> Changed:
    return Changed(name=rescue.name, node=rescue.node, fault=rescue.fault, proposed=proposed, against=against)
