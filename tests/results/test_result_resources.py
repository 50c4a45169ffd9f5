"""The resources written for a screening: valid for their version, laid out as ADR 6 says, the same every time."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from cases import AS_OF, bundle_of, catalog
from fhir.resources.bundle import Bundle as BundleR5
from fhir.resources.R4B.bundle import Bundle as BundleR4B

from adapter.errors import Severity
from adapter.fhir.dates import parse_as_of
from adapter.fhir.subject import Publisher, ResultWriter
from adapter.fhir.versions import FhirVersion
from adapter.screen import screen_bundle
from adapter.validate import validate

T2DM = {"code": "snomed 44054006", "onset": "2015-03-01"}
PATIENTS: dict[str, dict[str, Any]] = {
    "nothing known": {},
    "too old": {"patient": {"born": "1930-01-01", "sex": "male"}},
    "dead": {"patient": {"born": "1980-01-01", "sex": "male", "died": "2026-05-01"}},
    "much known": {
        "patient": {"born": "1980-02-29", "sex": "female"},
        "conditions": [T2DM, {"code": "icd10cm I50.9"}, {"code": "snomed 235494005", "onset": "2020"}],
        "labs": [
            {"code": "loinc 4548-4", "value": "8.1 %", "date": "2026-09-03", "more": {"meta": {"versionId": "2"}}},
            {"code": "loinc 2160-0", "value": "<0.5 mg/dL", "date": "2026-10-20"},
            {"code": "loinc 39156-5", "value": "29 kg/m2", "date": "2026-10-20"},
            {"code": "loinc 13955-0", "says": "snomed 260385009", "date": "2026-10-20"},
        ],
        "drugs": [{"code": "atc A10AE04", "since": "2024-01-01"}],
    },
    "a contradiction": {
        "patient": {"born": "1980-01-01", "sex": "male"},
        "conditions": [{"code": "snomed 46635009"}, {"code": "snomed 46177005"}],
    },
}
VERSIONS = list(FhirVersion)


def result(patient: str, version: FhirVersion, **publisher: str | bool) -> dict[str, Any]:
    written = result_bytes(patient, version, **publisher)
    loaded: dict[str, Any] = json.loads(written)
    return loaded


def result_bytes(patient: str, version: FhirVersion, **publisher: str | bool) -> bytes:
    data = json.dumps(bundle_of(PATIENTS[patient])).encode()
    as_of = parse_as_of(AS_OF)
    (answered,) = screen_bundle(data, catalog(), as_of).patients
    who = msgspec.structs.replace(Publisher("fhir-trial-adapter/test"), **publisher)
    writer = ResultWriter(version, who, catalog().requirements())
    return writer.bundle(answered.patient, answered.facts.person.source, answered.screenings, as_of)


def resources(bundle: dict[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    return (each["resource"] for each in bundle["entry"] if each["resource"]["resourceType"] == kind)


def parameters(guidance: dict[str, Any]) -> list[dict[str, Any]]:
    (found,) = (each["parameter"] for each in guidance["contained"] if each["resourceType"] == "Parameters")
    return list(found)


def criterion_parts(guidance: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give each atom's parts by name; what may repeat is left to its last."""
    found = {}
    for each in parameters(guidance):
        if each["name"] == "criterion":
            parts = {part["name"]: part for part in each["part"]}
            found[parts["id"]["valueString"]] = parts
    return found


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.value)
@pytest.mark.parametrize("patient", PATIENTS)
def test_every_result_is_valid_fhir(patient: str, version: FhirVersion) -> None:
    data = result_bytes(patient, version)
    wrong = [str(each) for each in validate(data, version).issues if each.severity is not Severity.INFORMATION]
    assert not wrong
    (BundleR4B if version is FhirVersion.R4 else BundleR5).model_validate_json(data)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.value)
def test_the_same_input_gives_the_same_bytes(version: FhirVersion) -> None:
    assert result_bytes("much known", version) == result_bytes("much known", version)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.value)
@pytest.mark.parametrize("patient", PATIENTS)
def test_everything_is_put_by_its_own_uuid5_and_shown_by_it(patient: str, version: FhirVersion) -> None:
    for entry in result(patient, version)["entry"]:
        resource = entry["resource"]
        assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", resource["id"])
        assert entry["request"] == {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
        assert entry["fullUrl"] == f"urn:uuid:{resource['id']}"


def test_ids_change_with_the_site_secret() -> None:
    one, other = (result("much known", FhirVersion.R4, secret=secret) for secret in ("a", "b"))
    ids = [{entry["resource"]["id"] for entry in each["entry"]} for each in (one, other)]
    assert not ids[0] & ids[1]


def test_conditional_writing_names_resources_by_identifier_and_sets_no_id() -> None:
    for entry in result("much known", FhirVersion.R4, conditional=True)["entry"]:
        resource, request = entry["resource"], entry["request"]
        assert "id" not in resource
        match resource["resourceType"]:
            case "ResearchSubject":
                assert request["method"] == "PUT"
                assert request["url"].endswith(f"|{resource['identifier'][0]['value']}")
            case "GuidanceResponse":
                assert request["ifNoneExist"].endswith(f"|{resource['identifier'][0]['value']}")
            case _:
                assert request == {"method": "POST", "url": "Provenance"}


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.value)
@pytest.mark.parametrize("patient", PATIENTS)
def test_counts_are_of_criteria_and_a_failed_one_means_ineligible(patient: str, version: FhirVersion) -> None:
    for guidance in resources(result(patient, version), "GuidanceResponse"):
        said = {each["name"]: each for each in parameters(guidance)}
        passed, failed, unknown = (said[f"criteria{word}"]["valueInteger"] for word in ("Passed", "Failed", "Unknown"))
        (trial,) = (trial for trial in catalog().trials if f"/{trial.key.lower()}-" in guidance["moduleCanonical"])
        assert passed + failed + unknown == len(trial.criteria)
        if failed:
            assert said["subjectState"]["valueCode"] == "ineligible"


