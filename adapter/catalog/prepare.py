"""From what a file says to typed records: policies filled in, lengths of time parsed, clauses tagged."""

import re
from typing import Any

import msgspec

from adapter.catalog.yaml_file import Loaded, Path_
from adapter.eligibility.values import Period
from adapter.errors import Issue

POLICY = re.compile(r"\$([a-z0-9_.]+)")
_PERIOD = re.compile(r"P(?:\d+[YMWD])+")
CLAUSES = ("condition", "medication", "procedure", "encounter", "value", "all")
"""The key that tells a clause's kind, in the order they are looked for."""
KEPT = "kept"
"""Written for a unit that is compared as reported."""
PROSE = frozenset(("metadata", "source", "logic", "text", "note", "decision", "ask", "question", "notices", "policy"))
"""Keys under which nothing is a reference or a length of time."""


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
    prepared = _prepared(content, at, loaded, issues, values)
    if len(issues) > before:
        return None
    try:
        return msgspec.convert(prepared, kind, strict=False)
    except msgspec.ValidationError as error:
        path = at + _path(str(error))
        said = re.sub(r" - at `.*`$", "", str(error))
        issues.append(loaded.issue("shape", f"{said[:1].lower()}{said[1:]}", path))
        return None


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
            issues.append(loaded.issue("unknown-policy", f"no policy is named {reference[1]}", path))
            return text
        value = values[reference[1]]
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
