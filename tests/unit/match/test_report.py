"""The object that `gpu-rescue match` prints beyond what the corpus says of it."""

from datetime import UTC, datetime

from pipeline.match.report import report
from pipeline.model.fault import Fault
from pipeline.model.line import LogLine


def test_what_does_not_apply_is_left_out() -> None:
    fault = Fault("own", 1, None, "text", "rule", LogLine("text", "1"))
    assert report(fault, 7) == {
        "line_no": 7,
        "kind": "own",
        "code": 1,
        "pci": None,
        "pid": None,
        "name": None,
        "message": "text",
    }


def test_what_the_envelope_said() -> None:
    line = LogLine("text", "1", node="gpu-1", time=datetime(2026, 1, 1, 12, 0, 0, 250_000, tzinfo=UTC))
    found = report(Fault("xid", 79, "0000:3b:00", "text", "bus", line, inferred=True, link=0), 1)
    assert (found["node"], found["time"], found["inferred"]) == ("gpu-1", "2026-01-01T12:00:00.250000Z", True)
    assert found["link"] == 0


def test_an_sxid_always_says_whether_it_is_a_companion() -> None:
    found = report(Fault("sxid", 20034, "0000:05:00", "text", "sxid", LogLine("text", "1"), device="nvswitch0"), 1)
    assert (found["companion"], found["severity_word"], found["link"]) == (False, None, None)
    assert found["device"] == "nvswitch0"
