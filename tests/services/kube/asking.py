"""Whether the servers are ready, and what only etcd itself can be asked for."""

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

LIMIT = 5.0


def ready(url: str, authority: Path, token: str) -> bool:
    """Tell whether a server that made its own certificate, *authority*, answers that it is ready or healthy."""
    try:
        trusted = ssl.create_default_context(cafile=authority)
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=LIMIT, context=trusted) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refused:
        refused.close()
        return False
    except OSError:
        # The certificate is not there yet, or nobody listens.
        return False


def compact(etcd: Path) -> int:
    """Let etcd forget all but the newest state, and return its revision: who watches from an earlier one gets 410."""
    revision = int(_asked(etcd, "/v3/kv/range", {"key": "AA=="})["header"]["revision"])
    _asked(etcd, "/v3/kv/compaction", {"revision": revision, "physical": True})
    return revision


def _asked(etcd: Path, path: str, body: dict[str, Any]) -> dict[str, Any]:
    connection = http.client.HTTPConnection("localhost", timeout=LIMIT)
    connection.sock = socket.socket(socket.AF_UNIX)
    try:
        connection.sock.settimeout(LIMIT)
        connection.sock.connect(str(etcd))
        connection.request("POST", path, json.dumps(body))
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"etcd answers {path} with {answer.status}: {text}")
    found: dict[str, Any] = json.loads(text)
    return found
