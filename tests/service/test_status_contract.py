"""Each situation of the status contract, by what is sent: status, FHIR's issue type, our code, and what is needed."""

import gzip
import json
from typing import Any

import pytest
from service.conftest import Asked, Make, sample

PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1970-01-01"}
GOOD = sample("shape-transaction")
EMPTY = {"resourceType": "Bundle", "type": "collection", "entry": []}


def bundle(kind: str, *resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": [{"resource": each} for each in resources]}


def nested(depth: int) -> bytes:
    return b'{"resourceType":"Bundle","type":"collection","x":' + b"[" * depth + b"]" * depth + b"}"


DANGLING = bundle(
    "transaction",
    PATIENT,
    {"resourceType": "Condition", "subject": {"reference": "urn:uuid:00000000-0000-4000-8000-000000000000"}},
)

CASES: list[tuple[str, str, Any, dict[str, str], int, str | None, str | None]] = [
    ("a transaction", "/fhir", GOOD, {}, 200, None, None),
    ("a slash at the end", "/fhir/", GOOD, {}, 200, None, None),
    ("text/plain", "/fhir", GOOD, {"Content-Type": "text/plain"}, 415, "not-supported", "media-type"),
    ("xml", "/fhir", b"<Bundle/>", {"Content-Type": "application/fhir+xml"}, 415, "not-supported", "media-type"),
    ("latin-1", "/fhir", GOOD, {"Content-Type": "application/json; charset=latin-1"}, 415, "not-supported", "charset"),
    ("utf-8", "/fhir", GOOD, {"Content-Type": "application/json; charset=UTF-8"}, 200, None, None),
    ("R3", "/fhir", GOOD, {"Content-Type": "application/json; fhirVersion=3.0"}, 415, "not-supported", "fhir-version"),
    ("Accept xml", "/fhir", GOOD, {"Accept": "application/fhir+xml"}, 406, "not-supported", "not-acceptable"),
    ("Accept any", "/fhir", GOOD, {"Accept": "text/html, */*;q=0.1"}, 200, None, None),
    ("brotli", "/fhir", GOOD, {"Content-Encoding": "br"}, 415, "not-supported", "content-encoding"),
    ("gzip twice", "/fhir", GOOD, {"Content-Encoding": "gzip, gzip"}, 415, "not-supported", "content-encoding"),
    ("gzip", "/fhir", gzip.compress(GOOD), {"Content-Encoding": "gzip"}, 200, None, None),
    ("no gzip", "/fhir", GOOD, {"Content-Encoding": "gzip"}, 400, "structure", "bad-gzip"),
    ("half gzip", "/fhir", gzip.compress(GOOD)[:-9], {"Content-Encoding": "gzip"}, 400, "structure", "bad-gzip"),
    (
        "more after gzip",
        "/fhir",
        gzip.compress(GOOD) + b"x",
        {"Content-Encoding": "gzip"},
        400,
        "structure",
        "bad-gzip",
    ),
    ("bomb", "/fhir", gzip.compress(b" " * 30_000_000), {"Content-Encoding": "gzip"}, 413, "too-long", "too-large"),
    ("large", "/fhir", b" " * (16 * 1024 * 1024 + 1), {}, 413, "too-long", "too-large"),
    ("nothing", "/fhir", b" ", {}, 400, "structure", "empty"),
    ("no JSON", "/fhir", b"{", {}, 400, "structure", "truncated"),
    ("bad UTF-8", "/fhir", b'{"a":"\xff"}', {}, 400, "structure", "not-utf-8"),
    ("a name twice", "/fhir", b'{"id":"1","id":"2"}', {}, 400, "structure", "duplicate-name"),
    ("NaN", "/fhir", b'{"a":NaN}', {}, 400, "structure", "not-a-number"),
    ("a long number", "/fhir", b'{"a":' + b"1" * 5000 + b"}", {}, 400, "structure", "not-json"),
    ("a long decimal", "/fhir", b'{"a":0.' + b"1" * 65 + b"}", {}, 400, "structure", "not-json"),
    ("infinite", "/fhir", b'{"a":1e400}', {}, 400, "structure", "not-json"),
    ("half a character", "/fhir", b'{"a":"\\ud800"}', {}, 400, "structure", "not-a-character"),
    ("65 deep", "/fhir", nested(64), {}, 400, "structure", "too-deep"),
    ("100,000 deep", "/fhir", nested(100_000), {}, 400, "structure", "too-deep"),
    ("500,001 values", "/fhir", b'{"a":[' + b"1," * 500_000 + b"1]}", {}, 400, "structure", "too-many-values"),
    ("5,001 entries", "/fhir", bundle("collection", *[PATIENT] * 5001), {}, 413, "too-long", "too-large"),
    ("a list", "/fhir", b"[]", {}, 400, "structure", "not-fhir"),
    ("no Bundle", "/fhir", PATIENT, {}, 400, "invalid", "bundle-expected"),
    ("no kind of Bundle", "/fhir", bundle("heap"), {}, 400, "invalid", "bundle-type"),
    ("an answer", "/fhir", bundle("batch-response"), {}, 422, "processing", "response-bundle"),
    ("no entries", "/fhir", EMPTY, {}, 422, "business-rule", "no-patient"),
    ("a bad reference", "/fhir", DANGLING, {}, 422, "business-rule", "dangling-urn"),
    ("no header", "/fhir", bundle("message", PATIENT), {}, 422, "business-rule", "message-header"),
    ("no message", "/fhir/$process-message", GOOD, {}, 422, "business-rule", "message-header"),
    (
        "two patients",
        "/fhir/ResearchStudy/$match",
        sample("careless-two"),
        {},
        422,
        "business-rule",
        "several-patients",
    ),
    ("no such trial", "/fhir/ResearchStudy/x/$evaluate-eligibility", GOOD, {}, 404, "not-found", "unknown-trial"),
    ("a bad key", "/fhir", GOOD, {"Idempotency-Key": "a b"}, 400, "invalid", "idempotency-key"),
    ("no address", "/fhir/Observation/$lastn", GOOD, {}, 404, "not-found", "address"),
    ("unknown codes", "/fhir", sample("careless-local-codes"), {}, 200, None, None),
]


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "kind", "code"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_each_situation_has_its_answer(
    service: Asked, path: str, body: bytes, headers: dict[str, str], status: int, kind: str | None, code: str | None
) -> None:
    answer = service("POST", path, body, **headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert len(answer.headers["x-request-id"]) == 32
    if code is None:
        return
    said = answer.json()
    assert said["resourceType"] == "OperationOutcome"
    issue = said["issue"][0]
    assert (issue["severity"], issue["code"], issue["details"]["coding"][0]["code"]) == ("error", kind, code)
    assert not service.store.replies, "what is refused is not kept as done"
    assert "Retry-After" not in answer.headers


def test_a_mirth_channel_is_told_the_setting_to_change(service: Asked) -> None:
    said = service("POST", "/fhir", GOOD, **{"Content-Type": "text/plain; charset=UTF-8"}).json()
    assert '"Content Type"' in said["issue"][0]["details"]["text"]


def test_a_bad_reference_is_located(service: Asked) -> None:
    said = service("POST", "/fhir", DANGLING).json()
    assert said["issue"][0]["expression"] == ["Bundle.entry[1].resource"]


def test_headers_are_bounded(service: Asked) -> None:
    answer = service("POST", "/fhir", GOOD, X_Long="x" * 16_384)
    assert (answer.status_code, answer.headers["connection"]) == (431, "close")


@pytest.mark.parametrize("bad", ["a\rb", "x" * 65, "ü", "a b", ""])
def test_a_request_id_is_echoed_only_where_it_is_one(service: Asked, bad: str) -> None:
    kept = service("GET", "/healthz", X_Request_Id="engine-1.2_3").headers["x-request-id"]
    assert kept == "engine-1.2_3"
    made = service("GET", "/healthz", X_Request_Id=bad.encode("latin-1")).headers["x-request-id"]  # type: ignore[arg-type]  # httpx sends bytes as they are
    assert len(made) == 32


def test_a_store_that_fails_is_no_receipt(service: Asked) -> None:
    service.store.fails = True
    answer = service("POST", "/fhir", GOOD)
    assert answer.status_code == 500
    assert "Ada" not in answer.text + service.log.getvalue(), "not even an exception's words are told"
    ready = service("GET", "/readyz")
    assert (ready.status_code, ready.headers["retry-after"]) == (503, "2")
    assert ready.json()["issue"][0]["code"] == "transient"
    service.store.fails = False
    assert service("POST", "/fhir", GOOD).status_code == 200, "the claim was given back"


def test_a_busy_service_says_when_to_come_again(make: Make) -> None:
    service = make(max_concurrent=1)
    answers = service.at_once(8, json.dumps(json.loads(GOOD)).encode())
    statuses = sorted(each.status_code for each in answers)
    assert statuses[0] == 200
    for each in answers:
        if each.status_code != 200:
            assert (each.status_code, each.headers["retry-after"]) == (503, "2")
            assert each.json()["issue"][0]["code"] == "transient"


def test_prefer_says_how_much_comes_back(service: Asked) -> None:
    def entries(prefer: str) -> list[dict[str, Any]]:
        return service("POST", "/fhir", GOOD, Prefer=prefer).json()["entry"]

    asked = len(json.loads(GOOD)["entry"])
    assert len(entries("return=minimal")) == asked
    assert not any("resource" in each for each in entries("return=minimal"))
    told = entries("return=OperationOutcome")[asked:]
    assert [each["response"]["outcome"]["resourceType"] for each in told] == ["OperationOutcome"]
    kinds = {each["resource"]["resourceType"] for each in entries("return=representation")[asked:]}
    assert kinds == {"ResearchSubject", "GuidanceResponse", "Provenance"}
    assert {each["resource"]["resourceType"] for each in entries("wait=3, colour=red")[asked:]} == {"ResearchSubject"}


def test_each_kind_of_bundle_has_its_kind_of_answer(service: Asked) -> None:
    kinds = {}
    for name in ("transaction", "batch", "collection", "document", "history", "message", "searchset"):
        body = sample(f"shape-{name if name != 'collection' else 'r5-collection'}")
        answer = service("POST", "/fhir", body).json()
        kinds[name] = answer.get("type", answer["resourceType"])
    assert kinds == {
        "transaction": "transaction-response",
        "batch": "batch-response",
        "collection": "OperationOutcome",
        "document": "OperationOutcome",
        "history": "batch-response",
        "message": "message",
        "searchset": "OperationOutcome",
    }


def test_a_batch_isolates_what_it_cannot_do(service: Asked) -> None:
    broken = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": PATIENT}, {"resource": 7}]}
    broken["entry"] += [{"request": {"method": "GET", "url": "Patient"}}]
    statuses = [each["response"]["status"] for each in service("POST", "/fhir", broken).json()["entry"][:3]]
    assert statuses == ["200 OK", "422 Unprocessable Entity", "405 Method Not Allowed"]


def test_a_transaction_is_done_whole_or_not_at_all(service: Asked) -> None:
    broken = {"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": PATIENT}, {"resource": 7}]}
    answer = service("POST", "/fhir", broken)
    assert (answer.status_code, service.store.deliveries) == (422, [])


