"""The line of a drill is read by the pipeline's own stages before it goes out."""

from datetime import timedelta, timezone
from typing import Any

import orjson
import pytest

from pipeline.cli.drill import DrillLine, Envelope, checked
from pipeline.decode.settings import DecodeSettings
from pipeline.errors import BadInputError
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.fault import Drill
from pipeline.settings import shipped
from tests.fakes.faults import NOON

MATCHER = Matcher(load_patterns([shipped() / "patterns"]))
TEXT = "gpu-rescue-drill: NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus"


def line(**given: Any) -> DrillLine:
    values: dict[str, Any] = {"node": "gpu-1", "code": 79, "pci": "0000:3b:00", "time": NOON, "drill": Drill.DRY}
    return DrillLine(**{**values, "message": "GPU has fallen off the bus", **given})


def test_the_envelope_is_that_of_a_log_file_or_json() -> None:
    settings = DecodeSettings()
    assert line().wrapped(Envelope.SYSLOG, settings).decode() == f"2026-11-20T12:00:00+00:00 gpu-1 kernel: {TEXT}"
    assert orjson.loads(line().wrapped(Envelope.JSON, settings)) == {
        "@timestamp": "2026-11-20T12:00:00+00:00",
        "hostname": "gpu-1",
        "SYSLOG_IDENTIFIER": "kernel",
        "message": TEXT,
    }


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(DecodeSettings(), id="the usual fields"),
        pytest.param(
            DecodeSettings(message_fields=["text"], node_fields=["origin.node", "x"], time_fields=["origin.at"]),
            id="fields of ones own, one inside another",
        ),
        pytest.param(DecodeSettings(timezone="Asia/Shanghai"), id="stamps of another zone"),
    ],
)
@pytest.mark.parametrize("envelope", list(Envelope))
@pytest.mark.parametrize("drill", list(Drill))
def test_a_line_that_a_pipeline_reads_as_meant_goes_out(
    drill: Drill, envelope: Envelope, settings: DecodeSettings
) -> None:
    meant = line(drill=drill, time=NOON.astimezone(timezone(timedelta(hours=8))))
    payload = meant.wrapped(envelope, settings)
    assert checked(payload, meant, settings, MATCHER) == payload


@pytest.mark.parametrize(
    ("given", "envelope"),
    [
        pytest.param({"node": "two words"}, Envelope.SYSLOG, id="a host name of two words"),
        pytest.param({"node": ""}, Envelope.JSON, id="no host name"),
        pytest.param({"node": "gpu-1:"}, Envelope.SYSLOG, id="a host name that looks like a tag"),
        pytest.param({"message": "one\ntwo"}, Envelope.SYSLOG, id="a message of two lines"),
        pytest.param({"message": "one#012NVRM: Xid (PCI:0000:3b:00): 79, x"}, Envelope.SYSLOG, id="an escaped one"),
        pytest.param({"message": "one\\x0aNVRM: Xid (PCI:0000:3b:00): 79, x"}, Envelope.JSON, id="escaped otherwise"),
        pytest.param({"message": " "}, Envelope.SYSLOG, id="a message of nothing"),
        pytest.param({"message": "pid=7, name=x, words"}, Envelope.SYSLOG, id="a message that is read as a process"),
    ],
)
def test_a_line_that_a_pipeline_would_read_otherwise_does_not(given: dict[str, Any], envelope: Envelope) -> None:
    meant = line(**given)
    with pytest.raises(BadInputError, match="would not read this drill off it"):
        checked(meant.wrapped(envelope, DecodeSettings()), meant, DecodeSettings(), MATCHER)


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(TEXT.removeprefix("gpu-rescue-drill: "), id="a mark that was lost"),
        pytest.param(TEXT.replace("drill:", "drill-for-real:"), id="a mark that means it otherwise"),
        pytest.param(TEXT.replace("79", "48"), id="another code"),
        pytest.param(TEXT.replace("3b", "3c"), id="another device"),
        pytest.param("nothing at all", id="nothing that is a fault"),
    ],
)
def test_no_line_goes_out_that_says_anything_else_than_what_was_asked_for(payload: str) -> None:
    wrapped = f"{NOON.isoformat()} gpu-1 kernel: {payload}".encode()
    with pytest.raises(BadInputError):
        checked(wrapped, line(), DecodeSettings(), MATCHER)


def test_no_line_goes_out_that_says_another_time() -> None:
    wrapped = f"{(NOON - timedelta(days=1)).isoformat()} gpu-1 kernel: {TEXT}".encode()
    with pytest.raises(BadInputError):
        checked(wrapped, line(), DecodeSettings(), MATCHER)


def test_patterns_that_know_no_xid_refuse_every_drill(tmp_path: Any) -> None:
    (tmp_path / "off.yaml").write_text("rules: [{name: xid, enabled: false}]\n")
    matcher = Matcher(load_patterns([shipped() / "patterns", tmp_path]))
    with pytest.raises(BadInputError):
        checked(line().wrapped(Envelope.SYSLOG, DecodeSettings()), line(), DecodeSettings(), matcher)
