"""The jars of Apache Kafka, by Maven (Apache License 2.0)."""

import shutil
from pathlib import Path

from tests.services.artifacts import Artifact, pins, verify
from tests.services.maven import run_maven

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
JARS = HERE / "jars.sha256"


def _fetch(folder: Path, scratch: Path) -> None:
    shutil.copy(POM, scratch)
    run_maven("copy-dependencies", scratch, outputDirectory=folder, includeScope="runtime")
    verify(folder, pins(JARS.read_text()))


KAFKA = Artifact("kafka", "4.4.0", POM.read_bytes() + JARS.read_bytes(), "45 jars, 45 MB", _fetch)
