"""Past logs of a few lines, and backtests over them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.app import build_backtest
from pipeline.backtest.backtest import Span
from pipeline.backtest.logs import past_logs
from pipeline.backtest.reading import Progress
from pipeline.backtest.report import Report
from pipeline.settings import read_settings, shipped

MORNING = datetime(2024, 3, 5, 8, 0, tzinfo=UTC)
"""Long ago, whatever the clock of the machine that runs the tests says."""

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)

REBOOTS = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: reboots}
spec:
  rules:
  - priority: 10
    errorCode: ["79"]
    actions:
    - name: cordon
    - name: drain
    - {name: reboot, attribute: {waittime: 1min, unCordon: "true"}}
"""
CORDONS = """
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {name: cordons}
spec:
  rules:
  - {priority: 10, errorCode: ["79"], actions: [{name: cordon}]}
  - {priority: 20, errorCode: ["62"], actions: [{name: cordon}, {name: offline}]}
"""
NODES = """
nodes:
- {name: gpu-1, labels: {app: train}}
- {name: gpu-2, labels: {app: train}}
- {name: gpu-9, labels: {rescue.ksyun.com/warm-standby: "true"}, unschedulable: true}
# Enough of them for the breaker's share of the cluster to be more than one.
{others}
pods:
- {name: job-0, node: gpu-1, owner: Job, grace_period: 30s}
timings: {boot: 2min, ready: 20s, gpus: 40s}
""".replace("{others}", "".join(f"- {{name: other-{number}}}\n" for number in range(97)))


def fault(node: str, after: timedelta = timedelta(0), code: int = 79, pci: str = "0000:3b:00") -> str:
    """The line of an Xid, so long after the morning."""
    return line(node, f"NVRM: Xid (PCI:{pci}): {code}, pid=7, name=python3, told", after)


def line(node: str, text: str, after: timedelta = timedelta(0)) -> str:
    """A kernel line as rsyslog writes it to a file."""
    return f"{(MORNING + after).isoformat()} {node} kernel: {text}\n"


class Bench:
    """A folder of logs and policies, and what a backtest over them tells."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[int] = []
        self.file("nodes.yaml", NODES)
        self.file("reboots.yaml", REBOOTS)
        self.file("cordons.yaml", CORDONS)

    def file(self, name: str, text: str) -> Path:
        """Write a file, its folder too."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def log(self, *lines: str, name: str = "kern.log") -> Path:
        """Write a log."""
        return self.file(name, "".join(lines))

    async def run(
        self, *policies: str, sources: Sequence[str] = ("kern.log",), span: Span | None = None, **settings: object
    ) -> Report:
        """Try these policies; the names of sources and policies count from the folder."""
        given = [f"{key.replace('__', '.')}={value}" for key, value in settings.items()]
        cluster = f"cluster={{type: simulated, nodes: {self.folder / 'nodes.yaml'}}}"
        read = read_settings(shipped() / "pipeline.yaml", [cluster, *given])
        logs = past_logs([str(self.folder / source) for source in sources])
        sets = [[self.folder / policy] for policy in policies or ("reboots.yaml",)]
        return await build_backtest(read, sets, logs, span or Span(), self._tell).run()

    def _tell(self, progress: Progress) -> None:
        self.told.append(progress.bytes_read)
