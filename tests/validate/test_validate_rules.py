"""Every invariant we look after has a case that breaks it, and the same case mended."""

import json
from typing import Any

import pytest
from test_validate_mutations import ROWS as BUNDLES
from whole import THO, UCUM, Json, coded

from adapter.fhir.versions import FhirVersion
from adapter.validate import validate
from adapter.validate.invariants import RULES

R4, R5 = FhirVersion.R4, FhirVersion.R5
BOTH = (R4, R5)
PATIENT = {"reference": "Patient/1"}
DATE = "2026-01-05"


def extended(**value: Any) -> Json:  # noqa: ANN401 - any JSON
    """Give a Patient with one extension: the place to try a data type."""
    return {"resourceType": "Patient", "extension": [{"url": "https://example.org/e", **value}]}


def repeated(**repeat: Any) -> Json:  # noqa: ANN401 - any JSON
    return extended(valueTiming={"repeat": repeat})


def measured(value: Any, code: str | None, system: str = UCUM) -> Json:  # noqa: ANN401 - any JSON
    return {"value": value, "system": system, **({} if code is None else {"code": code})}


def resource(kind: str, **elements: Any) -> Json:  # noqa: ANN401 - any JSON
    return {"resourceType": kind, **elements}


def listed(**elements: Any) -> Json:  # noqa: ANN401 - any JSON
    return resource("List", **{"status": "current", "mode": "working", **elements})


def condition(**elements: Any) -> Json:  # noqa: ANN401 - any JSON
    status = coded(f"{THO}/condition-clinical", "active")
    return resource("Condition", subject=PATIENT, **{"clinicalStatus": status, **elements})


def consent(scope: str, **elements: Any) -> Json:  # noqa: ANN401 - any JSON
    policy = [{"uri": "https://example.org/policy"}]
    category = [{"text": "research"}]
    given = {"status": "active", "policy": policy, "category": category, **elements}
    return resource("Consent", scope=coded(f"{THO}/consentscope", scope), **given)


def answered(**item: Any) -> Json:  # noqa: ANN401 - any JSON
    said = {"questionnaire": "https://example.org/q", "status": "completed"}
    return resource("QuestionnaireResponse", **said, item=[{"linkId": "1", **item}])


def composed(**section: Any) -> Json:  # noqa: ANN401 - any JSON
    author = [{"reference": "Practitioner/1"}]
    return resource(
        "Composition", status="final", type={"text": "x"}, date=DATE, author=author, title="x", section=[section]
    )


def given(version: FhirVersion, **dosage: Any) -> Json:  # noqa: ANN401 - any JSON
    r4 = {"medicationCodeableConcept": {"text": "x"}, "effectiveDateTime": DATE}
    r5 = {"medication": {"concept": {"text": "x"}}, "occurenceDateTime": DATE}
    said: Json = {"status": "completed", "subject": PATIENT, **(r4 if version is R4 else r5)}
    return resource("MedicationAdministration", **said, dosage=dosage)


def dispensed(version: FhirVersion, prepared: str, handed: str) -> Json:
    drug = {"medicationCodeableConcept": {"text": "x"}} if version is R4 else {"medication": {"concept": {"text": "x"}}}
    return resource(
        "MedicationDispense", status="completed", subject=PATIENT, whenPrepared=prepared, whenHandedOver=handed, **drug
    )


def observed(**elements: Any) -> Json:  # noqa: ANN401 - any JSON
    return resource("Observation", status="final", code={"text": "x"}, **elements)


def met(**participant: Any) -> Json:  # noqa: ANN401 - any JSON
    return resource("Encounter", status="completed", participant=[participant])


def collected(inner: Json, **elements: Any) -> Json:  # noqa: ANN401 - any JSON
    entry = [{"fullUrl": "urn:uuid:1", "resource": inner}]
    return resource("Bundle", type="collection", entry=entry, **elements)


def kept(method: str) -> Json:
    request, response = {"method": method, "url": "Patient/1"}, {"status": "200"}
    entry = {
        "fullUrl": "https://example.org/Patient/1",
        "resource": resource("Patient"),
        "request": request,
        "response": response,
    }
    return resource("Bundle", type="history", entry=[entry])


