"""The shape of a rescue record, as JSON Schema (2020-12), for whoever writes, indexes or reads records."""

from importlib.resources import files
from typing import Any

import orjson


def record_schema() -> dict[str, Any]:
    """Return the schema that ships beside this module."""
    schema: dict[str, Any] = orjson.loads((files("sinks") / "record.schema.json").read_bytes())
    return schema
