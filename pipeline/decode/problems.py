"""What can be wrong with a message; none of it stops its text from being searched."""

from enum import StrEnum


class Problem(StrEnum):
    """One kind of damage, counted once per message.

    `lax-json` is what the standard forbids and could be read all the same: NaN, a lone surrogate, a raw control
    character, a second document on the same line.
    `no-message` is a record in which none of the configured message fields holds text: all its strings are searched.
    `bad-time` is a time field that holds no time. `oversized` is a line longer than any kernel prints.
    """

    INVALID_UTF8 = "invalid-utf8"
    NUL_BYTES = "nul-bytes"
    BROKEN_JSON = "broken-json"
    LAX_JSON = "lax-json"
    NESTED_TOO_DEEP = "nested-too-deep"
    NO_MESSAGE = "no-message"
    BAD_TIME = "bad-time"
    OVERSIZED = "oversized"
