"""The grammar of SXid lines."""

import pytest

from pipeline.model.fault import Fault, UnknownDriverLine
from tests.unit.match.conftest import Read

LINES = {
    "fatal": ("20034, Fatal, Link 30 LTSSM Fault Up", 20034, False, "Fatal", 30),
    "non-fatal": ("22013, Non-fatal, Link 57 Minion Link DLREQ interrupt", 22013, False, "Non-fatal", 57),
    "correctable": ("19049, Correctable, Link 12 NCISOC HDR ECC limit error", 19049, False, "Correctable", 12),
    "fatal without a link": ("10003, Fatal, unhandled interrupt in HOST(0)", 10003, False, "Fatal", None),
    "without a severity": ("10004, NVSWITCH Temperature 92C | TSENSE WARN", 10004, False, None, None),
    "in other spelling": ("20034 ,  NONFATAL,Link 4 x", 20034, False, "Non-fatal", 4),
    "a companion with the severity": ("20034, Severity 1 Engine instance 60", 20034, True, None, None),
    "a companion with data": ("20034, Data {0x10000000, 0x10000000}", 20034, True, None, None),
    "a word that only begins so": ("20034, Fatality Link 3", 20034, False, None, None),
    "without a message": ("20034", 20034, False, None, None),
}


@pytest.mark.parametrize(("rest", "code", "companion", "word", "link"), LINES.values(), ids=LINES)
def test_an_sxid(rest: str, code: int, companion: bool, word: str | None, link: int | None, read: Read) -> None:
    fault = read(f"[123] nvidia-nvswitch3: SXid (PCI:0000:C1:00.0): {rest}")

    assert isinstance(fault, Fault)
    assert (fault.kind, fault.code, fault.pci, fault.device) == ("sxid", code, "0000:c1:00", "nvswitch3")
    assert (fault.companion, fault.severity_word, fault.link) == (companion, word, link)
    assert fault.message == rest.partition(",")[2].strip()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("nvidia-nvswitch3: SXid (20034), Fatal", id="without an address"),
        pytest.param("nvidia-nvswitch3: SXid (PCI:0000:c1:00.0): x", id="without a number"),
    ],
)
def test_an_sxid_that_cannot_be_read_is_counted(text: str, read: Read) -> None:
    assert isinstance(read(text), UnknownDriverLine)
