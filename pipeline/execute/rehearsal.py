"""Several executors over one store: one acts on the cluster, others rehearse on copies of it, and none sees another's.

What is rehearsed is executed by the same code as what is done. It differs in what that code is given: a view of the
store in which only its own rescues show, and a copy of the cluster with a simulated rebooter. So a rehearsed cordon
never counts for the breaker, and no rehearsed rescue takes over a real one or waits for it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pipeline.execute.actions.marks import signature
from pipeline.execute.store import RescueStore
from pipeline.model.node import Node, NodePatch
from pipeline.model.plan import ActionName
from pipeline.model.rescue import Rescue, Status


class Execution(Protocol):
    """What the loops ask of those who execute rescues."""

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        """Take every rescue that is due as far as it goes now; return when the next is due, None if there is none.

        A step that takes longer than *longest*, in real time, is not waited for: it goes on beside later ticks, and its
        rescue is due again when it has come back, so that somebody has to look again after that time.
        """
        ...

    async def settle(self) -> None:
        """Return when no step is being taken any more."""
        ...

    async def stop(self) -> None:
        """Break off every step that is being taken: whoever acts next goes on from what is saved."""
        ...

    async def record_rest(self) -> None:
        """Make every journal safe, waiting for the sinks: the end of the run."""
        ...


class Stage(Protocol):
    """A copy of the cluster on which is rehearsed."""

    @property
    def synced(self) -> bool:
        """Whether it knows the nodes."""
        ...

    def nodes(self) -> Mapping[str, Node]:
        """All its nodes, by name."""
        ...

    def edit_node(self, name: str, patch: NodePatch) -> Node:
        """Change a node of the copy, whatever its version."""
        ...

    def put_back(self, node: str) -> None:
        """Have the machine of a node be again as the real one is."""
        ...


class SideBySide:
    """Executors that go on at the same time."""

    def __init__(self, executions: Sequence[Execution]) -> None:
        self._executions = executions

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        """Let each work; return when the first of them is due again, None if none of them has an open rescue."""
        # Where one cannot go on, none of the others begins a step any more.
        async with asyncio.TaskGroup() as together:
            ticks = [together.create_task(execution.tick(longest)) for execution in self._executions]
        return min((due for tick in ticks if (due := tick.result()) is not None), default=None)

    async def settle(self) -> None:
        """Return when none of them takes a step any more."""
        await asyncio.gather(*(execution.settle() for execution in self._executions))

    async def stop(self) -> None:
        """Break off what each of them does."""
        await asyncio.gather(*(execution.stop() for execution in self._executions))

    async def record_rest(self) -> None:
        """Make every journal safe, waiting for the sinks: the end of the run."""
        for execution in self._executions:
            await execution.record_rest()


class Rehearsal:
    """Executes on a copy of the cluster what policies want rehearsed; the copy lasts, and the marks on it with it.

    So cordons add up there as they would, and the breaker is rehearsed as well. A reboot is another matter: no later
    fault comes out of the boot that was simulated, but out of that in which the real machine still is. When the last
    rescue of a node has ended, its machine is as the real one again, or every later one would look older than its boot.

    A copy is gone with its process; the next one cordons on its own copy again what an open rehearsal has cordoned.
    """

    def __init__(self, rescues: RescueStore, executor: Execution, stage: Stage) -> None:
        """*rescues* are those to be rehearsed; *executor* works on these and acts on the *stage*."""
        self._rescues = rescues
        self._executor = executor
        self._stage = stage
        self._before: set[str] = set()
        self._resumed = False

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        """Take every rescue that is due as far as it goes now; return when the next is due, None if there is none."""
        if not self._resumed and self._stage.synced:
            self._resume()
        before = self._before | self._busy()
        due = await self._executor.tick(longest)
        self._before = self._busy()
        for node in sorted(before - self._before):
            self._stage.put_back(node)
        return due

    async def settle(self) -> None:
        """Return when no step is being rehearsed any more."""
        await self._executor.settle()

    async def stop(self) -> None:
        """Break off what is being rehearsed."""
        await self._executor.stop()

    async def record_rest(self) -> None:
        """Make every journal safe, waiting for the sinks: the end of the run."""
        await self._executor.record_rest()

    def _busy(self) -> set[str]:
        return {rescue.node for rescue in self._rescues.open()}

    def _resume(self) -> None:
        self._resumed = True
        nodes = self._stage.nodes()
        for rescue in self._rescues.open():
            node = nodes.get(rescue.node)
            if node is not None and not node.unschedulable and _has_cordoned(rescue):
                marks = signature(rescue.name, rescue.created)
                self._stage.edit_node(rescue.node, NodePatch(unschedulable=True, annotations=marks))


class Drills:
    """Executes drills on a copy of the cluster that is thrown away when none of them is open.

    So a drill can be held again: neither a node that went offline in the last one nor a standby that was used up in it
    stands in its way. Drills that are open at the same time share a copy, as faults share a cluster. Where there is no
    drill there is no copy.
    """

    def __init__(self, drills: RescueStore, prepare: Callable[[], Execution]) -> None:
        """*drills* are those to be held; *prepare* returns an executor over these on a new copy."""
        self._drills = drills
        self._prepare = prepare
        self._executor: Execution | None = None
        self._worn = False

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        """Take every drill that is due as far as it goes now; return when the next is due, None if there is none."""
        if not self._drills.unfinished():
            self._executor = None
            return None
        if self._executor is None or (self._worn and self._drills.open()):
            # What it still does for drills that have ended, the next one goes on with.
            await self.stop()
            self._executor = self._prepare()
        due = await self._executor.tick(longest)
        self._worn = not self._drills.open()
        return due

    async def settle(self) -> None:
        """Return when no step of a drill is being taken any more."""
        if self._executor is not None:
            await self._executor.settle()

    async def stop(self) -> None:
        """Break off the drills."""
        if self._executor is not None:
            await self._executor.stop()

    async def record_rest(self) -> None:
        """Make every journal safe, waiting for the sinks: the end of the run."""
        if self._drills.unfinished():
            await (self._executor or self._prepare()).record_rest()


def _has_cordoned(rescue: Rescue) -> bool:
    done = {
        action.name
        for action, step in zip(rescue.plan.actions, rescue.steps, strict=True)
        if step.status is Status.SUCCEEDED
    }
    return ActionName.CORDON in done and ActionName.UNCORDON not in done
