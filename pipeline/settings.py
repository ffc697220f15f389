"""The configuration, assembled from models beside what they configure; read from file, environment and options."""

import os
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError, model_validator

from pipeline.api.settings import ApiSettings
from pipeline.cluster.kube.settings import KubernetesClusterConfig, LeaseSettings
from pipeline.decide.guards import GuardSettings
from pipeline.decide.standby import StandbySettings
from pipeline.decode.settings import DecodeSettings
from pipeline.documents import Document, Place, Strict, complaint, read_documents
from pipeline.enrich.labels import EnrichSettings
from pipeline.errors import BadInputError, Complaint
from pipeline.execute.announce import EventSettings
from pipeline.execute.settings import ExecuteSettings
from pipeline.execute.store_kube_settings import KubernetesStoreConfig
from pipeline.rebooters.settings import NoRebooterConfig, RebooterConfig
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.file import FileSourceConfig
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kmsg import KmsgSourceConfig
from pipeline.sources.stdin import StdinSourceConfig
from sinks.elasticsearch import ElasticsearchSinkConfig
from sinks.file import FileSinkConfig

_PREFIX = "GPU_RESCUE_"
_FILES = ("nodes", "path", "kubeconfig", "ca", "cert", "key", "password_file", "api_key_file")
"""Keys that name files that are read: of a cluster, of sources, and of how we and a server know each other."""
# Kubernetes puts these into every pod beside a Service of the name gpu-rescue; they are no settings.
_SERVICE_VARIABLES = ("GPU_RESCUE_SERVICE_", "GPU_RESCUE_PORT")


def shipped() -> Path:
    """Return the folder of the shipped configuration: inside the installed package, or at the root of a checkout."""
    packaged = Path(str(files("pipeline"))) / "config"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "config"


class SimulatedClusterConfig(Strict):
    """A cluster in memory: nothing that is decided for it touches a machine."""

    type: Literal["simulated"]
    nodes: Path | None = Field(
        None, description="File of its nodes, pods and disruption budgets; none: it starts empty."
    )
    newcomers: bool = Field(
        True, description="Whether a host that no node answers to becomes a node, so that any log can be replayed."
    )
    state: Path | None = Field(
        None, description="File that keeps what was done to it over a restart; none: it is then as it was at first."
    )


class MemoryStoreConfig(Strict):
    """Rescues are forgotten when the process ends."""

    type: Literal["memory"] = Field(description="Where: in memory.")


class SqliteStoreConfig(Strict):
    """Rescues are kept in a file; one process at a time works with it."""

    type: Literal["sqlite"] = Field(description="Where: in a file.")
    path: Path = Field(
        description="The file, on a disk of this machine; about 200 MB with the 10,000 ended rescues that it keeps."
    )


SourceConfig = Annotated[
    FileSourceConfig | StdinSourceConfig | KmsgSourceConfig | KafkaSourceConfig | EventsSourceConfig,
    Field(discriminator="type"),
]
ClusterConfig = Annotated[SimulatedClusterConfig | KubernetesClusterConfig, Field(discriminator="type")]
StoreConfig = Annotated[MemoryStoreConfig | SqliteStoreConfig | KubernetesStoreConfig, Field(discriminator="type")]
SinkConfig = Annotated[FileSinkConfig | ElasticsearchSinkConfig, Field(discriminator="type")]


