"""The options that several commands share."""

import sys
from pathlib import Path

import click

from pipeline.settings import Settings, read_settings, shipped
from pipeline.telemetry import configure_logging

config = click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file; without it the shipped one of the embedded run.",
)
sets = click.option(
    "--set", "overrides", multiple=True, metavar="A.B=C", help="Set one key of the configuration; may be repeated."
)


def settings_of(path: Path | None, overrides: tuple[str, ...]) -> Settings:
    """Read the configuration that the options name, and log as it says."""
    settings = read_settings(path or shipped() / "pipeline.yaml", overrides)
    configure_logging(json=not sys.stderr.isatty(), level=settings.log.level)
    return settings
