"""Resources as files: what each is called, and its bytes, the same on every run.

A file is read by people and compared by version control: two blanks of indent, keys in the order of FHIR's
definitions, numbers with the digits they were written with, letters as themselves.
"""

from typing import Any

import msgspec

Resource = dict[str, Any]
"""A resource in FHIR's JSON shape, decimals as ``Decimal``."""

_encode = msgspec.json.Encoder(decimal_format="number").encode


def file_name(resource: Resource) -> str:
    """Give the name of a resource's file: ``ValueSet-t2dm.json``, as the files of a FHIR package are called."""
    return f"{resource['resourceType']}-{resource['id']}.json"


def pretty(content: object) -> bytes:
    """Write a resource, or another JSON value, for people; ends with a line break.

    >>> from decimal import Decimal
    >>> print(pretty({"value": Decimal("7.50"), "unit": "µg"}).decode(), end="")
    {
      "value": 7.50,
      "unit": "µg"
    }
    """
    return msgspec.json.format(_encode(content), indent=2) + b"\n"
