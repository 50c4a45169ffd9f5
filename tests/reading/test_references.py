"""Whose data is whose: each patient is judged on what is surely about that patient."""

import pytest
from reading.chart import (
    A1C,
    DOSE,
    a1c,
    answered,
    atoms,
    bundle,
    codes,
    entry,
    insulin,
    newer,
    older,
    patient,
    weight,
    word,
)


@pytest.mark.parametrize(
    ("full_url", "reference"),
    [
        ("urn:uuid:6f2c1d5e-0f1b-4a5e-9d7e-0d9a2f1f6a11", "urn:uuid:6f2c1d5e-0f1b-4a5e-9d7e-0d9a2f1f6a11"),
        ("http://example.org/fhir/Patient/p1", "Patient/p1"),
        ("http://example.org/fhir/Patient/p1", "http://example.org/fhir/Patient/p1"),
        ("http://example.org/fhir/Patient/p1", "Patient/p1/_history/2"),
        ("http://example.org/fhir/Patient/p1/_history/3", "http://example.org/fhir/Patient/p1/_history/2"),
        ("urn:uuid:6f2c1d5e-0f1b-4a5e-9d7e-0d9a2f1f6a11", "Patient/p1"),
        (None, "Patient/p1"),
    ],
)
def test_a_reference_to_the_patient_is_followed(full_url: str | None, reference: str) -> None:
    document = bundle(patient(), a1c("a", 8.4, "2026-10-20", reference))
    document["entry"][0]["fullUrl"] = full_url
    assert word(document) == "met"


@pytest.mark.parametrize(
    "reference",
    [
        "Patient/P1",
        "patient/p1",
        "PATIENT/p1",
        "Patient/p1#part",
        "#p1",
        " Patient/p1",
        "Patient/p1/",
        "Patient/p2",
        "Group/p1",
        "Device/p1",
        "p1",
        "",
        "Patient?identifier=http://example.org|1",
        "https://example.org/fhir/Patient/p1",
        "http://elsewhere.org/fhir/Patient/p1",
        "urn:uuid:p1",
        "urn:oid:1.2.3",
        "../Patient/p1",
    ],
)
def test_a_reference_that_does_not_name_the_patient_is_reported_and_used_for_nobody(reference: str) -> None:
    document = bundle(patient(), a1c("a", 8.4, "2026-10-20", reference))
    assert word(document) == "unknown"
    assert codes(document) == ["stranger"]


def test_the_case_of_a_uuid_is_compared_as_it_stands() -> None:
    document = bundle(patient(), a1c("a", 8.4, "2026-10-20", "urn:uuid:ABC"))
    document["entry"][0]["fullUrl"] = "urn:uuid:abc"
    assert codes(document) == ["stranger"]


@pytest.mark.parametrize("subject", [{"identifier": {"system": "urn:x", "value": "1"}}, {"display": "Ann"}, {}, None])
def test_a_subject_without_a_reference_is_nobody(subject: object) -> None:
    observation = newer()
    observation["subject"] = subject
    document = bundle(patient(), observation)
    assert (word(document), codes(document)) == ("unknown", ["no-subject"])


def test_a_contained_patient_is_not_the_patient() -> None:
    observation = a1c("a", 8.4, "2026-10-20", "#p1", contained=[patient()])
    assert word(bundle(patient(), observation)) == "unknown"


def test_a_relative_reference_means_the_patient_of_its_own_server_only() -> None:
    there = "http://elsewhere.org/fhir"
    document = bundle(patient())
    document["entry"].append(entry(newer(), there))
    assert word(document) == "unknown"
    document["entry"].append(entry(patient(), there))
    assert [atoms(document, number)[A1C][0] for number in (0, 1)] == ["unknown", "met"]
    assert codes(document) == ["same-id", "same-id"]
    named = [(each.patient, each.facts.person.source.reference) for each in answered(document).patients]
    assert named == [(url, url) for url in (document["entry"][0]["fullUrl"], document["entry"][-1]["fullUrl"])]


