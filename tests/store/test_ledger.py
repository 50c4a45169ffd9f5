"""Each message is evaluated once, answered the same for ever, and recorded in a chain that cannot be changed unseen."""

import datetime
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from store.kept import delivery, now, received, reply, row

from adapter.errors import AdapterError, Category
from adapter.store.ledger import KeyReused, Replayed, Reply, Store, verify_audit
from adapter.store.tables import metadata, outbox, receipt


def count(store: Store, table: str) -> int:
    with store.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(metadata.tables[table])).scalar_one())


def test_a_replay_gets_the_identical_reply(store: Store) -> None:
    first = received("k")
    assert store.claim(first, 1) is None
    store.commit(first, reply("k"), row("k"), [delivery("candidate")])
    assert store.claim(received("k"), 1) == Replayed(reply("k"))
    assert count(store, "outbox") == count(store, "audit") == 1


def test_a_key_used_for_something_else_is_told(store: Store) -> None:
    first = received("k")
    store.claim(first, 1)
    assert store.claim(received("k", "other"), 1) == KeyReused()
    store.commit(first, reply("k"), row("k"), [])
    assert store.claim(received("k", "other"), 1) == KeyReused()


def test_the_same_key_of_two_clients_is_two_messages(store: Store) -> None:
    first = received("k")
    assert store.claim(first, 1) is None
    assert store.claim(type(first)("other", "k", "0" * 64, now()), 1) is None


def test_thirty_two_twins_are_evaluated_once(store: Store) -> None:
    answers: list[Reply] = []
    evaluated = []

    def twin(number: int) -> None:
        mine = received("k")
        claimed = store.claim(mine, 10)
        if claimed is None:
            evaluated.append(number)
            store.commit(mine, reply("k"), row("k"), [delivery("candidate")])
        else:
            assert isinstance(claimed, Replayed)
            answers.append(claimed.reply)

    threads = [threading.Thread(target=twin, args=(number,)) for number in range(32)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(evaluated) == 1
    assert answers == [reply("k")] * 31
    assert count(store, "outbox") == 1


def test_twins_at_two_processes_are_evaluated_once(store: Store, url: str) -> None:
    other = Store.open(url, now)
    first = received("k")
    assert store.claim(first, 1) is None
    threading.Timer(0.3, lambda: store.commit(first, reply("k"), row("k"), [])).start()
    assert other.claim(received("k"), 5) == Replayed(reply("k"))
    other.close()


def test_a_twin_that_waits_in_vain_is_told_to_come_back(store: Store, url: str) -> None:
    other = Store.open(url, now)
    store.claim(received("k"), 1)
    for each in (store, other):
        with pytest.raises(AdapterError) as told:
            each.claim(received("k"), 0.2)
        assert told.value.category is Category.BUSY
    other.close()


def test_after_a_failed_evaluation_the_next_twin_may_try(store: Store) -> None:
    first = received("k")
    store.claim(first, 1)
    store.release(first)
    assert store.claim(received("k"), 1) is None


def test_the_claim_of_a_process_that_hangs_ends_and_its_late_commit_is_refused(url: str) -> None:
    clock = [now()]
    slow, quick = Store.open(url, lambda: clock[0]), Store.open(url, lambda: clock[0])
    first = received("k")
    slow.claim(first, 1)
    clock[0] += datetime.timedelta(minutes=1)
    assert quick.claim(received("k"), 1) is None
    with pytest.raises(AdapterError, match="claim-lost"):
        slow.commit(first, reply("slow"), row("slow"), [delivery("candidate")])
    quick.commit(first, reply("quick"), row("quick"), [])
    assert slow.claim(received("k"), 1) == Replayed(reply("quick"))
    assert count(quick, "outbox") == 0
    slow.close()
    quick.close()


def test_a_commit_that_fails_does_not_fail_its_neighbours(store: Store) -> None:
    good, bad = received("good"), received("bad")
    store.claim(good, 1)
    gate = threading.Event()
    told: list[BaseException] = []

    def run(what: str) -> None:
        try:
            receipt = good if what == "good" else bad  # which was never claimed
            store.commit(receipt, reply(what), row(what), [delivery("candidate")])
        except AdapterError as error:
            told.append(error)

    # Both wait while the writer is held, so that they are committed as one.
    holder = threading.Thread(target=lambda: store.writer.run(lambda _: gate.wait(5)))
    threads = [threading.Thread(target=run, args=(what,)) for what in ("good", "bad")]
    holder.start()
    for each in threads:
        each.start()
    gate.set()
    for each in (holder, *threads):
        each.join()
    assert len(told) == 1
    assert store.claim(received("good"), 1) == Replayed(reply("good"))
    assert (count(store, "outbox"), count(store, "audit"), verify_audit(store)) == (1, 1, None)


def test_all_or_nothing_is_written(store: Store) -> None:
    mine = received("k")
    store.claim(mine, 1)
    with pytest.raises(AdapterError):
        store.commit(mine, Reply(None, "x", b""), row("k"), [delivery("candidate", lane=None)])  # type: ignore[arg-type]
    assert (count(store, "receipt"), count(store, "outbox"), count(store, "audit")) == (0, 0, 0)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("update audit set outcome = 'other' where seq = 2", 2),
        ("update audit set detail = '{}' where seq = 3", 3),
        ("delete from audit where seq = 1", 1),
        ("delete from audit where seq = 3", 3),
        ("delete from audit where seq = 5", 5),
        ("update audit set seq = 9 where seq = 5", 5),
        ("delete from audit_head", 6),
        (
            "insert into audit select 6, at, client, action, outcome, '', detail, digest, '' from audit limit 1",
            6,
        ),
    ],
)
def test_the_chain_shows_every_change(store: Store, change: str, place: int) -> None:
    for number in range(5):
        store.record(row(str(number)))
    assert verify_audit(store) is None
    with store.engine.begin() as connection:
        connection.execute(text(change))
    assert verify_audit(store) == place


def test_nobody_else_reads_the_file_and_a_commit_reaches_the_disk(store: Store, tmp_path: Path) -> None:
    store.record(row("k"))
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.glob("adapter.db*")}
    assert len(modes) >= 2
    assert set(modes.values()) == {0o600}
    with store.engine.connect() as connection:
        asked = [connection.exec_driver_sql(f"PRAGMA {each}").scalar() for each in ("journal_mode", "synchronous")]
    assert asked == ["wal", 2]


def test_a_closed_store_says_so(url: str) -> None:
    store = Store.open(url, now)
    assert store.healthy()
    store.close()
    assert not store.healthy()


@pytest.mark.parametrize("url", ["nonsense", "mysql://x/y", "sqlite://", "sqlite:////no/such/folder/x.db"])
def test_an_address_that_cannot_be_used_is_told(url: str) -> None:
    with pytest.raises(AdapterError) as told:
        Store.open(url, now)
    assert told.value.category is Category.NOT_FOUND


def test_the_migrations_make_what_the_tables_say(store: Store) -> None:
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 (only here)
    from alembic.migration import MigrationContext  # noqa: PLC0415 (only here)
    from alembic.script import ScriptDirectory  # noqa: PLC0415 (only here)

    from adapter.store import database  # noqa: PLC0415 (only here)

    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    versions = Path(database.__file__).parent / "migrations"
    assert ScriptDirectory(str(versions)).get_current_head() == database.HEAD
    assert {outbox.name, receipt.name} < set(metadata.tables)
