"""No URL of a payload is ever asked for, wherever it stands and wherever it leads (S5)."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from security.addresses import addresses
from security.guarded import SEEN, connections, install, traced
from service.conftest import FHIR, Asked
from service.served import served


class Trap:
    """A server that counts who comes."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(0.2)
        self.port = self._listening.getsockname()[1]
        self.visits = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                visitor, _ = self._listening.accept()
            except TimeoutError:
                continue
            self.visits += 1
            visitor.close()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._listening.close()


@pytest.fixture(scope="module")
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


def urls(port: int) -> list[str]:
    return [
        f"http://127.0.0.1:{port}/fhir/Patient/1",
        f"http://localhost:{port}/fhir/Patient/1",
        f"http://[::1]:{port}/fhir/Patient/1",
        f"http://[::ffff:127.0.0.1]:{port}/fhir/Patient/1",
        f"http://[::ffff:7f00:1]:{port}/fhir/Patient/1",
        f"http://2130706433:{port}/fhir/Patient/1",
        f"http://0x7f000001:{port}/fhir/Patient/1",
        f"http://0177.0.0.1:{port}/fhir/Patient/1",
        f"http://127.1:{port}/fhir/Patient/1",
        f"http://0.0.0.0:{port}/fhir/Patient/1",
        f"http://0:{port}/fhir/Patient/1",
        f"http://127.0.0.1.nip.io:{port}/fhir/Patient/1",
        f"http://user:password@127.0.0.1:{port}/fhir/Patient/1",
        f"http://trials.example.org@127.0.0.1:{port}/fhir/Patient/1",
        f"http://127.0.0.1:{port}#@trials.example.org/fhir/Patient/1",
        f"http://trials.example.org\\@127.0.0.1:{port}/",
        f"http://127。0。0。1:{port}/fhir/Patient/1",
        f"http://①②⑦.⓪.⓪.①:{port}/fhir/Patient/1",
        f"https://127.0.0.1:{port}/fhir/Patient/1",
        f"//127.0.0.1:{port}/fhir/Patient/1",
        f"http://127.0.0.1:{port}/redirect?to=http://169.254.169.254/",
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        "http://[fd00:ec2::254]/latest/meta-data/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://100.100.100.200/latest/meta-data/",
        "http://10.0.0.1/fhir/Patient/1",
        "http://rebinding.example.org/fhir/Patient/1",
        "https://jku.example.org/.well-known/jwks.json",
        "file:///etc/passwd",
        "file://localhost/proc/self/environ",
        f"ftp://127.0.0.1:{port}/Patient",
        f"gopher://127.0.0.1:{port}/_GET%20/",
        f"dict://127.0.0.1:{port}/info",
        f"ldap://127.0.0.1:{port}/o=x",
        "jar:http://127.0.0.1!/x",
        "data:application/fhir+json,{}",
        "\\\\127.0.0.1\\share\\patient.json",
        "mllp://127.0.0.1:2575",
    ]


