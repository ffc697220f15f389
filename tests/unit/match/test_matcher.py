"""The matcher as a whole: the cheap test never says no to what would be matched, and nothing makes it raise."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.match.matcher import Matcher
from pipeline.match.needles import cheap_test, needle_of
from pipeline.match.patterns import PatternSet, load_patterns
from pipeline.model.fault import Fault
from pipeline.model.line import LogLine
from tests.unit.match.conftest import SHIPPED, Load, Read

XID = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=x, GPU has fallen off the bus."
SXID = "nvidia-nvswitch1: SXid (PCI:0000:06:00.0): 20034, Fatal, Link 48 LTSSM Fault Up"
OWN = """
rules:
- name: amd
  where: {contains: [amdgpu, "<reset> \\"begin\\"/é"]}
  regex: '(?i)amdgpu (?P<pci>[0-9a-f:.]+): .*begin'
  kind: amd
  code: 1
"""
AMD = '[ 1.5] amdgpu 0000:C3:00.0: <reset> "begin"/é'


def in_bytes(text: str) -> bytes:
    return json.dumps({"_HOSTNAME": "a", "MESSAGE": list(text.encode())}).encode()


def in_all_escapes(text: str) -> bytes:
    return b'{"msg":"' + b"".join(b"\\u%04x" % ord(letter) for letter in text) + b'"}'


ENVELOPES: dict[str, Callable[[str], bytes]] = {
    "as text": lambda text: text.encode(),
    "in JSON": lambda text: json.dumps({"msg": text}).encode(),
    "in JSON that keeps UTF-8": lambda text: json.dumps({"msg": text}, ensure_ascii=False).encode(),
    "in JSON that escapes slashes": lambda text: json.dumps({"msg": text}).replace("/", "\\/").encode(),
    "in JSON that escapes HTML": lambda text: json.dumps({"msg": text}).replace("<", "\\u003c").encode(),
    "in JSON within JSON": lambda text: json.dumps({"log": json.dumps({"msg": text})}).encode(),
    "as the journal's array of bytes": in_bytes,
    "as an array without spaces": lambda text: in_bytes(text).replace(b" ", b""),
    "as an array over several lines": lambda text: json.dumps({"MESSAGE": list(text.encode())}, indent=1).encode(),
    "in letters that are all escaped": in_all_escapes,
    "with NULs in it": lambda text: text.replace("V", "V\0").replace("amd", "a\0md").encode(),
}


@pytest.mark.parametrize(
    "text", [XID, XID.lower(), SXID, SXID.upper(), AMD], ids=["xid", "lower", "sxid", "upper", "own"]
)
@pytest.mark.parametrize("envelope", ENVELOPES.values(), ids=ENVELOPES)
def test_a_fault_passes_the_cheap_test_in_every_envelope(
    text: str, envelope: Callable[[str], bytes], load: Load
) -> None:
    matcher, payload = Matcher(load(OWN)), envelope(text)

    assert matcher.wanted(payload)

    lines = Decoder(DecodeSettings()).decode(payload, "1", received=datetime(2026, 1, 1, tzinfo=UTC)).lines
    assert [type(matcher.match(line)) for line in lines] == [Fault]


NOISE = (
    b"",
    b'{"msg":"[ 1234.5678] IPv6: ADDRCONF(NETDEV_CHANGE): calib2: link becomes ready"}',
    b"Dec  2 11:38:47 worker4 kernel: [  219.470994] audit: type=1400 audit(1701517127.123:45)",
    b'{"msg":"nvme nvme0: 32/0/0 queues", "values": [1]}',
    '{"msg":"r\\u00e9seau \u2028"}'.encode(),
)


@pytest.mark.parametrize("payload", NOISE)
def test_noise_is_not_wanted(payload: bytes, load: Load) -> None:
    assert not Matcher(load(OWN)).wanted(payload)


def test_a_rule_without_literals_wants_everything(load: Load) -> None:
    patterns = load("rules:\n- {name: any, regex: x+, kind: any, code: 1}\n")
    assert Matcher(patterns).wanted(b"noise")
    assert [rule.name for rule in patterns.rules if not rule.contains] == ["any"]


LITERALS = {
    "the longest": (("NVRM", "fallen off the bus"), "fallen off the bus"),
    "what JSON does not escape": (('a"bcd/é\\ef',), "bcd"),
    "none": ((), None),
    "none that is safe": (("é/",), None),
}


@pytest.mark.parametrize(("literals", "needle"), LITERALS.values(), ids=LITERALS)
def test_the_needle_of_a_rule(literals: tuple[str, ...], needle: str | None) -> None:
    assert needle_of(literals) == needle


@given(st.lists(st.text(st.characters(codec="ascii"), min_size=1, max_size=8), min_size=1, max_size=5), st.text())
def test_the_cheap_test_finds_every_literal(literals: list[str], around: str) -> None:
    test = cheap_test([literals])
    text = around + around.join(literals) + around
    assert test(text.swapcase().encode())
    assert test(json.dumps(text).encode())


SHARED = Matcher(load_patterns([SHIPPED]))
PIECES = st.sampled_from(
    (
        *(
            "NVRM:",
            "nvrm :",
            "Xid",
            "(PCI:0000:3b:00)",
            ": 79,",
            "pid=1,",
            "name=x,",
            "caused by previous Xid 79",
            "\n",
        ),
        *("nvidia-nvswitch0:", "SXid", "(PCI:0000:05:00.0)", ": 20034,", "Fatal, Link 30", "Data {", "\x1b[31m", "\0"),
        *("GPU recovery action changed from 0x0 (None) to 0x2 (OS Reboot)", "NETIR Fatal XC0 i1 Link 01 (0x1 0x2)"),
        *("The NVIDIA GPU 0000:b3:00.0", "fallen off the bus", "GPU at PCI:0000:26:00: GPU-b50e4ccf-00", "\ud800", "é"),
    )
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=12).map(" ".join) | st.text())
def test_nothing_raises_and_whatever_is_matched_was_wanted(text: str) -> None:
    found = SHARED.match(LogLine(text, "1", "node"))
    assert found is None or SHARED.wanted(text.encode("utf-8", "replace"))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("NVRM: " + "Xid (" * 200_000, id="heads"),
        pytest.param("NVRM:" + " " * 1_000_000 + "x", id="spaces"),
        pytest.param("NVRM" + " " * 1_000_000 + "x", id="a tag without its end"),
        pytest.param("NVRM: Xid (PCI:0000:3b:00)" + " " * 1_000_000 + "x", id="spaces in the head"),
        pytest.param("NVRM: Xid (PCI:0000:3b:00): 154, name=" + "x, " * 300_000, id="commas"),
        pytest.param("NVRM: Xid (PCI:0000:3b:00): 149, " + "a" * 1_000_000, id="a sub-code"),
        pytest.param(
            "NVRM: Xid (PCI:0000:3b:00): 154, GPU recovery action changed from 0x0" + " " * 1_000_000 + "x",
            id="verdict",
        ),
        pytest.param("NVRM: Xid (PCI:0000:3b:00): 45, x" + " caused by previous Xid 1" * 40_000 + "x", id="causes"),
        pytest.param("NVRM: The NVIDIA GPU 0000:b3:00.0" + " " * 1_000_000 + "x", id="half a fall"),
        pytest.param("NVRM: (PCI ID:" + " " * 1_000_000 + "x", id="half a second line"),
        pytest.param("x" * 1_000_000 + "NVRM: Xid (PCI:0000:3b:00): 79, x", id="a header"),
        pytest.param("\x1b[" * 500_000, id="colours"),
    ],
)
def test_a_long_line_is_read_to_its_end(text: str, matcher: Matcher) -> None:
    """Each would take hours if any pattern were quadratic; returning is the proof."""
    found = matcher.match(LogLine(text, "1"))
    assert found is None or text.startswith(found.line.text)


def test_of_a_long_line_a_fault_keeps_the_beginning(read: Read) -> None:
    found = read("NVRM: Xid (PCI:0000:3b:00): 13, pid=7, name=python3, " + "x" * 100_000)
    assert isinstance(found, Fault)
    assert (len(found.message), len(found.line.text)) == (8192, 8192)


def test_of_several_lines_in_one_text_the_first_fault_counts(read: Read) -> None:
    fault = read(f"NVRM: something\n{XID}\n{SXID}")
    assert isinstance(fault, Fault)
    assert (fault.code, fault.message) == (79, "GPU has fallen off the bus.")


def test_patterns_are_replaced_in_place(shipped: PatternSet, load: Load) -> None:
    matcher = Matcher(shipped)
    wanted = matcher.wanted
    assert not wanted(AMD.encode())

    matcher.replace(load(OWN))

    assert wanted(AMD.encode())
    assert isinstance(matcher.match(LogLine(AMD, "1")), Fault)
    assert matcher.catalogue is not shipped.catalogue
