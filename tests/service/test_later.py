"""A message that is to be answered later is kept before it is accepted, done once, and answered as it would be now."""

import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from service.conftest import sample
from service.lasting import OTHER, SECRET, Lasting
from service.queued import GOOD, LATER, given, place

from adapter.catalog.catalog import Catalog


@pytest.fixture
def lasting(catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> Iterator[Lasting]:
    made = Lasting(catalog, portal, tmp_path)
    yield made
    made.kept.close()


def test_the_answer_comes_later_and_is_the_one_that_would_have_come_at_once(
    lasting: Lasting, catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    accepted = lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER)
    where = place(accepted)
    assert accepted.headers["retry-after"].isdigit()
    assert accepted.json()["issue"][0]["details"]["coding"][0]["code"] == "queued"
    waits = lasting("GET", where)
    assert (waits.status_code, waits.headers["x-progress"]) == (202, "waits for its turn")
    assert lasting.count("outbox") == 0, "nothing is evaluated before its turn"
    assert lasting.work() == 1
    entry = given(lasting("GET", where))
    assert entry["response"] == {"status": "200 OK"}
    (tmp_path / "other").mkdir()
    other = Lasting(catalog, portal, tmp_path / "other")
    assert entry["resource"] == other("POST", "/fhir", GOOD).json()
    other.kept.close()
    assert lasting.audited("queued") == ["bundle"]


def test_an_id_cannot_be_guessed(lasting: Lasting) -> None:
    first, second = (place(lasting("POST", "/fhir", GOOD, Idempotency_Key=key, **LATER)) for key in ("a", "b"))
    assert first != second
    assert len(first.rpartition("/")[2]) == 32
    assert lasting("GET", first[:-1] + ("0" if first[-1] != "0" else "1")).status_code == 404


def test_a_replay_gets_the_same_address_before_and_after_it_is_done(lasting: Lasting) -> None:
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    assert place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER)) == where
    lasting.work()
    first = lasting("GET", where).content
    assert place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER)) == where
    assert lasting.work() == 0
    assert lasting("GET", where).content == first, "byte for byte"


@pytest.mark.parametrize("prefer", ["respond-async", "return=minimal"])
@pytest.mark.parametrize("is_done", [False, True])
def test_the_key_of_a_queued_message_is_not_used_for_another(lasting: Lasting, prefer: str, is_done: bool) -> None:  # noqa: FBT001 (a table)
    place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    if is_done:
        lasting.work()
    other = lasting("POST", "/fhir", sample("CFMSC-candidate"), Idempotency_Key="k1", Prefer=prefer)
    assert (other.status_code, other.json()["issue"][0]["code"]) == (409, "duplicate")


def test_the_key_of_an_answered_message_is_not_queued_for_another(lasting: Lasting) -> None:
    assert lasting("POST", "/fhir", GOOD, Idempotency_Key="k1").status_code == 200
    assert lasting("POST", "/fhir", sample("CFMSC-candidate"), Idempotency_Key="k1", **LATER).status_code == 409


