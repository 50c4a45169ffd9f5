"""A small chart of one patient, as a hospital would send it, to be broken in the tests of reading."""

import json
from typing import Any

from cases import catalog

from adapter.fhir.dates import parse_as_of
from adapter.screen import DocumentScreening, screen_bundle

AS_OF = "2026-11-01T12:00:00Z"
SERVER = "http://example.org/fhir"
A1C = "BMMSC-I5b"
"""HbA1c of at least 7 %."""
T2DM = "BMMSC-I2a"
AGE = "BMMSC-I3a"
DOSE = "NCT02302599-I4b"
UCUM = "http://unitsofmeasure.org"
Resource = dict[str, Any]


def patient(name: str = "p1", /, **more: object) -> Resource:
    return {"resourceType": "Patient", "id": name, "birthDate": "1980-01-01", "gender": "female", **more}


def a1c(name: str, value: object, date: str, whose: str = "Patient/p1", /, **more: object) -> Resource:
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": whose},
        "effectiveDateTime": date,
        "valueQuantity": {"value": value, "unit": "%", "system": UCUM, "code": "%"},
        **more,
    }


def older() -> Resource:
    """A good value that must never stand in for a newer one."""
    return a1c("older", 8.1, "2026-09-01")


def newer(**more: object) -> Resource:
    return a1c("newer", 8.4, "2026-10-20", **more)


def coded(system: str, code: object) -> Resource:
    return {"coding": [{"system": system, "code": code}]}


def status(kind: str, code: object) -> Resource:
    return coded(f"http://terminology.hl7.org/CodeSystem/{kind}", code)


def type_2(name: str = "dm", /, **more: object) -> Resource:
    return {
        "resourceType": "Condition",
        "id": name,
        "clinicalStatus": status("condition-clinical", "active"),
        "verificationStatus": status("condition-ver-status", "confirmed"),
        "code": coded("http://snomed.info/sct", "44054006"),
        "subject": {"reference": "Patient/p1"},
        "onsetDateTime": "2020-01-01",
        **more,
    }


def insulin(name: str = "ins", units: int = 20, /, **more: object) -> Resource:
    return {
        "resourceType": "MedicationRequest",
        "id": name,
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": coded("http://www.nlm.nih.gov/research/umls/rxnorm", "274783"),
        "subject": {"reference": "Patient/p1"},
        "authoredOn": "2026-01-01",
        "dosageInstruction": [
            {
                "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
                "doseAndRate": [{"doseQuantity": {"value": units, "unit": "U", "system": UCUM, "code": "U"}}],
            }
        ],
        **more,
    }


def weight() -> Resource:
    made = a1c("kg", 70, "2026-10-20")
    made["code"] = coded("http://loinc.org", "29463-7")
    made["valueQuantity"] = {"value": 70, "unit": "kg", "system": UCUM, "code": "kg"}
    return made


def entry(resource: Resource, server: str = SERVER) -> Resource:
    return {"fullUrl": f"{server}/{resource['resourceType']}/{resource.get('id', 'x')}", "resource": resource}


def bundle(*resources: Resource, kind: str = "collection") -> Resource:
    return {"resourceType": "Bundle", "type": kind, "entry": [entry(each) for each in resources]}


def answered(document: Resource | bytes) -> DocumentScreening:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return screen_bundle(data, catalog(), parse_as_of(AS_OF))


def atoms(document: Resource | bytes, number: int = 0) -> dict[str, tuple[str, str | None]]:
    """Give what one patient's atoms say: the word, and the reason of an unknown."""
    found = {}
    for screening in answered(document).patients[number].screenings:
        for finding in screening.findings:
            judgement = finding.judgement
            found[finding.atom] = (judgement.truth.word, judgement.reason.value if judgement.reason else None)
    return found


def word(document: Resource | bytes, atom: str = A1C) -> str:
    return atoms(document)[atom][0]


def codes(document: Resource | bytes) -> list[str]:
    """Give the codes of what was noticed while reading."""
    return [issue.code for issue in answered(document).issues]


UNKNOWN_EXTENSION = [{"url": "http://example.org/negated", "valueBoolean": True}]
DATA_ABSENT = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
}
