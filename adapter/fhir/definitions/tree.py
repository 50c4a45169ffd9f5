"""Every resource of a document, and every part of a resource with its type: what the checks walk over."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from adapter.fhir.definitions.model import Definitions, Element, TypeDefinition

Json = dict[str, Any]

_TYPE_AND_ID = re.compile(r"(?:^|/)([A-Z][A-Za-z]{2,63})/[A-Za-z0-9\-.]{1,64}(?:/_history/[^/#]+)?(?:#.*)?$")
_HOLDERS = frozenset(("Bundle", "Parameters"))
"""Types that hold resources deep inside; in all others they stand in ``contained``."""
_CONDITIONAL = re.compile(r"^([A-Z][A-Za-z]{2,63})\?")


@dataclass(frozen=True, slots=True)
class Placed:
    """A resource where it stands in the document."""

    resource: Json
    path: str
    root: Json
    """The resource that local references (``#id``) are looked up in: itself, or the one that contains it."""
    is_contained: bool = False
    bundle: Json | None = None
    """The innermost Bundle it is an entry of."""
    urls: Mapping[str, Json] = field(default_factory=dict)
    """The resources of that Bundle by fullUrl."""

    @property
    def type(self) -> str:
        """The resource type it says it has, which need not be one."""
        said = self.resource.get("resourceType")
        return said if isinstance(said, str) else ""

    def referred(self, reference: str, known: Definitions) -> str | None:
        """Give the type of the resource a reference means, as far as this document tells; None when it does not."""
        if reference.startswith("#"):
            target = self.root if reference == "#" else self.contained(reference[1:])
        else:
            target = self.urls.get(reference)
        if target is not None:
            said = target.get("resourceType")
            return said if isinstance(said, str) and said in known.resource_types else None
        found = _TYPE_AND_ID.search(reference) or _CONDITIONAL.match(reference)
        return found[1] if found is not None and found[1] in known.resource_types else None

    def contained(self, identity: str) -> Json | None:
        """Give the contained resource of that id."""
        return next((each for each in objects(self.root.get("contained")) if each.get("id") == identity), None)


@dataclass(frozen=True, slots=True)
class Part:
    """A complex element of a resource (or the resource itself), with its type and where it stands."""

    value: Json
    type: TypeDefinition
    path: str


def objects(value: object) -> list[Json]:
    """Give the objects of what should be an array of objects."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def values(value: object) -> list[Any]:
    """Give what stands in an array, or the one thing that stands in none."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def resources(tree: Json, known: Definitions) -> Iterator[Placed]:
    """Give the resource itself and all that stand in it: entries, outcomes, parameters, contained resources."""
    name = tree.get("resourceType")
    yield from _inside(
        Placed(tree, name if isinstance(name, str) and name in known.resource_types else "Resource", tree), known
    )


def _inside(placed: Placed, known: Definitions) -> Iterator[Placed]:
    yield placed
    if placed.type not in known.resource_types:
        return
    resource = placed.resource
    bundle, urls = placed.bundle, placed.urls
    if placed.type == "Bundle":
        bundle = resource
        urls = {
            entry["fullUrl"]: entry["resource"]
            for entry in objects(resource.get("entry"))
            if isinstance(entry.get("fullUrl"), str) and isinstance(entry.get("resource"), dict)
        }
    whole = Part(resource, known.type(placed.type), placed.path)
    for part in parts(resource, placed.path, known) if placed.type in _HOLDERS else (whole,):
        for element, value, path in children(part):
            if element.type == "Resource" and isinstance(value, dict):
                is_contained = element.name == "contained"
                root = placed.root if is_contained else value
                yield from _inside(Placed(value, path, root, is_contained, bundle, urls), known)


def parts(resource: Json, path: str, known: Definitions) -> Iterator[Part]:
    """Give the resource and every complex element in it, without those of the resources that stand in it."""
    name = resource.get("resourceType")
    if isinstance(name, str) and name in known.resource_types:
        yield from _parts(resource, known.type(name), path, known)


def _parts(value: Json, kind: TypeDefinition, path: str, known: Definitions) -> Iterator[Part]:
    yield Part(value, kind, path)
    elements = kind.elements
    for name, child in value.items():
        element = elements.get(name)
        if element is None:
            companion = elements.get(name[1:]) if name.startswith("_") else None
            if companion is None or not companion.is_primitive:
                continue
            inner = known.type("Element")
        elif element.is_primitive or element.type == "Resource":
            continue
        else:
            inner = known.type(element.type)
        below = f"{path}.{name.removeprefix('_')}"
        if isinstance(child, dict):
            yield from _parts(child, inner, below, known)
        elif isinstance(child, list):
            for index, each in enumerate(child):
                if isinstance(each, dict):
                    yield from _parts(each, inner, f"{below}[{index}]", known)


def children(part: Part) -> Iterator[tuple[Element, Any, str]]:
    """Give what a part holds: each known element with one value of it and its place."""
    for name, child in part.value.items():
        element = part.type.elements.get(name)
        if element is None:
            continue
        if isinstance(child, list):
            for index, each in enumerate(child):
                yield element, each, f"{part.path}.{name}[{index}]"
        else:
            yield element, child, f"{part.path}.{name}"
