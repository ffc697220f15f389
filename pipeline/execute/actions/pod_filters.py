"""Which pods a drain moves: the filters of `kubectl drain`."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.model.node import Pod
from pipeline.model.plan import Drain


@dataclass(frozen=True, slots=True)
class Sorted:
    """The pods that keep a node from being drained, by what is to be done about them.

    `evictable` are to be asked to go, `leaving` were asked and are within their grace period, `refused` are not
    touched, because nothing would bring them or their data back (each with the attribute that would allow it).
    """

    evictable: tuple[Pod, ...]
    leaving: tuple[Pod, ...]
    refused: tuple[tuple[Pod, str], ...]

    @property
    def drained(self) -> bool:
        """Whether no pod is left that the drain is about."""
        return not (self.evictable or self.leaving or self.refused)

    @property
    def names(self) -> tuple[str, ...]:
        """All of them as `namespace/name`, sorted; a refused one with the reason."""
        named = [pod.full_name for pod in (*self.evictable, *self.leaving)]
        return tuple(sorted(named + [f"{pod.full_name} ({why})" for pod, why in self.refused]))


def sort_pods(pods: Iterable[Pod], drain: Drain) -> Sorted:
    """Sort the pods of a node as `kubectl drain --ignore-daemonsets` does.

    Mirror pods and DaemonSet pods stay: they come back by themselves. Finished pods go without further condition. A pod
    without a controller needs `force`, one with an emptyDir `deleteEmptyDirData`.
    """
    evictable: list[Pod] = []
    leaving: list[Pod] = []
    refused: list[tuple[Pod, str]] = []
    for pod in pods:
        if pod.mirror or (pod.owner == "DaemonSet" and not pod.finished):
            continue
        if pod.terminating:
            leaving.append(pod)
        elif pod.finished:
            evictable.append(pod)
        elif pod.owner is None and not drain.force:
            refused.append((pod, "no controller would bring it back; force: true evicts it"))
        elif pod.empty_dir and not drain.delete_empty_dir_data:
            refused.append((pod, "its emptyDir would be lost; deleteEmptyDirData: true evicts it"))
        else:
            evictable.append(pod)
    return Sorted(tuple(evictable), tuple(leaving), tuple(refused))
