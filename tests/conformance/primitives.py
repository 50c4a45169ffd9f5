"""Whether a JSON value is one of a FHIR primitive type: its JSON kind, HL7's pattern, and what no pattern says."""

import base64
import binascii
import datetime
import re
from collections.abc import Iterator
from decimal import Decimal

from conformance.definitions import Package

WHOLE_NUMBERS = frozenset(("integer", "positiveInt", "unsignedInt"))
DATES = frozenset(("date", "dateTime", "instant"))
LARGEST = 2**31
FULL_DATE = 10


def faults(package: Package, name: str, value: object) -> Iterator[tuple[str, str]]:
    """Give what is wrong with a value of a primitive type, as (key, words)."""
    if not _has_kind(name, value):
        yield "json-kind", f"{name} cannot be JSON's {type(value).__name__}"
        return
    text = str(value).lower() if isinstance(value, bool) else str(value)
    regex = package.regex(name)
    if regex is not None and re.fullmatch(regex, text) is None:
        yield "pattern", f"not a {name}"
    elif name in WHOLE_NUMBERS and not -LARGEST <= int(text) < LARGEST:
        yield "range", f"{name} has 32 bits"
    elif name in DATES and not _is_a_day(text):
        yield "calendar", "no such day"
    elif name == "base64Binary" and not _is_base64(text):
        yield "base64", "cannot be decoded"


def _has_kind(name: str, value: object) -> bool:
    if name == "boolean":
        return isinstance(value, bool)
    if name in WHOLE_NUMBERS:
        return isinstance(value, int) and not isinstance(value, bool)
    if name == "decimal":
        return isinstance(value, int | Decimal) and not isinstance(value, bool)
    return isinstance(value, str)


def _is_a_day(text: str) -> bool:
    if len(text) < FULL_DATE:
        return True
    try:
        datetime.date.fromisoformat(text[:FULL_DATE])
    except ValueError:
        return False
    return True


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(re.sub(r"\s", "", text), validate=True)
    except binascii.Error:
        return False
    return True
