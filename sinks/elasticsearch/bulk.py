"""Takes records into a data stream by bulk requests, and finds out of each what became of it."""

import asyncio
import random
from collections.abc import Sequence

from elasticsearch import ApiError, UnsupportedProductError

from sinks.base import SinkError
from sinks.elasticsearch.connection import RETRY_AFTER, Connection
from sinks.elasticsearch.deadletters import DeadLetters
from sinks.elasticsearch.operations import Operation
from sinks.elasticsearch.outcomes import Answer, Verdict, answers, as_answer

_TOLD = ",".join(
    f"items.create.{field}"
    for field in ("status", "failure_store", "error.type", "error.reason", "error.caused_by.reason")
)
_TOO_LARGE = 413
_FIRST_PAUSE = 0.1
_INSTALL = "`gpu-rescue install elasticsearch` puts in place what is missing"


class Bulk:
    """Makes requests; those that find the server busy are made again, with the records that it did not take."""

    def __init__(self, connection: Connection, stream: str, letters: DeadLetters, retry: float) -> None:
        """*retry* is for how many seconds a busy server is asked again."""
        self._connection = connection
        self._stream = stream
        self._letters = letters
        self._retry = retry

    async def send(self, operations: Sequence[Operation]) -> list[SinkError | None]:
        """Return for each operation None if its record is safe, there or among the dead letters, else why not."""
        errors: dict[int, SinkError | None] = {}
        left = list(range(len(operations)))
        clock, pause = asyncio.get_running_loop().time, _FIRST_PAUSE
        deadline = clock() + self._retry
        while True:
            told = await self._ask([operations[index] for index in left])
            errors |= await self._settled(operations, dict(zip(left, told, strict=True)))
            left = [index for index, answer in zip(left, told, strict=True) if _again(answer)]
            if not left or clock() + pause > deadline:
                return [errors[index] for index in range(len(operations))]
            # Many clients may have been sent away at once: they should not all come back at the same moment.
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))
            pause *= 2

    async def _settled(
        self, operations: Sequence[Operation], told: dict[int, Answer | SinkError]
    ) -> dict[int, SinkError | None]:
        found = {
            index: answer if isinstance(answer, SinkError) else self._unsafe(answer) for index, answer in told.items()
        }
        refused = [
            (operations[index].record, answer)
            for index, answer in told.items()
            if isinstance(answer, Answer) and answer.verdict is Verdict.REFUSED
        ]
        if refused:
            try:
                await self._letters.put(refused)
            except SinkError as error:
                ids = {record.id for record, _ in refused}
                found |= {index: error for index in told if operations[index].record.id in ids}
        return found

    def _unsafe(self, answer: Answer) -> SinkError | None:
        if answer.verdict in (Verdict.SAFE, Verdict.REFUSED):
            return None
        if answer.kind == "index_not_found_exception":
            return SinkError(f"{self._connection.name} has no data stream {self._stream}: {_INSTALL}", RETRY_AFTER)
        if answer.kind == "resource_not_found_exception":
            text = f"{self._connection.name} has {self._stream}, but not as a data stream: {answer.told}"
            return SinkError(text, RETRY_AFTER)
        return self._connection.error(answer)

    async def _ask(self, operations: Sequence[Operation]) -> list[Answer | SinkError]:
        """Make one request, or two smaller ones where it is too large, until the culprit stands alone."""
        try:
            with self._connection.speaking():
                try:
                    return list(await self._request(operations))
                except UnsupportedProductError:
                    raise
                except ApiError as error:
                    whole = as_answer(error)
        except SinkError as error:
            return [error] * len(operations)
        if whole.status == _TOO_LARGE and len(operations) > 1:
            middle = len(operations) // 2
            return await self._ask(operations[:middle]) + await self._ask(operations[middle:])
        if whole.status == _TOO_LARGE or whole.verdict is Verdict.BUSY:
            return [whole] * len(operations)
        # Whatever else the error of a whole request is, no document is to blame for it, and it makes none safe.
        return [self._connection.error(whole)] * len(operations)

    async def _request(self, operations: Sequence[Operation]) -> list[Answer]:
        # Without `require_data_stream`, a server that has no template for the stream would make an index of its name.
        response = await self._connection.client().perform_request(
            "POST",
            f"/{self._stream}/_bulk",
            params={"require_data_stream": "true", "filter_path": _TOLD},
            headers={"accept": "application/json", "content-type": "application/x-ndjson"},
            body=b"".join(operation.lines for operation in operations),
        )
        found = answers(response.body)
        if len(found) != len(operations):
            raise SinkError(
                f"{self._connection.name} answers for {len(found)} records of {len(operations)}", RETRY_AFTER
            )
        return found


def _again(answer: Answer | SinkError) -> bool:
    return isinstance(answer, Answer) and answer.verdict is Verdict.BUSY
