"""Jobs and what was set aside, on both databases and with several processes: each once, in order, and never lost."""

import datetime
import os
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import insert
from store.couriers import BOTH, Clock
from store.kept import received, reply, row

from adapter.store.later import Job, Jobs, Subscriptions
from adapter.store.ledger import KeyReused, Replayed, Store, held_for, verify_audit
from adapter.store.quarantine import Bounds, Quarantine, Refused
from adapter.store.sealing import Sealer
from adapter.store.tables import outbox

DATABASES = BOTH


@pytest.fixture
def jobs(timed: Store) -> Jobs:
    return Jobs(timed, Sealer())


@pytest.fixture
def other(url: str, clock: Clock, timed: Store) -> Iterator[Store]:
    assert timed
    opened = Store.open(url, clock)
    yield opened
    opened.close()


def job(key: str, content: str = "") -> Job:
    mine = received(key, content)
    return Job(mine.client, mine.key, mine.digest, b'{"asked":1}', f"body of {key}".encode())


def added(jobs: Jobs, key: str, content: str = "") -> str:
    id_ = jobs.add(job(key, content), row(key))
    assert isinstance(id_, str)
    return id_


def test_a_job_is_given_once_and_as_it_was(jobs: Jobs, other: Store) -> None:
    id_ = added(jobs, "k")
    took = jobs.take()
    assert took is not None
    assert (took.id, took.body, took.asked, took.key) == (id_, b"body of k", b'{"asked":1}', "k")
    assert Jobs(other, Sealer()).take() is None
    jobs.finish(id_, 422, b"{}")
    assert jobs.take() is None
    standing = jobs.find(id_)
    assert standing is not None
    assert (standing.state, standing.status, standing.reply) == ("done", 422, b"{}")


def test_jobs_are_given_in_order(jobs: Jobs, clock: Clock) -> None:
    ids = []
    for key in "abc":
        ids.append(added(jobs, key))
        clock.later(0.001)
    assert [took.id for took in iter(jobs.take, None)] == ids


def test_twins_have_one_job_also_from_two_processes_at_once(jobs: Jobs, other: Store) -> None:
    queues = [jobs, Jobs(other, Sealer())]
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda number=number: ids.append(added(queues[number % 2], "k")))  # type: ignore[misc]
        for number in range(32)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(ids), len(set(ids))) == (32, 1)


def test_a_key_is_for_one_message(jobs: Jobs, timed: Store) -> None:
    added(jobs, "k", "one")
    assert jobs.add(job("k", "two"), row("k")) == KeyReused()
    assert timed.claim(received("k", "two"), 1) == KeyReused()
    done = received("answered", "one")
    assert timed.claim(done, 1) is None
    timed.commit(done, reply("answered"), row("k"), [])
    assert jobs.add(job("answered", "two"), row("k")) == KeyReused()


def test_the_job_alone_takes_the_key_that_is_held_for_it(jobs: Jobs, timed: Store, other: Store) -> None:
    id_ = added(jobs, "k")
    mine = received("k")
    twins: list[object] = []
    waiting = threading.Thread(target=lambda: twins.append(other.claim(mine, 20)))
    waiting.start()
    waiting.join(0.3)
    assert waiting.is_alive()
    as_job = type(mine)(mine.client, mine.key, mine.digest, mine.received, id_)
    assert timed.claim(as_job, 1) is None
    timed.commit(as_job, reply("k"), row("k"), [])
    waiting.join(20)
    assert twins == [Replayed(reply("k"))]
    assert timed.reply(mine.client, "k") == reply("k")


def test_a_job_whose_process_died_is_due_again_and_one_that_lives_is_not(
    jobs: Jobs, other: Store, clock: Clock
) -> None:
    added(jobs, "k")
    second = Jobs(other, Sealer())
    assert jobs.take() is not None
    second.recover()
    assert second.take() is None, "its process lives"
    clock.later(3600)
    second.recover()
    took = second.take()
    assert took is not None
    assert took.attempts == 1


def test_who_lost_its_job_ends_nothing(jobs: Jobs, other: Store, clock: Clock) -> None:
    id_ = added(jobs, "k")
    second = Jobs(other, Sealer())
    slow = jobs.take()
    assert slow is not None
    clock.later(3600)
    second.recover()
    assert second.take() is not None
    jobs.finish(id_, 500, b"{}")
    jobs.postpone(slow, clock())
    standing = jobs.find(id_)
    assert standing is not None
    assert standing.state == "working"


def test_a_job_that_is_put_back_keeps_its_key(jobs: Jobs, timed: Store, clock: Clock) -> None:
    added(jobs, "k")
    took = jobs.take()
    assert took is not None
    mine = type(received("k"))("engine", "k", took.digest, clock(), took.id)
    assert timed.claim(mine, 1) is None
    timed.release(mine)
    jobs.postpone(took, clock() + datetime.timedelta(seconds=60))
    assert jobs.take() is None
    assert timed.claim(received("k", "two"), 1) == KeyReused()
    clock.later(61)
    again = jobs.take()
    assert again is not None
    assert again.attempts == 1


