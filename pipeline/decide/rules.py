"""The rules of all policies in the order in which they win, and the choice among them for one fault."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import combinations, groupby

from pipeline.decide.errorcodes import Selector, code_of, may_both_match
from pipeline.decide.nodeselector import NodeSelector
from pipeline.decide.repeat import History, Repeat
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.model.fault import NodeFault
from pipeline.model.occurrence import Code
from pipeline.model.plan import Action, Considered, Cordon


class UnknownCodes(StrEnum):
    """What a code that no catalogue knows leads to, when no rule names it."""

    RECORD = "record"
    POLICIES = "policies"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a policy, `index` from 0; without `codes` it speaks of every code that needs a rescue.

    With `repeat` it matches only when the same fault of the same GPU has occurred often enough. The same is what an
    entry of `codes` that names the present fault names too ("63" counts 63, "149" any sub-code, "class:reset" any code
    of that class); without `codes`, whatever the rule speaks of. With `dry_run` what it plans is only rehearsed.
    """

    policy: str
    index: int
    priority: int
    actions: tuple[Action, ...]
    codes: tuple[Selector, ...] = ()
    selector: NodeSelector | None = None
    repeat: Repeat | None = None
    dry_run: bool = False

    @property
    def specificity(self) -> int:
        """3 for errorCode and nodeSelector, 2 for errorCode, 1 for nodeSelector, 0 for neither; `repeat` adds none."""
        return 2 * bool(self.codes) + (self.selector is not None)

    @property
    def is_global(self) -> bool:
        """Whether it is the global policy: priority 0, neither errorCode nor nodeSelector, and no `repeat`."""
        return self.priority == 0 and self.specificity == 0 and self.repeat is None

    @property
    def rank(self) -> tuple[int, int, str, int]:
        """Sorts rules into the order in which they win."""
        return -self.priority, -self.specificity, self.policy, self.index

    def judge(
        self, fault: NodeFault, of_code: tuple[bool, str], unknown: UnknownCodes, history: History
    ) -> tuple[bool, str]:
        """Whether the rule matches the fault, and why, in words that follow on `it`; *of_code* is that of its code."""
        speaks, about = of_code
        if speaks and self.selector is not None:
            speaks, where = _judge_node(fault, self.selector)
            about = f"{about}, {where}"
        if not speaks or self.repeat is None:
            return speaks, about
        code = code_of(fault)
        seen = history.times(fault, self.repeat.within, lambda other: self._same(code, other, unknown))
        often, told = self.repeat.judge(seen)
        return often, f"{about}, {told}"

    def judge_code(self, code: Code, unknown: UnknownCodes) -> tuple[bool, str]:
        """Whether the rule is about this code, on whichever nodes, and why, in words that follow on `it`."""
        return self.speaks_of(code, unknown), self._about(code, unknown)

    def speaks_of(self, code: Code, unknown: UnknownCodes) -> bool:
        """Whether the rule is about this code, on whichever nodes."""
        if self.codes:
            return any(selector.matches(code) for selector in self.codes)
        return code.rescue if code.catalogued else unknown is UnknownCodes.POLICIES

    def _about(self, code: Code, unknown: UnknownCodes) -> str:
        """Say why the rule speaks of the code, or why not."""
        name = f"{code.kind} {code.number}"
        if self.codes:
            named = next((selector for selector in self.codes if selector.matches(code)), None)
            return f"names {', '.join(map(str, self.codes))}, not {name}" if named is None else f"names {named}"
        if not code.catalogued:
            return f"names no code, and no catalogue knows {name} (unknown_codes: {unknown})"
        if not code.rescue:
            return f"names no code, and the catalogue says that {name} needs no rescue"
        return f"speaks of every code that needs a rescue, as {name} does"

    def _same(self, present: Code, other: Code, unknown: UnknownCodes) -> bool:
        if self.codes:
            return any(selector.matches(present) and selector.matches(other) for selector in self.codes)
        return self.speaks_of(other, unknown)

    def may_both_match(self, other: "Rule") -> bool:
        """Whether some fault could be matched by both; they must be of the same specificity."""
        codes = not self.codes or any(may_both_match(a, b) for a in self.codes for b in other.codes)
        nodes = self.selector is None or other.selector is None or self.selector.may_both_match(other.selector)
        return codes and nodes


