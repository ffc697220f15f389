"""The execution loop: takes each open rescue one short, durable step further."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from pydantic import Field

from pipeline.clock import Clock
from pipeline.cluster.port import NodeCache
from pipeline.decide.admission import Cancel, Fold, Go, Hold, admit
from pipeline.decide.breaker import CACHE_LAG
from pipeline.decide.escalation import FAMILY, escalate
from pipeline.decide.guards import GuardSettings
from pipeline.documents import Strict
from pipeline.durations import Duration
from pipeline.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from pipeline.execute import progress
from pipeline.execute.actions.port import Abandon, ActionRunner, Done, Fail, Intend, Outcome, Wait
from pipeline.execute.recorder import Recorder
from pipeline.execute.store import RescueStore, update
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, FailReason, HoldReason, Rescue, Status

_log = structlog.get_logger()
_TRANSITIONS_PER_TICK = 50
_GENTLE = (ActionName.UNCORDON,)

Runners = Mapping[ActionName, ActionRunner[Any]]


class ExecuteSettings(Strict):
    """How rescues wait: before their first step, between steps, and when something is away."""

    settle: Duration = Field(
        FAMILY,
        description="How long a new rescue waits before its first step, so that the faults of its family, which follow "
        "within two seconds, are folded into it.",
    )
    hold_poll: Duration = Field(timedelta(seconds=30), description="How often a held rescue asks whether it may go on.")
    step_timeout: Duration = Field(
        timedelta(minutes=1),
        description="How long one call of a step may take before it counts as a temporary error; a step has many.",
    )
    retry_first: Duration = Field(
        timedelta(seconds=2), description="Pause after the first temporary error of a step; doubles."
    )
    retry_longest: Duration = Field(timedelta(seconds=60), description="Longest pause between two tries of a step.")
    max_attempts: int = Field(
        100,
        gt=0,
        description="Temporary errors in a row after which a step fails, after some 90 minutes; unCordon never does.",
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
        # Not before then, for reasons that need no place in the store: it is away, or a hold goes on unchanged.
        self._asleep: dict[str, datetime] = {}
        # The breaker has held a rescue in this tick: the ones behind it in the queue need not ask.
        self._full = False

    async def tick(self) -> datetime | None:
        """Take every rescue that is due as far as it goes now; return when the next is due, None if none is open."""
        now = self._clock.now()
        self._full = False
        async with asyncio.TaskGroup() as tasks:
            for rescue in self._store.all():
                unfinished = not rescue.status.ended or rescue.recorded < len(rescue.journal)
                if unfinished and self._due(rescue) <= now:
                    tasks.create_task(self._advance(rescue.name))
        return min((self._due(rescue) for rescue in self._store.open()), default=None)

    async def record_rest(self) -> None:
        """Make every journal safe, waiting for the sinks: the end of the run."""
        for rescue in self._store.all():
            await self._recorder.write_journal(rescue)

    def _due(self, rescue: Rescue) -> datetime:
        asleep = self._asleep.get(rescue.name)
        return rescue.due if asleep is None else max(rescue.due, asleep)

    def _sleep(self, name: str, delay: timedelta) -> None:
        self._asleep[name] = self._clock.now() + delay

    async def _advance(self, name: str) -> None:
        """Take one rescue further; whatever goes wrong with it, the others go on."""
        self._asleep.pop(name, None)
        try:
            for _ in range(_TRANSITIONS_PER_TICK):
                if name in self._asleep or not await self._further(name):
                    return
        except TemporaryError as error:
            _log.warning("store.away", rescue=name, error=str(error))
            self._sleep(name, error.delay or self._settings.retry_first)
        except Exception:
            _log.exception("rescue.defect", rescue=name)
            self._sleep(name, self._settings.retry_longest)

    async def _further(self, name: str) -> bool:
        """Record what is to be recorded and make one transition; return whether there may be another one now."""
        rescue = self._store.get(name)
        if rescue is None:
            return False
        if not await self._recorder.try_journal(rescue) and rescue.status.ended:
            self._sleep(name, self._settings.retry_first)
        rescue = self._store.get(name)
        if rescue is None or rescue.status.ended or rescue.due > self._clock.now():
            return False
        try:
            await self._transition(rescue)
        except NotFoundError:
            return False
        except ConflictError:
            # Somebody else wrote this rescue in between: what they wrote is looked at in the next round.
            await self._store.fetch(name)
        return True

    async def _transition(self, rescue: Rescue) -> None:
        index = rescue.current
        if index is None:
            await self._store.save(progress.succeeded(rescue, self._clock.now()))
        elif rescue.steps[index].started is None:
            await self._start(rescue, index)
        else:
            outcome = await self._outcome(rescue, index)
            await self._store.save(self._applied(rescue, index, outcome))

    async def _start(self, rescue: Rescue, index: int) -> None:
        now = self._clock.now()
        earliest = progress.earliest(rescue, index)
        if earliest is not None and now < earliest:
            await self._store.save(progress.waiting(rescue, index, earliest, None))
        elif rescue.plan.actions[index].name in _GENTLE:
            await self._store.save(progress.started(rescue, index, now))
        elif not self._nodes.synced:
            _log.warning("nodes.not-ready", rescue=rescue.name)
            self._sleep(rescue.name, self._settings.hold_poll)
        else:
            # One at a time: a rescue that was let through must count before the next one asks.
            async with self._admission:
                rescue = await self._gathered(rescue, now)
                await self._admit(rescue, index, now)

    async def _gathered(self, rescue: Rescue, now: datetime) -> Rescue:
        """Before the first step, take over what else has come up on the node: a family of faults is rescued as one."""
        if rescue.begun:
            return rescue
        for other in self._store.on_node(rescue.node):
            if other.name != rescue.name and not other.status.ended and not other.begun:
                verdict = admit(other, self._company(other, now), self._nodes.nodes(), now, self._guards)
                if verdict == Fold(rescue.name):
                    await self._fold(other, rescue.name, now)
        return self._store.get(rescue.name) or rescue

    async def _admit(self, rescue: Rescue, index: int, now: datetime) -> None:
        if self._full and rescue.reason == HoldReason.MAX_NODES:
            self._sleep(rescue.name, self._settings.hold_poll)
            return
        match admit(rescue, self._company(rescue, now), self._nodes.nodes(), now, self._guards):
            case Go():
                await self._store.save(progress.started(rescue, index, now))
            case Hold(reason, message):
                if rescue.status is not Status.HELD or rescue.reason != reason:
                    await self._store.save(progress.held(rescue, now, reason, message))
                self._full = self._full or reason is HoldReason.MAX_NODES
                self._sleep(rescue.name, self._settings.hold_poll)
            case Cancel(reason, message):
                await self._store.save(progress.cancelled(rescue, now, reason, message))
            case Fold(into):
                await self._fold(rescue, into, now)

    def _company(self, rescue: Rescue, now: datetime) -> list[Rescue]:
        """The rescues that bear on this one: the open ones, those of its node, and those that ended lately."""
        lately = (other for other in self._store.ended_since(now - CACHE_LAG))
        of_node = self._store.on_node(rescue.node)
        return list({other.name: other for other in (*self._store.open(), *of_node, *lately)}.values())

    async def _fold(self, rescue: Rescue, into: str, now: datetime) -> None:
        await update(self._store, into, lambda target: escalate(target, rescue, now))
        message = f"{rescue.node}: folded into rescue {into}, which is under way on the same node"
        await self._store.save(progress.cancelled(rescue, now, CancelReason.FOLDED, message))

    async def _outcome(self, rescue: Rescue, index: int) -> Outcome | TemporaryError:
        action, step = rescue.plan.actions[index], rescue.steps[index]
        try:
            async with asyncio.timeout(self._settings.step_timeout.total_seconds()):
                return await self._runners[action.name].run(action, rescue, step, self._clock.now())
        except TemporaryError as error:
            return error
        except TimeoutError:
            return TemporaryError("no answer in time")
        except NotFoundError as error:
            return Fail(FailReason.NODE_GONE, f"{rescue.node}: {error}")
        except PermanentError as error:
            return Fail(FailReason.REFUSED, f"{rescue.node}: {error}")
        except Exception as error:
            # A defect of ours in one action: it may pass, and if it does not the rescue ends and says so.
            _log.exception("action.defect", rescue=rescue.name, action=action.name)
            return TemporaryError(f"{type(error).__name__}: {error}")

    def _applied(self, rescue: Rescue, index: int, outcome: Outcome | TemporaryError) -> Rescue:
        now = self._clock.now()
        match outcome:
            case Done(message, details):
                return progress.done(rescue, index, now, message, details)
            case Intend(memo, message):
                return progress.intended(rescue, index, now, memo, message)
            case Wait(delay, memo):
                return progress.waiting(rescue, index, now + delay, memo)
            case Fail(reason, message, details):
                return progress.failed(rescue, index, now, reason, message, details)
            case Abandon(reason, message):
                return progress.abandoned(rescue, index, now, reason, message)
            case TemporaryError():
                return self._retried(rescue, index, now, outcome)

    def _retried(self, rescue: Rescue, index: int, now: datetime, error: TemporaryError) -> Rescue:
        attempts = rescue.steps[index].attempts + 1
        _log.warning("step.retry", rescue=rescue.name, step=index, attempts=attempts, error=str(error))
        if attempts >= self._settings.max_attempts and rescue.plan.actions[index].name not in _GENTLE:
            message = f"{rescue.node}: given up after {attempts} tries, the last one: {error}"
            return progress.failed(rescue, index, now, FailReason.ATTEMPTS_EXHAUSTED, message)
        doubled = self._settings.retry_first * 2 ** min(attempts - 1, 10)
        return progress.retrying(rescue, index, now + (error.delay or min(doubled, self._settings.retry_longest)))
