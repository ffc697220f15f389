"""The grammar of errorCode: what each entry matches, what it does not, and what is refused with what would be right."""

import pytest

from pipeline.decide.errorcodes import code_of, may_both_match, parse, severity
from pipeline.model.fault import CodeMeaning, DriverWord, NodeFault, NvLink5, RecoveryAction, Severity
from pipeline.model.occurrence import Code
from tests.fakes.faults import fault, node_fault


def xid(code: int, **given: object) -> NodeFault:
    return node_fault(code, fault=fault(code, **given))


def nvlink(code: int, subcode: str) -> NodeFault:
    return xid(code, nvlink5=NvLink5(subcode, True, False, False, 1, None, None))


def harmless(code: int, subcode: str) -> NodeFault:
    return xid(code, nvlink5=NvLink5(subcode, False, False, False, 1, None, None))


def verdict(to: int) -> NodeFault:
    return xid(154, recovery_action=RecoveryAction("None", "Node Reboot Required", to))


def of_class(catalogue: Severity, rule: Severity | None = None) -> NodeFault:
    return node_fault(fault=fault(9, severity=rule), meaning=CodeMeaning("xid", 9, severity=catalogue))


@pytest.mark.parametrize(
    ("text", "found", "matches"),
    [
        pytest.param("62", xid(62), True, id="a number is an Xid"),
        pytest.param(" 62 ", xid(62), True, id="blanks around it do not matter"),
        pytest.param("062", xid(62), True, id="nor do leading zeros"),
        pytest.param("62", xid(63), False, id="another Xid is another code"),
        pytest.param("62", xid(62, kind="sxid"), False, id="an SXid of the same number is another code"),
        pytest.param("xid:62", xid(62), True, id="the kind of an Xid may be written"),
        pytest.param("79", xid(79, inferred=True), True, id="an inferred 79 is a 79"),
        pytest.param("sxid:12028", xid(12028, kind="sxid"), True, id="an SXid by its kind"),
        pytest.param("SXid:12028", xid(12028, kind="sxid"), True, id="the case of a kind does not matter"),
        pytest.param("sxid:12028", xid(12028), False, id="an Xid is no SXid"),
        pytest.param("disk:9001", xid(9001, kind="disk"), True, id="an operator's own kind"),
        pytest.param("disk:9001", xid(9001, kind="Disk"), True, id="an operator's own kind in capitals"),
        pytest.param("disk:9001", xid(9002, kind="disk"), False, id="another code of an operator's own kind"),
        pytest.param("149", nvlink(149, "NETIR"), True, id="a code without sub-code matches any sub-code"),
        pytest.param("149.NETIR", nvlink(149, "NETIR"), True, id="a sub-code"),
        pytest.param("149.netir", nvlink(149, "NETIR"), True, id="the case of a sub-code does not matter"),
        pytest.param("149.NETIR", nvlink(149, "NETIR_LINK_EVT"), False, id="a sub-code is not a prefix"),
        pytest.param("149.NETIR", nvlink(148, "NETIR"), False, id="the same sub-code of another Xid"),
        pytest.param("149.NETIR", xid(149), False, id="a line without sub-code is not of that sub-code"),
        pytest.param("150.MSE Degraded", nvlink(150, "MSE Degraded"), True, id="a sub-code of two words"),
        pytest.param("149.NETIR/NETIR_INT", nvlink(149, "NETIR/NETIR_INT"), True, id="a sub-code with a slash"),
        pytest.param("149:fatal", nvlink(149, "NETIR"), True, id="what the driver calls fatal"),
        pytest.param("149:Fatal", nvlink(149, "NETIR"), True, id="in whatever case"),
        pytest.param("149:fatal", harmless(149, "NETIR"), False, id="not what it calls harmless"),
        pytest.param("149:nonfatal", harmless(149, "NETIR"), True, id="what the driver calls nonfatal"),
        pytest.param("149.NETIR:fatal", nvlink(149, "NETIR"), True, id="a sub-code that is fatal"),
        pytest.param("149.NETIR:fatal", harmless(149, "NETIR"), False, id="not the same sub-code that is harmless"),
        pytest.param("149.NETIR:fatal", nvlink(149, "NETIR_INT"), False, id="nor another one that is fatal"),
        pytest.param("149:fatal", xid(149), False, id="a line without the driver's word is not fatal"),
        pytest.param("sxid:20034:fatal", xid(20034, kind="sxid", severity_word="Fatal"), True, id="a fatal SXid"),
        pytest.param("sxid:20034:fatal", xid(20034, kind="sxid"), False, id="an SXid without a word"),
        pytest.param(
            "sxid:20034:non-fatal", xid(20034, kind="sxid", severity_word="Non-fatal"), True, id="a non-fatal SXid"
        ),
        pytest.param(
            "sxid:20034:correctable", xid(20034, kind="sxid", severity_word="Correctable"), True, id="a correctable one"
        ),
        pytest.param("154", verdict(1), True, id="a verdict without number matches any number"),
        pytest.param("154:2", verdict(2), True, id="a verdict by its number"),
        pytest.param("154:2", verdict(1), False, id="another verdict"),
        pytest.param("154:2", xid(154), False, id="a 154 without verdict"),
        pytest.param("class:reboot", of_class(Severity.REBOOT), True, id="a class by the catalogue"),
        pytest.param("class:reboot", of_class(Severity.RESET), False, id="another class"),
        pytest.param("class:reset", of_class(Severity.REBOOT, Severity.RESET), True, id="a pattern's severity counts"),
        pytest.param(
            "class:reboot", of_class(Severity.REBOOT, Severity.RESET), False, id="and outranks the catalogue's"
        ),
        pytest.param("Class: Reboot", of_class(Severity.REBOOT), True, id="the case of a class does not matter"),
    ],
)
def test_an_entry_matches(text: str, found: NodeFault, matches: bool) -> None:
    assert parse(text).matches(code_of(found)) is matches


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", '"62", "sxid:12028", "149.NETIR", "149:fatal", "154:2" or "class:reboot"', id="nothing"),
        pytest.param("62x", "'62x' is not an error code", id="a number with a letter"),
        pytest.param("-62", "is not an error code", id="a negative number"),
        pytest.param("6²", "is not an error code", id="a digit that is none"),
        pytest.param("sxid:", "is not an error code", id="a kind without code"),
        pytest.param("sxid:12028:1", "is not an error code", id="a third part"),
        pytest.param("class", "is no class of codes", id="a class without colon"),
        pytest.param("class:", "is no class of codes", id="a class without name"),
        pytest.param(
            "class:restart", "the classes are info, application, unknown, support, reset, reboot", id="no class"
        ),
        pytest.param("12028", '"sxid:12028"', id="an SXid without its kind would never match"),
        pytest.param("9242", '"154:2"', id="what YAML makes of a bare 154:2"),
        pytest.param("xid:1000", "go up to 999", id="the first number that is no Xid"),
        pytest.param("143.NETIR", "144 to 150", id="a sub-code of the Xid below NVLink5"),
        pytest.param("151.NETIR", "144 to 150", id="a sub-code of the Xid above NVLink5"),
        pytest.param("149.", "is not an error code", id="a sub-code that is not there"),
        pytest.param("150.MSE  Degraded", "is not an error code", id="a sub-code with two blanks"),
        pytest.param("150.MSE Degraded now", "is not an error code", id="a sub-code of three words"),
        pytest.param("149.NETIR:2", "is not an error code", id="a sub-code and a recovery action"),
        pytest.param("155:2", "only Xid 154", id="a recovery action of another Xid"),
        pytest.param("154:0", "1 to 7", id="recovered asks for nothing"),
        pytest.param("154:8", "1 to 7", id="a recovery action that does not exist"),
    ],
)
def test_an_entry_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse(text)
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "x",
            '\'x\' is not an error code; write it like "62", "sxid:12028", "149.NETIR", "149:fatal", "154:2" or '
            '"class:reboot"',
        ),
        (
            "12028",
            "'12028' is not an Xid, which go up to 999; an SXid is written \"sxid:12028\", and forms with a colon, "
            'like "154:2", need quotes',
        ),
        (
            "xid:12028",
            "'xid:12028' is not an Xid, which go up to 999; an SXid is written \"sxid:12028\", and forms with a colon, "
            'like "154:2", need quotes',
        ),
        ("143.A", "'143.A': only the NVLink5 Xids 144 to 150 have sub-codes"),
        ("155:2", "'155:2': only Xid 154 has a recovery action, as in \"154:2\""),
        ("154:8", "'154:8': the recovery actions that ask for something are 1 to 7 (0 says that it recovered)"),
        ("62:fatal", "'62:fatal': only the NVLink5 Xids 144 to 150 and SXids have such a word"),
        ("disk:7:fatal", "'disk:7:fatal': only the NVLink5 Xids 144 to 150 and SXids have such a word"),
        ("149:fatal:nonfatal", "'149:fatal:nonfatal' has two words of the driver; name one of them"),
        ("149:deadly", "'149:deadly': the driver's words are fatal, nonfatal, correctable"),
        (
            "class:restart",
            "'restart' is no class of codes; the classes are info, application, unknown, support, reset, reboot",
        ),
    ],
)
def test_a_refusal_says_what_would_be_right(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        parse(text)
    assert str(error.value) == told


@pytest.mark.parametrize("text", ["999", "144.A", "150.A", "154:1", "154:7", "sxid:1", "class:info"])
def test_the_outermost_entries_are_taken(text: str) -> None:
    assert str(parse(text)) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("062", "62"),
        ("xid:62", "62"),
        ("SXID:12028", "sxid:12028"),
        ("149.netir", "149.NETIR"),
        ("150.MSE Degraded", "150.MSE DEGRADED"),
        ("149:Fatal", "149:fatal"),
        ("149.netir:FATAL", "149.NETIR:fatal"),
        ("SXid:20034:Non-fatal", "sxid:20034:nonfatal"),
        ("154:2", "154:2"),
        ("class:Reboot", "class:reboot"),
    ],
)
def test_an_entry_is_written_in_one_form(text: str, written: str) -> None:
    assert str(parse(text)) == written
    assert parse(written) == parse(text)


