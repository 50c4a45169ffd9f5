# ruff: noqa: INP001 - a script, not a package
"""Make ``adapter/fhir/definitions/r4.json.gz`` and ``r5.json.gz`` from HL7's own packages.

How to run it, and what the files hold, stands in ``adapter/fhir/definitions/README.md``.
"""

import argparse
import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HERE = Path(__file__).resolve().parent.parent / "adapter" / "fhir" / "definitions"
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
REGEX = "http://hl7.org/fhir/StructureDefinition/regex"
QUANTITY_PROFILES = frozenset(("SimpleQuantity", "MoneyQuantity"))
"""Profiles of Quantity that elements name as their type."""
INHERITED = frozenset(("ele-1", "ext-1"))
"""Constraints the snapshots repeat on every element; they are stated once, on Element and Extension."""


class Package:
    """One or more unpacked HL7 npm packages, read by resource type."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.folders = tuple(folders)
        self.code_systems = self._by_url("CodeSystem")
        self.value_sets = self._by_url("ValueSet")

    def all(self, kind: str) -> Iterator[Json]:
        """Give every resource of a type, in the order of the file names."""
        for folder in self.folders:
            for path in sorted(folder.glob(f"{kind}-*.json")):
                resource = json.loads(path.read_text(encoding="utf-8"))
                if resource["resourceType"] == kind:
                    yield resource

    def _by_url(self, kind: str) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for resource in self.all(kind):
            found.setdefault(resource.get("url", ""), resource)
        return found

    def structures(self) -> Iterator[Json]:
        """Give the base definitions: resources, data types, and the two profiles of Quantity used as types."""
        for one in self.all("StructureDefinition"):
            if one["kind"] != "logical" and (one.get("derivation") != "constraint" or one["id"] in QUANTITY_PROFILES):
                yield one


def last(url: str) -> str:
    """Give the name at the end of a canonical URL."""
    return url.rpartition("/")[2]


def expand(package: Package, url: str) -> dict[str, list[str]] | None:
    """List a value set's codes by system; None where the package does not hold them all (languages, media types)."""
    value_set = package.value_sets.get(url.partition("|")[0])
    if value_set is None:
        return None
    codes: dict[str, set[str]] = {}
    for sign, part in [(True, each) for each in value_set["compose"]["include"]] + [
        (False, each) for each in value_set["compose"].get("exclude", [])
    ]:
        found = included(package, part)
        if found is None:
            return None
        for system, some in found.items():
            known = codes.setdefault(system, set())
            codes[system] = known | some if sign else known - some
    return {system: sorted(some) for system, some in sorted(codes.items())}


def included(package: Package, part: Json) -> dict[str, set[str]] | None:
    """List what one include or exclude names; None where it cannot be listed here."""
    if part.get("filter"):
        return None
    found: dict[str, set[str]] | None = None
    if "system" in part:
        system = part["system"]
        if part.get("concept"):
            found = {system: {each["code"] for each in part["concept"]}}
        elif package.code_systems.get(system, {}).get("content") == "complete":
            found = {system: set(concepts(package.code_systems[system].get("concept", [])))}
        else:
            return None
    for other in part.get("valueSet", []):
        listed = expand(package, other)
        if listed is None:
            return None
        if found is None:
            found = {system: set(some) for system, some in listed.items()}
        else:
            found = {system: some & set(listed.get(system, ())) for system, some in found.items()}
    return found


def concepts(some: Iterable[Json]) -> Iterator[str]:
    """Give every code of a hierarchy."""
    for each in some:
        yield each["code"]
        yield from concepts(each.get("concept", []))


def type_name(element_type: Json, path: str, *, is_resource: bool) -> str:
    """Name an element's type as the adapter does: FHIRPath's system types by the FHIR type they stand for."""
    code: str = element_type["code"]
    if code.startswith("http://hl7.org/fhirpath/"):
        if path.endswith(".id"):
            return "id" if is_resource and path.count(".") == 1 else "string"
        said = [each.get("valueUrl") or each.get("valueUri") for each in element_type.get("extension", [])]
        return next((str(each) for each in said if each), "string")
    profiles = [last(each) for each in element_type.get("profile", [])]
    return profiles[0] if code == "Quantity" and profiles and profiles[0] in QUANTITY_PROFILES else code


def element_entry(element: Json, parents: frozenset[str], *, is_resource: bool) -> Json:
    """Describe one element: cardinality, types with their reference targets, required value set."""
    path = element["path"]
    entry: Json = {"min": element["min"], "max": element["max"]}
    if "contentReference" in element:
        entry["types"] = {element["contentReference"].partition("#")[2]: []}
    elif path in parents:
        entry["types"] = {path: []}
    else:
        entry["types"] = {
            type_name(each, path, is_resource=is_resource): sorted(
                {last(target) for target in each.get("targetProfile", [])} - {"Resource"}
            )
            for each in element.get("type", [])
        }
    binding = element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        entry["valueSet"] = binding["valueSet"].partition("|")[0]
    return entry


