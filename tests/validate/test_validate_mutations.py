"""Each row breaks the whole bundle in one way, and says what is found and where."""

import json
from typing import Any

import pytest
from whole import (
    ALLERGY,
    LOINC,
    PATIENT,
    R4_REQUEST,
    R5_REQUEST,
    THO,
    UUID,
    Mutation,
    both,
    bundle,
    coded,
    drop,
    put,
    quantity,
)

from adapter.errors import Severity
from adapter.fhir.versions import FhirVersion
from adapter.validate import issue_type, validate

R4, R5 = FhirVersion.R4, FhirVersion.R5
REQUESTS: dict[FhirVersion, dict[str, Any]] = {R4: R4_REQUEST, R5: R5_REQUEST}


def entry(index: int, path: str = "") -> str:
    return f"entry[{index}].resource" + (f".{path}" if path else "")


def as_type(kind: str) -> Mutation:
    """Turn the transaction into a Bundle without requests."""
    return both(put("type", kind), *(drop(f"entry[{index}].request") for index in range(6)))


def as_history(tree: dict[str, Any]) -> None:
    tree["type"] = "history"
    for each in tree["entry"]:
        each["response"] = {"status": "201"}


IN_ERROR_ALLERGY = coded(f"{THO}/allergyintolerance-verification", "entered-in-error")
IN_ERROR_CONDITION = coded(f"{THO}/condition-ver-status", "entered-in-error")
LOCAL = {"resourceType": "Organization", "id": "o1", "name": "Ward"}

