"""A patient, condition, order, answer or list of which a part cannot be read proves and denies nothing."""

import pytest
from reading.chart import (
    AGE,
    DATA_ABSENT,
    DOSE,
    T2DM,
    UNKNOWN_EXTENSION,
    answered,
    bundle,
    coded,
    insulin,
    patient,
    status,
    type_2,
    weight,
    word,
)

SNOMED = "http://snomed.info/sct"


@pytest.mark.parametrize(
    "more",
    [
        {"clinicalStatus": {"coding": {"code": "active"}}},
        {"clinicalStatus": {"text": "active"}},
        {"verificationStatus": {"coding": []}},
        {"verificationStatus": 5},
        {"code": {"coding": {"system": "http://snomed.info/sct", "code": "44054006"}}},
        {"onsetDateTime": 2020},
        {"onsetDateTime": "2020-13-45"},
        {"onsetDateTime": "0001-01-01"},
        {"onsetDateTime": ""},
        {"abatementDateTime": {}},
        {"_abatementDateTime": DATA_ABSENT},
        {"abatementPeriod": {"start": "2024-01-01"}},
        {"abatementBoolean": "false"},
        {"modifierExtension": UNKNOWN_EXTENSION},
        {"implicitRules": "http://example.org/rules"},
        {"extension": {"url": "x"}},
    ],
)
def test_a_condition_of_which_a_part_cannot_be_read_is_not_relied_on(more: dict[str, object]) -> None:
    assert word(bundle(patient(), type_2(**more)), T2DM) == "unknown"


@pytest.mark.parametrize("more", [{"modifierExtension": UNKNOWN_EXTENSION}, {"recordedDate": 5}, {"note": 5}])
def test_a_refutation_of_which_a_part_cannot_be_read_refutes_nothing(more: dict[str, object]) -> None:
    hiv = type_2("hiv", code=coded("http://snomed.info/sct", "86406008"))
    hiv["verificationStatus"] = status("condition-ver-status", "refuted")
    whole = word(bundle(patient(), hiv), "CFMSC-E4a")
    assert whole == "not-met"
    expected = "not-met" if "note" in more else "unknown"
    assert word(bundle(patient(), {**hiv, **more}), "CFMSC-E4a") == expected


@pytest.mark.parametrize(
    "more",
    [
        {"doNotPerform": "true"},
        {"_doNotPerform": DATA_ABSENT},
        {"intent": 5},
        {"intent": None},
        {"status": {"code": "active"}},
        {
            "medicationCodeableConcept": {
                "coding": {"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "274783"}
            }
        },
        {"medicationCodeableConcept": "274783"},
        {"authoredOn": 2026},
        {"dosageInstruction": {"text": "x"}},
        {"dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": "20", "code": "U"}}]}]},
        {"contained": [{"resourceType": "Medication", "code": 5}]},
        {"modifierExtension": UNKNOWN_EXTENSION},
    ],
)
def test_a_second_order_of_which_a_part_cannot_be_read_leaves_the_dose_open(more: dict[str, object]) -> None:
    assert word(bundle(patient(), weight(), insulin()), DOSE) in ("met", "not-met")
    document = bundle(patient(), weight(), insulin(), insulin("second", 10, **more))
    assert word(document, DOSE) == "unknown"


@pytest.mark.parametrize("more", [{"status": "draft"}, {"intent": "plan"}, {"doNotPerform": True}])
def test_an_order_that_proves_nothing_proves_nothing_also_where_it_is_broken(more: dict[str, object]) -> None:
    second = insulin("second", 10, authoredOn=5, **more)
    assert word(bundle(patient(), weight(), insulin(), second), DOSE) in ("met", "not-met")


@pytest.mark.parametrize(
    "birth", [19800101, "1980-13-45", "0001-01-01", "", {"value": "1980"}, ["1980-01-01"], "01.01.1980", "1980-1-1"]
)
def test_a_date_of_birth_that_cannot_be_read_leaves_the_age_open(birth: object) -> None:
    assert word(bundle(patient(birthDate=birth)), AGE) == "unknown"


@pytest.mark.parametrize(
    "more",
    [
        {"deceasedBoolean": "true"},
        {"deceasedDateTime": "not known"},
        {"deceasedDateTime": ""},
        {"deceasedDateTime": 5},
        {"deceasedDateTime": False},
        {"_deceasedDateTime": DATA_ABSENT},
        {"_deceasedBoolean": DATA_ABSENT},
        {"deceasedBoolean": False, "deceasedDateTime": "2020-01-01"},
        {"modifierExtension": UNKNOWN_EXTENSION},
    ],
)
def test_a_death_that_cannot_be_read_is_neither_a_death_nor_a_life(more: dict[str, object]) -> None:
    person = answered(bundle(patient(**more))).patients[0].facts.person
    assert (person.deceased, person.died, person.death_unclear) == (False, None, True)


