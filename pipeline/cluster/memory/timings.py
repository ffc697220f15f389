"""How long things take on the simulated cluster."""

from datetime import timedelta

from pydantic import Field

from pipeline.documents import Strict
from pipeline.durations import Duration


class Timings(Strict):
    """The pace of simulated machines and pods."""

    unnoticed: Duration = Field(
        timedelta(seconds=40),
        description="How long a machine that went down still counts as Ready, its old boot id and GPUs in view; "
        "as long as kube-controller-manager's --node-monitor-grace-period.",
    )
    boot: Duration = Field(
        timedelta(minutes=3),
        description="From the reboot to the kubelet's first word, with a new boot id and not Ready yet; "
        "GPU servers take minutes for their memory test.",
    )
    ready: Duration = Field(timedelta(seconds=20), description="From the kubelet's first word to Ready.")
    gpus: Duration = Field(
        timedelta(seconds=40),
        description="From Ready to the GPUs being allocatable: the driver loads, the device plugin registers.",
    )
    pod_start: Duration = Field(
        timedelta(seconds=10), description="From the moment a pod is bound to a node to its being ready."
    )