def _judge_node(fault: NodeFault, selector: NodeSelector) -> tuple[bool, str]:
    if not fault.enriched:
        return False, f"but has a nodeSelector and the node's labels are not known (node {fault.lookup})"
    if not selector.matches(fault.labels):
        return False, f"but the node does not carry {selector}"
    return True, f"and the node carries {selector}"


# Kubernetes takes no name with parentheses, so that no policy of an operator can be called like this.
BUILT_IN = Rule("(built-in)", 0, 0, (Cordon(),))
"""The global policy when none is defined: cordon, the least that keeps new pods away from a broken GPU."""

_NOTHING = History()


class PolicySet:
    """All policies in force."""

    def __init__(
        self, rules: Iterable[Rule] = (), standby: Sequence[WarmStandbyPolicy] = (), dry_run: bool = False
    ) -> None:
        """With *dry_run* every plan is only rehearsed, whatever its rule says."""
        given = sorted(rules, key=lambda rule: rule.rank)
        if not any(rule.is_global for rule in given):
            given.append(BUILT_IN)
        self.rules = tuple(given)
        """The rules in the order in which they win: priority, specificity, policy name, index; the built-in last."""
        self.standby = tuple(standby)
        """The warm standby policies."""
        self.dry_run = dry_run
        """Whether every plan is only rehearsed."""
        # Faults are of few codes, and what every rule says to one of them is long.
        self._judged = lru_cache(self._judge_code)

    def rehearsed(self) -> "PolicySet":
        """Return the same policies, all of whose plans are only rehearsed."""
        return PolicySet((rule for rule in self.rules if rule is not BUILT_IN), self.standby, dry_run=True)

    def counted(self, fault: NodeFault, unknown: UnknownCodes = UnknownCodes.RECORD) -> bool:
        """Whether some rule with `repeat` speaks of this fault's code, so that its occurrences are to be remembered."""
        judged = zip(self.rules, self._judged(code_of(fault), unknown), strict=True)
        return any(speaks for rule, (speaks, _) in judged if rule.repeat is not None)

    def choose(
        self, fault: NodeFault, unknown: UnknownCodes = UnknownCodes.RECORD, history: History = _NOTHING
    ) -> tuple[Rule | None, tuple[Considered, ...]]:
        """Return the rule that wins, None if none matches, and every rule with why it did or did not match.

        *history* is what is known of earlier faults of the GPU, for rules with `repeat`; the present one is added.
        """
        winner: Rule | None = None
        considered = []
        for rule, of_code in zip(self.rules, self._judged(code_of(fault), unknown), strict=True):
            matched, why = rule.judge(fault, of_code, unknown, history)
            if matched and winner is not None:
                why += f"; rule {winner.index} of policy {winner.policy} comes first"
            elif matched:
                winner = rule
                why += "; it is the first that matches"
            considered.append(Considered(rule.policy, rule.index, rule.priority, matched, f"It {why}."))
        return winner, tuple(considered)

    def _judge_code(self, code: Code, unknown: UnknownCodes) -> tuple[tuple[bool, str], ...]:
        return tuple(rule.judge_code(code, unknown) for rule in self.rules)

    def ties(self) -> Mapping[str, tuple[str, ...]]:
        """Return, by policy name, the ties that only names and indices decide, a sentence each.

        That one rule has `repeat` and another has not, or another one, makes none of them the more specific.
        """
        ties: defaultdict[str, list[str]] = defaultdict(list)
        defined = [rule for rule in self.rules if rule is not BUILT_IN]
        for (priority, _), group in groupby(defined, key=lambda rule: (rule.priority, rule.specificity)):
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
