"""The packed definitions say what HL7 says, our fast schema judges as jsonschema does, and every rule has its key."""

import json
from typing import Any

import jsonschema
import pytest
from whole import OBSERVATION, PATIENT, R4_REQUEST, R5_REQUEST, bundle

from adapter.errors import Severity
from adapter.fhir.definitions import check_resource, definitions, whole_schema
from adapter.fhir.definitions.schema import errors
from adapter.fhir.versions import FhirVersion
from adapter.validate.invariants import RULES

R4, R5 = FhirVersion.R4, FhirVersion.R5


def test_r4_is_true_r4_and_not_r5_filled_back() -> None:
    study = definitions(R4).type("ResearchStudy").elements
    assert "recruitment" not in study
    assert "comparisonGroup" not in study
    assert "individual" in definitions(R4).type("ResearchSubject").elements
    assert definitions(R4).fhir_version == "4.0.1"


@pytest.mark.parametrize(("version", "count"), [(R4, 146), (R5, 158)])
def test_every_resource_type_is_there(version: FhirVersion, count: int) -> None:
    # R5 counts 157 in its list and Parameters beside it.
    known = definitions(version)
    assert len(known.resource_types) == count
    for name in known.resource_types:
        assert whole_schema(version, name)["$defs"][name]["properties"]["resourceType"] == {"const": name}


@pytest.mark.parametrize(
    ("version", "value_set", "codes"),
    [
        (R4, "administrative-gender", {"male", "female", "other", "unknown"}),
        (R5, "administrative-gender", {"male", "female", "other", "unknown"}),
        (R4, "medication-statement-status", {"active", "completed", "entered-in-error", "intended", "stopped",
                                             "on-hold", "unknown", "not-taken"}),
        (R5, "medication-statement-status", {"recorded", "entered-in-error", "draft"}),
        (R4, "condition-clinical", {"active", "recurrence", "relapse", "inactive", "remission", "resolved"}),
        (R5, "condition-clinical", {"active", "recurrence", "relapse", "inactive", "remission", "resolved", "unknown"}),
    ],
)  # fmt: skip
def test_value_sets_hold_the_codes_of_their_version(version: FhirVersion, value_set: str, codes: set[str]) -> None:
    assert set(definitions(version).plain_codes(f"http://hl7.org/fhir/ValueSet/{value_set}") or ()) == codes


def test_a_value_set_that_cannot_be_listed_is_not_judged() -> None:
    assert definitions(R4).codes("http://hl7.org/fhir/ValueSet/mimetypes") is None


@pytest.mark.parametrize(("key", "version"), RULES)
def test_every_rule_looks_after_a_key_that_hl7_states(key: str, version: FhirVersion) -> None:
    assert definitions(version).constraints[key].severity in {Severity.ERROR.value, Severity.WARNING.value}


BROKEN: list[dict[str, Any]] = [
    {},
    {"status": None},
    {"status": ["final"]},
    {"valueQuantity": {"value": "7", "unknown": 1}},
    {"valueQuantity": []},
    {"code": {"coding": {"code": "x"}}},
    {"effectiveDateTime": "yesterday"},
    {"effectiveDateTime": "2020-01-01\n"},
    {"_status": {"extension": [{"url": "http://x.org", "valueString": ""}]}},
    {"component": [{"code": {}, "value": 1}, 5, None]},
    {"referenceRange": [], "extra": {}},
    {"valueInteger": 2**31, "valueBoolean": "true"},
    {"contained": [5, {"resourceType": "Patient"}], "text": {"status": "generated"}},
]


@pytest.mark.parametrize("version", FhirVersion)
@pytest.mark.parametrize("change", BROKEN, ids=lambda change: json.dumps(change)[:40])
def test_the_fast_schema_judges_as_jsonschema_does(version: FhirVersion, change: dict[str, Any]) -> None:
    tree = {key: value for key, value in {**OBSERVATION, **change}.items() if not (change == {} and key == "status")}
    plain = jsonschema.Draft202012Validator(whole_schema(version, "Observation"))

    def said(found: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - errors of either
        return sorted((str(list(each.path)), str(each.validator), each.message) for each in found)

    assert said(errors(version, "Observation", tree)) == said(plain.iter_errors(tree)) != []


def test_the_schema_is_one_any_validator_can_use() -> None:
    jsonschema.Draft202012Validator.check_schema(whole_schema(R4, "Bundle"))
    jsonschema.Draft202012Validator.check_schema(whole_schema(R5, "PlanDefinition"))


@pytest.mark.parametrize(("version", "request_"), [(R4, R4_REQUEST), (R5, R5_REQUEST)])
def test_a_resource_that_keeps_to_the_definitions_passes(version: FhirVersion, request_: dict[str, Any]) -> None:
    assert check_resource(bundle(request_), version) == []


def test_what_we_emit_is_held_to_r4_without_r4bs_additions() -> None:
    report = {**OBSERVATION, "subject": {"reference": "Medication/1"}}
    assert [issue.code for issue in check_resource(report, R4)] == ["reference-target"]
    assert [issue.code for issue in check_resource({"resourceType": "Citation"}, R4)] == ["unknown-resource-type"]


def test_a_contained_resource_is_checked_as_its_own_type() -> None:
    found = check_resource({**PATIENT, "contained": [{"resourceType": "Observation", "gender": "male"}]}, R4)
    assert {(issue.code, issue.expression) for issue in found} == {
        ("unknown-element", "Patient.contained[0].gender"),
        ("missing-element", "Patient.contained[0].status"),
        ("missing-element", "Patient.contained[0].code"),
    }
