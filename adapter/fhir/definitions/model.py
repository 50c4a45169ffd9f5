"""What HL7's StructureDefinitions, value sets and constraints say, as small records read from the packed files."""

import functools
import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from adapter.fhir.versions import FhirVersion

_QUANTITY_PROFILES = frozenset(("SimpleQuantity", "MoneyQuantity"))
_UNLISTED = frozenset[str]()


@dataclass(frozen=True, slots=True)
class Element:
    """One element under the JSON name it is sent by: ``valueQuantity`` is an element, ``value[x]`` is not."""

    name: str
    type: str
    targets: tuple[str, ...]
    """Resource types a reference may point at; empty when it may point at any."""
    required: bool
    repeats: bool
    most: int | None
    """The largest number of repetitions, where there is one."""
    value_set: str | None
    choice: str | None
    """``value`` when this is one of the ``value[x]``, of which only one may be sent."""
    is_primitive: bool


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """A resource, data type or backbone element: its elements by JSON name and the constraints stated on it."""

    name: str
    kind: str
    elements: Mapping[str, Element]
    constraints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """An invariant as HL7 words it."""

    key: str
    severity: str
    human: str


class Definitions:
    """Everything known of one FHIR version; types are read from the file's tables when they are first asked for."""

    def __init__(self, version: FhirVersion, packed: Mapping[str, Any]) -> None:
        self.version = version
        self.fhir_version: str = packed["fhirVersion"]
        self.primitives: Mapping[str, str | None] = packed["primitives"]
        self.constraints = {key: Constraint(key, *said) for key, said in packed["constraints"].items()}
        later = packed.get("later", {})
        self.later_resources = frozenset(later.get("resources", ()))
        """Resource types that only R4B has."""
        self.later_targets: Mapping[str, list[str]] = later.get("targets", {})
        """Reference targets that only R4B allows, by element path."""
        self._types: Mapping[str, Any] = packed["types"]
        self._value_sets: Mapping[str, Mapping[str, list[str]] | None] = packed["valueSets"]
        self._read: dict[str, TypeDefinition] = {}
        self.resource_types = frozenset(
            name for name, said in self._types.items() if said["kind"] == "resource" and "abstract" not in said
        )

    def has_type(self, name: str) -> bool:
        """Whether this version has a complex type of that name."""
        return name in self._types

    def type(self, name: str) -> TypeDefinition:
        """Give a complex type by name, such as ``Observation``, ``Observation.component`` or ``Quantity``."""
        found = self._read.get(name)
        if found is None:
            said = self._types[name]
            elements = {
                each.name: each for path, entry in said["elements"].items() for each in self._elements(path, entry)
            }
            found = TypeDefinition(name, said["kind"], elements, tuple(said["constraints"]))
            self._read[name] = found
        return found

    def _elements(self, path: str, entry: Mapping[str, Any]) -> list[Element]:
        base, is_choice, _ = path.partition("[x]")
        made = []
        for kind, targets in entry["types"].items():
            suffix = "Quantity" if kind in _QUANTITY_PROFILES else kind[:1].upper() + kind[1:]
            most = None if entry["max"] == "*" else max(1, int(entry["max"]))
            element = Element(
                name=base + suffix if is_choice else base,
                type=kind,
                targets=tuple(targets),
                required=entry["min"] > 0,
                repeats=most is None or most > 1,
                most=most,
                value_set=entry.get("valueSet"),
                choice=base if is_choice else None,
                is_primitive=kind in self.primitives,
            )
            made.append(element)
        return made

    @functools.cached_property
    def element_names(self) -> frozenset[str]:
        """Every JSON name this version uses anywhere: names that may be repeated to a person as no patient's data."""
        names = {each.name for name in self._types for each in self.type(name).elements.values()}
        return frozenset(names | {f"_{name}" for name in names} | {"resourceType"})

    def codes(self, value_set: str) -> Mapping[str, frozenset[str]] | None:
        """Give a required value set's codes by system; None when it cannot be listed (languages, media types)."""
        return self._expanded(value_set)

    @functools.cache  # noqa: B019 - the two Definitions live as long as the process
    def _expanded(self, value_set: str) -> Mapping[str, frozenset[str]] | None:
        listed = self._value_sets.get(value_set)
        return None if listed is None else {system: frozenset(codes) for system, codes in listed.items()}

    @functools.cache  # noqa: B019 - the same
    def plain_codes(self, value_set: str) -> frozenset[str] | None:
        """Give the codes of all systems together, for elements of type ``code`` that name no system."""
        listed = self._expanded(value_set)
        return None if listed is None else _UNLISTED.union(*listed.values())

    @functools.cache  # noqa: B019 - the same
    def format(self, primitive: str) -> re.Pattern[str]:
        """Give the pattern a primitive's JSON string must match from end to end."""
        return re.compile(pattern(primitive, self.primitives[primitive]))


_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_YEAR = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_OURS = {
    # HL7's R5 pattern lets a time stand without a zone; its text forbids it ("a timezone offset SHALL be populated").
    "dateTime": rf"{_YEAR}(-(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])(T{_TIME}{_ZONE})?)?)?",
    # HL7's R4 pattern takes exponential time on text that is not base64; blanks are allowed between the letters.
    # No group repeats here, since each repetition would cost memory, and attachments are long.
    "base64Binary": r"[0-9a-zA-Z+/]\s*[0-9a-zA-Z+/][0-9a-zA-Z+/\s]*(?:=\s*){0,2}",
    "string": r"[\s\S]+",
    "markdown": r"[\s\S]+",
    "xhtml": r"[\s\S]+",
    "uri": r"\S+",
    "url": r"\S+",
    "canonical": r"\S+",
}
"""Where HL7's pattern is too lax, too strict for its own examples, or too slow to run on strangers' text."""


def pattern(primitive: str, stated: str | None) -> str:
    """Give a primitive's pattern, anchored at both ends (``$`` alone would let a trailing newline pass)."""
    return rf"^(?:{_OURS.get(primitive) or stated})$(?!\n)"


@functools.cache
def definitions(version: FhirVersion) -> Definitions:
    """Read one version's definitions; about 20 ms, once."""
    name = f"{version.value.lower()}.json.gz"
    packed = resources.files("adapter.fhir.definitions").joinpath(name).read_bytes()
    return Definitions(version, json.loads(gzip.decompress(packed)))
