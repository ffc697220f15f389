"""A decoder with the default settings, at a fixed moment."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from pipeline.decode.envelopes import Decoded, Decoder
from pipeline.decode.settings import DecodeSettings

RECEIVED = datetime(2024, 7, 4, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="session")
def decode() -> Callable[..., Decoded]:
    decoder = Decoder(DecodeSettings())

    def decoded(payload: str | bytes, *, stamp: datetime | None = None, key: str | None = None) -> Decoded:
        octets = payload if isinstance(payload, bytes) else payload.encode()
        return decoder.decode(octets, "topic/0/42", received=RECEIVED, stamp=stamp, key=key)

    return decoded
