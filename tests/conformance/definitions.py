"""What HL7 defines for one version of FHIR: structures, value sets and code systems, read from unpacked packages.

The first folder is the core package and speaks first; the others add extension definitions and terminology.
"""

import functools
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

Json = dict[str, Any]

CORE = "http://hl7.org/fhir/StructureDefinition/"
SYSTEM_TYPE = "http://hl7.org/fhirpath/System."
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
R5_DECIMAL_MISPRINT = "{1,9}})"
"""R5's own pattern for decimal closes one brace twice, so that it would take no exponent at all."""


class ElementType(msgspec.Struct, frozen=True):
    """One type an element may have, with the profiles it must follow and what it may point to."""

    code: str
    profiles: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    """Names of resource types; empty where any is allowed."""

    @property
    def suffix(self) -> str:
        """Give what the type adds to the name of a choice element."""
        return self.code[:1].upper() + self.code[1:]


class Binding(msgspec.Struct, frozen=True):
    """The value set that a coded element draws from, and how strictly."""

    strength: str
    value_set: str


class Constraint(msgspec.Struct, frozen=True):
    """One invariant as HL7 states it."""

    key: str
    severity: str
    human: str


class Element(msgspec.Struct, frozen=True):
    """One element of a snapshot."""

    id: str
    path: str
    name: str
    """The element's own name, without ``[x]``."""
    names: dict[str, ElementType | None]
    """Each name the element may have in JSON, with the type that name means."""
    min: int
    max: int | None
    is_list: bool
    """Whether JSON holds it as an array, which the base type decides, not a profile that narrows it."""
    types: tuple[ElementType, ...]
    content: str | None
    """The id of the element whose content this one repeats."""
    binding: Binding | None
    constraints: tuple[Constraint, ...]
    fixed: Any
    pattern: Any
    is_modifier: bool


class Structure(msgspec.Struct, frozen=True):
    """One StructureDefinition, with its snapshot as a tree."""

    url: str
    type: str
    kind: str
    derivation: str
    base: str
    elements: dict[str, Element]
    children: dict[str, tuple[str, ...]]
    """Ids of the elements right below an id, slices left out."""
    slices: dict[str, tuple[str, ...]]
    """Ids of the slices of an element id."""
    contexts: tuple[tuple[str, str], ...]
    """Where an extension may stand, as (kind, expression)."""

    @property
    def root(self) -> Element:
        """Give the element that stands for the whole."""
        return next(iter(self.elements.values()))


