"""Draws docs/run.svg, the picture of the embedded run in the README: `python -m docs.picture`."""

import asyncio
import io
import re
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from pipeline.app import build
from pipeline.cli.board import Board, Totals
from pipeline.cli.console import rescues_table, summary_table
from pipeline.settings import read_settings, shipped
from sinks.base import Record

_MOMENT = "step-intended gpu-a100-03"


async def _no_pause(_: timedelta) -> None:
    """The picture needs no waiting."""


async def _draw(console: Console, records: Path) -> None:
    board = Board()

    def watch(batch: Sequence[Record]) -> None:
        for record in batch:
            board.take(record)
            told = f"{record.document['event']['action']} {record.document['host']['name']}"
            if told == _MOMENT and "boot id" in record.document["message"]:
                console.print(rescues_table(list(board.rows.values())), "… and at the end:\n")

    async with AsyncExitStack() as stack:
        settings = read_settings(shipped() / "pipeline.yaml", [f"sinks.0.path={records}"])
        app = build(settings, _no_pause, watch, stack)
        await app.loop.run()
    console.print(
        rescues_table(list(board.rows.values())),
        "",
        summary_table(board, Totals(app.lines_read, app.oddities.problems, app.oddities.unknown_driver_lines)),
    )


def main() -> None:
    """Run the embedded pipeline and draw it in the middle and at its end."""
    console = Console(record=True, width=116, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_draw(console, Path(folder) / "records.ndjson"))
    picture = console.export_svg(title="make run")
    # The fonts that rich would fetch from the network are left to the reader's own.
    without_fonts = re.sub(r"@font-face \{.*?\}\n?", "", picture, flags=re.DOTALL)
    (Path(__file__).parent / "run.svg").write_text(without_fonts)


if __name__ == "__main__":
    main()