def test_passes_is_true_for_an_inclusion_that_holds_and_an_exclusion_shown_absent() -> None:
    found: dict[str, dict[str, Any]] = {}
    for guidance in resources(result("much known", FhirVersion.R4), "GuidanceResponse"):
        found.update(criterion_parts(guidance))
    assert found["NCT02302599-I5a"]["passes"]["valueBoolean"] is True
    assert found["CFMSC-E4c"]["passes"]["valueBoolean"] is True
    assert found["NCT02302599-E1f"]["passes"]["valueBoolean"] is False
    unknown = found["CFMSC-E4a"]["passes"]
    assert "valueBoolean" not in unknown
    assert unknown["_valueBoolean"]["extension"][0]["valueCode"] == "unknown"


def test_the_evidence_names_the_version_that_was_read_and_the_value_compared() -> None:
    for guidance in resources(result("much known", FhirVersion.R4), "GuidanceResponse"):
        parts = criterion_parts(guidance).get("NCT02302599-I5a")
        if parts is not None:
            assert parts["evidence"]["valueReference"]["reference"] == "Observation/labs-1/_history/2"
            assert parts["observed"]["valueQuantity"] == {
                "value": 8.1,
                "unit": "%",
                "system": "http://unitsofmeasure.org",
                "code": "%",
            }
            return
    pytest.fail("no finding on HbA1c")


def test_the_state_stands_where_each_version_keeps_it() -> None:
    r4 = {each["status"] for each in resources(result("too old", FhirVersion.R4), "ResearchSubject")}
    r5 = list(resources(result("too old", FhirVersion.R5), "ResearchSubject"))
    assert "ineligible" in r4
    assert {each["status"] for each in r5} == {"active"}
    states = {each["progress"][0]["subjectState"]["coding"][0]["code"] for each in r5}
    assert states == r4


def test_an_ineligible_subject_says_why_in_both_versions() -> None:
    for subject in resources(result("dead", FhirVersion.R4), "ResearchSubject"):
        (reason,) = [each for each in subject["extension"] if each["url"].endswith("workflow-statusReason")]
        assert "deceased" in reason["valueCodeableConcept"]["text"]
    for subject in resources(result("dead", FhirVersion.R5), "ResearchSubject"):
        assert subject["progress"][0]["reason"]["coding"][0]["code"] == "screening-failure"


def test_no_subject_is_written_where_nothing_could_be_evaluated() -> None:
    bundle = result("nothing known", FhirVersion.R4)
    for guidance in resources(bundle, "GuidanceResponse"):
        said = {each["name"]: each for each in parameters(guidance)}
        assert said["subjectState"]["valueCode"] == "potential-candidate"
    silent = [each for each in resources(bundle, "GuidanceResponse") if each["status"] == "data-required"]
    subjects = list(resources(bundle, "ResearchSubject"))
    assert len(subjects) + len(silent) == len(catalog().trials)
    assert silent


def test_what_is_missing_is_asked_for_by_its_codes() -> None:
    asked: dict[str, set[str]] = {}
    for guidance in resources(result("nothing known", FhirVersion.R4), "GuidanceResponse"):
        filters = [each for asks in guidance["dataRequirement"] for each in asks.get("codeFilter", ())]
        asked[guidance["moduleCanonical"]] = {code["code"] for each in filters for code in each["code"]}
    (codes,) = (found for plan, found in asked.items() if "nct02302599" in plan)
    assert {"4548-4", "13037-7", "2160-0"} <= codes
    assert "41995-2" not in codes, "a code that never counts is not asked for"


def test_a_contradiction_of_the_text_is_said_aloud() -> None:
    said = json.dumps(list(resources(result("a contradiction", FhirVersion.R5), "GuidanceResponse")))
    assert "CONTRADICTION: I4 names serious complications" in said


@pytest.mark.parametrize("version", VERSIONS, ids=lambda v: v.value)
def test_provenance_targets_the_results_and_names_every_source(version: FhirVersion) -> None:
    bundle = result("much known", version)
    written = {entry["fullUrl"] for entry in bundle["entry"]}
    for provenance in resources(bundle, "Provenance"):
        assert {each["reference"] for each in provenance["target"]} <= written
        named = {each["what"]["reference"] for each in provenance["entity"] if "reference" in each["what"]}
        assert "Patient/p1" in named
    sources = json.dumps(list(resources(bundle, "Provenance")))
    assert "Observation/labs-1/_history/2" in sources
