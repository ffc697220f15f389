"""How old the bytes of a growing file may be: the file does not tell, but when it was looked at does."""


class Age:
    """Remembers when the file was looked at, and how long it was then. Moments are seconds of the epoch.

    What is read may have waited: while nobody watched, or while whoever takes the lines was held up.
    """

    def __init__(self, looked: float | None) -> None:
        """Begin with when all that had been written had been read; None if that was never so."""
        self._looked = self._since = looked
        self._horizon = 0

    def oldest(self, start: int, size: int, modified: float, now: float) -> float:
        """Return the moment after which the bytes at *start* were written, of a file that holds *size* bytes now.

        Of what was there when the file was first looked at nothing is known but that it is no younger than *modified*,
        the file's last write.
        """
        if start >= self._horizon:
            self._since, self._looked, self._horizon = self._looked, now, size
        return modified if self._since is None else min(modified, self._since)

    def caught_up(self, now: float) -> None:
        """Note that all that had been written has been read."""
        self._looked = now

    def turn(self) -> None:
        """Go on with the next file, which may have been written while this one was still to be read."""
        self._looked, self._horizon = self._since, 0
