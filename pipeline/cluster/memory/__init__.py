"""The simulated cluster: embedded runs and dry runs act on it, and tests play people, crashes and bad luck with it.

It follows the API server and the controllers of Kubernetes where a rescue would notice the difference, and is
deterministic: the same calls at the same times give the same cluster.
"""

from pipeline.cluster.memory.budgets import Budget
from pipeline.cluster.memory.cluster import SimulatedCluster
from pipeline.cluster.memory.file import load_cluster
from pipeline.cluster.memory.lasting import LastingCluster
from pipeline.cluster.memory.machines import AcceptedReboot, boot_id
from pipeline.cluster.memory.timings import Timings
from pipeline.cluster.memory.troubles import Call, LostAnswerError, Trouble, Troubles
from pipeline.cluster.memory.twin import Twin, twin
from pipeline.cluster.memory.watch import Watch

__all__ = [
    "AcceptedReboot",
    "Budget",
    "Call",
    "LastingCluster",
    "LostAnswerError",
    "SimulatedCluster",
    "Timings",
    "Trouble",
    "Troubles",
    "Twin",
    "Watch",
    "boot_id",
    "load_cluster",
    "twin",
]
