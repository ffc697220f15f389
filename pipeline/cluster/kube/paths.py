"""Paths of objects; a name that comes from outside (a log, a caller of the decision API) leads nowhere else."""

import re

from pipeline.errors import NotFoundError

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


def is_name(name: str) -> bool:
    """Whether a node, a pod or a policy can have that name."""
    return _NAME.fullmatch(name) is not None


def named(collection: str, name: str) -> str:
    """Return the path of the object; raise NotFoundError for a name that none can have."""
    if not is_name(name):
        raise NotFoundError(f"{collection} has nothing called {name!r}: that is no name of an object")
    return f"{collection}/{name}"
