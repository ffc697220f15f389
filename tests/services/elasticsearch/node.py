"""A real node."""

import base64
import os
import shutil
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.services.artifacts import placed
from tests.services.certificates import Certificate
from tests.services.elasticsearch.artifact import ELASTICSEARCH
from tests.services.elasticsearch.configuration import User, settings, write
from tests.services.errors import MissingError, StartError
from tests.services.folders import barrier
from tests.services.java import find_java
from tests.services.ports import free_port
from tests.services.processes import Command, Launch, Process, leashed

JAVA = 21
NOBODY = 65534
"""The user it runs as where we are root: it refuses to run as root."""
MEMORY = "-Xms128m -Xmx512m -XX:-AlwaysPreTouch -XX:+UseSerialGC -XX:TieredStopAtLevel=1"
LAUNCHER = "org.elasticsearch.server.launcher.ServerLauncher"


class Elasticsearch:
    """A node in *folder*, which is empty or an earlier one's. As root, the folder must be one that all users may enter.

    With *users* it has security (basic authentication, API keys, roles), and then with a *certificate* TLS as well.
    *settings* are those of elasticsearch.yml beside ours.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: Sequence[User] = (),
        certificate: Certificate | None = None,
        settings: Mapping[str, str] | None = None,
        launch: Launch = leashed,
    ) -> None:
        if certificate and not users:
            raise ValueError("Elasticsearch has TLS only with security: name its users")
        self.folder = folder
        self.users = {user.name: user for user in users}
        self.certificate = certificate
        self.process: Process | None = None
        self._settings = dict(settings or {})
        self._launch = launch
        self._http, self._transport = free_port(), free_port()

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"{'https' if self.certificate else 'http'}://127.0.0.1:{self._http}"

    @property
    def addresses(self) -> dict[str, str]:
        """Its URL, by its scheme."""
        return {self.url.partition(":")[0]: self.url}

    def start(self) -> None:
        """Start it on its data and return when it answers with its indices in place. Raises as Server says."""
        if self.process is not None and self.process.running():
            return
        home, java = placed(ELASTICSEARCH), find_java(JAVA, "jlink")
        program = (*_as_somebody_else(self.folder, home, java), str(java / "bin" / "java"))
        self._configure(home)
        # What bin/elasticsearch does; the bundle lacks that script.
        launcher = ("-Xms4m", "-Xmx64m", "-XX:+UseSerialGC", "-cp", f"{home}/lib/tools/server-launcher/*", LAUNCHER)
        command = Command((*program, *launcher), home, self.folder / "log", self._environment(home, java))
        self.process = self._launch(command)
        self.process.wait_until(self._answers)

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.stop()
        self.process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
        self.process = None

    def _environment(self, home: Path, java: Path) -> dict[str, str]:
        return {
            "ES_HOME": str(home),
            "ES_JAVA_HOME": str(java),
            "ES_JAVA_OPTS": MEMORY,
            "ES_PATH_CONF": str(self.folder / "conf"),
            "ES_TMPDIR": str(self.folder / "tmp"),
            "ES_DISTRIBUTION_TYPE": "zip",
            "JAVA": str(java / "bin" / "java"),
            "JAVA_TYPE": "ES_JAVA_HOME",
            "HOME": str(self.folder),
        }

    def _configure(self, home: Path) -> None:
        for name in ("data", "logs", "tmp", "conf"):
            (self.folder / name).mkdir(exist_ok=True)
        users = list(self.users.values())
        own = self._own_certificate()
        found = settings(self.folder, self._http, self._transport, users, own) | self._settings
        write(home, self.folder / "conf", found, users)
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def _own_certificate(self) -> Certificate | None:
        """The certificate under the folder of configuration: the node reads no file elsewhere."""
        if self.certificate is None:
            return None
        given, folder = self.certificate, self.folder / "conf"
        authority, certificate, key = (
            Path(shutil.copy(path, folder)) for path in (given.authority, given.certificate, given.key)
        )
        return Certificate(authority, certificate, key)

    def _answers(self) -> bool:
        """Tell whether all primary shards are there; a node that is starting refuses, or knows fewer than it has."""
        request = urllib.request.Request(f"{self.url}/_cluster/health?wait_for_status=yellow&timeout=1s")
        for user in list(self.users.values())[:1]:
            login = base64.b64encode(f"{user.name}:{user.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {login}")
        trusted = ssl.create_default_context(cafile=self.certificate.authority) if self.certificate else None
        try:
            with urllib.request.urlopen(request, timeout=5, context=trusted) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.HTTPError):
            return False


def _as_somebody_else(*needed: Path) -> tuple[str, ...]:
    """What stands before the command so that root's node runs as a user who can get into the *needed* folders."""
    if os.geteuid() != 0:
        return ()
    for closed in filter(None, map(barrier, needed)):
        raise StartError(
            f"as root Elasticsearch runs as user {NOBODY}, who may not enter {closed}: choose another folder"
        )
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise MissingError("no setpriv on PATH, and Elasticsearch refuses to run as root (Debian: util-linux)")
    return (setpriv, f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
