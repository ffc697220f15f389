"""How a run is shown: a live table on a terminal, one plain line per record in a pipe, a summary at the end."""

import os
import queue
import re
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.cli.board import Board, Row, Totals
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
_NODES = 4
_WAITING_LINES = 100_000
_UNREAD_FOR = 5.0
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")


class PlainConsole:
    """One line per record: time, node, what happened, in one sentence.

    The lines are written by a thread: a reader that does not read must not keep rescues from going on.
    """

    def __init__(self, descriptor: int | None = None) -> None:
        """Write to *descriptor*, standard output if it is not given."""
        self.board = Board()
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor
        self._lines: queue.Queue[str | None] = queue.Queue(_WAITING_LINES)
        self._writer = threading.Thread(target=self._write, name="console", daemon=True)
        self._writer.start()

    def begin(self, heading: str) -> None:
        """Print the heading."""
        self.say(heading)

    def show(self, records: Sequence[Record]) -> None:
        """Print the records."""
        for record in records:
            self.board.take(record)
            self.say(line_of(record))

    def summarise(self, totals: Totals) -> None:
        """Print what was seen, decided, done and skipped."""
        for heading, rows in _sections(self.board, totals):
            for what, count in rows:
                self.say(f"{heading.lower()}: {what.strip()}: {count}")

    def say(self, text: str) -> None:
        """Print one line; with very many unread, it is left out: the records are in the sink."""
        with suppress(queue.Full):
            self._lines.put_nowait(text)

    def close(self) -> None:
        """Wait until everything is printed, as long as somebody reads it."""
        with suppress(queue.Full):
            self._lines.put_nowait(None)
        left = -1
        while self._writer.is_alive() and self._lines.qsize() != left:
            left = self._lines.qsize()
            self._writer.join(_UNREAD_FOR)

    def _write(self) -> None:
        while (text := self._lines.get()) is not None:
            rest = memoryview((text + "\n").encode(errors="backslashreplace"))
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                # The reader has gone (`| head`), which is its right.
                return


class LiveConsole:
    """The rescues as a table that is drawn again as they go, and below it the latest records."""

    def __init__(self, console: Console) -> None:
        self.board = Board()
        self._heading = ""
        self._latest: list[str] = []
        self._console = console
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

    def summarise(self, totals: Totals) -> None:
        """Print what was seen, decided, done and skipped."""
        self._live.stop()
        self._console.print(summary_table(self.board, totals))

    def say(self, text: str) -> None:
        """Print one line."""
        self._console.out(text, highlight=False)

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
    dry = " (dry run)" if body["gpu_rescue"].get("rescue", {}).get("dry_run") else ""
    text = f"{_clock(record.time)}  {node:<16}  {body['event']['action']:<17}  {body['message']}{reason}{dry}"
    # What a log says must not steer the terminal that shows it.
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def rescues_table(rows: Sequence[Row]) -> Table:
    """The rescues, in the order they were planned."""
    table = Table(title="Rescues", title_justify="left", expand=True)
    for column, width in (("Node", 12), ("Fault", 7), ("Policy", 6), ("Step", 8), ("State", 9), ("Time", 8)):
        table.add_column(column, no_wrap=True, min_width=width)
    for row in rows:
        told = f"{row.state}: {row.note}" if row.note else row.state
        state = Text(f"{told} (dry run)" if row.dry_run else told, style=_STYLES[row.state])
        table.add_row(row.node, row.fault, row.policy, row.step, state, row.time.strftime("%H:%M:%S"))
    return table


def summary_table(board: Board, totals: Totals) -> Table:
    """What was seen, decided, done and skipped, with the reasons."""
    table = Table(title="Summary", title_justify="left")
    table.add_column("")
    table.add_column("What")
    table.add_column("Count", justify="right")
    for heading, rows in _sections(board, totals):
        for number, (what, count) in enumerate(rows):
            table.add_row(heading if number == 0 else "", what, str(count), end_section=number == len(rows) - 1)
    return table


def _sections(board: Board, totals: Totals) -> list[tuple[str, list[tuple[str, int]]]]:
    repeated = sum(count - 1 for count in board.repeats.values())
    seen = [("lines read", totals.lines_read), ("faults", board.seen.total()), ("repeats of these", repeated)]
    odd = [(f"messages with {problem}", count) for problem, count in sorted(totals.problems.items())]
    if totals.unknown_driver_lines:
        odd.append(("driver lines that no pattern knew", totals.unknown_driver_lines))
    return [
        ("Seen", seen + [(f"  {fault}", count) for fault, count in sorted(board.seen.items())] + odd),
        ("Decided", [(f"rescue by policy {policy}", count) for policy, count in board.decided.most_common()]),
        ("Done", [(f"rescues {state}", count) for state, count in board.states.most_common()]),
        ("Skipped", [(f"{reason} ({_some(board, reason)})", count) for reason, count in board.skipped.most_common()]),
    ]


def _some(board: Board, reason: str) -> str:
    nodes = sorted(board.skipped_nodes[reason])
    return ", ".join(nodes[:_NODES]) + (f" and {len(nodes) - _NODES} more nodes" if len(nodes) > _NODES else "")


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S")
