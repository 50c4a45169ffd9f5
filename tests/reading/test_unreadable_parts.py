"""A result of which a part cannot be read leaves open what depends on it: no older one stands in for it."""

import copy
import json

import pytest
from reading.chart import (
    A1C,
    DATA_ABSENT,
    UCUM,
    UNKNOWN_EXTENSION,
    a1c,
    answered,
    atoms,
    bundle,
    coded,
    codes,
    newer,
    older,
    patient,
    type_2,
    word,
)


def quantity(**more: object) -> dict[str, object]:
    return {"valueQuantity": {**newer()["valueQuantity"], **more}}


@pytest.mark.parametrize(
    ("more", "place"),
    [
        ({"status": 5}, "status"),
        ({"status": ["final"]}, "status"),
        ({"effectiveDateTime": {"start": "2026-10-20"}}, "effectiveDateTime"),
        ({"effectiveDateTime": 20261020}, "effectiveDateTime"),
        ({"effectiveDateTime": ["2026-10-20"]}, "effectiveDateTime"),
        (quantity(value="8.4"), "valueQuantity.value"),
        (quantity(value="8_4"), "valueQuantity.value"),
        (quantity(value="NaN"), "valueQuantity.value"),
        (quantity(value=True), "valueQuantity.value"),
        (quantity(value=[8.4]), "valueQuantity.value"),
        (quantity(unit=5), "valueQuantity.unit"),
        (quantity(system=["x"]), "valueQuantity.system"),
        (quantity(code={"value": "%"}), "valueQuantity.code"),
        (quantity(comparator=1), "valueQuantity.comparator"),
        ({"valueQuantity": 8.4}, "valueQuantity"),
        ({"valueQuantity": "8.4 %"}, "valueQuantity"),
        ({"valueQuantity": [newer()["valueQuantity"]]}, "valueQuantity"),
        ({"code": {"coding": {"system": "http://loinc.org", "code": "4548-4"}}}, "code.coding"),
        ({"code": {"coding": [{"system": 5, "code": "4548-4"}]}}, "code.coding[0].system"),
        ({"code": {"coding": "4548-4"}}, "code.coding"),
        ({"code": "4548-4"}, "code"),
        ({"code": [{"coding": [{"system": "http://loinc.org", "code": "4548-4"}]}]}, "code"),
        ({"subject": "Patient/p1"}, "subject"),
        ({"subject": {"reference": 5}}, "subject.reference"),
        ({"subject": [{"reference": "Patient/p1"}]}, "subject"),
        ({"referenceRange": {"high": 5}}, "referenceRange"),
        ({"referenceRange": [{"high": 5}]}, "referenceRange[0].high"),
        ({"component": {"code": {}}}, "component"),
        ({"component": [7]}, "component[0]"),
        ({"interpretation": "H"}, "interpretation"),
        ({"dataAbsentReason": "unknown"}, "dataAbsentReason"),
        ({"focus": {"reference": "Patient/p1"}}, "focus"),
        ({"identifier": "1"}, "identifier"),
        ({"meta": "x"}, "meta"),
        ({"id": 7}, "id"),
        ({"implicitRules": "http://example.org/rules"}, "implicitRules"),
        ({"modifierExtension": UNKNOWN_EXTENSION}, "modifierExtension"),
        ({"component": [{"modifierExtension": UNKNOWN_EXTENSION}]}, "component[0].modifierExtension"),
        ({"referenceRange": [{"modifierExtension": UNKNOWN_EXTENSION}]}, "referenceRange[0].modifierExtension"),
        ({"_effectiveDateTime": "x"}, "_effectiveDateTime"),
        ({"resourceType": "observation"}, "resourceType"),
    ],
)
def test_a_newer_result_of_which_a_part_has_the_wrong_type_leaves_it_open(more: dict[str, object], place: str) -> None:
    document = bundle(patient(), older(), newer(**more))
    found = answered(document)
    assert word(document) == "unknown"
    expected = f"Bundle.entry[2].resource.{place}"
    assert expected in [issue.expression for issue in found.issues if issue.code == "unreadable"]


@pytest.mark.parametrize(
    "more",
    [
        {"status": "done"},
        {"status": None},
        {"status": "FINAL"},
        {"effectiveDateTime": ""},
        {"effectiveDateTime": "20.10.2026"},
        {"effectiveDateTime": "2026-13-45"},
        {"effectiveDateTime": "0001-01-01"},
        {"effectivePeriod": {"end": "2020-01-01"}},
        {"effectiveInstant": "2020-01-01T00:00:00Z"},
        {"effectiveDateTime": None, "_effectiveDateTime": DATA_ABSENT, "issued": "2026-10-20T00:00:00Z"},
        {"effectiveDateTime": None, "effectiveTiming": {}, "issued": "2026-10-20T00:00:00Z"},
        {"valueString": "see report"},
        {"valueInteger": 6},
        {"valueCodeableConcept": {"text": "not done"}},
        {"dataAbsentReason": coded("http://terminology.hl7.org/CodeSystem/data-absent-reason", "error")},
        quantity(value=None, _value=DATA_ABSENT),
        quantity(_comparator=DATA_ABSENT),
        quantity(comparator="?"),
        quantity(value=1e300),
        quantity(value=8.4, unit=None, code=None, system=None),
    ],
)
def test_a_newer_result_that_contradicts_itself_or_says_nothing_leaves_it_open(more: dict[str, object]) -> None:
    low = {"valueQuantity": {**newer()["valueQuantity"], "value": 6.0}}
    assert word(bundle(patient(), older(), newer(**{**low, **more}))) == "unknown"