# name, versions, mutation, the code found, the issue type it has in an OperationOutcome, where
ROWS: list[tuple[str, tuple[FhirVersion, ...], Mutation, str, str, str]] = [
    ("a misspelt element", (R4, R5), put(entry(1, "valueQuantitty"), quantity(1, "%")), "unknown-element", "structure",
     "Bundle.entry[1].resource"),
    ("an element of another resource", (R4, R5), put(entry(0, "valueQuantity"), quantity(1, "%")), "unknown-element",
     "structure", "Bundle.entry[0].resource.valueQuantity"),
    ("an R5 element in R4", (R4,), put(entry(5, "medication"), {"reference": {"reference": "#m1"}}), "unknown-element",
     "structure", "Bundle.entry[5].resource.medication"),
    ("an R4 element in R5", (R5,), put(entry(5, "medicationReference"), {"reference": "#m1"}), "unknown-element",
     "structure", "Bundle.entry[5].resource.medicationReference"),
    ("a resource type that is none", (R4, R5), put(entry(3, "resourceType"), "Disease"), "unknown-resource-type",
     "not-supported", "Bundle.entry[3].resource.resourceType"),
    ("a resource without its type", (R4, R5), drop(entry(3, "resourceType")), "missing-element", "required",
     "Bundle.entry[3].resource.resourceType"),
    ("a required element left out", (R4, R5), drop(entry(1, "status")), "missing-element", "required",
     "Bundle.entry[1].resource.status"),
    ("a required object left out", (R4, R5), drop(entry(1, "code")), "missing-element", "required",
     "Bundle.entry[1].resource.code"),
    ("a required choice left out", (R4,), drop(entry(5, "medicationReference")), "missing-element", "required",
     "Bundle.entry[5].resource.medication"),
    ("a value sent as text", (R4, R5), put(entry(1, "valueQuantity.value"), "7.5"), "wrong-type", "structure",
     "Bundle.entry[1].resource.valueQuantity.value"),
    ("one thing sent as many", (R4, R5), put(entry(0, "gender"), ["female"]), "wrong-type", "structure",
     "Bundle.entry[0].resource.gender"),
    ("many things sent as one", (R4, R5), put(entry(0, "name"), {"family": "Muster"}), "wrong-type", "structure",
     "Bundle.entry[0].resource.name"),
    ("a null", (R4, R5), put(entry(0, "birthDate"), None), "wrong-type", "structure",
     "Bundle.entry[0].resource.birthDate"),
    ("a null that keeps no place", (R4, R5), put(entry(0, "name[0].given"), [None, None]), "stray-null", "structure",
     "Bundle.entry[0].resource.name[0].given[0]"),
    ("an empty array", (R4, R5), put(entry(0, "name"), []), "empty", "structure", "Bundle.entry[0].resource.name"),
    ("an empty string", (R4, R5), put(entry(0, "name[0].family"), ""), "empty", "structure",
     "Bundle.entry[0].resource.name[0].family"),
    ("an empty object", (R4, R5), put(entry(1, "code.coding[0]"), {}), "ele-1", "invariant",
     "Bundle.entry[1].resource.code.coding[0]"),
    ("a date that is none", (R4, R5), put(entry(0, "birthDate"), "05.04.1961"), "bad-format", "value",
     "Bundle.entry[0].resource.birthDate"),
    ("a day no calendar has", (R4, R5), put(entry(0, "birthDate"), "1961-02-30"), "no-such-day", "value",
     "Bundle.entry[0].resource.birthDate"),
    ("a time without a zone", (R4, R5), put(entry(1, "effectiveDateTime"), "2026-01-05T09:30:00"), "time-zone-missing",
     "value", "Bundle.entry[1].resource.effectiveDateTime"),
    ("two values of one choice", (R4, R5), put(entry(1, "valueString"), "high"), "several-choices", "structure",
     "Bundle.entry[1].resource.value"),
    ("a number out of range", (R4, R5), put(entry(5, "dosageInstruction[0].timing.repeat.frequency"), 0),
     "out-of-range", "value", "Bundle.entry[5].resource.dosageInstruction[0].timing.repeat.frequency"),
    ("a status that is no code", (R4, R5), put(entry(1, "status"), "done"), "not-a-code", "code-invalid",
     "Bundle.entry[1].resource.status"),
    ("a clinical status of another system", (R4, R5), put(entry(3, "clinicalStatus.coding[0].system"), "http://x.org"),
     "not-a-code", "code-invalid", "Bundle.entry[3].resource.clinicalStatus"),
    ("a clinical status in words only", (R4, R5), put(entry(3, "clinicalStatus"), {"text": "active"}), "not-a-code",
     "code-invalid", "Bundle.entry[3].resource.clinicalStatus"),
    ("a Bundle type that is none", (R4, R5), put("type", "bag"), "not-a-code", "code-invalid", "Bundle.type"),
    ("a subject that is a Condition", (R4, R5), put(entry(1, "subject.reference"), f"{UUID}3"), "reference-target",
     "value", "Bundle.entry[1].resource.subject"),
    ("a patient that is a Practitioner", (R4, R5), put(entry(4, "patient.reference"), "Practitioner/1"),
     "reference-target", "value", "Bundle.entry[4].resource.patient"),
    ("a medication that is an Organization", (R4,), put(entry(5, "contained[0]"), {**LOCAL, "id": "m1"}),
     "reference-target", "value", "Bundle.entry[5].resource.medicationReference"),
    ("a urn that leads nowhere", (R4, R5), put(entry(1, "subject.reference"), f"{UUID}9"), "reference-dangling",
     "not-found", "Bundle.entry[1].resource.subject.reference"),
    ("obs-3: an empty reference range", (R4, R5), put(entry(1, "referenceRange[0]"), {"type": {"text": "normal"}}),
     "obs-3", "invariant", "Bundle.entry[1].resource.referenceRange[0]"),
    ("obs-6: a value and a reason for none", (R4, R5), put(entry(1, "dataAbsentReason"), {"text": "unknown"}), "obs-6",
     "invariant", "Bundle.entry[1].resource.dataAbsentReason"),
    ("obs-7: a component with the panel's code", (R4, R5),
     both(put(entry(2, "component[0].code"), coded(LOINC, "85354-9")), put(entry(2, "valueString"), "high")), "obs-7",
     "invariant", "Bundle.entry[2].resource.component[0].code"),
    ("qty-3: a unit code without its system", (R4, R5), drop(entry(1, "valueQuantity.system")), "qty-3", "invariant",
     "Bundle.entry[1].resource.valueQuantity"),
    ("sqty-1: a comparator in a range", (R4, R5), put(entry(1, "referenceRange[0].high.comparator"), "<"), "sqty-1",
     "invariant", "Bundle.entry[1].resource.referenceRange[0].high"),
    ("per-1: an end before the start", (R4, R5), put(entry(2, "effectivePeriod.end"), "2025"), "per-1", "invariant",
     "Bundle.entry[2].resource.effectivePeriod"),
    ("ext-1: an extension that says nothing", (R4, R5), put(entry(0, "extension"), [{"url": "http://x.org/e"}]),
     "ext-1", "invariant", "Bundle.entry[0].resource.extension[0]"),
    ("cpt-2: a number without its kind", (R4, R5), drop(entry(0, "telecom[0].system")), "cpt-2", "invariant",
     "Bundle.entry[0].resource.telecom[0]"),
    ("pat-1: a contact without details", (R4, R5), put(entry(0, "contact[0]"), {"gender": "male"}), "pat-1",
     "invariant", "Bundle.entry[0].resource.contact[0]"),
    ("tim-2: a period without its unit", (R4, R5), drop(entry(5, "dosageInstruction[0].timing.repeat.periodUnit")),
     "tim-2", "invariant", "Bundle.entry[5].resource.dosageInstruction[0].timing.repeat"),
    ("ref-1: a local reference to nothing", (R4, R5), put(entry(1, "subject.reference"), "#p1"), "ref-1", "invariant",
     "Bundle.entry[1].resource.subject.reference"),
    ("dom-2: contained in contained", (R4, R5), put(entry(5, "contained[0].contained"), [LOCAL]), "dom-2", "invariant",
     "Bundle.entry[5].resource.contained[0].contained"),
    ("dom-3: contained for nothing", (R4, R5), put(entry(5, "contained[1]"), LOCAL), "dom-3", "invariant",
     "Bundle.entry[5].resource.contained[1]"),
    ("dom-4: contained with a version", (R4, R5), put(entry(5, "contained[0].meta"), {"versionId": "2"}), "dom-4",
     "invariant", "Bundle.entry[5].resource.contained[0].meta"),
    ("dom-5: contained with a label", (R4, R5),
     put(entry(5, "contained[0].meta"), {"security": [{"system": f"{THO}/v3-Confidentiality", "code": "R"}]}), "dom-5",
     "invariant", "Bundle.entry[5].resource.contained[0].meta.security"),
    ("con-3: a listed problem without status", (R4,),
     both(drop(entry(3, "clinicalStatus")),
          put(entry(3, "category"), [coded(f"{THO}/condition-category", "problem-list-item")])),
     "con-3", "invariant", "Bundle.entry[3].resource"),
    ("con-3: abated and active", (R5,), put(entry(3, "abatementDateTime"), "2020"), "con-3", "invariant",
     "Bundle.entry[3].resource.clinicalStatus"),
    ("con-4: abated and active", (R4,), put(entry(3, "abatementDateTime"), "2020"), "con-4", "invariant",
     "Bundle.entry[3].resource.clinicalStatus"),
    ("con-5: active and in error", (R4,), put(entry(3, "verificationStatus"), IN_ERROR_CONDITION), "con-5",
     "invariant", "Bundle.entry[3].resource.clinicalStatus"),
    ("ait-1: an allergy without status", (R4,), drop(entry(4, "clinicalStatus")), "ait-1", "invariant",
     "Bundle.entry[4].resource.clinicalStatus"),
    ("ait-2: active and in error", (R4,), put(entry(4, "verificationStatus"), IN_ERROR_ALLERGY), "ait-2", "invariant",
     "Bundle.entry[4].resource.clinicalStatus"),
    ("bdl-1: a total", (R4, R5), put("total", 6), "bdl-1", "invariant", "Bundle.total"),
    ("bdl-2: search in a transaction", (R4, R5), put("entry[0].search", {"mode": "match"}), "bdl-2", "invariant",
     "Bundle.entry[0].search"),
    ("bdl-3: an entry without its request", (R4,), drop("entry[2].request"), "bdl-3", "invariant", "Bundle.entry[2]"),
    ("bdl-3a: a collection with a request", (R5,),
     both(as_type("collection"), put("entry[2].request", {"method": "POST", "url": "Observation"})), "bdl-3a",
     "invariant", "Bundle.entry[2]"),
    ("bdl-3b: a history without a response", (R5,), both(as_history, drop("entry[2].response")), "bdl-3b",
     "invariant", "Bundle.entry[2]"),
    ("bdl-3c: an entry without its request", (R5,), drop("entry[2].request"), "bdl-3c", "invariant",
     "Bundle.entry[2]"),
    ("bdl-4: a response in a transaction", (R4,), put("entry[2].response", {"status": "201"}), "bdl-4", "invariant",
     "Bundle.entry[2]"),
    ("bdl-5: an entry with nothing", (R4, R5), both(as_type("collection"), drop("entry[2].resource")), "bdl-5",
     "invariant", "Bundle.entry[2]"),
    ("bdl-7: one fullUrl twice", (R4, R5), put("entry[4].fullUrl", f"{UUID}3"), "bdl-7", "invariant",
     "Bundle.entry[4].fullUrl"),
    ("bdl-8: a fullUrl with a version", (R4, R5), put("entry[2].fullUrl", "http://x.org/Observation/1/_history/2"),
     "bdl-8", "invariant", "Bundle.entry[2].fullUrl"),
    ("bdl-9: a document without identifier", (R4, R5), as_type("document"), "bdl-9", "invariant", "Bundle.identifier"),
    ("bdl-10: a document without date", (R4, R5), as_type("document"), "bdl-10", "invariant", "Bundle.timestamp"),
    ("bdl-11: a document without Composition", (R4, R5), as_type("document"), "bdl-11", "invariant",
     "Bundle.entry[0]"),
    ("bdl-12: a message without header", (R4, R5), as_type("message"), "bdl-12", "invariant", "Bundle.entry[0]"),
    ("bdl-13: a notification without status", (R5,), as_type("subscription-notification"), "bdl-13", "invariant",
     "Bundle.entry[0]"),
    ("bdl-15: a collection without fullUrl", (R5,), both(as_type("collection"), drop("entry[2].fullUrl")), "bdl-15",
     "invariant", "Bundle.entry[2]"),
    ("bdl-18: a search without self", (R5,), as_type("searchset"), "bdl-18", "invariant", "Bundle.link"),
    ("an answer instead of data", (R4, R5), put("type", "transaction-response"), "response-bundle", "not-supported",
     "Bundle.type"),
]  # fmt: skip

