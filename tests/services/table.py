"""The services that `make services` starts. A new one: a folder beside this file with a Server, and a line here."""

from collections.abc import Callable, Mapping
from pathlib import Path

from tests.services.elasticsearch.node import Elasticsearch
from tests.services.kafka.broker import Kafka
from tests.services.kube.parts import Part
from tests.services.kube.plane import ControlPlane
from tests.services.processes import Launch
from tests.services.server import Server


def _kafka(folder: Path, launch: Launch) -> Server:
    return Kafka(folder, launch=launch)


def _elasticsearch(folder: Path, launch: Launch) -> Server:
    return Elasticsearch(folder, launch=launch)


def _kubernetes(folder: Path, launch: Launch) -> Server:
    return ControlPlane(folder, parts=tuple(Part), launch=launch)


SERVICES: Mapping[str, Callable[[Path, Launch], Server]] = {
    "kafka": _kafka,
    "elasticsearch": _elasticsearch,
    "kubernetes": _kubernetes,
}
"""By name, in the order in which they start."""
