"""HL7's own definitions of R4 and R5, and whether a resource keeps to them, from its paths to its codes."""

from collections.abc import Iterator
from typing import Any

from adapter.errors import Issue, Severity
from adapter.fhir.definitions.contents import contents
from adapter.fhir.definitions.explain import explain
from adapter.fhir.definitions.model import Definitions, definitions
from adapter.fhir.definitions.schema import errors, whole_schema
from adapter.fhir.definitions.tree import Part, Placed, parts, resources
from adapter.fhir.versions import FhirVersion

__all__ = [
    "Definitions",
    "Part",
    "Placed",
    "check_placed",
    "check_resource",
    "definitions",
    "parts",
    "resources",
    "whole_schema",
]


def check_resource(resource: dict[str, Any], version: FhirVersion) -> list[Issue]:
    """Say where a resource we emit leaves HL7's definitions; nested and contained resources are checked too."""
    known = definitions(version)
    return [issue for placed in resources(resource, known) for issue in check_placed(placed, version, strict=True)]


def check_placed(placed: Placed, version: FhirVersion, *, strict: bool = False) -> Iterator[Issue]:
    """Check one resource of a document, by structure and then by contents."""
    known = definitions(version)
    if placed.type not in known.resource_types:
        if placed.type:
            yield _unknown_type(placed, known, strict=strict)
        return
    found = errors(version, placed.type, placed.resource)
    yield from dict.fromkeys(issue for error in found for issue in explain(error, version, placed.path))
    yield from contents(placed, known, strict=strict)


def _unknown_type(placed: Placed, known: Definitions, *, strict: bool) -> Issue:
    if placed.type in known.later_resources and not strict:
        said = f"{placed.type} is a resource of R4B; it is accepted and not checked"
        return Issue(Severity.INFORMATION, "r4b-only", said, placed.path)
    other = FhirVersion.R5 if known.version is FhirVersion.R4 else FhirVersion.R4
    said = f"this is no resource type of FHIR {known.version.value}"
    if placed.type in definitions(other).resource_types:
        said = f"{placed.type} is no resource type of FHIR {known.version.value}, but of {other.value}"
    return Issue(Severity.ERROR, "unknown-resource-type", said, f"{placed.path}.resourceType")
