"""The grammar of Xid lines: the head, the owner (pid and name), known structures, names that imitate structure."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.match.message import read_message
from pipeline.match.xid import parse_pci, read_xid
from pipeline.model.fault import Fault, NvLink5, RecoveryAction
from pipeline.model.line import LogLine

VERDICT = "GPU recovery action changed from 0x0 (None) to 0x1 (GPU Reset Required)"
REBOOT = "GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)"


def xid(text: str) -> Fault | None:
    return read_xid(read_message(LogLine(text, "1", time=datetime(2026, 1, 1, tzinfo=UTC)), text))


def read(text: str) -> Fault:
    fault = xid(text)
    assert fault is not None, text
    return fault


HEADS = {
    "as drivers print it": ("NVRM: Xid (PCI:0000:3b:00): 79, x", "0000:3b:00", 79),
    "without PCI:": ("NVRM: Xid (0000:03:00): 62, x", "0000:03:00", 62),
    "with a function": ("NVRM: Xid (PCI:0000:3b:00.0): 79, x", "0000:3b:00", 79),
    "in any case and with spaces": ("nvrm : XID  ( pci:0000:AB:00.0 ) : 43 , x", "0000:ab:00", 43),
    "without spaces": ("NVRM:Xid(PCI:0000:3b:00):79,x", "0000:3b:00", 79),
    "of another domain": ("NVRM: Xid (PCI:0018:01:00): 149, x", "0018:01:00", 149),
    "with a domain of eight digits": ("NVRM: Xid (PCI:0000000A:01:00): 48, x", "000a:01:00", 48),
    "with a domain of five digits": ("NVRM: Xid (PCI:10000:01:00): 48, x", "10000:01:00", 48),
    "with a device that is not 00": ("NVRM: Xid (PCI:0000:10:1c): 63, x", "0000:10:1c", 63),
    "in the colours of dmesg": ("\x1b[33mNVRM: \x1b[0m\x1b[31mXid (PCI:0000:3b:00): 79, x\x1b[0m", "0000:3b:00", 79),
    "without a message": ("NVRM: Xid (PCI:0000:3b:00): 79", "0000:3b:00", 79),
    "with a code that no catalogue knows": ("NVRM: Xid (PCI:0000:3b:00): 9999, x", "0000:3b:00", 9999),
}


@pytest.mark.parametrize(("text", "pci", "code"), HEADS.values(), ids=HEADS)
def test_a_head(text: str, pci: str, code: int) -> None:
    fault = read(text)
    assert (fault.pci, fault.code) == (pci, code)


def test_instances_of_a_divided_gpu() -> None:
    fault = read("NVRM: Xid (PCI:0000:3b:00 GPU-I:01 GPU-CI:02): 13, pid=9, name=a, Graphics Exception")
    assert (fault.gpu_instance, fault.compute_instance) == (1, 2)
    alone = read("NVRM: Xid (PCI:0000:3b:00 GPU-I:05): 94, pid=7194, Contained")
    assert (alone.gpu_instance, alone.compute_instance) == (5, None)


NO_XIDS = {
    "no address": "NVRM: Xid (79): GPU has fallen off the bus on nvidia1",
    "no number": "NVRM: Xid (PCI:0000:66:00): abc, pid=2280636",
    "a number that goes on": "NVRM: Xid (PCI:0000:66:00): 79abc",
    "no tag": "Xid (PCI:0000:66:00): 79, x",
    "another word before it": "NVRM: saw Xid (PCI:0000:66:00): 79, x",
    "an SXid": "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 12028, Fatal",
    "an Xid of an NVSwitch": "nvidia-nvswitch0: Xid (PCI:0000:05:00.0): 79, x",
}


@pytest.mark.parametrize("text", NO_XIDS.values(), ids=NO_XIDS)
def test_no_xid(text: str) -> None:
    assert xid(text) is None


OWNERS = {
    "a pair": ("pid=1263500, name=cache_mgr_main, Timeout, after 6s", 1263500, "cache_mgr_main", "Timeout, after 6s"),
    "with extra spaces": ("pid=8494,   name=RenderThread,  channel", 8494, "RenderThread", "channel"),
    "with spaces around =": ("pid = 8494, name = RenderThread, channel", 8494, "RenderThread", "channel"),
    "unknown, quoted and not": ("pid='<unknown>', name=<unknown>, Ch 8", None, None, "Ch 8"),
    "unknown, both quoted": ("pid='<unknown>', name='<unknown>', Ch 8", None, None, "Ch 8"),
    "not available": ("pid='N/A', name=N/A, Ch 8", None, None, "Ch 8"),
    "a quoted pair": ("pid='12', name='python3', Ch 8", 12, "python3", "Ch 8"),
    "a quoted name with commas": ("pid=1, name='a, b', Ch 8", 1, "a, b", "Ch 8"),
    "a name that only begins with a quote": ("pid=1, name='a, Ch 8", 1, "'a", "Ch 8"),
    "a pid alone": ("pid=1896, Row Remapper: New row", 1896, None, "Row Remapper: New row"),
    "a name alone": ("name=python3, Ch 8", None, "python3", "Ch 8"),
    "a name with colons": ("pid=1, name=VLLM::Worker, channel", 1, "VLLM::Worker", "channel"),
    "a name without a space behind it": ("pid=1, name=a,b", 1, "a", "b"),
    "a pair without a message": ("pid=1, name=a", 1, "a", ""),
    "a pid that no system has": ("pid=" + "9" * 5000 + ", name=a, Ch 8", None, "a", "Ch 8"),
    "no owner": ("Ch 00000009, engmask 00000101", None, None, "Ch 00000009, engmask 00000101"),
    "an address in the message": ("failed to train to PCI:0000:05:00", None, None, "failed to train to PCI:0000:05:00"),
}


@pytest.mark.parametrize(("rest", "pid", "name", "message"), OWNERS.values(), ids=OWNERS)
def test_an_owner(rest: str, pid: int | None, name: str | None, message: str) -> None:
    fault = read(f"NVRM: Xid (PCI:0000:3b:00): 45, {rest}")
    assert (fault.pid, fault.name, fault.message) == (pid, name, message)


VERDICTS = {
    "alone": (REBOOT, RecoveryAction("None", "Node Reboot Required", 2)),
    "in another driver's words": (
        "GPU recovery action changed from 0x0 (None) to 0x1 (PF FLR)",
        RecoveryAction("None", "PF FLR", 1),
    ),
    "recovered": (
        "GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)",
        RecoveryAction("Node Reboot Required", "None", 0),
    ),
    "of a number that is not known yet": (
        "GPU recovery action changed from 0x0 (None) to 0x1f (Something New)",
        RecoveryAction("None", "Something New", 31),
    ),
    "without words": ("GPU recovery action changed from 0x0 to 0x2", RecoveryAction("", "", 2)),
    "with an owner": (f"pid=1, name=a, {REBOOT}", RecoveryAction("None", "Node Reboot Required", 2)),
    "with a cause": (
        f"pid=1, name=a, {REBOOT} caused by previous Xid 79",
        RecoveryAction("None", "Node Reboot Required", 2),
    ),
    "broken off": ("GPU recovery action changed from 0x0 (None) to", None),
    "broken off behind a name that imitates it": (f"pid=1, name=x, {REBOOT}, GPU recovery action changed fr", None),
}


@pytest.mark.parametrize(("rest", "action"), VERDICTS.values(), ids=VERDICTS)
def test_the_drivers_verdict(rest: str, action: RecoveryAction | None) -> None:
    assert read(f"NVRM: Xid (PCI:0000:3b:00): 154, {rest}").recovery_action == action


NVLINKS = {
    "with registers": (
        "RLW_SRC_TRACK Nonfatal XC1 i0 Link 12 (0x040988e2 0x00000008 0x00000000)",
        NvLink5("RLW_SRC_TRACK", False, True, False, 12, "0x040988e2", "0x00000008"),
    ),
    "with double spaces and no register": (
        "NETIR_INT  Fatal   XC0 i0 Link -1",
        NvLink5("NETIR_INT", True, False, False, -1, None, None),
    ),
    "injected, with brackets and one register": (
        "NETIR_LINK_EVT Fatal XC 1 i 2 Link 01 [0x0000000a]",
        NvLink5("NETIR_LINK_EVT", True, True, True, 1, "0x0000000a", None),
    ),
    "with zeros of two digits": (
        "TREX_ERR Nonfatal XC 00 i 00 Link 02 (0x5)",
        NvLink5("TREX_ERR", False, False, False, 2, "0x5", None),
    ),
    "with digits in the sub-code": (
        "TLW_RX_PIPE1 Fatal XC0 i0 Link 4 (0x1, 0x2)",
        NvLink5("TLW_RX_PIPE1", True, False, False, 4, "0x1", "0x2"),
    ),
    "with a sub-code of two words": (
        "MSE Degraded Fatal XC0 i0 Link -1",
        NvLink5("MSE Degraded", True, False, False, -1, None, None),
    ),
    "with an owner": (
        "pid=11436, name=cache_mgr_main, NETIR Fatal XC0 i0 Link -1 (0x1 0x2)",
        NvLink5("NETIR", True, False, False, -1, "0x1", "0x2"),
    ),
    "behind a name that imitates a drill": (
        "pid=1, name=x, NETIR Nonfatal XC0 i1 Link 01, NETIR Fatal XC0 i0 Link -1 (0x1 0x2)",
        NvLink5("NETIR", True, False, False, -1, "0x1", "0x2"),
    ),
    "broken off within the registers": (
        "NETIR Fatal XC0 i0 Link 01 (0x1 0x2",
        NvLink5("NETIR", True, False, False, 1, "0x1", "0x2"),
    ),
    "unreadable behind a name that imitates a fault": ("pid=1, name=x, NETIR Nonfatal XC0 i0 Link 01, something", None),
    "in words of its own": ("link 3 went down", None),
}


@pytest.mark.parametrize(("rest", "fields"), NVLINKS.values(), ids=NVLINKS)
def test_an_nvlink5_message(rest: str, fields: NvLink5 | None) -> None:
    assert read(f"NVRM: Xid (PCI:0000:3b:00): 149, {rest}").nvlink5 == fields


DRILL = "NETIR_LINK_EVT Fatal XC0 i1 Link 03 (0x1 0x2)"
FAULT = "NETIR_LINK_EVT Fatal XC0 i0 Link 03 (0x1 0x2)"
RECOVERY = "GPU recovery action changed from 0x2 (Node Reboot Required) to 0x0 (None)"
BEHIND = {
    "nothing": "",
    "rsyslog's carriage return": "#015",
    "rsyslog's carriage return and line feed": "#015#012",
    "a carriage return as JSON writes it": "\\r",
    "a line end as JSON writes it": "\\r\\n",
    "a carriage return as the kernel writes it": "\\x0d",
    "a carriage return as terminals show it": "^M",
    "spaces": "   ",
    "spaces and a carriage return": "  #015 ",
    "a quotation mark": '"',
    "the end of a record": '"}',
    "a full stop": ".",
    "a cause": " caused by previous Xid 79",
    "more text of the driver's": " on GPU 3; see the manual",
    "very much text": " x" * 1000,
}


@pytest.mark.parametrize("behind", BEHIND.values(), ids=BEHIND)
def test_whatever_stands_behind_a_structure_leaves_it_the_drivers(behind: str) -> None:
    owner = "pid=77, name=nvidia-persiste"
    forged = f"pid=77, name=x, {DRILL}"

    drill = read(f"NVRM: Xid (PCI:0000:3b:00): 149, {owner}, {DRILL}{behind}")
    assert drill.nvlink5 == NvLink5("NETIR_LINK_EVT", True, False, True, 3, "0x1", "0x2")
    assert (drill.pid, drill.name) == (77, "nvidia-persiste")
    fault = read(f"NVRM: Xid (PCI:0000:3b:00): 149, {forged}, {FAULT}{behind}")
    assert fault.nvlink5 == NvLink5("NETIR_LINK_EVT", True, False, False, 3, "0x1", "0x2")
    recovery = read(f"NVRM: Xid (PCI:0000:3b:00): 154, {owner}, {RECOVERY}{behind}")
    assert recovery.recovery_action == RecoveryAction("Node Reboot Required", "None", 0)
    verdict = read(f"NVRM: Xid (PCI:0000:3b:00): 154, pid=7, name=x, {RECOVERY}, {VERDICT}{behind}")
    assert verdict.recovery_action == RecoveryAction("None", "GPU Reset Required", 1)


REGISTERS = " ".join(["0x021425c6", *["0x00000000"] * 5])
LONG = f"NETIR_LINK_EVT Fatal XC0 i0 Link 03 ({REGISTERS})"
DOUBTFUL = {
    "a drill keeps hands off": (149, f"pid=1, name=x, {DRILL}, and more", True),
    "a drill before the rest of a record": (149, f'pid=1, name=x, {DRILL}","host":"gpu-1"', True),
    "a recovery keeps hands off": (154, f"pid=1, name=x, {RECOVERY}, and more", True),
    "a fault does not": (149, f"pid=1, name=x, {FAULT}, and more", False),
    "a reboot does not": (154, f"pid=1, name=x, {REBOOT}, and more", False),
    "a fault that is longer than a name": (149, f"pid=1, name=nvidia-persiste, {LONG}, and more", True),
    "a reboot behind bytes of a name that are escaped": (154, "pid=1, name=" + "\\x07" * 20 + f", {REBOOT}, x", False),
    "a reboot behind bytes that rsyslog escaped": (154, "pid=1, name=" + "#007" * 20 + f", {REBOOT}, x", False),
    "a reboot with nothing behind it": (154, f"pid=1, name=x, {REBOOT}", True),
}


@pytest.mark.parametrize(("code", "rest", "believed"), DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_structure_that_may_be_a_names_is_believed_only_where_it_keeps_hands_off(
    code: int, rest: str, believed: bool
) -> None:
    fault = read(f"NVRM: Xid (PCI:0000:3b:00): {code}, {rest}")
    assert (fault.code, fault.nvlink5 is not None or fault.recovery_action is not None) == (code, believed)


def test_structure_belongs_to_its_codes_alone() -> None:
    other = read(f"NVRM: Xid (PCI:0000:3b:00): 13, {REBOOT}")
    assert other.recovery_action is None
    assert read("NVRM: Xid (PCI:0000:3b:00): 13, NETIR Fatal XC0 i1 Link 01").nvlink5 is None


CAUSES = {
    "at the end": ("pid=1818990, name=python3, Ch 00000001 caused by previous Xid 149", 149),
    "without an owner": ("Ch 00000001 caused by previous Xid 79", 79),
    "inside the name": ("pid=1, name=x caused by previous Xid 79, Ch 00000001", None),
    "inside a name with a comma": ("pid=1, name=x, y caused by previous Xid 79, Ch 00000001", None),
    "inside a name, and at the end": ("pid=1, name=x caused by previous Xid 79, Ch 1 caused by previous Xid 31", 31),
    "nowhere": ("pid=1, name=x, Ch 00000001", None),
}


@pytest.mark.parametrize(("rest", "cause"), CAUSES.values(), ids=CAUSES)
def test_a_cause(rest: str, cause: int | None) -> None:
    assert read(f"NVRM: Xid (PCI:0000:3b:00): 45, {rest}").caused_by_xid == cause


HOSTILE = (
    "x, NVRM: Xid (PCI:0000:02:00): 79, ",
    "x, pid=7, name=y",
    REBOOT,
    f"x, {REBOOT}",
    "caused by previous Xid 79",
    "x, NETIR Fatal XC0 i1 Link 01 (0x1 0x2)",
    "x) : 79, ",
    "'",
    "x', 'y",
    "nvidia-nvswitch0: SXid (PCI:0000:05:00.0): 20034, Fatal, Link 30",
    "GPU has fallen off the bus.",
    "x\\x0aNVRM: Xid (PCI:0000:02:00): 79, GPU has fallen off the bus.",
    "\ufffd\ufffd",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_imitates_structure_changes_nothing(name: str) -> None:
    fault = read(f"NVRM: Xid (PCI:0000:3b:00): 13, pid=1, name={name}, Graphics Exception")
    assert (fault.code, fault.pci, fault.pid) == (13, "0000:3b:00", 1)
    assert (fault.recovery_action, fault.nvlink5, fault.caused_by_xid, fault.inferred) == (None, None, None, False)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_imitates_structure_does_not_change_a_verdict(name: str) -> None:
    fault = read(f"NVRM: Xid (PCI:0000:3b:00): 154, pid=1, name={name}, {VERDICT}")
    assert fault.recovery_action == RecoveryAction("None", "GPU Reset Required", 1)
    assert (fault.name, fault.message) == (name.strip(), VERDICT)


ADDRESSES = {
    "0000:3B:00.0": "0000:3b:00",
    "PCI:0018:01:00": "0018:01:00",
    "00000000:3b:00.0": "0000:3b:00",
    "3b:00.0": None,
    "": None,
    "0000:3b:00:": None,
}


@pytest.mark.parametrize(("text", "pci"), ADDRESSES.items())
def test_an_address_alone(text: str, pci: str | None) -> None:
    assert parse_pci(text) == pci


@dataclass(frozen=True)
class Parts:
    """What a line is built of, and must be read as."""

    code: int
    pci: tuple[int, int, int]
    pid: int | None
    name: str | None
    cause: int | None


USERS_TEXT = st.text(st.characters(blacklist_categories=["Cc", "Cs"]), max_size=100) | st.sampled_from(HOSTILE)
REAL_NAMES = USERS_TEXT.map(str.strip).filter(
    lambda name: name not in ("", "<unknown>", "N/A") and name[0] not in "'\"" and not name.endswith(",")
)
HEADERS = st.sampled_from(
    (
        "",
        "[ 1843.308145] ",
        "[四 7月 4 11:09:40 2024] ",
        "<3>",
        "<3>[6085126.134786] ",
        "kernel: ",
        "Dec  2 11:38:47 worker4 kernel: [  219.470994] ",
        "kwi 15 07:56:59 testowy kernel: ",
        "Sep 18 20:07:01 ",
        "4,9921,9370042162,-;",
        "nvidia 0000:3b:00.0: [drm] ",
        "2024-07-04T03:09:40.802301123Z stdout F ",
        "kern  :err   : 2025-01-25T10:34:54,859532+00:00 ",
        "MESSAGE=",
        '{"msg":"',
        "gpu01: [ 12.5] ",
    )
)
PARTS = st.builds(
    Parts,
    code=st.integers(0, 999).filter(lambda code: code != 154 and code not in range(144, 151)),
    pci=st.tuples(st.integers(0, 0xFFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F)),
    pid=st.none() | st.integers(0, 4_194_304),
    name=st.none() | REAL_NAMES,
    cause=st.none() | st.integers(0, 999),
)


def built(parts: Parts, header: str, space: str, pci_word: str, message: str) -> str:
    domain, bus, device = parts.pci
    pid = "" if parts.pid is None else f"pid={parts.pid}, "
    name = "" if parts.name is None else f"name={parts.name},{space or ' '}"
    cause = "" if parts.cause is None else f" caused by previous Xid {parts.cause}"
    where = f"{pci_word}{domain:04x}:{bus:02x}:{device:02x}"
    return f"{header}NVRM:{space}Xid ({where}){space}: {parts.code},{space}{pid}{name}{message}{cause}"


@given(PARTS, HEADERS, st.sampled_from(("", " ", "   ")), st.sampled_from(("PCI:", "pci:", "")))
def test_what_a_line_is_built_of_is_what_is_read(parts: Parts, header: str, space: str, pci_word: str) -> None:
    fault = read(built(parts, header, space, pci_word, "Ch 00000008"))

    domain, bus, device = parts.pci
    assert (fault.code, fault.pci) == (parts.code, f"{domain:04x}:{bus:02x}:{device:02x}")
    assert (fault.pid, fault.caused_by_xid) == (parts.pid, parts.cause)
    assert (fault.recovery_action, fault.nvlink5) == (None, None)
    if parts.name is None or ", " not in parts.name:
        cause = "" if parts.cause is None else f" caused by previous Xid {parts.cause}"
        assert (fault.name, fault.message) == (parts.name, f"Ch 00000008{cause}")


@given(PARTS, HEADERS, st.integers(0, 255), st.sampled_from(("None", "PF FLR", "Drain and Reset")))
def test_a_verdict_is_read_behind_any_name(parts: Parts, header: str, to: int, word: str) -> None:
    sentence = f"GPU recovery action changed from 0x0 (None) to 0x{to:x} ({word})"
    text = built(replace(parts, code=154), header, " ", "PCI:", sentence)

    fault = read(text)

    assert fault.recovery_action == RecoveryAction("None", word, to)
    assert (fault.name, fault.caused_by_xid) == (parts.name, parts.cause)
    assert fault.message.startswith(sentence)


@given(
    PARTS,
    st.integers(144, 150),
    st.builds(
        NvLink5,
        subcode=st.from_regex(r"[A-Z]{2,5}(_[A-Z0-9]{1,5}){0,3}", fullmatch=True),
        fatal=st.booleans(),
        cross_containment=st.booleans(),
        injected=st.booleans(),
        link=st.integers(-1, 71),
        intr_info=st.integers(0, 2**32 - 1).map(lambda number: f"0x{number:08x}"),
        error_status=st.integers(0, 2**32 - 1).map(lambda number: f"0x{number:08x}"),
    ),
    st.sampled_from(("XC{} i{}", "XC {:02} i {:02}")),
    st.sampled_from(("({} {} 0x0)", "[{} {}]")),
)
def test_an_nvlink5_message_is_read_behind_any_name(
    parts: Parts, code: int, nvlink: NvLink5, marks: str, registers: str
) -> None:
    word = "Fatal" if nvlink.fatal else "Nonfatal"
    marked = marks.format(int(nvlink.cross_containment), int(nvlink.injected))
    tail = registers.format(nvlink.intr_info, nvlink.error_status)
    message = f"{nvlink.subcode}  {word} {marked} Link {nvlink.link:02} {tail}"

    fault = read(built(replace(parts, code=code), "", " ", "PCI:", message))

    assert (fault.nvlink5, fault.name) == (nvlink, parts.name)
