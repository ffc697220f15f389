"""Batches as they were before they were compressed, in memory that is used again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cramjam
from aiokafka import codec
from aiokafka.errors import UnsupportedCodecError

_FIRST_SIZE = 1 << 20
_LARGEST_KEPT = 1 << 24

_LZ4, _ZSTD = 3, 4
# The numbers of the codecs: https://kafka.apache.org/documentation/#recordbatch
_WHOLE: dict[int, Callable[[bytes], bytes]] = {
    0: bytes,
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    _LZ4: codec.lz4_decode,
    _ZSTD: codec.zstd_decode,
}
_INTO: dict[int, Callable[[bytes, bytearray], int]] = {
    _LZ4: cramjam.lz4.decompress_into,
    _ZSTD: cramjam.zstd.decompress_into,
}


class Decompressor:
    """Decompresses one batch at a time.

    Half of the time that it takes to decompress a batch goes into fresh memory, which the system hands out page by page
    and takes back. Where the library can, batches are decompressed into one buffer.
    """

    def __init__(self) -> None:
        self._buffer = bytearray(_FIRST_SIZE)

    @contextmanager
    def __call__(self, number: int, compressed: bytes) -> Iterator[memoryview]:
        """Give the batch, valid within the block only. Raises UnsupportedCodecError, and what the library raises."""
        if number not in _WHOLE:
            raise UnsupportedCodecError(f"the codec {number} is not known")
        with memoryview(self._in_buffer(number, compressed) or self._whole(number, compressed)) as block:
            yield block

    def _in_buffer(self, number: int, compressed: bytes) -> memoryview | None:
        into = _INTO.get(number)
        if into is None:
            return None
        try:
            return memoryview(self._buffer)[: into(compressed, self._buffer)]
        except cramjam.DecompressionError:
            # It is too large for the buffer, or damaged: the other way tells.
            return None

    def _whole(self, number: int, compressed: bytes) -> bytes:
        whole = _WHOLE[number](compressed)
        if number in _INTO and len(self._buffer) < len(whole) <= _LARGEST_KEPT:
            self._buffer = bytearray(2 * len(whole))
        return whole
