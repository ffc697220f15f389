"""The command line: one file per command.

Prints for people on a terminal, plain text or NDJSON in a pipe. Exits 0 when done, 1 when something failed while
running, 2 for bad input, with `FILE:LINE: what is wrong; what would be right`.
"""

import io
import os
import sys
from typing import Any

import click
import structlog

from pipeline.cli.backtest import backtest
from pipeline.cli.check import check
from pipeline.cli.explain import explain
from pipeline.cli.inject import inject
from pipeline.cli.install import install
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
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            ctx.exit(_told(_innermost(error)))


def _innermost(error: BaseException) -> BaseException:
    """The error itself, out of the groups that tasks wrap around it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _told(error: BaseException) -> int:
    """Say what is wrong on standard error, and return the exit code that goes with it."""
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone (`gpu-rescue match | head`), which is its right.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, BadInputError):
        click.echo(str(error), err=True)
        return 2
    if isinstance(error, PermanentError | TemporaryError | SinkError | OSError):
        click.echo(f"gpu-rescue: {error}", err=True)
        return 1
    structlog.get_logger().debug("defect", exc_info=error)
    click.echo(
        f"gpu-rescue: a defect of its own: {type(error).__name__}: {error}; --set log.level=debug says more", err=True
    )
    return 1


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="gpu-rescue")
def main() -> None:
    """GPU nodes that heal themselves: kernel logs in, faults recognised and decided, nodes rescued, records out."""
    for stream in (sys.stdout, sys.stderr):
        # A log holds any text; a terminal that cannot show it is no reason to stop.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    configure_logging(json=not sys.stderr.isatty(), level="info")


for _command in (run, match, check, explain, inject, backtest, records, schema, install):
    main.add_command(_command)
