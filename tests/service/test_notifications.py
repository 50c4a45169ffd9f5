"""Notifications of subscriptions: taken once, counted, and followed to the configured server and nowhere else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest
import respx
from service.conftest import sample
from service.lasting import Lasting
from service.subscribed import bundle, codes, r4, r5

from adapter.catalog.catalog import Catalog
from adapter.fhir.versions import FhirVersion
from adapter.service.bundles import _completed, read
from adapter.service.exchange import Asker
from adapter.service.negotiation import wanted
from adapter.service.serving import One

BASE = "https://ehr.example.org/fhir"
PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1970-01-01"}
HBA1C = b'{"resourceType":"Observation","id":"o1","status":"final","subject":{"reference":"Patient/p1"},'
HBA1C += b'"code":{"coding":[{"system":"http://loinc.org","code":"4548-4"}]},"effectiveDateTime":"2026-10-30",'
HBA1C += b'"valueQuantity":{"value":7.20,"unit":"%","system":"http://unitsofmeasure.org","code":"%"}}'
SETTINGS = {"sources": json.dumps([{"base": BASE, "token_variable": "EHR_TOKEN"}])}


@pytest.fixture
def lasting(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lasting]:
    monkeypatch.setenv("EHR_TOKEN", "for-the-ehr-only")
    monkeypatch.setenv("TRIAL_ADAPTER_SERVE_SOURCES", SETTINGS["sources"])
    made = Lasting(catalog, portal, tmp_path)
    yield made
    made.kept.close()


FORMS = [(r4, "history"), (r5, "history"), (r5, "subscription-notification")]
IDS = ["R4 backport", "R4B", "R5"]
each_form = pytest.mark.parametrize(("status", "kind"), FORMS, ids=IDS)


@each_form
@pytest.mark.parametrize("said", ["handshake", "heartbeat"])
def test_what_tells_of_no_event_is_acknowledged(lasting: Lasting, status: Any, kind: str, said: str) -> None:  # noqa: ANN401
    answer = lasting("POST", "/fhir", bundle(status(said, total=0), kind=kind))
    assert (answer.status_code, codes(answer)) == (200, ["notification"])
    assert lasting.audited("done") == ["bundle"]


@each_form
def test_an_event_with_its_resources_is_evaluated_once(lasting: Lasting, status: Any, kind: str) -> None:  # noqa: ANN401
    event = status("event-notification", {1: "Patient/p1"}, 1)
    first = lasting("POST", "/fhir", bundle(event, PATIENT, kind=kind))
    again = lasting("POST", "/fhir", bundle(event, PATIENT, kind=kind, id_="sent-again"))
    assert first.status_code == again.status_code == 200, first.text
    assert again.headers["x-idempotent-replay"] == "true", "another envelope, the same event"
    assert again.content == first.content
    assert lasting.count("outbox") == 1


def test_a_number_that_is_used_twice_for_two_things_loses_neither(lasting: Lasting) -> None:
    """A subscription server that lost its count must not make us deaf."""
    event = r4("event-notification", {1: "Patient/p1"}, 1)
    lasting("POST", "/fhir", bundle(event, PATIENT))
    other = lasting("POST", "/fhir", bundle(event, PATIENT | {"birthDate": "1990-01-01"}))
    assert (other.status_code, "x-idempotent-replay" in other.headers) == (200, False)


@each_form
def test_a_gap_is_told_and_counted(lasting: Lasting, status: Any, kind: str) -> None:  # noqa: ANN401
    def told(events: Mapping[int, str], patient: str) -> list[str]:
        sent = bundle(status("event-notification", events), PATIENT | {"id": patient}, kind=kind)
        return codes(lasting("POST", "/fhir", sent))

    assert "event-gap" not in told({3: "Patient/a"}, "a"), "what came before us is not known to be missing"
    assert "event-gap" not in told({4: "Patient/b"}, "b")
    assert "event-gap" in told({7: "Patient/c"}, "c")
    assert "event-gap" not in told({5: "Patient/d"}, "d"), "late, and not lost"
    assert "event-gap" not in told({8: "Patient/e"}, "e")
    assert "event-gap" in codes(lasting("POST", "/fhir", bundle(status("heartbeat", total=10), kind=kind)))
    assert lasting("POST", "/fhir", bundle(status("handshake", total=0), kind=kind)).status_code == 200
    assert "event-gap" in told({2: "Patient/f"}, "f"), "it began anew, and 1 never came"
    assert "trial_adapter_lost_events_total 5.0" in lasting("GET", "/metrics").text
    assert lasting.audited("event-gap") == ["bundle"] * 3


def test_subscriptions_are_counted_apart(lasting: Lasting) -> None:
    for name, number in (("s1", 1), ("s2", 5), ("s1", 2), ("s2", 6)):
        sent = bundle(r4("event-notification", {number: "Patient/p1"}, name=name), PATIENT)
        assert "event-gap" not in codes(lasting("POST", "/fhir", sent))


@each_form
def test_an_event_that_only_names_is_followed_with_the_patient_it_is_about(
    lasting: Lasting,
    status: Any,  # noqa: ANN401 (one of two functions)
    kind: str,
    respx_mock: respx.MockRouter,
) -> None:
    respx_mock.get(f"{BASE}/Observation/o1").respond(200, content=HBA1C)
    respx_mock.get(f"{BASE}/Patient/p1").respond(200, json=PATIENT)
    event = status("event-notification", {1: f"{BASE}/Observation/o1/_history/3"}, 1)
    accepted = lasting("POST", "/fhir", bundle(event, kind=kind))
    assert accepted.status_code == 202
    again = lasting("POST", "/fhir", bundle(event, kind=kind, id_="sent-again"))
    assert again.headers["content-location"] == accepted.headers["content-location"]
    assert lasting.work() == 1
    assert [str(call.request.url) for call in respx_mock.calls] == [f"{BASE}/Observation/o1", f"{BASE}/Patient/p1"]
    assert {call.request.headers["authorization"] for call in respx_mock.calls} == {"Bearer for-the-ehr-only"}
    polled = lasting("GET", accepted.headers["content-location"].removeprefix("http://service")).json()
    assert polled["entry"][0]["response"]["status"] == "200 OK"
    assert lasting.count("outbox") == 1
    assert lasting.work() == 0


def test_numbers_are_taken_with_the_digits_they_have(lasting: Lasting, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{BASE}/Observation/o1").respond(200, content=HBA1C)
    respx_mock.get(f"{BASE}/Patient/p1").respond(200, json=PATIENT)
    event = r4("event-notification", {1: "Observation/o1", 2: "Observation/o2"})
    text = json.dumps(bundle(event, json.loads(HBA1C) | {"id": "o2"})).replace('"value": 7.2', '"value": 7.2000')
    service = lasting.worker._service
    one = One(Asker("anyone", "bundle", "r"), wanted({}, {}, FhirVersion.R4), text.encode())

    async def completed() -> bytes:
        posted = await read(service, one)
        assert posted.notice is not None
        return (await _completed(service, one, posted, posted.notice)).data

    data = lasting._portal.call(completed)
    assert b"7.20," in data
    assert b"7.2000," in data
    assert [each["resource"]["id"] for each in json.loads(data)["entry"]] == ["o2", "o1", "p1"]


@pytest.mark.parametrize(
    ("status", "answers"),
    [
        (503, {}),
        (401, {}),
        (302, {"Location": "https://evil.example.org/fhir/Patient/p1"}),
        (200, {"not": "json"}),
    ],
)
def test_a_server_that_does_not_answer_is_asked_again(
    lasting: Lasting, respx_mock: respx.MockRouter, status: int, answers: dict[str, str]
) -> None:
    asked = respx_mock.get(f"{BASE}/Patient/p1").respond(status, headers=answers)
    lasting("POST", "/fhir", bundle(r4("event-notification", {1: "Patient/p1"})))
    assert lasting.work() == 1
    assert lasting.count("outbox") == 0
    asked.respond(200, json=PATIENT)
    lasting.later(400)
    assert lasting.work() == 1
    assert lasting.count("outbox") == 1
    assert all(call.request.url.host == "ehr.example.org" for call in respx_mock.calls)


def test_it_is_given_up_after_a_day_and_told(lasting: Lasting, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{BASE}/Patient/p1").mock(side_effect=httpx.ConnectError("no way"))
    where = lasting("POST", "/fhir", bundle(r4("event-notification", {1: "Patient/p1"}))).headers["content-location"]
    for _ in range(3):
        lasting.work()
        lasting.later(13 * 3600)
    polled = lasting("GET", where.removeprefix("http://service")).json()
    assert polled["entry"][0]["response"]["status"].startswith("503 ")
    assert 'trial_adapter_later_total{status="503"} 1.0' in lasting("GET", "/metrics").text


def test_what_is_gone_is_told(lasting: Lasting, respx_mock: respx.MockRouter) -> None:
    respx_mock.get(f"{BASE}/Observation/o1").respond(410)
    where = lasting("POST", "/fhir", bundle(r4("event-notification", {1: "Observation/o1"}), PATIENT)).headers[
        "content-location"
    ]
    lasting.work()
    (entry,) = lasting("GET", where.removeprefix("http://service")).json()["entry"]
    assert "focus-gone" in codes(entry["resource"])


@pytest.mark.parametrize(
    "focus",
    [
        "https://evil.example.org/fhir/Patient/p1",
        "https://ehr.example.org.evil.example/fhir/Patient/p1",
        "https://ehr.example.org/other/Patient/p1",
        "http://ehr.example.org/fhir/Patient/p1",
        "https://user@ehr.example.org/fhir/Patient/p1",
        "http://169.254.169.254/latest/Patient/p1",
        "http://[::1]/fhir/Patient/p1",
        "http://2130706433/fhir/Patient/p1",
        "file:///etc/Patient/p1",
        "Patient/../../admin",
        "Patient/p1?_format=x",
        "Patient?identifier=1",
        "//evil.example.org/Patient/p1",
        "urn:uuid:0d2a6c1e-6f5b-5d0e-9a1f-3c1f0a8f4b52",
    ],
)
def test_no_address_of_a_payload_is_asked(lasting: Lasting, respx_mock: respx.MockRouter, focus: str) -> None:
    answer = lasting("POST", "/fhir", bundle(r4("event-notification", {1: focus})))
    assert (answer.status_code, codes(answer)) == (422, ["unfollowed-notification"])
    assert lasting.work() == 0
    assert not respx_mock.calls


def test_what_no_criterion_reads_is_acknowledged_and_not_fetched(
    lasting: Lasting, respx_mock: respx.MockRouter
) -> None:
    answer = lasting("POST", "/fhir", bundle(r4("event-notification", {1: "Practitioner/d1"})))
    assert (answer.status_code, codes(answer)) == (200, ["notification"])
    assert not respx_mock.calls


def test_an_event_that_names_nothing_is_refused(lasting: Lasting) -> None:
    for status in (r4("event-notification", {1: ""}), r4("event-notification"), r4("")):
        assert codes(lasting("POST", "/fhir", bundle(status))) == ["unfollowed-notification"]


def test_a_history_that_is_no_notification_is_evaluated_as_before(lasting: Lasting) -> None:
    assert lasting("POST", "/fhir", sample("shape-history")).json()["type"] == "batch-response"


def test_where_nothing_may_be_kept_it_is_followed_at_once(
    catalog: Catalog,
    portal: anyio.from_thread.BlockingPortal,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    respx_mock: respx.MockRouter,
) -> None:
    monkeypatch.setenv("TRIAL_ADAPTER_SERVE_SOURCES", json.dumps([{"base": BASE}]))
    lasting = Lasting(catalog, portal, tmp_path, storage="none")
    asked = respx_mock.get(f"{BASE}/Patient/p1").respond(503)
    sent = bundle(r4("event-notification", {1: "Patient/p1"}))
    assert lasting("POST", "/fhir", sent).status_code == 503
    asked.respond(200, json=PATIENT)
    assert lasting("POST", "/fhir", sent).json()["type"] == "batch-response"
    lasting.kept.close()
