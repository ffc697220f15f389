"""From the ledger of a trial to what is told of it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from pipeline.backtest.ledger import Ledger
from pipeline.backtest.report import ActionCount, Hold, Outcome, RescueTold, SkipCount, State, Totals
from pipeline.backtest.service import hours_of, out_of_service, peak_of
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, Status


def outcome(ledger: Ledger, policies: Sequence[str], new_nodes: int, until: datetime) -> Outcome:
    """Return what would have come of one set of policies; what has not ended by then lasts until *until*."""
    rescues = sorted(ledger.rescues.values(), key=lambda rescue: (rescue.planned, rescue.name))
    out = out_of_service(rescues, until)
    hours = {node: round(hours_of(each), 3) for node, each in out.items()}
    actions, holds, skips = tuple(_actions(rescues)), _holds(rescues, until), _skips(ledger)
    peak = peak_of(out)
    totals = _totals(
        rescues,
        actions,
        held=len({name for hold in holds for name in hold.rescues}),
        skipped=sum(skip.incidents for skip in skips),
        peak=peak.nodes,
        node_hours=round(sum(hours_of(each) for each in out.values()), 3),
    )
    return Outcome(
        policies=tuple(policies),
        totals=totals,
        actions=actions,
        rescues=tuple(rescues),
        holds=holds,
        skips=skips,
        peak=peak,
        node_hours=dict(sorted(hours.items(), key=lambda item: -item[1])),
        new_nodes=new_nodes,
    )


def _totals(
    rescues: Sequence[RescueTold],
    actions: Iterable[ActionCount],
    *,
    held: int,
    skipped: int,
    peak: int,
    node_hours: float,
) -> Totals:
    folded = sum(rescue.reason == CancelReason.FOLDED for rescue in rescues)
    done = {action.action: action.done for action in actions}
    return Totals(
        rescues=len(rescues),
        succeeded=sum(rescue.status == Status.SUCCEEDED for rescue in rescues),
        failed=sum(rescue.status == Status.FAILED for rescue in rescues),
        cancelled=sum(rescue.status == Status.CANCELLED for rescue in rescues) - folded,
        folded=folded,
        open=sum(rescue.ended is None for rescue in rescues),
        nodes=len({rescue.node for rescue in rescues}),
        cordons=done[ActionName.CORDON],
        drains=done[ActionName.DRAIN],
        reboots=done[ActionName.REBOOT],
        uncordons=done[ActionName.UNCORDON],
        standbys=sum(step.standby is not None for rescue in rescues for step in rescue.steps),
        offlines=done[ActionName.OFFLINE],
        held=held,
        skipped=skipped,
        peak=peak,
        node_hours=node_hours,
    )


def _actions(rescues: Sequence[RescueTold]) -> Iterable[ActionCount]:
    for name in ActionName:
        steps = [(rescue.node, step) for rescue in rescues for step in rescue.steps if step.action == name]
        done = sum(step.outcome == "Succeeded" for _, step in steps)
        nodes = tuple(sorted({node for node, _ in steps}))
        yield ActionCount(action=str(name), done=done, failed=len(steps) - done, nodes=nodes)


def _holds(rescues: Sequence[RescueTold], until: datetime) -> tuple[Hold, ...]:
    waits: dict[str, dict[str, timedelta]] = {}
    nodes: dict[str, set[str]] = {}
    for rescue in rescues:
        for phase in rescue.phases:
            if phase.state is State.HELD:
                reason = phase.reason or ""
                of_reason = waits.setdefault(reason, {})
                waited = max(phase.end or until, phase.begin) - phase.begin
                of_reason[rescue.name] = of_reason.get(rescue.name, timedelta()) + waited
                nodes.setdefault(reason, set()).add(rescue.node)
    found = [
        Hold(
            reason=reason,
            rescues=tuple(of_reason),
            nodes=tuple(sorted(nodes[reason])),
            seconds=sum(of_reason.values(), timedelta()).total_seconds(),
            longest_seconds=max(of_reason.values()).total_seconds(),
        )
        for reason, of_reason in waits.items()
    ]
    return tuple(sorted(found, key=lambda hold: -hold.seconds))


def _skips(ledger: Ledger) -> tuple[SkipCount, ...]:
    found = [
        SkipCount(reason=reason, fault=fault, incidents=one.incidents, lines=one.lines, nodes=len(one.nodes))
        for (reason, fault), one in ledger.skips.items()
    ]
    return tuple(sorted(found, key=lambda skip: (-skip.incidents, skip.reason, skip.fault)))
