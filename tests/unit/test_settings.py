"""The configuration: what ships is complete and true, and every way to set a key does what it says."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from pipeline.errors import BadInputError
from pipeline.settings import (
    MemoryStoreConfig,
    Settings,
    SimulatedClusterConfig,
    SqliteStoreConfig,
    read_settings,
    shipped,
)
from pipeline.sources.file import FileSourceConfig
from pipeline.sources.kmsg import KmsgSourceConfig
from pipeline.sources.stdin import StdinSourceConfig
from sinks.file import FileSinkConfig

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


@pytest.mark.parametrize(
    "part",
    [
        FileSourceConfig,
        StdinSourceConfig,
        KmsgSourceConfig,
        FileSinkConfig,
        SimulatedClusterConfig,
        MemoryStoreConfig,
        SqliteStoreConfig,
    ],
)
def test_the_shipped_file_documents_every_key_of_every_part(part: type[BaseModel]) -> None:
    (kind,) = get_args(part.model_fields["type"].annotation)
    uncommented = SHIPPED.read_text().replace("# - type:", "  - type:").replace("#   ", "    ")
    sections = yaml.safe_load(uncommented)
    # A section that is of one kind shows each other one below, as what could stand in its place.
    other = "store:\n" + "\n".join(re.findall("^# ((?:type|path): .*)", SHIPPED.read_text(), re.MULTILINE))
    stores = [sections["store"], yaml.safe_load(other.replace("\n", "\n  "))["store"]]
    parts = [*sections["sources"], *sections["sinks"], sections["cluster"], *stores]
    written = [set(described) for described in parts if described["type"] == kind]
    assert set(part.model_fields) in written


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
        ("an unknown key", "api.listen=x", "--set api.listen: unknown key 'api'; known keys are"),
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
        "sources: [{type: file, path: kern.log}]\ncluster: {type: simulated, nodes: nodes.yaml}\n"
        "policies: [p, /abs/p]\npatterns: [q]\nsinks: [{type: file, path: out.ndjson}]\n"
    )
    settings = _read(path=path)
    (source,) = settings.sources
    assert getattr(source, "path", None) == tmp_path / "etc" / "kern.log"
    assert settings.cluster.nodes == tmp_path / "etc" / "nodes.yaml"
    assert settings.policies == [tmp_path / "etc" / "p", Path("/abs/p")]
    assert settings.patterns == [tmp_path / "etc" / "q"]
    assert settings.sinks[0].path == Path("out.ndjson")


def test_a_store_that_lasts_needs_a_cluster_that_does() -> None:
    store = "store={type: sqlite, path: rescues.db}"
    with pytest.raises(BadInputError, match=r"store\.type sqlite needs cluster\.state as well"):
        _read(store)
    settings = _read(store, "cluster.state=cluster.ndjson")
    assert settings.store == SqliteStoreConfig(type="sqlite", path=Path("rescues.db"))
    assert settings.cluster.state == Path("cluster.ndjson")


@pytest.mark.parametrize("text", ["", "a", "- a", "a: 1\n---\nb: 2\n"])
def test_a_file_that_is_no_configuration_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"x\.yaml: is not one mapping of settings"):
        _read(path=path)
