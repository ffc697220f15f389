"""A real broker."""

import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from tests.services.artifacts import placed
from tests.services.certificates import Certificate
from tests.services.errors import StartError
from tests.services.java import find_java
from tests.services.kafka.artifact import KAFKA
from tests.services.kafka.asking import answers
from tests.services.kafka.properties import User, listeners, properties
from tests.services.ports import free_port
from tests.services.processes import Command, Launch, Process, leashed

JAVA = 17
OPTIONS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
FORMAT_LIMIT = 120.0


class Kafka:
    """A broker in *folder*, which is empty or an earlier one's.

    It always has a plain listener whose clients may do all. With *users* it has SASL listeners as well, with a
    *certificate* TLS listeners; *settings* are properties beside ours.
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
        self.folder = folder
        self.users = {user.name: user for user in users}
        self.certificate = certificate
        self.process: Process | None = None
        self._settings = dict(settings or {})
        self._launch = launch
        self._ports = {name: free_port() for name in listeners(users, certificate)}

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each listener by its security protocol: PLAINTEXT, SASL_PLAINTEXT, SSL, SASL_SSL."""
        return {name: f"127.0.0.1:{port}" for name, port in self._ports.items() if name != "CONTROLLER"}

    @property
    def address(self) -> str:
        """The plain listener's `host:port`."""
        return self.addresses["PLAINTEXT"]

    def start(self) -> None:
        """Start it on its data and return when it takes requests. Raises as Server says."""
        # A second broker on a live folder damages it before it gives up.
        if self.process is not None and self.process.running():
            return
        libraries, java = placed(KAFKA), find_java(JAVA) / "bin" / "java"
        program = (str(java), *OPTIONS, "-cp", f"{libraries}/*")
        self._configure(program)
        arguments = (*program[:1], "-Xmx256m", *program[1:], "kafka.Kafka", str(self._configuration))
        self.process = self._launch(Command(arguments, self.folder, self.folder / "log"))
        self.process.wait_until(partial(answers, self._ports["PLAINTEXT"]))

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

    @property
    def _configuration(self) -> Path:
        return self.folder / "server.properties"

    def _configure(self, program: Sequence[str]) -> None:
        data = self.folder / "data"
        found = properties(self._ports, data, list(self.users.values()), self.certificate) | self._settings
        self._configuration.write_text("".join(f"{name}={value}\n" for name, value in found.items()))
        if not (data / "meta.properties").exists():
            self._format(program)

    def _format(self, program: Sequence[str]) -> None:
        scram = [
            f"--add-scram=SCRAM-SHA-256=[name={user.name},password={user.password}]" for user in self.users.values()
        ]
        words = ["format", "--standalone", "-t", "test-cluster", "-c", str(self._configuration), *scram]
        done = subprocess.run(
            [*program, "kafka.tools.StorageTool", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=FORMAT_LIMIT,
            check=False,
        )
        if done.returncode != 0:
            raise StartError(f"the storage of {self.folder} could not be made:\n{done.stdout}{done.stderr}")
