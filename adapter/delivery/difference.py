"""What differs between what the server holds and what we send, one line per changed element, for a person."""

import base64
import binascii
import difflib
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import msgspec

from adapter.delivery.identity import Resource
from adapter.delivery.meaning import ORDERED, canonical, comparable
from adapter.errors import one_line

_JSON = msgspec.json.Encoder(decimal_format="number")
_SHOWN = 100
_TEXT_LINES = 12
_NAMED_BY = ("id", "linkId", "url", "system", "code", "name", "use", "contentType", "type")
"""What tells the elements of a list apart, the most telling first."""


class Difference(msgspec.Struct, frozen=True):
    """One element that differs: where, what the server holds, what it should hold; None where there is nothing."""

    path: str
    held: Any = None
    sent: Any = None

    def lines(self) -> list[str]:
        """Say it: one line, and for text in an attachment the lines of it that differ."""
        if self.path.endswith(".data"):
            held, sent = _text(self.held), _text(self.sent)
            if held is not None and sent is not None:
                return [f"{self.path}: the text differs", *_changed_lines(held, sent)]
        return [f"{self.path}: {_shown(self.held)} → {_shown(self.sent)}"]


def differences(sent: Resource, held: Resource) -> list[Difference]:
    """Give what must change on the server, in the order of what we send."""
    mine, theirs = comparable(sent, held)
    return list(_of_objects(str(sent["resourceType"]), mine, theirs))


def _of_objects(path: str, sent: Mapping[str, Any], held: Mapping[str, Any]) -> Iterator[Difference]:
    for key in dict.fromkeys((*sent, *held)):
        mine, theirs = sent.get(key), held.get(key)
        if canonical(mine, key) != canonical(theirs, key):
            yield from _of_values(f"{path}.{key}", key, mine, theirs)


def _of_values(path: str, key: str, sent: object, held: object) -> Iterator[Difference]:
    if isinstance(sent, Mapping) and isinstance(held, Mapping):
        yield from _of_objects(path, sent, held)
    elif isinstance(sent, list) and isinstance(held, list):
        pairs = _aligned(sent, held) if key in ORDERED or key.startswith("_") else _matched(sent, held)
        for mine, theirs in pairs:
            index, one = (theirs, None) if mine is None else (mine, sent[mine])
            other = None if theirs is None else held[theirs]
            if mine is None or theirs is None or canonical(one) != canonical(other):
                yield from _of_values(f"{path}[{index}]", "", one, other)
    else:
        yield Difference(path, held, sent)


def _aligned(sent: Sequence[Any], held: Sequence[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Pair what stands in order, so that one element more does not make all after it look changed."""
    their_marks, my_marks = ([_mark(each) or canonical(each) for each in elements] for elements in (held, sent))
    for how, i, j, k, m in difflib.SequenceMatcher(a=their_marks, b=my_marks, autojunk=False).get_opcodes():
        if how == "insert":
            yield from ((mine, None) for mine in range(k, m))
        elif how == "delete":
            yield from ((None, theirs) for theirs in range(i, j))
        else:
            yield from zip_longest(range(k, m), range(i, j))


def _matched(sent: Sequence[Any], held: Sequence[Any]) -> Iterator[tuple[int | None, int | None]]:
    """Pair what stands in any order: equals first, then those told apart by the same mark, then what is left."""
    left = dict(enumerate(held))
    open_: list[int] = []
    by_text: dict[str, list[int]] = {}
    for index, each in left.items():
        by_text.setdefault(canonical(each), []).append(index)
    for index, each in enumerate(sent):
        equals = by_text.get(canonical(each))
        if equals:
            left.pop(equals.pop(0))
        else:
            open_.append(index)
    by_mark: dict[str, list[int]] = {}
    for index, each in left.items():
        by_mark.setdefault(_mark(each), []).append(index)
    paired: dict[int, int] = {}
    for mine in open_:
        same = by_mark.get(_mark(sent[mine]))
        if same and _mark(sent[mine]):
            paired[mine] = same.pop(0)
            left.pop(paired[mine])
    rest = iter(list(left))
    for mine in open_:
        theirs = paired[mine] if mine in paired else next(rest, None)
        yield mine, theirs
    yield from ((None, theirs) for theirs in rest)


def _mark(element: object) -> str:
    if not isinstance(element, Mapping):
        return ""
    return next((f"{key}={canonical(element[key])}" for key in _NAMED_BY if element.get(key)), "")


def _shown(value: object) -> str:
    if value is None:
        return "(nothing)"
    text = _JSON.encode(value).decode()
    return one_line(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")


def _text(value: object) -> list[str] | None:
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value, validate=True).decode().splitlines()
    except (binascii.Error, UnicodeDecodeError):
        return None


def _changed_lines(held: list[str], sent: list[str]) -> list[str]:
    found = difflib.unified_diff(held, sent, lineterm="", n=0)
    changed = [each for each in found if not each.startswith(("---", "+++", "@@"))]
    shown = [f"    {one_line(each[:_SHOWN])}" for each in changed[:_TEXT_LINES]]
    if len(changed) > _TEXT_LINES:
        shown.append(f"    … {len(changed) - _TEXT_LINES} more lines")
    return shown
