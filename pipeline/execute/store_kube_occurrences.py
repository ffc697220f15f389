"""The Occurrence objects of one namespace, which several replicas write."""

from pipeline.cluster.kube.answers import AlreadyExistsError, ForbiddenError
from pipeline.cluster.kube.api import KubeApi
from pipeline.errors import ConflictError, NotFoundError, TemporaryError
from pipeline.execute.store_kube_form import GROUP, VERSION, object_name, occurrence_object, occurrence_of
from pipeline.model.occurrence import Occurrence

_TRIES = 10


class OccurrenceObjects:
    """Calls of the API server about occurrences; errors are those of `KubeApi`."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self.path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/occurrences"

    async def note(self, occurrence: Occurrence) -> Occurrence:
        """Save an occurrence and return what is saved: one of its name spans the time of both.

        Raises UnreadableError when that one cannot be read, ConflictError when others don't cease to write it.
        """
        for _ in range(_TRIES):
            try:
                return await self._spanning(occurrence)
            except (AlreadyExistsError, ConflictError, NotFoundError):
                continue
            except ForbiddenError as error:
                # Only a person can help; the line waits for it, as it does for a namespace.
                raise TemporaryError(str(error)) from error
        raise ConflictError(f"occurrence {occurrence.name} was changed by others {_TRIES} times in a row")

    async def delete(self, name: str) -> None:
        """Delete an occurrence as it is now; if it changes meanwhile, or is gone, nothing happens."""
        try:
            found = await self._api.get(self._of(name))
            version = found["metadata"]["resourceVersion"]
            await self._api.delete(self._of(name), {"preconditions": {"resourceVersion": version}})
        except (ConflictError, NotFoundError):
            return

    async def _spanning(self, occurrence: Occurrence) -> Occurrence:
        try:
            found = await self._api.get(self._of(occurrence.name))
        except NotFoundError:
            await self._create(occurrence)
            return occurrence
        known = occurrence_of(found)
        both = known.spanning(occurrence)
        if both != known:
            version = found["metadata"]["resourceVersion"]
            await self._api.replace(self._of(occurrence.name), occurrence_object(both, self._namespace, version))
        return both

    async def _create(self, occurrence: Occurrence) -> None:
        try:
            await self._api.create(self.path, occurrence_object(occurrence, self._namespace))
        except NotFoundError as error:
            # There is no such namespace.
            raise TemporaryError(str(error)) from error

    def _of(self, name: str) -> str:
        return f"{self.path}/{object_name(name)}"
