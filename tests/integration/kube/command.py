"""The command line on a cluster, in a process of its own as people have it."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.services.kube.waiting import until

LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def configuration(folder: Path, kubeconfig: Path, namespace: str) -> Path:
    """Write the configuration of a pipeline on Kubernetes that reads its standard input."""
    path = folder / "pipeline.yaml"
    written = {
        "sources": [{"type": "stdin", "follow": True, "node": "a"}],
        "cluster": {"type": "kubernetes", "kubeconfig": str(kubeconfig), "namespace": namespace},
        "store": {"type": "kubernetes"},
        "api": {"listen": "127.0.0.1:0"},
        "sinks": [{"type": "file", "path": "records.ndjson"}],
    }
    path.write_text(json.dumps(written))
    return path


async def on_a_terminal(folder: Path, *words: str) -> str:
    """Run a command to its end whose standard output is a terminal, and return what stands there."""
    reader, writer = pty.openpty()
    arguments = ("-m", "pipeline.cli", *words)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=folder, stdout=writer)
    os.close(writer)
    shown = b""
    with suppress(OSError):
        # When nobody holds its other side any more, reading fails.
        while some := await asyncio.to_thread(os.read, reader, 65536):
            shown += some
    os.close(reader)
    assert await asyncio.wait_for(process.wait(), LIMIT) == 0
    return shown.decode()


async def command(folder: Path, *words: str) -> Ended:
    """Run a command to its end."""
    process = await _started(folder, *words)
    out, err = await asyncio.wait_for(process.communicate(), LIMIT)
    return Ended(process.returncode or 0, out.decode(), err.decode())


@dataclass(slots=True)
class Running:
    """A `run` under way: what it has logged so far, and what it says of itself over HTTP."""

    process: asyncio.subprocess.Process
    logged: list[dict[str, Any]] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    async def told(self, path: str) -> str:
        """Return what is served at *path*, once it serves."""
        await until(self._serves, LIMIT)
        url = next(each["url"] for each in self.logged if each["event"] == "api.listening")
        async with aiohttp.ClientSession() as session, session.get(f"{url}{path}") as response:
            return await response.text()

    async def comes_to(self, *words: str) -> None:
        """Return when /readyz says all of these."""
        said = ""

        async def says() -> bool:
            nonlocal said
            said = await self.told("/readyz")
            return all(each in said for each in words)

        try:
            await until(says, LIMIT)
        except TimeoutError as error:
            raise AssertionError(f"/readyz says {said!r}, and not {words!r}") from error

    async def listen(self) -> None:
        """Take in what it logs, to the end."""
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            try:
                self.logged.append(json.loads(line))
            except ValueError:
                self.printed.append(line.decode())

    async def _serves(self) -> bool:
        return any(each["event"] == "api.listening" for each in self.logged)


@asynccontextmanager
async def running(folder: Path, config: Path) -> AsyncIterator[Running]:
    """Run the pipeline, and tell it to stop at the end; it must stop in good order."""
    run = Running(await _started(folder, "run", "-c", str(config)))
    listening = asyncio.create_task(run.listen())
    try:
        yield run
        run.process.terminate()
        async with asyncio.timeout(LIMIT):
            assert await run.process.wait() == 0
            await listening
        assert run.printed == []
    finally:
        listening.cancel()
        if run.process.returncode is None:
            run.process.kill()
            await run.process.wait()


async def _started(folder: Path, *words: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    arguments = ("-m", "pipeline.cli", *words)
    # Standard input stays open, and empty.
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe
    )
