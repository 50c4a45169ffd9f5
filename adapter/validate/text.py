"""Bytes to JSON, strictly: what is not exactly one JSON text is refused with line and column, and never quoted."""

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from adapter.errors import Issue, Severity
from adapter.fhir.definitions import definitions
from adapter.fhir.definitions.explain import fhirpath
from adapter.fhir.versions import FhirVersion
from adapter.fhir.wire import MAX_BYTES

MAX_DEPTH = 64
MAX_VALUES = 5_000_000
"""How many values, objects and arrays are built: about 100 MB of FHIR, and 1.5 GB of memory at worst."""
_MOST_DUPLICATES = 100
"""Each costs a count of the lines before it, and the first ones show the cause."""
_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}]', re.DOTALL)
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"|[\[\]{}:,]|[^\s\[\]{}:,"]++', re.DOTALL)
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_CONSTANTS = frozenset(("NaN", "Infinity", "-Infinity"))


@dataclass(frozen=True, slots=True)
class Read:
    """What the bytes hold: ``value`` is None when they could not be read, and ``issues`` says why."""

    value: Any
    issues: tuple[Issue, ...]


class _Refused(Exception):  # noqa: N818 - control flow inside this module
    """Thrown through ``json.loads`` by what it hands over; where it stands is found afterwards."""


class _Objects:
    """Builds the objects and remembers whether a name came twice in one, which ``dict`` would hide."""

    def __init__(self) -> None:
        self.has_duplicates = False

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) != len(pairs):
            self.has_duplicates = True
        return made


def read(data: bytes) -> Read:
    """Read one JSON text, with decimals exactly as sent."""
    issues: list[Issue] = []
    if len(data) > MAX_BYTES:
        return Read(None, (_error("too-large", f"the document is larger than {MAX_BYTES} bytes"),))
    if data.startswith(_BOM):
        data = data[len(_BOM) :]
        said = "the document starts with a byte-order mark, which JSON does not allow; send it without"
        issues.append(Issue(Severity.WARNING, "byte-order-mark", said, line=1))
    if data.startswith(_OTHER_BOMS):
        return Read(None, (_error("not-utf-8", "the text is UTF-16; send it as UTF-8", line=1),))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode("utf-8"))
        said = f"the text is not UTF-8; send it as UTF-8 (column {column})"
        return Read(None, (*issues, _error("not-utf-8", said, line=line)))
    if not text.strip():
        return Read(None, (*issues, _error("truncated", "the document is empty", line=1)))
    if text.count(",") + text.count("{") + text.count("[") > MAX_VALUES:
        said = f"the document holds more than {MAX_VALUES} values; send it in parts, or as .ndjson"
        return Read(None, (*issues, _error("too-large", said)))
    deepest = _too_deep(text)
    if deepest is not None:
        return Read(None, (*issues, _located(text, deepest, "too-deep", f"JSON is nested more than {MAX_DEPTH} deep")))
    return _parse(text, issues)


def _too_deep(text: str) -> int | None:
    """Give where nesting passes the limit, before the recursive parser sees it."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return None
    depth = 0
    for found in _BRACKETS.finditer(text):
        match text[found.start()]:
            case "[" | "{":
                depth += 1
                if depth > MAX_DEPTH:
                    return found.start()
            case "]" | "}":
                depth -= 1
            case _:  # a string, whose brackets are text
                pass
    return None


def _parse(text: str, issues: list[Issue]) -> Read:
    objects = _Objects()

    def refuse(_constant: str) -> NoReturn:
        raise _Refused

    try:
        value = json.loads(text, object_pairs_hook=objects, parse_constant=refuse, parse_float=Decimal)
    except json.JSONDecodeError as error:
        return Read(None, (*issues, _syntax(text, error)))
    except _Refused:
        at = next((found.start() for found in _TOKENS.finditer(text) if found[0] in _CONSTANTS), 0)
        said = "NaN and Infinity are not JSON; leave the element out or send dataAbsentReason"
        return Read(None, (*issues, _located(text, at, "not-a-number", said)))
    except (ValueError, ArithmeticError, RecursionError):
        return Read(None, (*issues, _error("not-json", "the JSON holds a number or a nesting that cannot be read")))
    if "\\u" in text and any(_LONE_SURROGATE.search(json.loads(found[0])) for found in _escaped(text)):
        at = next(found.start() for found in _escaped(text) if _LONE_SURROGATE.search(json.loads(found[0])))
        issues.append(_located(text, at, "not-a-character", "a string holds half of a character (a lone surrogate)"))
    if objects.has_duplicates:
        issues.extend(itertools.islice(_duplicates(text), _MOST_DUPLICATES))
    return Read(value, tuple(issues))


def _escaped(text: str) -> Iterator[re.Match[str]]:
    return (found for found in _BRACKETS.finditer(text) if "\\u" in found[0])


def _syntax(text: str, error: json.JSONDecodeError) -> Issue:
    """Say in our own words where the text stops being JSON; the parser's may quote it."""
    at = error.pos
    rest = text[at:]
    is_unterminated = error.msg.startswith("Unterminated string")
    if (
        not rest.strip()
        or is_unterminated
        or rest.strip() in ("t", "tr", "tru", "f", "fa", "fal", "fals", "n", "nu", "nul")
    ):
        said = "the JSON ends too early; send the whole document"
        return _located(text, len(text) if is_unterminated else at, "truncated", said)
    if error.msg.startswith("Extra data"):
        said = "the JSON is complete, and more text follows; send one document (or .ndjson, one resource a line)"
        return _located(text, at, "trailing-text", said)
    if error.msg.startswith("Invalid control character"):
        return _located(text, at, "not-json", "a control character stands unescaped in a string")
    return _located(text, at, "not-json", "this is not JSON")


def _duplicates(text: str) -> Iterator[Issue]:
    """Find the names that come twice in one object, by walking the tokens with the path kept beside."""
    path: list[str | int] = []
    seen: list[set[str] | None] = []
    name: str | None = None
    for found, follows in itertools.pairwise(itertools.chain(_TOKENS.finditer(text), (None,))):
        if found is None:
            return
        match found[0][0]:
            case "{":
                seen.append(set())
                path.append("")
            case "[":
                seen.append(None)
                path.append(0)
            case "}" | "]":
                seen.pop()
                path.pop()
            case ",":
                last = path[-1]
                if isinstance(last, int):
                    path[-1] = last + 1
            case '"' if follows is not None and follows[0] == ":":
                name = json.loads(found[0])
                names = seen[-1]
                path[-1] = name
                if names is not None and name in names:
                    yield _duplicate(text, found.start(), path)
                elif names is not None:
                    names.add(name)


def _duplicate(text: str, at: int, path: list[str | int]) -> Issue:
    """Locate a name by FHIRPath as far as it is made of FHIR's own names; any other could be anything."""
    names = frozenset[str]().union(*(definitions(version).element_names for version in FhirVersion))
    steps = list(itertools.takewhile(lambda step: isinstance(step, int) or step in names, path))
    told = "the same name comes twice in one object, and readers differ in which they take; send it once"
    return _located(text, at, "duplicate-name", told, fhirpath("", steps).lstrip(".") or None)


def _located(text: str, at: int, code: str, message: str, expression: str | None = None) -> Issue:
    line, column = _place(text[:at])
    return Issue(Severity.ERROR, code, f"{message} (column {column})", expression, line=line)


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _error(code: str, message: str, *, line: int | None = None) -> Issue:
    return Issue(Severity.ERROR, code, message, line=line)
