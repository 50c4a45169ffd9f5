"""From what a file says to typed records: policies filled in, lengths of time parsed, clauses tagged."""

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility.values import Period
from adapter.errors import Issue

POLICY = re.compile(r"\$([a-z0-9_.]+)")
PERIOD = r"P(?=\d)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?"
"""A length of time: years, months, weeks, days, in this order."""
_PERIOD = re.compile(PERIOD)
CLAUSES = ("condition", "medication", "procedure", "encounter", "value", "all")
"""The key that tells a clause's kind, in the order they are looked for."""
KEPT = "kept"
"""Written for a unit that is compared as reported."""
PROSE = frozenset(("metadata", "source", "logic", "text", "note", "decision", "ask", "question", "notices", "policy"))
"""Keys under which nothing is a reference or a length of time."""


UNREAD = object()
"""The value of a policy that may stand in what could not be read: what refers to it is left unread too."""


class _UnreadError(Exception):
    """A policy that is needed could not be read."""


def convert(
    content: object,
    kind: Any,  # noqa: ANN401 (a type or a union of types)
    loaded: Loaded,
    issues: list[Issue],
    values: dict[str, Any],
    at: Path_ = (),
) -> Any:  # noqa: ANN401 (gives what ``kind`` says, a union of types among them)
    """Make the typed form of a part of a file, or report why that cannot be done."""
    before = len(issues)
    try:
        prepared = _prepared(content, at, loaded, issues, values)
    except _UnreadError:
        return None
    if len(issues) > before:
        return None
    try:
        return msgspec.convert(prepared, kind, strict=False)
    except msgspec.ValidationError as error:
        path = at + _path(str(error))
        said = re.sub(r" - at `.*`$", "", str(error))
        issues.append(loaded.issue("shape", f"{said[:1].lower()}{said[1:]}", path))
        return None


def meant(name: str, known: Iterable[str]) -> str:
    """Suggest the name that was probably meant, as the end of a message."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=3 / 5)
    return f": did you mean {near[0]}?" if near else ""


def policies_in(content: object, path: Path_ = ()) -> Iterator[tuple[str, Path_]]:
    """Find every ``$name`` that ``convert`` would fill in, with its place."""
    if isinstance(content, dict):
        for key, value in content.items():
            if key not in PROSE:
                yield from policies_in(value, (*path, key))
    elif isinstance(content, list):
        for index, each in enumerate(content):
            yield from policies_in(each, (*path, index))
    elif isinstance(content, str) and (reference := POLICY.fullmatch(content)) is not None:
        yield reference[1], path


def _path(message: str) -> Path_:
    found = re.search(r"at `(?:key in )?\$(.*)`", message)
    if found is None:
        return ()
    steps = re.findall(r"\.([A-Za-z0-9_]+)|\[(\d+)\]", found[1])
    return tuple(name or int(index) for name, index in steps)


def _prepared(content: object, path: Path_, loaded: Loaded, issues: list[Issue], values: dict[str, Any]) -> object:
    if isinstance(content, dict):
        made: dict[str, object] = {}
        for key, value in content.items():
            made[key] = value if key in PROSE else _prepared(value, (*path, key), loaded, issues, values)
        return _tagged(made)
    if isinstance(content, list):
        return [_prepared(each, (*path, index), loaded, issues, values) for index, each in enumerate(content)]
    if isinstance(content, str):
        return _scalar(content, path, loaded, issues, values)
    return content


def _scalar(text: str, path: Path_, loaded: Loaded, issues: list[Issue], values: dict[str, Any]) -> object:
    reference = POLICY.fullmatch(text)
    if reference is not None:
        if reference[1] not in values:
            said = f"no policy is named {reference[1]}{meant(reference[1], values)}"
            issues.append(loaded.issue("unknown-policy", said, path))
            return text
        value = values[reference[1]]
        if value is UNREAD:
            raise _UnreadError
        return _period(value) if isinstance(value, str) else value
    return _period(text)


def _period(text: str) -> object:
    if text == KEPT:
        return None
    if not _PERIOD.fullmatch(text):
        return text
    period = Period.parse(text)
    return {"text": period.text, "years": period.years, "months": period.months, "days": period.days}


def _tagged(made: dict[str, object]) -> dict[str, object]:
    """Say the kind of a clause, which its own key tells, as a tag."""
    if "kind" in made or "clause" in made:
        return made
    for key in CLAUSES:
        if isinstance(made.get(key), list) or (key == "value" and "limits" in made):
            if key == "condition" and ("earlier" in made or "list_within" in made):
                return made
            return {"clause": key, **made}
    return made
