"""The objects for Kibana: of a form that it imports, and each query finds records of a real run in a real index."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline.app import build
from pipeline.settings import read_settings, shipped
from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from tests.fakes.elasticsearch import install, sink_config
from tests.services.elasticsearch.node import Elasticsearch

FILE = shipped() / "kibana" / "gpu-rescue.ndjson"
OBJECTS: dict[str, dict[str, Any]] = {
    f"{found['type']}:{found['id']}": found for found in map(json.loads, FILE.read_text().splitlines())
}
SEARCHES = [name for name in OBJECTS if name.startswith("search:")]
CHARTS = [name for name in OBJECTS if name.startswith("lens:")]
RECORDS = "___records___"


def of_type(kind: str) -> list[dict[str, Any]]:
    return [found for found in OBJECTS.values() if found["type"] == kind]


def source(found: dict[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(found["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
    return parsed


def query_of(found: dict[str, Any]) -> dict[str, str]:
    query: dict[str, str] = found["attributes"]["state"]["query"] if found["type"] == "lens" else source(found)["query"]
    return query


def columns_of(chart: dict[str, Any]) -> dict[str, Any]:
    (layer,) = chart["attributes"]["state"]["datasourceStates"]["formBased"]["layers"].values()
    columns: dict[str, Any] = layer["columns"]
    return columns


def fields_of(found: dict[str, Any]) -> Iterator[str]:
    if found["type"] == "lens":
        yield from (column["sourceField"] for column in columns_of(found).values() if column["sourceField"] != RECORDS)
    if found["type"] == "search":
        yield from found["attributes"]["columns"]
        yield from (name for name, _ in found["attributes"]["sort"])


def test_there_are_a_view_the_searches_charts_and_one_dashboard() -> None:
    assert len(OBJECTS) == len(FILE.read_text().splitlines())
    titles = {found["attributes"]["title"].removeprefix("GPU rescue: ") for found in of_type("search")}
    assert titles == {"Faults", "Rescues", "Failed", "Held", "Skipped", "By node"}
    assert [len(of_type(kind)) for kind in ("index-pattern", "dashboard")] == [1, 1]
    assert {found["type"] for found in OBJECTS.values()} == {"index-pattern", "search", "lens", "dashboard"}


@pytest.mark.parametrize("name", OBJECTS)
def test_each_object_has_the_parts_that_an_import_needs(name: str) -> None:
    found = OBJECTS[name]
    assert set(found) == {
        "type",
        "id",
        "attributes",
        "references",
        "coreMigrationVersion",
        "typeMigrationVersion",
        "managed",
    }
    assert found["attributes"]["title"]
    assert [reference for reference in found["references"] if set(reference) != {"name", "type", "id"}] == []
    nested = [
        key for key in found["attributes"] if key.endswith("JSON") or key in ("fields", "fieldFormatMap", "typeMeta")
    ]
    assert [json.loads(found["attributes"][key]) is None for key in nested] == [False] * len(nested)


@pytest.mark.parametrize("name", OBJECTS)
def test_each_reference_leads_to_an_object_and_each_name_to_a_reference(name: str) -> None:
    found = OBJECTS[name]
    assert [ref for ref in found["references"] if f"{ref['type']}:{ref['id']}" not in OBJECTS] == []
    named = {reference["name"] for reference in found["references"]}
    if found["type"] == "search":
        assert named == {source(found)["indexRefName"]}
    if found["type"] == "lens":
        layers = found["attributes"]["state"]["datasourceStates"]["formBased"]["layers"]
        assert named == {f"indexpattern-datasource-layer-{layer}" for layer in layers}
    if found["type"] == "dashboard":
        panels = json.loads(found["attributes"]["panelsJSON"])
        assert named == {f"{panel['panelIndex']}:{panel['panelRefName']}" for panel in panels}
        assert [panel for panel in panels if panel["panelIndex"] != panel["gridData"]["i"]] == []


@pytest.mark.parametrize("name", CHARTS)
def test_each_chart_draws_the_columns_that_it_has(name: str) -> None:
    chart = OBJECTS[name]["attributes"]["state"]
    (layer,) = chart["datasourceStates"]["formBased"]["layers"].values()
    assert sorted(layer["columnOrder"]) == sorted(layer["columns"])
    drawn = json.dumps(chart["visualization"])
    assert [column for column in layer["columns"] if f'"{column}"' not in drawn] == []
    sorting = [
        column["params"]["orderBy"]["columnId"]
        for column in layer["columns"].values()
        if column["operationType"] == "terms"
    ]
    assert [column for column in sorting if column not in layer["columns"]] == []


def test_the_panels_of_the_dashboard_lie_beside_each_other() -> None:
    (dashboard,) = of_type("dashboard")
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(dashboard["attributes"]["panelsJSON"]):
        grid = panel["gridData"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert grid["x"] + grid["w"] <= 48
        assert not cells & taken
        taken |= cells


def test_the_view_is_of_the_stream_that_records_go_to() -> None:
    (view,) = of_type("index-pattern")
    stream = ElasticsearchSinkConfig.model_fields["data_stream"].default
    assert view["attributes"]["title"].replace("*", "default") == stream
    assert view["attributes"]["timeFieldName"] == "@timestamp"


async def _no_pause(_: timedelta) -> None:
    """Nobody watches."""


async def _run(config: ElasticsearchSinkConfig) -> None:
    """The embedded pipeline over the sample log, its records into Elasticsearch."""
    await install(config)
    written = json.dumps([json.loads(config.model_dump_json(exclude_defaults=True))])
    settings = read_settings(shipped() / "pipeline.yaml", [f"sinks={written}"], {})
    async with AsyncExitStack() as stack:
        app = build(settings, _no_pause, lambda _: None, stack)
        await app.loop.run()


@pytest.fixture(scope="module")
def records(elasticsearch: Elasticsearch, tmp_path_factory: pytest.TempPathFactory) -> ElasticsearchSinkConfig:
    """A stream with the records of the sample log."""
    config = sink_config(elasticsearch, tmp_path_factory.mktemp("records"))
    asyncio.run(_run(config))
    return config


async def ask(config: ElasticsearchSinkConfig, path: str, body: dict[str, Any]) -> Any:
    sink = ElasticsearchSink(config)
    try:
        client = sink._connection.client()
        await client.indices.refresh(index=config.data_stream)
        headers = {"accept": "application/json", "content-type": "application/json"}
        return (await client.perform_request("POST", f"/{config.data_stream}/{path}", headers=headers, body=body)).body
    finally:
        await sink.close()


def as_kibana_asks(query: dict[str, str]) -> dict[str, Any]:
    """What Kibana makes of a query in Lucene's language: no words of it mean everything."""
    assert query["language"] == "lucene"
    if not query["query"]:
        return {"match_all": {}}
    return {"query_string": {"query": query["query"], "analyze_wildcard": True, "time_zone": "UTC"}}


