"""A log file as blocks of bytes, decompressed where it is compressed."""

import zlib
from collections.abc import Iterator

from pipeline.backtest.logs import PastLog
from pipeline.errors import BadInputError, Complaint

_BLOCK = 256 * 1024
_COMPRESSED = 16 * 1024
"""Bytes of a compressed file at a time: at the most 16 MiB come out of them, some 200 KiB as a rule."""

_GZIP_HEADER = 31
"""zlib's window bits for gzip: 16, and the largest window."""


def blocks(log: PastLog) -> Iterator[tuple[int, bytes]]:
    """Yield how many bytes of the file were read since the last block, and the block.

    The file is opened for each block anew: a cluster's logs may be thousands of files, which are read side by side. It
    is read as far as it was written when the backtest began. Raises BadInputError if it cannot be read to there.
    """
    if log.compressed:
        yield from _decompressed(log)
    else:
        yield from ((len(raw), raw) for raw in _raw(log, _BLOCK))


def _raw(log: PastLog, most: int) -> Iterator[bytes]:
    offset = 0
    while offset < log.size:
        try:
            with log.path.open("rb", buffering=0) as file:
                file.seek(offset)
                raw = file.read(min(most, log.size - offset))
        except OSError as error:
            raise BadInputError(Complaint(str(log.path), f"cannot be read: {error.strerror}")) from error
        if not raw:
            remedy = "name the rotated files, or a copy"
            raise BadInputError(Complaint(str(log.path), "was cut off or rotated while it was read", remedy))
        offset += len(raw)
        yield raw


def _decompressed(log: PastLog) -> Iterator[tuple[int, bytes]]:
    """Files put one behind the other, and zeros after the last one, are one file, as they are to gzip."""
    stream, begun = zlib.decompressobj(_GZIP_HEADER), False
    for raw in _raw(log, _COMPRESSED):
        read, rest = len(raw), raw
        while rest := (rest if begun else rest.lstrip(b"\0")):
            try:
                block, begun = stream.decompress(rest), True
            except zlib.error as error:
                told = Complaint(str(log.path), f"is damaged: {error}", "name a file that gzip -t finds whole")
                raise BadInputError(told) from error
            rest = b""
            if stream.eof:
                rest = stream.unused_data
                stream, begun = zlib.decompressobj(_GZIP_HEADER), False
            yield read, block
            read = 0
        if read:
            yield read, b""
    if begun:
        remedy = "name a file that gzip -t finds whole"
        raise BadInputError(Complaint(str(log.path), "ends in the middle of its compressed data", remedy))
