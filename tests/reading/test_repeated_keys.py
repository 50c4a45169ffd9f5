"""A key that stands twice in one JSON object: which value is meant nobody knows, so nothing rests on it."""

import json

import pytest
from reading.chart import AGE, answered, bundle, codes, newer, older, patient, word


def _twice(resource: dict[str, object], key: str, value: object) -> bytes:
    """Write a bundle in which a resource has a key a second time, which decoders take for the only one."""
    text = json.dumps(resource)
    twice = text[:-1] + f', "{key}": {json.dumps(value)}' + "}"
    return json.dumps(bundle(patient(), older(), resource)).replace(text, twice).encode()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("valueQuantity", newer()["valueQuantity"]),
        ("valueQuantity", {**newer()["valueQuantity"], "value": 6.0}),
        ("status", "final"),
        ("id", "newer"),
    ],
)
def test_nothing_rests_on_a_result_that_has_a_key_twice(key: str, value: object) -> None:
    document = _twice(newer(), key, value)
    assert word(document) == "unknown"
    assert codes(document) == ["repeated-key"]


def test_a_key_that_stands_twice_deep_inside_is_found() -> None:
    text = json.dumps(bundle(patient(), older(), newer()))
    assert word(text.replace('"value": 8.4', '"value": 8.4, "value": 8.4').encode()) == "unknown"


def test_a_bundle_with_two_lists_of_entries_is_refused() -> None:
    text = json.dumps(bundle(patient(), *(newer(id=f"n{number}") for number in range(100))))
    again = text[:-1] + f', "entry": {json.dumps(bundle(patient(), older())["entry"])}' + "}"
    with pytest.raises(Exception, match="repeated-key"):
        answered(again.encode())


def test_a_patient_with_a_key_twice_has_no_age() -> None:
    document = json.dumps(bundle(patient())).replace('"birthDate"', '"birthDate": "1990-01-01", "birthDate"')
    assert word(document.encode(), AGE) == "unknown"
