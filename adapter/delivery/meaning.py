"""Do two resources mean the same: what we send and what the server holds, whatever the server added or reordered.

What does not count: ``id`` (the server may give its own), ``text``, and in ``meta`` everything but the profiles,
tags and security labels that we send; an ``expansion`` that we did not send; the order of a list, except where it is
read in order; the digits of a decimal beyond its value; an instant's time zone; what is empty.  All else counts, also
an element that only the server holds: it may be one that the trial no longer has.
"""

import datetime
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from adapter.delivery.identity import Resource

ORDERED = frozenset({"action", "answerOption", "given", "item", "line", "prefix", "suffix"})
"""Lists that people or programs read in order; elsewhere FHIR gives no meaning to it."""
_NOT_OURS = frozenset({"id", "meta", "text"})
_KEPT_META = ("profile", "tag", "security")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def same_meaning(sent: Resource, held: Resource) -> bool:
    """Whether the server holds what we send."""
    mine, theirs = comparable(sent, held)
    return canonical(mine) == canonical(theirs)


def comparable(sent: Resource, held: Resource) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give both resources without what does not count."""
    mine = {key: value for key, value in sent.items() if key not in _NOT_OURS}
    theirs = {key: value for key, value in held.items() if key not in _NOT_OURS}
    if sent.get("resourceType") == "ValueSet" and "expansion" not in sent:
        theirs.pop("expansion", None)
    for kept in _KEPT_META:
        wanted = _listed(sent, kept)
        if wanted:
            found = {canonical(each) for each in _listed(held, kept)}
            mine[f"meta.{kept}"] = wanted
            theirs[f"meta.{kept}"] = [each for each in wanted if canonical(each) in found]
    return mine, theirs


def canonical(value: object, name: str = "") -> str:
    """Give a text that is the same for all JSON of the same meaning, and for no other; empty for what is empty.

    >>> canonical({"code": [{"b": Decimal("7.00")}, "x"]}) == canonical({"code": ["x", {"b": 7}], "note": []})
    True
    """
    if isinstance(value, Mapping):
        parts = {key: canonical(each, key) for key, each in value.items()}
        inner = ",".join(f"{_quoted(key)}:{parts[key]}" for key in sorted(parts) if parts[key])
        return f"{{{inner}}}" if inner else ""
    if isinstance(value, (list, tuple)):
        elements = [canonical(each) or "null" for each in value]
        if not any(each != "null" for each in elements):
            return ""
        # The null of a list of primitives keeps the places of "x" and "_x" together, so such a list keeps its order.
        if name not in ORDERED and not name.startswith("_") and "null" not in elements:
            elements.sort()
        return f"[{','.join(elements)}]"
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return _number(Decimal(value))
    text = str(value)
    return _quoted(_instant(text) if _INSTANT.fullmatch(text) else text)


def _number(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        return str(value)
    text = "".join(map(str, digits))
    stripped = text.rstrip("0").lstrip("0")
    if not stripped:
        return "0"
    return f"{'-' if sign else ''}{stripped}e{exponent + len(text) - len(text.rstrip('0'))}"


def _instant(text: str) -> str:
    try:
        moment = datetime.datetime.fromisoformat(text)
        return moment.astimezone(datetime.UTC).isoformat()
    except (ValueError, OverflowError):
        return text


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _listed(resource: Resource, kept: str) -> list[Any]:
    meta = resource.get("meta")
    found = meta.get(kept) if isinstance(meta, Mapping) else None
    return found if isinstance(found, list) else []