class LogSettings(Strict):
    """What the process says of itself on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is told.")


class Settings(Strict):
    """The whole configuration of a pipeline. Every key is documented in the shipped pipeline.yaml."""

    sources: list[SourceConfig] = Field(min_length=1, description="Where kernel logs come from; read side by side.")
    cluster: ClusterConfig = Field(description="The cluster whose nodes are rescued.")
    policies: list[Path] = Field(
        [],
        description="Files and folders of RescuePolicy and WarmStandbyPolicy manifests, for a simulated cluster; on "
        "Kubernetes they are resources.",
    )
    patterns: list[Path] = Field([], description="Files and folders of rules and codes, read after the shipped ones.")
    decision: Literal["policies"] = Field("policies", description="Who decides: the policies.")
    dry_run: bool = Field(False, description="Decide everything, do it on a simulated copy of the cluster only.")
    decode: DecodeSettings = Field(DecodeSettings(), description="How shippers' envelopes are taken apart.")
    enrich: EnrichSettings = Field(EnrichSettings(), description="How a log's host names become nodes.")
    guards: GuardSettings = Field(GuardSettings(), description="What no policy may overstep.")
    standby: StandbySettings = Field(StandbySettings(), description="The reserve of warm standby nodes.")
    store: StoreConfig = Field(
        MemoryStoreConfig(type="memory"), description="Where rescues and occurrences are kept over a restart."
    )
    lease: LeaseSettings = Field(LeaseSettings(), description="How replicas on Kubernetes agree on who executes.")
    rebooter: RebooterConfig = Field(
        NoRebooterConfig(type="none"), description="What reboots machines of a Kubernetes cluster."
    )
    execute: ExecuteSettings = Field(ExecuteSettings(), description="How the executor waits and tries again.")
    events: EventSettings = Field(EventSettings(), description="What people see of it at the nodes, with kubectl.")
    sinks: list[SinkConfig] = Field(
        min_length=1, description="Where rescue records go; a record is safe when all have it."
    )
    api: ApiSettings | None = Field(None, description="The HTTP API: health, readiness, metrics; none: there is none.")
    log: LogSettings = Field(LogSettings(), description="What the process says of itself.")

    @model_validator(mode="after")
    def _fits_together(self) -> "Settings":
        kubernetes = isinstance(self.cluster, KubernetesClusterConfig)
        if kubernetes != isinstance(self.store, KubernetesStoreConfig):
            raise ValueError(
                "cluster.type kubernetes and store.type kubernetes go together: the rescues of its nodes are resources "
                "of the cluster, so that every replica sees them"
            )
        if kubernetes and self.policies:
            raise ValueError(
                "policies are resources of the Kubernetes cluster: take the key out and kubectl apply the files"
            )
        return self

    @model_validator(mode="after")
    def _remembers_as_a_whole(self) -> "Settings":
        if isinstance(self.cluster, KubernetesClusterConfig):
            if not any(_is_live(source) for source in self.sources):
                raise ValueError("no source is live: what an old log tells must not act on a real cluster; follow one")
            return self
        if isinstance(self.store, SqliteStoreConfig) and self.cluster.state is None:
            raise ValueError(
                "store.type sqlite needs cluster.state as well: a restart makes a simulated cluster forget cordons and "
                "reboots that the store remembers, as if people had undone them"
            )
        keeps = isinstance(self.store, SqliteStoreConfig) or self.cluster.state is not None
        if keeps and not any(_is_live(source) for source in self.sources):
            raise ValueError(
                "no source is live, and a replay runs on the log's own time, from its beginning each time; follow the "
                "source, or set store.type to memory and no cluster.state"
            )
        return self


def _is_live(source: SourceConfig) -> bool:
    always = (KmsgSourceConfig, KafkaSourceConfig, EventsSourceConfig)
    return isinstance(source, always) or source.follow


@dataclass(frozen=True, slots=True)
class Override:
    """One key set outside the file: by the environment or an option; `place` is what an error calls it."""

    place: str
    path: Place
    value: Any


def read_settings(path: Path, options: Iterable[str] = (), environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the file, then the environment, then the options (`a.b=c`); a later one wins.

    Paths of files that are read (policies, patterns, nodes, sources) count from the folder of the configuration file,
    paths of files that are written from the current one. Raises BadInputError, each complaint with its place.
    """
    documents = read_documents(path)
    if len(documents) != 1 or not isinstance(documents[0].data, dict):
        raise BadInputError(Complaint(str(path), "is not one mapping of settings", "see the shipped pipeline.yaml"))
    document = documents[0]
    data = deepcopy(document.data)
    _resolve(data, path.parent)
    overrides = [*_from_environment(environment), *map(_from_option, options)]
    for override in overrides:
        _apply(data, override)
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise BadInputError(*_complaints(error, document, overrides)) from error


def _complaints(error: ValidationError, document: Document, overrides: list[Override]) -> Iterable[Complaint]:
    # What was set from outside has no line in the file; it is known by its place all the same.
    outside = {override.path[:length]: 1 for override in overrides for length in range(1, len(override.path) + 1)}
    known = Document(document.path, document.data, {**outside, **document.lines})
    for detail in error.errors():
        told = complaint(Settings, known, detail)
        culprit = next((o for o in reversed(overrides) if _concerns(o.path, detail["loc"])), None)
        yield Complaint(culprit.place, told.problem, told.remedy) if culprit else told


def _concerns(path: Place, location: Place) -> bool:
    """Whether an error's location, which also holds the tags of unions, lies at, below or above *path*."""
    rest = iter(location)
    return all(element in rest for element in path) or path[: len(location)] == location


def _from_environment(environment: Mapping[str, str]) -> Iterable[Override]:
    for name in sorted(environment):
        if name.startswith(_PREFIX) and not name.startswith(_SERVICE_VARIABLES):
            yield _override(name, name.removeprefix(_PREFIX).lower().split("__"), environment[name])


def _from_option(option: str) -> Override:
    key, equals, value = option.partition("=")
    if not equals or not key:
        raise BadInputError(Complaint(f"--set {option}", "is not KEY=VALUE", "write it like --set guards.max_nodes=3"))
    return _override(f"--set {key}", key.split("."), value)


def _override(place: str, path: list[str], text: str) -> Override:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        raise BadInputError(Complaint(place, f"the value {text!r} is not YAML", "put it in quotes")) from error
    return Override(place, tuple(int(element) if element.isdecimal() else element for element in path), value)


def _apply(data: dict[str, Any], override: Override) -> None:
    target: Any = data
    for element in override.path[:-1]:
        if isinstance(target, list) and isinstance(element, int) and element < len(target):
            target = target[element]
        elif isinstance(target, dict) and isinstance(element, str):
            # What is null in the file is a section that is not written.
            if target.get(element) is None:
                target[element] = {}
            target = target[element]
        else:
            target = None
    last = override.path[-1]
    if isinstance(target, list) and isinstance(last, int) and last <= len(target):
        target[last : last + 1] = [override.value]
    elif isinstance(target, dict):
        target[last] = override.value
    else:
        path = ".".join(map(str, override.path))
        raise BadInputError(Complaint(override.place, f"there is no {path} that could be set"))


def _resolve(data: dict[str, Any], folder: Path) -> None:
    def placed(value: Any) -> Any:
        return str(folder / value) if isinstance(value, str) else value

    for key in ("policies", "patterns"):
        if isinstance(data.get(key), list):
            data[key] = [placed(value) for value in data[key]]
    sources = _sections(data.get("sources"))
    known_by = [part.get(key) for part in (*sources, *_sections(data.get("sinks"))) for key in ("auth", "sasl", "tls")]
    for section in (data.get("cluster"), *sources, *known_by):
        if isinstance(section, dict):
            section.update({key: placed(section[key]) for key in _FILES if key in section})


def _sections(value: Any) -> list[dict[str, Any]]:
    return [section for section in value if isinstance(section, dict)] if isinstance(value, list) else []
