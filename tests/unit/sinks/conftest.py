"""What a disk is told."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def forced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files and folders that were forced to the disk, in that order."""
    forced: list[Path] = []
    force = os.fsync

    def watched(descriptor: int) -> None:
        force(descriptor)
        forced.append(Path(f"/proc/self/fd/{descriptor}").readlink())

    monkeypatch.setattr(os, "fsync", watched)
    return forced
