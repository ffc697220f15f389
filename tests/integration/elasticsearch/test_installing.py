"""What is put in place on a real server, again and after changes."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from pipeline.settings import shipped
from sinks.base import SinkError
from sinks.elasticsearch import ElasticsearchSink
from sinks.elasticsearch.install import MAPPINGS, TEMPLATE
from tests.fakes.elasticsearch import install, new_stream, sink_config
from tests.integration.elasticsearch.test_outcomes import ids, record
from tests.services.elasticsearch.node import Elasticsearch

ROOT = Path(__file__).parents[3]


def of(lines: list[str]) -> dict[str, str]:
    """What was told of each kind of thing."""
    return {line.partition(": ")[0].rpartition(" ")[0]: line.partition(": ")[2] for line in lines}


async def body_of(sink: ElasticsearchSink, path: str) -> Any:
    headers = {"accept": "application/json"}
    return (await sink._connection.client().perform_request("GET", path, headers=headers)).body


async def test_a_second_time_changes_nothing_and_says_so(elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    config = sink_config(elasticsearch, tmp_path)
    first = await install(config)
    assert "will be made by the first record" in first[-1]
    sink = ElasticsearchSink(config)
    await sink.write([record(1)])
    paths = [f"/_component_template/{MAPPINGS}", f"/_index_template/{TEMPLATE}", f"/{config.data_stream}/_mapping"]
    before = [await body_of(sink, path) for path in paths]
    second = of(await install(config))
    assert second.pop("lifecycle policy") == "left out: this server has no life cycles"
    assert second == {"component template": "as it was", "index template": "as it was", "data stream": "as it was"}
    after = [await body_of(sink, path) for path in paths]
    assert [_timeless(body) for body in after] == [_timeless(body) for body in before]
    await sink.close()


def _timeless(body: Any) -> str:
    return "".join(
        line for line in orjson.dumps(body, option=orjson.OPT_INDENT_2).decode().split("\n") if "millis" not in line
    )


async def test_the_stream_is_as_the_files_say(elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    config = sink_config(elasticsearch, tmp_path)
    await install(config)
    sink = ElasticsearchSink(config)
    await sink.write([record(1)])
    (index,) = (await body_of(sink, f"/{config.data_stream}")).values()
    wanted = orjson.loads((shipped() / "elasticsearch" / "component-mappings.json").read_bytes())["template"][
        "mappings"
    ]
    assert str(index["mappings"]["dynamic"]) == "false"
    assert set(index["mappings"]["properties"]) == set(wanted["properties"])
    assert index["settings"]["index"]["mode"] == "standard"
    assert index["settings"]["index"]["mapping"]["ignore_malformed"] == "true"
    await sink.close()


def changed(tmp_path: Path, name: str, field: str, mapping: dict[str, Any]) -> Path:
    """The shipped files, with a field of `event` that is another one."""
    folder = tmp_path / name
    folder.mkdir()
    for file in (shipped() / "elasticsearch").glob("*.json"):
        body = orjson.loads(file.read_bytes())
        if file.name == "component-mappings.json":
            body["template"]["mappings"]["properties"]["event"]["properties"][field] = mapping
        (folder / file.name).write_bytes(orjson.dumps(body))
    return folder


async def test_after_an_upgrade_new_fields_are_found_and_changed_ones_begin_a_new_index(
    elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    config = sink_config(elasticsearch, tmp_path)
    await install(config)
    sink = ElasticsearchSink(config)
    await sink.write([record(1)])
    try:
        new = changed(tmp_path, "new", "url", {"type": "keyword"})
        told = of([line async for line in sink.install(new)])
        assert (told["index template"], told["data stream"]) == ("as it was", "new fields are mapped")
        other = changed(tmp_path, "other", "sequence", {"type": "keyword"})
        told = of([line async for line in sink.install(other)])
        assert told["data stream"].startswith("rolled over, since its mapping is another one: illegal_argument")
    finally:
        # Others use the server too.
        await install(sink_config(elasticsearch, tmp_path))
    await sink.write([record(2)])
    assert await ids(sink) == ["r/1", "r/2"]
    await sink.close()


async def test_a_template_of_somebody_else_that_lacks_our_fields_is_told_and_put_right(
    elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    config = sink_config(elasticsearch, tmp_path)
    sink = ElasticsearchSink(config)
    indices = sink._connection.client().indices
    await indices.put_index_template(
        name=config.data_stream,
        index_patterns=config.data_stream,
        priority=900,
        data_stream={},
        template={"mappings": {"properties": {"message": {"type": "text"}}}},
    )
    with pytest.raises(SinkError, match=r"only a template without our fields .*`gpu-rescue install elasticsearch`"):
        await sink.reach()
    await sink.write([record(1)])
    with pytest.raises(SinkError, match=r"without our fields the data stream .*`gpu-rescue install elasticsearch`"):
        await sink.reach()
    await indices.delete_index_template(name=config.data_stream)
    await install(config)
    assert config.data_stream in await sink.reach()
    await sink.close()


async def test_an_index_of_the_stream_s_name_is_never_written_into(
    elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    config = sink_config(elasticsearch, tmp_path, data_stream=new_stream().replace("logs-", "plain-"))
    sink = ElasticsearchSink(config)
    await sink._connection.client().indices.create(index=config.data_stream)
    with pytest.raises(SinkError, match="as an index and not as a data stream"):
        await sink.reach()
    with pytest.raises(SinkError, match=f"has {config.data_stream}, but not as a data stream") as caught:
        await sink.write([record(1)])
    assert caught.value.retry_after
    await sink.close()


def command(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GPU_RESCUE_")}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def test_by_the_command_line_from_nothing_to_records(own_elasticsearch: Elasticsearch, tmp_path: Path) -> None:
    example = ROOT / "config/examples/kafka-elasticsearch.yaml"
    sinks = yaml.safe_load(example.read_text())["sinks"]
    sinks[0]["hosts"] = [own_elasticsearch.url]
    log = ROOT / "config/examples/kernel.log"
    options = ["-c", str(example), "--set", f"sinks={yaml.safe_dump(sinks, default_flow_style=True)}"]
    # The sample log, whatever the example reads; a replay begins anew each time.
    options += ["--set", f"sources=[{{type: file, path: {log}}}]"]
    options += ["--set", "store={type: memory}", "--set", "cluster.state=null"]

    code, _, err = command("check", "--online", *options, cwd=tmp_path)
    assert (code, "run `gpu-rescue install elasticsearch`" in err) == (1, True)
    code, _, err = command("run", *options, cwd=tmp_path)
    assert (code, "sink.away" in err and "gpu-rescue install elasticsearch" in err) == (0, True), err
    assert [*(tmp_path / sinks[0]["spool"]["path"]).glob("*.ndjson")], "records wait until it is installed"
    code, out, err = command("install", "elasticsearch", *options, cwd=tmp_path)
    assert (code, "index template gpu-rescue-records: created" in out) == (0, True), err
    code, out, err = command("check", "--online", *options, cwd=tmp_path)
    assert (code, "sinks.0 (elasticsearch): ok, Elasticsearch 9." in out) == (0, True), err
    code, out, err = command("run", *options, cwd=tmp_path)
    assert code == 0, err
    assert f"records: logs-gpu_rescue.records-default at {own_elasticsearch.url}" in out
    code, out, err = command("records", "--action", "rescue-failed", *options, cwd=tmp_path)
    assert (code, [orjson.loads(line)["host"]["name"] for line in out.splitlines()]) == (0, ["gpu-a100-03"])


def test_the_command_line_says_when_there_is_nothing_to_install_into(tmp_path: Path) -> None:
    code, _, err = command("install", "elasticsearch", cwd=tmp_path)
    assert (code, "no sink of the configuration is of type elasticsearch" in err) == (2, True)


def test_the_command_line_says_who_is_away(tmp_path: Path) -> None:
    options = ("--set", "sinks=[{type: elasticsearch, hosts: ['http://127.0.0.1:1']}]")
    code, _, err = command("install", "elasticsearch", *options, cwd=tmp_path)
    assert (code, "cannot be reached" in err) == (1, True)
