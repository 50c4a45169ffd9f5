"""Bytes to JSON, as strictly as two readers need it who must not understand it in two ways.

Python's parser takes duplicate keys, NaN, any depth and any number of digits; all of these are refused here.  The fast
way only finds that something is wrong; ``adapter.validate.text`` then says what and where, and never quotes it.
"""

import json
import re
from typing import Any, NoReturn

import msgspec

from adapter.errors import Issue, Severity
from adapter.fhir.wire import MAX_BYTES
from adapter.service.outcomes import Refusal
from adapter.validate.text import read as explain

_BOM = b"\xef\xbb\xbf"
_MAX_STRING = 1024 * 1024
_MAX_DIGITS = 18
_MAX_DECIMAL = 64
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_EXPLAINED = 256 * 1024
"""Larger documents are refused without a place: to find it takes longer than a client may cost."""


_AT_A_GLANCE = 64 * 1024
"""Larger documents are looked through: laid out, one that is deep takes far more room than it came in."""


class Shape(msgspec.Struct, frozen=True):
    """How much JSON one document may be."""

    depth: int = 64
    nodes: int = 500_000
    entries: int = 5000


class _Refused(Exception):  # noqa: N818 (control flow inside this module)
    pass


def read_resource(data: bytes, shape: Shape) -> dict[str, Any]:
    """Give a resource as a tree; raises Refusal (400, 413)."""
    tree = read_object(data, shape)
    if not isinstance(tree.get("resourceType"), str):
        said = "this is JSON, but no FHIR resource: it has no resourceType; send a Bundle"
        raise Refusal.of(400, "not-fhir", said)
    return tree


def read_object(data: bytes, shape: Shape) -> dict[str, Any]:
    """Give a JSON object as a tree; raises Refusal (400, 413)."""
    if len(data) > MAX_BYTES:
        raise Refusal.of(413, "too-large", f"the document is larger than {MAX_BYTES} bytes")
    tree = _tree(data, shape)
    if not isinstance(tree, dict):
        raise Refusal.of(400, "not-fhir", "this is JSON, but no object; send a Bundle")
    return tree


def entries_of(bundle: dict[str, Any], shape: Shape) -> list[dict[str, Any]]:
    """Give the entries of a Bundle; what is not an object is an empty one, so that places stay; raises Refusal."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise Refusal.of(400, "bundle-entry", "Bundle.entry is not a list", expression="Bundle.entry")
    if len(entries) > shape.entries:
        raise Refusal.of(413, "too-large", f"the Bundle has more than {shape.entries} entries; send it in parts")
    return [each if isinstance(each, dict) else {} for each in entries]


def part_of(value: object, *names: str) -> str | None:
    """Give the text at a path of names, where all of it is there and is text."""
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else None


def _tree(data: bytes, shape: Shape) -> Any:  # noqa: ANN401 (any JSON)
    try:
        text = data.removeprefix(_BOM).decode("utf-8")
        tree = _JSON.decode(text)
    except (_Refused, ValueError, RecursionError):
        raise Refusal(400, _explained(data)) from None
    if _SURROGATE.search(text):
        halves = _errors(data)
        if halves:
            raise Refusal(400, halves)
    if not _is_small(data, shape):
        _measure(tree, shape, has_long=len(text) > _MAX_STRING)
    return tree


def _explained(data: bytes) -> tuple[Issue, ...]:
    """Say what is wrong and where, as far as that is quickly found."""
    if len(data) > _EXPLAINED:
        said = "this is not JSON that can be read in one way only: trial-adapter validate says where"
        return (Issue(Severity.ERROR, "not-json", said),)
    said = f"a number has more than {_MAX_DIGITS} digits (as an integer) or {_MAX_DECIMAL} characters"
    return _errors(data) or (Issue(Severity.ERROR, "not-json", said),)


def _errors(data: bytes) -> tuple[Issue, ...]:
    return tuple(each for each in explain(data).issues if each.severity is Severity.ERROR)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Refused
    return made


def _refuse(_constant: str) -> NoReturn:
    raise _Refused


def _decimal(text: str) -> float:
    # The tree is for looking at: what is compared is read from the bytes, with its digits.
    if len(text) > _MAX_DECIMAL:
        raise _Refused
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise _Refused
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS + 1:
        raise _Refused
    return int(text)


_JSON = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_refuse, parse_float=_decimal, parse_int=_integer)


def _is_small(data: bytes, shape: Shape) -> bool:
    """Whether a document surely is within its shape, without a look at each of its values.

    Laid out, what stands inside of the deepest list that may be is indented by as many blanks; no string has a line
    feed.  A value takes two bytes, with the comma or bracket after it.
    """
    if len(data) > _AT_A_GLANCE or len(data) > 2 * shape.nodes:
        return False
    try:
        laid_out = msgspec.json.format(data.removeprefix(_BOM), indent=1)
    except (msgspec.DecodeError, RecursionError):
        return False
    return b"\n" + b" " * shape.depth not in laid_out


def _measure(tree: object, shape: Shape, *, has_long: bool) -> None:
    """Refuse what is nested too deeply or holds too much; level by level, so that no depth can hurt."""
    level = [tree] if isinstance(tree, dict | list) else []
    nodes = depth = 0
    while level:
        depth += 1
        if depth > shape.depth:
            raise Refusal.of(400, "too-deep", f"the JSON is nested more than {shape.depth} deep")
        below: list[dict[str, Any] | list[Any]] = []
        for each in level:
            nodes += len(each)
            values = each.values() if isinstance(each, dict) else each
            below += [value for value in values if type(value) is dict or type(value) is list]
            if has_long and any(type(value) is str and len(value) > _MAX_STRING for value in values):
                raise Refusal.of(400, "too-large", f"a string is longer than {_MAX_STRING} characters")
        if nodes > shape.nodes:
            raise Refusal.of(400, "too-many-values", f"the JSON holds more than {shape.nodes} values")
        level = below
