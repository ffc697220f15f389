"""`gpu-rescue explain`: what would be decided about a line, and why: every rule considered, every guard."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from pipeline.app import open_enricher, open_patterns, open_snapshot, snapshot_policies
from pipeline.cli.options import config, sets, settings_of
from pipeline.clock import WallClock
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.decide.admission import Admission, Cancel, Fold, Go, Hold, admission_states, admit
from pipeline.decide.asking import Asking
from pipeline.decide.blast import blast
from pipeline.decide.decision import decide
from pipeline.decide.gate import gate, gate_states
from pipeline.decide.timing import windows
from pipeline.decide.wording import describe
from pipeline.decode.envelopes import Decoder
from pipeline.errors import BadInputError, Complaint
from pipeline.execute.ecs import admission_part, decision_part, fault_part, node_part
from pipeline.execute.progress import planned
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, NodeFault
from pipeline.model.guard import GuardState
from pipeline.model.plan import ActionName, Decision, Skip
from pipeline.model.rescue import CancelReason, Member, Status, StepState
from pipeline.settings import Settings

_SIMULATED = "the cluster is seen as its file describes it"
_ON_KUBERNETES = "nodes and policies are those of this moment, rescues are not looked at"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a fault, and whether its plan, if there is one, could start now.

    The guards of the gate are with the decision; `guards` are those of admission, which only a plan is asked, before
    its first step. `waits` tells, by step, what a later one would wait for if it came now; `seen` as what the cluster
    was looked at for all that.
    """

    fault: NodeFault
    decided: Decision
    admitted: Admission | None = None
    guards: tuple[GuardState, ...] = ()
    waits: Mapping[ActionName, str] = field(default_factory=dict)
    seen: str = ""


@click.command()
@click.argument("line")
@click.option("--node", help="The node, where the line names none.")
@config
@sets
def explain(line: str, node: str | None, config: Path | None, overrides: tuple[str, ...]) -> None:
    """Say what would be decided about LINE and why; nothing is done. Text on a terminal, one JSON object in a pipe.

    \b
    Example:
      gpu-rescue explain --node gpu-h100-01 'NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.'
    """
    found = _explained(settings_of(config, overrides), line, node)
    if sys.stdout.isatty():
        click.echo("\n".join(_told(found)))
    else:
        click.echo(orjson.dumps(_document(found)))


def _explained(settings: Settings, text: str, node: str | None) -> Explanation:
    now, matcher = datetime.now(UTC), Matcher(open_patterns(settings))
    cluster = open_snapshot(settings, WallClock())
    policies = snapshot_policies(settings, cluster)
    decoded = Decoder(settings.decode).decode(text.encode(), "LINE", received=now, key=node)
    faults = [found for found in map(matcher.match, decoded.lines) if isinstance(found, Fault)]
    if not faults:
        raise BadInputError(Complaint("LINE", "no pattern recognises a fault in it", "try it with gpu-rescue match"))
    fault = open_enricher(settings, cluster, matcher).enrich(faults[0], now)
    gated, guards = gate(fault, settings.guards, now, None), gate_states(fault, settings.guards, now, None)
    by_policy = decide(fault, policies, settings.guards, (), now)
    if gated is not None:
        return Explanation(fault, replace(gated, considered=by_policy.considered, guards=guards))
    decided = replace(by_policy, guards=guards)
    if isinstance(decided, Skip):
        return Explanation(fault, decided)
    rescue, nodes = planned("explained", fault, decided, now), cluster.nodes()
    return Explanation(
        fault,
        decided,
        admit(rescue, [rescue], nodes, now, settings.guards),
        admission_states(rescue, [rescue], nodes, now, settings.guards),
        dict(_waits(Asking(rescue, [rescue], nodes, now, settings.guards))),
        _ON_KUBERNETES if isinstance(settings.cluster, KubernetesClusterConfig) else _SIMULATED,
    )


def _waits(asking: Asking) -> Iterator[tuple[ActionName, str]]:
    """Yield the steps that would wait for a maintenance window, and until when."""
    rescue = asking.rescue
    for index, action in enumerate(rescue.plan.actions):
        done = (StepState(Status.SUCCEEDED, asking.now, asking.now),) * index
        answer = windows(asking.of(replace(rescue, steps=(*done, *rescue.steps[index:]))))
        if isinstance(answer, Hold):
            yield action.name, answer.message


def _told(found: Explanation) -> Iterator[str]:
    fault, node = found.fault.fault, found.fault
    yield f"fault      {fault.kind} {fault.code} on {node.node or 'no node'} (node {node.lookup}): {fault.message}"
    yield f"meaning    {node.meaning.meaning or 'not catalogued'}; asks for {node.meaning.severity}"
    reached = blast(node)
    yield f"reaches    {reached.radius}: {reached.why}"
    yield "labels     " + (", ".join(f"{key}={value}" for key, value in sorted(node.labels.items())) or "none")
    yield from map(_guard, found.decided.guards)
    for rule in found.decided.considered:
        mark = "matches" if rule.matched else "no"
        yield f"rule       {rule.policy}[{rule.rule}], priority {rule.priority}: {mark}. {rule.why}"
    if isinstance(found.decided, Skip):
        yield f"decision   none: {found.decided.detail}"
        return
    yield f"decision   rule {found.decided.rule} of policy {found.decided.policy}"
    for number, action in enumerate(found.decided.actions, 1):
        waits = f": {found.waits[action.name]}" if action.name in found.waits else ""
        yield f"step {number}     {describe(action)}{waits}"
    yield from map(_guard, found.guards)
    _, _, told = _admission(found.admitted)
    yield f"admission  {told}, if no other rescue is open: {found.seen}"


def _guard(state: GuardState) -> str:
    return f"guard      {state.guard}: {state.verdict}; {state.told}"


def _admission(admitted: Admission | None) -> tuple[str, str | None, str]:
    """The outcome and the reason, as a record of the rescue would have them, and a sentence for people."""
    match admitted:
        case Hold(reason, message):
            return "hold", reason, message
        case Cancel(reason, message):
            return "cancel", reason, message
        case Fold() as fold:
            return "cancel", CancelReason.FOLDED, fold.message
        case Go() | None:
            return "go", None, "the first step could start now"


def _document(found: Explanation) -> dict[str, Any]:
    """The parts of a record: that of the fault with its decision, and under `admission` that of a rescue's decision."""
    outcome, reason, message = _admission(found.admitted)
    admission = {**admission_part(outcome, reason, found.guards), "message": message}
    return {
        "fault": fault_part(Member("explained", found.fault, 1, found.fault.time, found.fault.time)),
        "node": node_part(found.fault),
        "decision": decision_part(found.decided),
        "detail": found.decided.detail if isinstance(found.decided, Skip) else None,
        "admission": admission if found.admitted is not None else None,
        "waits": {str(action): told for action, told in found.waits.items()},
    }
