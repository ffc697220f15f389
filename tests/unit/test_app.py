"""What the composition adds to its parts: metrics that are read off the cluster."""

from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from prometheus_client import REGISTRY

from pipeline.app import build
from pipeline.settings import read_settings, shipped


async def _pause(_: timedelta) -> None:
    """Time costs nothing here."""


async def test_a_metric_tells_how_many_standbys_are_free(tmp_path: Path) -> None:
    async def free(*options: str) -> float | None:
        options = (f"sinks.0.path={tmp_path / 'records.ndjson'}", *options)
        async with AsyncExitStack() as stack:
            build(read_settings(shipped() / "pipeline.yaml", options, {}), _pause, lambda _: None, stack)
            return REGISTRY.get_sample_value("gpu_rescue_free_standbys")

    assert await free() == 2.0
    assert await free("standby.label=team/pool") == 0.0
