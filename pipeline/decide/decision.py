"""From a fault of a node to a plan, or to the reason why none follows."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from pipeline.decide.gate import skipped
from pipeline.decide.guards import GuardSettings
from pipeline.decide.limits import limited
from pipeline.decide.repeat import History
from pipeline.decide.rules import PolicySet
from pipeline.model.fault import Drill, NodeFault
from pipeline.model.occurrence import Occurrence
from pipeline.model.plan import Decision, Plan, SkipReason
from pipeline.model.rescue import Rescue


def decide(
    fault: NodeFault,
    policies: PolicySet,
    guards: GuardSettings,
    of_node: Iterable[Rescue],
    now: datetime,
    occurrences: Sequence[Occurrence] = (),
) -> Decision:
    """Return the plan of the rule that wins, or a skip; both say of every rule why it did or did not match.

    It is asked of a fault that the `gate` has let through. *of_node* are the rescues of its node: what they have done
    in vain is not planned again. What was only rehearsed counts for the plans of rules that are rehearsed themselves,
    and what was a drill for none: it has cured nothing, because nothing was broken. *occurrences* are those of its GPU,
    for the rules that count them; whether the present one is among them makes no difference.
    """
    history = History(occurrences, guards.incident_window)
    rule, considered = policies.choose(fault, guards.unknown_codes, history)
    if rule is not None:
        rehearsed = policies.dry_run or rule.dry_run
        dry_run = rehearsed or fault.fault.drill is Drill.DRY
        plan = Plan(
            rule.actions, rule.policy, rule.index, rule.priority, considered, dry_run=dry_run, fallback=rule.is_global
        )
        return limited(plan, fault, _counting(of_node, rehearsed), now, guards)
    known = fault.meaning.catalogued
    reason = SkipReason.NO_RESCUE_NEEDED if known else SkipReason.UNKNOWN_CODE
    told = "the code needs no rescue" if known else "no catalogue knows the code"
    # An unknown code that the policies may decide upon has always a rule, the built-in one.
    yet = policies.counted(fault)
    why = "no rule names it here, or not yet this often (repeat)" if yet else "no rule names it here"
    return skipped(fault, reason, f"{told}, and {why}", considered)


def _counting(rescues: Iterable[Rescue], rehearsed: bool) -> list[Rescue]:
    return [rescue for rescue in rescues if rescue.cause.fault.drill is None and (rehearsed or not rescue.dry_run)]
