"""What people see with kubectl of a fault and of what was done about it."""

import json
import uuid

import pytest

from pipeline.cluster.kube.api import KubeApi
from pipeline.cluster.kube.events import KubeAnnouncer
from pipeline.cluster.kube.settings import NAMESPACE, KubernetesClusterConfig
from pipeline.execute.announce import Language
from pipeline.execute.announcements import Announcements
from pipeline.execute.progress import done, started
from pipeline.execute.records import records, skip_records
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.fault import Fault
from pipeline.model.plan import Cordon, Skip, SkipReason
from pipeline.settings import shipped
from tests.fakes.faults import NOON, line, node_fault, plan, rescue
from tests.services.kube.nodes import create_node
from tests.services.kube.plane import ControlPlane, KubectlError

SEED = "NVRM: Xid (PCI:0000:03:00): 62, Channel 00000001"
SKIP = Skip(SkipReason.STALE, "it is old")


@pytest.fixture
async def node(kube_api: KubeApi) -> str:
    name = f"gpu-{uuid.uuid4().hex[:8]}"
    await create_node(kube_api, name)
    return name


def recognised(text: str) -> Fault:
    found = Matcher(load_patterns([shipped() / "patterns"])).match(line(text))
    assert isinstance(found, Fault)
    return found


async def told_of_the_seed(api: KubeApi, node: str, namespace: str, language: Language = "zh") -> None:
    """Tell of the seed's line on a node, and of the rescue that cordons the node."""
    found = node_fault(62, node=node, fault=recognised(SEED))
    planned = rescue(name=f"{node}-xid-62-a", node=node, cause=found, plan=plan(Cordon()))
    after = done(started(planned, 0, NOON), 0, NOON, f"{node}: cordoned", {})
    telling = Announcements(KubeAnnouncer(api, namespace), language, behind=0)
    telling.show(records(after))
    await telling.close()


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("zh", "当前实例发生GPU Xid错误,pci:0000:03:00,xid:62,日志: Channel 00000001"),
        ("en", "GPU Xid error on this instance,pci:0000:03:00,xid:62,log: Channel 00000001"),
    ],
)
async def test_the_seeds_line_is_seen_in_kce_rescue_system(
    kube: ControlPlane, kube_api: KubeApi, node: str, language: Language, message: str
) -> None:
    if not kube.kubectl("get", "namespace", NAMESPACE, "--ignore-not-found"):
        kube.kubectl("create", "namespace", NAMESPACE)
    await told_of_the_seed(kube_api, node, NAMESPACE, language)
    selected = f"--field-selector=involvedObject.kind=Node,involvedObject.name={node}"
    lines = kube.kubectl("get", "event", "-n", NAMESPACE, "--no-headers", selected).splitlines()
    (fault,) = [line for line in lines if "XidError" in line]
    assert fault.split(maxsplit=4)[1:] == ["Warning", "XidError", f"node/{node}", message]
    story = json.loads(kube.kubectl("get", "event", "-n", NAMESPACE, "-o", "json", selected))["items"]
    assert {(item["type"], item["reason"]) for item in story} == {
        ("Warning", "XidError"),
        ("Normal", "RescuePlanned"),
        ("Normal", "NodeCordoned"),
        ("Normal", "RescueSucceeded"),
    }
    assert {item["source"]["component"] for item in story} == {"gpu-rescue"}
    assert f"{node}: cordoned" in kube.kubectl("events", "-n", NAMESPACE, "--for", f"node/{node}")


@pytest.mark.parametrize("own", [False, True], ids=["in default", "in a namespace of ours"])
async def test_describe_shows_what_is_in_the_default_namespace_alone(
    kube: ControlPlane, kube_api: KubeApi, namespace: str, node: str, own: bool
) -> None:
    """An event elsewhere has to name a namespace of the node, which kubectl does not look for."""
    await told_of_the_seed(kube_api, node, namespace if own else "default")
    described = kube.kubectl("describe", "node", node)
    assert ("当前实例发生GPU Xid错误" in described, "NodeCordoned" in described) == (not own, not own)


async def test_without_the_right_an_event_is_lost_and_nothing_else(
    kube: ControlPlane, kube_api: KubeApi, namespace: str, node: str, capsys: pytest.CaptureFixture[str]
) -> None:
    restricted = kube.kubeconfig_for("restricted-token")
    with pytest.raises(KubectlError, match="forbidden"):
        kube.kubectl("get", "event", "-n", namespace, kubeconfig=restricted)
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=restricted))
    telling = Announcements(KubeAnnouncer(api, namespace), "zh", behind=0)
    telling.show(skip_records(f"{node}-xid-79-a", node_fault(node=node), SKIP))
    await telling.close()
    await api.close()
    assert 'cannot create resource "events"' in capsys.readouterr().out
    assert (await kube_api.get(f"/api/v1/namespaces/{namespace}/events"))["items"] == []
