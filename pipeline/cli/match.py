"""`gpu-rescue match`: what would be recognised in a log, one JSON object per fault."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click
import orjson

from pipeline.app import open_patterns
from pipeline.cli.options import config, sets, settings_of
from pipeline.decode.envelopes import Decoder
from pipeline.match.matcher import Matcher
from pipeline.match.report import report
from pipeline.model.fault import Fault


@click.command()
@click.argument("file", type=click.File("rb"), default="-")
@config
@sets
def match(file: BinaryIO, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Print one JSON object per recognised line of FILE (default: standard input), in order.

    \b
    Example:
      dmesg | gpu-rescue match
      gpu-rescue match /var/log/kern.log | jq 'select(.code == 79)'
    """
    settings = settings_of(config, overrides)
    decoder, matcher = Decoder(settings.decode), Matcher(open_patterns(settings))
    output = sys.stdout.buffer
    for number, payload in enumerate(file, 1):
        for fault in _faults(decoder, matcher, payload, number):
            output.write(orjson.dumps(report(fault, number)) + b"\n")
    output.flush()


def _faults(decoder: Decoder, matcher: Matcher, payload: bytes, number: int) -> Iterator[Fault]:
    if not matcher.wanted(payload):
        return
    decoded = decoder.decode(payload.rstrip(b"\r\n"), f"line {number}", received=datetime.now(UTC))
    for line in decoded.lines:
        found = matcher.match(line)
        if isinstance(found, Fault):
            yield found
