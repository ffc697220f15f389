"""What several tests on a real API server need."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from tests.integration.kube.charting import Chart
from tests.services.kube.plane import ControlPlane


@pytest.fixture
def name() -> str:
    return f"gpu-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def own_api(own_kube: ControlPlane) -> AsyncIterator[KubeApi]:
    """The administrator's calls of `own_kube`, in pages of two."""
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=own_kube.kubeconfig, page_size=2))
    yield api
    await api.close()


@pytest.fixture
def chart(helm: Path, tmp_path: Path) -> Chart:
    """The Helm chart."""
    return Chart(helm, tmp_path)
