"""Messages of which nothing can be made: counted, kept aside, and no other message waits for them."""

import asyncio
import re
from datetime import datetime, timedelta

import pytest

from pipeline.clock import Clock
from pipeline.deadletters import Told
from pipeline.decode.envelopes import Decoded, Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.enrich.labels import Enricher, EnrichSettings
from pipeline.execute.recognition import Poison, Recognition
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, Sighting
from pipeline.model.line import LogLine
from pipeline.sources.port import Delivery
from pipeline.telemetry import SET_ASIDE
from tests.fakes.intake import OFF_THE_BUS, PATTERNS
from tests.fakes.world import World, gpu_node


class FailingDecoder(Decoder):
    def decode(
        self,
        payload: bytes,
        position: str,
        *,
        received: datetime,
        stamp: datetime | None = None,
        key: str | None = None,
    ) -> Decoded:
        if b"bomb" in payload:
            raise RecursionError("too deep")
        return super().decode(payload, position, received=received, stamp=stamp, key=key)


class FailingMatcher(Matcher):
    def match(self, line: LogLine) -> Fault | Sighting | None:
        if "a riddle" in line.text:
            raise ValueError("no such riddle")
        return super().match(line)


class Taken:
    """A recognition, and what it has kept."""

    def __init__(self) -> None:
        self.world = World([gpu_node("gpu-1")])
        self.kept: list[tuple[Told, bytes | None]] = []
        enricher = Enricher(self.world.cluster, PATTERNS.catalogue, EnrichSettings())
        self.recognition = Recognition(
            FailingDecoder(DecodeSettings()),
            FailingMatcher(PATTERNS),
            enricher,
            self.clock,
            lambda told, raw: self.kept.append((told, raw)),
        )

    @property
    def clock(self) -> Clock:
        return self.world.clock

    def codes(self, payload: bytes) -> list[int]:
        """The codes of the faults in a message."""
        lines = self.recognition.lines(Delivery(payload, "logs/0@7", lambda: asyncio.sleep(0)))
        found = [self.recognition.recognise(line, self.clock) for line in lines]
        return [fault.fault.code for fault in found if fault is not None]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b'{"NVRM: Xid": 79}', Poison.NO_LINE, id="what is looked for stands where no text does"),
        pytest.param(b"NVRM: a bomb", Poison.DECODING_FAILED, id="decoding raises"),
        pytest.param(b"NVRM: a riddle", Poison.MATCHING_FAILED, id="matching raises"),
    ],
)
def test_a_message_of_which_nothing_can_be_made_is_counted_and_kept(payload: bytes, reason: Poison) -> None:
    taken = Taken()
    before = SET_ASIDE.labels(reason)._value.get()
    assert taken.codes(payload) == []
    ((told, raw),) = taken.kept
    assert (told["position"], told["reason"], raw) == ("logs/0@7", reason, payload)
    assert SET_ASIDE.labels(reason)._value.get() == before + 1
    assert taken.recognition.oddities.problems[reason] == 1


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="an empty message"),
        pytest.param(b"\0" * 50, id="NULs, which pass the cheap test"),
        pytest.param(b'{"values":[300,400]}', id="numbers that might be text"),
        pytest.param(b"noise", id="noise"),
        pytest.param(b"NVRM: \xff\xfe", id="a driver line that is damaged: it is counted as unknown"),
    ],
)
def test_noise_is_not_kept(payload: bytes) -> None:
    taken = Taken()
    assert (taken.codes(payload), taken.kept) == ([], [])


def test_a_line_that_fails_takes_no_other_of_its_message_with_it() -> None:
    taken = Taken()
    moment = (taken.clock.now() - timedelta(seconds=1)).isoformat()
    payload = "\n".join(f"<3>1 {moment} gpu-1 kernel - - - {text}" for text in ("NVRM: a riddle", OFF_THE_BUS))
    assert taken.codes(payload.encode()) == [79]
    ((told, raw),) = taken.kept
    assert (told["position"], raw) == ("logs/0@7", payload.encode())
    assert re.fullmatch(r"ValueError\('no such riddle'\) at test_poison\.py:\d+", str(told["error"]))
