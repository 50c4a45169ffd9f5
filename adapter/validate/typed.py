"""What the typed models of ``fhir.resources`` refuse that earlier steps let pass: days no calendar has, above all."""

import functools
import importlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from adapter.errors import Issue, Severity
from adapter.fhir.definitions import Placed, definitions
from adapter.fhir.definitions.explain import fhirpath
from adapter.fhir.definitions.tree import Json
from adapter.fhir.versions import FhirVersion

_PACKAGES = {FhirVersion.R4: "fhir.resources.R4B", FhirVersion.R5: "fhir.resources"}
"""There are no R4 models; those of R4B stand in, which is sound but for the types below."""
_CHANGED_IN_R4B = frozenset(("Evidence", "EvidenceVariable"))
_NESTED = frozenset(("resource", "outcome", "issues"))
"""Elements of Bundle and Parameters that hold whole resources."""
_LEAP_SECOND = ":60"
_UNKNOWN = "extra_forbidden"
"""The structure step knows every element by HL7's own list; the models lack some, as ``_valueString`` of Extension."""
_UNREADABLE = ("Integer64",)
"""Ends of element names whose right values the models refuse: integer64 is a string in FHIR's JSON."""


def check_types(placed: Placed, version: FhirVersion, said: Iterable[Issue]) -> Iterator[Issue]:
    """Give what the model refuses, but for the places that ``said`` already speaks of."""
    known = definitions(version)
    model = _model(placed.type, version) if placed.type in known.resource_types else None
    if model is None:
        return
    from pydantic import ValidationError  # noqa: PLC0415 - heavy, and only validation needs it

    spoken = [issue.expression for issue in said if issue.severity is Severity.ERROR and issue.expression]
    try:
        model.model_validate(_alone(placed.resource))
    except ValidationError as error:
        names = known.element_names
        for each in error.errors(include_input=False, include_url=False, include_context=False):
            # A name the sender made up is told by the structure step, and not repeated.
            steps = list(itertools.takewhile(lambda step: isinstance(step, int) or step in names, each["loc"]))
            place = fhirpath(placed.path, steps)
            if _NESTED & set(steps):
                continue
            if any(_is_within(place, one) or _is_within(one, place) for one in spoken):
                continue
            if each["type"] == _UNKNOWN:
                continue
            if place.endswith(_UNREADABLE) or _LEAP_SECOND in str(_at(placed.resource, each["loc"])):
                continue
            yield _issue(each["type"], place)
    except Exception:  # noqa: BLE001 - on JSON of a wrong shape the library fails in many ways
        # The structure step has named that shape already.
        return


def _issue(kind: str, place: str) -> Issue:
    if kind.startswith(("date", "time")):
        return Issue(Severity.ERROR, "no-such-day", "no calendar has this day, or no clock this time", place)
    said = "the typed model of fhir.resources does not accept this element"
    return Issue(Severity.ERROR, "not-accepted", said, place)


def _is_within(place: str, other: str) -> bool:
    return place == other or place.startswith((f"{other}.", f"{other}["))


def _at(resource: Json, loc: Iterable[int | str]) -> object:
    found: Any = resource
    for step in loc:
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            return None
    return found


def _alone(resource: Json) -> Json:
    """Leave out the resources that stand in it and are checked on their own: one bad entry would fail all."""
    resource = {name: value for name, value in resource.items() if name != "contained"}
    if resource.get("resourceType") != "Bundle" or not isinstance(resource.get("entry"), list):
        return resource
    kept = []
    for entry in resource["entry"]:
        if not isinstance(entry, dict):
            return {"resourceType": "Bundle", "type": resource.get("type")}
        kept.append({name: value for name, value in entry.items() if name not in ("resource", "response")})
    # An entry of which nothing is left would be refused as empty.
    return {**resource, "entry": [entry or {"fullUrl": "urn:uuid:0"} for entry in kept]}


@functools.cache
def _model(name: str, version: FhirVersion) -> Any:  # noqa: ANN401 - a pydantic class, imported on demand
    if version is FhirVersion.R4 and name in _CHANGED_IN_R4B:
        return None
    try:
        return importlib.import_module(_PACKAGES[version]).get_fhir_model_class(name)
    except (ValueError, AttributeError, ImportError):
        return None