def test_a_message_is_answered_by_name(service: Asked) -> None:
    request = json.loads(sample("shape-message"))
    answer = service("POST", "/fhir/$process-message", sample("shape-message")).json()
    header = answer["entry"][0]["resource"]
    assert header["response"]["identifier"] == request["entry"][0]["resource"]["id"]
    assert header["response"]["code"] == "ok"
    assert header["eventCoding"] == request["entry"][0]["resource"]["eventCoding"]
    full_urls = {each["fullUrl"] for each in answer["entry"]}
    assert header["response"]["details"]["reference"] in full_urls
    assert all(f"https://trials.example.org/fhir/{each['reference']}" in full_urls for each in header["focus"])


@pytest.mark.parametrize("kind", ["handshake", "heartbeat"])
def test_a_notification_without_data_is_acknowledged(service: Asked, kind: str) -> None:
    status = {"resourceType": "Parameters", "parameter": [{"name": "type", "valueCode": kind}]}
    assert service("POST", "/fhir", bundle("history", status)).status_code == 200
    topic = {"resourceType": "SubscriptionStatus", "type": kind}
    assert service("POST", "/fhir", bundle("subscription-notification", topic)).status_code == 200


def test_a_notification_of_data_elsewhere_is_refused(service: Asked) -> None:
    status = {"resourceType": "SubscriptionStatus", "type": "event-notification"}
    assert service("POST", "/fhir", bundle("history", status)).status_code == 422
    assert service("POST", "/fhir", bundle("history", status, PATIENT)).status_code == 200
