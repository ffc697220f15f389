"""What several tests on a real API server need."""

import uuid

import pytest


@pytest.fixture
def name() -> str:
    return f"gpu-{uuid.uuid4().hex[:8]}"
