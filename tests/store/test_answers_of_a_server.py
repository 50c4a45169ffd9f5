"""What each answer of a FHIR server does to a delivery: done, later, read again, or dead."""

import datetime
from collections.abc import Iterator

import httpx
import pytest
import respx
from store.kept import SUBJECT, delivery, put_in

from adapter.delivery.settings import Secret, Server
from adapter.store.ledger import Store
from adapter.store.outbox import Courier
from adapter.store.rows import Outbox, Shown
from adapter.store.transport import FhirTransport

BASE = "http://127.0.0.1:9/fhir"
CAPABILITY = {
    "resourceType": "CapabilityStatement",
    "rest": [{"mode": "server", "interaction": [{"code": "transaction"}]}],
}
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "value", "diagnostics": "7.2"}]}
ENTRIES = [{"response": {"status": "201 Created", "etag": 'W/"1"'}}] * 3


@pytest.fixture
def web() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=BASE, assert_all_called=False) as router:
        router.get("/metadata").respond(200, json=CAPABILITY)
        router.get(f"/ResearchSubject/{SUBJECT}").respond(404, json=OUTCOME)
        yield router


def delivered(store: Store) -> Shown:
    put_in(store, delivery("candidate"))
    Courier(store, FhirTransport(Server(BASE, token=Secret("token-of-ours")))).deliver_one()
    shown = Outbox(store).show(1)
    assert shown is not None
    return shown


LATER = (401, 408, 409, 425, 429, 500, 502, 503, 504, 507)
DEAD = (300, 301, 302, 303, 304, 307, 308, 400, 402, 403, 404, 405, 406, 410, 411, 413, 414, 415, 418, 422, 431)
DEAD_TOO = (451, 501, 505)
READ_AGAIN = (412,)


def single(web: respx.MockRouter) -> respx.Route:
    """Where it is written one by one, as after a transaction that is not made or is too large."""
    return web.route(method="PUT")


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(
    ("status", "state", "error"),
    [(each, "delivered", None) for each in (200, 201)]
    + [(each, "pending", f"http-{each}: value") for each in LATER]
    + [(each, "dead", f"http-{each}: value") for each in (*DEAD, *DEAD_TOO)]
    + [(each, "pending", "changes-under-our-hands") for each in READ_AGAIN],
)
def test_a_status_of_a_write(
    web: respx.MockRouter, store: Store, status: int, state: str, error: str | None, *, one_by_one: bool
) -> None:
    elsewhere = {"Location": "http://169.254.169.254/"}
    body = {"resourceType": "Bundle", "entry": ENTRIES} if status < 300 else OUTCOME
    web.post("").respond(405 if one_by_one else status, json=body, headers=elsewhere)
    alone = {} if status == 201 else {"json": OUTCOME} if status >= 300 else {"json": {"resourceType": "Basic"}}
    single(web).respond(status, headers=elsewhere, **alone)
    shown = delivered(store)
    assert (shown.state, shown.last_error) == (state, error)
    assert all(each.request.url.host == "127.0.0.1" for each in web.calls)


def test_204_says_that_it_is_written(web: respx.MockRouter, store: Store) -> None:
    web.post("").respond(405)
    single(web).respond(204)
    assert delivered(store).state == "delivered"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"<html>Please log in</html>", "answer-is-no-json"),
        (b'{"resourceType": "Bundle", "entry": [', "answer-is-no-json"),
        (b'{"a": 1, "b": NaN}', "answer-is-no-json"),
        (b"[]", "answer-is-no-json"),
        (b'{"resourceType": "Patient"}', "answer-is-no-bundle"),
        (b"", "answer-is-no-bundle"),
    ],
)
def test_a_success_that_is_no_answer_of_a_fhir_server_is_none(
    web: respx.MockRouter, store: Store, content: bytes, error: str
) -> None:
    web.post("").respond(200, content=content)
    shown = delivered(store)
    assert (shown.state, shown.last_error) == ("pending", error)