def documents(url: str) -> Iterator[dict[str, Any]]:
    """Give documents that hold a URL wherever FHIR can hold one, each a kind of Bundle, or Parameters."""
    patient = {
        "resourceType": "Patient",
        "id": "p1",
        "implicitRules": url,
        "meta": {"profile": [url], "source": url, "tag": [{"system": url, "code": "x"}]},
        "identifier": [{"system": url, "value": url, "assigner": {"reference": url}}],
        "photo": [{"contentType": "image/png", "url": url}],
        "managingOrganization": {"reference": url},
        "link": [{"other": {"reference": url}, "type": "replaced-by"}],
        "contained": [{"resourceType": "Organization", "id": "o", "endpoint": [{"reference": url}]}],
        "extension": [{"url": url, "valueUrl": url}, {"url": url, "valueReference": {"reference": url}}],
        "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><img src="{url}"/></div>'},
    }
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "instantiatesCanonical": url,
        "status": "final",
        "code": {"coding": [{"system": url, "code": "4548-4"}, {"system": "http://loinc.org", "code": "4548-4"}]},
        "subject": {"reference": url},
        "valueQuantity": {"value": 7, "unit": "%", "system": url, "code": "%"},
        "derivedFrom": [{"reference": url}],
    }
    others = [
        {"resourceType": "DocumentReference", "status": "current", "content": [{"attachment": {"url": url}}]},
        {"resourceType": "MedicationRequest", "subject": {"reference": url}, "medicationReference": {"reference": url}},
        {"resourceType": "QuestionnaireResponse", "questionnaire": url, "subject": {"reference": url}},
        {"resourceType": "Binary", "contentType": "text/plain", "securityContext": {"reference": url}},
        {"resourceType": "List", "entry": [{"item": {"reference": url}}], "subject": {"reference": url}},
        {"resourceType": "ResearchStudy", "id": "s", "protocol": [{"reference": url}], "site": [{"reference": url}]},
    ]
    channel = {"type": "rest-hook", "endpoint": url, "payload": "application/fhir+json", "header": [f"X: {url}"]}
    subscription = {"resourceType": "Subscription", "status": "requested", "criteria": url, "channel": channel}
    entries = [
        {
            "fullUrl": url,
            "resource": each,
            "link": [{"relation": "related", "url": url}],
            "request": {"method": "PUT", "url": url, "ifNoneExist": url},
            "response": {"status": "200", "location": url},
        }
        for each in (patient, observation, *others, subscription)
    ]
    links = [{"relation": relation, "url": url} for relation in ("self", "next", "previous")]
    for kind in ("transaction", "batch", "collection", "searchset", "history", "document"):
        yield {"resourceType": "Bundle", "type": kind, "link": links, "entry": entries, "implicitRules": url}
    deleted = [{"fullUrl": url, "request": {"method": method, "url": url}} for method in ("GET", "DELETE", "PATCH")]
    yield {"resourceType": "Bundle", "type": "batch", "entry": deleted + entries[:1]}
    header = {
        "resourceType": "MessageHeader",
        "id": "m1",
        "eventUri": url,
        "source": {"endpoint": url},
        "destination": [{"endpoint": url, "receiver": {"reference": url}}],
        "focus": [{"reference": url}],
        "definition": url,
        "response": {"identifier": "x", "code": "ok", "details": {"reference": url}},
    }
    yield {"resourceType": "Bundle", "type": "message", "entry": [{"fullUrl": url, "resource": header}, *entries]}
    for kind in ("handshake", "event-notification"):
        focus = {"name": "focus", "valueReference": {"reference": url}}
        parts = [
            {"name": "subscription", "valueReference": {"reference": url}},
            {"name": "topic", "valueCanonical": url},
        ]
        event = {"name": "notification-event", "part": [focus, {"name": "event-number", "valueString": "1"}]}
        status = {"resourceType": "Parameters", "parameter": [*parts, {"name": "type", "valueCode": kind}, event]}
        yield {"resourceType": "Bundle", "type": "history", "entry": [{"fullUrl": url, "resource": status}]}
        topic: dict[str, Any] = {"resourceType": "SubscriptionStatus", "type": kind, "topic": url}
        topic |= {"subscription": {"reference": url}}
        topic |= {"notificationEvent": [{"eventNumber": "1", "focus": {"reference": url}}]}
        yield {"resourceType": "Bundle", "type": "subscription-notification", "entry": [{"resource": topic}]}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    names = ("subject", "study", "server", "measureServer", "terminologyEndpoint", "url", "profile")
    beside = [{"name": name, "valueUri": url, "valueString": url} for name in names]
    plain = [{"name": "subject", "valueString": url}, {"name": "useServerData", "valueBoolean": True}]
    for given in (beside, plain, []):
        for name in ("data", "resource", "trialMatchClinicalData"):
            yield {"resourceType": "Parameters", "parameter": [{"name": name, "resource": bundle}, *given]}
    hook = {"hook": "patient-view", "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea", "fhirServer": url}
    hook |= {"fhirAuthorization": {"access_token": "x", "token_type": "Bearer", "scope": "", "subject": "s"}}
    yield hook | {"context": {"userId": url, "patientId": "p1"}, "prefetch": {"patient": patient, "all": bundle}}
    yield hook | {"context": {"userId": url, "patientId": url}}
    yield {"transactionTime": "2026-11-01T00:00:00Z", "request": url, "output": [{"type": "Patient", "url": url}]}
    yield patient
    yield observation
    yield subscription


