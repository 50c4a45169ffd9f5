"""JSON Schema (draft 2020-12) of FHIR's JSON, made type by type from HL7's StructureDefinitions, and run fast."""

import functools
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator

from adapter.fhir.definitions.model import Definitions, Element, definitions, pattern
from adapter.fhir.versions import FhirVersion

_PLAIN: Mapping[str, Mapping[str, Any]] = {
    "boolean": {"type": "boolean"},
    "decimal": {"type": "number"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
}
"""The primitives that JSON carries as something else than a string."""

OR_NULL = "-or-null"
"""Marks a primitive in an array, where null keeps the place of a value that has only extensions."""
_DEFS = "#/$defs/"


@functools.cache
def type_schema(version: FhirVersion, name: str) -> Mapping[str, Any]:
    """Give the schema of one type, its parts named by ``$ref``."""
    known = definitions(version)
    plain = name.removesuffix(OR_NULL)
    if plain in known.primitives:
        made = dict(_PLAIN.get(plain) or {"type": "string", "pattern": pattern(plain, known.primitives[plain])})
    elif plain == "Resource":
        made = {"type": "object"}
    else:
        made = _object_schema(known, plain)
    if plain != name:
        made["type"] = [made["type"], "null"]
    return {"title": plain, **made}


def _object_schema(known: Definitions, name: str) -> dict[str, Any]:
    said = known.type(name)
    properties: dict[str, Any] = {}
    needed: dict[str, list[str]] = {}
    for element in said.elements.values():
        properties[element.name] = _property(element)
        ways = needed.setdefault(element.choice or element.name, []) if element.required else []
        ways.append(element.name)
        if element.is_primitive:
            properties[f"_{element.name}"] = _companion(element)
            ways.append(f"_{element.name}")
    if said.kind == "resource":
        properties["resourceType"] = {"const": name}
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if only := [ways[0] for ways in needed.values() if len(ways) == 1]:
        made["required"] = only
    if several := [{"anyOf": [{"required": [way]} for way in ways]} for ways in needed.values() if len(ways) > 1]:
        made["allOf"] = several
    return made


def _property(element: Element) -> Mapping[str, Any]:
    if not element.repeats:
        return {"$ref": _DEFS + element.type}
    mark = OR_NULL if element.is_primitive else ""
    made: dict[str, Any] = {"type": "array", "minItems": 1, "items": {"$ref": _DEFS + element.type + mark}}
    return made if element.most is None else {**made, "maxItems": element.most}


def _companion(element: Element) -> Mapping[str, Any]:
    """Describe ``_birthDate``, which carries a primitive's id and extensions."""
    if not element.repeats:
        return {"$ref": _DEFS + "Element"}
    return {"type": "array", "minItems": 1, "items": {"$ref": _DEFS + "Element" + OR_NULL}}


def whole_schema(version: FhirVersion, name: str) -> Mapping[str, Any]:
    """Give one resource type's schema with every type it needs, to be used by any JSON Schema validator."""
    needed: dict[str, Mapping[str, Any]] = {}
    waiting = [name]
    while waiting:
        each = waiting.pop()
        if each not in needed:
            needed[each] = type_schema(version, each)
            waiting.extend(_references(needed[each]))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$ref": _DEFS + name, "$defs": needed}


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(_DEFS)
            else:
                yield from _references(value)
    elif isinstance(schema, list):
        for each in schema:
            yield from _references(each)


def errors(version: FhirVersion, name: str, instance: Any) -> Iterator[ValidationError]:  # noqa: ANN401 - any JSON
    """Give what jsonschema has against an instance of a type; resources in it are only seen as objects."""
    yield from _validator(version, name).iter_errors(instance)


# jsonschema resolves each $ref and makes a new validator at every step, which costs 0.5 s on a 400 KB bundle. Here
# every subschema keeps one validator for good and a primitive that fits its pattern is let through at once; the
# schema and the verdicts stay those of Draft202012Validator, which tests/validate holds them to.


@functools.cache
def _validator(version: FhirVersion, name: str) -> Validator:
    return _dialect(version)(type_schema(version, name))


@functools.cache
def _dialect(version: FhirVersion) -> type[Validator]:
    known = definitions(version)
    kept: dict[int, Validator] = {}

    def keep(validator: Validator, schema: Mapping[str, Any]) -> Validator:
        found = kept.get(id(schema))
        if found is None:
            found = kept[id(schema)] = type(validator)(schema)
        return found

    def properties(
        validator: Validator, stated: Mapping[str, Any], instance: object, _schema: object
    ) -> Iterator[ValidationError]:
        if not isinstance(instance, dict):
            return
        for name, value in instance.items():
            subschema = stated.get(name)
            if subschema is None:
                continue
            reference = subschema.get("$ref")
            if reference is None:
                found = keep(validator, subschema).iter_errors(value)
            else:
                found = ref(validator, reference, value, subschema)
            for error in found:
                error.path.appendleft(name)
                yield error

    def items(
        validator: Validator, subschema: Mapping[str, Any], instance: object, _schema: object
    ) -> Iterator[ValidationError]:
        if not isinstance(instance, list):
            return
        reference = subschema.get("$ref")
        for index, value in enumerate(instance):
            if reference is None:
                found = keep(validator, subschema).iter_errors(value)
            else:
                found = ref(validator, reference, value, subschema)
            for error in found:
                error.path.appendleft(index)
                yield error

    def ref(_asking: Validator, reference: str, instance: Any, _schema: object) -> Iterator[ValidationError]:  # noqa: ANN401
        name = reference[len(_DEFS) :]
        if isinstance(instance, str) and name in strings and strings[name](instance):
            return
        yield from _validator(version, name).iter_errors(instance)

    strings = {name: known.format(name).match for name in known.primitives if name not in _PLAIN}
    made: type[Validator] = jsonschema.validators.extend(  # type: ignore[no-untyped-call] # the stubs lack it
        jsonschema.Draft202012Validator, {"properties": properties, "items": items, "$ref": ref}
    )
    return made
