"""R9: the clock is put an hour on or back: nothing is lost, nothing is answered twice, what is due is delivered."""

import datetime
import io
from collections.abc import Iterator
from pathlib import Path

import anyio.from_thread
import httpx
import pytest
from reliability.engine import message

import adapter
from adapter.catalog.catalog import Catalog
from adapter.service.app import create_app
from adapter.service.settings import read_settings
from adapter.store.ledger import Store, verify_audit
from adapter.store.rows import Outbox

HOUR = datetime.timedelta(hours=1)
SECOND = datetime.timedelta(seconds=1)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.datetime(2026, 11, 25, 12, tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        self.now += SECOND / 100
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return adapter.load_catalog()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    made = Store.open(f"sqlite:///{tmp_path / 'store.db'}", clock)
    yield made
    made.close()


@pytest.mark.parametrize("jumps", [(HOUR, -HOUR), (-HOUR, HOUR), (-HOUR, -HOUR), (HOUR, HOUR)])
def test_a_jump_changes_no_answer_and_loses_no_result(
    store: Store, clock: Clock, catalog: Catalog, jumps: tuple[datetime.timedelta, ...]
) -> None:
    app = create_app(read_settings(), catalog, store, clock, io.StringIO())
    transport = httpx.ASGITransport(app)

    async def ask(path: str, number: str | None = None) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            if number is None:
                return await client.get(path)
            headers = {"Content-Type": "application/fhir+json", "Idempotency-Key": number}
            return await client.post(path, content=message(number), headers=headers)

    answers: dict[str, bytes] = {}
    latest = clock.now
    with anyio.from_thread.start_blocking_portal() as portal:
        for number, jump in enumerate((datetime.timedelta(), *jumps)):
            clock.now += jump
            assert portal.call(ask, "/readyz").status_code == 200
            new = portal.call(ask, "/fhir", f"m{number}")
            assert (new.status_code, new.headers.get("x-idempotent-replay")) == (200, None)
            answers[f"m{number}"] = new.content
            for key, before in answers.items():
                again = portal.call(ask, "/fhir", key)
                assert (again.content, again.headers["x-idempotent-replay"]) == (before, "true")
            latest = max(latest, clock.now)
    assert verify_audit(store) is None
    # A result that the clock of the moment puts into the future waits for that moment, and is not lost.
    clock.now = latest
    outbox = Outbox(store)
    taken = 0
    while (due := outbox.take()) is not None:
        outbox.finish(due.id, "delivered", "written", {}, [])
        taken += 1
    assert taken == len(answers)
