"""R4, R4B and R5 shapes say the same; the shapes before R4 say nothing that could be misread."""

import pytest
from reading.chart import A1C, DOSE, T2DM, atoms, bundle, coded, insulin, newer, older, patient, type_2, weight, word

TAKEN = "CFMSC-I2c"
"""Insulin taken throughout the last 84 days."""
_RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def _r5(resource: dict[str, object]) -> dict[str, object]:
    made = dict(resource)
    made["medication"] = {"concept": made.pop("medicationCodeableConcept")}
    return made


def _statement(**more: object) -> dict[str, object]:
    return {
        "resourceType": "MedicationStatement",
        "id": "st",
        "status": "active",
        "medicationCodeableConcept": coded(_RXNORM, "274783"),
        "subject": {"reference": "Patient/p1"},
        "effectivePeriod": {"start": "2026-01-01"},
        **more,
    }


def test_an_order_says_the_same_in_r4_and_r5() -> None:
    r4, r5 = (atoms(bundle(patient(), weight(), type_2(), order)) for order in (insulin(), _r5(insulin())))
    assert r4 == r5
    assert r4[DOSE][0] in ("met", "not-met")


def test_a_medication_reference_says_the_same_in_r4_and_r5() -> None:
    drug = {"resourceType": "Medication", "id": "m1", "code": coded(_RXNORM, "274783")}
    order = insulin()
    del order["medicationCodeableConcept"]
    reference = {"reference": "Medication/m1"}
    r4 = atoms(bundle(patient(), weight(), {**order, "medicationReference": reference}, drug))
    r5 = atoms(bundle(patient(), weight(), {**order, "medication": {"reference": reference}}, drug))
    assert r4 == r5
    assert r4[DOSE][0] in ("met", "not-met")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"status": "recorded"}, "met"),
        ({"status": "recorded", "adherence": {"code": {"coding": [{"code": "taking"}]}}}, "met"),
        ({"status": "recorded", "adherence": {"code": {"coding": [{"code": "not-taking"}]}}}, "unknown"),
        ({"status": "recorded", "adherence": {"code": {"coding": [{"code": "on-hold"}]}}}, "unknown"),
        ({"status": "draft"}, "unknown"),
        ({"status": "entered-in-error"}, "unknown"),
    ],
)
def test_the_status_of_an_r5_statement_is_read_with_its_adherence(more: dict[str, object], says: str) -> None:
    assert word(bundle(patient(), _r5(_statement(**more))), TAKEN) == says


@pytest.mark.parametrize(
    ("status", "says"), [("active", "met"), ("not-taken", "unknown"), ("intended", "unknown"), ("unknown", "unknown")]
)
def test_the_status_of_an_r4_statement_is_read_as_r4_means_it(status: str, says: str) -> None:
    assert word(bundle(patient(), _statement(status=status)), TAKEN) == says


@pytest.mark.parametrize("when", ["effectivePeriod", "occurencePeriod"])
def test_an_administration_is_dated_by_the_name_of_its_version(when: str) -> None:
    given = _statement(resourceType="MedicationAdministration", status="completed")
    del given["effectivePeriod"]
    given[when] = {"start": "2026-01-01", "end": "2026-11-01"}
    assert word(bundle(patient(), given), TAKEN) == "met"


@pytest.mark.parametrize("when", ["performedDateTime", "occurrenceDateTime"])
def test_a_procedure_is_dated_by_the_name_of_its_version(when: str) -> None:
    laser = {
        "resourceType": "Procedure",
        "id": "op",
        "status": "completed",
        "code": coded("http://snomed.info/sct", "3324009"),
        "bodySite": [coded("http://snomed.info/sct", "81745001")],
        "subject": {"reference": "Patient/p1"},
        when: "2025-01-01",
    }
    assert word(bundle(patient(), laser), "NCT02302599-E1h") == "met"


def _allergy(**reaction: object) -> dict[str, object]:
    return {
        "resourceType": "AllergyIntolerance",
        "id": "al",
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "code": {"text": "peanut"},
        "patient": {"reference": "Patient/p1"},
        "reaction": [{"severity": "severe", **reaction}],
    }


@pytest.mark.parametrize("manifestation", [{"text": "shock"}, {"concept": {"text": "shock"}}])
def test_a_severe_reaction_is_read_in_the_shape_of_both_versions(manifestation: dict[str, object]) -> None:
    assert word(bundle(patient(), _allergy(manifestation=[manifestation])), "CFMSC-E6a") == "met"


@pytest.mark.parametrize(
    "more",
    [
        {"clinicalStatus": "active"},
        {"verificationStatus": "confirmed"},
        {"clinicalStatus": "active", "verificationStatus": "confirmed"},
    ],
)
def test_a_status_as_it_was_before_r4_leaves_the_condition_open(more: dict[str, object]) -> None:
    assert atoms(bundle(patient(), type_2(**more)))[T2DM] == ("unknown", "VERIFY")


def test_a_resource_type_of_before_r4_is_reported_and_not_read() -> None:
    order = {**insulin(), "resourceType": "MedicationOrder"}
    assert word(bundle(patient(), weight(), order), DOSE) == "unknown"


def test_an_observation_of_r5_with_elements_r4_does_not_know_is_read() -> None:
    more = {
        "triggeredBy": [{"type": "reflex"}],
        "instantiatesCanonical": "http://x",
        "bodyStructure": {"reference": "#b"},
    }
    assert word(bundle(patient(), older(), newer(**more))) == "met"


def test_the_comparator_that_only_r5_has_leaves_the_value_open() -> None:
    observation = newer()
    observation["valueQuantity"]["comparator"] = "ad"
    assert atoms(bundle(patient(), older(), observation))[A1C] == ("unknown", "COMPARATOR")
