"""reboot: turn the machine off and on, once, and wait for the proof that it came back whole."""

import asyncio
from datetime import datetime, timedelta
from uuid import uuid4

from pipeline.cluster.port import Cluster
from pipeline.decide.boots import same_boot
from pipeline.errors import TemporaryError
from pipeline.execute.actions import proof
from pipeline.execute.actions.marks import leave, taken_back
from pipeline.execute.actions.port import Abandon, Intend, Outcome, Wait
from pipeline.execute.actions.proof import ASKED_AT, GPUS, INTENDED_AT, POLL, TRIED_AT
from pipeline.model.node import Node
from pipeline.model.plan import Reboot
from pipeline.model.rescue import BOOT_ID, REBOOTED_AT, CancelReason, EventAction, Rescue, StepState
from pipeline.rebooters.port import Asked, Rebooter

ASKING = timedelta(seconds=30)
"""How long the asking for a reboot may take; less than `execute.step_timeout`, which would lose when it was tried."""

_BY = "by"
"""Memo: a token that only the process that made the intent knows."""


class RebootRunner:
    """Reboots through a rebooter.

    The boot id goes into the memo before anything is asked of the machine. A changed boot id is the only proof that
    counts, so that no crash of ours, and no lost answer, leads to a second reboot.
    """

    def __init__(self, cluster: Cluster, rebooter: Rebooter, asking: timedelta = ASKING) -> None:
        self._cluster = cluster
        self._asking = asking
        self._rebooter = rebooter
        self._intended_here: dict[str, str] = {}

    async def run(self, reboot: Reboot, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        """Note the boot id, then ask for the reboot, then wait for boot id, Ready and GPUs.

        Up to the asking, a node that was taken back is left alone, and a rescue that was withdrawn asks no more. Raises
        TemporaryError while the node has no boot id that could be noted, or compared before the asking.
        """
        node = await self._cluster.get_node(rescue.node)
        if BOOT_ID not in step.memo:
            return await self._intend(node, rescue, now)
        if REBOOTED_AT in step.memo:
            return proof.of_whole_node(node, step.memo, reboot.timeout, now)
        if proof.new_boot(node, step.memo):
            self._intended_here.pop(_request(rescue), None)
            return Wait(timedelta(0), {**step.memo, REBOOTED_AT: now.isoformat()})
        if ASKED_AT in step.memo:
            return proof.of_new_boot(node, step.memo, reboot.timeout, now)
        return await self._ask(node, reboot, rescue, step, now)

    async def _intend(self, node: Node, rescue: Rescue, now: datetime) -> Outcome:
        if taken_back(node, rescue):
            return await leave(self._cluster, node, rescue)
        _demand_boot_id(node)
        before = rescue.cause.fault.line.boot_id or rescue.cause.boot_id or node.boot_id
        token = uuid4().hex
        memo = {BOOT_ID: before, GPUS: str(proof.expected_gpus(node)), INTENDED_AT: now.isoformat(), _BY: token}
        if not (node.ready or same_boot(node.boot_id, before)):
            # A node that is not Ready may still show the boot before the one that the line is of.
            raise TemporaryError(f"{node.name} is not Ready, and its boot id may be an old one")
        self._intended_here[_request(rescue)] = token
        if same_boot(node.boot_id, before):
            return Intend(memo, f"{node.name} is about to be rebooted, its boot id is {before}")
        # A machine that has rebooted since the fault needs no second reboot: its new boot id is proof already.
        return Intend(memo, f"{node.name} has rebooted since the fault, which was in boot {before}: that will do")

    async def _ask(self, node: Node, reboot: Reboot, rescue: Rescue, step: StepState, now: datetime) -> Outcome:
        request = _request(rescue)
        asked = await self._rebooter.asked(node, request)
        if asked is Asked.YES:
            return Wait(POLL, {**step.memo, ASKED_AT: now.isoformat()})
        # A road without memory cannot tell whether a crash fell before or after the asking. Only the process that made
        # the very intent that was saved knows that it has not asked yet.
        if asked is Asked.UNKNOWN and self._intended_here.get(request) != step.memo[_BY]:
            return proof.of_new_boot(node, step.memo, reboot.timeout, now)
        if rescue.withdrawn is not None:
            return self._not_asked(rescue, rescue.withdrawn, step, now)
        if taken_back(node, rescue):
            self._intended_here.pop(request, None)
            return await leave(self._cluster, node, rescue)
        _demand_boot_id(node)
        return Wait(POLL, {**step.memo, await self._reboot(node, request): now.isoformat()})

    def _not_asked(self, rescue: Rescue, reason: CancelReason, step: StepState, now: datetime) -> Outcome:
        """Ask no more. What somebody else may have been asking when it was withdrawn must have arrived first."""
        mine = self._intended_here.pop(_request(rescue), None) == step.memo[_BY]
        at = next(entry.time for entry in rescue.journal if entry.action is EventAction.RESCUE_WITHDRAWN)
        if not mine and now < at + self._asking:
            return Wait(POLL)
        return Abandon(reason, f"{rescue.node} was not asked to reboot")

    async def _reboot(self, node: Node, request: str) -> str:
        """Ask for the reboot; return under which key of the memo to remember when."""
        token = self._intended_here.pop(request, None)
        try:
            async with asyncio.timeout(self._asking.total_seconds()):
                await self._rebooter.reboot(node, request)
        except TemporaryError:
            # Certainly not accepted: whoever might ask before may ask again.
            if token is not None:
                self._intended_here[request] = token
            raise
        except TimeoutError:
            return TRIED_AT
        return ASKED_AT


def _request(rescue: Rescue) -> str:
    return f"{rescue.name}-reboot"


def _demand_boot_id(node: Node) -> None:
    if not node.boot_id:
        raise TemporaryError(f"{node.name} has no boot id yet")
