"""When are two messages the same: the first key that a message has, and the digest of what it says."""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from adapter.service.negotiation import Wanted
from adapter.service.outcomes import Refusal
from adapter.service.reading import part_of

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_BOM = b"\xef\xbb\xbf"


class Key(msgspec.Struct, frozen=True):
    """The name of a message, and the digest that tells whether it still says the same."""

    name: str
    digest: str


def key_of(
    operation: str,
    resource: dict[str, Any],
    data: bytes,
    headers: Mapping[str, str],
    wanted: Wanted,
    tenant: str = "",
) -> Key:
    """Give the key of a message; raises Refusal for an ``Idempotency-Key`` that is none.

    A FHIR message is known by its envelope (Bundle.identifier or id): another message in the same envelope is an
    error, the same message in a new envelope is evaluated again.  Other Bundles are known by their identifier, then
    comes the header, and at last the payload itself, however it is laid out.  Keys are kept as digests: an
    identifier may be a patient's.
    """
    digest = digest_of(data)
    header = headers.get("idempotency-key")
    if header is not None and not _KEY.fullmatch(header):
        said = "Idempotency-Key must be 1 to 255 printable ASCII characters without blanks"
        raise Refusal.of(400, "idempotency-key", said)
    name = _envelope(resource)
    if name is None and header is not None:
        name = f"header|{header}"
    if name is None:
        amount = wanted.amount.value if wanted.amount else ""
        name = f"payload|{wanted.version.value}|{amount}|{digest}"
    return key_named(operation, name, digest, tenant)


def key_named(operation: str, name: str, digest: str, tenant: str = "") -> Key:
    """Give the key of a message that has a name; tenants never meet in one, whatever their clients are called."""
    whose = f"{tenant}\n" if tenant else ""
    return Key(hashlib.sha256(f"{whose}{operation}|{name}".encode()).hexdigest(), digest)


def digest_of(data: bytes) -> str:
    """Give the digest of what JSON says, however it is laid out."""
    return hashlib.sha256(msgspec.json.format(data.removeprefix(_BOM), indent=-1)).hexdigest()


def _envelope(resource: dict[str, Any]) -> str | None:
    """Give the name a Bundle has by itself; its id only where it is a message, which has no other."""
    if resource.get("resourceType") != "Bundle":
        return None
    value = part_of(resource, "identifier", "value")
    if value:
        return f"identifier|{part_of(resource, 'identifier', 'system') or ''}|{value}"
    if resource.get("type") != "message":
        return None
    own = part_of(resource, "id")
    if own:
        return f"message|{own}"
    entries = resource.get("entry")
    first = entries[0] if isinstance(entries, list) and entries else None
    header = part_of(first, "resource", "id")
    return f"header-id|{header}" if header else None
