"""A hospital system tells us what changes: by rest-hook, resource by resource, and by topic; what it tells meets."""

import json
import time
from typing import Any

import pytest
from reliability.faulty import Faulty
from reliability.running import HANG_S, Running
from sekmet.hospital_system import HospitalSystem

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
TOPIC = "http://hospital.example.org/SubscriptionTopic/result-final"
PATIENT = {
    "resourceType": "Patient",
    "id": "told",
    "identifier": [{"system": "urn:oid:1.2.3.4.5.1", "value": "MRN-77"}],
    "gender": "male",
    "birthDate": "1970-01-01",
}
HBA1C = {
    "resourceType": "Observation",
    "id": "hba1c",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    "subject": {"reference": "Patient/told"},
    "effectiveDateTime": "2026-11-20",
    "valueQuantity": {"value": 8.9, "unit": "%", "system": "http://unitsofmeasure.org", "code": "%"},
}
_ST = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic"
RESULTS = {
    "resourceType": "Basic",
    "id": "topic-result",
    "modifierExtension": [{"url": f"{_ST}.status", "valueCode": "active"}],
    "code": {"coding": [{"system": "http://hl7.org/fhir/fhir-types", "code": "SubscriptionTopic"}]},
    "extension": [
        {"url": f"{_ST}.url", "valueUri": TOPIC},
        {"url": f"{_ST}.title", "valueString": "A result is final"},
        {
            "url": f"{_ST}.resourceTrigger",
            "extension": [
                {"url": "resource", "valueUri": "http://hl7.org/fhir/StructureDefinition/Observation"},
                {"url": "supportedInteraction", "valueCode": "create"},
                {"url": "fhirPathCriteria", "valueString": "%current.status = 'final'"},
            ],
        },
    ],
}


def subscription(id_: str, endpoint: str, criteria: str, content: str | None = None) -> dict[str, Any]:
    """Give a subscription of R4, or of the backport where the content of its notifications is named."""
    channel: dict[str, Any] = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}
    made: dict[str, Any] = {"resourceType": "Subscription", "id": id_, "status": "requested", "reason": "screening"}
    if content is not None:
        made["meta"] = {"profile": [f"{BACKPORT}/backport-subscription"]}
        channel["_payload"] = {"extension": [{"url": f"{BACKPORT}/backport-payload-content", "valueCode": content}]}
    return made | {"criteria": criteria, "channel": channel}


def answered(service: Running, operation: str, status: int, times: int) -> None:
    """Wait until so many requests of a kind were answered so."""
    name = f'trial_adapter_requests_total{{operation="{operation}",status="{status}"}}'
    until = time.monotonic() + HANG_S
    while True:
        told = service.ask("/metrics")[2].decode()
        found = [line for line in told.splitlines() if line.startswith(name)]
        if found and float(found[0].rpartition(" ")[2]) >= times:
            return
        assert time.monotonic() < until, "\n".join(line for line in told.splitlines() if "requests_total" in line)
        time.sleep(0.1)


def written(target: Faulty, kind: str, wanted: int) -> list[str]:
    """Wait until as many of a type stand on the results' server."""
    until = time.monotonic() + HANG_S
    found: list[str] = []
    while len(found) < wanted and time.monotonic() < until:
        found = [name for name in list(target.kept) if name.startswith(f"{kind}/")]
        time.sleep(0.1)
    return found


def status_of(hospital: HospitalSystem, id_: str) -> str:
    said: str = hospital.ask("GET", f"/Subscription/{id_}")[1]["status"]
    return said


def test_rest_hooks_bring_a_patient_and_then_a_result(system: tuple[HospitalSystem, Running], target: Faulty) -> None:
    hospital, service = system
    with hospital.serving():
        for kind in ("Patient", "Observation"):
            hospital.put(subscription(f"of-{kind.lower()}", f"{service_url(service)}/fhir", f"{kind}?"))
        hospital.put(PATIENT)
        answered(service, "hook", 200, 1)
        hospital.put(HBA1C)
        answered(service, "hook", 200, 2)
        assert written(target, "ResearchSubject", 1)
        assert {status_of(hospital, "of-patient"), status_of(hospital, "of-observation")} == {"active"}


@pytest.mark.parametrize("content", ["full-resource", "id-only"])
def test_a_topic_s_notifications_are_taken(
    system: tuple[HospitalSystem, Running], target: Faulty, content: str
) -> None:
    hospital, service = system
    with hospital.serving():
        # As a site begins: whom it has is told once, under the addresses that its notifications will name.
        entry = {"fullUrl": f"{hospital.base}/Patient/told", "resource": PATIENT}
        first = {"resourceType": "Bundle", "type": "collection", "entry": [entry]}
        assert service.ask("/fhir", json.dumps(first).encode())[0] == 200
        hospital.put(PATIENT)
        hospital.put(RESULTS)
        hospital.put(subscription("topic", f"{service_url(service)}/fhir", TOPIC, content))
        answered(service, "bundle", 200, 2)  # the second is the handshake
        until = time.monotonic() + HANG_S
        while status_of(hospital, "topic") != "active" and time.monotonic() < until:
            time.sleep(0.1)
        before = len(written(target, "GuidanceResponse", 1))
        hospital.put(HBA1C)
        # An event is answered at once and worked on later: what it names may have to be read first.
        answered(service, "bundle", 202, 1)
        assert len(written(target, "GuidanceResponse", before + 1)) > before
        assert status_of(hospital, "topic") == "active"


def service_url(service: Running) -> str:
    return f"http://127.0.0.1:{service.port}"
