"""A resource that a subscription server sends is taken as a collection of one; what is not read does no harm."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from service.conftest import Asked, Make, sample
from service.lasting import Lasting

from adapter.catalog.catalog import Catalog

PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1970-01-01"}
HBA1C = {
    "resourceType": "Observation",
    "id": "o1",
    "status": "final",
    "subject": {"reference": "Patient/p1"},
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    "effectiveDateTime": "2026-10-30",
    "valueQuantity": {"value": 8.1, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
}
VERSIONED = PATIENT | {"meta": {"versionId": "1"}}


@pytest.fixture
def lasting(catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> Iterator[Lasting]:
    made = Lasting(catalog, portal, tmp_path)
    yield made
    made.kept.close()


def code(answer: Any) -> str:  # noqa: ANN401 (httpx's answer)
    return str(answer.json()["issue"][0]["details"]["coding"][0]["code"])


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("path", ["/fhir/Patient/p1", "/fhir/hook/ehr/Patient/p1"])
def test_a_resource_that_is_read_is_evaluated_as_a_collection_of_one(service: Asked, method: str, path: str) -> None:
    answer = service(method, path, PATIENT)
    assert answer.status_code == 200
    assert answer.json()["resourceType"] == "OperationOutcome"
    posted = service(
        "POST", "/fhir", {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": PATIENT}]}
    )
    first, second = service.store.deliveries
    assert (first.lane, first.resources[0][:2]) == (second.lane, second.resources[0][:2])
    assert [each["details"]["text"] for each in answer.json()["issue"]] == [
        each["details"]["text"] for each in posted.json()["issue"]
    ]


def test_the_resource_keeps_the_bytes_it_came_with(service: Asked) -> None:
    text = b'\xef\xbb\xbf{"resourceType":"Patient","id":"p1","birthDate":"1970-01-01",\n "gender" : "female"}'
    assert service("PUT", "/fhir/Patient/p1", text).status_code == 200
    assert service("PUT", "/fhir/Patient/p1", b'{"resourceType":"Patient","id":"p1","id":"p2"}').status_code == 400


@pytest.mark.parametrize(
    ("path", "resource", "status", "said"),
    [
        ("/fhir/Patient/p2", PATIENT, 400, "hook-place"),
        ("/fhir/Observation/p1", PATIENT, 400, "hook-place"),
        ("/fhir/Patient/p1", {"resourceType": "Patient"}, 400, "hook-place"),
        ("/fhir/Patient/p1", b"{", 400, "object"),
        ("/fhir/Patient/p1", b"", 400, "empty"),
        ("/fhir/patient/p1", PATIENT, 404, "address"),
        ("/fhir/Patient/p_1", PATIENT | {"id": "p_1"}, 404, "address"),
        ("/fhir/Practitioner/d1", {"resourceType": "Practitioner", "id": "d1"}, 200, "not-read"),
    ],
)
def test_where_it_is_sent_must_be_what_it_is(
    service: Asked, path: str, resource: object, status: int, said: str
) -> None:
    answer = service("PUT", path, resource)
    assert answer.status_code == status, answer.text
    assert status != 200 or not service.store.deliveries
    assert said == "object" or code(answer) == said


def test_a_versioned_resource_is_done_once_and_one_without_a_version_each_time(service: Asked) -> None:
    assert "x-idempotent-replay" not in service("PUT", "/fhir/Patient/p1", VERSIONED).headers
    assert "x-idempotent-replay" in service("PUT", "/fhir/Patient/p1", VERSIONED).headers
    for _ in range(2):
        # The same text may come again to take back what came between.
        assert "x-idempotent-replay" not in service("PUT", "/fhir/Patient/p1", PATIENT).headers
    for headers in ({}, {"x-idempotent-replay": "true"}):
        answer = service("PUT", "/fhir/Patient/p1", PATIENT, Idempotency_Key="k1")
        assert headers.items() <= dict(answer.headers).items()


def test_a_ping_that_says_nothing_is_taken_and_told(service: Asked) -> None:
    answer = service("POST", "/fhir/hook/ehr")
    assert (answer.status_code, code(answer)) == (200, "empty-ping")
    assert "trial_adapter_empty_pings_total 1.0" in service("GET", "/metrics").text
    assert [row.outcome for row in service.store.audit][:1] == ["done"]


def test_the_endpoint_of_a_subscription_takes_whatever_is_sent_to_it(service: Asked) -> None:
    assert service("POST", "/fhir/hook/ehr", PATIENT).status_code == 200
    assert service("POST", "/fhir/hook/ehr", sample("shape-transaction")).json()["type"] == "transaction-response"
    assert len(service.store.deliveries) == 2


def test_a_hook_can_be_answered_later(lasting: Lasting) -> None:
    answer = lasting("PUT", "/fhir/Patient/p1", PATIENT, Prefer="respond-async")
    assert answer.status_code == 202
    assert lasting.work() == 1
    polled = lasting("GET", answer.headers["content-location"].removeprefix("http://service"))
    assert polled.json()["entry"][0]["resource"]["resourceType"] == "OperationOutcome"


def test_a_hook_needs_the_scope_to_send(make: Make, tmp_path: Path) -> None:
    path = tmp_path / "tokens.toml"
    path.write_text(f'[[client]]\nname = "a"\nsha256 = "{"0" * 64}"\nscopes = []\n')
    service = make(tokens_file=path)
    for method, where in (("PUT", "/fhir/Patient/p1"), ("POST", "/fhir/hook/ehr")):
        assert service(method, where, json.dumps(PATIENT).encode()).status_code == 401


def test_a_lone_observation_meets_the_patient_that_was_sent_before(lasting: Lasting) -> None:
    assert lasting("PUT", "/fhir/Patient/p1", PATIENT).status_code == 200
    answer = lasting("PUT", "/fhir/Observation/o1", HBA1C)
    assert answer.status_code == 200, answer.text
    assert "NCT02302599-I5a was unknown and is met" in answer.text
    assert lasting.count("outbox") == 2


def test_a_deleted_resource_decides_nothing_any_more(lasting: Lasting) -> None:
    lasting("PUT", "/fhir/Patient/p1", PATIENT)
    for version, path in (("1", "/fhir/Observation/o1"), ("3", "/fhir/hook/ehr/Observation/o1")):
        lasting.later(60)
        sent = HBA1C | {"meta": {"versionId": version}}
        assert "I5a was unknown and is met" in lasting("PUT", "/fhir/Observation/o1", sent).text
        results = lasting.count("outbox")
        lasting.later(60)
        assert lasting("DELETE", path).status_code == 200
        assert lasting.count("outbox") == results + 1, "what rested on it is told anew"


def test_a_deletion_of_what_was_never_sent_is_taken(lasting: Lasting) -> None:
    for _ in range(2):
        assert lasting("DELETE", "/fhir/Observation/o1").status_code == 200
    assert lasting.count("outbox") == 0
    assert lasting("DELETE", "/fhir/patient/1").status_code == 404


def test_a_deletion_where_nothing_is_kept_does_nothing(make: Make) -> None:
    service = make(storage="none")
    for path in ("/fhir/Observation/o1", "/fhir/Practitioner/d1"):
        answer = service("DELETE", path)
        assert (answer.status_code, code(answer)) == (200, "not-read")
    assert not service.store.deliveries