def test_who_waits_for_a_queued_message_gets_its_answer(lasting: Lasting) -> None:
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    answers: list[Any] = []
    twin = threading.Thread(target=lambda: answers.append(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1")))
    twin.start()
    twin.join(0.3)
    assert twin.is_alive(), "it waits"
    assert lasting.work() == 1
    twin.join(10)
    assert answers[0].headers["x-idempotent-replay"] == "true"
    assert given(lasting("GET", where))["resource"] == answers[0].json()
    assert lasting.count("outbox") == 1


def test_a_message_that_was_answered_can_be_asked_for_later(lasting: Lasting) -> None:
    now = lasting("POST", "/fhir", GOOD, Idempotency_Key="k1")
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    lasting.work()
    assert given(lasting("GET", where))["resource"] == now.json()
    assert lasting.count("outbox") == 1


def test_32_parallel_twins_are_queued_and_evaluated_once(lasting: Lasting) -> None:
    answers = lasting.at_once(32, GOOD, **{"Idempotency-Key": "twin"}, **LATER)
    assert len({place(each) for each in answers}) == 1
    assert lasting.work() == 1
    assert (lasting.count("receipt"), lasting.count("outbox")) == (1, 1)


def test_32_parallel_twins_with_a_database_are_evaluated_once(lasting: Lasting) -> None:
    answers = lasting.at_once(32, GOOD, **{"Idempotency-Key": "twin"})
    assert {each.status_code for each in answers} == {200}
    assert len({each.content for each in answers}) == 1
    assert (lasting.count("receipt"), lasting.count("outbox")) == (1, 1)


def test_what_is_refused_later_is_told_with_its_status(lasting: Lasting) -> None:
    nobody = {"resourceType": "Bundle", "type": "collection", "entry": []}
    where = place(lasting("POST", "/fhir", nobody, Idempotency_Key="k1", **LATER))
    lasting.work()
    entry = given(lasting("GET", where))
    assert entry["response"]["status"].startswith("422 ")
    assert entry["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert "resource" not in entry
    assert lasting.audited("refused") == ["bundle"]
    assert lasting("POST", "/fhir", GOOD, Idempotency_Key="k1").status_code == 200, "as after a refusal at once"


def test_what_cannot_be_read_is_refused_at_once(lasting: Lasting) -> None:
    assert lasting("POST", "/fhir", b"{", **LATER).status_code == 400
    assert lasting.work() == 0


def test_a_large_bundle_is_answered_later(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    lasting = Lasting(catalog, portal, tmp_path, sync_bytes=len(GOOD) - 1, address="https://adapter.example.org/fhir/")
    answer = lasting("POST", "/fhir", GOOD)
    assert answer.status_code == 202
    assert answer.headers["content-location"].startswith("https://adapter.example.org/fhir/async/")
    assert lasting("POST", "/fhir", sample("CFMSC-candidate")).status_code == (
        202 if len(sample("CFMSC-candidate")) >= len(GOOD) else 200
    )
    lasting.kept.close()


def test_a_host_that_is_none_is_not_told_again(lasting: Lasting) -> None:
    answer = lasting("POST", "/fhir", GOOD, Host="evil.example.org/x?", **LATER)
    assert answer.headers["content-location"].startswith("http://localhost/fhir/async/")


def test_a_cancelled_message_is_forgotten_and_its_key_is_free(lasting: Lasting) -> None:
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    assert lasting("DELETE", where).status_code == 202
    assert lasting("GET", where).status_code == lasting("DELETE", where).status_code == 404
    assert lasting.work() == 0
    assert lasting("POST", "/fhir", sample("CFMSC-candidate"), Idempotency_Key="k1").status_code == 200
    assert lasting.audited("cancelled") == ["cancel"]


def test_an_answer_that_was_fetched_can_be_cancelled_too(lasting: Lasting) -> None:
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    lasting.work()
    assert lasting("DELETE", where).status_code == 202
    assert lasting("GET", where).status_code == 404
    assert lasting("POST", "/fhir", GOOD, Idempotency_Key="k1").headers["x-idempotent-replay"] == "true"


def test_answers_are_kept_as_long_as_is_set(lasting: Lasting) -> None:
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    lasting.work()
    lasting.later(13 * 86400)
    lasting.worker._care(float("-inf"))
    assert lasting("GET", where).status_code == 200
    lasting.later(2 * 86400)
    lasting.worker._care(float("-inf"))
    assert lasting("GET", where).status_code == 404


def test_nobody_else_gets_the_answer(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.toml"
    rows = [("one", SECRET, "north"), ("two", OTHER, "south")]
    tokens.write_text(
        "\n".join(
            f'[[client]]\nname = "{name}"\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
            f'scopes = ["ingest"]\ntenant = "{tenant}"'
            for name, token, tenant in rows
        )
    )
    lasting = Lasting(catalog, portal, tmp_path, tokens_file=tokens)
    mine, theirs = ({"Authorization": f"Bearer {token}"} for _, token, _ in rows)
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER, **mine))
    for method in ("GET", "DELETE"):
        assert lasting(method, where, **theirs).status_code == 404
        assert lasting(method, where).status_code == 401
    assert place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER, **theirs)) != where
    assert lasting.work() == 2
    assert given(lasting("GET", where, **mine))["response"]["status"] == "200 OK"
    lasting.kept.close()


def test_jobs_are_done_in_the_order_they_came(lasting: Lasting) -> None:
    order: list[str] = []
    for number in range(5):
        lasting.later(0.001)
        bundle = json.loads(GOOD) | {"identifier": {"system": "urn:e", "value": str(number)}}
        order.append(place(lasting("POST", "/fhir", bundle, **LATER)))
    for where in order:
        assert lasting("GET", where).status_code == 202
        lasting._portal.call(lasting.worker.do_one)
        assert lasting("GET", where).status_code == 200


def test_32_twins_of_both_kinds_are_evaluated_once(lasting: Lasting) -> None:
    """Half would wait for the answer and half would not, at once, while the jobs are done."""
    answers: list[Any] = []

    def ask(headers: dict[str, str]) -> None:
        answers.append(lasting("POST", "/fhir", GOOD, Idempotency_Key="twin", **headers))

    threads = [threading.Thread(target=ask, args=(LATER if number % 2 else {},)) for number in range(32)]
    for each in threads:
        each.start()
    while any(each.is_alive() for each in threads):
        lasting.work()
    for each in threads:
        each.join()
    lasting.work()
    now = [each for each in answers if each.status_code == 200]
    assert (len(now), len(answers)) == (16, 32)
    assert len({each.content for each in now}) == 1
    (where,) = {place(each) for each in answers if each.status_code == 202}
    assert given(lasting("GET", where))["resource"] == now[0].json()
    assert (lasting.count("receipt"), lasting.count("outbox")) == (1, 1)
    assert lasting.audited("done").count("bundle") == 1


def test_where_nothing_may_be_kept_everything_is_answered_at_once(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    lasting = Lasting(catalog, portal, tmp_path, storage="none", sync_bytes=1)
    assert lasting("POST", "/fhir", GOOD, **LATER).status_code == 200
    assert lasting.work() == 0
    lasting.kept.close()