HEADERS = ("Content-Location", "Referer", "Origin", "Forwarded", "X-Forwarded-Host", "Host", "X-Original-URL", "Link")


class Guard:
    """Sees each attempt of this process to open a connection or ask for a name, while it is on."""

    def __init__(self) -> None:
        self.attempts: list[str] = []
        self._is_on = False
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_on and event in SEEN:
            self.attempts.append(f"{event} {arguments[1:]}")

    @contextmanager
    def on(self) -> Iterator[None]:
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False


@pytest.fixture(scope="module")
def guard() -> Guard:
    return Guard()


def test_the_guard_sees_what_it_should(guard: Guard, trap: Trap) -> None:
    with guard.on(), socket.create_connection(("127.0.0.1", trap.port)):
        pass
    seen, guard.attempts[:] = list(guard.attempts), []
    assert any(each.startswith("socket.connect") for each in seen)


def test_no_socket_is_opened_whatever_a_payload_names(service: Asked, guard: Guard, trap: Trap) -> None:
    paths = [each for each in addresses(service("GET", "/openapi.json").json()) if each.media is not None]
    assert len(paths) >= 7
    before, sent = trap.visits, 0
    for number, url in enumerate(urls(trap.port)):
        for place, document in enumerate(documents(url)):
            body = json.dumps(document).encode()
            # The first URL goes everywhere; what differs in the others is read alike by all, so they take turns.
            for address in paths if number == 0 else [paths[(number + place) % len(paths)]]:
                with guard.on():
                    answer = service(address.method, address.path, body)
                sent += 1
                assert answer.status_code < 500, (address, answer.text)
                assert guard.attempts == [], (url, address)
    assert sent > 30 * 20
    assert trap.visits == before


def test_no_socket_is_opened_for_a_header_either(service: Asked, guard: Guard, trap: Trap) -> None:
    body = json.dumps(next(documents("http://127.0.0.1/"))).encode()
    before = trap.visits
    for url in urls(trap.port):
        for name in HEADERS:
            with guard.on():
                service("POST", "/fhir", body, **{name: url.encode()})
            assert guard.attempts == [], (url, name)
    assert trap.visits == before


def test_the_guards_of_a_process_see_what_they_should(
    tmp_path: Path, trap: Trap, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = install(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    program = f"import socket; input(); socket.create_connection(('127.0.0.1', {trap.port})).close()"
    with (
        subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as child,
        traced(child.pid, tmp_path / "trace.txt") as is_seen,
    ):
        child.communicate(b"\n", timeout=20)
    assert "socket.connect" in seen.read_text()
    if is_seen:
        assert len(connections((tmp_path / "trace.txt").read_text())) == 1


def test_the_process_opens_none(tmp_path: Path, trap: Trap, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of the command itself: by Python's events in it, and by its system calls where strace may look."""
    seen = install(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    trace = tmp_path / "trace.txt"
    before = trap.visits
    with served(tmp_path, client_rate="100000/second") as running, httpx.Client() as client:
        paths = [each for each in addresses(client.get(f"{running.url}/openapi.json").json()) if each.media is not None]
        assert seen.exists(), "the hook is in the process"
        started = seen.read_text()
        with traced(running.process.pid, trace) as is_seen:
            for number, url in enumerate(urls(trap.port)):
                for place, document in enumerate(documents(url)):
                    # Every document at every address is sent above; here each is sent to one, in turn.
                    address = paths[(number + place) % len(paths)]
                    answer = client.request(
                        address.method, f"{running.url}{address.path}", content=json.dumps(document), headers=FHIR
                    )
                    assert answer.status_code < 500, (address, answer.text)
        opened = seen.read_text().removeprefix(started)
    assert opened == ""
    assert trap.visits == before
    if is_seen:
        assert connections(trace.read_text()) == []
