"""A Bundle with nothing wrong, in R4 and in R5, and how to break it at a place."""

import json
import re
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
Mutation = Callable[[Json], None]

UUID = "urn:uuid:00000000-0000-4000-8000-00000000000"
LOINC, SNOMED, UCUM = "http://loinc.org", "http://snomed.info/sct", "http://unitsofmeasure.org"
THO = "http://terminology.hl7.org/CodeSystem"


def coded(system: str, code: str) -> Json:
    return {"coding": [{"system": system, "code": code}]}


def quantity(value: float, unit: str) -> Json:
    return {"value": value, "unit": unit, "system": UCUM, "code": unit}


SUBJECT = {"reference": f"{UUID}0"}
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "name": [{"family": "Muster", "given": ["Maria", None], "_given": [None, {"extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]}]}],
    "telecom": [{"system": "phone", "value": "+41 44 000 00 00"}],
    "gender": "female",
    "birthDate": "1961-04",
    "contact": [{"name": {"text": "A friend"}}],
}  # fmt: skip
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": coded(LOINC, "4548-4"),
    "subject": SUBJECT,
    "effectiveDateTime": "2026-01-05T09:30:00+01:00",
    "valueQuantity": quantity(7.5, "%"),
    "referenceRange": [{"high": quantity(6.5, "%")}],
}
PANEL = {
    "resourceType": "Observation",
    "status": "final",
    "code": coded(LOINC, "85354-9"),
    "subject": {"reference": "Patient/p1"},
    "effectivePeriod": {"start": "2026-01-05", "end": "2026-01"},
    "component": [{"code": coded(LOINC, "8480-6"), "valueQuantity": quantity(132, "mm[Hg]")}],
}
CONDITION = {
    "resourceType": "Condition",
    "clinicalStatus": coded(f"{THO}/condition-clinical", "active"),
    "verificationStatus": coded(f"{THO}/condition-ver-status", "confirmed"),
    "code": coded(SNOMED, "44054006"),
    "subject": SUBJECT,
    "onsetDateTime": "2015",
}
ALLERGY = {
    "resourceType": "AllergyIntolerance",
    "clinicalStatus": coded(f"{THO}/allergyintolerance-clinical", "active"),
    "verificationStatus": coded(f"{THO}/allergyintolerance-verification", "confirmed"),
    "code": coded(SNOMED, "372687004"),
    "patient": SUBJECT,
}
R4_REQUEST = {
    "resourceType": "MedicationRequest",
    "contained": [{"resourceType": "Medication", "id": "m1", "code": {"text": "Metformin"}}],
    "status": "active",
    "intent": "order",
    "medicationReference": {"reference": "#m1"},
    "subject": SUBJECT,
    "dosageInstruction": [{"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}],
}
R5_REQUEST = {
    **{key: value for key, value in R4_REQUEST.items() if key != "medicationReference"},
    "medication": {"reference": {"reference": "#m1"}},
}


def bundle(request: Json) -> Json:
    """Give a transaction; PATIENT is entry 0, then OBSERVATION, PANEL, CONDITION, ALLERGY and the request."""
    resources: list[Json] = [PATIENT, OBSERVATION, PANEL, CONDITION, ALLERGY, request]
    entry = [
        {
            "fullUrl": f"{UUID}{index}",
            "resource": resource,
            "request": {"method": "POST", "url": resource["resourceType"]},
        }
        for index, resource in enumerate(resources)
    ]
    # By way of text, so that no two places share an object and a mutation touches one.
    made: Json = json.loads(json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entry}))
    return made


def steps(path: str) -> list[str | int]:
    return [int(index) if index else name for name, index in re.findall(r"([A-Za-z_]+)|\[(\d+)\]", path)]


def put(path: str, value: Any) -> Mutation:  # noqa: ANN401 - any JSON
    """Set what stands at a place; an index one past the end appends."""

    def mutate(tree: Json) -> None:
        node: Any = tree
        *before, last = steps(path)
        for step in before:
            node = node[step]
        if isinstance(node, list) and last == len(node):
            node.append(value)
        else:
            node[last] = value

    return mutate


def drop(path: str) -> Mutation:
    def mutate(tree: Json) -> None:
        node: Any = tree
        *before, last = steps(path)
        for step in before:
            node = node[step]
        del node[last]

    return mutate


def both(*mutations: Mutation) -> Mutation:
    def mutate(tree: Json) -> None:
        for each in mutations:
            each(tree)

    return mutate
