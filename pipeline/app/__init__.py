"""App composes: from settings to a pipeline, a backtest or single parts. The only room that constructs components.

What belongs here: opening what the settings name (`ports`, `rules`), handing each component those it works with
(`executing`, `building`, `trials`), and opening parts by themselves to see whether they answer (`reaching`).
What does not: a rule, an effect, what the command line shows.
"""

from pipeline.app.building import build
from pipeline.app.executing import executions
from pipeline.app.needs import needs
from pipeline.app.ports import elasticsearch_sinks, open_inlet, open_sinks, recall_cluster
from pipeline.app.reaching import parts
from pipeline.app.rules import open_patterns, open_policies, policy_documents
from pipeline.app.snapshots import open_enricher, open_snapshot, snapshot_policies
from pipeline.app.trials import build_backtest

__all__ = [
    "build",
    "build_backtest",
    "elasticsearch_sinks",
    "executions",
    "needs",
    "open_enricher",
    "open_inlet",
    "open_patterns",
    "open_policies",
    "open_sinks",
    "open_snapshot",
    "parts",
    "policy_documents",
    "recall_cluster",
    "snapshot_policies",
]
