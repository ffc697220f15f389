"""The command line: one file per command.

Prints for people on a terminal, plain text or NDJSON in a pipe. Exits 0 when done, 1 when something failed while
running, 2 for bad input, with `FILE:LINE: what is wrong; what would be right`.
"""

import os
import sys
from typing import Any

import click

from pipeline.cli.check import check
from pipeline.cli.match import match
from pipeline.cli.records import records
from pipeline.cli.run import run
from pipeline.cli.schema import schema
from pipeline.errors import BadInputError, PermanentError, TemporaryError
from pipeline.telemetry import configure_logging
from sinks.base import SinkError


class _Commands(click.Group):
    """Turns errors into an exit code and words."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BadInputError as error:
            click.echo(str(error), err=True)
            ctx.exit(2)
        except (PermanentError, TemporaryError, SinkError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                # The reader of our output has gone (`gpu-rescue match | head`), which is its right.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                ctx.exit(0)
            click.echo(f"gpu-rescue: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="gpu-rescue")
def main() -> None:
    """GPU nodes that heal themselves: kernel logs in, faults recognised and decided, nodes rescued, records out."""
    configure_logging(json=not sys.stderr.isatty(), level="warning")


for _command in (run, match, check, records, schema):
    main.add_command(_command)