@pytest.mark.parametrize(
    "number",
    [
        "1e400",
        "1E-400",
        "-0",
        "0e-999999999",
        "0e999999999",
        "9" * 4000,
        "8." + "4" * 100_000,
        "7.4" + "9" * 40,
        "-8.4",
    ],
)
def test_a_number_no_laboratory_prints_is_no_value(number: str) -> None:
    text = json.dumps(bundle(patient(), older(), newer())).replace('"value": 8.4', f'"value": {number}')
    found = atoms(text.encode())[A1C]
    assert found[0] == "unknown"
    screenings = answered(text.encode()).patients[0].screenings
    shown = [each.sent for one in screenings for f in one.findings for each in f.judgement.evidence]
    assert max(map(len, shown)) < 200


@pytest.mark.parametrize("wrapped", [json.dumps, lambda resource: [resource]])
def test_a_newer_result_wrapped_in_text_or_a_list_leaves_it_open(wrapped: object) -> None:
    document = bundle(patient(), older(), newer())
    document["entry"][2]["resource"] = wrapped(newer())  # type: ignore[operator]
    assert word(document) == "unknown"


def test_a_newer_result_without_a_type_is_told_by_its_url_and_leaves_it_open() -> None:
    document = bundle(patient(), older(), newer())
    del document["entry"][2]["resource"]["resourceType"]
    assert word(document) == "unknown"


@pytest.mark.parametrize("entry", [5, "x", [], {"resource": 5}, {"resource": []}, {"resource": {"resourceType": "X"}}])
def test_an_entry_of_which_nothing_shows_is_reported_and_the_rest_is_screened(entry: object) -> None:
    document = bundle(patient(), older())
    document["entry"].append(entry)
    assert word(document) == "met"
    assert codes(document) == ["unreadable"]


def test_a_subject_that_cannot_be_read_is_nobody_among_several_patients() -> None:
    document = bundle(patient("p1"), patient("p2"), newer(subject=5))
    assert [atoms(document, number)[A1C][0] for number in (0, 1)] == ["unknown", "unknown"]
    assert "no-subject" in codes(document) or "stranger" in codes(document)


def test_a_broken_entry_costs_no_other_its_answer() -> None:
    good = bundle(patient(), older(), type_2())
    broken = copy.deepcopy(good)
    broken["entry"].append({"resource": {"resourceType": "Immunization", "status": 5}, "fullUrl": 7})
    assert atoms(broken) == atoms(good)


@pytest.mark.parametrize(
    ("more", "reason", "sent"),
    [
        ({"unit": "furlong", "system": None, "code": None}, "UNIT", "HbA1c 8.4 furlong"),
        ({"unit": None, "system": None, "code": None}, "UNIT", "HbA1c 8.4"),
        ({"unit": "mg/dL", "code": "mg/dL"}, "UNIT", "HbA1c 8.4 mg/dL"),
        ({"unit": "%", "code": "bogus"}, "UNIT", "HbA1c 8.4 %"),
        ({"value": 84}, "IMPLAUSIBLE", "HbA1c 84 %"),
        ({"value": -8.4}, "IMPLAUSIBLE", "HbA1c -8.4 %"),
        ({"value": 0}, "IMPLAUSIBLE", "HbA1c 0 %"),
    ],
)
def test_a_value_that_cannot_be_used_is_shown_as_it_was_sent(more: dict[str, object], reason: str, sent: str) -> None:
    found = answered(bundle(patient(), older(), newer(**quantity(**more)))).patients[0]
    finding = next(f for one in found.screenings for f in one.findings if f.atom == A1C)
    judgement = finding.judgement
    assert (judgement.reason.value if judgement.reason else None, judgement.evidence[0].sent) == (reason, sent)


def test_a_panel_of_blood_pressures_is_its_parts_and_no_missing_value() -> None:
    parts = [("8480-6", 120), ("8462-4", 80)]
    panel = a1c("bp", 1, "2026-10-20")
    del panel["valueQuantity"]
    panel["code"] = coded("http://loinc.org", "85354-9")
    panel["component"] = [
        {
            "code": coded("http://loinc.org", code),
            "valueQuantity": {"value": value, "unit": "mmHg", "system": UCUM, "code": "mm[Hg]"},
        }
        for code, value in parts
    ]
    (read,) = answered(bundle(patient(), panel)).patients
    assert {each.sent for each in read.facts.results["vitals"]} == {"120 mmHg", "80 mmHg"}
    del panel["component"]
    (read,) = answered(bundle(patient(), panel)).patients
    assert [each.sent for each in read.facts.results["vitals"]] == ["no value"]


def test_a_result_that_cannot_be_read_is_not_ignored_beside_another_of_its_day() -> None:
    readable, broken = newer(), newer()
    broken |= {"id": "broken", "valueQuantity": {**broken["valueQuantity"], "value": "6.0"}}
    assert word(bundle(patient(), readable)) == "met"
    assert atoms(bundle(patient(), readable, broken))[A1C] == ("unknown", "UNIT")
