"""What is left of a resource that has not the shape of FHIR: enough to know what it is about, never to decide.

A careless sender turns a list of one into an object, a Reference into a string, a code into a number.  Whatever
cannot be read is left out and named; where the intent shows (the code, the patient, the date) it is kept, so that a
resource that cannot be used can still stand in the way of an older one.
"""

import functools
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import inspect

from adapter.fhir import resources as fhir

Json = Any
"""JSON as msgspec reads it without a type: numbers with a fraction are Decimals."""
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_encode = msgspec.json.Encoder(decimal_format="number").encode
_typed = msgspec.json.Decoder(fhir.AnyResource, dec_hook=fhir.to_number, float_hook=Decimal).decode
_BY_NAME = {("List" if kind is fhir.ListResource else kind.__name__).lower(): kind for kind in fhir.READ}
_NOTHING = object()


class Mended(msgspec.Struct):
    """A resource with the places, FHIRPath from the resource on, that could not be read as they stand."""

    resource: fhir.Tagged
    lost: tuple[str, ...]


def mend(data: bytes | msgspec.Raw, url: str | None = None) -> Mended | None:
    """Read what can be read of a resource; None where not even its type shows.

    ``url``, its fullUrl or the target of its request, tells the type where it is missing.
    """
    try:
        return _mended(_decode(data), url)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError):
        return None


def _mended(loose: Json, url: str | None) -> Mended | None:
    lost: list[str] = []
    if isinstance(loose, str):  # a resource sent as text inside the JSON
        loose = _decode(loose)
        lost.append("")
    if isinstance(loose, list) and len(loose) == 1:
        loose = loose[0]
        lost.append("")
    if not isinstance(loose, dict):
        return None
    name = loose.get("resourceType")
    kind = _BY_NAME.get(name.lower()) if isinstance(name, str) else _named_in(url)
    if kind is None or kind is fhir.Bundle:
        return None
    tag = "List" if kind is fhir.ListResource else kind.__name__
    if tag != name:
        lost.append("resourceType")
    clean = _clean(loose, _plan(kind), "", lost)
    clean["resourceType"] = tag
    return Mended(_typed(_encode(clean)), tuple(dict.fromkeys(lost)))


def _named_in(url: str | None) -> type[fhir.Resource] | None:
    steps = reversed((url or "").split("/"))
    return next((_BY_NAME[step.lower()] for step in steps if step.lower() in _BY_NAME), None)


@functools.cache
def _plan(kind: type[msgspec.Struct]) -> dict[str, inspect.Type]:
    """Give the type of every element of a structure by its FHIR name."""
    shape = inspect.type_info(kind)
    return {each.encode_name: each.type for each in shape.fields} if isinstance(shape, inspect.StructType) else {}


def _clean(loose: dict[str, Json], plan: dict[str, inspect.Type], path: str, lost: list[str]) -> dict[str, Json]:
    kept = {}
    for name, shape in plan.items():
        value = loose.get(name)
        if value is not None:
            made = _fit(value, shape, f"{path}.{name}" if path else name, lost)
            if made is not _NOTHING:
                kept[name] = made
    return kept


def _fit(value: Json, shape: inspect.Type, path: str, lost: list[str]) -> Json:
    """Give the value as ``shape`` wants it, noting where it is not; _NOTHING where it cannot be."""
    match shape:
        case inspect.UnionType(types):
            return _fit(value, _member(value, types), path, lost)
        case inspect.StructType(cls=kind):
            return _structure(value, kind, path, lost)
        case (
            inspect.VarTupleType(item_type=item, max_length=longest)
            | inspect.ListType(item_type=item, max_length=longest)
        ):
            if longest == 0:
                lost.extend([path] if value != [] else [])
                return _NOTHING
            return _items(value, item, path, lost)
        case inspect.StrType(max_length=longest):
            return _text(value, longest, path, lost)
        case _:
            return _plain(value, shape, path, lost)


def _member(value: Json, types: tuple[inspect.Type, ...]) -> inspect.Type:
    """Choose what a value is meant as among the alternatives of an element."""
    lists = (inspect.VarTupleType, inspect.ListType)
    some = [each for each in types if not isinstance(each, inspect.NoneType)]
    if isinstance(value, dict):
        tag = value.get("resourceType")
        tagged = (each for each in some if isinstance(each, inspect.StructType) and each.tag == tag and tag is not None)
        structure = (each for each in some if isinstance(each, inspect.StructType))
        return next(tagged, None) or next(structure, some[0])
    if isinstance(value, list):
        return next((each for each in some if isinstance(each, lists)), some[0])
    return some[0]


def _structure(value: Json, kind: type[msgspec.Struct], path: str, lost: list[str]) -> Json:
    if not isinstance(value, dict):
        lost.append(path)
        value = _as_object(value)
        if value is None:
            return _NOTHING
    made = _clean(value, _plan(kind), path, lost)
    if issubclass(kind, fhir.Tagged):
        made["resourceType"] = value.get("resourceType")
    return made


def _as_object(value: Json) -> dict[str, Json] | None:
    """Give what a value must have been meant as: the one of a list, all codings together, a code, a reference."""
    if isinstance(value, list):
        objects = [each for each in value if isinstance(each, dict)]
        codings = [each for one in objects for each in _codings(one)]
        return {**objects[0], "coding": codings} if codings else next(iter(objects), None)
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        said = str(value)
        return {"reference": said, "code": said, "coding": [{"code": said}]}
    return None


def _codings(concept: dict[str, Json]) -> Iterator[Json]:
    found = concept.get("coding")
    yield from found if isinstance(found, list) else ()


def _items(value: Json, item: inspect.Type, path: str, lost: list[str]) -> list[Json]:
    if not isinstance(value, list):
        lost.append(path)
        value = [value]
    kept = []
    for index, each in enumerate(value):
        made = _NOTHING if each is None else _fit(each, item, f"{path}[{index}]", lost)
        if made is not _NOTHING:
            kept.append(made)
        elif each is None:
            lost.append(f"{path}[{index}]")
    return kept


def _text(value: Json, longest: int | None, path: str, lost: list[str]) -> Json:
    if isinstance(value, str) and longest != 0:
        return value
    lost.append(path)
    if longest == 0:
        return _NOTHING
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    is_word = isinstance(value, str | int | Decimal) and not isinstance(value, bool)
    return str(value) if is_word else _NOTHING


def _plain(value: Json, shape: inspect.Type, path: str, lost: list[str]) -> Json:
    match shape:
        case inspect.BoolType():
            fits = isinstance(value, bool)
        case inspect.IntType():
            fits = isinstance(value, int) and not isinstance(value, bool)
        case _:
            fits = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if fits:
        return value
    lost.append(path)
    return _NOTHING
