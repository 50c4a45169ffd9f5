"""What is kept is small, goes when it is old, gives its room back, and an older database's backlog is delivered."""

import datetime
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from alembic import command
from alembic.config import Config
from delivery.delivery_server import FakeServer
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text, update
from store.couriers import (
    BOTH,
    CANDIDATE,
    INELIGIBLE,
    POTENTIAL,
    Clock,
    courier,
    drain,
    result,
    run_sql,
    states,
    subject_of,
)
from store.kept import delivery, now, put_in, received, reply, row

import adapter.store.migrations
from adapter.store.database import HEAD, checkpoint, open_engine
from adapter.store.ledger import Replayed, Reply, Store
from adapter.store.packed import packed, unpacked
from adapter.store.sweeping import Kept, Sweeper
from adapter.store.tables import metadata, outbox, receipt, stored

DATABASES = BOTH
MIB = 1024 * 1024


def count(store: Store, table: str) -> int:
    with store.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one())


@given(st.binary() | st.binary().map(lambda tail: b"\x00z" + tail) | st.binary(max_size=8).map(lambda some: some * 99))
def test_what_is_packed_comes_back(data: bytes) -> None:
    assert unpacked(packed(data)) == data


def test_what_was_kept_before_packing_is_read_as_it_is() -> None:
    assert unpacked(b'[["ResearchSubject"]]') == b'[["ResearchSubject"]]'


def test_the_results_of_five_trials_take_less_than_40_kb_of_the_database(store: Store, tmp_path: Path) -> None:
    trials = ("BMMSC", "CFMSC", "NCT01157403", "NCT02302599", "NCT06751199")
    made = [result(CANDIDATE, number, trials=trials) for number in range(1, 41)]
    answer = b"".join(body for _, _, body in made[0].resources)
    for number, each in enumerate(made):
        mine = received(str(number))
        assert store.claim(mine, 1) is None
        store.commit(mine, Reply(200, "application/fhir+json", answer, ()), row("k"), [each])
    if store.engine.dialect.name == "sqlite":
        checkpoint(store.engine)
        assert (tmp_path / "adapter.db").stat().st_size / len(made) < 40_000
    assert store.claim(received("7"), 1) == Replayed(Reply(200, "application/fhir+json", answer, ()))
    with store.engine.connect() as connection:
        kept = connection.execute(select(func.sum(func.length(outbox.c.resources)))).scalar_one()
        bodies = connection.execute(select(func.sum(func.length(receipt.c.body)))).scalar_one()
    assert (kept + bodies) / len(made) < 30_000 < len(answer)


def filled(store: Store, clock: Clock, fhir: FakeServer) -> None:
    """Keep a delivered, a dead, a dropped and a waiting delivery, each with its message."""
    put_in(store, *[delivery("candidate", number, lane=f"lane {number}") for number in range(1, 5)])
    run_sql(store, "update outbox set state = 'dead' where id = 2")
    run_sql(store, "update outbox set state = 'dropped', resources = null where id = 3")
    run_sql(store, "update outbox set next_at = 99999999999999999 where id = 4")
    drain(courier(store, fhir))
    assert states(store) == {"delivered": 1, "dead": 1, "dropped": 1, "pending": 1}
    assert clock.now == store.now()


@pytest.mark.parametrize(("days", "receipts", "rows"), [(13, 4, 4), (15, 0, 4), (29, 0, 4), (31, 0, 2), (4000, 0, 2)])
def test_receipts_go_after_14_days_and_what_ended_after_30(
    timed: Store, clock: Clock, fhir: FakeServer, days: int, receipts: int, rows: int
) -> None:
    filled(timed, clock, fhir)
    at = stored(clock.now)
    timed.writer.run(lambda step: step.execute(update(receipt).values(received=at, lease_until=at), {}))
    clock.later(days * 86400)
    Sweeper(timed).sweep()
    assert (count(timed, "receipt"), count(timed, "outbox")) == (receipts, rows)
    assert count(timed, "audit") == 5
    assert count(timed, "subject") == 1


