"""No name, number, date or value of a patient is in a log, a metric, an error or the audit, whatever goes wrong."""

import json
import re
from typing import Any

import pytest
from security.addresses import addresses
from service.conftest import Asked, Make, sample

CANARIES = {
    "family": "Zyxqvarnhagen",
    "given": "Quillonette",
    "mrn": "MRN-7719003311",
    "id": "pat-zyx-771900",
    "birth": "1961-07-23",
    "phone": "+49-771-9003311",
    "value": "8.7719",
    "text": "Sie klagt ueber Zyxschmerz",
    "key": "zyxqSecretElement",
}


def patient_bundle(kind: str = "transaction") -> dict[str, Any]:
    patient = {
        "resourceType": "Patient",
        "id": CANARIES["id"],
        "identifier": [{"system": "urn:mrn", "value": CANARIES["mrn"]}],
        "name": [{"family": CANARIES["family"], "given": [CANARIES["given"]]}],
        "birthDate": CANARIES["birth"],
        "telecom": [{"system": "phone", "value": CANARIES["phone"]}],
    }
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}], "text": CANARIES["text"]},
        "subject": {"reference": f"Patient/{CANARIES['id']}"},
        "effectiveDateTime": "2026-10-20",
        "valueQuantity": {"value": 8.7719, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
    }
    entries = [{"resource": each} for each in (patient, observation)]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def broken(**change: object) -> dict[str, Any]:
    made = patient_bundle()
    made["entry"][0]["resource"] |= change
    return made


WHOLE = json.dumps(patient_bundle()).encode()
BODIES: dict[str, bytes] = {
    "whole": WHOLE,
    "cut": WHOLE[: len(WHOLE) // 2],
    "twice": WHOLE.replace(b'"family"', b'"given": [], "given": [], "family"'),
    "key twice": WHOLE.replace(b'"family"', b'"zyxqSecretElement": 1, "zyxqSecretElement": 2, "family"'),
    "not a number": WHOLE.replace(b"8.7719", b"NaN"),
    "latin-1": WHOLE.replace(b"Quillonette", b"Quillonett\xe9"),
    "half a character": WHOLE.replace(b"Quillonette", b"Quillonette\\ud800"),
    "control": WHOLE.replace(b"Quillonette", b"Quillonette\x01"),
    "wrong type": json.dumps(broken(birthDate={"Zyxqvarnhagen": CANARIES["birth"]})).encode(),
    "bad date": json.dumps(broken(birthDate=CANARIES["family"])).encode(),
    "unknown element": json.dumps(broken(zyxqSecretElement=CANARIES["mrn"])).encode(),
    "no reference": WHOLE.replace(b'"Patient/pat-zyx-771900"', b'"urn:uuid:pat-zyx-771900"'),
    "no patient": WHOLE.replace(b'"Patient"', b'"Zyxqvarnhagen"'),
    "no type": WHOLE.replace(b'"transaction"', b'"Zyxqvarnhagen"'),
    "no bundle": json.dumps(patient_bundle()["entry"][0]["resource"]).encode(),
    "message": json.dumps(patient_bundle("message")).encode(),
    "nested": json.dumps(patient_bundle()).encode().replace(b'"Sie klagt', b'[[[["Sie klagt"]]]], "x": "Sie klagt'),
}
PATHS = ("/fhir", "/fhir/$process-message", "/fhir/ResearchStudy/$match", "/fhir/Bundle/$validate", "/fhir/nothing")
FAMILY = CANARIES["family"]


def seen(text: str) -> list[str]:
    return [name for name, value in CANARIES.items() if value.lower() in text.lower()]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", BODIES)
def test_nothing_of_the_body_is_told(service: Asked, path: str, body: str) -> None:
    answer = service("POST", path, BODIES[body], Idempotency_Key=CANARIES["mrn"], X_Request_Id=f"{FAMILY} x")
    said = service.log.getvalue() + service("GET", "/metrics").text + repr(service.store.audit)
    if answer.status_code >= 400 or path.endswith("$validate"):
        said += answer.text + repr(answer.headers)
    assert seen(said) == []
    assert seen(repr([each.lane for each in service.store.deliveries]) + repr(list(service.store.replies))) == []


@pytest.mark.parametrize("body", BODIES)
def test_nothing_of_the_body_is_told_at_any_address_there_is(make: Make, body: str) -> None:
    service = make(client_rate="100000/second")
    for method, path, _ in addresses(service("GET", "/openapi.json").json()):
        for prefer in ("return=representation", "respond-async"):
            answer = service(method, path, BODIES[body], Idempotency_Key=CANARIES["mrn"], Prefer=prefer)
            if answer.status_code >= 400:
                assert seen(answer.text + repr(answer.headers)) == [], (method, path)
    assert seen(service.log.getvalue() + service("GET", "/metrics").text + repr(service.store.audit)) == []


@pytest.mark.parametrize(
    "path", [f"/fhir/Patient/{FAMILY}", f"/fhir/{FAMILY}", f"/{FAMILY}", f"/fhir/Group?name={FAMILY}"]
)
def test_nothing_of_the_address_is_told(service: Asked, path: str) -> None:
    answer = service("GET", path, Prefer="handling=strict")
    assert answer.status_code >= 400
    assert seen(answer.text + repr(answer.headers) + service.log.getvalue() + service("GET", "/metrics").text) == []


def test_a_bug_is_answered_with_nothing_but_the_request_s_id(service: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise ValueError(f"cannot read {FAMILY}")

    monkeypatch.setattr("adapter.service.across.screen_record", crash)
    answer = service("POST", "/fhir", WHOLE, X_Request_Id="r-1")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (500, "exception")
    assert "r-1" in answer.text
    defect = json.loads(service.log.getvalue().splitlines()[0])
    assert (defect["event"], defect["kind"], defect["request_id"]) == ("defect", "ValueError", "r-1")
    assert re.fullmatch(r"service/across\.py:\d+", defect["at"])
    assert seen(answer.text + service.log.getvalue()) == []
    monkeypatch.undo()
    assert service("POST", "/fhir", WHOLE).status_code == 200, "the claim was given back"


def test_the_canaries_are_seen_where_they_may_be(service: Asked) -> None:
    answer = service("POST", "/fhir", WHOLE)
    assert seen(answer.text) == ["id"], "a ResearchSubject names its patient, and nothing else of it"
    assert seen(sample("CFMSC-candidate").decode()) == []
