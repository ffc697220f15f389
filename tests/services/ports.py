"""Ports for servers."""

import random
import socket

RANGE = range(20000, 32000)
"""Below the ephemeral range: whoever polls a port of that range may connect to itself, and a connection of anyone's may
take the port while its server is down."""

_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on and that this process was not given before."""
    for _ in RANGE:
        port = random.choice(RANGE)
        if port not in _given and _free(port):
            _given.add(port)
            return port
    raise OSError(f"no port from {RANGE.start} to {RANGE.stop - 1} is free on 127.0.0.1")


def _free(port: int) -> bool:
    with socket.socket() as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asked.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
