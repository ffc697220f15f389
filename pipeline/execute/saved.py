"""The form in which rescues and occurrences are saved: JSON text with the number of the format that it is in.

A key that this version does not know is passed over, and lost when what was read is saved again. A new field that may
be lost (it tells people more, no more) keeps the number of the format and has a default for what older versions saved.
Any other change, a new member of a closed enum among them, raises it: then an older version refuses to read.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.errors import PermanentError
from pipeline.model.occurrence import Occurrence
from pipeline.model.rescue import Rescue

T = TypeVar("T")

FORMAT = 2


class UnreadableError(PermanentError):
    """What was saved is damaged, or was saved by a later version."""


class LaterFormatError(UnreadableError):
    """A later version has saved it."""


class _Head(BaseModel):
    format: int


class SavedForm(Generic[T]):
    """Writes values of one type as text, and reads from the text a value that equals the one that was written.

    Enums are their values, times ISO 8601 with all their microseconds, durations ISO 8601 as well, tuples lists.
    """

    def __init__(self, kind: type[T], key: Callable[[str], str] = str) -> None:
        """*key* gives what a field of a dataclass is called in the text; keys of mappings stay as they are."""
        # In a tuple, since a dataclass of its own takes no configuration.
        self._kind = TypeAdapter(tuple[kind], config=ConfigDict(alias_generator=key))  # type: ignore[valid-type]

    def write(self, value: T) -> str:
        """Return the value as one line of JSON: its fields, after the key `format`."""
        # A mapping of another type than dict is a dict when it is read again.
        fields = self._kind.dump_json((value,), by_alias=True, fallback=dict, warnings=False).decode()
        return f'{{"format":{FORMAT},{fields[2:-1]}'

    def read(self, text: str) -> T:
        """Return the value that was written; raise UnreadableError, which says what is wrong with the text."""
        try:
            found = _Head.model_validate_json(text).format
            if found > FORMAT:
                raise LaterFormatError(f"a later version has saved it, in format {found}; this one knows {FORMAT}")
            (value,) = self._kind.validate_json(f"[{text}]", strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])).removeprefix("0.")
            raise UnreadableError(f"it cannot be read: {place or 'the whole'}: {first['msg']}") from error
        return value


RESCUE = SavedForm(Rescue)
OCCURRENCE = SavedForm(Occurrence)
