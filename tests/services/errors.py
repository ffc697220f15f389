"""What a caller does next when a server is not to be had."""


class MissingError(Exception):
    """This machine lacks a tool or cannot fetch a part; the message says which, and what would be right."""


class DamagedError(Exception):
    """What was fetched is not what the repository has pinned. Never worked around: not by a skip, not by a retry."""


class StartError(Exception):
    """A server ended or did not become ready in time; the message ends with the last lines of its log."""