@pytest.mark.parametrize(
    ("one", "other", "may"),
    [
        pytest.param("62", "62", True, id="the same code"),
        pytest.param("62", "63", False, id="two codes"),
        pytest.param("62", "sxid:62", False, id="two kinds"),
        pytest.param("149", "149.NETIR", True, id="a code and its sub-code"),
        pytest.param("149.NETIR", "149.NETIR", True, id="the same sub-code"),
        pytest.param("149.NETIR", "149.TREX", False, id="two sub-codes"),
        pytest.param("154", "154:2", True, id="a verdict and one of its numbers"),
        pytest.param("154:2", "154:2", True, id="the same verdict"),
        pytest.param("154:2", "154:3", False, id="two verdicts"),
        pytest.param("149:fatal", "149.NETIR", True, id="a word and a sub-code"),
        pytest.param("149:fatal", "149:nonfatal", False, id="two words"),
        pytest.param("class:reboot", "62", True, id="a class and a code that may be of it"),
        pytest.param("class:reboot", "class:reboot", True, id="the same class"),
        pytest.param("class:reboot", "class:reset", False, id="two classes"),
    ],
)
def test_two_entries_may_match_the_same_fault(one: str, other: str, may: bool) -> None:
    assert may_both_match(parse(one), parse(other)) is may
    assert may_both_match(parse(other), parse(one)) is may


def test_all_that_a_policy_can_tell_of_a_fault_is_its_code() -> None:
    assert code_of(nvlink(149, "netir")) == Code(
        "xid", 149, "NETIR", None, Severity.REBOOT, rescue=True, catalogued=True, word=DriverWord.FATAL
    )
    unknown = node_fault(
        fault=fault(7, kind="Disk", severity=Severity.INFO), meaning=CodeMeaning("Disk", 7, catalogued=False)
    )
    assert code_of(unknown) == Code("disk", 7, None, None, Severity.INFO, rescue=False, catalogued=False)
    assert code_of(verdict(2)).recovery == 2


def test_the_severity_is_the_patterns_else_the_catalogues() -> None:
    assert severity(of_class(Severity.INFO)) is Severity.INFO
    assert severity(of_class(Severity.INFO, Severity.REBOOT)) is Severity.REBOOT
