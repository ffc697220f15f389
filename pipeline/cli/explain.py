"""`gpu-rescue explain`: what would be decided about a line, and why: every rule considered, every guard."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import orjson

from pipeline.app import open_cluster, open_patterns, open_policies
from pipeline.cli.options import config, sets, settings_of
from pipeline.clock import WallClock
from pipeline.decide.decision import decide
from pipeline.decide.guards import Admission, Cancel, Fold, Go, Hold, admit, gate
from pipeline.decide.wording import describe
from pipeline.decode.envelopes import Decoder
from pipeline.enrich.labels import Enricher
from pipeline.errors import BadInputError, Complaint
from pipeline.execute.documents import decision_part, fault_part, node_part
from pipeline.execute.progress import planned
from pipeline.match.matcher import Matcher
from pipeline.model.fault import Fault, NodeFault
from pipeline.model.plan import Decision, Plan, Skip
from pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Explanation:
    """What would become of a fault: `gated` before any policy, `decided` by the policies, `admitted` if it were now."""

    fault: NodeFault
    gated: Skip | None
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
    now, patterns = datetime.now(UTC), open_patterns(settings)
    cluster = open_cluster(settings, WallClock())
    policies = open_policies(settings, cluster)
    decoded = Decoder(settings.decode).decode(text.encode(), "LINE", received=now, key=node)
    matcher = Matcher(patterns)
    faults = [match for match in map(matcher.match, decoded.lines) if isinstance(match, Fault)]
    if not faults:
        raise BadInputError(Complaint("LINE", "no pattern recognises a fault in it", "try it with gpu-rescue match"))
    found = Enricher(cluster, patterns.catalogue, settings.enrich).enrich(faults[0], now)
    decided = decide(found, policies, settings.guards)
    admitted = None
    if isinstance(decided, Plan):
        rescue = planned("explained", found, decided, now)
        admitted = admit(rescue, [rescue], cluster.nodes(), now, settings.guards)
    return Explanation(found, gate(found, settings.guards, now, None), decided, admitted)


def _told(found: Explanation) -> Iterator[str]:
    fault, node = found.fault.fault, found.fault
    yield f"fault      {fault.kind} {fault.code} on {node.node or 'no node'} (node {node.lookup}): {fault.message}"
    yield f"meaning    {node.meaning.meaning or 'not catalogued'}; asks for {node.meaning.severity}"
    yield f"guards     {found.gated.detail if found.gated else 'nothing stops it before the policies'}"
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
        "guards": {"skip": found.gated.reason, "detail": found.gated.detail} if found.gated else {"skip": None},
        "decision": decision_part(found.decided),
        "admission": _verdict(found.admitted) if isinstance(found.decided, Plan) else None,
    }
