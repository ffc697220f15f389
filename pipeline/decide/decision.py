"""From a fault of a node to a plan, or to the reason why none follows."""

from pipeline.decide.guards import GuardSettings, skipped
from pipeline.decide.rules import PolicySet
from pipeline.model.fault import NodeFault
from pipeline.model.plan import Decision, Plan, SkipReason


def decide(fault: NodeFault, policies: PolicySet, guards: GuardSettings) -> Decision:
    """Return the plan of the rule that wins, or a skip; both say of every rule why it did or did not match."""
    rule, considered = policies.choose(fault, guards.unknown_codes)
    if rule is not None:
        return Plan(rule.actions, rule.policy, rule.index, rule.priority, considered)
    if not fault.meaning.catalogued:
        return skipped(fault, SkipReason.UNKNOWN_CODE, "no catalogue knows the code, and no rule names it", considered)
    return skipped(
        fault, SkipReason.NO_RESCUE_NEEDED, "the code needs no rescue, and no rule names it here", considered
    )
