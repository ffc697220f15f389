"""The pipeline as it is deployed on Kubernetes: processes of the installed command over a real API server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from tests.services.kube.waiting import until
from tests.services.ports import free_port

_COMMAND = Path(sys.executable).with_name("gpu-rescue")
_LIMIT = 20
_READY_LIMIT = 90.0
"""Seconds: on a machine with much else to do a process needs long to begin."""
FAULT = "NVRM: Xid (PCI:0000:3b:00): 79, pid=1, name=python3, GPU has fallen off the bus."


def whole(waittime: str = "30s") -> list[Mapping[str, Any]]:
    """Return the actions of a whole rescue. A drain looks again after ten seconds, or its *waittime*."""
    reboot = {"name": "reboot", "attribute": {"unCordon": "true"}}
    return [{"name": "cordon"}, {"name": "drain", "attribute": {"waittime": waittime}}, reboot]


class KubeReplica:
    """A place of one replica: its settings, what it keeps there over its lives, and the process that lives now.

    It reads standard input as what happens now, and leads its lease under the name of its folder.
    """

    def __init__(self, folder: Path, kubeconfig: Path, namespace: str, **settings: Any) -> None:
        """*settings* are top-level ones of the configuration, instead of ours."""
        folder.mkdir()
        self.folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        written = {**_settings(kubeconfig, namespace, self._port), **settings}
        (folder / "pipeline.yaml").write_text(json.dumps(written))

    @property
    def name(self) -> str:
        """What its lease calls it, before something random."""
        return self.folder.name

    def start(self) -> None:
        """Begin a life."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GPU_RESCUE_")}
        with (self.folder / "errors").open("ab") as errors:
            self._process = subprocess.Popen(
                [_COMMAND, "run", "-c", "pipeline.yaml"],
                cwd=self.folder,
                env={**clean, "POD_NAME": self.name},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )

    def tell(self, *lines: str) -> None:
        """Write lines to its standard input."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self._process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL; nothing to do where none lives."""
        if self._process is not None:
            self._process.kill()
            self._wait()

    def stop(self) -> int:
        """Let it end in order, and return the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._wait()

    def alive(self) -> bool:
        """Tell whether the process has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    async def ready(self) -> None:
        """Return when it says that it is ready; fail when it ends instead."""
        async with aiohttp.ClientSession() as session:

            async def so() -> bool:
                assert self.alive(), self.errors
                try:
                    async with session.get(f"http://127.0.0.1:{self._port}/readyz") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await until(so, _READY_LIMIT)

    @property
    def errors(self) -> str:
        """What all its lives have said."""
        return (self.folder / "errors").read_text()

    @property
    def records(self) -> list[Any]:
        """The records that it has written; what is being written at the end is none yet."""
        path = self.folder / "records.ndjson"
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []

    def _wait(self) -> int:
        assert self._process is not None
        if self._process.stdin is not None:
            self._process.stdin.close()
        code, self._process = self._process.wait(_LIMIT), None
        return code


@contextmanager
def running(*replicas: KubeReplica) -> Iterator[None]:
    """Replicas that are started, and that have no process left at the end."""
    try:
        for one in replicas:
            one.start()
        yield
    finally:
        for one in replicas:
            one.kill()


def fault(node: str, text: str = FAULT) -> str:
    """Return the line of a fault on a node, of this moment: told again, it is the same line."""
    return json.dumps({"@timestamp": datetime.now(UTC).isoformat(), "hostname": node, "msg": text})


def policy(name: str, actions: Sequence[Mapping[str, Any]], code: str = "79") -> str:
    """Return a RescuePolicy for the nodes that have the label `test=NAME`; it wins over whatever others want."""
    selector = {"operator": "all", "labels": {"test": name}}
    rule = {"priority": 1000, "errorCode": [code], "nodeSelector": selector, "actions": actions}
    head = {"apiVersion": "rescue.ksyun.com/v1", "kind": "RescuePolicy", "metadata": {"name": name}}
    return json.dumps({**head, "spec": {"rules": [rule]}})


def _settings(kubeconfig: Path, namespace: str, port: int) -> dict[str, Any]:
    """Every guard is wide open: what is looked for is what is lost or done twice."""
    return {
        "sources": [{"type": "stdin", "follow": True}],
        "cluster": {
            "type": "kubernetes",
            "kubeconfig": str(kubeconfig),
            "namespace": namespace,
            "request_timeout": "3s",
        },
        "store": {"type": "kubernetes"},
        "lease": {"duration": "6s", "renew_deadline": "3s", "retry_period": "0.5s"},
        "rebooter": {"type": "pod", "image": "busybox", "namespace": namespace},
        "guards": {"max_nodes": 10_000, "max_percent": 100, "fabric": {"labels": []}},
        "execute": {"settle": "0s", "hold_poll": "1s", "retry_first": "0.5s", "retry_longest": "2s"},
        "sinks": [{"type": "file", "path": "records.ndjson"}],
        "api": {"listen": f"127.0.0.1:{port}"},
    }