CASES = [(version, *row) for row in ROWS for version in row[1]]
WARNINGS = ("con-3", "reference-dangling")


@pytest.mark.parametrize("version", FhirVersion)
def test_the_whole_bundle_has_nothing_wrong(version: FhirVersion) -> None:
    report = validate(json.dumps(bundle(REQUESTS[version])).encode(), version)
    assert report.issues == ()
    assert report.resource_count == 6


@pytest.mark.parametrize(
    ("version", "mutation", "code", "kind", "expression"),
    [pytest.param(row[0], *row[3:], id=f"{row[0].value} {row[1]}") for row in CASES],
)
def test_a_broken_bundle_is_flagged_where_it_is_broken(
    version: FhirVersion, mutation: Mutation, code: str, kind: str, expression: str
) -> None:
    tree = bundle(REQUESTS[version])
    mutation(tree)
    report = validate(json.dumps(tree).encode(), version)
    found = [issue for issue in report.issues if (issue.code, issue.expression) == (code, expression)]
    assert len(found) == 1, [str(issue) for issue in report.issues]
    assert issue_type(found[0]) == kind
    assert code in WARNINGS or found[0].severity is Severity.ERROR


@pytest.mark.parametrize(
    ("version", "mutation", "code"),
    [pytest.param(row[0], row[3], row[4], id=f"{row[0].value} {row[1]}") for row in CASES],
)
def test_one_fault_is_not_told_in_many_ways(version: FhirVersion, mutation: Mutation, code: str) -> None:
    tree = bundle(REQUESTS[version])
    mutation(tree)
    places = [issue.expression for issue in validate(json.dumps(tree).encode(), version).issues]
    assert code.startswith("bdl") or len(places) == len(set(places)), places


def test_a_broken_entry_leaves_the_others_judged() -> None:
    tree = bundle(R4_REQUEST)
    tree["entry"][0]["resource"] = "a string"
    tree["entry"][1] = 5
    del tree["entry"][3]["resource"]["subject"]
    found = {(issue.code, issue.expression) for issue in validate(json.dumps(tree).encode(), R4).issues}
    assert ("wrong-type", "Bundle.entry[0].resource") in found
    assert ("wrong-type", "Bundle.entry[1]") in found
    assert ("missing-element", "Bundle.entry[3].resource.subject") in found


def test_a_single_resource_is_judged_as_one() -> None:
    report = validate(json.dumps(PATIENT).encode(), R4)
    assert (report.issues, report.resource_count) == ((), 1)
    assert validate(json.dumps({**ALLERGY, "patient": {"reference": "Patient/1"}}).encode(), R5).issues == ()
