"""`gpu-rescue explain`: what would be decided about a line, and why: every rule considered, every guard."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from pipeline.app import open_cluster, open_enricher, open_patterns, open_policies
from pipeline.cli.options import config, sets, settings_of
from pipeline.clock import WallClock
from pipeline.decide.admission import Admission, Cancel, Fold, Go, Hold, admit
from pipeline.decide.decision import decide
from pipeline.decide.gate import gate
from pipeline.decide.wording import describe
from pipeline.decode.envelopes import Decoder
from pipeline.errors import BadInputError, Complaint
from pipeline.execute.ecs import decision_part, fault_part, node_part
from pipeline.execute.progress import planned
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, NodeFault
from pipeline.model.plan import Decision, Skip
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a fault, and whether its plan, if there is one, could start now."""

    fault: NodeFault
    decided: Decision
    admitted: Admission | None


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
    cluster = open_cluster(settings, WallClock())
    policies = open_policies(settings, cluster)
    decoded = Decoder(settings.decode).decode(text.encode(), "LINE", received=now, key=node)
    faults = [found for found in map(matcher.match, decoded.lines) if isinstance(found, Fault)]
    if not faults:
        raise BadInputError(Complaint("LINE", "no pattern recognises a fault in it", "try it with gpu-rescue match"))
    fault = open_enricher(settings, cluster, matcher).enrich(faults[0], now)
    gated = gate(fault, settings.guards, now, None)
    by_policy = decide(fault, policies, settings.guards, (), now)
    if gated is not None:
        return Explanation(fault, replace(gated, considered=by_policy.considered), None)
    if isinstance(by_policy, Skip):
        return Explanation(fault, by_policy, None)
    rescue = planned("explained", fault, by_policy, now)
    return Explanation(fault, by_policy, admit(rescue, [rescue], cluster.nodes(), now, settings.guards))


def _told(found: Explanation) -> Iterator[str]:
    fault, node = found.fault.fault, found.fault
    yield f"fault      {fault.kind} {fault.code} on {node.node or 'no node'} (node {node.lookup}): {fault.message}"
    yield f"meaning    {node.meaning.meaning or 'not catalogued'}; asks for {node.meaning.severity}"
    for rule in found.decided.considered:
        mark = "matches" if rule.matched else "no"
        yield f"rule       {rule.policy}[{rule.rule}], priority {rule.priority}: {mark}. {rule.why}"
    if isinstance(found.decided, Skip):
        yield f"decision   none: {found.decided.detail}"
        return
    yield f"decision   rule {found.decided.rule} of policy {found.decided.policy}"
    for number, action in enumerate(found.decided.actions, 1):
        yield f"step {number}     {describe(action)}"
    yield f"admission  {_verdict(found.admitted)}"


def _verdict(admitted: Admission | None) -> str:
    match admitted:
        case Hold(_, message) | Cancel(_, message):
            return message
        case Fold(into):
            return f"rescue {into} would take it over"
        case Go() | None:
            return "could start now"


def _document(found: Explanation) -> dict[str, Any]:
    return {
        "fault": fault_part(found.fault, 1, found.fault.time, found.fault.time),
        "node": node_part(found.fault),
        "decision": decision_part(found.decided),
        "detail": found.decided.detail if isinstance(found.decided, Skip) else None,
        "admission": _verdict(found.admitted) if found.admitted is not None else None,
    }
