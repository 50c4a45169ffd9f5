"""What a JSON Schema error means to the person who sent the resource: one line, located, quoting nothing of it."""

import difflib
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError

from adapter.errors import Issue, Severity
from adapter.fhir.definitions.model import definitions
from adapter.fhir.versions import FhirVersion

_SHAPES = {
    "date": "YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm)",
    "instant": "YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm)",
    "time": "hh:mm:ss",
    "id": "1 to 64 letters, digits, hyphens and dots",
    "code": "no blanks at its ends and only single ones inside",
    "uri": "at least one character and no blanks",
    "string": "at least one character",
}
_JSON_TYPES = {
    "object": "a JSON object",
    "array": "a JSON array",
    "boolean": "true or false",
    "string": "a JSON string",
}
_NO_ZONE = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?$(?!\n)", re.ASCII)
_CLOSE = 0.75
_MOST_NAMES = 50
"""How many unknown names of one object are told of: looking for what is meant takes its time."""


def fhirpath(root: str, steps: Iterable[str | int]) -> str:
    """Write a JSON path as FHIRPath; ``_birthDate`` stands for ``birthDate``, whose extensions it carries.

    >>> fhirpath("Patient", ["_birthDate", "extension", 0, "url"])
    'Patient.birthDate.extension[0].url'
    """
    return root + "".join(f"[{step}]" if isinstance(step, int) else f".{step.removeprefix('_')}" for step in steps)


def explain(error: ValidationError, version: FhirVersion, root: str) -> Iterator[Issue]:
    """Say what is wrong; an error about several names becomes one issue for each."""
    schema: Mapping[str, Any] = error.schema if isinstance(error.schema, Mapping) else {}
    path = fhirpath(root, error.path)
    title = str(schema.get("title", ""))
    instance: Any = error.instance
    wanted: Any = error.validator_value
    match error.validator:
        case "additionalProperties":
            unknown = (name for name in instance if name not in schema["properties"])
            for name in itertools.islice(unknown, _MOST_NAMES):
                yield _unknown(name, version, title, schema["properties"], path)
        case "required":
            # jsonschema makes an error per missing name without saying which, but in words; the caller drops doubles.
            for name in wanted:
                if name not in instance:
                    yield Issue(Severity.ERROR, "missing-element", f"{name} is required", f"{path}.{name}")
        case "anyOf":
            yield _missing_choice([each["required"][0] for each in wanted], path)
        case "type":
            yield Issue(Severity.ERROR, "wrong-type", _wrong_type(instance, wanted, title), path)
        case "pattern":
            yield _bad_format(instance, title, path)
        case "minimum" | "maximum":
            yield Issue(Severity.ERROR, "out-of-range", f"the number is out of the range of {title}", path)
        case "minItems":
            yield Issue(Severity.ERROR, "empty", "an array may not be empty; leave the element out", path)
        case "maxItems":
            yield Issue(Severity.ERROR, "too-many", f"at most {wanted} may be sent", path)
        case _:
            yield Issue(Severity.ERROR, "wrong-type", "the JSON has not the shape FHIR gives this element", path)


def _unknown(name: str, version: FhirVersion, kind: str, properties: Iterable[str], path: str) -> Issue:
    """Refuse a property; its name is repeated only where FHIR itself uses it, since a name could be anything."""
    known = definitions(version)
    other = FhirVersion.R5 if version is FhirVersion.R4 else FhirVersion.R4
    elsewhere = definitions(other)
    place = path
    said = f"an element FHIR {version.value} does not define on {kind}"
    if name in known.element_names or name in elsewhere.element_names:
        place = fhirpath(path, [name])
        said = f"{name} is no element of {kind} in FHIR {version.value}"
        if elsewhere.has_type(kind) and name.removeprefix("_") in elsewhere.type(kind).elements:
            return Issue(Severity.ERROR, "unknown-element", f"{said}; it is in {other.value}", place)
    close = difflib.get_close_matches(name, [each for each in properties if each[0] != "_"], 1, _CLOSE)
    if close:
        said = f"{said}; perhaps {close[0]} is meant"
    return Issue(Severity.ERROR, "unknown-element", said, place)


def _missing_choice(ways: list[str], path: str) -> Issue:
    plain = [way for way in ways if not way.startswith("_")]
    if len(plain) == 1:
        return Issue(Severity.ERROR, "missing-element", f"{plain[0]} is required", f"{path}.{plain[0]}")
    base = re.sub(r"[A-Z][A-Za-z0-9]*$", "", _common_start(plain))
    listed = ", ".join(plain[:-1]) + " or " + plain[-1]
    return Issue(Severity.ERROR, "missing-element", f"{base}[x] is required, as {listed}", f"{path}.{base}")


def _common_start(names: list[str]) -> str:
    """Give what choice names share.

    >>> _common_start(["medicationCodeableConcept", "medicationReference"])
    'medication'
    """
    shortest, longest = min(names), max(names)
    length = next(
        (at for at, (a, b) in enumerate(zip(shortest, longest, strict=False)) if a != b),
        min(len(shortest), len(longest)),
    )
    return shortest[:length]


def _wrong_type(instance: object, wanted: str | list[str], title: str) -> str:
    if instance is None:
        return "null is not allowed; leave the element out"
    if wanted == "array":
        return "this element repeats: send a JSON array, even for one"
    one = wanted if isinstance(wanted, str) else wanted[0]
    if isinstance(instance, list):
        return "this element does not repeat: send it without a JSON array"
    shape = _JSON_TYPES.get(one) or ("a whole JSON number" if one == "integer" else "a JSON number")
    return f"this {title} is to be sent as {shape}" if title else f"this is to be sent as {shape}"


def _bad_format(instance: object, title: str, path: str) -> Issue:
    if title in ("dateTime", "instant") and isinstance(instance, str) and _NO_ZONE.match(instance):
        return Issue(Severity.ERROR, "time-zone-missing", f"a {title} with a time needs seconds and a zone", path)
    if instance == "":
        return Issue(Severity.ERROR, "empty", "a string may not be empty; leave the element out", path)
    shape = _SHAPES.get(title)
    return Issue(Severity.ERROR, "bad-format", f"this is no {title}{f' ({shape})' if shape else ''}", path)
