"""Pattern files: what an operator can do by file alone, and how a broken file is refused."""

from pathlib import Path

import pytest

from pipeline.errors import BadInputError
from pipeline.match.expression import GROUPS, LONGEST_LINE
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import load_patterns
from pipeline.model.fault import Fault, Severity, UnknownDriverLine
from pipeline.model.line import LogLine
from tests.unit.match.conftest import RULES, SHIPPED, Load

XID = "NVRM: Xid (PCI:0000:3b:00): 94, pid=7, name=hang, Contained: SM (0x1). RST: No, D-RST: No"
ENGINE = "https://github.com/google/re2/wiki/Syntax"
GROUP_NAMES = ", ".join(GROUPS)


def match(load: Load, text: str, own: str, node: str | None = None, from_kernel: bool | None = None) -> Fault | None:
    found = Matcher(load(own)).match(LogLine(text, "1", node, from_kernel=from_kernel))
    return found if isinstance(found, Fault) else None


def test_a_rule_reads_every_part_of_a_fault(load: Load) -> None:
    own = r"""
    rules:
    - name: everything
      where: {contains: [ecc]}
      regex: '^ecc (?P<device>\w+) (?P<pci>\S+) code (?P<code>\w+) link (?P<link>-?\d+) by (?P<pid>\d+) (?P<name>\w+)
        (?P<gpu_instance>\d+)/(?P<compute_instance>\d+) after (?P<caused_by_xid>\d+) (?P<severity_word>\w+) -
        (?P<message>.*)'
      kind: ecc
      severity: reboot
    """
    text = "ecc hbm0 PCI:0000:C3:00.0 code 0x1f link -1 by 12 python3 1/2 after 48 Fatal - page é lost "

    fault = match(load, text, own)

    assert fault == Fault(
        kind="ecc",
        code=31,
        pci="0000:c3:00",
        message="page é lost",
        rule="everything",
        line=LogLine(text, "1"),
        pid=12,
        name="python3",
        device="hbm0",
        gpu_instance=1,
        compute_instance=2,
        caused_by_xid=48,
        severity_word="Fatal",
        link=-1,
        severity=Severity.REBOOT,
    )


def test_what_a_rule_does_not_read_has_a_default(load: Load) -> None:
    own = "rules: [{name: x, where: {contains: [hang]}, regex: 'hang(?: on (?P<pci>.+))?', kind: gpu-hang, code: 3}]"
    fault = match(load, " a hang of the GPU", own)
    assert fault is not None
    assert (fault.kind, fault.code, fault.pci, fault.message) == ("gpu-hang", 3, None, "a hang of the GPU")
    assert (fault.pid, fault.name, fault.device, fault.severity, fault.inferred) == (None, None, None, None, False)


DRIVER_RULE = r"""
rules:
- name: gsp
  where: {driver: gpu}
  regex: '^GPU(?P<link>\d+) RmInitAdapter failed'
  kind: init
  code: 1
  message: the GPU could not be initialised
  inferred: true
"""


def test_a_rule_for_a_driver_sees_what_follows_the_tag(load: Load) -> None:
    fault = match(load, "[ 1.5] NVRM: GPU3 RmInitAdapter failed! (0x26:0xffff:1290)", DRIVER_RULE)
    assert fault is not None
    assert (fault.link, fault.message, fault.inferred) == (3, "the GPU could not be initialised", True)


def test_a_process_name_cannot_satisfy_a_rule_for_a_driver(load: Load) -> None:
    text = "NVRM: Xid (PCI:0000:3b:00): 13, pid=1, name=NVRM: GPU3 RmInitAdapter failed, x"
    fault = match(load, text, DRIVER_RULE)
    assert fault is not None
    assert (fault.kind, fault.code) == ("xid", 13)


def test_a_rule_for_switches_knows_the_device(load: Load) -> None:
    own = "rules: [{name: s, where: {driver: nvswitch}, regex: ^thermal shutdown, kind: switch, code: 1}]"
    fault = match(load, "nvidia-nvswitch2: thermal shutdown", own)
    assert fault is not None
    assert fault.device == "nvswitch2"


