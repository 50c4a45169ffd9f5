"""Whether references and canonicals have a form, and lead to a type, that their element allows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from conformance.findings import Link

if TYPE_CHECKING:
    from conformance.checker import Walk
    from conformance.definitions import Json, Package

TYPED = re.compile(r"(?:.*/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?(?:[|#].*)?")
ASKED = re.compile(r"([A-Z][A-Za-z]+)\?\S+")
"""A conditional reference, which a transaction may hold."""
ABSOLUTE = re.compile(r"[a-z][a-z0-9+.\-]*:\S+")


def named_type(package: Package, pointer: str) -> str | None:
    """Give the type of resource that a reference or canonical names."""
    found = TYPED.fullmatch(pointer) or ASKED.fullmatch(pointer)
    return found[1] if found and package.is_resource(found[1]) else None


def check_reference(walk: Walk, value: Json, path: str, targets: tuple[str, ...]) -> None:
    """Check the form and the target type of a Reference."""
    reference, said = value.get("reference"), value.get("type")
    found = None
    if isinstance(reference, str):
        if reference.startswith("#"):
            inner = [walk.standing.root] if reference == "#" else walk.standing.root.get("contained", [])
            found = next((each.get("resourceType") for each in inner if reference in ("#", f"#{each.get('id')}")), None)
        else:
            found = named_type(walk.package, reference)
            walk.report.link(Link(f"{path}.reference", "reference", reference, walk.owner, targets))
            if found is None and not ABSOLUTE.fullmatch(reference):
                walk.report.add(f"{path}.reference", "reference-form", "neither Type/id nor a URL")
    if isinstance(said, str) and found is not None and said != found:
        walk.report.add(f"{path}.type", "reference-type", f"says {said} of a {found}")
    _allowed(walk, path, found or said, targets)


def check_canonical(walk: Walk, value: str, path: str, targets: tuple[str, ...]) -> None:
    """Check the target type of a canonical, where its URL names one."""
    if value.startswith("#"):
        return
    walk.report.link(Link(path, "canonical", value, walk.owner, targets))
    _allowed(walk, path, named_type(walk.package, value), targets)


def _allowed(walk: Walk, path: str, found: object, targets: tuple[str, ...]) -> None:
    if isinstance(found, str) and targets and not set(targets) & set(walk.package.ancestors(found)):
        walk.report.add(path, "target", f"may not lead to a {found}")
