"""What is put in place: a field for each of the record's schema, and a life cycle where the server has any."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

import orjson
import pytest
from elastic_transport import ApiResponseMeta, HttpHeaders, NodeConfig, ObjectApiResponse
from elasticsearch import ApiError, AsyncElasticsearch

from pipeline.settings import shipped
from sinks.base import SinkError
from sinks.elasticsearch.config import ElasticsearchSinkConfig
from sinks.elasticsearch.connection import Connection
from sinks.elasticsearch.install import LIFECYCLE, TEMPLATE, install
from sinks.schema import record_schema

FOLDER = shipped() / "elasticsearch"
STREAM = ElasticsearchSinkConfig.model_fields["data_stream"].default
SCHEMA = record_schema()


def load(name: str) -> Any:
    return orjson.loads((FOLDER / name).read_bytes())


def resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in part:
        return part
    return {**SCHEMA["$defs"][part["$ref"].rpartition("/")[2]], **part}


def of_schema(part: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every field of the schema that holds a value, by its path; an array's are those of its items."""
    part = resolved(part)
    if part.get("type") == "array":
        yield from of_schema(part["items"], path)
    elif part.get("properties"):
        for name, child in part["properties"].items():
            yield from of_schema(child, f"{path}.{name}" if path else name)
    else:
        yield path, part


def of_mapping(part: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, child in part["properties"].items():
        place = f"{path}.{name}" if path else name
        if "properties" in child:
            yield from of_mapping(child, place)
        else:
            yield place, child


FIELDS = dict(of_schema(SCHEMA))
MAPPING = dict(of_mapping(load("component-mappings.json")["template"]["mappings"]))


def fitting(field: Mapping[str, Any]) -> tuple[str, ...]:
    """The types of Elasticsearch that can hold a field of the schema."""
    if field.get("pattern", "").startswith("^[0-9]{4}-[0-9]{2}-[0-9]{2}T"):
        return ("date",)
    if "const" in field:
        return ("long",) if isinstance(field["const"], int) else ("keyword",)
    if "enum" in field:
        return ("keyword",)
    types = {
        "object": ("flattened",),
        "integer": ("long",),
        "boolean": ("boolean",),
        "string": ("keyword", "text"),
    }
    return types[field["type"]]


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_of_the_schema_has_a_mapping_that_can_hold_it(name: str) -> None:
    assert name in MAPPING, f"add {name} to config/elasticsearch/component-mappings.json"
    assert MAPPING[name]["type"] in fitting(FIELDS[name])


def test_no_text_is_too_long_for_its_field() -> None:
    # Lucene refuses a term of more than 32,766 bytes, and with it the document; a character has up to four.
    limits = [field["ignore_above"] for field in MAPPING.values() if field["type"] in ("keyword", "flattened")]
    assert max(limits) * 4 < 32_766


def test_the_default_stream_is_one_that_the_template_is_for() -> None:
    assert STREAM in {pattern.replace("*", "default") for pattern in load("index-template.json")["index_patterns"]}


def test_the_life_cycle_is_that_of_the_policy_and_never_deletes_before_it_rolls_over() -> None:
    assert load("component-lifecycle.json")["template"]["settings"]["index"]["lifecycle"]["name"] == TEMPLATE
    phases = load("lifecycle-policy.json")["policy"]["phases"]
    assert phases["hot"]["actions"]["rollover"]
    assert phases["delete"]["min_age"] == "730d"
    template = load("index-template.json")
    assert LIFECYCLE in template["composed_of"]
    assert LIFECYCLE in template["ignore_missing_component_templates"]


class Server(Connection):
    """A server that takes what is put, and has life cycles or not."""

    def __init__(self, life_cycles: bool) -> None:
        super().__init__(ElasticsearchSinkConfig(type="elasticsearch", hosts=["http://es:9200"]))
        self.indices = self
        self.life_cycles = life_cycles
        self.put: dict[str, Any] = {}

    def client(self) -> AsyncElasticsearch:
        return cast(AsyncElasticsearch, self)

    async def resolve_index(self, name: str) -> ObjectApiResponse[Any]:
        raise self._error(404, {"type": "index_not_found_exception", "reason": name})

    async def create_data_stream(self, name: str) -> None:
        self.put[name] = {}

    async def perform_request(self, method: str, path: str, **given: Any) -> ObjectApiResponse[Any]:
        if path.startswith("/_ilm") and not self.life_cycles:
            raise self._error(400, f"no handler found for uri [{path}] and method [{method}]")
        if method == "PUT":
            self.put[path] = given["body"]
        elif path not in self.put:
            raise self._error(404, {"type": "resource_not_found_exception", "reason": path})
        return ObjectApiResponse({"found": self.put[path], "modified_date": len(self.put)}, self._meta(200))

    def _meta(self, status: int) -> ApiResponseMeta:
        return ApiResponseMeta(status, "1.1", HttpHeaders(), 0.0, NodeConfig("http", "es", 9200))

    def _error(self, status: int, told: Any) -> ApiError:
        return ApiError("", self._meta(status), {"error": told})


async def told(server: Server, stream: str = STREAM) -> list[str]:
    return [line async for line in install(server, stream, FOLDER)]


async def test_a_server_with_life_cycles_gets_the_policy_before_what_names_it() -> None:
    server = Server(life_cycles=True)
    lines = await told(server)
    assert list(server.put) == [
        "/_ilm/policy/gpu-rescue-records",
        "/_component_template/gpu-rescue-records@mappings",
        "/_component_template/gpu-rescue-records@settings",
        "/_component_template/gpu-rescue-records@lifecycle",
        "/_index_template/gpu-rescue-records",
        STREAM,
    ]
    assert all(line.endswith(": created") for line in lines), lines
    assert {line.partition(": ")[2] for line in (await told(server))[:-1]} == {"as it was"}


async def test_a_server_without_life_cycles_gets_nothing_that_names_one() -> None:
    server = Server(life_cycles=False)
    lines = await told(server)
    assert [path for path in server.put if "ilm" in path or "lifecycle" in path] == []
    assert lines[0] == "lifecycle policy gpu-rescue-records: left out: this server has no life cycles"


async def test_a_stream_that_the_template_is_not_for_is_refused_before_anything_is_put() -> None:
    server = Server(life_cycles=True)
    with pytest.raises(SinkError, match=r"for data streams of the name logs-gpu_rescue.records-\*, and not for mine"):
        await told(server, "mine")
    assert server.put == {}


def test_the_documents_name_the_files_that_there_are() -> None:
    readme = (FOLDER / "README.md").read_text()
    assert [file.name for file in FOLDER.glob("*.json") if f"`{file.name}`" not in readme] == []