def test_the_end_of_a_job_frees_a_key_that_was_never_used(jobs: Jobs, timed: Store) -> None:
    for name, end in (("a", lambda id_: jobs.cancel(id_, row("x"))), ("b", lambda id_: jobs.finish(id_, 500, b"{}"))):
        id_ = added(jobs, name)
        assert jobs.take() is not None
        end(id_)
        assert timed.claim(received(name, "another"), 1) is None
    assert verify_audit(timed) is None


def test_a_held_key_belongs_to_no_process(timed: Store) -> None:
    assert not timed.is_dead(held_for("0" * 32))


def test_done_jobs_are_forgotten_after_a_while(jobs: Jobs, clock: Clock) -> None:
    done, waits = added(jobs, "a"), added(jobs, "b")
    assert jobs.take() is not None
    jobs.finish(done, 422, b"{}")
    clock.later(60)
    assert jobs.sweep(clock() - datetime.timedelta(seconds=61)) == 0
    assert jobs.sweep(clock() - datetime.timedelta(seconds=59)) == 1
    assert jobs.find(done) is None
    assert jobs.find(waits) is not None


def test_gaps_are_found_for_each_subscription_and_client(timed: Store) -> None:
    events = Subscriptions(timed)
    told = [
        events.told("c", "s", first, last, row("k")) for first, last in ((5, 5), (6, 8), (12, 12), (9, 9), (13, 13))
    ]
    assert told == [0, 0, 3, 0, 0]
    assert events.told("c", "other", 40, 40, row("k")) == events.told("d", "s", 40, 40, row("k")) == 0
    events.begun("c", "s", 0)
    assert events.told("c", "s", 2, 2, row("k")) == 1
    assert verify_audit(timed) is None


def test_what_waits_is_counted_no_further_than_asked(timed: Store, jobs: Jobs) -> None:
    values = {"attempts": 0, "next_at": 0, "as_of": 0, "created": 0, "names": b"[]"}
    states = ["pending"] * 5 + ["sending"] * 2 + ["delivered", "dead", "dropped"] * 4
    with timed.engine.begin() as connection:
        connection.execute(insert(outbox), [{**values, "lane": str(n), "state": each} for n, each in enumerate(states)])
    for key in "abc":
        added(jobs, key)
    done = jobs.take()
    assert done is not None
    jobs.finish(done.id, 422, b"{}")
    found = [timed.waiting(*asked) for asked in ((100, 100), (3, 1))]
    assert [(each.deliveries, each.messages) for each in found] == [(7, 2), (4, 2)]


def refused(digest: str, body: bytes = b"body", client: str = "c") -> Refused:
    return Refused(client, digest, "bundle", "r", 422, (("no-patient", "Bundle.entry", None),), body)


def test_what_is_set_aside_is_kept_once_and_sealed(timed: Store) -> None:
    key = os.urandom(32)
    rows = Quarantine(timed, Sealer((key,)), Bounds())
    first = rows.add(refused("a", b"Quintessa Canarybird"), row("k"))
    assert first is not None
    assert rows.add(refused("a", b"Quintessa Canarybird"), row("k")) == first
    assert rows.add(refused("a", client="other"), row("k")) not in (None, first)
    found = rows.find(first)
    assert found is not None
    assert (found.status, found.issues, found.size) == (422, (("no-patient", "Bundle.entry", None),), 20)
    assert rows.content(first) == b"Quintessa Canarybird"
    with pytest.raises(Exception, match="storage_key_file"):
        Quarantine(timed, Sealer(), Bounds()).content(first)
    assert [each.id for each in rows.listed(1)] == [first]
    assert rows.remove(first, row("k"))
    assert not rows.remove(first, row("k"))
    assert (rows.find(first), rows.content(first), rows.count()) == (None, None, 1)
    assert verify_audit(timed) is None


def test_what_is_set_aside_is_bounded(timed: Store, clock: Clock) -> None:
    rows = Quarantine(timed, Sealer(), Bounds(days=7, count=2, size=1000))
    assert rows.add(refused("big", os.urandom(2000)), row("k")) is None
    ids = [rows.add(refused(each), row("k")) for each in "abc"]
    assert [each is None for each in ids] == [False, False, True]
    clock.later(7 * 86400 + 1)
    assert rows.add(refused("c"), row("k")) is not None
    assert rows.count() == 1
    clock.later(7 * 86400 + 1)
    assert rows.sweep() == 1


def test_a_sealer_opens_only_what_was_sealed_under_that_name() -> None:
    old, new = os.urandom(32), os.urandom(32)
    sealed = Sealer((old,)).seal("a", b"text")
    assert Sealer((new, old)).open("a", sealed) == b"text"
    assert b"text" not in sealed
    assert Sealer((new,)).open("a", Sealer().seal("a", b"plain")) == b"plain"
    for sealer, name in ((Sealer((new,)), "a"), (Sealer((old,)), "b"), (Sealer(), "a")):
        with pytest.raises(Exception, match="storage_key_file"):
            sealer.open(name, sealed)
