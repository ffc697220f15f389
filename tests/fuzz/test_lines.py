"""200,000 damaged lines: nothing raises, and what was whole is still found."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.fault import Fault
from pipeline.settings import shipped

_LINES = 200_000
_DATA = Path(__file__).parents[1] / "data"
_RECEIVED = datetime(2026, 11, 20, tzinfo=UTC)


def _seeds() -> list[bytes]:
    corpus = [json.loads(line)["line"].encode() for line in (_DATA / "xid_lines.jsonl").read_text().splitlines()]
    return corpus + (shipped() / "examples" / "kernel.log").read_bytes().splitlines()


def _damaged(seeds: list[bytes], rng: random.Random) -> Iterator[bytes]:
    """Lines cut, doubled, joined, with bytes changed, put in and taken out."""
    while True:
        line = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(line) + 1)
            match rng.randrange(6):
                case 0:
                    del line[at:]
                case 1:
                    line[at:at] = rng.randbytes(rng.randrange(1, 6))
                case 2:
                    del line[at : at + rng.randrange(1, 6)]
                case 3:
                    line[at:at] = rng.choice(seeds)
                case 4:
                    line[at : at + 1] = rng.choice((b"\0", b"\xff", b'"', b"\\", b"{", b"[", b"\n", b",", b"\x1b["))
                case _:
                    line = bytearray(json.dumps({"host": "n", "message": line.decode("latin-1")}).encode())
        yield bytes(line)


def test_no_damage_raises_and_the_cheap_test_lets_every_fault_through() -> None:
    seeds, rng = _seeds(), random.Random(20261124)
    decoder, matcher = Decoder(DecodeSettings()), Matcher(load_patterns([shipped() / "patterns"]))
    faults = problems = 0
    for number, payload in zip(range(_LINES), _damaged(seeds, rng), strict=False):
        decoded = decoder.decode(payload, str(number), received=_RECEIVED)
        problems += len(decoded.problems)
        found = [matcher.match(line) for line in decoded.lines]
        faults += sum(isinstance(one, Fault) for one in found)
        assert matcher.wanted(payload) or not any(found), payload
    assert faults > _LINES // 10
    assert problems > _LINES // 100