@pytest.mark.parametrize(
    "more",
    [
        {"gender": 5},
        {"gender": ["male"]},
        {"extension": {"url": "x"}},
        {
            "extension": [
                {"url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "valueString": "M"}
            ]
        },
        {"modifierExtension": UNKNOWN_EXTENSION},
    ],
)
def test_a_sex_that_cannot_be_read_is_not_a_sex(more: dict[str, object]) -> None:
    assert answered(bundle(patient(**{"gender": "male", **more}))).patients[0].facts.person.sex.value == "unknown"


def _answer(date: object, says: object, name: str = "q") -> dict[str, object]:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": f"{name}-{date}",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "authored": date,
        "author": {"reference": "Practitioner/r"},
        "item": [{"linkId": "CFMSC-I1a", "answer": [says]}],
    }


@pytest.mark.parametrize(
    "newest",
    [
        _answer("2026-10-20", {"valueBoolean": "false"}),
        _answer("2026-10-20", {"valueString": "no"}),
        _answer(
            "2026-10-20",
            {"valueBoolean": True, "valueCoding": {"system": "http://snomed.info/sct", "code": "373067005"}},
        ),
        _answer("20.10.2026", {"valueBoolean": False}),
        _answer(5, {"valueBoolean": False}),
        {**_answer("2026-10-20", {"valueBoolean": False}), "modifierExtension": UNKNOWN_EXTENSION},
        {**_answer("2026-10-20", {"valueBoolean": False}), "status": 5},
    ],
)
def test_an_older_answer_of_a_reviewer_does_not_outlive_a_newer_one_that_cannot_be_read(
    newest: dict[str, object],
) -> None:
    first = _answer("2026-10-05", {"valueBoolean": True})
    assert word(bundle(patient(), first), "CFMSC-I1a") == "met"
    assert word(bundle(patient(), first, newest), "CFMSC-I1a") == "unknown"


def test_a_reviewers_newest_answer_counts_after_one_that_could_not_be_read() -> None:
    middle = _answer("2026-10-10", {"valueString": "no"})
    last = _answer("2026-10-20", {"valueBoolean": True})
    assert word(bundle(patient(), middle, last), "CFMSC-I1a") == "met"


def _no_problems(**more: object) -> dict[str, object]:
    return {
        "resourceType": "List",
        "id": "none",
        "status": "current",
        "mode": "snapshot",
        "code": coded("http://loinc.org", "11450-4"),
        "subject": {"reference": "Patient/p1"},
        "date": "2026-10-20",
        "emptyReason": status("list-empty-reason", "nilknown"),
        **more,
    }


@pytest.mark.parametrize(
    "more",
    [
        {"mode": "changes"},
        {"mode": 5},
        {"entry": {"item": {}}},
        {"date": "soon"},
        {"modifierExtension": UNKNOWN_EXTENSION},
    ],
)
def test_a_list_that_is_not_surely_empty_denies_nothing(more: dict[str, object]) -> None:
    assert word(bundle(patient(), _no_problems()), "CFMSC-E2c") == "not-met"
    assert word(bundle(patient(), _no_problems(**more)), "CFMSC-E2c") == "unknown"


def test_a_condition_that_cannot_be_read_speaks_against_an_empty_list() -> None:
    ulcer = type_2("ulcer", code={"coding": {"system": "http://snomed.info/sct", "code": "280137006"}})
    assert word(bundle(patient(), _no_problems(), ulcer), "CFMSC-E2c") == "unknown"


def test_an_allergy_that_cannot_be_read_stands_beside_no_assertion_that_there_is_none() -> None:
    no_known = {"resourceType": "AllergyIntolerance", "id": "none", "code": coded(SNOMED, "716186003")}
    unreadable = {
        "resourceType": "AllergyIntolerance",
        "id": "some",
        "criticality": 5,
        "code": coded(SNOMED, "91936005"),
    }
    for each in (no_known, unreadable):
        each |= {
            "patient": {"reference": "Patient/p1"},
            "clinicalStatus": status("allergyintolerance-clinical", "active"),
            "verificationStatus": status("allergyintolerance-verification", "confirmed"),
        }
    assert word(bundle(patient(), no_known), "CFMSC-E6a") == "not-met"
    assert word(bundle(patient(), no_known, unreadable), "CFMSC-E6a") == "unknown"


def test_an_old_order_that_cannot_be_read_leaves_the_duration_open() -> None:
    onset = type_2(onsetDateTime="2020-01-01")
    order = insulin(authoredOn="2001-01-01", status=["active"])
    assert word(bundle(patient(), onset), "NCT02302599-I2b") == "met"
    assert word(bundle(patient(), onset, order), "NCT02302599-I2b") == "unknown"


def test_another_diagnosis_that_cannot_be_read_leaves_the_type_open() -> None:
    type_1 = type_2(id="t1", code=coded(SNOMED, "46635009"), clinicalStatus={"text": "active"})
    assert word(bundle(patient(), type_2()), "CFMSC-I2a") == "met"
    assert word(bundle(patient(), type_2(), type_1), "CFMSC-I2a") == "unknown"
