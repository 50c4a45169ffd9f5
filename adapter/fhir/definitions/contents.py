"""What JSON Schema cannot say of a resource: required codes, reference targets, one value of a choice, nulls."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from adapter.errors import Issue, Severity
from adapter.fhir.definitions.model import Definitions, Element
from adapter.fhir.definitions.tree import Part, Placed, children, objects, parts

_URN = ("urn:uuid:", "urn:oid:")


def contents(placed: Placed, known: Definitions, *, strict: bool) -> Iterator[Issue]:
    """Check every part of one resource; ``strict`` refuses what R4B added to R4."""
    for part in parts(placed.resource, placed.path, known):
        yield from _choices(part)
        yield from _nulls(part)
        for element, value, path in children(part):
            if element.value_set is not None:
                yield from _codes(element, value, path, known)
            if isinstance(value, dict) and element.type in ("Reference", "CodeableReference"):
                later = () if strict else tuple(known.later_targets.get(f"{part.type.name}.{element.name}", ()))
                allowed = replace(element, targets=element.targets + later) if later else element
                yield from _reference(allowed, value, path, placed, known)
            if (
                element.type == "Resource"
                and isinstance(value, dict)
                and not isinstance(value.get("resourceType"), str)
            ):
                yield Issue(Severity.ERROR, "missing-element", "resourceType is required", f"{path}.resourceType")


def _choices(part: Part) -> Iterator[Issue]:
    sent: dict[str, set[str]] = {}
    for name in part.value:
        element = part.type.elements.get(name.removeprefix("_"))
        if element is not None and element.choice is not None:
            sent.setdefault(element.choice, set()).add(element.name)
    for choice, names in sent.items():
        if len(names) > 1:
            listed = " and ".join(sorted(names))
            said = f"only one {choice}[x] may be sent, not {listed}"
            yield Issue(Severity.ERROR, "several-choices", said, f"{part.path}.{choice}")


def _nulls(part: Part) -> Iterator[Issue]:
    """Refuse nulls that keep no place: in an array of primitives, null stands for a value with extensions only."""
    for name, value in part.value.items():
        element = part.type.elements.get(name.removeprefix("_"))
        if element is None or not element.is_primitive or not isinstance(value, list):
            continue
        other = part.value.get(name[1:] if name.startswith("_") else f"_{name}")
        partners = other if isinstance(other, list) else []
        for index, each in enumerate(value):
            has_partner = index < len(partners) and partners[index] is not None
            if each is None and not has_partner:
                place = f"{part.path}.{element.name}[{index}]"
                if not (name.startswith("_") and index < len(partners)):
                    said = "null stands for a value that has only extensions, and there are none"
                    yield Issue(Severity.ERROR, "stray-null", said, place)
        if name.startswith("_") and isinstance(other, list) and len(value) > len(other):
            said = f"there are more extensions of {element.name} than values; keep their places with null"
            yield Issue(Severity.ERROR, "stray-null", said, f"{part.path}.{element.name}")


def _codes(element: Element, value: Any, path: str, known: Definitions) -> Iterator[Issue]:  # noqa: ANN401 - any JSON
    value_set = element.value_set or ""
    listed = known.codes(value_set)
    if listed is None:
        return
    said = f"this is not a code of {value_set}"
    if isinstance(value, str):
        if value not in (known.plain_codes(value_set) or ()):
            yield Issue(Severity.ERROR, "not-a-code", said, path)
        return
    if not isinstance(value, dict):
        return
    concept: Any = value
    if element.type == "CodeableReference":
        concept = value.get("concept")
        path = f"{path}.concept"
        if not isinstance(concept, dict):
            return
    if element.type in ("CodeableConcept", "CodeableReference"):
        codings = objects(concept.get("coding"))
        if not codings and "extension" not in concept:
            said = f"a code of {value_set} is required here, not only text"
            yield Issue(Severity.ERROR, "not-a-code", said, path)
        elif codings and not any(_is_listed(each, listed) for each in codings):
            yield Issue(Severity.ERROR, "not-a-code", f"no coding here is of {value_set}", path)
    elif ("code" in concept or "system" in concept) and not _is_listed(concept, listed):
        yield Issue(Severity.ERROR, "not-a-code", said, path)


def _is_listed(coding: dict[str, Any], listed: Any) -> bool:  # noqa: ANN401 - codes by system
    """Whether system and code are of the value set; a coding whose code is left to an extension is not judged."""
    code, system = coding.get("code"), coding.get("system")
    if code is None:
        return "_code" in coding
    return isinstance(system, str) and isinstance(code, str) and code in listed.get(system, ())


def _reference(
    element: Element, value: dict[str, Any], path: str, placed: Placed, known: Definitions
) -> Iterator[Issue]:
    at = value
    if element.type == "CodeableReference":
        inner = value.get("reference")
        if not isinstance(inner, dict):
            return
        at, path = inner, f"{path}.reference"
    reference = at.get("reference")
    said: Any = None
    if isinstance(reference, str):
        said = placed.referred(reference, known)
        if said is None and reference.startswith(_URN) and placed.bundle is not None and reference not in placed.urls:
            told = "no entry of the Bundle has the fullUrl this urn reference names, and nothing else can resolve it"
            yield Issue(Severity.WARNING, "reference-dangling", told, f"{path}.reference")
    if said is None:
        said = at.get("type")
    if element.targets and isinstance(said, str) and said in known.resource_types and said not in element.targets:
        told = f"this may refer to {_listed(element.targets)}, not to {said}"
        yield Issue(Severity.ERROR, "reference-target", told, path)


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " or " + names[-1]
