"""Where the HTTP API listens."""

from typing import Annotated

from pydantic import AfterValidator, Field

from pipeline.documents import Strict


def _address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise ValueError(f"{text!r} is not HOST:PORT; write it like 127.0.0.1:8080, or 0.0.0.0:8080 inside a pod")
    return text


class ApiSettings(Strict):
    """The HTTP API: /healthz, /readyz and /metrics. It has no password: whoever reaches it reads it."""

    listen: Annotated[str, AfterValidator(_address)] = Field(description="HOST:PORT; port 0 takes a free one.")

    @property
    def host(self) -> str:
        """The address of this machine that is listened on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port, 0 for a free one."""
        return int(self.listen.rpartition(":")[2])
