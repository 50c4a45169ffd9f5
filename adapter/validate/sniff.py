"""Whether JSON is R4 or R5, told by the elements it uses that only one of them has."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from adapter.errors import Issue, Severity
from adapter.fhir.definitions import Definitions, definitions
from adapter.fhir.definitions.tree import objects
from adapter.fhir.versions import FhirVersion


@dataclass(frozen=True, slots=True)
class Sniffed:
    """The version something was read as, and the issue that says why."""

    version: FhirVersion
    issue: Issue
    is_sure: bool = True
    """Whether anything told the versions apart."""


def sniff(trees: Iterable[Any]) -> Sniffed:
    """Weigh the signs; Patient and Observation alone look the same in both and are taken for R4, which is commoner."""
    r4, r5 = definitions(FhirVersion.R4), definitions(FhirVersion.R5)
    count = {FhirVersion.R4: 0, FhirVersion.R5: 0}
    first: dict[FhirVersion, str] = {}
    for tree in trees:
        for resource, path in _resources(tree):
            for known, against in ((r4, r5), (r5, r4)):
                sign = _sign(resource, path, known, against)
                if sign is not None:
                    count[known.version] += 1
                    first.setdefault(known.version, sign)
    version = FhirVersion.R5 if count[FhirVersion.R5] > count[FhirVersion.R4] else FhirVersion.R4
    if not any(count.values()):
        said = f"nothing here tells R4 from R5; read as FHIR {version.value}"
        return Sniffed(version, Issue(Severity.INFORMATION, "version-assumed", said), is_sure=False)
    said = f"read as FHIR {version.value}, by this element or type"
    other = FhirVersion.R4 if version is FhirVersion.R5 else FhirVersion.R5
    if count[other]:
        said = f"{said} and {count[version] - 1} more like it, against {count[other]} of {other.value}"
    return Sniffed(version, Issue(Severity.INFORMATION, "version-inferred", said, first[version]))


def _sign(resource: dict[str, Any], path: str, known: Definitions, other: Definitions) -> str | None:
    """Give the first sign that this resource is of one version and not of the other."""
    name = resource["resourceType"]
    if name not in known.resource_types:
        return None
    if name not in other.resource_types:
        # A type R4B brought is no sign of R5.
        return None if name in other.later_resources else f"{path}.resourceType"
    here, there = known.type(name).elements, other.type(name).elements
    found = next((each for each in resource if each in here and each not in there), None)
    if found is None:
        found = next(
            (each for each, value in resource.items() if _is_reshaped(value, here.get(each), there.get(each))), None
        )
    return None if found is None else f"{path}.{found}"


def _is_reshaped(value: object, here: Any, there: Any) -> bool:  # noqa: ANN401 - elements of two versions
    """Whether a value sent fits the element here and not there: R4's ``reported``, R5's list of ``class``."""
    if here is None or there is None:
        return False
    if here.repeats != there.repeats:
        return isinstance(value, list) == bool(here.repeats)
    if here.is_primitive == there.is_primitive:
        return False
    one = value[0] if isinstance(value, list) and value else value
    return isinstance(one, dict) != bool(here.is_primitive)


def _resources(tree: object) -> Iterable[tuple[dict[str, Any], str]]:
    if not isinstance(tree, dict):
        return
    name = tree.get("resourceType")
    if not isinstance(name, str):
        return
    if name == "Bundle":
        for index, entry in enumerate(tree["entry"] if isinstance(tree.get("entry"), list) else []):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if isinstance(resource, dict) and isinstance(resource.get("resourceType"), str):
                yield resource, f"Bundle.entry[{index}].resource"
    yield tree, name
    for index, contained in enumerate(objects(tree.get("contained"))):
        if isinstance(contained.get("resourceType"), str):
            yield contained, f"{name}.contained[{index}]"
