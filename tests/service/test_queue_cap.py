"""When more waits than may, the next message is told to come again before anything is done with it."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import anyio.from_thread
import pytest
from service.conftest import sample
from service.lasting import OTHER, SECRET, Lasting
from sqlalchemy import insert, update

from adapter.catalog.catalog import Catalog
from adapter.errors import AdapterError, Category
from adapter.service.observing import Metrics
from adapter.service.outcomes import Refusal
from adapter.service.room import Caps, Room
from adapter.store.room import Waiting
from adapter.store.tables import outbox

GOOD = sample("shape-transaction")
LATER = {"Prefer": "respond-async"}


@pytest.fixture
def lasting(catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> Iterator[Lasting]:
    made = Lasting(catalog, portal, tmp_path, max_later=3, target="https://fhir.example.org/r4")
    yield made
    made.kept.close()


def fill(service: Lasting, count: int) -> None:
    row = {
        "state": "pending",
        "attempts": 0,
        "next_at": 0,
        "as_of": 0,
        "created": 0,
        "names": b"[]",
        "resources": b"[]",
    }
    with service.kept.engine.begin() as connection:
        connection.execute(insert(outbox), [{**row, "lane": str(number)} for number in range(count)])
    service.service.room._counted_at = float("-inf")


def test_with_10001_results_waiting_nothing_more_is_taken(lasting: Lasting) -> None:
    fill(lasting, 10_000)
    assert lasting("POST", "/fhir", GOOD, Idempotency_Key="last").status_code == 200
    receipts = lasting.count("receipt")
    for path, headers in (("/fhir", {}), ("/fhir", LATER), ("/fhir/$process-message", {}), ("/fhir/hook/x", {})):
        answer = lasting("POST", path, GOOD, **headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
        assert answer.json()["issue"][0]["details"]["coding"][0]["code"] == "queue-full"
        assert answer.json()["issue"][0]["code"] == "transient"
    assert lasting("GET", "/readyz").status_code == 503
    assert (lasting.count("receipt"), lasting.count("outbox")) == (receipts, 10_001)
    assert lasting("GET", "/fhir/ResearchStudy/cfmsc").status_code == 200, "what needs no room goes on"
    assert lasting("POST", "/fhir/ResearchStudy/$match", GOOD).status_code == 200
    assert 'trial_adapter_waiting{what="deliveries"} 10000.0' in lasting("GET", "/metrics").text
    with lasting.kept.engine.begin() as connection:
        connection.execute(update(outbox).where(outbox.c.id <= 500).values(state="delivered"))
    lasting.service.room._counted_at = float("-inf")
    assert lasting("GET", "/readyz").status_code == 200, "it heals by itself"
    assert lasting("POST", "/fhir", GOOD, Idempotency_Key="next").status_code == 200


def test_without_a_server_to_deliver_to_nothing_is_waited_for(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    service = Lasting(catalog, portal, tmp_path)
    fill(service, 10_001)
    assert service("POST", "/fhir", GOOD).status_code == 200
    assert service("GET", "/readyz").status_code == 200
    service.kept.close()


def test_with_too_many_messages_waiting_nothing_more_is_taken(lasting: Lasting) -> None:
    statuses = [
        lasting("POST", "/fhir", json.loads(GOOD) | {"id": str(number)}, **LATER).status_code for number in range(6)
    ]
    assert statuses == [202] * 4 + [503] * 2
    assert lasting.work() == 4
    lasting.service.room._counted_at = float("-inf")
    assert lasting("POST", "/fhir", GOOD, **LATER).status_code == 202


@pytest.fixture
def times() -> list[float]:
    return [0.0]


def room(counts: list[Waiting | AdapterError], times: list[float], asked: list[tuple[int, int]]) -> Room:
    def count(deliveries: int, messages: int) -> Waiting:
        asked.append((deliveries, messages))
        found = counts[min(len(asked), len(counts)) - 1]
        if isinstance(found, AdapterError):
            raise found
        return found

    return Room(count, Caps(10, 5), Metrics(), lambda: times[0])


def is_open(made: Room, portal: anyio.from_thread.BlockingPortal) -> bool:
    try:
        portal.call(made.check)
    except Refusal:
        return False
    return True


def test_what_waits_is_counted_once_a_second(portal: anyio.from_thread.BlockingPortal, times: list[float]) -> None:
    asked: list[tuple[int, int]] = []
    made = room([Waiting(10, 5), Waiting(11, 0), Waiting(0, 6), Waiting(0, 0)], times, asked)
    assert [is_open(made, portal) for _ in range(100)] == [True] * 100
    assert asked == [(10, 5)]
    for expected in (False, False, True):
        times[0] += 1
        assert [is_open(made, portal) for _ in range(10)] == [expected] * 10
    assert len(asked) == 4


def test_a_flood_between_two_counts_does_not_outrun_them(
    portal: anyio.from_thread.BlockingPortal, times: list[float]
) -> None:
    made = room([Waiting(9, 0)], times, [])
    assert is_open(made, portal)
    made.took(deliveries=2)
    assert not is_open(made, portal)


def test_a_database_that_is_away_is_told_elsewhere(
    portal: anyio.from_thread.BlockingPortal, times: list[float]
) -> None:
    away = AdapterError.of(Category.UNAVAILABLE, "store-unavailable", "away")
    made = room([Waiting(11, 0), away], times, [])
    assert not is_open(made, portal)
    times[0] += 1
    assert not is_open(made, portal), "what was counted last still holds"


def test_one_clients_flood_is_its_own(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(
        "\n".join(
            f'[[client]]\nname = "{name}"\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\nscopes = ["ingest"]'
            for name, token in (("loud", SECRET), ("quiet", OTHER))
        )
    )
    service = Lasting(catalog, portal, tmp_path, tokens_file=tokens, client_rate="5/hour")
    loud = [service("POST", "/fhir", GOOD, Authorization=f"Bearer {SECRET}") for _ in range(20)]
    assert [each.status_code for each in loud] == [200] * 5 + [429] * 15
    assert all(int(each.headers["retry-after"]) > 0 for each in loud[5:])
    assert service("POST", "/fhir", GOOD, Authorization=f"Bearer {OTHER}").status_code == 200
    service.kept.close()