def types_of(structure: Json, constraints: dict[str, list[str]]) -> Iterator[tuple[str, Json]]:
    """Give a structure's type and the types of its backbone elements, each with elements and constraint keys."""
    elements = structure["snapshot"]["element"]
    root = elements[0]["path"]
    name = structure["id"]
    is_resource = structure["kind"] == "resource"
    parents = frozenset(each["path"].rpartition(".")[0] for each in elements)
    found: dict[str, Json] = {}
    for element in elements:
        path = element["path"]
        if path == root or path in parents:
            kind = structure["kind"].removesuffix("-type") if path == root else "backbone"
            said: Json = {"kind": kind, "elements": {}, "constraints": []}
            if path == root and structure.get("abstract"):
                said["abstract"] = True
            found[path] = said
        at = found[path] if path in found else found[path.rpartition(".")[0]]
        for each in element.get("constraint", []):
            if each["key"] in INHERITED and name not in ("Element", "Extension"):
                continue
            known = constraints.setdefault(each["key"], [each["severity"], each["human"]])
            if known != [each["severity"], each["human"]]:
                sys.stderr.write(f"left out: {each['key']} at {path}, a key that means something else elsewhere\n")
            elif path in found and each["key"] not in at["constraints"]:
                at["constraints"].append(each["key"])
        if path != root:
            parent, _, leaf = path.rpartition(".")
            found[parent]["elements"][leaf] = element_entry(element, parents, is_resource=is_resource)
    for path, said in found.items():
        yield name + path.removeprefix(root), said


def primitive_regex(structure: Json) -> str | None:
    """Give HL7's regular expression for a primitive type's value."""
    for element in structure["snapshot"]["element"]:
        if element["path"].endswith(".value"):
            for each in element.get("type", []):
                for extension in each.get("extension", []):
                    if extension["url"] == REGEX:
                        return str(extension["valueString"])
    return None


def definitions(package: Package, later: Package | None) -> Json:
    """Put together everything the adapter knows of one FHIR version."""
    types: dict[str, Json] = {}
    constraints: dict[str, list[str]] = {}
    primitives: dict[str, str | None] = {}
    for structure in package.structures():
        if structure["kind"] == "primitive-type":
            primitives[structure["id"]] = primitive_regex(structure)
            continue
        types.update(types_of(structure, constraints))
    wanted = sorted(
        {each["valueSet"] for said in types.values() for each in said["elements"].values() if "valueSet" in each}
    )
    issue_types = "http://hl7.org/fhir/ValueSet/issue-type"
    value_sets = {url: expand(package, url) for url in sorted({*wanted, issue_types})}
    made: Json = {"types": types, "primitives": primitives, "constraints": constraints, "valueSets": value_sets}
    if later is not None:
        made["later"] = later_than(types, later)
    return made


def later_than(types: dict[str, Json], later: Package) -> Json:
    """Say what R4B added to R4 that a reader of R4 may meet: resource types and reference targets."""
    added: list[str] = []
    targets: dict[str, list[str]] = {}
    for structure in later.structures():
        if structure["kind"] != "resource" or structure.get("abstract"):
            continue
        if structure["id"] not in types:
            added.append(structure["id"])
            continue
        for name, said in types_of(structure, {}):
            for leaf, entry in said["elements"].items():
                before = types.get(name, {}).get("elements", {}).get(leaf, {}).get("types", {}).get("Reference")
                extra = set(entry["types"].get("Reference", ())) - set(before or ())
                if before and extra:
                    targets[f"{name}.{leaf}"] = sorted(extra)
    return {"resources": added, "targets": targets}


def write(path: Path, version: str, sources: list[str], made: Json) -> None:
    """Write one file so that the same packages always give the same bytes."""
    text = json.dumps({"fhirVersion": version, "sources": sources, **made}, separators=(",", ":"), ensure_ascii=False)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    open_sets = [last(url) for url, codes in made["valueSets"].items() if codes is None]
    sys.stderr.write(
        f"{path.name}: {len(made['types'])} types, {len(made['valueSets'])} value sets "
        f"(not listed: {', '.join(open_sets)}), {len(made['constraints'])} constraints, {path.stat().st_size} bytes\n"
    )


def main() -> None:
    """Build both files from the folders that ``npm pack`` and ``tar`` made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", type=Path, help="holds r4/, r4b/, r5/ and tho/, each with the package/ of one package"
    )
    parser.add_argument("--out", type=Path, default=HERE)
    asked = parser.parse_args()
    r4, r4b, r5, tho = (asked.folder / name / "package" for name in ("r4", "r4b", "r5", "tho"))
    write(
        asked.out / "r4.json.gz",
        "4.0.1",
        ["hl7.fhir.r4.examples#4.0.1", "hl7.fhir.r4b.core#4.3.0 (additions only)"],
        definitions(Package([r4]), Package([r4b])),
    )
    write(
        asked.out / "r5.json.gz",
        "5.0.0",
        ["hl7.fhir.r5.core#5.0.0", "hl7.terminology.r5#7.0.1 (code systems of required bindings)"],
        definitions(Package([r5, tho]), None),
    )


if __name__ == "__main__":
    main()
