"""The execution loop: takes each open rescue one short, durable step further."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from pipeline.clock import Clock
from pipeline.cluster.port import NodeCache
from pipeline.decide.guards import GuardSettings
from pipeline.errors import BadInputError, ConflictError, NotFoundError, PermanentError, TemporaryError
from pipeline.execute import progress
from pipeline.execute.actions.port import Abandon, ActionRunner, Done, Fail, Intend, Outcome, Wait
from pipeline.execute.admissions import Admissions
from pipeline.execute.recorder import Recorder
from pipeline.execute.settings import ExecuteSettings
from pipeline.execute.store import RescueStore, update
from pipeline.model.plan import ActionName
from pipeline.model.rescue import CancelReason, FailReason, Rescue, Status

_log = structlog.get_logger()
_TRANSITIONS_PER_TICK = 50
_GENTLE = (ActionName.UNCORDON,)
_CORDONED = (ActionName.CORDON, Status.SUCCEEDED)
_SHOWN_AFTER = timedelta(seconds=1)
_ROUNDS_SINCE = datetime(1970, 1, 1, tzinfo=UTC)

Runners = Mapping[ActionName, ActionRunner[Any]]


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
        self._admissions = Admissions(store, nodes, guards, clock.now())
        self._clock = clock
        self._settings = settings or ExecuteSettings()
        self._rush = recorder.rush
        # Not before then, for reasons that need no place in the store: it is away, or a hold goes on unchanged.
        self._asleep: dict[str, datetime] = {}
        # Those that are being taken further, some of them since an earlier tick.
        self._advancing: dict[str, asyncio.Task[None]] = {}
        # Those of which this process has read or saved how far they are, since it began to lead.
        self._known: set[str] = set()

    async def tick(self, longest: timedelta | None = None) -> datetime | None:
        """Take every rescue that is due as far as it goes now; return when the next is due, None if there is none.

        A step that takes longer than *longest*, in real time, is not waited for: it goes on beside later ticks, and its
        rescue is due again when it has come back, so that somebody has to look again after that time.
        """
        now = self._clock.now()
        await self._give_up_deleted(now)
        self._admissions.begin_round(now)
        self._take_back()
        begun = [
            asyncio.create_task(self._advance(rescue.name), name=rescue.name)
            for rescue in self._store.unfinished()
            if rescue.name not in self._advancing and (self._due(rescue) <= now or self._seems_taken_back(rescue))
        ]
        self._advancing.update((task.get_name(), task) for task in begun)
        await self._wait(begun, longest)
        idle = (rescue for rescue in self._store.open() if rescue.name not in self._advancing)
        again = [now + longest] if self._advancing and longest is not None else []
        return min([*map(self._due, idle), *again], default=None)

    async def stop(self) -> None:
        """Break off every step that is being taken: whoever acts next goes on from what is saved."""
        for task in self._advancing.values():
            task.cancel()
        if self._advancing:
            await asyncio.wait(self._advancing.values())
        self._advancing.clear()

    async def _give_up_deleted(self, now: datetime) -> None:
        """Withdraw the rescues that somebody wants deleted; what goes wrong with one is tried again next time."""
        for rescue in self._store.condemned():
            if rescue.withdrawn is CancelReason.DELETED:
                continue
            try:
                after = await update(self._store, rescue.name, lambda stored: _deleted(stored, now))
            except (TemporaryError, PermanentError) as error:
                _log.warning("rescue.not-withdrawn", rescue=rescue.name, error=str(error))
                continue
            if after.withdrawn is CancelReason.DELETED or after.status.ended:
                self._asleep.pop(rescue.name, None)

    async def settle(self) -> None:
        """Return when no step is being taken any more."""
        await self._wait(list(self._advancing.values()), None)

    async def record_rest(self) -> None:
        """Make every journal safe, waiting for the sinks: the end of the run."""
        for rescue in self._store.unfinished():
            await self._recorder.write_journal(rescue)

    async def _wait(self, tasks: Sequence[asyncio.Task[None]], longest: timedelta | None) -> None:
        if tasks:
            timeout = None if longest is None else longest.total_seconds()
            await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_EXCEPTION)
        self._take_back()

    def _take_back(self) -> None:
        """Let go of those that have come back; what one of them could not go on after ends the others, too."""
        back = [self._advancing.pop(name) for name, task in list(self._advancing.items()) if task.done()]
        errors = [error for task in back if not task.cancelled() and (error := task.exception()) is not None]
        if errors:
            for task in self._advancing.values():
                task.cancel()
            raise BaseExceptionGroup("rescues could not be taken further", errors)

    def _due(self, rescue: Rescue) -> datetime:
        asleep = self._asleep.get(rescue.name)
        return rescue.due if asleep is None else max(rescue.due, asleep)

    def _sleep(self, name: str, delay: timedelta) -> None:
        self._asleep[name] = self._clock.now() + delay

    def _hold(self, name: str) -> None:
        """Sleep until the next round of all that are held: of those that the breaker holds only the first is judged."""
        now, poll = self._clock.now(), self._settings.hold_poll
        self._asleep[name] = now + poll - (now - _ROUNDS_SINCE) % poll

    async def _advance(self, name: str) -> None:
        """Take one rescue further; whatever goes wrong with it, the others go on while there is a store."""
        self._asleep.pop(name, None)
        try:
            for _ in range(_TRANSITIONS_PER_TICK):
                if not await self._further(name):
                    return
        except TemporaryError as error:
            _log.warning("store.away", rescue=name, error=str(error))
            self._sleep(name, error.delay or self._settings.retry_first)
        except BadInputError:
            # A store that only a person can mend: nothing that is done from here on would be remembered.
            raise
        except Exception:
            _log.exception("rescue.defect", rescue=name)
            self._sleep(name, self._settings.retry_longest)

    async def _further(self, name: str) -> bool:
        """Record what is to be recorded and make one transition; return whether there may be another one now.

        A cordon that can be done now goes before all that is told of it; when it has to wait, it is told first.
        """
        rescue = self._store.get(name)
        if rescue is None:
            return False
        if self._rests(rescue) or not _cordons(rescue):
            await self._rush.over()
            if not await self._recorder.try_journal(rescue) and rescue.status.ended:
                self._sleep(name, self._settings.retry_first)
            rescue = self._store.get(name)
        if rescue is None or (self._rests(rescue) and not self._seems_taken_back(rescue)):
            return False
        try:
            if rescue.begun and name not in self._known:
                # A cache that is behind may show a cordon to be done that whoever led before has done and lifted.
                await self._store.fetch(name)
                self._known.add(name)
            elif self._rests(rescue):
                return await self._given_up(rescue)
            elif _cordons(rescue):
                await self._cordon(rescue)
            else:
                await self._transition(rescue)
        except NotFoundError:
            return False
        except ConflictError:
            # Somebody else wrote this rescue in between: what they wrote is looked at in the next round.
            await self._store.fetch(name)
        return True

    def _rests(self, rescue: Rescue) -> bool:
        """Whether it is not taken further now."""
        return rescue.status.ended or self._due(rescue) > self._clock.now()

    async def _cordon(self, rescue: Rescue) -> None:
        """Take the node out of service; that it is done is saved when no other node waits for its cordon."""
        index = rescue.current
        assert index is not None
        with self._rush.hurrying():
            if rescue.steps[index].started is None:
                await self._transition(rescue)
                started = self._store.get(rescue.name)
                if started is None or not _cordons(started) or started.steps[index].started is None:
                    return
                rescue = started
            outcome = await self._outcome(rescue, index)
        await self._rush.over()
        await self._store.save(self._applied(rescue, index, outcome))

    async def _transition(self, rescue: Rescue) -> None:
        index, now = rescue.current, self._clock.now()
        if index is not None and rescue.steps[index].started is not None:
            outcome = await self._outcome(rescue, index)
            await self._store.save(self._applied(rescue, index, outcome))
        elif (earliest := progress.earliest(rescue, index, self._settings.settle)) > now:
            await self._store.save(progress.postponed(rescue, earliest))
        elif index is None:
            await self._store.save(progress.succeeded(rescue, now))
        else:
            await self._start(rescue, index, now)

    async def _start(self, rescue: Rescue, index: int, now: datetime) -> None:
        if rescue.plan.actions[index].name in _GENTLE:
            await self._store.save(progress.started(rescue, index, now))
        elif not self._nodes.synced:
            _log.warning("nodes.not-ready", rescue=rescue.name)
            self._sleep(rescue.name, self._settings.hold_poll)
        else:
            held = await self._admissions.ask(rescue, index, now)
            self._known.add(rescue.name)
            if held and not await self._taken_back(rescue.name):
                self._hold(rescue.name)

    async def _given_up(self, rescue: Rescue) -> bool:
        """Give up a rescue that seems taken back, if it is; else it waits, and a cache that lags is not believed again.

        That is for a while that does not put its next step off. Return whether it was given up.
        """
        if await self._taken_back(rescue.name):
            return True
        self._asleep[rescue.name] = min(rescue.due, self._clock.now() + self._settings.hold_poll)
        return False

    def _seems_taken_back(self, rescue: Rescue) -> bool:
        """Whether a rescue waits for the time of its next step, and the cache shows its node schedulable.

        Just after the cordon the cache may not show it yet.
        """
        index = rescue.current
        if rescue.status.ended or rescue.withdrawn or self._asleep.get(rescue.name, _ROUNDS_SINCE) > self._clock.now():
            return False
        if index is None or rescue.steps[index].started is not None:
            return False
        node, ended = self._nodes.nodes().get(rescue.node), _cordoned_at(rescue)
        if node is None or node.unschedulable or ended is None or rescue.plan.actions[index].name in _GENTLE:
            return False
        return self._clock.now() >= ended + _SHOWN_AFTER

    async def _taken_back(self, name: str) -> bool:
        """Give up a rescue that waits and whose node somebody has uncordoned; return whether that is so.

        Its next step would see it, but may be hours away. The cache says only when to look: the cordon, which is done,
        asks the server, as after any crash, and gives the node back.
        """
        rescue = self._store.get(name)
        node = self._nodes.nodes().get(rescue.node) if rescue is not None else None
        if rescue is None or node is None or node.unschedulable:
            return False
        steps = enumerate(zip(rescue.plan.actions, rescue.steps, strict=True))
        cordoned = (n for n, (action, step) in steps if (action.name, step.status) == _CORDONED)
        if (index := next(cordoned, None)) is None:
            return False
        outcome = await self._outcome(rescue, index)
        if isinstance(outcome, Abandon):
            await self._store.save(progress.cancelled(rescue, self._clock.now(), outcome.reason, outcome.message))
        return isinstance(outcome, Abandon)

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
            return _gone(rescue, action.name, error)
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
                return progress.done(rescue, index, now, message, details, self._settings.settle)
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


def _cordoned_at(rescue: Rescue) -> datetime | None:
    steps = zip(rescue.plan.actions, rescue.steps, strict=True)
    return next((step.ended for action, step in steps if (action.name, step.status) == _CORDONED), None)


def _deleted(rescue: Rescue, now: datetime) -> Rescue:
    if rescue.status.ended or rescue.withdrawn is CancelReason.DELETED:
        return rescue
    told = f"{rescue.node}: somebody has deleted the rescue"
    return progress.withdrawn(rescue, now, CancelReason.DELETED, told)


def _cordons(rescue: Rescue) -> bool:
    """Whether the cordon is what comes next, and nothing has held it so far."""
    index = rescue.current
    held = rescue.status is Status.HELD
    return not held and index is not None and rescue.plan.actions[index].name is ActionName.CORDON


def _gone(rescue: Rescue, action: ActionName, error: NotFoundError) -> Outcome:
    if rescue.withdrawn is not None and action is ActionName.UNCORDON:
        return Abandon(rescue.withdrawn, f"{rescue.node} is gone, and nothing is left to undo")
    return Fail(FailReason.NODE_GONE, f"{rescue.node}: {error}")
