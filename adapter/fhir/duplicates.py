"""Keys that stand twice in one JSON object: which of the two values is meant nobody can know.

Decoding takes the last one and does not look back.  To look at every object would take longer than all the rest, so
only what an answer rests on is read again.
"""

import contextlib
import json

import msgspec

from adapter.errors import AdapterError, Category

_SLACK = 16 * 1024
_SLACK_PER_ENTRY = 128


class _Bundle(msgspec.Struct):
    entry: tuple[msgspec.Raw, ...] = ()


_entries = msgspec.json.Decoder(_Bundle).decode
_read = msgspec.json.Decoder(float_hook=lambda sent: msgspec.Raw(sent.encode())).decode
_write = msgspec.json.Encoder().encode


class Original:
    """The text of a document, entry by entry."""

    __slots__ = ("_data", "_parts")

    def __init__(self, data: bytes) -> None:
        self._data = data.removeprefix(b"\xef\xbb\xbf")
        self._parts: tuple[msgspec.Raw, ...] | None = None

    def is_ambiguous(self, expression: str) -> bool:
        """Whether a key stands twice in the entry, or the single resource, at ``expression``."""
        _, is_entry, rest = expression.partition("Bundle.entry[")
        if not is_entry:
            return has_repeated_key(self._data)
        return has_repeated_key(bytes(self._split()[int(rest.split("]", 1)[0])]))

    def _split(self) -> tuple[msgspec.Raw, ...]:
        if self._parts is None:
            self._parts = _entries(self._data).entry
            unseen = len(self._data) - sum(map(len, self._parts))
            if unseen > _SLACK + _SLACK_PER_ENTRY * len(self._parts) and has_repeated_key(self._data):
                said = "a key of the Bundle stands twice: which of the two is meant cannot be known"
                raise AdapterError.of(Category.MALFORMED, "repeated-key", said, expression="Bundle")
        return self._parts


def has_repeated_key(data: bytes) -> bool:
    """Whether any object of a JSON text has a key twice, or lies too deep to look.

    Most texts are as short as their values can be written.  Reading such a text and writing it again gives its length,
    and a key that is lost makes it shorter: nothing else makes it longer, since numbers are kept as they were sent.
    Other texts (with blanks, or escapes where none are needed) are looked at object by object.
    """
    with contextlib.suppress(msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        if len(_write(_read(data))) == len(data):
            return False
    try:
        json.loads(data, object_pairs_hook=_distinct, parse_int=str, parse_float=str)
    except (_RepeatedKeyError, RecursionError):
        return True
    return False


class _RepeatedKeyError(Exception):
    """Ends the reading at the first such object."""


def _distinct(pairs: list[tuple[str, object]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _RepeatedKeyError
