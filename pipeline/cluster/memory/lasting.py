"""A simulated cluster that no restart resets: what was done to it is in a file, and is done again at the start."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from pipeline.clock import ManualClock
from pipeline.cluster.memory.cluster import SimulatedCluster
from pipeline.errors import BadInputError, Complaint, PermanentError, TemporaryError
from pipeline.model.node import Node, NodePatch, Pod


@dataclass(frozen=True, slots=True)
class Edited:
    """A node was changed."""

    time: datetime
    node: str
    patch: NodePatch
    what: Literal["edited"] = "edited"


@dataclass(frozen=True, slots=True)
class Deleted:
    """A pod was deleted, or its eviction was granted."""

    time: datetime
    namespace: str
    name: str
    uid: str
    grace_period: timedelta
    what: Literal["deleted"] = "deleted"


@dataclass(frozen=True, slots=True)
class Rebooted:
    """A machine was turned off and on."""

    time: datetime
    node: str
    request: str
    what: Literal["rebooted"] = "rebooted"


@dataclass(frozen=True, slots=True)
class Joined:
    """A host of the log became a node."""

    time: datetime
    host: str
    what: Literal["joined"] = "joined"


Effect = Edited | Deleted | Rebooted | Joined

_EFFECT: TypeAdapter[Effect] = TypeAdapter(Effect)


@dataclass(slots=True)
class _Journal:
    """A file of effects, a JSON object per line, that grows by about 200 bytes with each of them.

    It is not synced: a killed process loses nothing of it, a power cut its last seconds.
    """

    path: Path
    _unwritten: list[bytes] = field(default_factory=list)
    _end: int = 0

    def read(self) -> Iterator[tuple[int, Effect]]:
        """Yield every effect and its line, from 1, but what a kill has left unfinished at the end."""
        try:
            content = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise self._unusable(error) from error
        self._end = content.rfind(b"\n") + 1
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            try:
                yield number, _EFFECT.validate_json(line, strict=True)
            except ValidationError as error:
                raise self.bad(number, "is no effect on a simulated cluster") from error

    def go_on(self) -> None:
        """Cut off what was left unfinished when it was read; raise BadInputError if it cannot be written to."""
        try:
            with self.path.open("ab") as file:
                file.truncate(self._end)
        except OSError as error:
            raise self._unusable(error) from error

    def append(self, effect: Effect) -> None:
        """Write one more, after those that could not be written before; raise TemporaryError if it cannot be now."""
        self._unwritten.append(_EFFECT.dump_json(effect) + b"\n")
        try:
            with self.path.open("ab") as file:
                end = file.tell()
                try:
                    file.write(b"".join(self._unwritten))
                    file.flush()
                except OSError:
                    with suppress(OSError):
                        file.truncate(end)
                    raise
        except OSError as error:
            raise TemporaryError(f"{self.path}: cannot be written to: {error.strerror}") from error
        self._unwritten.clear()

    def bad(self, line: int, problem: str) -> BadInputError:
        """Return the error that says what is wrong with a line."""
        remedy = "remove the file to begin with the cluster as it was at first, and the store of rescues with it"
        return BadInputError(Complaint(f"{self.path}:{line}", problem, remedy))

    def _unusable(self, error: OSError) -> BadInputError:
        remedy = "name a file in a folder that exists and can be written to"
        return BadInputError(Complaint(str(self.path), f"cannot be used: {error.strerror}", remedy))


class LastingCluster(SimulatedCluster):
    """A simulated cluster whose nodes, pods and reboots go on where they were when the process ended.

    The same effects at the same times give the same cluster, so the file holds these and nothing else. What a person's
    methods do (`add_node`, `delete_node`, `add_pod`) is not in it.
    """

    _recalled: _Journal | None = None
    _journal: _Journal | None = None

    def recall(self, path: Path) -> None:
        """Do again what the file says was done, each at its time; nothing is written.

        Raises BadInputError for a file that cannot be read, or that is of another cluster.
        """
        journal, present = _Journal(path), self._clock
        for number, effect in journal.read():
            self._clock = ManualClock(effect.time)
            try:
                self._again(effect)
            except PermanentError as error:
                raise journal.bad(number, f"does not go with the nodes of the cluster: {error}") from error
        self._clock, self._recalled = present, journal

    def go_on(self) -> None:
        """Write what is done from now on to the file that was recalled; raise BadInputError if that cannot be."""
        if self._recalled is not None:
            self._recalled.go_on()
            self._journal = self._recalled

    def edit_node(self, name: str, patch: NodePatch) -> Node:
        """Change a node, and write that down."""
        with self._moment() as now:
            edited = super().edit_node(name, patch)
            self._write(Edited(now, name, patch))
        return edited

    async def evict(self, pod: Pod) -> None:
        """Evict a pod, and write that down unless it is refused."""
        with self._moment() as now:
            await super().evict(pod)
            self._write(Deleted(now, pod.namespace, pod.name, pod.uid, pod.grace_period))

    async def delete_pod(self, pod: Pod, grace_period: timedelta) -> None:
        """Delete a pod, and write that down."""
        with self._moment() as now:
            await super().delete_pod(pod, grace_period)
            self._write(Deleted(now, pod.namespace, pod.name, pod.uid, grace_period))

    def reboot(self, node: str, request: str) -> None:
        """Turn a machine off and on, and write that down."""
        with self._moment() as now:
            super().reboot(node, request)
            self._write(Rebooted(now, node, request))

    def newcomer(self, host: str) -> Node:
        """Return the node of that name; write down if there was none."""
        with self._moment() as now:
            known = host in self._objects
            node = super().newcomer(host)
            if not known:
                self._write(Joined(now, host))
        return node

    def _again(self, effect: Effect) -> None:
        match effect:
            case Edited(_, node, patch):
                self.edit_node(node, patch)
            case Deleted(now, namespace, name, uid, grace_period):
                self.settle()
                pod = self._workloads.find(Pod(namespace, name, "", uid=uid))
                if pod is not None:
                    self._workloads.delete(pod, grace_period, now)
            case Rebooted(_, node, request):
                self.reboot(node, request)
            case Joined(_, host):
                self.newcomer(host)

    @contextmanager
    def _moment(self) -> Iterator[datetime]:
        """Have the clock stand: an effect is made at the very moment that is written down."""
        present, now = self._clock, self._clock.now()
        self._clock = ManualClock(now)
        try:
            yield now
        finally:
            self._clock = present

    def _write(self, effect: Effect) -> None:
        if self._journal is not None:
            self._journal.append(effect)