class Package:
    """The definitions of one version of FHIR."""

    def __init__(self, *folders: Path) -> None:
        """Remember the folders; nothing is read before it is asked for."""
        self.folders = folders
        self._structures: dict[str, Structure | None] = {}
        self._ancestors: dict[str, tuple[str, ...]] = {}

    @functools.cached_property
    def release(self) -> str:
        """Name the release, R4 or R5, as the core package says."""
        said = json.loads((self.folders[0] / "package.json").read_bytes())
        return f"R{said['fhirVersions'][0][0]}"

    def structure(self, url: str) -> Structure | None:
        """Give a structure by its canonical URL, or by the name of a core type."""
        url = url.partition("|")[0]
        url = url if ":" in url else CORE + url
        if url not in self._structures:
            said = self._raw_structures.get(url)
            self._structures[url] = _structure(said) if said is not None and "snapshot" in said else None
        return self._structures[url]

    def type(self, name: str) -> Structure:
        """Give a core type, which must be there."""
        found = self.structure(name)
        if found is None:
            raise LookupError(f"no StructureDefinition of {name} in {self.folders[0]}")
        return found

    def is_resource(self, name: str) -> bool:
        """Whether there is a concrete or abstract resource type of that name."""
        found = self.structure(name) if name.isalnum() else None
        return found is not None and found.kind == "resource" and found.derivation == "specialization"

    def is_primitive(self, name: str) -> bool:
        """Whether a type is a JSON value rather than an object."""
        return self.type(name).kind == "primitive-type"

    def ancestors(self, name: str) -> tuple[str, ...]:
        """Give a type and those it descends from, nearest first."""
        if name not in self._ancestors:
            found = self.structure(name)
            above = self.ancestors(found.base.removeprefix(CORE)) if found and found.base else ()
            self._ancestors[name] = (name, *above)
        return self._ancestors[name]

    def regex(self, name: str) -> str | None:
        """Give HL7's pattern for a primitive type."""
        return self._regexes.get(name)

    @functools.cached_property
    def _regexes(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for said in self._raw_structures.values():
            if said["kind"] == "primitive-type":
                found.update(
                    (str(said["type"]), str(each["valueString"]).replace(R5_DECIMAL_MISPRINT, "{1,9})"))
                    for element in said["snapshot"]["element"]
                    for type_ in element.get("type", [])
                    for each in type_.get("extension", [])
                    if each["url"] == REGEX
                )
        return found

    @functools.cached_property
    def _raw_structures(self) -> dict[str, Json]:
        return self._by_url("StructureDefinition")

    @functools.cached_property
    def value_sets(self) -> dict[str, Json]:
        """Give every value set by URL."""
        return self._by_url("ValueSet")

    @functools.cached_property
    def code_systems(self) -> dict[str, Json]:
        """Give every code system by URL."""
        return self._by_url("CodeSystem")

    @functools.cached_property
    def canonicals(self) -> frozenset[str]:
        """Give the URL of everything defined here."""
        kinds = ("StructureDefinition", "ValueSet", "CodeSystem")
        return frozenset(url for kind in kinds for url in self._by_url(kind))

    def _by_url(self, kind: str) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for folder in self.folders:
            for path in sorted(folder.glob(f"{kind}-*.json")):
                said = json.loads(path.read_bytes(), parse_float=Decimal)
                if "url" in said:
                    found.setdefault(said["url"], said)
        return found


def _structure(said: Json) -> Structure:
    elements: dict[str, Element] = {}
    children: dict[str, list[str]] = {}
    slices: dict[str, list[str]] = {}
    is_resource = said["kind"] == "resource"
    for each in said["snapshot"]["element"]:
        element = _element(each, is_resource=is_resource)
        elements[element.id] = element
        parent, _, last = element.id.rpartition(".")
        if not parent:
            continue
        name, is_slice, _ = last.partition(":")
        if is_slice:
            slices.setdefault(f"{parent}.{name}", []).append(element.id)
        else:
            children.setdefault(parent, []).append(element.id)
    return Structure(
        url=said["url"],
        type=said["type"],
        kind=said["kind"],
        derivation=said.get("derivation", "specialization"),
        base=said.get("baseDefinition", ""),
        elements=elements,
        children={key: tuple(ids) for key, ids in children.items()},
        slices={key: tuple(ids) for key, ids in slices.items()},
        contexts=tuple((each["type"], each["expression"]) for each in said.get("context", [])),
    )


def _element(said: Json, *, is_resource: bool) -> Element:
    binding = said.get("binding", {})
    fixed = [value for name, value in said.items() if name.startswith("fixed")]
    pattern = [value for name, value in said.items() if name.startswith("pattern")]
    types = tuple(_type(each, said["path"], is_resource=is_resource) for each in said.get("type", []))
    last = said["path"].rpartition(".")[2]
    name = last.removesuffix("[x]")
    return Element(
        id=said["id"],
        path=said["path"],
        name=name,
        names={name + each.suffix: each for each in types} if name != last else {name: types[0] if types else None},
        min=said["min"],
        max=None if said["max"] == "*" else int(said["max"]),
        is_list=said.get("base", said)["max"] not in ("0", "1"),
        types=types,
        content=said["contentReference"].partition("#")[2] if "contentReference" in said else None,
        binding=Binding(binding["strength"], binding["valueSet"]) if "valueSet" in binding else None,
        constraints=tuple(
            Constraint(each["key"], each["severity"], each["human"].strip()) for each in said.get("constraint", [])
        ),
        fixed=fixed[0] if fixed else None,
        pattern=pattern[0] if pattern else None,
        is_modifier=said.get("isModifier", False),
    )


def _type(said: Json, path: str, *, is_resource: bool) -> ElementType:
    code: str = said["code"]
    if code.startswith(SYSTEM_TYPE):
        named = [each.get("valueUrl") or each.get("valueUri") for each in said.get("extension", [])]
        code = next((each for each in named if each), "string")
        if path.endswith(".id"):  # R4 says string of both, R5 sometimes id of both; the text says one of each
            code = "id" if is_resource and path.count(".") == 1 else "string"
    targets = tuple(each.rpartition("/")[2] for each in said.get("targetProfile", []))
    return ElementType(code, tuple(said.get("profile", [])), () if "Resource" in targets else targets)
