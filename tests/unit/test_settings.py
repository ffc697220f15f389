"""The configuration: what ships is complete and true, and every way to set a key does what it says."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from pipeline.api.settings import ApiSettings
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.errors import BadInputError
from pipeline.execute.store_kube_settings import KubernetesStoreConfig
from pipeline.rebooters.settings import NoRebooterConfig, PodRebooterConfig
from pipeline.settings import (
    MemoryStoreConfig,
    Settings,
    SimulatedClusterConfig,
    SqliteStoreConfig,
    read_settings,
    shipped,
)
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.file import FileSourceConfig
from pipeline.sources.kafka.settings import KafkaSourceConfig
from pipeline.sources.kmsg import KmsgSourceConfig
from pipeline.sources.stdin import StdinSourceConfig
from sinks.elasticsearch import ElasticsearchSinkConfig
from sinks.elasticsearch.config import ElasticsearchAuth, ElasticsearchTls
from sinks.file import FileSinkConfig
from sinks.spoolfiles import SpoolConfig

SHIPPED = shipped() / "pipeline.yaml"
_OF_THE_EMBEDDED_RUN = ("sources", "cluster", "policies", "sinks")


def _read(*options: str, path: Path = SHIPPED, **environment: str) -> Settings:
    return read_settings(path, options, environment)


@pytest.mark.parametrize("section", [name for name in Settings.model_fields if name not in _OF_THE_EMBEDDED_RUN])
def test_the_shipped_file_holds_every_key_with_its_default(section: str) -> None:
    written = yaml.safe_load(SHIPPED.read_text())
    default = Settings.model_fields[section].default
    assert getattr(_read(), section) == default
    if isinstance(default, BaseModel):
        assert set(written[section]) == set(type(default).model_fields)
    else:
        assert section in written


def _described_parts() -> list[dict[str, Any]]:
    """The parts of the shipped file that have a type, with those that are commented out."""
    text = SHIPPED.read_text()
    # A section that is of one kind shows others below, as what could stand in its place.
    others = re.findall(r"^# type: .*\n(?:(?:# (?!type: )[a-z_]+: | {20}).*\n)*", text, re.MULTILINE)
    sections = yaml.safe_load(text.replace("# - type:", "  - type:").replace("#   ", "    "))
    alone = [sections[name] for name in ("cluster", "store", "rebooter")]
    return [
        *sections["sources"],
        *sections["sinks"],
        *alone,
        *(yaml.safe_load(re.sub("^# ", "", other, flags=re.MULTILINE)) for other in others),
    ]


@pytest.mark.parametrize(
    "part",
    [
        FileSourceConfig,
        StdinSourceConfig,
        KmsgSourceConfig,
        KafkaSourceConfig,
        EventsSourceConfig,
        FileSinkConfig,
        ElasticsearchSinkConfig,
        SimulatedClusterConfig,
        MemoryStoreConfig,
        SqliteStoreConfig,
        KubernetesClusterConfig,
        KubernetesStoreConfig,
        NoRebooterConfig,
        PodRebooterConfig,
    ],
)
def test_the_shipped_file_documents_every_key_of_every_part(part: type[BaseModel]) -> None:
    (kind,) = get_args(part.model_fields["type"].annotation)
    written = [set(described) for described in _described_parts() if described["type"] == kind]
    assert set(part.model_fields) in written


@pytest.mark.parametrize(
    ("kind", "key", "section"),
    [
        ("elasticsearch", "auth", ElasticsearchAuth),
        ("elasticsearch", "tls", ElasticsearchTls),
        ("elasticsearch", "spool", SpoolConfig),
    ],
)
def test_the_shipped_file_documents_the_sections_of_a_part(kind: str, key: str, section: type[BaseModel]) -> None:
    (described,) = [part for part in _described_parts() if part["type"] == kind]
    assert set(described[key]) == set(section.model_fields)


@pytest.mark.parametrize(
    ("part", "given"),
    [
        pytest.param(KubernetesClusterConfig, (), id="the cluster"),
        pytest.param(KubernetesStoreConfig, (), id="the store"),
        pytest.param(PodRebooterConfig, ("image",), id="the rebooter"),
        pytest.param(EventsSourceConfig, (), id="the source of events"),
    ],
)
def test_the_shipped_file_shows_the_defaults_on_kubernetes(part: type[BaseModel], given: tuple[str, ...]) -> None:
    (kind,) = get_args(part.model_fields["type"].annotation)
    fields = set(part.model_fields)
    (described,) = [each for each in _described_parts() if each["type"] == kind and set(each) == fields]
    assert part.model_validate(described) == part.model_validate({key: described[key] for key in ("type", *given)})


def test_the_shipped_file_shows_the_defaults_of_the_elasticsearch_sink() -> None:
    (described,) = [part for part in _described_parts() if part["type"] == "elasticsearch"]
    read = ElasticsearchSinkConfig.model_validate(described | {"auth": None, "spool": None})
    assert read == ElasticsearchSinkConfig(type="elasticsearch", hosts=described["hosts"])
    assert SpoolConfig.model_validate(described["spool"]) == SpoolConfig(path=described["spool"]["path"])


def test_files_that_a_sink_reads_count_from_the_configuration_files_folder(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        "sources: [{type: stdin}]\ncluster: {type: simulated}\nsinks: [{type: elasticsearch, hosts: ['https://es'],\n"
        "  auth: {api_key_file: key}, tls: {ca: ca.pem}, dead_letters: refused, spool: {path: spool}}]\n"
    )
    (sink,) = _read(path=path).sinks
    assert isinstance(sink, ElasticsearchSinkConfig)
    assert sink.auth is not None and sink.spool is not None
    assert (sink.auth.api_key_file, sink.tls.ca) == (tmp_path / "key", tmp_path / "ca.pem")
    assert (sink.dead_letters, sink.spool.path) == (Path("refused"), Path("spool"))


def test_the_example_shows_every_key_of_the_kafka_source_and_its_defaults() -> None:
    example = shipped() / "examples" / "kafka-elasticsearch.yaml"
    (written,) = yaml.safe_load(example.read_text())["sources"]
    assert set(written) == set(KafkaSourceConfig.model_fields)
    (source,) = _read(path=example).sources
    least = {key: written[key] for key in ("bootstrap_servers", "topics", "dead_letter_file")}
    assert source == KafkaSourceConfig.model_validate(least)


def test_the_example_on_kubernetes_shows_every_key_of_its_parts_and_their_defaults() -> None:
    example = shipped() / "examples" / "kafka-kubernetes.yaml"
    written, settings = yaml.safe_load(example.read_text()), _read(path=example)
    (kafka,), (sink,) = settings.sources, settings.sinks
    assert isinstance(kafka, KafkaSourceConfig) and isinstance(sink, ElasticsearchSinkConfig)
    assert settings.api == ApiSettings(listen="127.0.0.1:8080")
    described: list[tuple[BaseModel, dict[str, Any], tuple[str, ...]]] = [
        (kafka, written["sources"][0], ("type", "bootstrap_servers", "topics", "dead_letter_file")),
        (settings.cluster, written["cluster"], ("type",)),
        (settings.store, written["store"], ("type",)),
        (settings.rebooter, written["rebooter"], ("type", "image")),
        (settings.lease, written["lease"], ()),
        (sink, written["sinks"][0], ("type", "hosts", "dead_letters", "spool")),
    ]
    for part, keys, given in described:
        assert set(keys) == set(type(part).model_fields)
        assert part == type(part).model_validate({key: keys[key] for key in given})


def test_files_of_a_kafka_source_count_from_the_folder_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        "sources: [{type: kafka, bootstrap_servers: ['kafka:9092'], topics: [logs], tls: {ca: ca.pem},\n"
        "           sasl: {username: u, password_file: secret}, dead_letter_file: aside}]\n"
        "cluster: {type: simulated}\nsinks: [{type: file, path: records}]\n"
    )
    (source,) = _read(path=path).sources
    assert isinstance(source, KafkaSourceConfig)
    assert source.tls and source.sasl
    assert (source.tls.ca, source.sasl.password_file) == (tmp_path / "ca.pem", tmp_path / "secret")
    assert source.dead_letter_file == Path("aside")


@pytest.mark.parametrize("section", [name for name in Settings.model_fields if name not in ("patterns",)])
def test_every_key_is_described(section: str) -> None:
    field = Settings.model_fields[section]
    assert field.description
    if isinstance(field.default, BaseModel):
        undescribed = [name for name, info in type(field.default).model_fields.items() if not info.description]
        assert undescribed == []


def test_an_option_wins_over_the_environment_and_that_over_the_file() -> None:
    assert _read().guards.max_nodes == 5
    assert _read(GPU_RESCUE_GUARDS__MAX_NODES="3").guards.max_nodes == 3
    assert _read("guards.max_nodes=2", GPU_RESCUE_GUARDS__MAX_NODES="3").guards.max_nodes == 2


@pytest.mark.parametrize(
    ("name", "option", "key", "value"),
    [
        ("a key at the top", "dry_run=true", "dry_run", True),
        ("a key of a section that is not written", "log.level=debug", "log.level", "debug"),
        ("an element of a list", "sinks.0.keep=3", "sinks.0.keep", 3),
        ("a whole list", "patterns=[/a, /b]", "patterns", [Path("/a"), Path("/b")]),
        ("a value that is empty", "decode.node=", "decode.node", None),
        ("a value with an equals sign", "decode.node=a=b", "decode.node", "a=b"),
    ],
)
def test_a_key_is_set_by_an_option(name: str, option: str, key: str, value: Any) -> None:
    found: Any = _read(option)
    for element in key.split("."):
        found = found[int(element)] if element.isdecimal() else getattr(found, element)
    assert found == value


@pytest.mark.parametrize(
    ("name", "option", "told"),
    [
        ("of a source", "sources.0.tls.ca=/ca.pem", "ca=PosixPath('/ca.pem')"),
        ("of a sink", "sinks.0.auth.api_key_file=/key", "api_key_file=PosixPath('/key')"),
    ],
)
def test_a_key_is_set_in_a_section_that_is_null(name: str, option: str, told: str) -> None:
    example = shipped() / "examples" / "kafka-elasticsearch.yaml"
    settings = _read(option, path=example)
    assert told in f"{settings.sources} {settings.sinks}"


def test_an_element_is_added_at_the_end_of_a_list() -> None:
    assert len(_read("sinks.1={type: file, path: more.ndjson}").sinks) == 2


@pytest.mark.parametrize(
    ("name", "option", "told"),
    [
        ("no such element", "sinks.7.keep=3", "--set sinks.7.keep: there is no sinks.7.keep that could be set"),
        ("a key inside a number", "dry_run.x=1", "--set dry_run.x: there is no dry_run.x that could be set"),
        ("no value", "dry_run", "--set dry_run: is not KEY=VALUE; write it like --set guards.max_nodes=3"),
        ("no key", "=3", "--set =3: is not KEY=VALUE; write it like --set guards.max_nodes=3"),
        ("broken YAML", "dry_run=[", "--set dry_run: the value '[' is not YAML; put it in quotes"),
        ("an unknown kind", "sources.0.type=carrier-pigeon", "--set sources.0.type: "),
        ("an unknown key", "pigeons.coop=x", "--set pigeons.coop: unknown key 'pigeons'; known keys are"),
        (
            "an address that is none",
            "api.listen=x",
            "--set api.listen: api.listen: 'x' is not HOST:PORT",
        ),
    ],
)
def test_an_option_that_cannot_be_is_told(name: str, option: str, told: str) -> None:
    with pytest.raises(BadInputError) as refused:
        _read(option)
    assert str(refused.value).startswith(told)


def test_files_that_are_read_count_from_the_configuration_files_folder(tmp_path: Path) -> None:
    path = tmp_path / "etc" / "pipeline.yaml"
    path.parent.mkdir()
    path.write_text(
        "sources: [{type: file, path: kern.log}, {type: events, kubeconfig: kube}]\n"
        "cluster: {type: simulated, nodes: nodes.yaml}\n"
        "policies: [p, /abs/p]\npatterns: [q]\nsinks: [{type: file, path: out.ndjson}]\n"
    )
    settings = _read(path=path)
    file, events = settings.sources
    assert getattr(file, "path", None) == tmp_path / "etc" / "kern.log"
    assert getattr(events, "kubeconfig", None) == tmp_path / "etc" / "kube"
    assert isinstance(settings.cluster, SimulatedClusterConfig)
    assert settings.cluster.nodes == tmp_path / "etc" / "nodes.yaml"
    assert settings.policies == [tmp_path / "etc" / "p", Path("/abs/p")]
    assert settings.patterns == [tmp_path / "etc" / "q"]
    assert settings.sinks[0].place == "out.ndjson"


def test_a_store_that_lasts_needs_a_cluster_that_does() -> None:
    store = "store={type: sqlite, path: rescues.db}"
    with pytest.raises(BadInputError, match=r"store\.type sqlite needs cluster\.state as well"):
        _read(store)
    settings = _read(store, "cluster.state=cluster.ndjson", "sources.0.follow=true")
    assert settings.store == SqliteStoreConfig(type="sqlite", path=Path("rescues.db"))
    assert isinstance(settings.cluster, SimulatedClusterConfig)
    assert settings.cluster.state == Path("cluster.ndjson")


@pytest.mark.parametrize("store", ["{type: sqlite, path: rescues.db}", "{type: memory}"])
def test_a_replay_is_refused_what_lasts(store: str) -> None:
    lasting = (f"store={store}", "cluster.state=cluster.ndjson")
    with pytest.raises(
        BadInputError, match=r"no source is live, .*; follow the source, or set store\.type to memory and"
    ):
        _read(*lasting, "sources=[{type: stdin}, {type: file, path: a.log}]")
    kafka = "{type: kafka, bootstrap_servers: ['127.0.0.1:9092'], topics: [kernel-logs], group_id: gpu-rescue}"
    for live in ("{type: stdin, follow: true}", "{type: kmsg}", "{type: events}", kafka):
        cluster = _read(*lasting, f"sources=[{live}, {{type: file, path: a.log}}]").cluster
        assert isinstance(cluster, SimulatedClusterConfig)
        assert cluster.state is not None


@pytest.mark.parametrize("text", ["", "a", "- a", "a: 1\n---\nb: 2\n"])
def test_a_file_that_is_no_configuration_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"x\.yaml: is not one mapping of settings"):
        _read(path=path)
