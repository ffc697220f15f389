"""The rules of all policies in the order in which they win, and the choice among them for one fault."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, groupby

from pipeline.decide.errorcodes import Selector, may_both_match
from pipeline.decide.nodeselector import NodeSelector
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Action, Considered, Cordon


class UnknownCodes(StrEnum):
    """What a code that no catalogue knows leads to, when no rule names it."""

    RECORD = "record"
    POLICIES = "policies"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy, `index` from 0; without `codes` it speaks of every code that needs a rescue."""

    policy: str
    index: int
    priority: int
    actions: tuple[Action, ...]
    codes: tuple[Selector, ...] = ()
    selector: NodeSelector | None = None

    @property
    def specificity(self) -> int:
        """3 for errorCode and nodeSelector, 2 for errorCode, 1 for nodeSelector, 0 for neither."""
        return 2 * bool(self.codes) + (self.selector is not None)

    @property
    def is_global(self) -> bool:
        """Whether it is the global policy: priority 0, and neither errorCode nor nodeSelector."""
        return self.priority == 0 and self.specificity == 0

    @property
    def rank(self) -> tuple[int, int, str, int]:
        """Sorts rules into the order in which they win."""
        return -self.priority, -self.specificity, self.policy, self.index

    def judge(self, fault: NodeFault, unknown: UnknownCodes) -> tuple[bool, str]:
        """Whether the rule matches the fault, and why, in words that follow on `it`."""
        speaks, about = self._judge_code(fault, unknown)
        if not speaks or self.selector is None:
            return speaks, about
        if not fault.enriched:
            return False, f"{about}, but has a nodeSelector and the node's labels are not known (node {fault.lookup})"
        if not self.selector.matches(fault.labels):
            return False, f"{about}, but the node does not carry {self.selector}"
        return True, f"{about}, and the node carries {self.selector}"

    def _judge_code(self, fault: NodeFault, unknown: UnknownCodes) -> tuple[bool, str]:
        code = f"{fault.fault.kind} {fault.fault.code}"
        if self.codes:
            named = next((selector for selector in self.codes if selector.matches(fault)), None)
            if named is None:
                return False, f"names {', '.join(map(str, self.codes))}, not {code}"
            return True, f"names {named}"
        if not fault.meaning.catalogued:
            acts = unknown is UnknownCodes.POLICIES
            return acts, f"names no code, and no catalogue knows {code} (unknown_codes: {unknown})"
        if not fault.meaning.rescue:
            return False, f"names no code, and the catalogue says that {code} needs no rescue"
        return True, f"speaks of every code that needs a rescue, as {code} does"

    def may_both_match(self, other: "Rule") -> bool:
        """Whether some fault could be matched by both; they must be of the same specificity."""
        codes = not self.codes or any(may_both_match(a, b) for a in self.codes for b in other.codes)
        nodes = self.selector is None or other.selector is None or self.selector.may_both_match(other.selector)
        return codes and nodes


# Kubernetes takes no name with parentheses, so that no policy of an operator can be called like this.
BUILT_IN = Rule("(built-in)", 0, 0, (Cordon(),))
"""The global policy when none is defined: cordon, the least that keeps new pods away from a broken GPU."""


class PolicySet:
    """All policies in force."""

    def __init__(self, rules: Iterable[Rule] = (), standby: Sequence[WarmStandbyPolicy] = ()) -> None:
        given = tuple(rules)
        if not any(rule.is_global for rule in given):
            given = (*given, BUILT_IN)
        self.rules = tuple(sorted(given, key=lambda rule: rule.rank))
        """The rules in the order in which they win: priority, specificity, policy name, index."""
        self.standby = tuple(standby)
        """The warm standby policies."""

    def choose(
        self, fault: NodeFault, unknown: UnknownCodes = UnknownCodes.RECORD
    ) -> tuple[Rule | None, tuple[Considered, ...]]:
        """Return the rule that wins, None if none matches, and every rule with why it did or did not match."""
        winner: Rule | None = None
        considered = []
        for rule in self.rules:
            matched, why = rule.judge(fault, unknown)
            if matched and winner is not None:
                why += f"; rule {winner.index} of policy {winner.policy} comes first"
            elif matched:
                winner = rule
                why += "; it is the first that matches"
            considered.append(Considered(rule.policy, rule.index, rule.priority, matched, f"It {why}."))
        return winner, tuple(considered)

    def ties(self) -> Mapping[str, tuple[str, ...]]:
        """Return, by policy name, the ties that only names and indices decide, a sentence each."""
        ties: defaultdict[str, list[str]] = defaultdict(list)
        for (priority, _), group in groupby(self.rules, key=lambda rule: (rule.priority, rule.specificity)):
            for first, second in combinations(group, 2):
                if first.may_both_match(second):
                    told = f"have priority {priority}, are equally specific and can match the same fault"
                    ties[first.policy].append(
                        f"Rule {first.index} and {_named(second, first)} {told}: the former wins."
                    )
                    if second.policy != first.policy:
                        ties[second.policy].append(
                            f"Rule {second.index} and {_named(first, second)} {told}: the latter wins."
                        )
        return {policy: tuple(told) for policy, told in ties.items()}


def _named(rule: Rule, beside: Rule) -> str:
    return f"rule {rule.index}" if rule.policy == beside.policy else f"rule {rule.index} of policy {rule.policy}"
