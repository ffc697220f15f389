"""The Rescue objects of one namespace: read, created, replaced, let go of, deleted."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import orjson

from pipeline.cluster.kube.answers import AlreadyExistsError, ForbiddenError
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.errors import ConflictError, NotFoundError, PermanentError, TemporaryError
from pipeline.execute.saved import UnreadableError
from pipeline.execute.store_kube_form import (
    CLEAN_UP,
    GROUP,
    VERSION,
    new_rescue,
    object_name,
    rescue_of,
    revision_of,
    with_status,
)
from pipeline.execute.store_kube_size import LARGEST, LARGEST_NEW, lighter
from pipeline.model.rescue import Rescue, Status

_ENDED = frozenset(status.value for status in Status if status.ended)


@dataclass(frozen=True, slots=True)
class Seen:
    """A Rescue object: `rescue` is None where it cannot be read, and `problem` says why.

    `name` is the rescue's, else the object's. `open` is whether it has not ended, as far as that can be told.
    `condemned` is whether somebody has deleted it and it waits for its finalizers.
    """

    name: str
    revision: int
    rescue: Rescue | None
    problem: str
    open: bool
    condemned: bool
    finalizers: tuple[str, ...]

    @property
    def is_guarded(self) -> bool:
        """Whether our finalizer is on it."""
        return CLEAN_UP in self.finalizers

    @property
    def is_done(self) -> bool:
        """Whether the rescue can be read, has ended, and its records are safe."""
        return is_done(self.rescue)


def is_done(rescue: Rescue | None) -> bool:
    """Whether there is a rescue and nothing is to be done about it any more: it has ended, its records are safe."""
    return rescue is not None and rescue.status.ended and rescue.recorded >= len(rescue.journal)


def seen(found: Object, known: Rescue | None = None) -> Seen:
    """Return what an object is; *known* is the rescue of that name as it was read last, which may be the same."""
    metadata = found["metadata"]
    problem, revision = "", revision_of(found)
    rescue = known if known is not None and known.revision == revision else None
    if rescue is None:
        try:
            rescue = rescue_of(found)
        except UnreadableError as error:
            problem = str(error)
    return Seen(
        rescue.name if rescue is not None else metadata["name"],
        revision,
        rescue,
        problem,
        not rescue.status.ended if rescue is not None else _looks_open(found),
        "deletionTimestamp" in metadata,
        tuple(metadata.get("finalizers", ())),
    )


class RescueObjects:
    """Calls of the API server about rescues; errors are those of `KubeApi`."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self.path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/rescues"

    async def get(self, name: str) -> Seen | None:
        """Return the object of a rescue, None if there is none."""
        try:
            return seen(await self._api.get(self._of(name)))
        except NotFoundError:
            return None

    async def list_one(self) -> None:
        """Ask for the first object, for the answer's sake."""
        await self._api.get(self.path, {"limit": 1})

    async def create(self, rescue: Rescue) -> Rescue | None:
        """Create the object of a rescue and return that with its revision; None if there is one of its name."""
        light, body = _fitting(rescue, partial(new_rescue, namespace=self._namespace), LARGEST_NEW)
        try:
            made = await self._api.create(self.path, body)
        except AlreadyExistsError:
            return None
        except (ForbiddenError, NotFoundError) as error:
            # A right or the namespace lacks: only a person can help, and the line waits for it.
            raise TemporaryError(str(error)) from error
        return replace(light, revision=revision_of(made))

    async def save(self, rescue: Rescue) -> Rescue:
        """Replace the status of a rescue that is at its revision still, and return what was saved.

        Raises ConflictError or NotFoundError where it is not, PermanentError where it has become too large.
        """
        light, body = _fitting(rescue, partial(with_status, namespace=self._namespace), LARGEST)
        if len(orjson.dumps(body)) > LARGEST:
            raise PermanentError(f"rescue {rescue.name} is too large to be saved: {len(rescue.journal)} entries")
        try:
            made = await self._api.replace(f"{self._of(rescue.name)}/status", body)
        except ConflictError as error:
            raise ConflictError(f"rescue {rescue.name} is at another revision, not {rescue.revision}") from error
        except NotFoundError as error:
            raise NotFoundError(f"rescue {rescue.name} is gone") from error
        return replace(light, revision=revision_of(made))

    async def let_go(self, found: Seen) -> Seen:
        """Take our finalizer off an object that has not changed since, and return it as it is then."""
        others = [name for name in found.finalizers if name != CLEAN_UP]
        metadata = {"resourceVersion": str(found.revision), "finalizers": others}
        return seen(await self._api.patch(self._of(found.name), {"metadata": metadata}))

    async def delete(self, name: str, revision: int) -> None:
        """Delete an object that is at that revision still; raise ConflictError or NotFoundError else."""
        await self._api.delete(self._of(name), {"preconditions": {"resourceVersion": str(revision)}})

    def _of(self, name: str) -> str:
        return f"{self.path}/{object_name(name)}"


def _fitting(rescue: Rescue, body_of: Callable[[Rescue], Object], limit: int) -> tuple[Rescue, Object]:
    """The rescue, no lighter than it must be for its object to fit, and that object, which may be too large even so."""
    light, body = rescue, body_of(rescue)
    for smaller in lighter(rescue):
        if len(orjson.dumps(body)) <= limit:
            break
        light, body = smaller, body_of(smaller)
    return light, body


def _looks_open(found: Object) -> bool:
    """Whether an object that cannot be read is that of a rescue that has not ended."""
    parts = [found.get("status"), found.get("spec")]
    return not any(isinstance(part, dict) and part.get("state") in _ENDED for part in parts)