def test_each_of_several_patients_is_judged_on_their_own_data() -> None:
    document = bundle(
        patient("p1"),
        patient("p2"),
        a1c("a", 8.4, "2026-10-20", "Patient/p1"),
        a1c("b", 6.0, "2026-10-20", "Patient/p2"),
    )
    assert [atoms(document, number)[A1C][0] for number in (0, 1)] == ["met", "not-met"]


def test_two_patients_under_one_full_url_are_told_apart_by_nothing() -> None:
    document = bundle(patient("p1"), patient("p2"), a1c("a", 8.4, "2026-10-20", "urn:uuid:1"))
    document["entry"][0]["fullUrl"] = document["entry"][1]["fullUrl"] = "urn:uuid:1"
    assert [atoms(document, number)[A1C][0] for number in (0, 1)] == ["unknown", "unknown"]


def test_an_ambiguous_relative_reference_is_nobody() -> None:
    document = bundle(patient(), newer())
    document["entry"].append(entry(patient(), "http://elsewhere.org/fhir"))
    document["entry"][1]["fullUrl"] = "urn:uuid:2"
    assert [atoms(document, number)[A1C][0] for number in (0, 1)] == ["unknown", "unknown"]


def test_two_copies_of_a_patient_that_differ_are_one_of_whom_the_difference_is_not_known() -> None:
    document = bundle(patient(), newer(), patient(birthDate="1990-01-01"))
    found = atoms(document)
    assert len(answered(document).patients) == 1
    assert (found[A1C][0], found["BMMSC-I3a"][0]) == ("met", "unknown")


def test_two_copies_of_a_patient_of_whom_one_says_dead_leave_it_open() -> None:
    (only,) = answered(bundle(patient(), patient(deceasedBoolean=True))).patients
    assert (only.facts.person.deceased, only.facts.person.death_unclear) == (False, True)


@pytest.mark.parametrize(
    ("more", "code"),
    [({"active": False}, "patient-inactive"), ({"link": [{"type": "replaced-by", "other": {}}]}, "patient-replaced")],
)
def test_a_patient_record_that_is_not_the_one_to_use_is_reported(more: dict[str, object], code: str) -> None:
    assert codes(bundle(patient(**more), newer())) == [code]


def test_an_observation_about_something_else_than_its_subject_is_not_the_patients() -> None:
    document = bundle(patient(), newer(focus=[{"reference": "RelatedPerson/1"}]))
    assert word(document) == "unknown"


def test_a_member_of_a_panel_is_read_on_its_own() -> None:
    panel = newer(hasMember=[{"reference": "Observation/part"}])
    panel["id"], panel["code"] = "panel", {"coding": [{"system": "http://loinc.org", "code": "24331-1"}]}
    assert word(bundle(patient(), panel, a1c("part", 8.4, "2026-10-20"))) == "met"


def _with_reference(reference: str) -> dict[str, object]:
    order = insulin()
    del order["medicationCodeableConcept"]
    return {**order, "medicationReference": {"reference": reference}}


def _medication(**more: object) -> dict[str, object]:
    return {"resourceType": "Medication", "id": "m1", "code": insulin()["medicationCodeableConcept"], **more}


def test_a_medication_is_found_beside_its_order_or_inside_it() -> None:
    inside = {**_with_reference("#m1"), "contained": [_medication()]}
    for drugs in ([_with_reference("Medication/m1"), _medication()], [inside]):
        assert word(bundle(patient(), weight(), *drugs), DOSE) in ("met", "not-met")


def test_an_order_of_a_medication_that_is_not_here_is_reported() -> None:
    document = bundle(patient(), _with_reference("Medication/m1"))
    assert codes(document) == ["unknown-drug"]


def test_nothing_rests_on_an_order_whose_medication_cannot_be_read() -> None:
    document = bundle(patient(), weight(), _with_reference("Medication/m1"), _medication(ingredient={"item": 5}))
    assert word(document, DOSE) == "unknown"


def test_no_patient_gets_the_older_value_of_another() -> None:
    document = bundle(patient("p1"), patient("p2"), older(), a1c("b", 6.0, "2026-10-20", "Patient/p2"))
    assert [atoms(document, number)[A1C][0] for number in (0, 1)] == ["met", "not-met"]
