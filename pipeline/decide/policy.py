"""RescuePolicy and WarmStandbyPolicy manifests (rescue.ksyun.com/v1, cluster-scoped), and the set that they make."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from pipeline.decide.actions import ActionSpec
from pipeline.decide.errorcodes import Selector, parse
from pipeline.decide.manifest import ApiVersion, Metadata
from pipeline.decide.nodeselector import NodeSelector
from pipeline.decide.planner import PreconditionError, plan_actions
from pipeline.decide.repeat import Repeat
from pipeline.decide.rules import PolicySet, Rule
from pipeline.decide.warmstandby import WarmStandbyPolicy
from pipeline.documents import Document, Strict, json_schema, validate
from pipeline.errors import BadInputError, Complaint

__all__ = [
    "PolicySet",
    "RescuePolicy",
    "WarmStandbyPolicy",
    "policy_schema",
    "read_policies",
]


T = TypeVar("T")


def _error_code(value: Any) -> Selector:
    if isinstance(value, int | str) and not isinstance(value, bool):
        return parse(str(value))
    raise ValueError(f'{value!r} is not an error code; write it in quotes, like "62"')


def _some(entries: list[T]) -> list[T]:
    if not entries:
        raise ValueError("is empty; leave the key out, or say what belongs there")
    return entries


def _given(value: Any) -> Any:
    if value is None:
        raise ValueError("is blank; leave the key out for every node, or name labels")
    return value


def _said(value: Any) -> Any:
    if value is None:
        raise ValueError("is blank; leave the key out to act each time, or write it like {count: 3, within: 24h}")
    return value


ErrorCode = Annotated[
    Selector,
    PlainValidator(_error_code, json_schema_input_type=int | str),
]
"""One entry of `errorCode`: text, or a number for an Xid. The forms are those of `pipeline.decide.errorcodes`."""


class RuleSpec(Strict):
    """One rule: on which codes and nodes, and what to do."""

    priority: int = Field(
        0,
        ge=0,
        strict=True,
        description="The highest wins. 0, the lowest, without errorCode and nodeSelector is the global policy.",
    )
    error_code: Annotated[list[ErrorCode], AfterValidator(_some)] = Field(
        [],
        alias="errorCode",
        description="Codes that the rule names and acts on. Left out: every code that needs a rescue.",
    )
    node_selector: Annotated[NodeSelector | None, BeforeValidator(_given)] = Field(
        None, alias="nodeSelector", description="Nodes that the rule is for. Left out: every node."
    )
    repeat: Annotated[Repeat | None, BeforeValidator(_said)] = Field(
        None,
        description="Act only when the same fault of the same GPU repeats. A GPU is known by its board serial, else "
        "its UUID, else its node and PCI address. An entry of errorCode counts what it names; without errorCode all "
        "that the rule speaks of counts. Left out: act each time.",
    )
    actions: Annotated[list[ActionSpec], AfterValidator(_some)] = Field(
        description="What to do; the order is always the same."
    )


class RescuePolicySpec(Strict):
    """What a RescuePolicy says."""

    rules: Annotated[list[RuleSpec], AfterValidator(_some)] = Field(
        description="The rules; one fault is met by one rule."
    )
    dry_run: bool = Field(
        False,
        alias="dryRun",
        strict=True,
        description="Whether its plans are only rehearsed, on a copy of the cluster: a new policy can be watched so "
        "beside those that act. A rule of it that wins keeps the others from acting on that fault.",
    )


class RescuePolicy(Strict):
    """Which faults lead to which actions on which nodes."""

    api_version: ApiVersion
    kind: Literal["RescuePolicy"] = Field(description="RescuePolicy")
    metadata: Metadata = Field(description="Its name, and what the API server adds.")
    spec: RescuePolicySpec = Field(description="The rules.")
    status: dict[str, Any] | None = Field(None, description="Written by the pipeline; not read.")


Policy = RescuePolicy | WarmStandbyPolicy
_MODELS: dict[str, type[RescuePolicy] | type[WarmStandbyPolicy]] = {
    "RescuePolicy": RescuePolicy,
    "WarmStandbyPolicy": WarmStandbyPolicy,
}


def read_policies(documents: Iterable[Document]) -> PolicySet:
    """Return the policies that the documents hold.

    Raises BadInputError with one complaint for each problem of all documents, preconditions of actions among them.
    """
    complaints: list[Complaint] = []
    rules: list[Rule] = []
    standby: list[WarmStandbyPolicy] = []
    seen: dict[tuple[str, str], str] = {}
    for document in documents:
        try:
            policy = _read(document, seen)
            if isinstance(policy, RescuePolicy):
                rules += _rules(policy, document)
            else:
                standby.append(policy)
        except BadInputError as error:
            complaints += error.complaints
    if complaints:
        raise BadInputError(*complaints)
    return PolicySet(rules, sorted(standby, key=lambda policy: policy.metadata.name))


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema of a policy manifest of either kind."""
    return json_schema(Annotated[Policy, Field(discriminator="kind")])


def _read(document: Document, seen: dict[tuple[str, str], str]) -> Policy:
    kind = document.data.get("kind") if isinstance(document.data, dict) else None
    model = _MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        problem = f"kind: {kind!r} is not a policy" if kind is not None else "is not a policy: it has no kind"
        remedy = f"the kinds are {' and '.join(_MODELS)}"
        raise BadInputError(Complaint(document.where(("kind",)), problem, remedy))
    policy = validate(model, document)
    key, place = (policy.kind, policy.metadata.name), document.where(("metadata", "name"))
    if key in seen:
        problem = f"there is a {policy.kind} named {policy.metadata.name!r} already, at {seen[key]}"
        raise BadInputError(Complaint(place, problem, "give each its own name"))
    seen[key] = place
    return policy


def _rules(policy: RescuePolicy, document: Document) -> list[Rule]:
    rules: list[Rule] = []
    complaints: list[Complaint] = []
    for index, spec in enumerate(policy.spec.rules):
        try:
            actions = plan_actions(spec.actions)
        except PreconditionError as error:
            complaints += _placed(error, document, index)
        else:
            codes, where = tuple(spec.error_code), spec.node_selector
            name, dry_run = policy.metadata.name, policy.spec.dry_run
            rules.append(Rule(name, index, spec.priority, actions, codes, where, spec.repeat, dry_run))
    complaints += _second_globals(rules, document)
    if complaints:
        raise BadInputError(*complaints)
    return rules


def _placed(error: PreconditionError, document: Document, rule: int) -> Iterator[Complaint]:
    for problem in error.problems:
        place = document.where(("spec", "rules", rule, "actions", problem.action))
        yield Complaint(place, f"spec.rules.{rule}.actions.{problem.action}: {problem}")


def _second_globals(rules: Iterable[Rule], document: Document) -> Iterator[Complaint]:
    for rule in [rule for rule in rules if rule.is_global][1:]:
        problem = f"spec.rules.{rule.index}: a second global rule, which would never be met"
        yield Complaint(document.where(("spec", "rules", rule.index)), problem, "keep one of them")
