"""What FHIR R5 looks like to CQL: made from HL7's definitions, since neither translator nor engine brings it."""

import functools
from collections.abc import Iterator
from xml.sax.saxutils import quoteattr

from adapter.fhir.definitions import Definitions, definitions
from adapter.fhir.definitions.model import Element, TypeDefinition
from adapter.fhir.versions import FhirVersion

NAME = "fhir-modelinfo-5.0.0.xml"
USING = "using FHIR version '5.0.0'"

_SYSTEM = {
    "boolean": "Boolean",
    "integer": "Integer",
    "integer64": "Long",
    "decimal": "Decimal",
    "date": "Date",
    "dateTime": "DateTime",
    "instant": "DateTime",
    "time": "Time",
}
"""The CQL type of a primitive's value, where it is not String."""
_PARENTS = {
    **dict.fromkeys(("code", "id", "markdown"), "string"),
    **dict.fromkeys(("canonical", "url", "uuid", "oid"), "uri"),
    **dict.fromkeys(("positiveInt", "unsignedInt"), "integer"),
    **dict.fromkeys(("Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"), "Quantity"),
}
"""http://hl7.org/fhir/R5/datatypes.html"""
_OF_RESOURCE = ("id", "meta", "implicitRules", "language")
_OF_DOMAIN_RESOURCE = ("text", "contained", "extension", "modifierExtension")
_OF_ELEMENT = ("id", "extension")
_OF_BACKBONE = (*_OF_ELEMENT, "modifierExtension")


@functools.cache
def model_info() -> str:
    """Write the model as the translator and the engine read it."""
    known = definitions(FhirVersion.R5)
    head = (
        '<modelInfo xmlns="urn:hl7-org:elm-modelinfo:r1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'name="FHIR" version="5.0.0" url="http://hl7.org/fhir" targetQualifier="fhir" '
        'patientClassName="FHIR.Patient" patientBirthDatePropertyName="birthDate.value">'
        '<requiredModelInfo name="System" version="1.0.0"/>'
    )
    return "\n".join((head, *_types(known), "</modelInfo>\n"))


def _types(known: Definitions) -> Iterator[str]:
    yield _class("Element", "System.Any", '<element name="id" elementType="System.String"/>', _many("extension"))
    yield _class("BackboneElement", "FHIR.Element", _many("modifierExtension"))
    own = ((name, _SIMPLE_OF_RESOURCE[name]) for name in _OF_RESOURCE)
    plain = "".join(f'<element name="{name}" elementType="FHIR.{kind}"/>' for name, kind in own)
    yield _class("Resource", "System.Any", plain)
    text = '<element name="text" elementType="FHIR.Narrative"/>'
    contained = '<element name="contained"><elementTypeSpecifier elementType="FHIR.Resource" '
    contained += 'xsi:type="ListTypeSpecifier"/></element>'
    yield _class("DomainResource", "FHIR.Resource", text, contained, _many("extension"), _many("modifierExtension"))
    for name in known.primitives:
        parent = _PARENTS.get(name)
        value = f'<element name="value" elementType="System.{_SYSTEM.get(name, "String")}"/>'
        yield _class(name, f"FHIR.{parent or 'Element'}", "" if parent else value)
    for name in _reachable(known):
        yield _type(known.type(name))


_SIMPLE_OF_RESOURCE = {"id": "id", "meta": "Meta", "implicitRules": "uri", "language": "code"}


def _reachable(known: Definitions) -> list[str]:
    found = dict.fromkeys(sorted(known.resource_types))
    waiting = list(found)
    base = {"Element", "BackboneElement", "Resource", "DomainResource", *known.primitives}
    while waiting:
        name = waiting.pop()
        parent = _PARENTS.get(name)
        used = [element.type for element in known.type(name).elements.values()] + ([parent] if parent else [])
        for each in used:
            if each not in found and each not in base:
                found[each] = None
                waiting.append(each)
    return [name for name in found if name not in base]


def _type(said: TypeDefinition) -> str:
    if said.kind == "resource":
        base = "DomainResource" if "contained" in said.elements else "Resource"
        inherited = _OF_RESOURCE + (_OF_DOMAIN_RESOURCE if base == "DomainResource" else ())
    elif said.name in _PARENTS:
        base, inherited = _PARENTS[said.name], tuple(said.elements)
    elif "modifierExtension" in said.elements:
        base, inherited = "BackboneElement", _OF_BACKBONE
    else:
        base, inherited = "Element", _OF_ELEMENT
    own: dict[str, list[Element]] = {}
    for element in said.elements.values():
        if element.name not in inherited:
            own.setdefault((element.choice or element.name).removesuffix("[x]"), []).append(element)
    elements = "".join(_element(name, ways) for name, ways in own.items())
    return _class(said.name, f"FHIR.{base}", elements, resource=said.kind == "resource")


def _element(name: str, ways: list[Element]) -> str:
    first, *others = ways
    kind = f"FHIR.{_cql_name(first.type)}"
    if others or first.choice:
        choices = "".join(
            f'<choice namespace="FHIR" name="{each.type}" xsi:type="NamedTypeSpecifier"/>' for each in ways
        )
        inner = f'<elementTypeSpecifier xsi:type="ChoiceTypeSpecifier">{choices}</elementTypeSpecifier>'
    elif first.repeats:
        inner = f'<elementTypeSpecifier elementType="{kind}" xsi:type="ListTypeSpecifier"/>'
    else:
        return f"<element name={quoteattr(name)} elementType={quoteattr(kind)}/>"
    return f"<element name={quoteattr(name)}>{inner}</element>"


def _many(name: str) -> str:
    inner = '<elementTypeSpecifier elementType="FHIR.Extension" xsi:type="ListTypeSpecifier"/>'
    return f'<element name="{name}">{inner}</element>'


def _class(name: str, base: str, *elements: str, resource: bool = False) -> str:
    marks = f'baseType="{base}" namespace="FHIR" name="{_cql_name(name)}" xsi:type="ClassInfo"'
    marks += f' retrievable="{str(resource).lower()}"'
    if resource:
        marks += f' identifier="http://hl7.org/fhir/StructureDefinition/{name}" label="{name}"'
    return f"<typeInfo {marks}>{''.join(elements)}</typeInfo>"


def _cql_name(name: str) -> str:
    """Name a backbone element as models do: ``Observation.component`` is ``Observation.Component``."""
    first, *others = name.split(".")
    return ".".join((first, *(each[0].upper() + each[1:] for each in others)))
