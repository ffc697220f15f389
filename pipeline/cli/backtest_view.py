"""A backtest as tables, for people on a terminal; what is too long for one is in the JSON."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.backtest.difference import ended
from pipeline.backtest.report import ActionCount, Difference, Hold, Outcome, Report, RescueTold, SkipCount
from pipeline.backtest.style import printable
from pipeline.durations import format_duration

T = TypeVar("T")

_MOST_ROWS = 40
_MOST_NAMES = 6
_MARKS = {"Succeeded": "", "Failed": " failed", "Cancelled": " given up", "Running": " under way"}


def show(report: Report, console: Console) -> None:
    """Print the report."""
    log = report.log
    span = f", {_at(log.begin)} to {_at(log.end)}" if log.begin and log.end else ""
    console.print(f"{log.lines:,} lines of {len(log.files)} files{span}: {log.faults:,} of them tell of faults.")
    odd = [f"messages with {problem}: {count}" for problem, count in log.problems.items()]
    if log.unknown_driver_lines:
        odd.append(f"driver lines that no pattern knew: {log.unknown_driver_lines}")
    if odd:
        console.print("; ".join(odd))
    console.print("")
    _show_outcome("Proposed" if report.against else "Backtest", report.proposed, console)
    if report.against is not None:
        _show_outcome("Against", report.against, console)
    if report.difference is not None:
        _show_difference(report.difference, console)
    console.print("Assumed", style="bold")
    for sentence in report.assumed:
        console.print(f"- {sentence}", style="dim", highlight=False)


def _show_outcome(title: str, outcome: Outcome, console: Console) -> None:
    policies = ", ".join(outcome.policies) or "the built-in policy"
    console.print(Text(f"{title}: {policies}", style="bold"))
    console.print(_sentence(outcome))
    _print(
        console,
        _table("Rescues", ("Node", "Fault", "Rule", "What would have been done", "Outcome"), outcome.rescues, _rescue),
    )
    taken = [action for action in outcome.actions if action.nodes]
    _print(console, _table("Actions", ("Action", "Done", "Not done", "Nodes"), taken, _action))
    _print(console, _table("Holds", ("Guard", "Rescues", "Together", "Longest", "Nodes"), outcome.holds, _hold))
    _print(console, _table("Skipped", ("Reason", "Fault", "Incidents", "Lines", "Nodes"), outcome.skips, _skip))


def _sentence(outcome: Outcome) -> str:
    totals, peak = outcome.totals, outcome.peak
    told = f"{totals.rescues} rescues on {totals.nodes} nodes: {totals.succeeded} succeeded, {totals.failed} failed, "
    told += f"{totals.cancelled} cancelled, {totals.folded} folded into others, {totals.open} open at the end. "
    told += f"Out of service: {totals.node_hours:g} node-hours"
    if peak.begin is not None and peak.end is not None:
        told += (
            f", at most {peak.nodes} nodes at a time, from {_at(peak.begin)} to {_at(peak.end)} ({_some(peak.names)})"
        )
    return printable(f"{told}.")


def _show_difference(found: Difference, console: Console) -> None:
    console.print(Text("Difference", style="bold"))
    table = Table("", "Proposed", "Against", "Change", title_justify="left")
    for total in found.totals:
        change = total.proposed - total.against
        shown = f"{change:+g}" if change else ""
        table.add_row(total.what.replace("_", " "), f"{total.proposed:g}", f"{total.against:g}", shown)
    console.print(table)
    columns = ("Node", "Fault", "Actions", "Outcome", "In the other")
    for title, only in (("Only proposed", found.only_proposed), ("Only against", found.only_against)):
        _print(
            console,
            _table(
                title, columns, only, lambda one: (one.node, one.fault, ", ".join(one.plan), one.status, one.instead)
            ),
        )
    for title, changed in (("Other actions", found.other_actions), ("Other outcome", found.other_outcome)):
        _print(
            console,
            _table(
                title,
                ("Node", "Fault", "Proposed", "Against"),
                changed,
                lambda one: (one.node, one.fault, one.proposed, one.against),
            ),
        )


def _table(title: str, columns: Sequence[str], rows: Sequence[T], cells: Callable[[T], Sequence[str]]) -> Table | None:
    if not rows:
        return None
    table = Table(*columns, title=title, title_justify="left")
    for row in rows[:_MOST_ROWS]:
        table.add_row(*(Text(printable(cell)) for cell in cells(row)))
    if len(rows) > _MOST_ROWS:
        table.caption = f"and {len(rows) - _MOST_ROWS} more; in a pipe all of them are printed, as JSON"
    return table


def _print(console: Console, table: Table | None) -> None:
    if table is not None:
        console.print(table)


def _rescue(rescue: RescueTold) -> Sequence[str]:
    return rescue.node, rescue.fault, rescue.policy, "; ".join(_course(rescue)), ended(rescue)


def _course(rescue: RescueTold) -> Iterator[str]:
    for phase in rescue.phases:
        if phase.reason is not None:
            length = format_duration(phase.end - phase.begin) if phase.end else "to the end"
            yield f"held {length} ({phase.reason})"
    for step in rescue.steps:
        standby = f" {step.standby}" if step.standby else ""
        yield f"{_at(step.begin)} {step.action}{standby}{_MARKS[step.outcome]}"


def _action(action: ActionCount) -> Sequence[str]:
    return action.action, str(action.done), str(action.failed), _some(action.nodes)


def _hold(hold: Hold) -> Sequence[str]:
    together, longest = (format_duration(timedelta(seconds=each)) for each in (hold.seconds, hold.longest_seconds))
    return hold.reason, str(len(hold.rescues)), together, longest, _some(hold.nodes)


def _skip(skip: SkipCount) -> Sequence[str]:
    return skip.reason, skip.fault, str(skip.incidents), str(skip.lines), str(skip.nodes)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more


def _at(moment: datetime) -> str:
    return moment.strftime("%m-%d %H:%M:%S")
