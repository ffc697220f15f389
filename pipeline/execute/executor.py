"""The execution loop: takes each open rescue one short, durable step further."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import Field

from pipeline.clock import Clock
from pipeline.cluster.port import NodeCache
from pipeline.decide.escalation import escalate
from pipeline.decide.guards import Cancel, Fold, Go, GuardSettings, Hold, admit
from pipeline.documents import Strict
from pipeline.durations import Duration
from pipeline.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from pipeline.execute import progress
from pipeline.execute.actions.port import ActionRunner, Done, Fail, Intend, Outcome, Wait
from pipeline.execute.recorder import Recorder
from pipeline.execute.store import RescueStore, update
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, FailReason, Rescue

_log = structlog.get_logger()
_TRANSITIONS_PER_TICK = 50
_GENTLE = (ActionName.UNCORDON,)

Runners = Mapping[ActionName, ActionRunner[Any]]


class ExecuteSettings(Strict):
    """How the executor waits."""

    hold_poll: Duration = Field(
        timedelta(seconds=30), description="How often a held rescue asks again whether it may go on."
    )
    retry_first: Duration = Field(
        timedelta(seconds=2), description="Pause after the first temporary error of a step; doubles."
    )
    retry_longest: Duration = Field(timedelta(seconds=60), description="Longest pause between two tries of a step.")
    max_attempts: int = Field(
        100, gt=0, description="Temporary errors in a row after which a step fails; 100 are about an hour and a half."
    )


class Executor:
    """Works off the open rescues of a store; every call may be its last, and another executor goes on from there."""

    def __init__(
        self,
        store: RescueStore,
        nodes: NodeCache,
        runners: Runners,
        recorder: Recorder,
        guards: GuardSettings,
        clock: Clock,
        settings: ExecuteSettings | None = None,
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._runners = runners
        self._recorder = recorder
        self._guards = guards
        self._clock = clock
        self._settings = settings or ExecuteSettings()
        self._admission = asyncio.Lock()

    async def tick(self) -> datetime | None:
        """Take every rescue that is due as far as it goes now; return when the next is due, None if none is open."""
        now = self._clock.now()
        async with asyncio.TaskGroup() as tasks:
            for rescue in self._store.all():
                if rescue.recorded < len(rescue.journal) or (not rescue.status.ended and rescue.due <= now):
                    tasks.create_task(self._advance(rescue.name, now))
        return min((rescue.due for rescue in self._store.open()), default=None)

    async def _advance(self, name: str, now: datetime) -> None:
        for _ in range(_TRANSITIONS_PER_TICK):
            rescue = self._store.get(name)
            if rescue is None:
                return
            await self._recorder.try_journal(rescue)
            if rescue.status.ended or rescue.due > now:
                return
            try:
                await self._transition(name, now)
            except (ConflictError, NotFoundError):
                # Somebody else wrote this rescue in between: what they wrote is looked at in the next round.
                continue
            except TemporaryError as error:
                _log.warning("store.away", rescue=name, error=str(error))
                return

    async def _transition(self, name: str, now: datetime) -> None:
        rescue = self._store.get(name)
        if rescue is None or rescue.status.ended:
            return
        index = rescue.current
        if index is None:
            await self._store.save(progress.succeeded(rescue, now))
            return
        if rescue.steps[index].started is None:
            await self._start(rescue, index, now)
            return
        await self._store.save(self._applied(rescue, index, now, await self._outcome(rescue, index, now)))

    async def _start(self, rescue: Rescue, index: int, now: datetime) -> None:
        earliest = progress.earliest(rescue, index)
        if earliest is not None and now < earliest:
            await self._store.save(progress.waiting(rescue, index, earliest, None))
            return
        # One at a time: a rescue that was let through must count before the next one asks.
        async with self._admission:
            if rescue.plan.actions[index].name in _GENTLE:
                await self._store.save(progress.started(rescue, index, now))
                return
            match admit(rescue, self._store.open(), self._nodes.nodes(), now, self._guards):
                case Go():
                    await self._store.save(progress.started(rescue, index, now))
                case Hold(reason, message):
                    until = now + self._settings.hold_poll
                    await self._store.save(progress.held(rescue, now, until, reason, message))
                case Cancel(reason, message):
                    await self._store.save(progress.cancelled(rescue, now, reason, message))
                case Fold(into):
                    await self._fold(rescue, into, now)

    async def _fold(self, rescue: Rescue, into: str, now: datetime) -> None:
        def taken_over(target: Rescue) -> Rescue:
            if target.status.ended:
                raise ConflictError(f"rescue {into} has ended meanwhile")
            return escalate(target, rescue, now)

        await update(self._store, into, taken_over)
        message = f"{rescue.node}: folded into rescue {into}, which is under way on the same node"
        await self._store.save(progress.cancelled(rescue, now, CancelReason.FOLDED, message))

    async def _outcome(self, rescue: Rescue, index: int, now: datetime) -> Outcome | TemporaryError:
        action, step = rescue.plan.actions[index], rescue.steps[index]
        try:
            return await self._runners[action.name].run(action, rescue, step, now)
        except TemporaryError as error:
            return error
        except NotFoundError as error:
            return Fail(FailReason.NODE_GONE, f"{rescue.node}: {error}")
        except PermanentError as error:
            return Fail(FailReason.REFUSED, f"{rescue.node}: {error}")
        except Exception as error:
            # A defect of ours in one action must neither end the other rescues nor this one without a word.
            _log.exception("action.defect", rescue=rescue.name, action=action.name)
            return TemporaryError(f"{type(error).__name__}: {error}")

    def _applied(self, rescue: Rescue, index: int, now: datetime, outcome: Outcome | TemporaryError) -> Rescue:
        match outcome:
            case Done(message, details):
                return progress.done(rescue, index, now, message, details)
            case Intend(memo, message):
                return progress.intended(rescue, index, now, memo, message)
            case Wait(delay, memo):
                return progress.waiting(rescue, index, now + delay, memo)
            case Fail(reason, message, details):
                return progress.failed(rescue, index, now, reason, message, details)
            case TemporaryError():
                return self._retried(rescue, index, now, outcome)

    def _retried(self, rescue: Rescue, index: int, now: datetime, error: TemporaryError) -> Rescue:
        attempts = rescue.steps[index].attempts + 1
        _log.warning("step.retry", rescue=rescue.name, step=index, attempts=attempts, error=str(error))
        if attempts >= self._settings.max_attempts:
            message = f"{rescue.node}: given up after {attempts} tries, the last one: {error}"
            return progress.failed(rescue, index, now, FailReason.ATTEMPTS_EXHAUSTED, message)
        doubled = self._settings.retry_first * 2 ** min(attempts - 1, 10)
        return progress.retrying(rescue, index, now + (error.delay or min(doubled, self._settings.retry_longest)))


def settled(rescues: Sequence[Rescue]) -> bool:
    """Whether every one of these open rescues only waits to be let on."""
    return all(rescue.status.value == "Held" for rescue in rescues)
