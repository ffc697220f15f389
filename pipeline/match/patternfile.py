"""The models of a pattern file: what an operator may write, checked key by key."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.documents import Strict
from pipeline.match.expression import compile_expression
from pipeline.match.message import Driver
from pipeline.match.rules import Grammar
from pipeline.model.catalogue import CodeEntry
from pipeline.model.fault import Severity

_WORD = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_. -]{0,62}")
_GREATEST_CODE = 2**31 - 1


def _is_kind(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ValueError(f"{text!r} is no kind; write one lower-case word, like xid, sxid or ecc")
    return text


def _is_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a rule; write letters, digits, '-', '_' and '.', like gpu-hang")
    return text


def _is_code(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 11:
        number = int(value)
    else:
        raise ValueError(f"{value!r} is no code; write a number, like 79")
    if not 0 <= number <= _GREATEST_CODE:
        raise ValueError(f"{number} is no code; write a number from 0 to {_GREATEST_CODE}")
    return number


def _is_list(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    raise ValueError(f"{value!r} is not a list; write [{value}]")


def _is_text(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty; write a part of the line, or leave the key out")
    text.encode()
    return text


def _is_regex(text: str) -> str:
    compile_expression(text)
    return text


Kind = Annotated[str, AfterValidator(_is_kind)]
Name = Annotated[str, AfterValidator(_is_name)]
Code = Annotated[int, BeforeValidator(_is_code)]
Text = Annotated[str, AfterValidator(_is_text)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_is_list)]


class Where(Strict):
    """Where a rule applies: every key that is set must hold."""

    contains: Texts = Field(
        (),
        description="Texts that the line holds, all of them, whatever the case of ASCII letters. They let noise be "
        "thrown away unread: without any, and without `driver`, every message is decoded for this rule's sake.",
    )
    driver: Driver | None = Field(
        None,
        description="Whose message the line is: gpu (tag `NVRM:`) or nvswitch (tag `nvidia-nvswitchN:`). The regex "
        "then sees only what follows the tag; begin it with ^, and no text that a user puts into the line matches. "
        "Default: anybody's, and the regex sees the whole line.",
    )
    nodes: Texts = Field(
        (),
        description="Patterns (`gpu-a100-*`) of the host name in the log, of which one fits. Default: every node.",
    )
    kernel_only: bool = Field(
        False,
        description="Whether to pass over lines whose envelope says that they are not the kernel's; where it does not "
        "tell, they are read. Default: off, since `require_kernel` does the same for every rule.",
    )


class RuleModel(Strict):
    """One rule: which lines are faults, and what is read off them."""

    name: Name = Field(
        description="The rule's name; a later file replaces or turns off the rule of the same name by it."
    )
    enabled: bool = Field(
        True, description="Whether the rule is used. `{name: xid, enabled: false}` alone turns another file's rule off."
    )
    where: Where = Field(Where(), description="Where the rule applies. Default: everywhere.")
    regex: Annotated[str, AfterValidator(_is_regex)] | None = Field(
        None,
        description="Regular expression (RE2; it may match anywhere unless it begins with ^) with named groups: code, "
        "pci, pid, name, message, device, link, severity_word, gpu_instance, compute_instance, caused_by_xid.",
    )
    grammar: Grammar | None = Field(
        None, description="Instead of a regex, one of the driver's own formats that no regex can read: xid, sxid, bus."
    )
    kind: Kind | None = Field(None, description="The kind of the fault: xid, sxid, or a word of your own.")
    code: Code | None = Field(None, description="The fault's number, where the regex has no group `code`.")
    severity: Severity | None = Field(
        None, description="What the fault asks for; outranks the catalogue. Default: as the catalogue says of its code."
    )
    message: Text | None = Field(
        None, description="The fault's text, where the regex has no group `message`. Default: what the regex saw."
    )
    inferred: bool = Field(
        False, description="Whether the code is our conclusion, not printed on the line; it is told with the fault."
    )

    @property
    def reads(self) -> bool:
        """Whether the rule can read a line; one that cannot only turns another off."""
        return self.regex is not None or self.grammar is not None

    @model_validator(mode="after")
    def _whole(self) -> "RuleModel":
        if self.regex is not None:
            self._expression_is_whole(self.regex)
        elif self.grammar is not None:
            if set(self.model_fields_set) & {"kind", "code", "message", "inferred"} or self.where.driver is not None:
                raise ValueError("a grammar knows its driver, kind, code and message; leave these keys out")
        elif self.enabled or set(self.model_fields_set) != {"name", "enabled"}:
            raise ValueError("has neither regex nor grammar; write one, or `enabled: false` alone to turn a rule off")
        return self

    def _expression_is_whole(self, regex: str) -> None:
        if self.grammar is not None:
            raise ValueError("has both regex and grammar; keep one of them")
        if self.kind is None:
            raise ValueError("has no kind; write `kind: xid` or a word of your own")
        compiled = compile_expression(regex)
        in_group = b"code" in compiled.groupindex
        if in_group == (self.code is not None):
            has = "both `code` and a group (?P<code>...); keep one" if in_group else "no code; write `code: N`"
            raise ValueError(f"has {has}" + ("" if in_group else r" or a group (?P<code>\d+) in the regex"))
        if not self.where.contains and self.where.driver is None and compiled.search(b"") is not None:
            raise ValueError("the regex matches an empty line, thus every line; write what the line must hold")


class VariantModel(Strict):
    """What is known of a code, or of a variant of it; a key that is left out stays as an earlier file has it."""

    name: str | None = Field(None, description="The code's name in the driver.")
    meaning: str | None = Field(None, description="What happened, in one line.")
    action: str | None = Field(None, description="The recommended immediate action, in the vendor's words (RESET_GPU).")
    severity: Severity | None = Field(None, description="What the code asks for. Default: unknown.")
    rescue: bool | None = Field(
        None,
        description="Whether a policy that names no code may act on it. Default: if its severity is reset or reboot.",
    )

    def entry(self) -> CodeEntry:
        """Return the same as an entry of the catalogue."""
        return CodeEntry(self.name, self.meaning, self.action, self.severity, self.rescue)


class CodeModel(VariantModel):
    """What is known of one code."""

    variants: dict[str, VariantModel] = Field(
        {},
        description="What a narrower reading of the line changes. Xid 154: by the number after `to`; 144 to 150: by "
        "sub-code and word (`RLW_REMAP Nonfatal`), or word; SXid: by word (`Fatal`, `Non-fatal`, `Correctable`).",
    )

    def entry(self) -> CodeEntry:
        """Return the same as an entry of the catalogue."""
        variants = {key: variant.entry() for key, variant in self.variants.items()}
        return CodeEntry(self.name, self.meaning, self.action, self.severity, self.rescue, variants)


class PatternFile(Strict):
    """A pattern file: rules, codes, or both."""

    rules: list[RuleModel] = Field([], description="What is a fault.")
    codes: dict[Kind, dict[Code, CodeModel]] = Field({}, description="What codes mean, by kind and number.")
