"""The entries of a rule's `actions`, as an operator writes them: a name, and attributes that are text.

The attributes of drain and reboot are those of the RescuePolicy resource; deleteEmptyDirData and force are kubectl's
(`kubectl drain --delete-emptydir-data --force`), the others are ours.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.decide.namespaces import NamespaceSpec, check, entries
from pipeline.decide.nodeselector import text
from pipeline.documents import Strict
from pipeline.durations import Duration, format_duration
from pipeline.model.plan import (
    Action,
    Cordon,
    Drain,
    EnableWarmStandby,
    Offline,
    OnTimeout,
    Reboot,
    Uncordon,
)

_LONGEST = timedelta(days=30)
_DRAIN = Drain()
_REBOOT = Reboot()


def _bounded(wait: timedelta) -> timedelta:
    if wait > _LONGEST:
        raise ValueError(f"is more than {format_duration(_LONGEST)}; nothing should hold a machine that long")
    return wait


def _some(wait: timedelta) -> timedelta:
    if not wait:
        raise ValueError("must be more than 0s")
    return wait


Flag = Annotated[Literal["true", "false"], BeforeValidator(text)]
Wait = Annotated[Duration, AfterValidator(_bounded)]
SomeWait = Annotated[Wait, AfterValidator(_some)]


class NoAttributes(Strict):
    """The attributes of an action that takes none."""

    @model_validator(mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value:
            raise ValueError(f"this action takes no attributes; leave out {', '.join(map(str, value))}")
        return value


class DrainAttributes(Strict):
    """What a drain can be told."""

    # kubectl reads --timeout=0s as for ever, others would read it as at once: neither is taken from a zero.
    waittime: SomeWait = Field(
        _DRAIN.waittime,
        description="How long eviction may take; more than 0s. 20min lets most jobs write a checkpoint.",
    )
    on_timeout: OnTimeout = Field(
        OnTimeout.FAIL,
        alias="onTimeout",
        description="Then `fail` (the node stays cordoned, people are told), `force` (delete the pods) or `continue`.",
    )
    delete_empty_dir_data: Flag = Field(
        "true",
        alias="deleteEmptyDirData",
        description="Whether pods with an emptyDir are evicted too; nearly every training pod mounts /dev/shm as one.",
    )
    force: Flag = Field("false", description="Whether pods that no controller would bring back are evicted too.")
    namespaces: Annotated[list[NamespaceSpec], BeforeValidator(entries, json_schema_input_type=str)] = Field(
        [],
        description="Namespaces whose pods leave otherwise, as NAME=MODE with commas between them; the first that "
        "matches counts, pods of others are evicted. Modes: evict, waitForCompletion, deleteAfter:TIME.",
    )
    gpu_pods_only: Flag = Field(
        "false",
        alias="gpuPodsOnly",
        description="Whether only pods that ask for GPUs (nvidia.com/gpu, nvidia.com/mig-*) are moved. The others "
        "stay, and a reboot ends their containers without notice or grace.",
    )

    @model_validator(mode="after")
    def _every_namespace_counts(self) -> "DrainAttributes":
        check(self.namespaces, self.waittime)
        return self


class RebootAttributes(Strict):
    """What a reboot can be told."""

    waittime: Wait = Field(
        _REBOOT.waittime, description="How long to wait between the end of the drain and the reboot."
    )
    uncordon: Flag | None = Field(
        None, alias="unCordon", description="Whether the node is made schedulable again after it: the action unCordon."
    )
    timeout: SomeWait = Field(
        _REBOOT.timeout,
        description="How long to wait for the proof that it came back; big GPU machines take over ten minutes to boot.",
    )


class CordonSpec(Strict):
    """Mark the node unschedulable."""

    name: Literal["cordon"]
    attribute: NoAttributes = Field(NoAttributes(), description="None.")

    @property
    def action(self) -> Action:
        """The action of the plan."""
        return Cordon()


class DrainSpec(Strict):
    """Evict the node's pods."""

    name: Literal["drain"]
    attribute: DrainAttributes = Field(
        DrainAttributes(), description="How long, and what to do with what would not go."
    )

    @property
    def action(self) -> Action:
        """The action of the plan."""
        told = self.attribute
        return Drain(
            told.waittime,
            told.on_timeout,
            told.delete_empty_dir_data == "true",
            told.force == "true",
            tuple(spec.rule for spec in told.namespaces),
            told.gpu_pods_only == "true",
        )


class RebootSpec(Strict):
    """Turn the machine off and on."""

    name: Literal["reboot"]
    attribute: RebootAttributes = Field(RebootAttributes(), description="When, how long, and whether it comes back.")

    @property
    def action(self) -> Action:
        """The action of the plan."""
        return Reboot(self.attribute.waittime, self.attribute.timeout)


class UncordonSpec(Strict):
    """Make the node schedulable again."""

    name: Literal["unCordon"]
    attribute: NoAttributes = Field(NoAttributes(), description="None.")

    @property
    def action(self) -> Action:
        """The action of the plan."""
        return Uncordon()


class EnableWarmStandbySpec(Strict):
    """Put a standby into service in the node's place."""

    name: Literal["enableWarmStandby"]
    attribute: NoAttributes = Field(NoAttributes(), description="None.")

    @property
    def action(self) -> Action:
        """The action of the plan."""
        return EnableWarmStandby()


class OfflineSpec(Strict):
    """Take the node out for good."""

    name: Literal["offline"]
    attribute: NoAttributes = Field(NoAttributes(), description="None.")

    @property
    def action(self) -> Action:
        """The action of the plan."""
        return Offline()


ActionSpec = Annotated[
    CordonSpec | DrainSpec | RebootSpec | UncordonSpec | EnableWarmStandbySpec | OfflineSpec,
    Field(discriminator="name"),
]
"""One entry of `actions`; a new action is one class here and one runner."""
