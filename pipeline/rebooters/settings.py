"""By which road machines are turned off and on again."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pipeline.cluster.kube.settings import NAMESPACE
from pipeline.documents import Strict
from pipeline.durations import Duration

LONGEST = timedelta(hours=1)


def _bounded(time: timedelta) -> timedelta:
    if not timedelta(0) < time <= LONGEST:
        raise ValueError("must be more than 0s and at most 1h")
    return time


SomeTime = Annotated[Duration, AfterValidator(_bounded)]


class NoRebooterConfig(Strict):
    """Machines are not rebooted: a plan that asks for it fails at that step, and the node stays cordoned."""

    type: Literal["none"] = Field(description="How: not at all.")


class PodRebooterConfig(Strict):
    """A privileged pod on the node reboots it; the node's kubelet must work."""

    type: Literal["pod"] = Field(description="How: by a pod on the node.")
    image: str = Field(
        min_length=1,
        description="Image with sh, nsenter, date and sleep, such as busybox; nodes must be able to pull it.",
    )
    namespace: str = Field(
        NAMESPACE, min_length=1, description="Where the pods live; pod security must let it have privileged ones."
    )
    priority_class: str | None = Field(
        "system-node-critical",
        description="Priority class of the pods, so that a full node takes them; none: the default.",
    )
    valid: SomeTime = Field(
        timedelta(minutes=10),
        description="How long after it was asked for a node may still obey, by its own clock; at most 1h, and less "
        "than the timeout of the reboots, so that no rescue that has failed is followed by a reboot.",
    )
    patience: SomeTime = Field(
        timedelta(minutes=2),
        description="How long `systemctl reboot` may take; then the kernel is told to reboot at once.",
    )


RebooterConfig = Annotated[NoRebooterConfig | PodRebooterConfig, Field(discriminator="type")]