def test_a_success_that_says_no_is_none(web: respx.MockRouter, store: Store) -> None:
    web.post("").respond(405)
    single(web).respond(200, json=OUTCOME)
    shown = delivered(store)
    assert (shown.state, shown.last_error) == ("dead", "http-200: value")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_status_of_reading(web: respx.MockRouter, store: Store, status: int) -> None:
    web.get(f"/ResearchSubject/{SUBJECT}").respond(status, json=OUTCOME)
    written = web.post("")
    shown = delivered(store)
    assert shown.state == ("dead" if status == 403 else "pending")
    assert not written.called


@pytest.mark.parametrize("seconds", [7, 120])
def test_what_the_server_asks_for_is_waited(web: respx.MockRouter, store: Store, seconds: int) -> None:
    web.post("").respond(429, headers={"Retry-After": str(seconds)})
    shown = delivered(store)
    wait = (shown.next_at - store.now()).total_seconds()
    assert seconds - 3 < wait <= seconds + 1


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (httpx.ReadTimeout, "timeout"),
        (httpx.ConnectTimeout, "timeout"),
        (httpx.ConnectError, "no-answer"),
        (httpx.RemoteProtocolError, "no-answer"),
        (httpx.WriteError, "no-answer"),
        (httpx.PoolTimeout, "timeout"),
        (httpx.DecodingError, "no-answer"),
    ],
)
def test_no_answer_is_tried_again(web: respx.MockRouter, store: Store, failure: type[Exception], error: str) -> None:
    web.post("").mock(side_effect=failure)
    shown = delivered(store)
    assert (shown.state, shown.last_error, shown.attempts) == ("pending", error, 1)


def test_an_entry_that_is_refused_is_no_success(web: respx.MockRouter, store: Store) -> None:
    entries = [*ENTRIES[:2], {"response": {"status": "422 Unprocessable", "outcome": OUTCOME}}]
    web.post("").respond(200, json={"resourceType": "Bundle", "entry": entries})
    assert delivered(store).state == "dead"


def test_a_transient_refusal_is_tried_again(web: respx.MockRouter, store: Store) -> None:
    told = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "lock-error"}]}
    web.post("").respond(400, json=told)
    assert delivered(store).state == "pending"


def test_an_answer_without_end_is_cut_off(web: respx.MockRouter, store: Store) -> None:
    web.post("").respond(200, content=b" " * (9 * 1024 * 1024))
    shown = delivered(store)
    assert (shown.state, shown.last_error) == ("pending", "answer-too-large")


def test_back_off_grows_and_is_drawn(web: respx.MockRouter, url: str) -> None:
    web.post("").respond(503)
    clock = [datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)]
    store = Store.open(url, lambda: clock[0])
    put_in(store, delivery("candidate"))
    one = Courier(store, FhirTransport(Server(BASE)))
    waits = []
    for _ in range(14):
        assert one.deliver_one()
        shown = Outbox(store).show(1)
        assert shown is not None
        waits.append((shown.next_at - clock[0]).total_seconds())
        clock[0] = shown.next_at
    store.close()
    assert all(wait <= min(300, 2**number) for number, wait in enumerate(waits))
    assert max(waits) > 20
    assert len(set(waits)) == 14


class TwoTokens:
    """Gives one token, and another once that one is forgotten."""

    def __init__(self) -> None:
        self.asked = 0

    def current(self) -> Secret:
        return Secret(f"token-{self.asked}")

    def forget(self) -> None:
        self.asked += 1


@pytest.mark.parametrize(("accepted", "state"), [("token-1", "delivered"), ("token-9", "pending")])
def test_a_refused_token_is_asked_for_anew_once(web: respx.MockRouter, store: Store, accepted: str, state: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        is_known = request.headers["Authorization"] == f"Bearer {accepted}"
        return httpx.Response(200 if is_known else 401, json={"resourceType": "Bundle", "entry": ENTRIES})

    web.post("").mock(side_effect=answer)
    put_in(store, delivery("candidate"))
    transport = FhirTransport(Server(BASE))
    tokens = TwoTokens()
    transport._tokens = tokens  # type: ignore[assignment] (it asks no server)
    Courier(store, transport).deliver_one()
    shown = Outbox(store).show(1)
    assert shown is not None
    assert (shown.state, tokens.asked) == (state, 1)
