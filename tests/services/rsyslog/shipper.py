"""A real rsyslog that ships what is appended to a file."""

from collections.abc import Mapping
from pathlib import Path

from tests.services.artifacts import placed
from tests.services.errors import MissingError
from tests.services.processes import Command, Process, leashed
from tests.services.rsyslog.artifact import RSYSLOG

# The shipped configuration is a part: the distribution's, which loads imklog, is what this stands for.
_BEGINNING = """\
global(workDirectory="{folder}" localHostname="{node}")
module(load="imfile" mode="polling" PollingInterval="1")
input(type="imfile" File="{log}" Tag="kernel" Facility="kern")
"""
SHIPPED = Path(__file__).parents[3] / "config" / "shippers" / "rsyslog.conf"
_SMALLEST = 512
"""Bytes: imfile tells files apart by their first bytes, and reads nothing of one with fewer."""


def shipped(address: str, topic: str) -> str:
    """The shipped configuration, with another broker and topic in it."""
    return SHIPPED.read_text().replace("kafka.example.com:9092", address).replace('"kernel-logs"', f'"{topic}"')


class Rsyslog:
    """An rsyslog in *folder* on the machine *node*, whose kernel writes to `kernel_log`; *configuration* ships."""

    def __init__(self, folder: Path, configuration: str, node: str) -> None:
        self.folder = folder
        self.process: Process | None = None
        self.kernel_log = folder / "kern.log"
        self._configuration = configuration
        self._node = node

    @property
    def addresses(self) -> Mapping[str, str]:
        """The file that it reads."""
        return {"file": str(self.kernel_log)}

    def start(self) -> None:
        """Start it; it goes on where it ended. Raises as Server says."""
        if self.process is not None and self.process.running():
            return
        home, number = placed(RSYSLOG), self.folder / "pid"
        libraries = _libraries(home)
        number.unlink(missing_ok=True)
        written = self.folder / "rsyslog.conf"
        beginning = _BEGINNING.format(folder=self.folder, node=self._node, log=self.kernel_log)
        written.write_text(beginning + self._configuration)
        arguments = (str(home / "usr/sbin/rsyslogd"), "-n", "-f", str(written), "-i", str(number))
        modules = ("-M", str(libraries / "rsyslog"))
        environment = {"LD_LIBRARY_PATH": str(libraries)}
        self.process = leashed(Command((*arguments, *modules), self.folder, self.folder / "log", environment))
        self.process.wait_until(number.exists)

    def say(self, *lines: str) -> None:
        """Append kernel lines to the file."""
        text = "".join(f"{line}\n" for line in lines)
        with self.kernel_log.open("a") as log:
            if log.tell() == 0:
                log.write(f"usb 1-1: {'x' * _SMALLEST}\n")
            log.write(text)

    def stop(self) -> None:
        """End it in order: what it holds is sent, or saved."""
        if self.process is not None:
            self.process.stop()
        self.process = None

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
        self.process = None


def _libraries(home: Path) -> Path:
    found = sorted(home.glob("usr/lib/*/rsyslog"))
    if len(found) != 1:
        raise MissingError(f"{home} is no rsyslog as Debian packs it: {len(found)} folders of modules, not one")
    return found[0].parent
