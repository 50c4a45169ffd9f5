"""A clinician who opens a record sees the trials that may be for the patient, and why."""

import json
from typing import Any

import pytest
from service.conftest import Asked, sample

PATH = "/cds-services/trial-eligibility"


def call(**prefetch: Any) -> dict[str, Any]:  # noqa: ANN401 (any prefetch, also a wrong one)
    context = {"userId": "Practitioner/1", "patientId": "1"}
    return {"hook": "patient-view", "hookInstance": "i-1", "context": context, "prefetch": prefetch}


def fetched(name: str) -> dict[str, Any]:
    resources = [each["resource"] for each in json.loads(sample(name))["entry"]]
    (patient,) = (each for each in resources if each["resourceType"] == "Patient")
    others = [{"resource": each} for each in resources if each is not patient]
    return {"patient": patient, "others": {"resourceType": "Bundle", "type": "searchset", "entry": others}}


def test_a_card_for_each_trial_that_nothing_stands_against(service: Asked) -> None:
    answer = service("POST", PATH, call(**fetched("CFMSC-candidate")))
    first, *others = answer.json()["cards"]
    assert answer.headers["content-type"] == "application/json"
    assert first["summary"].startswith("candidate: ")
    assert all(each["summary"].startswith("potential-candidate: ") for each in others)
    assert all(len(each["summary"]) <= 140 for each in (first, *others))
    assert "**In favour: " in first["detail"]
    assert "**Missing: " in first["detail"]
    assert not service.store.deliveries, "looking is not enrolling: nothing is written"
    assert [row.action for row in service.store.audit] == ["cds-patient-view"]


def test_what_is_not_to_be_seen_as_markup_is_not(service: Asked) -> None:
    prefetch = fetched("CFMSC-candidate")
    text = json.dumps(prefetch).replace("mmol/L", "[x](http://evil)<b>")
    cards = service("POST", PATH, call(**json.loads(text))).json()["cards"]
    assert not any("](http" in each["detail"] or "<b>" in each["detail"] for each in cards)


def test_only_prefetched_data_is_used(service: Asked) -> None:
    answer = service("POST", PATH, call(patient=None) | {"fhirServer": "http://169.254.169.254/"})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (412, "incomplete")


@pytest.mark.parametrize("body", [{}, {"hook": "order-sign"}, [], call(patient="x"), call() | {"prefetch": 7}])
def test_a_call_that_is_none_is_refused(service: Asked, body: object) -> None:
    answer = service("POST", PATH, body)
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")


def test_the_service_is_found(service: Asked) -> None:
    (found,) = service("GET", "/cds-services").json()["services"]
    assert (found["id"], found["hook"]) == (PATH.rsplit("/", 1)[-1], "patient-view")
    assert found["prefetch"]["patient"] == "Patient/{{context.patientId}}"
    assert service("POST", "/cds-services/other", {}).status_code == 404
