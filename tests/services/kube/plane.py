"""A real control plane."""

import hashlib
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from tests.services.errors import MissingError
from tests.services.kube.artifact import kube_program
from tests.services.kube.asking import compact, ready
from tests.services.kube.kubeconfig import ADMIN, User, write_kubeconfig, write_tokens
from tests.services.kube.parts import Part, Place, arguments
from tests.services.ports import free_port
from tests.services.processes import Command, Launch, Process, leashed

KUBECTL_LIMIT = 60.0


class KubectlError(Exception):
    """kubectl failed; the text is its standard error."""


class ControlPlane:
    """etcd and an API server in *folder*, which is empty or an earlier one's, and what *parts* adds to them.

    *users* come in beside the administrator; *flags* are the API server's beside ours.
    """

    def __init__(
        self,
        folder: Path,
        *,
        parts: Collection[Part] = (),
        users: Sequence[User] = (),
        flags: Sequence[str] = (),
        launch: Launch = leashed,
    ) -> None:
        self.folder = folder
        self.users = {user.name: user for user in (ADMIN, *users)}
        self._parts = [part for part in Part if part in {Part.ETCD, Part.API_SERVER, *parts}]
        self._flags = tuple(flags)
        self._launch = launch
        self._place = Place(folder, {part: free_port() for part in (Part.API_SERVER, Part.CONTROLLERS, Part.SCHEDULER)})
        self._processes: dict[Part, Process] = {}

    @property
    def url(self) -> str:
        """The API server's."""
        return self._place.url

    @property
    def authority(self) -> Path:
        """What clients trust: the certificate that the API server made for itself."""
        return self._place.certificates(Part.API_SERVER) / "apiserver.crt"

    @property
    def token(self) -> str:
        """The administrator's."""
        return ADMIN.token

    @property
    def kubeconfig(self) -> Path:
        """The file by which the administrator comes in."""
        return self._place.kubeconfig

    @property
    def etcd(self) -> Path:
        """The socket of etcd."""
        return self._place.etcd

    @property
    def addresses(self) -> dict[str, str]:
        """The file that says where it is and who we are there."""
        return {"kubeconfig": str(self.kubeconfig)}

    @property
    def process(self) -> Process | None:
        """The API server."""
        return self._processes.get(Part.API_SERVER)

    def kubeconfig_for(self, token: str) -> Path:
        """Return the file by which whoever has *token* comes in: a user's, or one of a service account."""
        path = self.folder / f"{hashlib.sha256(token.encode()).hexdigest()[:12]}.kubeconfig"
        write_kubeconfig(path, self.url, self.authority, token)
        return path

    def kubectl(self, *words: str, input: str | None = None, kubeconfig: Path | None = None) -> str:
        """Run kubectl, as the administrator or by another *kubeconfig*, and return what it printed.

        Raises KubectlError.
        """
        settings = (f"--kubeconfig={kubeconfig or self.kubeconfig}", f"--cache-dir={self.folder / 'kubectl-cache'}")
        done = subprocess.run(
            [kube_program(), "kubectl", *settings, *words],
            input=input or "",
            capture_output=True,
            text=True,
            timeout=KUBECTL_LIMIT,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(done.stderr.strip())
        return done.stdout

    def start(self) -> None:
        """Start what of it does not run, on its data, and return when it answers. Raises as Server says."""
        program = str(kube_program())
        self._configure()
        started = [part for part in self._parts if not self._running(part)]
        for part in started:
            words = (program, *arguments(part, self._place, self._flags))
            self._processes[part] = self._launch(Command(words, self.folder, self.folder / f"{part}.log"))
            if part is Part.API_SERVER:
                # The others need its certificate; etcd and the API server wait for each other.
                self._await(Part.ETCD)
                self._await(part)
        for part in started:
            self._await(part)

    def stop(self) -> None:
        """End it in order: an API server without etcd would not end."""
        for part in reversed(self._parts):
            if process := self._processes.pop(part, None):
                process.stop()

    def kill(self) -> None:
        """SIGKILL for all of it."""
        for part in reversed(self._parts):
            if process := self._processes.pop(part, None):
                process.kill()

    def stop_api_server(self) -> None:
        """End just the API server, in order; `start` brings it back."""
        if process := self._processes.pop(Part.API_SERVER, None):
            process.stop()

    def kill_api_server(self) -> None:
        """SIGKILL for just the API server; `start` brings it back."""
        if process := self._processes.pop(Part.API_SERVER, None):
            process.kill()

    def compact(self) -> int:
        """Let etcd forget every state but the newest, and return its revision.

        Whoever goes on from a state of at least two writes ago gets 410 if the API server has no cache of its own
        (`--watch-cache=false`).
        """
        return compact(self.etcd)

    def _running(self, part: Part) -> bool:
        process = self._processes.get(part)
        return process is not None and process.running()

    def _await(self, part: Part) -> None:
        self._processes[part].wait_until(lambda: self._answers(part))

    def _answers(self, part: Part) -> bool:
        match part:
            case Part.ETCD:
                return self.etcd.exists()
            case Part.API_SERVER:
                return ready(f"{self.url}/readyz", self.authority, ADMIN.token)
            case Part.CONTROLLERS | Part.SCHEDULER:
                authority = self._place.certificates(part) / f"{part}.crt"
                return ready(f"https://127.0.0.1:{self._place.ports[part]}/healthz", authority, ADMIN.token)
            case Part.KWOK:
                return self._running(part)

    def _configure(self) -> None:
        write_tokens(self._place.tokens, self.users.values())
        write_kubeconfig(self.kubeconfig, self.url, self.authority, ADMIN.token)
        if not self._place.signing_key.exists():
            _make_key(self._place.signing_key)


def _make_key(path: Path) -> None:
    command = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(path)]
    try:
        subprocess.run(command, capture_output=True, timeout=30, check=True)
    except FileNotFoundError as error:
        raise MissingError("no openssl on PATH; install OpenSSL 3 (Debian: apt-get install openssl)") from error
