"""Whether a resource is what HL7's StructureDefinitions say: every element, type, code, target and invariant."""

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import msgspec
from conformance import invariants_terminology  # noqa: F401 - registers its rules
from conformance.bindings import Terminology
from conformance.definitions import Constraint, Element, ElementType, Json, Package, Structure
from conformance.extensions import check_extension, slice_of
from conformance.findings import Link, Report, Weight
from conformance.invariants import BUILT_IN, RULES, Predicate, Standing
from conformance.pointers import check_canonical, check_reference
from conformance.primitives import faults

CODED = frozenset(("code", "Coding", "CodeableConcept", "CodeableReference", "Quantity", "string", "uri"))
BESIDE = frozenset(("id", "extension"))
"""What may stand beside a primitive value, under its name with an underscore."""


class Item(msgspec.Struct, frozen=True):
    """One value of an element, with what stands beside it where it is primitive."""

    path: str
    value: Any
    beside: Any = None


class Place(msgspec.Struct, frozen=True):
    """Where an object is described: a structure, the id of its element there, and the names it goes by."""

    structure: Structure
    id: str
    names: frozenset[str] = frozenset()
    targets: tuple[str, ...] = ()
    """What its reference may point to."""

    def within(self, structure: Structure, id_: str, names: frozenset[str]) -> "Place":
        """Give the place of something inside."""
        return Place(structure, id_, names)


class Checker:
    """Checks resources against the definitions of one version of FHIR."""

    def __init__(self, package: Package) -> None:
        """Remember the definitions."""
        self.package = package
        self.terminology = Terminology(package)

    def check(self, resource: Json) -> Report:
        """Check one resource and everything in it."""
        report = Report()
        owner = f"{resource.get('resourceType')}/{resource.get('id')}"
        Walk(self, report, owner, resource).resource(resource, str(resource.get("resourceType")))
        return report


