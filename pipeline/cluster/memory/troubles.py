"""What can go wrong with a cluster, as something that is ordered in advance."""

import random
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum

from pipeline.errors import ConflictError, PermanentError, TemporaryError


class Call(StrEnum):
    """The calls that trouble can meet."""

    GET_NODE = "get_node"
    PATCH_NODE = "patch_node"
    PODS_ON = "pods_on"
    EVICT = "evict"
    DELETE_POD = "delete_pod"
    SET_POLICY_STATUS = "set_policy_status"
    REBOOT = "reboot"
    ASKED = "asked"


class Trouble(StrEnum):
    """What a call meets. All but LOST_ANSWER come before the call has any effect."""

    CONFLICT = "conflict"
    TIMEOUT = "timeout"
    LOST_ANSWER = "lost-answer"
    THROTTLED = "throttled"
    SERVER_ERROR = "server-error"
    REFUSED = "refused"


THROTTLED_FOR = timedelta(seconds=10)
"""The delay that a throttled call is told, as an API server tells it in Retry-After."""


class LostAnswerError(TemporaryError):
    """The call took effect and its answer was lost; to the caller it is a timeout like any other."""


class Troubles:
    """The troubles in store for a simulated cluster. None by default; the same orders always give the same troubles.

    `never_returns` names the nodes that do not come back from a reboot, `gpus_after_reboot` how many GPUs a node
    comes back with instead of all, `never_end` the pods, as `namespace/name`, of which a process hangs in the driver:
    they go with the machine, or by a deletion without grace. While `cache_lags`, or while it is not `cache_synced`, the
    cache keeps showing what it showed last. With `reboots_forgotten` nobody can tell afterwards which reboots were
    asked for. `met` is what came true, in order.
    """

    def __init__(self) -> None:
        self.never_returns: set[str] = set()
        self.gpus_after_reboot: dict[str, int] = {}
        self.never_end: set[str] = set()
        self.cache_lags = False
        self.cache_synced = True
        self.reboots_forgotten = False
        self.met: list[tuple[Call, Trouble]] = []
        self._next: defaultdict[Call, deque[Trouble]] = defaultdict(deque)
        self._chance = 0.0
        self._kinds: Sequence[Trouble] = ()
        self._random = random.Random(0)

    def next(self, call: Call, trouble: Trouble, times: int = 1) -> None:
        """Let the next *times* calls meet the trouble, after those that were ordered before."""
        self._next[call].extend([trouble] * times)

    def sometimes(self, chance: float, seed: int, kinds: Sequence[Trouble] = tuple(Trouble)) -> None:
        """Let every call meet one of *kinds* with a chance of 0 to 1, drawn from *seed*."""
        self._chance, self._kinds, self._random = chance, tuple(kinds), random.Random(seed)

    @contextmanager
    def around(self, call: Call) -> Iterator[None]:
        """Make the body's effect meet the trouble that is in store for *call*: instead of it, or after it."""
        trouble = self._take(call)
        if trouble is not None:
            self.met.append((call, trouble))
        match trouble:
            case None | Trouble.LOST_ANSWER:
                yield
            case Trouble.CONFLICT:
                raise ConflictError(f"{call}: the object has been modified")
            case Trouble.TIMEOUT:
                raise TemporaryError(f"{call}: no connection in time")
            case Trouble.THROTTLED:
                raise TemporaryError(f"{call}: too many requests", THROTTLED_FOR)
            case Trouble.SERVER_ERROR:
                raise TemporaryError(f"{call}: internal server error")
            case Trouble.REFUSED:
                raise PermanentError(f"{call}: forbidden")
        if trouble is Trouble.LOST_ANSWER:
            raise LostAnswerError(f"{call}: no answer in time")

    def _take(self, call: Call) -> Trouble | None:
        if self._next[call]:
            return self._next[call].popleft()
        if self._kinds and self._random.random() < self._chance:
            return self._random.choice(self._kinds)
        return None
