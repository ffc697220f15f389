"""What operators write: patterns and policies, read, and read again while the pipeline runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.app.sites import Site
from pipeline.cluster.memory import SimulatedCluster
from pipeline.decide.incidents import Incidents
from pipeline.decide.policy import PolicySet, read_policies
from pipeline.documents import Document, read_documents
from pipeline.enrich.labels import Enricher
from pipeline.execute.loops import Companion
from pipeline.execute.policies import PolicyBook, PolicyWatch
from pipeline.execute.reload import Reload
from pipeline.match.matcher import Matcher
from pipeline.match.patterns import PatternSet, load_patterns
from pipeline.settings import Settings, shipped


@dataclass(frozen=True, slots=True)
class InForce:
    """How the policies in force stay what people want: whether they are known yet, and what follows their changes."""

    known: Callable[[], bool]
    companion: Companion


def open_patterns(settings: Settings) -> PatternSet:
    """Load the shipped rules and codes, then those of the settings."""
    return load_patterns([shipped() / "patterns", *settings.patterns])


def open_policies(settings: Settings, cluster: SimulatedCluster) -> PolicySet:
    """Load the policies that the settings name, and apply them to the simulated cluster."""
    documents = policy_documents(settings.policies)
    policies = read_policies(documents)
    cluster.set_policies(document.data for document in documents)
    return policies


def policies_in_force(settings: Settings, cluster: SimulatedCluster) -> PolicySet:
    """Load the policies; under the global dry run all that they plan is rehearsed only."""
    policies = open_policies(settings, cluster)
    return policies.rehearsed() if settings.dry_run else policies


def policy_documents(paths: Sequence[Path]) -> list[Document]:
    """Read every policy manifest of files and folders."""
    found = [file for path in paths for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
    return [document for file in found for document in read_documents(file)]


def first_policies(settings: Settings, site: Site) -> PolicySet:
    """Return what is in force at first: the files', or as long as a cluster's resources are not known, none."""
    if isinstance(site.cluster, SimulatedCluster):
        return policies_in_force(settings, site.cluster)
    return read_policies([])


def follow_policies(settings: Settings, site: Site, policies: PolicyBook) -> InForce:
    """Put in force what files, or the cluster's resources, are changed to while the pipeline runs."""
    cluster = site.cluster
    if isinstance(cluster, SimulatedCluster):
        simulated = cluster
        read = Reload("policies", settings.policies, lambda: policies.replace(policies_in_force(settings, simulated)))
        return InForce(lambda: cluster.synced, read.run)
    watch = PolicyWatch(cluster, policies, settings.dry_run)

    def known() -> bool:
        if cluster.synced:
            watch.refresh()
        return cluster.synced

    return InForce(known, watch.run)


def follow_patterns(settings: Settings, matcher: Matcher, enricher: Enricher, incidents: Incidents) -> Companion:
    """Read the patterns again when their files change, and have them take effect."""

    def read_patterns() -> None:
        patterns = open_patterns(settings)
        matcher.replace(patterns)
        enricher.catalogue = patterns.catalogue
        incidents.forget_skipped()

    return Reload("patterns", [shipped() / "patterns", *settings.patterns], read_patterns).run
