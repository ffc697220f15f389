"""From a fault of a node to a plan, or to the reason why none follows."""

from collections.abc import Iterable
from datetime import datetime

from pipeline.decide.gate import skipped
from pipeline.decide.guards import GuardSettings
from pipeline.decide.limits import limited
from pipeline.decide.rules import PolicySet
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Decision, Plan, SkipReason
from pipeline.model.rescue import Rescue


def decide(
    fault: NodeFault, policies: PolicySet, guards: GuardSettings, of_node: Iterable[Rescue], now: datetime
) -> Decision:
    """Return the plan of the rule that wins, or a skip; both say of every rule why it did or did not match.

    It is asked of a fault that the `gate` has let through. *of_node* are the rescues of its node: what they have done
    in vain is not planned again.
    """
    rule, considered = policies.choose(fault, guards.unknown_codes)
    if rule is not None:
        plan = Plan(rule.actions, rule.policy, rule.index, rule.priority, considered)
        return limited(plan, fault, of_node, now, guards)
    if not fault.meaning.catalogued:
        return skipped(fault, SkipReason.UNKNOWN_CODE, "no catalogue knows the code, and no rule names it", considered)
    return skipped(
        fault, SkipReason.NO_RESCUE_NEEDED, "the code needs no rescue, and no rule names it here", considered
    )
