"""Writer and server are killed under load: every record that was called safe is there, once, and in order."""

import asyncio
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

from sinks.elasticsearch import ElasticsearchSink, ElasticsearchSinkConfig
from tests.fakes.elasticsearch import install, sink_config
from tests.services.elasticsearch.node import Elasticsearch

ROOT = Path(__file__).parents[3]
LIVES = 8
PAGE = 5000
SERVER_DIES_IN, SERVER_IS_BACK_AFTER = 2, 5


class Writer:
    """One life of the writing process."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.writing", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout
        self.output = self.process.stdout

    def live(self, seconds: float) -> int:
        """Let it write for so long after its first record is safe, kill it, and return the last one it called safe."""
        first = self.output.readline()
        time.sleep(seconds)
        self.process.kill()
        told = [first, *self.output.readlines()]
        self.process.wait()
        self.output.close()
        # The last line may be half a number.
        return int([line for line in told if line.endswith("\n")][-1])

    def end(self) -> None:
        """Let it come to its end."""
        self.process.communicate(timeout=120)
        assert self.process.returncode == 0


async def test_what_was_called_safe_is_there_once_and_in_order(
    own_elasticsearch: Elasticsearch, tmp_path: Path
) -> None:
    config = sink_config(own_elasticsearch, tmp_path)
    await install(config)
    last, back = await asyncio.to_thread(_lives, own_elasticsearch, config.data_stream, tmp_path)
    await asyncio.to_thread(back.join)
    end = Writer(own_elasticsearch.url, config.data_stream, str(tmp_path), str(last + 1), str(last + 50))
    await asyncio.to_thread(end.end)

    written = await _in_the_order_of_writing(config)
    assert len(written) == len(set(written))
    assert written == sorted(written)
    assert set(range(last + 50)) <= set(written)
    assert not (tmp_path / "refused").exists()


async def _in_the_order_of_writing(config: ElasticsearchSinkConfig) -> list[int]:
    sink = ElasticsearchSink(config)
    client = sink._connection.client()
    await client.indices.refresh(index=config.data_stream)
    written: list[int] = []
    after = None
    while True:
        page = await client.search(index=config.data_stream, sort=[{"_seq_no": "asc"}], size=PAGE, search_after=after)
        hits = page["hits"]["hits"]
        written += [hit["_source"]["event"]["sequence"] for hit in hits]
        if len(hits) < PAGE:
            await sink.close()
            return written
        after = hits[-1]["sort"]


def _die_soon(node: Elasticsearch) -> None:
    time.sleep(1)
    node.kill()


def _lives(node: Elasticsearch, stream: str, folder: Path) -> tuple[int, Thread]:
    """Run the writer through its lives, the server dying and coming back meanwhile; return the last safe record."""
    last, back = -1, Thread(target=node.start)
    chance, spooled = random.Random(7), False
    for life in range(LIVES):
        writer = Writer(node.url, stream, str(folder), str(last + 1))
        if life == SERVER_DIES_IN:
            Thread(target=_die_soon, args=(node,)).start()
        if life == SERVER_IS_BACK_AFTER:
            back.start()
        last = writer.live(chance.uniform(0.3, 1.5))
        spooled = spooled or bool(list((folder / "spool").glob("*.ndjson")))
    assert spooled
    return last, back
