"""HL7's invariants: which hold where stands in the definitions, and what each asks is one small function per key."""

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from adapter.errors import Issue, Severity
from adapter.fhir.definitions import Definitions, Part, Placed, parts
from adapter.fhir.definitions.tree import objects
from adapter.fhir.versions import FhirVersion

Json = dict[str, Any]
Rule = Callable[[Part, Placed], Iterable[str]]
"""Gives the places, relative to the part, where an invariant is broken; an empty string means the part itself."""

BOTH = (FhirVersion.R4, FhirVersion.R5)
RULES: dict[tuple[str, FhirVersion], Rule] = {}
_SEVERITY = {"error": Severity.ERROR, "warning": Severity.WARNING}
IS_INVARIANT = re.compile(r"[a-z]{2,6}-\d+[a-z]?$")
"""What tells HL7's keys from our own issue codes."""


def broken(key: str, *versions: FhirVersion) -> Callable[[Rule], Rule]:
    """Name the invariant that a rule looks after, in the versions where HL7 gives the key this meaning."""

    def register(rule: Rule) -> Rule:
        for version in versions or BOTH:
            RULES[key, version] = rule
        return rule

    return register


def holds(key: str, *versions: FhirVersion) -> Callable[[Callable[[Json], bool]], Callable[[Json], bool]]:
    """Name the invariant that a yes-or-no question about one element answers."""

    def register(question: Callable[[Json], bool]) -> Callable[[Json], bool]:
        def rule(part: Part, _placed: Placed) -> Iterable[str]:
            return () if question(part.value) else ("",)

        broken(key, *versions)(rule)
        return question

    return register


def check_invariants(placed: Placed, known: Definitions) -> Iterator[Issue]:
    """Give every invariant that one resource breaks, worded as HL7 words it."""
    for part in parts(placed.resource, placed.path, known):
        for key, rule in _rules(part.type.constraints, part.type.kind, known.version):
            for place in rule(part, placed):
                said = known.constraints[key]
                yield Issue(_SEVERITY[said.severity], key, said.human.strip(), part.path + place)


@functools.cache
def _rules(keys: tuple[str, ...], kind: str, version: FhirVersion) -> tuple[tuple[str, Rule], ...]:
    """Give the rules for a type; ele-1 is stated on Element, from which every type but the resources descends."""
    stated = keys if kind == "resource" or "ele-1" in keys else ("ele-1", *keys)
    return tuple((key, RULES[key, version]) for key in stated if (key, version) in RULES)


def has(node: Json, *names: str) -> bool:
    """Whether any of the elements is there, if only as extensions; ``value[x]`` means any of its types."""
    for name in names:
        if name.endswith("[x]"):
            base = name[:-3]
            if any(each.removeprefix("_").startswith(base) and _follows(each, base) for each in node):
                return True
        elif name in node or f"_{name}" in node:
            return True
    return False


def _follows(name: str, base: str) -> bool:
    return name.removeprefix("_")[len(base) : len(base) + 1].isupper()


def value_of(node: Json, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Follow a dotted path through objects; None where it ends early."""
    found: Any = node
    for step in path.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


def is_coded(concept: object, system: str, *codes: str) -> bool:
    """Whether a CodeableConcept has a coding of that system with one of those codes."""
    codings = objects(concept.get("coding")) if isinstance(concept, dict) else []
    return any(each.get("system") == system and each.get("code") in codes for each in codings)