def test_many_go_few_at_a_time_while_others_write(store: Store) -> None:
    moment = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    with store.engine.begin() as connection:
        old = {"client": "c", "digest": "0", "received": 1, "lease_until": 1, "status": 200, "body": b"x" * 2000}
        connection.execute(receipt.insert(), [{**old, "key": str(number), "headers": b"[]"} for number in range(3000)])
    assert store.now() > moment
    sweeper = threading.Thread(target=Sweeper(store).sweep)
    sweeper.start()
    for number in range(20):
        mine = received(f"new {number}")
        assert store.claim(mine, 5) is None
        store.commit(mine, reply("k"), row("k"), [])
    sweeper.join(60)
    assert count(store, "receipt") == 20


def test_sqlite_gives_the_room_back_and_its_log_stays_small(tmp_path: Path) -> None:
    file = tmp_path / "adapter.db"
    store = Store.open(f"sqlite:///{file}", now)
    for start in range(0, 6000, 200):
        rows = [
            {"client": "c", "key": str(start + number), "digest": "0", "received": 1, "lease_until": 1}
            | {"status": 200, "body": bytes(5000), "headers": b"[]"}
            for number in range(200)
        ]
        store.writer.run(lambda step, rows=rows: step.connection.execute(receipt.insert(), rows))
    full = file.stat().st_size
    assert full > 25 * MIB
    Sweeper(store, Kept()).sweep()
    assert file.stat().st_size < full / 10
    log = file.with_name("adapter.db-wal")
    assert log.stat().st_size < 64 * MIB
    store.close()


def test_the_log_is_cut_off_even_where_a_reader_held_it_up(tmp_path: Path) -> None:
    file = tmp_path / "adapter.db"
    store = Store.open(f"sqlite:///{file}", now)
    with store.engine.connect().execution_options(reads=True) as reader:
        reader.execute(select(receipt)).all()
        for number in range(30):
            row_ = {
                "client": "c",
                "key": str(number),
                "digest": "0",
                "received": 1,
                "lease_until": 1,
                "body": b"x" * MIB,
            }
            store.writer.run(lambda step, row_=row_: step.connection.execute(receipt.insert(), row_))
        Sweeper(store, Kept()).sweep()
        log = file.with_name("adapter.db-wal")
        assert log.stat().st_size > 20 * MIB
    Sweeper(store, Kept()).sweep()
    assert log.stat().st_size < MIB
    store.close()


def upgraded(url: str, revision: str) -> None:
    """Make a database as an older version of the adapter made it."""
    engine = open_engine_raw(url)
    config = Config()
    config.set_main_option("script_location", str(Path(adapter.store.migrations.__file__).parent))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def open_engine_raw(url: str) -> Any:  # noqa: ANN401 (an engine)
    from sqlalchemy import create_engine  # noqa: PLC0415 (only here is a database opened past the store)

    return create_engine(url)


def test_a_backlog_of_the_first_schema_is_delivered_after_the_upgrade(url: str, fhir: FakeServer) -> None:
    upgraded(url, "0001")
    engine = open_engine_raw(url)
    keep = text(
        "INSERT INTO outbox (lane, state, attempts, next_at, as_of, created, names, resources)"
        " VALUES (:lane, 'pending', 0, 1, :as_of, 1, :names, :resources)"
    )
    with engine.begin() as connection:
        for sample, patient in ((CANDIDATE, "p1"), (INELIGIBLE, "p2"), (POTENTIAL, "p3")):
            made = result(sample, patient=patient)
            resources = [(type_, id_, msgspec.Raw(body)) for type_, id_, body in made.resources]
            values = {"lane": patient, "as_of": 1, "names": msgspec.json.encode([each[:2] for each in resources])}
            connection.execute(keep, values | {"resources": msgspec.json.encode(resources)})
        kept = text("INSERT INTO receipt VALUES ('engine', 'k', :digest, 1, NULL, 1, 200, 'text', :body, :headers)")
        connection.execute(kept, {"digest": received("k").digest, "body": b'{"x": 1}', "headers": b"[]"})
    engine.dispose()
    store = Store.open(url, now)
    drain(courier(store, fhir))
    assert states(store) == {"delivered": 3}
    assert [fhir.held[subject_of(result(patient=each))]["status"] for each in ("p1", "p2")] == [
        "candidate",
        "ineligible",
    ]
    assert store.claim(received("k"), 1) == Replayed(Reply(200, "text", b'{"x": 1}', ()))
    store.close()


def test_an_upgrade_from_each_schema_gives_the_tables_that_are_worked_with(url: str) -> None:
    upgraded(url, HEAD)
    engine = open_engine(url)
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            connection.execute(select(table).limit(1)).all()
    engine.dispose()
