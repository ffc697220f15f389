"""The servers of a control plane, and how each is started."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.services.kube.artifact import STAGES


class Part(StrEnum):
    """A server of the control plane, in the order in which they start."""

    ETCD = "etcd"
    API_SERVER = "kube-apiserver"
    CONTROLLERS = "kube-controller-manager"
    """Only the one that keeps the status of PodDisruptionBudgets: without it, evictions under one are all refused."""
    SCHEDULER = "kube-scheduler"
    KWOK = "kwok"
    """The kubelets: makes nodes Ready and pods Running, and ends pods when their grace period does."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the servers are: their folder, and the port of each that has one."""

    folder: Path
    ports: dict[Part, int]

    @property
    def url(self) -> str:
        """The API server's."""
        return f"https://127.0.0.1:{self.ports[Part.API_SERVER]}"

    @property
    def etcd(self) -> Path:
        """The socket of etcd."""
        return self.folder / "etcd.sock"

    @property
    def kubeconfig(self) -> Path:
        """The file by which the administrator comes in, and the other servers."""
        return self.folder / "admin.kubeconfig"

    @property
    def tokens(self) -> Path:
        """The file of those who may come in by a fixed token."""
        return self.folder / "tokens.csv"

    @property
    def signing_key(self) -> Path:
        """The key of service accounts' tokens."""
        return self.folder / "service-accounts.key"

    def certificates(self, part: Part) -> Path:
        """The folder where a server keeps the certificate it makes for itself."""
        return self.folder / f"certificates-{part}"


def arguments(part: Part, place: Place, flags: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what comes after the program's name; *flags* are the API server's beside ours."""
    match part:
        case Part.ETCD:
            return part, *_etcd(place)
        case Part.API_SERVER:
            return part, *_api_server(place), *flags
        case Part.CONTROLLERS:
            only = ("--controllers=disruption-controller", "--use-service-account-credentials=false")
            return part, *_client(part, place), *only, f"--service-account-private-key-file={place.signing_key}"
        case Part.SCHEDULER:
            return part, *_client(part, place)
        case Part.KWOK:
            return part, f"--kubeconfig={place.kubeconfig}", "--manage-all-nodes=true", f"--config={STAGES}"


def _etcd(place: Place) -> tuple[str, ...]:
    clients, peers = f"unix://{place.etcd}", f"unix://{place.folder / 'peer.sock'}"
    return (
        "--name=t",
        f"--data-dir={place.folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=t={peers}",
        "--unsafe-no-fsync",
        "--log-level=error",
    )


def _api_server(place: Place) -> tuple[str, ...]:
    return (
        f"--etcd-servers=unix://{place.etcd}",
        *_serving(Part.API_SERVER, place),
        "--anonymous-auth=false",
        f"--token-auth-file={place.tokens}",
        "--authorization-mode=Node,RBAC",
        f"--service-account-issuer={place.url}",
        f"--service-account-key-file={place.signing_key}",
        f"--service-account-signing-key-file={place.signing_key}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--endpoint-reconciler-type=none",
        "--allow-privileged=true",
        "--profiling=false",
        # Nobody makes service accounts, nor takes the taint from a new node that is Ready.
        "--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
    )


def _client(part: Part, place: Place) -> tuple[str, ...]:
    files = (f"--{prefix}kubeconfig={place.kubeconfig}" for prefix in ("", "authentication-", "authorization-"))
    return (*files, *_serving(part, place), "--leader-elect=false")


def _serving(part: Part, place: Place) -> tuple[str, ...]:
    certificates = f"--cert-dir={place.certificates(part)}"
    return ("--bind-address=127.0.0.1", f"--secure-port={place.ports[part]}", certificates)
