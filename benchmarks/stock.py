"""What a team writes in an hour: faults from Kafka into Elasticsearch, a document for each; the others' plain loop.

Run with `python -m benchmarks.stock ADDRESS TOPIC GROUP URL INDEX`. It prints the host of each document that is safe.
"""

import asyncio
import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord
from elasticsearch import AsyncElasticsearch
from elasticsearch.helpers import async_bulk

_XID = re.compile(rb"NVRM: Xid \(PCI:([0-9a-f:.]+)\): (\d+)")


def _documents(messages: list[ConsumerRecord]) -> Iterator[dict[str, Any]]:
    for message in messages:
        found = _XID.search(message.value)
        if found:
            line = json.loads(message.value)
            yield {
                "_op_type": "create",
                "_id": f"{message.topic}-{message.partition}-{message.offset}",
                "@timestamp": line["@timestamp"],
                "host": {"name": line["host"]},
                "message": line["msg"],
                "gpu": {"pci": found[1].decode(), "xid": int(found[2])},
            }


async def _run(address: str, topic: str, group: str, url: str, index: str) -> None:
    """Commit only what is in Elasticsearch, as whoever must lose nothing."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=address,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    client = AsyncElasticsearch(url, request_timeout=60)
    await consumer.start()
    try:
        while True:
            fetched = await consumer.getmany(timeout_ms=1000)
            documents = [document for messages in fetched.values() for document in _documents(messages)]
            await async_bulk(client, documents, index=index)
            if fetched:
                await consumer.commit()
            for document in documents:
                print(document["host"]["name"], flush=document["host"]["name"].startswith("last"))
    finally:
        await consumer.stop()
        await client.close()


async def _until_stopped() -> None:
    task = asyncio.create_task(_run(*sys.argv[1:]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


if __name__ == "__main__":
    asyncio.run(_until_stopped())
