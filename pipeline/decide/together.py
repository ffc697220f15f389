"""A rescue and those that it took over, which are about one node together."""

from collections.abc import Iterable, Sequence

from pipeline.model.rescue import Rescue


def with_folded(rescue: Rescue, rescues: Iterable[Rescue]) -> Sequence[Rescue]:
    """Return the rescue, and those of *rescues* that it took over: what they are about is its to cure as well."""
    return (rescue, *(other for other in rescues if other.name in rescue.folded and other.name != rescue.name))