def remarked(severity: str) -> Json:
    issue = {"severity": severity, "code": "informational", "details": {"text": "x"}}
    return resource("OperationOutcome", issue=[issue])


def documented(**elements: Any) -> Json:  # noqa: ANN401 - any JSON
    entry = [{"fullUrl": "urn:uuid:1", "resource": composed(text={"status": "generated", "div": "<div>x</div>"})}]
    identifier = {"system": "https://example.org/id", "value": "1"}
    return resource(
        "Bundle", type="document", identifier=identifier, timestamp=f"{DATE}T00:00:00Z", entry=entry, **elements
    )


EXT = "Patient.extension[0]"
NEED = {"type": "Observation"}
NARRATIVE = {"status": "generated", "div": "<div>x</div>"}
FILTER = {"path": "code"}

# key, versions, what breaks it, what does not, where
CASES: list[tuple[str, tuple[FhirVersion, ...], Json, Json, str]] = [
    ("age-1", BOTH, extended(valueAge=measured(0, "a")), extended(valueAge=measured(4, "a")), f"{EXT}.valueAge"),
    ("age-1", BOTH, extended(valueAge=measured(4, None)), extended(valueAge=measured(4, "mo")), f"{EXT}.valueAge"),
    ("age-1", BOTH, extended(valueAge=measured(4, "a", "http://x.org")), extended(valueAge={}), f"{EXT}.valueAge"),
    ("cnt-3", BOTH, extended(valueCount=measured(1.5, "1")), extended(valueCount=measured(2, "1")),
     f"{EXT}.valueCount"),
    ("cnt-3", BOTH, extended(valueCount=measured(2, "kg")), extended(valueCount=measured(0, "1")), f"{EXT}.valueCount"),
    ("dis-1", BOTH, extended(valueDistance=measured(1, None)), extended(valueDistance=measured(1, "m")),
     f"{EXT}.valueDistance"),
    ("drt-1", BOTH, extended(valueDuration=measured(1, "d", "http://x.org")), extended(valueDuration=measured(1, "d")),
     f"{EXT}.valueDuration"),
    ("rng-2", BOTH, extended(valueRange={"low": measured(2, "m"), "high": measured(1, "m")}),
     extended(valueRange={"low": measured(2, "m"), "high": measured(1, "km")}), f"{EXT}.valueRange"),
    ("rat-1", BOTH, extended(valueRatio={"numerator": measured(1, "m")}),
     extended(valueRatio={"numerator": measured(1, "m"), "denominator": measured(1, "s")}), f"{EXT}.valueRatio"),
    ("att-1", BOTH, extended(valueAttachment={"data": "QUFB"}),
     extended(valueAttachment={"data": "QUFB", "contentType": "text/plain"}), f"{EXT}.valueAttachment"),
    ("exp-1", BOTH, extended(valueExpression={"language": "text/cql"}),
     extended(valueExpression={"language": "text/cql", "expression": "x"}), f"{EXT}.valueExpression"),
    ("drq-1", BOTH, extended(valueDataRequirement={**NEED, "codeFilter": [{**FILTER, "searchParam": "code"}]}),
     extended(valueDataRequirement={**NEED, "codeFilter": [FILTER]}), f"{EXT}.valueDataRequirement.codeFilter[0]"),
    ("drq-2", BOTH, extended(valueDataRequirement={**NEED, "dateFilter": [{"valueDateTime": DATE}]}),
     extended(valueDataRequirement={**NEED, "dateFilter": [{"path": "x", "valueDateTime": DATE}]}),
     f"{EXT}.valueDataRequirement.dateFilter[0]"),
    ("trd-1", BOTH, extended(valueTriggerDefinition={"type": "data-added", "data": [NEED], "timingDate": DATE}),
     extended(valueTriggerDefinition={"type": "data-added", "data": [NEED]}), f"{EXT}.valueTriggerDefinition"),
    ("trd-2", BOTH, extended(valueTriggerDefinition={"type": "data-added", "condition": {"language": "text/cql",
                                                                                       "expression": "x"}}),
     extended(valueTriggerDefinition={"type": "data-added", "data": [NEED]}), f"{EXT}.valueTriggerDefinition"),
    ("tim-1", BOTH, repeated(duration=1), repeated(duration=1, durationUnit="h"), f"{EXT}.valueTiming.repeat"),
    ("tim-4", BOTH, repeated(duration=-1, durationUnit="h"), repeated(duration=0, durationUnit="h"),
     f"{EXT}.valueTiming.repeat"),
    ("tim-5", BOTH, repeated(period=-1, periodUnit="d"), repeated(period=0, periodUnit="d"),
     f"{EXT}.valueTiming.repeat"),
    ("tim-6", BOTH, repeated(periodMax=1), repeated(period=1, periodMax=2, periodUnit="d"),
     f"{EXT}.valueTiming.repeat"),
    ("tim-7", BOTH, repeated(durationMax=1), repeated(duration=1, durationMax=2, durationUnit="h"),
     f"{EXT}.valueTiming.repeat"),
    ("tim-8", BOTH, repeated(countMax=1), repeated(count=1, countMax=2), f"{EXT}.valueTiming.repeat"),
    ("tim-9", BOTH, repeated(offset=1, when=["CM"]), repeated(offset=1, when=["ACM"]), f"{EXT}.valueTiming.repeat"),
    ("tim-10", BOTH, repeated(timeOfDay=["08:00:00"], when=["ACM"]), repeated(timeOfDay=["08:00:00"]),
     f"{EXT}.valueTiming.repeat"),
    ("dos-1", (R5,), extended(valueDosage={"asNeeded": False, "asNeededFor": [{"text": "pain"}]}),
     extended(valueDosage={"asNeeded": True, "asNeededFor": [{"text": "pain"}]}), f"{EXT}.valueDosage"),
    ("ref-2", (R5,), extended(valueReference={"type": "Patient"}), extended(valueReference=PATIENT),
     f"{EXT}.valueReference"),
    ("inv-1", BOTH,
     resource("Parameters", parameter=[{"name": "a", "valueString": "x", "resource": resource("Patient")}]),
     resource("Parameters", parameter=[{"name": "a", "valueString": "x"}]), "Parameters.parameter[0]"),
    ("inv-1", BOTH, resource("Parameters", parameter=[{"name": "a", "part": [{"name": "b"}]}]),
     resource("Parameters", parameter=[{"name": "a", "part": [{"name": "b", "valueString": "x"}]}]),
     "Parameters.parameter[0].part[0]"),
    ("obs-8", (R5,), observed(bodySite={"text": "x"}, bodyStructure={"reference": "BodyStructure/1"}),
     observed(bodySite={"text": "x"}), "Observation"),
    ("con-1", BOTH, condition(stage=[{"type": {"text": "x"}}]), condition(stage=[{"summary": {"text": "x"}}]),
     "Condition.stage[0]"),
    ("con-2", (R4,), condition(evidence=[{"extension": [{"url": "https://x.org", "valueCode": "x"}]}]),
     condition(evidence=[{"code": [{"text": "x"}]}]), "Condition.evidence[0]"),
    ("con-2", (R5,), condition(clinicalStatus=coded(f"{THO}/condition-clinical", "unknown"),
                               category=[coded(f"{THO}/condition-category", "problem-list-item")]),
     condition(clinicalStatus=coded(f"{THO}/condition-clinical", "unknown")), "Condition"),
    ("qrs-1", BOTH, answered(answer=[{"valueBoolean": True}], item=[{"linkId": "2"}]),
     answered(answer=[{"valueBoolean": True}]), "QuestionnaireResponse.item[0]"),
    ("cmp-1", BOTH, composed(title="x"), composed(text=NARRATIVE), "Composition.section[0]"),
    ("cmp-2", BOTH, composed(emptyReason={"text": "x"}, entry=[PATIENT]), composed(entry=[PATIENT]),
     "Composition.section[0]"),
    ("lst-1", BOTH, listed(emptyReason={"text": "x"}, entry=[{"item": PATIENT}]), listed(emptyReason={"text": "x"}),
     "List"),
    ("lst-2", (R4,), listed(entry=[{"item": PATIENT, "deleted": True}]),
     listed(mode="changes", entry=[{"item": PATIENT, "deleted": True}]), "List.entry[0].deleted"),
    ("lst-3", (R4,), listed(mode="snapshot", entry=[{"item": PATIENT, "date": DATE}]),
     listed(entry=[{"item": PATIENT, "date": DATE}]), "List.entry[0].date"),
    ("mad-1", (R4,), given(R4, text="x"), given(R4, dose=measured(1, "mg")), "MedicationAdministration.dosage"),
    ("mad-1", (R5,), given(R5, route={"text": "x"}), given(R5, text="x"), "MedicationAdministration.dosage"),
    ("mdd-1", (R4,), dispensed(R4, "2026-02", "2026-01-31"), dispensed(R4, "2026-01", "2026-01-31"),
     "MedicationDispense.whenHandedOver"),
    ("mdd-1", (R5,), dispensed(R5, "2026-02", "2026-01-31"), dispensed(R5, "2026", "2026-01-31"),
     "MedicationDispense.whenHandedOver"),
    ("ppc-1", (R4,), resource("Consent", status="active", category=[{"text": "x"}], scope={"text": "x"}),
     consent("x", patient=PATIENT), "Consent"),
    ("ppc-2", (R4,), consent("patient-privacy"), consent("patient-privacy", patient=PATIENT), "Consent"),
    ("ppc-3", (R4,), consent("research"), consent("research", patient=PATIENT), "Consent"),
    ("ppc-4", (R4,), consent("adr"), consent("adr", patient=PATIENT), "Consent"),
    ("ppc-5", (R4,), consent("treatment"), consent("treatment", patient=PATIENT), "Consent"),
    ("enc-1", (R5,), met(period={"start": DATE}), met(type=[{"text": "x"}]), "Encounter.participant[0]"),
    ("enc-2", (R5,), met(actor=PATIENT, type=[{"text": "x"}]), met(actor=PATIENT), "Encounter.participant[0].type"),
    ("org-1", BOTH, resource("Organization", active=True), resource("Organization", name="x"), "Organization"),
    ("imm-1", (R4,), resource("Immunization", status="completed", vaccineCode={"text": "x"}, patient=PATIENT,
                              occurrenceDateTime=DATE, education=[{"publicationDate": DATE}]),
     resource("Immunization", status="completed", vaccineCode={"text": "x"}, patient=PATIENT, occurrenceDateTime=DATE,
              education=[{"documentType": "x"}]), "Immunization.education[0]"),
    ("grp-1", (R4,), resource("Group", type="person", actual=False, member=[{"entity": PATIENT}]),
     resource("Group", type="person", actual=True, member=[{"entity": PATIENT}]), "Group.member"),
    ("bdl-3d", (R5,), collected(resource("Bundle", type="batch-response", entry=[{"fullUrl": "urn:uuid:1"}])),
     collected(resource("Bundle", type="batch-response", entry=[{"response": {"status": "200"}}])),
     "Bundle.entry[0].resource.entry[0]"),
    ("bdl-14", (R5,), kept("PATCH"), kept("PUT"), "Bundle.entry[0].request.method"),
    ("bdl-16", (R5,), collected(resource("Patient"), issues=remarked("error")),
     collected(resource("Patient"), issues=remarked("warning")), "Bundle.issues.issue[0].severity"),
    ("bdl-17", (R5,), documented(issues=remarked("warning")), documented(), "Bundle.issues"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "key", "broken", "mended", "expression"),
    [
        pytest.param(version, key, broken, mended, where, id=f"{version.value} {key} {index}")
        for index, (key, versions, broken, mended, where) in enumerate(CASES)
        for version in versions
    ],
)
def test_a_rule_sees_what_breaks_it_and_lets_the_rest_pass(
    version: FhirVersion, key: str, broken: Json, mended: Json, expression: str
) -> None:
    found = validate(json.dumps(broken).encode(), version).issues
    assert (key, expression) in [(issue.code, issue.expression) for issue in found], [str(each) for each in found]
    assert key not in [issue.code for issue in validate(json.dumps(mended).encode(), version).issues]


def test_every_rule_has_a_case() -> None:
    tried = {(row[0], version) for row in CASES for version in row[1]}
    tried |= {(row[3], version) for row in BUNDLES for version in row[1]}
    assert set(RULES) - tried == set()
