"""A message is evaluated once, however often it comes."""

import json
import re

import pytest
from service.conftest import Asked, sample

GOOD = sample("shape-transaction")


def named(value: str, **more: str) -> bytes:
    bundle = json.loads(GOOD)
    bundle["identifier"] = {"system": "urn:engine", "value": value}
    return json.dumps(bundle | more).encode()


def test_a_replay_gets_the_same_answer(service: Asked) -> None:
    first = service("POST", "/fhir", GOOD, Idempotency_Key="k1")
    again = service("POST", "/fhir", GOOD, Idempotency_Key="k1")
    assert "x-idempotent-replay" not in first.headers
    assert again.headers["x-idempotent-replay"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert (service.store.claims, len(service.store.deliveries)) == (1, 1)


def test_a_key_is_not_used_for_another_message(service: Asked) -> None:
    assert service("POST", "/fhir", GOOD, Idempotency_Key="k1").status_code == 200
    other = service("POST", "/fhir", sample("CFMSC-candidate"), Idempotency_Key="k1")
    assert other.status_code == 409
    assert other.json()["issue"][0]["code"] == "duplicate"
    assert service("POST", "/fhir", named("m1")).status_code == 200
    assert service("POST", "/fhir", named("m1", language="de")).status_code == 409


def test_a_bundle_is_known_by_its_identifier_before_the_header(service: Asked) -> None:
    service("POST", "/fhir", named("m1"), Idempotency_Key="k1")
    assert service("POST", "/fhir", named("m1"), Idempotency_Key="k2").headers["x-idempotent-replay"] == "true"
    assert "x-idempotent-replay" not in service("POST", "/fhir", named("m2"), Idempotency_Key="k1").headers


def test_the_same_payload_laid_out_otherwise_is_the_same(service: Asked) -> None:
    service("POST", "/fhir", GOOD)
    assert "x-idempotent-replay" in service("POST", "/fhir", GOOD.replace(b"\n", b"\r\n\t")).headers
    assert "x-idempotent-replay" not in service("POST", "/fhir", GOOD, Prefer="return=minimal").headers


def test_a_message_in_a_new_envelope_is_evaluated_again_and_an_envelope_is_used_once(service: Asked) -> None:
    message = json.loads(sample("shape-message"))
    assert service("POST", "/fhir/$process-message", message).status_code == 200
    again = service("POST", "/fhir/$process-message", message | {"id": "another-envelope"})
    assert (again.status_code, "x-idempotent-replay" in again.headers) == (200, False)
    message["entry"][0]["resource"]["id"] = "another-message"
    assert service("POST", "/fhir/$process-message", message).status_code == 409


def test_32_parallel_twins_are_evaluated_once(service: Asked) -> None:
    answers = service.at_once(32, GOOD, **{"Idempotency-Key": "twin"})
    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    assert sum("x-idempotent-replay" in each.headers for each in answers) == 31
    assert (service.store.claims, len(service.store.deliveries)) == (1, 1)


def test_results_are_delivered_by_patient_in_an_order_a_server_can_take(service: Asked) -> None:
    service("POST", "/fhir", GOOD)
    (delivery,) = service.store.deliveries
    kinds = "".join(kind[0] for kind, _, _ in delivery.resources)
    assert re.fullmatch("(R?GP){5}", kinds), "where nothing could be evaluated there is no subject"
    for kind, id_, body in delivery.resources:
        resource = json.loads(body)
        assert (resource["resourceType"], resource["id"]) == (kind, id_)
        ours = [f"urn:uuid:{id_}".encode() for _, id_, _ in delivery.resources]
        assert not any(each in body for each in ours), "one by one, results know each other by their places"
    assert len(delivery.lane) == 64
    assert "transaction" not in delivery.lane


def test_the_age_of_what_was_sent_goes_with_it(service: Asked) -> None:
    stamped = {"resourceType": "Bundle", "type": "collection", "timestamp": "2026-10-30T12:00:00Z"}
    updated = {"resourceType": "Patient", "id": "p", "meta": {"lastUpdated": "2026-10-29T12:00:00+02:00"}}
    service("POST", "/fhir", stamped | {"entry": [{"resource": updated}]})
    service("POST", "/fhir", {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": updated}]})
    times = [each.source_time.isoformat() for each in service.store.deliveries if each.source_time]
    newest = "2026-10-30T12:00:00+00:00"
    assert times == [newest, newest], "what is judged by all that is kept is as new as the newest of it"


def test_questions_are_answered_and_not_kept(service: Asked) -> None:
    asked = service("POST", "/fhir/ResearchStudy/cfmsc/$evaluate-eligibility", sample("CFMSC-candidate"))
    kinds = [each["resource"]["resourceType"] for each in asked.json()["entry"]]
    assert kinds == ["ResearchSubject", "GuidanceResponse", "Provenance"]
    assert not service.store.deliveries
    assert [row.action for row in service.store.audit] == ["evaluate-eligibility"], "but who asked is written down"


@pytest.mark.parametrize("persist", [True, False])
def test_parameters_say_which_trial_when_and_whether_to_keep(service: Asked, persist: bool) -> None:  # noqa: FBT001 (a table)
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "study", "valueIdentifier": {"value": "NCT02302599"}},
            {"name": "timestamp", "valueDateTime": "2026-10-30T00:00:00Z"},
            {"name": "data", "resource": json.loads(sample("NCT02302599-candidate"))},
            {"name": "subject", "valueString": "Patient/nct02302599-candidate"},
            {"name": "persist", "valueBoolean": persist},
        ],
    }
    answer = service("POST", "/fhir/ResearchStudy/$evaluate-eligibility", parameters).json()
    subject, guidance, _ = (each["resource"] for each in answer["entry"])
    assert subject["study"] == {"reference": "ResearchStudy/nct02302599"}
    assert guidance["occurrenceDateTime"] == "2026-10-30T00:00:00Z"
    assert len(service.store.deliveries) == persist
