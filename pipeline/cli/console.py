"""How a run is shown: a live table on a terminal, one plain line per record in a pipe, a summary at the end."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.cli.board import Board, Row
from sinks.base import Record

_STYLES = {
    "Succeeded": "green",
    "Failed": "bold red",
    "Held": "yellow",
    "Cancelled": "dim",
    "Running": "cyan",
    "Pending": "white",
}
_LATEST = 8


class PlainConsole:
    """One line per record: time, node, what happened, in one sentence."""

    def __init__(self, console: Console) -> None:
        self.board = Board()
        self._console = console

    def begin(self, heading: str) -> None:
        """Print the heading."""
        self._console.out(heading, highlight=False)

    def show(self, records: Sequence[Record]) -> None:
        """Print the records."""
        for record in records:
            self.board.take(record)
            self._console.out(line_of(record), highlight=False)

    def close(self) -> None:
        """Nothing is held back."""


class LiveConsole:
    """The rescues as a table that is drawn again as they go, and below it the latest records."""

    def __init__(self, console: Console) -> None:
        self.board = Board()
        self._heading = ""
        self._latest: list[str] = []
        self._live = Live(console=console, refresh_per_second=12, get_renderable=self._render, transient=False)

    def begin(self, heading: str) -> None:
        """Start to draw, under the heading."""
        self._heading = heading
        self._live.start()

    def show(self, records: Sequence[Record]) -> None:
        """Draw the state after the records."""
        for record in records:
            self.board.take(record)
            self._latest = [*self._latest[1 - _LATEST :], line_of(record)]

    def close(self) -> None:
        """Leave the last picture on the screen."""
        self._live.stop()

    def _render(self) -> RenderableType:
        latest = Text("\n".join(self._latest), style="dim", no_wrap=True, overflow="ellipsis")
        return Group(Text(self._heading, style="italic"), rescues_table(list(self.board.rows.values())), latest)


def line_of(record: Record) -> str:
    """A record as one line of text."""
    body = record.document
    node = body.get("host", {}).get("name", "-")
    reason = f" [{body['event']['reason']}]" if "reason" in body["event"] else ""
    return f"{_clock(record.time)}  {node:<16}  {body['event']['action']:<17}  {body['message']}{reason}"


def rescues_table(rows: Sequence[Row]) -> Table:
    """The rescues, in the order they were planned."""
    table = Table(title="Rescues", title_justify="left", expand=True)
    for column in ("Node", "Fault", "Policy", "Step", "State", "Time"):
        table.add_column(column, no_wrap=True)
    for row in rows:
        state = Text(f"{row.state}: {row.note}" if row.note else row.state, style=_STYLES[row.state])
        table.add_row(row.node, row.fault, row.policy, row.step, state, _clock(row.time))
    return table


def summary_table(board: Board, lines_read: int) -> Table:
    """What was seen, decided, done and skipped, with the reasons."""
    table = Table(title="Summary", title_justify="left")
    table.add_column("")
    table.add_column("What")
    table.add_column("Count", justify="right")
    for heading, rows in _sections(board, lines_read):
        for number, (what, count) in enumerate(rows):
            table.add_row(heading if number == 0 else "", what, str(count), end_section=number == len(rows) - 1)
    return table


def summary_lines(board: Board, lines_read: int) -> list[str]:
    """The same as plain lines, for a pipe."""
    return [
        f"{heading.lower()}: {what}: {count}" for heading, rows in _sections(board, lines_read) for what, count in rows
    ]


def _sections(board: Board, lines_read: int) -> list[tuple[str, list[tuple[str, int]]]]:
    repeated = sum(count - 1 for count in board.repeats.values())
    seen = [("lines read", lines_read), ("incidents", board.seen.total()), ("repeats of these", repeated)]
    skipped = [
        (f"{reason} ({', '.join(sorted(board.skipped_nodes[reason])[:4])})", count)
        for reason, count in board.skipped.most_common()
    ]
    return [
        ("Seen", seen + [(f"  {fault}", count) for fault, count in sorted(board.seen.items())]),
        ("Decided", [(f"rescue by policy {policy}", count) for policy, count in board.decided.most_common()]),
        ("Done", [(f"rescues {state}", count) for state, count in board.states.most_common()]),
        ("Skipped", skipped),
    ]


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
