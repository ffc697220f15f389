"""The catalogue: what is known of a fault's code. A look-up in data that was read from the pattern files."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from pipeline.model.fault import CodeMeaning, Fault, Severity


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """What the pattern files say of one code; None where they say nothing.

    `rescue` None means that it follows from the severity. `variants` hold what a narrower reading of the line changes,
    by the keys of `variants_of`.
    """

    name: str | None = None
    meaning: str | None = None
    action: str | None = None
    severity: Severity | None = None
    rescue: bool | None = None
    variants: Mapping[str, "CodeEntry"] = field(default_factory=dict)

    def changed_by(self, other: "CodeEntry") -> "CodeEntry":
        """Return this entry with every key that *other* sets, variant by variant."""
        variants = dict(self.variants)
        for key, variant in other.variants.items():
            variants[key] = variants.get(key, CodeEntry()).changed_by(variant)
        return CodeEntry(
            name=other.name if other.name is not None else self.name,
            meaning=other.meaning if other.meaning is not None else self.meaning,
            action=other.action if other.action is not None else self.action,
            severity=other.severity if other.severity is not None else self.severity,
            rescue=other.rescue if other.rescue is not None else self.rescue,
            variants=variants,
        )


class Catalogue:
    """Knows what each code means, by kind and number."""

    def __init__(self, entries: Mapping[tuple[str, int], CodeEntry]) -> None:
        self._entries = dict(entries)

    def __len__(self) -> int:
        return len(self._entries)

    def meaning(self, fault: Fault) -> CodeMeaning:
        """Return what the code of *fault* means on this line.

        The narrowest variant that is listed changes the code's own entry. An SXid that the driver printed as `Fatal`
        asks for a reset at least. The severity that the fault's rule sets outranks both, and makes it catalogued.
        """
        listed = self._entries.get((fault.kind, fault.code))
        entry = listed or CodeEntry()
        for key in variants_of(fault):
            if key in entry.variants:
                entry = entry.changed_by(replace(entry.variants[key], variants={}))
                break
        severity = fault.severity or _at_least(entry.severity or Severity.UNKNOWN, fault)
        return CodeMeaning(
            kind=fault.kind,
            code=fault.code,
            name=entry.name,
            meaning=entry.meaning,
            action=entry.action,
            severity=severity,
            rescue=severity.rank >= Severity.RESET.rank if entry.rescue is None else entry.rescue,
            catalogued=listed is not None or fault.severity is not None,
        )


def variants_of(fault: Fault) -> Iterator[str]:
    """Yield the keys of the variants that a fault may be, the narrowest first.

    Xid 154: the number after `to` (`2`). NVLink5: sub-code and the driver's word (`RLW_REMAP Nonfatal`), then the word
    alone. SXid: the driver's word (`Fatal`, `Non-fatal`, `Correctable`).
    """
    if fault.recovery_action:
        yield str(fault.recovery_action.to_code)
    if fault.nvlink5:
        word = "Fatal" if fault.nvlink5.fatal else "Nonfatal"
        yield f"{fault.nvlink5.subcode} {word}"
        yield word
    if fault.severity_word:
        yield fault.severity_word


def _at_least(severity: Severity, fault: Fault) -> Severity:
    floor = Severity.RESET if fault.severity_word == "Fatal" else severity
    return max(severity, floor, key=lambda each: each.rank)