WHERE = {
    "a literal in another case": ("{contains: [CONTAINED]}", "a1", None, True),
    "every literal": ("{contains: [contained, sm]}", "a1", None, True),
    "a literal that is missing": ("{contains: [contained, absent]}", "a1", None, False),
    "a node that fits": ("{nodes: [b*, a?]}", "a1", None, True),
    "a node that does not": ("{nodes: [b*]}", "a1", None, False),
    "no node where one is asked for": ("{nodes: ['a*']}", None, None, False),
    "a line of the kernel": ("{kernel_only: true}", "a1", True, True),
    "a line of nobody known": ("{kernel_only: true}", "a1", None, True),
    "a line of somebody else": ("{kernel_only: true}", "a1", False, False),
    "the driver of the line": ("{driver: gpu}", "a1", None, True),
    "another driver": ("{driver: nvswitch}", "a1", None, False),
}


@pytest.mark.parametrize(("where", "node", "from_kernel", "applies"), WHERE.values(), ids=WHERE)
def test_where_a_rule_applies(
    where: str, node: str | None, from_kernel: bool | None, applies: bool, load: Load
) -> None:
    own = f"rules: [{{name: own, where: {where}, regex: Contained, kind: own, code: 1}}]"
    fault = match(load, XID, own, node, from_kernel)
    assert fault is not None
    assert fault.kind == ("own" if applies else "xid")


def test_an_operators_rule_outranks_the_shipped_ones(load: Load) -> None:
    own = r"""
    rules:
    - name: contained-but-drain
      where: {driver: gpu, contains: [D-RST]}
      regex: '^Xid \((?P<pci>[^)]*)\): (?P<code>94),.*D-RST: No'
      kind: xid
      severity: info
    """
    fault = match(load, XID, own)
    assert fault is not None
    assert (fault.rule, fault.code, fault.severity) == ("contained-but-drain", 94, Severity.INFO)


def test_a_shipped_rule_is_turned_off_by_name(load: Load) -> None:
    patterns = load("rules: [{name: xid, enabled: false}]")
    found = Matcher(patterns).match(LogLine(XID, "1"))
    assert isinstance(found, UnknownDriverLine)
    assert "xid" not in [rule.name for rule in patterns.rules]


def test_a_shipped_rule_is_replaced_by_name(load: Load) -> None:
    fault = match(load, XID, "rules: [{name: xid, grammar: xid, severity: support, where: {nodes: ['a*']}}]", "a1")
    assert fault is not None
    assert (fault.rule, fault.severity) == ("xid", Severity.SUPPORT)


def test_a_rule_that_is_not_enabled_is_not_used(load: Load) -> None:
    own = "rules: [{name: own, regex: Contained, kind: own, code: 1, enabled: false}]"
    fault = match(load, XID, own)
    assert fault is not None
    assert fault.kind == "xid"


def test_a_code_that_is_no_number_is_no_fault(load: Load) -> None:
    own = r"rules: [{name: own, where: {contains: [hang]}, regex: 'hang (?P<code>\w+)', kind: own}]"
    assert match(load, "hang 12", own) is not None
    assert match(load, "hang abc", own) is None
    assert match(load, "hang " + "9" * 100, own) is None


def test_a_folder_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    patterns = load_patterns([SHIPPED, SHIPPED, SHIPPED / "xid.yaml"])
    assert [rule.name for rule in patterns.rules] == ["xid", "sxid", "bus-companion", "bus-at", "bus"]


def test_an_expression_sees_the_beginning_of_a_long_line(load: Load) -> None:
    own = "rules: [{name: own, where: {contains: [hang]}, regex: hang, kind: own, code: 1}]"
    assert match(load, "x" * (LONGEST_LINE - 4) + "hang", own) is not None
    assert match(load, "x" * (LONGEST_LINE - 3) + "hang", own) is None


