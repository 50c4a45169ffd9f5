"""Which codes a value set holds, as far as that can be told offline."""

import re
from collections.abc import Callable, Iterator

from conformance.definitions import Json, Package

Codes = dict[str, frozenset[str] | None]
"""Codes by system; None for a system whose codes are not here, such as SNOMED CT or the media types."""


def expand(package: Package, url: str) -> Codes | None:
    """List a value set's codes by system; None where the value set itself is not here."""
    value_set = package.value_sets.get(url.partition("|")[0])
    if value_set is None:
        return None
    compose = value_set.get("compose", {})
    if "include" not in compose:
        return None
    codes: Codes = {}
    for part in compose["include"]:
        for system, some in _part(package, part).items():
            known = codes.get(system, frozenset())
            codes[system] = None if known is None or some is None else known | some
    for part in compose.get("exclude", []):
        for system, some in _part(package, part).items():
            known = codes.get(system)
            codes[system] = None if known is None or some is None else known - some
    return codes


def is_whole(codes: Codes | None) -> bool:
    """Whether every code is listed."""
    return codes is not None and None not in codes.values()


def holds(codes: Codes, code: str, system: str | None = None) -> bool | None:
    """Whether a value set holds a code; None where it cannot be told. Without a system, any of its systems will do."""
    asked = list(codes.values()) if system is None else [codes.get(system, frozenset())]
    if any(some is not None and code in some for some in asked):
        return True
    return None if None in asked else False


def _part(package: Package, part: Json) -> Codes:
    """List what one include or exclude names: its system's codes, held against the value sets beside them."""
    found: Codes | None = None
    if "system" in part:
        found = {part["system"]: _of_system(package, part)}
    for url in part.get("valueSet", []):
        listed = expand(package, url)
        if listed is None:
            return dict.fromkeys(found or {url: None})
        found = (
            listed if found is None else {each: _both(found[each], listed[each]) for each in found if each in listed}
        )
    return found or {}


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    return None if one is None or other is None else one & other


def _of_system(package: Package, part: Json) -> frozenset[str] | None:
    if "concept" in part:
        return frozenset(each["code"] for each in part["concept"])
    system = package.code_systems.get(part["system"], {})
    if system.get("content") != "complete":
        return None
    chosen = {each["code"]: each for each in concepts(system)}
    for each in part.get("filter", []):
        rule = FILTERS.get(each["op"])
        if rule is None:
            return None
        chosen = {code: concept for code, concept in chosen.items() if rule(system, concept, each)}
    return frozenset(chosen)


def concepts(holder: Json) -> Iterator[Json]:
    """Give every concept of a code system, the nested ones too."""
    for each in holder.get("concept", []):
        yield each
        yield from concepts(each)


def code_list(package: Package, system: str) -> frozenset[str] | None:
    """Give all codes of a code system; None where they are not all here."""
    return _of_system(package, {"system": system})


def _ancestors(system: Json, code: str) -> set[str]:
    """Give the codes above a code, by nesting and by the properties that name parents or children."""
    parents: dict[str, set[str]] = {}
    for each in concepts(system):
        for child in each.get("concept", []):
            parents.setdefault(child["code"], set()).add(each["code"])
        for said in each.get("property", []):
            if said["code"] in ("parent", "subsumedBy"):
                parents.setdefault(each["code"], set()).add(said.get("valueCode", ""))
            elif said["code"] == "child":
                parents.setdefault(said.get("valueCode", ""), set()).add(each["code"])
    found: set[str] = set()
    waiting = {code}
    while waiting:
        waiting = {above for each in waiting for above in parents.get(each, ())} - found
        found |= waiting
    return found


def _values(concept: Json, name: str) -> list[str]:
    if name in ("code", "display"):
        return [concept[name]] if name in concept else []
    said = [each for each in concept.get("property", []) if each["code"] == name]
    return [_text(value) for each in said for key, value in each.items() if key.startswith("value")]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value["code"]) if isinstance(value, dict) else str(value)


Filter = Callable[[Json, Json, Json], bool]
FILTERS: dict[str, Filter] = {
    "is-a": lambda system, concept, said: (
        concept["code"] == said["value"] or said["value"] in _ancestors(system, concept["code"])
    ),
    "descendent-of": lambda system, concept, said: said["value"] in _ancestors(system, concept["code"]),
    "is-not-a": lambda system, concept, said: not FILTERS["is-a"](system, concept, said),
    "=": lambda _, concept, said: said["value"] in _values(concept, said["property"]),
    "in": lambda _, concept, said: bool(set(said["value"].split(",")) & set(_values(concept, said["property"]))),
    "not-in": lambda _, concept, said: not FILTERS["in"](_, concept, said),
    "exists": lambda _, concept, said: bool(_values(concept, said["property"])) == (said["value"] == "true"),
    "regex": lambda _, concept, said: any(
        re.fullmatch(said["value"], each) for each in _values(concept, said["property"])
    ),
}
"""What each filter of a value set asks of a concept; an operator that is not here leaves the value set open."""
