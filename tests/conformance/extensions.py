"""Whether an extension is what its definition says, and stands where it may."""

from __future__ import annotations

from typing import TYPE_CHECKING

from conformance.findings import Weight

if TYPE_CHECKING:
    from conformance.checker import Place, Walk
    from conformance.definitions import Element, Json, Structure


def check_extension(walk: Walk, value: Json, path: str, element: Element, place: Place) -> None:
    """Check an extension against its own definition, or the general one where that is not here."""
    url = value.get("url")
    if not isinstance(url, str):
        url = ""
    structure, root = _defined(walk, url, element, place)
    if structure is None:
        if ":" in url:
            walk.report.add(path, "extension-open", url, Weight.OPEN)
        elif place.structure.type != "Extension":
            walk.report.add(f"{path}.url", "extension-url", "must be absolute")
        structure = walk.package.type("Extension")
        root = structure.root.id
    elif "." not in root:
        _check_place(walk, path, element, place, structure)
    names = frozenset((element.path, f"extension:{url}", *walk.package.ancestors("Extension")))
    walk.constraints(walk.package.type("Extension").root, value, path)
    walk.inside(value, path, place.within(structure, root, names))


def _defined(walk: Walk, url: str, element: Element, place: Place) -> tuple[Structure | None, str]:
    """Find a definition: a part of the complex extension around it, or one of its own."""
    found = slice_of(place.structure, element.id, url)
    if found is not None and ":" not in url:
        return place.structure, found
    structure = walk.package.structure(url) if ":" in url else None
    if structure is None or structure.type != "Extension":
        return None, ""
    return structure, structure.root.id


def slice_of(structure: Structure, element_id: str, url: object) -> str | None:
    """Give the id of the slice that an extension's url falls into."""
    for slice_id in structure.slices.get(element_id, ()):
        fixed = structure.elements.get(f"{slice_id}.url")
        profiles = [each for type_ in structure.elements[slice_id].types for each in type_.profiles]
        if (fixed is not None and fixed.fixed == url) or url in profiles:
            return slice_id
    return None


def _check_place(walk: Walk, path: str, element: Element, place: Place, structure: Structure) -> None:
    """Hold an extension against the contexts its definition gives; R4 writes Element where it means anywhere."""
    if structure.root.is_modifier != (element.name == "modifierExtension"):
        said = "changes meaning" if structure.root.is_modifier else "changes no meaning"
        walk.report.add(path, "modifier", f"{structure.url} {said}")
    allowed = {f"extension:{said}" if kind == "extension" else said for kind, said in structure.contexts}
    is_free = "Element" in allowed or any(kind == "fhirpath" for kind, _ in structure.contexts)
    if allowed and not is_free and not allowed & place.names:
        walk.report.add(path, "extension-context", f"{structure.url} belongs on {', '.join(sorted(allowed))}")