@pytest.mark.parametrize(
    "regex", ["(a+)+$", "(a|a)*b", "(a*)*(a*)*c", "(x+x+)+y", "(.*)*z", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_no_expression_stops_the_pipeline(regex: str, load: Load) -> None:
    """Each takes a backtracking engine longer than the universe has; returning is the proof."""
    own = f"rules: [{{name: own, where: {{contains: [aaa]}}, regex: '{regex}', kind: own, code: 1}}]"
    matcher = Matcher(load(own))
    for _ in range(20):
        found = matcher.match(LogLine("a" * 16_000 + "!", "1"))
    assert found is None


BROKEN = {
    "a parenthesis that does not close": (
        "rules:\n- name: a\n  kind: b\n  code: 1\n  regex: '(x'\n",
        f"5: rules.0.regex: missing ): (x; the syntax is RE2's: {ENGINE}",
    ),
    "a lookahead": (
        "rules:\n- {name: a, kind: b, code: 1, regex: 'x(?=y)'}\n",
        "2: rules.0.regex: invalid perl operator: (?=; the engine runs in linear time and has no lookaround, atomic "
        "groups or backreferences",
    ),
    "a backreference": (
        "rules:\n- {name: a, kind: b, code: 1, regex: '(x)\\1'}\n",
        "2: rules.0.regex: invalid escape sequence: \\1; the engine runs in linear time and has no lookaround, atomic "
        "groups or backreferences",
    ),
    "Python's end of text": (
        "rules:\n- {name: a, kind: b, code: 1, regex: 'x\\Z'}\n",
        "2: rules.0.regex: invalid escape sequence: \\Z; the end of the text is $ or \\z",
    ),
    "an expression that is too large": (
        "rules:\n- {name: a, kind: b, code: 1, regex: '(x{1000}){1000}'}\n",
        f"2: rules.0.regex: invalid repetition size: {{1000}}; the syntax is RE2's: {ENGINE}",
    ),
    "a group that no fault has": (
        "rules:\n- {name: a, kind: b, code: 1, regex: '(?P<uuid>x)'}\n",
        f"2: rules.0.regex: no fault has a 'uuid'; the named groups are {GROUP_NAMES}",
    ),
    "a group that is there twice": (
        "rules:\n- {name: a, kind: b, regex: '(?P<code>1)|(?P<code>2)'}\n",
        "2: rules.0.regex: the group 'code' is there twice; write it once, around the alternatives",
    ),
    "an expression that matches everything": (
        "rules:\n- {name: a, kind: b, code: 1, regex: 'x*'}\n",
        "2: rules.0: the regex matches an empty line, thus every line; write what the line must hold",
    ),
    "no code": (
        "rules:\n- name: a\n  kind: b\n  regex: x\n",
        "2: rules.0: has no code; write `code: N` or a group (?P<code>\\d+) in the regex",
    ),
    "two codes": (
        "rules:\n- {name: a, kind: b, code: 1, regex: '(?P<code>x)'}\n",
        "2: rules.0: has both `code` and a group (?P<code>...); keep one",
    ),
    "no kind": (
        "rules:\n- {name: a, code: 1, regex: x}\n",
        "2: rules.0: has no kind; write `kind: xid` or a word of your own",
    ),
    "a kind in capitals": (
        "rules:\n- {name: a, code: 1, regex: x,\n   kind: XID}\n",
        "3: rules.0.kind: 'XID' is no kind; write one lower-case word, like xid, sxid or ecc",
    ),
    "a code that is a word": (
        "rules:\n- {name: a, kind: b, regex: x, code: high}\n",
        "2: rules.0.code: 'high' is no code; write a number, like 79",
    ),
    "a code that is a truth": (
        "rules:\n- {name: a, kind: b, regex: x, code: yes}\n",
        "2: rules.0.code: True is no code; write a number, like 79",
    ),
    "a code that is too great": (
        "rules:\n- {name: a, kind: b, regex: x, code: 9999999999}\n",
        "2: rules.0.code: 9999999999 is no code; write a number from 0 to 2147483647",
    ),
    "neither regex nor grammar": (
        "rules:\n- {name: a, kind: b}\n",
        "2: rules.0: has neither regex nor grammar; write one, or `enabled: false` alone to turn a rule off",
    ),
    "both regex and grammar": (
        "rules:\n- {name: a, regex: x, grammar: xid}\n",
        "2: rules.0: has both regex and grammar; keep one of them",
    ),
    "a grammar that is told what it knows": (
        "rules:\n- {name: a, grammar: xid, code: 79}\n",
        "2: rules.0: a grammar knows its driver, kind, code and message; leave these keys out",
    ),
    "an unknown grammar": (
        "rules:\n- {name: a, grammar: aer}\n",
        "2: rules.0.grammar: Input should be 'xid', 'sxid' or 'bus'",
    ),
    "an unknown severity": (
        "rules:\n- {name: a, grammar: xid, severity: fatal}\n",
        "2: rules.0.severity: Input should be 'info', 'application', 'unknown', 'support', 'reset' or 'reboot'",
    ),
    "an unknown key": (
        "rules:\n- name: a\n  grammar: xid\n  sevrity: reset\n",
        "4: unknown key 'rules.0.sevrity'; did you mean 'severity'?",
    ),
    "a name with a slash": (
        "rules:\n- {name: a/b, grammar: xid}\n",
        "2: rules.0.name: 'a/b' is no name of a rule; write letters, digits, '-', '_' and '.', like gpu-hang",
    ),
    "a text instead of a list": (
        "rules:\n- name: a\n  grammar: xid\n  where:\n    contains: NVRM\n",
        "5: rules.0.where.contains: 'NVRM' is not a list; write [NVRM]",
    ),
    "an empty literal": (
        "rules:\n- {name: a, grammar: xid, where: {contains: ['']}}\n",
        "2: rules.0.where.contains.0: is empty; write a part of the line, or leave the key out",
    ),
    "a name that is there twice": (
        "rules:\n- {name: a, grammar: xid}\n- {name: a, grammar: sxid}\n",
        "3: the rule 'a' is there twice, first at FILE:2; give each its own name",
    ),
    "a rule turned off that is not there": (
        "rules:\n- {name: xdi, enabled: false}\n",
        "2: there is no rule 'xdi' to turn off; the rules before it are bus, bus-at, bus-companion, sxid, xid",
    ),
    "a code of a catalogue that is a word": (
        "codes:\n  xid:\n    off: {severity: info}\n",
        "3: codes.xid.off: 'off' is no code; write a number, like 79",
    ),
    "an unknown key of a code": (
        "codes:\n  xid:\n    79: {rescued: true}\n",
        "3: unknown key 'codes.xid.79.rescued'; did you mean 'rescue'?",
    ),
    "a kind of codes in capitals": (
        "codes:\n  XID: {}\n",
        "2: codes.XID: 'XID' is no kind; write one lower-case word, like xid, sxid or ecc",
    ),
    "a code set twice": (
        "codes:\n  xid:\n    79: {severity: info}\n    79: {severity: reset}\n",
        "4: the key '79' is set twice; keep one of them",
    ),
    "no YAML": ("rules:\n- [\n", "3: is not YAML: did not find expected node content"),
}


@pytest.mark.parametrize(("text", "complaint"), BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_refused_with_its_place(text: str, complaint: str, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)
    with pytest.raises(BadInputError) as refused:
        load_patterns([*RULES, file])
    assert str(refused.value).replace(str(file), "FILE") == f"FILE:{complaint}"


def test_every_mistake_of_every_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("rules:\n- {name: a, grammar: x}\n- {nam: b}\n")
    (tmp_path / "b.yml").write_text("rules: 1\n")
    (tmp_path / "README.md").write_text("no pattern file")
    with pytest.raises(BadInputError) as refused:
        load_patterns([tmp_path, tmp_path / "absent.yaml"])
    assert [each.place.replace(str(tmp_path), "") for each in refused.value.complaints] == [
        "/a.yaml:2",
        "/a.yaml:3",
        "/a.yaml:3",
        "/b.yml:1",
        "/absent.yaml",
    ]


def test_files_of_a_folder_are_read_by_name_and_the_last_wins(tmp_path: Path) -> None:
    for name, code in (("10.yaml", 1), ("20.yaml", 2)):
        (tmp_path / name).write_text(f"rules: [{{name: own, regex: x, kind: own, code: {code}}}]")
    found = Matcher(load_patterns([tmp_path])).match(LogLine("x", "1"))
    assert isinstance(found, Fault)
    assert found.code == 2


def test_the_example_of_the_documentation_works(tmp_path: Path) -> None:
    example = (SHIPPED / "README.md").read_text().split("```yaml\n")[1].split("```")[0]
    (tmp_path / "own.yaml").write_text(example)
    patterns = load_patterns([SHIPPED, tmp_path])
    found = Matcher(patterns).match(LogLine("amdgpu 0000:c3:00.0: amdgpu: GPU reset begin!", "1", node="mi300-4"))
    assert isinstance(found, Fault)
    assert (found.kind, found.code, found.pci, found.message) == ("amdgpu", 1, "0000:c3:00", "GPU reset begin!")
    assert patterns.catalogue.meaning(found).rescue
    assert "bus-companion" not in [rule.name for rule in patterns.rules]


def test_no_file_at_all_recognises_nothing() -> None:
    patterns = load_patterns([])
    assert (patterns.rules, len(patterns.catalogue)) == ((), 0)
