"""What is odd about policies of which each is valid by itself: ties, rules that are never met, labels of no node."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.decide.errorcodes import Selector, covers
from pipeline.decide.resources import Key
from pipeline.decide.rules import BUILT_IN, PolicySet, Rule

Label = tuple[str, str]
Told = Mapping[Key, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Findings:
    """Sentences for people, by policy."""

    ties: Told = field(default_factory=dict)
    unreachable: Told = field(default_factory=dict)
    unknown_labels: Told = field(default_factory=dict)

    def count(self, key: Key) -> int:
        """How many there are about one policy."""
        return sum(len(told.get(key, ())) for told in (self.ties, self.unreachable, self.unknown_labels))


def find(policies: PolicySet) -> Findings:
    """Return what is odd about the policies by themselves, whatever nodes there are."""
    ties = {("RescuePolicy", name): told for name, told in policies.ties().items()}
    return Findings(ties, _unreachable(policies))


def unknown_labels(policies: PolicySet, nodes: Collection[Mapping[str, str]]) -> Told:
    """Return which labels the policies ask for and no node carries; *nodes* are the labels of each node."""
    asked = list(_asked(policies))
    wanted = {label for _, _, label in asked}
    missing = {(key, value) for key, value in wanted if all(labels.get(key) != value for labels in nodes)}
    found: defaultdict[Key, list[str]] = defaultdict(list)
    for policy, place, (key, value) in asked:
        if (key, value) in missing:
            found[policy].append(f"{place} asks for {key}={value}, which no node carries today.")
    return found


def _unreachable(policies: PolicySet) -> Told:
    found: defaultdict[Key, list[str]] = defaultdict(list)
    for place, rule in enumerate(policies.rules):
        if rule is not BUILT_IN and (shadows := _shadows(rule, policies.rules[:place])):
            first = " and ".join(_named(other, rule) for other in shadows)
            found["RescuePolicy", rule.policy].append(
                f"Rule {rule.index} is never met: {first} {_come(shadows)} first for all that it names."
            )
    return found


def _shadows(rule: Rule, before: Sequence[Rule]) -> list[Rule]:
    """The rules that come before it and together match all that it matches; none if something is left to it.

    A rule that counts (`repeat`) leaves the earlier times to others. A rule without codes speaks of what the catalogue
    says, so that it stands before no rule that names codes.
    """
    wide = [other for other in before if other.repeat is None and _covers_nodes(other, rule)]
    if not rule.codes:
        return [other for other in wide if not other.codes][:1]
    found: list[Rule] = []
    for code in rule.codes:
        first = next((other for other in wide if _names(other, code)), None)
        if first is None:
            return []
        if first not in found:
            found.append(first)
    return found


def _names(rule: Rule, code: Selector) -> bool:
    return any(covers(selector, code) for selector in rule.codes)


def _covers_nodes(one: Rule, other: Rule) -> bool:
    if one.selector is None or other.selector is None:
        return one.selector is None
    return one.selector.covers(other.selector)


def _named(rule: Rule, beside: Rule) -> str:
    return f"rule {rule.index}" if rule.policy == beside.policy else f"rule {rule.index} of policy {rule.policy}"


def _come(rules: Sequence[Rule]) -> str:
    return "comes" if len(rules) == 1 else "come"


def _asked(policies: PolicySet) -> Iterator[tuple[Key, str, Label]]:
    for rule in policies.rules:
        for label in rule.selector.labels.items() if rule.selector else ():
            yield ("RescuePolicy", rule.policy), f"Rule {rule.index}", label
    for policy in policies.standby:
        for index, match in enumerate(policy.spec.matches):
            for name, labels in (("originNode", match.origin_node), ("targetNode", match.target_node)):
                for label in labels.items():
                    yield ("WarmStandbyPolicy", policy.metadata.name), f"Match {index} ({name})", label
