"""Asking a broker whether it takes requests, without a client: a client would add its own retries and its own log."""

import socket
import struct

API_METADATA = 3
VERSION = 1
CORRELATION = 7


def answers(port: int, limit: float = 2.0) -> bool:
    """Tell whether the plain listener at *port* of 127.0.0.1 answers with metadata in which a broker is alive.

    A broker whose controller has not let it in yet (a fenced one) is not among those.
    """
    body = struct.pack(">hhihi", API_METADATA, VERSION, CORRELATION, -1, 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=limit) as asked:
            asked.sendall(struct.pack(">i", len(body)) + body)
            answer = asked.makefile("rb").read(12)
    except OSError:
        return False
    if len(answer) < 12:
        return False
    _, correlation, brokers = struct.unpack(">iii", answer)
    return bool(correlation == CORRELATION and brokers > 0)