class Walk:
    """One resource being checked; a resource inside it, contained or in a Bundle, is a walk of its own."""

    def __init__(self, checker: Checker, report: Report, owner: str, resource: Json, root: Json | None = None) -> None:
        self.checker = checker
        self.package = checker.package
        self.report = report
        self.owner = owner
        self.standing = Standing(resource, root or resource)
        self.ids: dict[str, str] = {}

    def resource(self, resource: Json, path: str, only: tuple[str, ...] = ()) -> None:
        """Check a resource against its type and against the profiles that it claims."""
        name = resource.get("resourceType")
        if not isinstance(name, str) or not self.package.is_resource(name):
            self.report.add(f"{path}.resourceType", "resource-type", f"no resource type {name}")
            return
        if only and not set(only) & set(self.package.ancestors(name)):
            self.report.add(path, "resource-type", f"a {name} is not one of {', '.join(only)}")
        self._described(resource, path, self.package.type(name))
        for index, url in enumerate(resource.get("meta", {}).get("profile", [])):
            profile = self.package.structure(url)
            if profile is None:
                self.report.add(f"{path}.meta.profile[{index}]", "profile-open", url, Weight.OPEN)
            elif profile.type not in self.package.ancestors(name):
                self.report.add(f"{path}.meta.profile[{index}]", "profile-type", f"{url} is not for a {name}")
            else:
                self._described(resource, path, profile)

    def _described(self, resource: Json, path: str, structure: Structure) -> None:
        names = frozenset((*self.package.ancestors(structure.type), "CanonicalResource", "MetadataResource"))
        self.constraints(structure.root, resource, path)
        for each in self.package.ancestors(structure.type):  # R5 does not repeat them in every snapshot
            self.constraints(self.package.type(each).root, resource, path)
        self.inside(resource, path, Place(structure, structure.root.id, names))

    def inside(self, value: Json, path: str, place: Place) -> None:
        """Check the elements of an object against those its definition lists."""
        known = {"resourceType"} if place.structure.kind == "resource" and "." not in place.id else set()
        for child_id in place.structure.children.get(place.id, ()):
            element = place.structure.elements[child_id]
            names = element.names
            found = {
                name: list(self._items(value, path, name, element, type_))
                for name, type_ in names.items()
                if name in value or f"_{name}" in value
            }
            if len(found) > 1:
                self.report.add(f"{path}.{element.name}", "one-choice", f"both {' and '.join(found)}")
            known |= {*names, *(f"_{name}" for name, type_ in names.items() if self._is_primitive(type_))}
            items = [(name, each) for name, some in found.items() for each in some]
            self._count(f"{path}.{element.name}", element, len(items))
            for name, each in items:
                self._item(each, element, names[name], place)
            self._slices(path, element, [each for _, each in items], place.structure)
        for name in sorted(value.keys() - known):
            self.report.add(f"{path}.{name}", "unknown-element", f"{place.id} has no {name}")
        if not value.keys() - {"id"}:
            self.report.add(path, "ele-1", "nothing in it")

    def _is_primitive(self, type_: ElementType | None) -> bool:
        return type_ is not None and self.package.is_primitive(type_.code)

    def _items(self, value: Json, path: str, name: str, element: Element, type_: ElementType | None) -> Iterator[Item]:
        """Give the values of an element one by one, having seen to it that lists are where lists belong."""
        at = f"{path}.{name}"
        main, beside = value.get(name), value.get(f"_{name}") if self._is_primitive(type_) else None
        if any(each is not None and isinstance(each, list) != element.is_list for each in (main, beside)):
            self.report.add(at, "list", "must be an array" if element.is_list else "must not be an array")
            return
        if main == [] or (main is None and beside is None):
            self.report.add(at, "ele-1", "nothing in it")
        if not element.is_list:
            yield Item(at, main, beside)
            return
        for index, (one, other) in enumerate(zip_longest(main or [], beside or [])):
            if one is None and other is None:
                self.report.add(f"{at}[{index}]", "ele-1", "nothing in it")
            else:
                yield Item(f"{at}[{index}]", one, other)

    def _count(self, path: str, element: Element, count: int) -> None:
        if count < element.min:
            self.report.add(path, "min", f"{element.id}: at least {element.min}, found {count}")
        if element.max is not None and count > element.max:
            self.report.add(path, "max", f"{element.id}: at most {element.max}, found {count}")

    def _slices(self, path: str, element: Element, items: list[Item], structure: Structure) -> None:
        """Count the extensions that a profile asks for by name; other slicing is not used by what we emit."""
        for slice_id in structure.slices.get(element.id, ()):
            wanted = structure.elements[slice_id]
            if element.name in ("extension", "modifierExtension"):
                count = sum(slice_of(structure, element.id, each.value.get("url")) == slice_id for each in items)
                self._count(f"{path}.{element.name}", wanted, count)
            elif wanted.min:
                self.report.add(f"{path}.{element.name}", "slice-open", slice_id, Weight.OPEN)

    def _item(self, item: Item, element: Element, type_: ElementType | None, place: Place) -> None:
        """Check one value of an element."""
        structure = place.structure
        if element.content is not None:
            element = structure.elements[element.content]
            type_ = element.types[0]
        if type_ is None:
            return
        if self._is_primitive(type_):
            self._primitive(item, element, type_)
            return
        if not isinstance(item.value, dict):
            self.report.add(item.path, "json-kind", f"{type_.code} is an object")
            return
        self._unique_id(item)
        if self.package.is_resource(type_.code):
            self._inner_resource(item, type_)
            return
        self._fixed(item.path, element, item.value)
        self.constraints(element, item.value, item.path)
        self._coded(item.path, element, type_, item.value)
        names = frozenset((element.path, *self.package.ancestors(type_.code)))
        if type_.code == "Extension":
            check_extension(self, item.value, item.path, element, place)
            return
        if element.id in structure.children:
            self.inside(item.value, item.path, Place(structure, element.id, names))
        self.typed(item.value, item.path, type_, names, place.targets if element.name == "reference" else ())

    def typed(
        self, value: Json, path: str, type_: ElementType, names: frozenset[str], targets: tuple[str, ...] = ()
    ) -> None:
        """Check an object against its data type, and against the profiles the element asks of the type."""
        if type_.code in ("BackboneElement", "Element"):
            return
        for url in (type_.code, *type_.profiles):
            structure = self.package.structure(url)
            if structure is None:
                self.report.add(path, "profile-open", url, Weight.OPEN)
                continue
            self.constraints(structure.root, value, path)
            self.inside(value, path, Place(structure, structure.root.id, names, type_.targets))
        if type_.code == "Reference":
            check_reference(self, value, path, type_.targets or targets)
        elif type_.code == "Coding":
            self._coding(value, path)

    def _coding(self, value: Json, path: str) -> None:
        if "system" in value:
            self.report.link(Link(path, "system", str(value["system"]), self.owner))
        for key, said, weight in self.checker.terminology.known_code(value):
            self.report.add(f"{path}.code", key, said, weight)

    def _inner_resource(self, item: Item, type_: ElementType) -> None:
        is_contained = ".contained[" in item.path
        root = self.standing.root if is_contained else item.value
        owner = self.owner if is_contained else f"{item.value.get('resourceType')}/{item.value.get('id')}"
        only = () if type_.code == "Resource" else (type_.code,)
        Walk(self.checker, self.report, owner, item.value, root).resource(item.value, item.path, only)

    def _primitive(self, item: Item, element: Element, type_: ElementType) -> None:
        if item.value is not None:
            for key, said in faults(self.package, type_.code, item.value):
                self.report.add(item.path, key, said)
            self._fixed(item.path, element, item.value)
            self.constraints(element, item.value, item.path)
            self._coded(item.path, element, type_, item.value)
            if type_.code == "canonical" and isinstance(item.value, str):
                check_canonical(self, item.value, item.path, type_.targets)
        if item.beside is None:
            return
        if not isinstance(item.beside, dict) or item.beside.keys() - BESIDE or not item.beside:
            self.report.add(item.path, "beside", "beside a primitive stand only its id and extensions")
            return
        self._unique_id(Item(item.path, item.beside))
        names = frozenset((element.path, *self.package.ancestors(type_.code)))
        structure = self.package.type("Element")
        self.inside(item.beside, item.path, Place(structure, structure.root.id, names))

    def _unique_id(self, item: Item) -> None:
        found = item.value.get("id")
        if isinstance(found, str) and "resourceType" not in item.value:
            before = self.ids.setdefault(found, item.path)
            if before != item.path:
                self.report.add(f"{item.path}.id", "unique-id", f"{found} is also the id of {before}")

    def _fixed(self, path: str, element: Element, value: object) -> None:
        if element.fixed is not None and value != element.fixed:
            self.report.add(path, "fixed", f"{element.id} is always {element.fixed}")
        if element.pattern is not None and not _matches(value, element.pattern):
            self.report.add(path, "fixed", f"{element.id} always has {element.pattern}")

    def _coded(self, path: str, element: Element, type_: ElementType, value: object) -> None:
        if element.binding is None or type_.code not in CODED:
            return
        for key, said, weight in self.checker.terminology.bound(element.binding, type_.code, value):
            self.report.add(path, key, said, weight)

    def constraints(self, element: Element, value: object, path: str) -> None:
        """Ask every invariant that HL7 states on an element."""
        for each in element.constraints:
            if each.key in BUILT_IN:
                continue
            predicate = RULES.get((each.key, self.package.release))
            if predicate is None:
                self.report.add(path, "invariant-open", each.key, Weight.OPEN)
            else:
                self._ask(predicate, each, value, path)

    def _ask(self, predicate: Predicate, constraint: Constraint, value: object, path: str) -> None:
        try:
            if not predicate(value, self.standing):
                self.report.add(path, constraint.key, constraint.human, Weight(constraint.severity))
        except (AttributeError, TypeError):  # a value of the wrong JSON kind, which is found on its own
            self.report.add(path, "invariant-open", constraint.key, Weight.OPEN)


def _matches(value: object, pattern: object) -> bool:
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(_matches(value.get(name), each) for name, each in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(_matches(one, each) for one in value) for each in pattern)
    return value == pattern
