"""`gpu-rescue schema`: JSON Schemas, for editors and other programs."""

import click
import orjson

from pipeline.decide.policy import policy_schema
from pipeline.documents import json_schema
from pipeline.settings import Settings
from sinks.schema import record_schema


@click.command()
@click.argument("what", type=click.Choice(["config", "record", "policy"]))
def schema(what: str) -> None:
    """Print the JSON Schema of the configuration, of a rescue record, or of a policy.

    \b
    Example:
      gpu-rescue schema config > pipeline.schema.json
    """
    schemas = {"config": lambda: json_schema(Settings), "record": record_schema, "policy": policy_schema}
    click.echo(orjson.dumps(schemas[what](), option=orjson.OPT_INDENT_2))
