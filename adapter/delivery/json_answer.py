"""FHIR's JSON on the wire: what a server answered, decimals exact, and what is sent to it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

MEDIA_TYPE = "application/fhir+json"
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_DECODER = msgspec.json.Decoder(float_hook=Decimal)


def written(body: Mapping[str, Any]) -> bytes:
    """Give a resource as JSON, decimals with the digits they have."""
    return _ENCODER.encode(body)


def body_of(data: bytes) -> dict[str, Any] | None:
    """Give the JSON object of an answer; None where there is none, such as a proxy's page."""
    try:
        body = _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return body if isinstance(body, dict) else None