FOUND = {
    "search:gpu-rescue-faults": {"fault-detected", "fault-joined", "fault-repeated"},
    "search:gpu-rescue-rescues": {
        "rescue-planned",
        "rescue-held",
        "rescue-escalated",
        "rescue-succeeded",
        "rescue-failed",
        "rescue-cancelled",
    },
    "search:gpu-rescue-failed": {"rescue-failed", "step-failed"},
    "search:gpu-rescue-held": {"rescue-held"},
    "search:gpu-rescue-skipped": {"fault-skipped"},
    "search:gpu-rescue-by-node": None,
    "lens:gpu-rescue-faults-over-time": {"fault-detected"},
    "lens:gpu-rescue-outcomes": {"rescue-succeeded", "rescue-failed", "rescue-cancelled"},
    "lens:gpu-rescue-nodes": {"fault-detected"},
    "lens:gpu-rescue-skips": {"fault-skipped"},
    "dashboard:gpu-rescue": None,
}
"""The event actions that each object is about; None: all."""


@pytest.mark.parametrize("name", FOUND)
async def test_each_query_finds_all_that_it_is_about_and_nothing_else(
    name: str, records: ElasticsearchSinkConfig
) -> None:
    everything = await ask(records, "_search", {"size": 1000})
    found = await ask(records, "_search", {"size": 1000, "query": as_kibana_asks(query_of(OBJECTS[name]))})
    wanted = {
        hit["_id"]
        for hit in everything["hits"]["hits"]
        if FOUND[name] is None or hit["_source"]["event"]["action"] in (FOUND[name] or ())
    }
    assert wanted
    assert {hit["_id"] for hit in found["hits"]["hits"]} == wanted


def test_no_query_is_left_out() -> None:
    assert {name for name in OBJECTS if not name.startswith("index-pattern:")} == set(FOUND)


@pytest.mark.parametrize("name", [*SEARCHES, *CHARTS])
async def test_each_field_is_there_to_be_shown_or_counted(name: str, records: ElasticsearchSinkConfig) -> None:
    known = (await ask(records, "_field_caps?fields=*", {}))["fields"]
    fields = list(fields_of(OBJECTS[name]))
    assert [field for field in fields if field not in known] == []
    counted = fields if name.startswith("lens:") else [field for field, _ in OBJECTS[name]["attributes"]["sort"]]
    assert [field for field in counted if not all(caps["aggregatable"] for caps in known[field].values())] == []


@pytest.mark.parametrize("name", CHARTS)
async def test_each_chart_has_something_to_draw(name: str, records: ElasticsearchSinkConfig) -> None:
    buckets = {
        column: {"date_histogram": {"field": told["sourceField"], "fixed_interval": "1h", "min_doc_count": 1}}
        if told["operationType"] == "date_histogram"
        else {"terms": {"field": told["sourceField"], "size": told["params"]["size"]}}
        for column, told in columns_of(OBJECTS[name]).items()
        if told["isBucketed"]
    }
    assert buckets
    query = as_kibana_asks(query_of(OBJECTS[name]))
    answer = await ask(records, "_search", {"size": 0, "query": query, "aggs": buckets})
    assert [column for column in buckets if not answer["aggregations"][column]["buckets"]] == []


@pytest.mark.parametrize("name", SEARCHES)
async def test_each_search_can_be_sorted_as_it_wants(name: str, records: ElasticsearchSinkConfig) -> None:
    sort = [{field: order} for field, order in OBJECTS[name]["attributes"]["sort"]]
    query = as_kibana_asks(query_of(OBJECTS[name]))
    answer = await ask(records, "_search", {"query": query, "sort": sort, "size": 5})
    assert answer["hits"]["hits"]


def test_the_documented_command_imports_the_file_that_there_is() -> None:
    root = Path(__file__).parents[3]
    readme = (root / "config/kibana/README.md").read_text()
    (path,) = {word.removeprefix("file=@") for word in readme.split() if word.startswith("file=@")}
    assert (root / path).samefile(FILE)
    assert "/api/saved_objects/_import?overwrite=true" in readme
