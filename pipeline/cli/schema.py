"""`gpu-rescue schema`: JSON Schemas, for editors and other programs."""

from collections.abc import Callable
from typing import Any

import click
import orjson

from pipeline.backtest.report import Report
from pipeline.decide.policy import policy_schema
from pipeline.documents import json_schema
from pipeline.settings import Settings
from sinks.schema import record_schema


@click.command()
@click.argument("what", type=click.Choice(["config", "record", "policy", "backtest"]))
def schema(what: str) -> None:
    """Print the JSON Schema of the configuration, of a rescue record, of a policy, or of a backtest.

    \b
    Example:
      gpu-rescue schema config > pipeline.schema.json
    """
    schemas: dict[str, Callable[[], Any]] = {
        "config": lambda: json_schema(Settings),
        "record": record_schema,
        "policy": policy_schema,
        "backtest": lambda: json_schema(Report),
    }
    click.echo(orjson.dumps(schemas[what](), option=orjson.OPT_INDENT_2))
