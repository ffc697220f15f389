"""reboot: turn the machine off and on, once, and wait for the proof that it came back whole."""

from datetime import datetime, timedelta

from pipeline.cluster.port import Cluster
from pipeline.decide.boots import same_boot
from pipeline.errors import TemporaryError
from pipeline.execute.actions.port import Done, Fail, Intend, Outcome, Wait
from pipeline.model.node import Node
from pipeline.model.plan import Reboot
from pipeline.model.rescue import FailReason, Rescue, StepState
from pipeline.rebooters.port import Asked, Rebooter

_POLL = timedelta(seconds=10)
_GPU_COUNT_LABEL = "nvidia.com/gpu.count"


class RebootRunner:
    """Reboots through a rebooter.

    The boot id goes into the memo before anything is asked of the machine. A changed boot id is the only proof that
    counts, so that no crash of ours, and no lost answer, leads to a second reboot.
    """

    def __init__(self, cluster: Cluster, rebooter: Rebooter) -> None:
        self._cluster = cluster
        self._rebooter = rebooter
        self._intended_here: set[str] = set()

    async def run(self, reboot: Reboot, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Note the boot id, then ask for the reboot, then wait for boot id, Ready and GPUs."""
        node = await self._cluster.get_node(rescue.node)
        request = f"{rescue.name}-reboot"
        if "boot_id" not in step.memo:
            self._intended_here.add(request)
            return _intend(rescue, node, now)
        if not same_boot(node.boot_id, step.memo["boot_id"]):
            self._intended_here.discard(request)
            return _proof(node, step, reboot, now)
        if now >= _deadline(step, reboot):
            self._intended_here.discard(request)
            return _never_rebooted(node, step)
        if "asked_at" not in step.memo:
            return await self._ask(node, request, step, now)
        return Wait(_POLL)

    async def _ask(self, node: Node, request: str, step: StepState, now: datetime) -> Outcome:
        asked = await self._rebooter.asked(node, request)
        # A road without memory cannot tell whether a crash fell before or after the asking. Only the process that saved
        # the intent a moment ago knows that it has not asked yet.
        if asked is Asked.NO or (asked is Asked.UNKNOWN and request in self._intended_here):
            asked = await self._reboot(node, request)
        if asked is Asked.YES:
            return Wait(_POLL, {**step.memo, "asked_at": now.isoformat()})
        return Wait(_POLL)

    async def _reboot(self, node: Node, request: str) -> Asked:
        self._intended_here.discard(request)
        try:
            await self._rebooter.reboot(node, request)
        except TemporaryError:
            self._intended_here.add(request)
            raise
        except TimeoutError:
            return Asked.UNKNOWN
        return Asked.YES


def _intend(rescue: Rescue, node: Node, now: datetime) -> Intend:
    # A machine that has rebooted since the fault needs no second reboot: its new boot id is proof already.
    before = rescue.cause.fault.line.boot_id or rescue.cause.boot_id or node.boot_id
    gpus = max(node.gpus, _labelled_gpus(node))
    memo = {"boot_id": before, "gpus": str(gpus), "intended_at": now.isoformat()}
    return Intend(memo, f"{node.name} is about to be rebooted, its boot id is {before}")


def _labelled_gpus(node: Node) -> int:
    label = node.labels.get(_GPU_COUNT_LABEL, "")
    return int(label) if label.isdecimal() else 0


def _deadline(step: StepState, reboot: Reboot) -> datetime:
    return datetime.fromisoformat(step.memo["intended_at"]) + reboot.timeout


def _proof(node: Node, step: StepState, reboot: Reboot, now: datetime) -> Outcome:
    wanted = int(step.memo["gpus"])
    if node.ready and node.gpus_allocatable >= wanted:
        return Done(
            f"{node.name} has rebooted and is Ready with {node.gpus_allocatable} GPUs",
            {"boot_id_before": step.memo["boot_id"], "boot_id_after": node.boot_id, "gpus": node.gpus_allocatable},
        )
    if now < _deadline(step, reboot):
        return Wait(_POLL)
    state = "Ready" if node.ready else "not Ready"
    return Fail(
        FailReason.REBOOT_TIMEOUT,
        f"{node.name} has rebooted but is {state} with {node.gpus_allocatable} of {wanted} GPUs allocatable; "
        "it stays cordoned",
        {"gpus": node.gpus_allocatable, "gpus_expected": wanted},
    )


def _never_rebooted(node: Node, step: StepState) -> Fail:
    if "asked_at" in step.memo:
        return Fail(FailReason.REBOOT_TIMEOUT, f"{node.name} was told to reboot and has not; it stays cordoned")
    return Fail(
        FailReason.REBOOT_UNCERTAIN,
        f"nobody knows whether {node.name} was told to reboot, and it has not; it stays cordoned until a person looks",
    )
