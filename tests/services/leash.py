"""`leash.py COMMAND...`: become COMMAND, which is killed when this program's standard input ends.

The starter holds the other end of that pipe and never writes: however it ends, by SIGKILL too, the server ends.
A pipe and not PR_SET_PDEATHSIG, which fires when the *thread* that started the server ends, and is lost when the server
changes its user. The watcher is a child in the server's process group: while it lives, the group's number can be no
other's, and what the server started ends as well. Run by its path: it imports nothing of the repository.
"""

import os
import signal
import sys


def watch() -> None:
    """Wait until standard input ends, then kill the group, this process with it."""
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> None:
    """Leave a watcher behind and become *command*."""
    if os.fork() == 0:
        watch()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
