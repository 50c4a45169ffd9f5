"""What the server says it can do: its FHIR version, transactions, and what it allows for each type of resource."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from adapter.delivery.client import Client
from adapter.errors import AdapterError, Category, Issue, Severity, one_line
from adapter.fhir.versions import FhirVersion

_RELEASES = {FhirVersion.R4: ("4.0.", "4.3."), FhirVersion.R5: ("5.0.",)}
"""How fhirVersion begins; what is emitted as R4 means the same in R4B."""


class TypeCapability(msgspec.Struct, frozen=True):
    """What a server says of one type; None where it says nothing, which is no refusal."""

    update_create: bool | None = None
    """Whether a resource may be created under an id of ours."""
    has_versions: bool | None = None
    conditional_update: bool | None = None
    conditional_create: bool | None = None


class Capability(msgspec.Struct, frozen=True):
    """What a server says it can do."""

    transaction: bool
    batch: bool
    types: Mapping[str, TypeCapability]
    """Empty where the server does not list its types."""

    def of(self, resource_type: str) -> TypeCapability:
        """Give what is said of a type, or that nothing is said."""
        return self.types.get(resource_type, TypeCapability())


def read_capability(client: Client, version: FhirVersion) -> Capability:
    """Ask ``/metadata``; raises AdapterError where this is no FHIR server, or one of another version."""
    answer = client.read("metadata")
    body = answer.body or {}
    if not answer.is_success or body.get("resourceType") != "CapabilityStatement":
        said = (
            f"there is no CapabilityStatement at metadata below the address (HTTP {answer.status});"
            " is the address the server's FHIR base, and may these credentials read it?"
        )
        raise AdapterError.of(Category.UNSUPPORTED, "not-a-fhir-server", said)
    spoken = body.get("fhirVersion")
    if not isinstance(spoken, str) or not spoken.startswith(_RELEASES[version]):
        told = one_line(spoken[:40]) if isinstance(spoken, str) else "no version"
        other = next(
            (each for each, begin in _RELEASES.items() if isinstance(spoken, str) and spoken.startswith(begin)), None
        )
        more = f"; export with --fhir-version {other.value}" if other else ""
        said = f"the server speaks FHIR {told}, and {version.value} is to be written{more}"
        raise AdapterError.of(Category.UNSUPPORTED, "wrong-fhir-version", said)
    return _capability(next((each for each in _objects(body.get("rest")) if each.get("mode") == "server"), {}))


def check_types(capability: Capability, types: Iterable[str], *, conditional: bool) -> None:
    """Refuse, before anything is written, what the server says it will not take; raises AdapterError."""
    issues = []
    for each in sorted(set(types)):
        said, code = "", ""
        if capability.types and each not in capability.types:
            code, said = "type-not-supported", "the server does not take this type of resource"
        elif not conditional and capability.of(each).update_create is False:
            code = "client-ids-refused"
            said = "the server gives ids itself (updateCreate is false); export with --conditional"
        elif conditional and capability.of(each).conditional_update is capability.of(each).conditional_create is False:
            code = "conditional-refused"
            said = "the server takes neither conditional update nor conditional create; export without --conditional"
        if code:
            issues.append(Issue(Severity.ERROR, code, said, expression=each))
    if issues:
        raise AdapterError(Category.UNSUPPORTED, issues)


def _capability(rest: dict[str, Any]) -> Capability:
    interactions = {each.get("code") for each in _objects(rest.get("interaction"))}
    types = {}
    for each in _objects(rest.get("resource")):
        versioning = each.get("versioning")
        types[str(each.get("type"))] = TypeCapability(
            update_create=_boolean(each.get("updateCreate")),
            has_versions=None if versioning is None else versioning != "no-version",
            conditional_update=_boolean(each.get("conditionalUpdate")),
            conditional_create=_boolean(each.get("conditionalCreate")),
        )
    return Capability(transaction="transaction" in interactions, batch="batch" in interactions, types=types)


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None
