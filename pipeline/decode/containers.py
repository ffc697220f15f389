"""Whether a container printed a line, and which: whoever runs a container chooses its words.

A site may ship the kernel's log through a container all the same (a daemonset that runs `dmesg -w`); it names it in
`kernel_containers`. Sources of the paths: the kubelet's /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log and
/var/log/pods/NAMESPACE_POD_UID/CONTAINER/0.log, Docker's json-file driver.
"""

import re
from collections.abc import Container
from typing import NamedTuple

_PATH = re.compile(
    r"/var/log/(?:containers/[^/_]+_(?P<namespace>[^/_]+)_(?P<name>[^/]+)-[0-9a-f]{12,64}\.log"
    r"|pods/(?P<of_pod>[^/_]+)_[^/]+/(?P<in_pod>[^/]+)/)"
    r"|/docker/containers/[0-9a-f]+/"
)


class Printed(NamedTuple):
    """Which container printed the line: its name and its pod's namespace, where they were told."""

    name: str | None = None
    namespace: str | None = None

    def by(self, name: str) -> "Printed":
        """Return the container with its name, of which the first that was told stands."""
        return self if self.name else Printed(name.removeprefix("/"), self.namespace)

    def within(self, namespace: str) -> "Printed":
        """Return the container with its pod's namespace, of which the first that was told stands."""
        return self if self.namespace else Printed(self.name, namespace)

    def for_kernel(self, kernel_containers: Container[str]) -> bool:
        """Whether the operator has named the container, alone or with its namespace, as one that passes the log on."""
        return self.name is not None and (
            self.name in kernel_containers or f"{self.namespace}/{self.name}" in kernel_containers
        )


SOMEWHERE = Printed()
"""A container of which nothing more is known."""


def printed_to(path: str) -> Printed | None:
    """Return the container whose log is the file at *path*; None if it is no container's."""
    found = _PATH.search(path) if "/" in path else None
    return Printed(found["name"] or found["in_pod"], found["namespace"] or found["of_pod"]) if found else None
