"""A simulated cluster that lasts is after a restart what it would have been without one."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from pipeline.clock import ManualClock
from pipeline.cluster.memory import Budget, LastingCluster
from pipeline.errors import BadInputError, TemporaryError
from pipeline.model.node import Node, NodePatch, Pod, Taint
from tests.fakes.faults import NOON
from tests.fakes.world import gpu_node

_SECOND = timedelta(seconds=1)
_PODS = [Pod("team", f"train-{number}", "gpu-1", owner="ReplicaSet", labels={"app": "train"}) for number in range(3)]
_GUARDED = Pod("team", "db-0", "gpu-1", owner="StatefulSet", labels={"app": "db"})


class Runs:
    """The same cluster in one process after another."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = ManualClock(NOON)
        self.cluster = self.next_process()

    def next_process(self, nodes: Sequence[str] = ("gpu-1", "gpu-2")) -> LastingCluster:
        pods = [*_PODS, _GUARDED] if "gpu-1" in nodes else []
        self.cluster = LastingCluster(self.clock, [gpu_node(name) for name in nodes], pods)
        self.cluster.add_budget(Budget("db", "team", {"app": "db"}, min_available=1))
        self.cluster.recall(self.path)
        self.cluster.go_on()
        return self.cluster

    def passes(self, seconds: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(seconds=seconds))

    async def look(self) -> list[object]:
        """All that there is to see."""
        nodes = dict(self.cluster.nodes())
        pods = [pod for name in nodes for pod in await self.cluster.pods_on(name)]
        return [nodes, pods, self.cluster.reboots, self.cluster.next_change()]

    async def rescue(self, pause: float) -> None:
        """What a rescue does to gpu-1, with pauses between."""
        node = await self.cluster.get_node("gpu-1")
        patch = NodePatch(True, {"a": "b", "app": None}, {"why": "Xid 79"}, (Taint("a", "b", "NoSchedule"),))
        await self.cluster.patch_node("gpu-1", patch, node.resource_version)
        for pod in await self.cluster.pods_on("gpu-1"):
            self.passes(pause)
            if pod.name == _GUARDED.name:
                with pytest.raises(TemporaryError):
                    await self.cluster.evict(pod)
                await self.cluster.delete_pod(pod, 2 * _SECOND)
            else:
                await self.cluster.evict(pod)
        self.passes(pause)
        self.cluster.reboot("gpu-1", "gpu-1-xid-79-abc-reboot")
        self.cluster.newcomer("host_of.the log")
        self.passes(pause)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "cluster.ndjson")


@pytest.mark.parametrize("pause", [0, 1.5, 20, 45, 120, 600])
async def test_it_goes_on_where_it_was(runs: Runs, pause: float) -> None:
    await runs.rescue(pause)
    before = await runs.look()
    runs.next_process()
    assert await runs.look() == before


async def test_what_was_under_way_comes_to_its_end(runs: Runs) -> None:
    await runs.rescue(1)
    old = runs.cluster
    runs.next_process()
    runs.passes(600)
    assert await runs.look() == [
        dict(old.nodes()),
        [pod for name in old.nodes() for pod in await old.pods_on(name)],
        old.reboots,
        old.next_change(),
    ]
    assert len(runs.cluster.reboots) == 1
    assert runs.cluster.reboot_asked("gpu-1", "gpu-1-xid-79-abc-reboot")


async def test_it_lasts_over_several_restarts(runs: Runs) -> None:
    for number in range(3):
        runs.next_process().edit_node("gpu-1", NodePatch(annotations={f"n{number}": "1"}))
    runs.next_process()
    assert runs.cluster.nodes()["gpu-1"].annotations == {"n0": "1", "n1": "1", "n2": "1"}


async def test_half_a_line_at_the_end_was_never_done(runs: Runs) -> None:
    runs.cluster.cordon_by_hand("gpu-1")
    runs.cluster.cordon_by_hand("gpu-2")
    _change(runs.path, runs.path.read_bytes()[:-10])
    runs.next_process()
    assert [node.unschedulable for node in runs.cluster.nodes().values()] == [True, False]
    runs.cluster.cordon_by_hand("gpu-2")
    runs.next_process()
    assert [node.unschedulable for node in runs.cluster.nodes().values()] == [True, True]


async def test_it_is_recalled_without_a_change_to_the_file(runs: Runs) -> None:
    runs.cluster.cordon_by_hand("gpu-1")
    runs.cluster.cordon_by_hand("gpu-2")
    content = runs.path.read_bytes()[:-10]
    _change(runs.path, content)
    looking = LastingCluster(runs.clock, [gpu_node("gpu-1"), gpu_node("gpu-2")])
    looking.recall(runs.path)
    looking.cordon_by_hand("gpu-2")
    assert [node.unschedulable for node in looking.nodes().values()] == [True, True]
    assert runs.path.read_bytes() == content


async def test_an_effect_that_could_not_be_written_is_with_the_next(runs: Runs) -> None:
    _hide(runs.path)
    with pytest.raises(TemporaryError, match=r"cluster\.ndjson: cannot be written to: Is a directory"):
        runs.cluster.cordon_by_hand("gpu-1")
    _unhide(runs.path)
    runs.cluster.cordon_by_hand("gpu-2")
    runs.next_process()
    assert [node.unschedulable for node in runs.cluster.nodes().values()] == [True, True]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(b"{}\n", ":1: is no effect on a simulated cluster; remove the file", id="no effect"),
        pytest.param(
            None, ":1: does not go with the nodes of the cluster: node gpu-1 does not exist", id="other nodes"
        ),
    ],
)
def test_a_file_of_something_else_is_refused(runs: Runs, content: bytes | None, told: str) -> None:
    runs.cluster.cordon_by_hand("gpu-1")
    if content is not None:
        _change(runs.path, content)
    with pytest.raises(BadInputError) as refused:
        runs.next_process(["gpu-2"])
    assert str(refused.value).startswith(f"{runs.path}{told}")


def test_a_file_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be used: No such file or directory; name a file in a folder"):
        Runs(tmp_path / "none" / "cluster.ndjson")


def test_a_cluster_that_keeps_nothing_is_a_simulated_one_like_any_other() -> None:
    cluster = LastingCluster(ManualClock(NOON), [Node("gpu-1", "")])
    assert cluster.cordon_by_hand("gpu-1").unschedulable


def _change(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _hide(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _unhide(path: Path) -> None:
    path.rmdir()
    path.touch()
