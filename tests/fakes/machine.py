"""A machine whose kubelet runs the command of a pod that reboots it, in a folder that stands for its /proc."""

import shutil
import subprocess
from pathlib import Path

from pipeline.cluster.kube.api import Object

_STUB = """\
#!/bin/sh
echo "$@" >> "{told}"
"""


class Machine:
    """Nothing of this machine is touched: the command finds no other programs than `date`, and stubs that note."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._programs = folder / "bin"
        self._programs.mkdir()
        (folder / "proc" / "sys" / "kernel" / "random").mkdir(parents=True)
        date = shutil.which("date")
        assert date is not None
        (self._programs / "date").symlink_to(date)
        for name in ("nsenter", "sleep"):
            stub = self._programs / name
            stub.write_text(_STUB.format(told=folder / name))
            stub.chmod(0o755)

    def run(self, pod: Object, boot_id: str) -> str:
        """Run the pod's container in this boot, to its end, and return what it printed."""
        (self._folder / "proc" / "sys" / "kernel" / "random" / "boot_id").write_text(f"{boot_id}\n")
        for name in ("nsenter", "sleep"):
            (self._folder / name).unlink(missing_ok=True)
        self._sysrq.unlink(missing_ok=True)
        (container,) = pod["spec"]["containers"]
        told = {each["name"]: each["value"] for each in container["env"]}
        assert told["PROC"] == "/proc"
        shell, *arguments = container["command"]
        environment = {**told, "PROC": str(self._folder / "proc"), "PATH": str(self._programs)}
        done = subprocess.run(
            [f"/bin/{shell}", *arguments], env=environment, capture_output=True, text=True, timeout=30, check=True
        )
        return done.stdout

    @property
    def rebooted(self) -> bool:
        """Whether the kernel was told so."""
        return self._sysrq.exists() and self._sysrq.read_text() == "b\n"

    def told(self, program: str) -> list[str]:
        """How a program was called."""
        called = self._folder / program
        return called.read_text().splitlines() if called.exists() else []

    @property
    def _sysrq(self) -> Path:
        return self._folder / "proc" / "sysrq-trigger"
