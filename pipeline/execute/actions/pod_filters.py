"""Which pods a drain moves: the filters of `kubectl drain`."""

from collections.abc import Iterable, Mapping
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
        return len(self) == 0

    def __len__(self) -> int:
        """How many they are."""
        return len(self.evictable) + len(self.leaving) + len(self.refused)

    def names(self, denials: Mapping[str, str]) -> tuple[str, ...]:
        """All of them as `namespace/name`, sorted.

        Each with the reason why it stays, where one is known: the server's (*denials*, by `namespace/name`), or the
        attribute that refuses it.
        """
        reasons = {pod.full_name: why for pod, why in self.refused} | dict(denials)
        pods = [*self.evictable, *self.leaving, *(pod for pod, _ in self.refused)]
        names = sorted(pod.full_name for pod in pods)
        return tuple(f"{name} ({reasons[name]})" if name in reasons else name for name in names)


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
