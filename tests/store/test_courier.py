"""What is delivered is written once, in the order of its patient, and what the server refuses is given up and told."""

import datetime
import json
import threading

import pytest
from delivery.delivery_server import FakeServer, Json, outcome
from store.couriers import BOTH, NAME, Clock, courier, drain, run_sql, shown, states
from store.kept import delivery, guidance, outcomes, put_in

from adapter.store.ledger import Store
from adapter.store.rows import Outbox

DATABASES = BOTH


def test_a_delivery_is_one_transaction_and_refers_by_id(store: Store, fhir: FakeServer) -> None:
    put_in(store, delivery("candidate"))
    drain(courier(store, fhir))
    assert [method for method, *_ in fhir.requests].count("POST") == 1
    assert fhir.held[NAME]["status"] == "candidate"
    assert fhir.held[NAME]["extension"][0]["valueReference"]["reference"] == f"GuidanceResponse/{guidance(1)}"
    assert set(fhir.versions.values()) == {1}
    assert len(fhir.held) == 3
    assert states(store) == {"delivered": 1}
    assert b"Patient/1" not in json.dumps(str(Outbox(store).show(1))).encode()


def test_without_transactions_it_is_written_one_by_one_what_is_referred_to_first(
    store: Store, fhir: FakeServer
) -> None:
    fhir.transactions = False
    put_in(store, delivery("candidate"), delivery("eligible", 2))
    drain(courier(store, fhir))
    assert fhir.held[NAME]["status"] == "eligible"
    assert fhir.versions[NAME] == 2
    assert states(store) == {"delivered": 2}
    written = [path.partition("/")[0] for method, path, *_ in fhir.requests if method == "PUT"]
    assert written == ["GuidanceResponse", "ResearchSubject", "Provenance"] * 2


@pytest.mark.parametrize("status", [405, 413, 501])
def test_a_server_that_refuses_a_transaction_gets_single_writes(store: Store, fhir: FakeServer, status: int) -> None:
    def refuse(method: str, path: str, *_: object) -> tuple[int, dict[str, str], Json] | None:
        return (status, {}, outcome("no", code="not-supported")) if (method, path) == ("POST", "") else None

    fhir.before = refuse
    put_in(store, delivery("candidate"))
    drain(courier(store, fhir))
    assert states(store) == {"delivered": 1}
    assert len(fhir.held) == 3


def test_a_large_delivery_goes_in_pieces_and_no_trial_is_torn_apart(store: Store, fhir: FakeServer) -> None:
    made = [delivery("candidate", number) for number in range(1, 61)]
    resources = []
    for number, each in enumerate(made):
        for type_, id_, body in each.resources:
            other = f"{number:02}{id_[2:]}"
            resources.append((type_, other, body.replace(id_.encode(), other.encode())))
    put_in(store, type(made[0])("lane", tuple(resources), made[0].as_of, None))
    drain(courier(store, fhir))
    sizes = [len(body["entry"]) for method, path, body, _ in fhir.requests if method == "POST" and body is not None]
    assert sizes == [90, 90]
    assert len(fhir.held) == 180


def test_a_crash_while_sending_is_made_good_by_the_next_start(url: str, fhir: FakeServer, clock: Clock) -> None:
    first = Store.open(url, clock)
    put_in(first, delivery("candidate"))
    assert Outbox(first).take() is not None
    first.close()  # as if killed: the row stays "sending"
    second = Store.open(url, clock)
    assert Outbox(second).take() is None
    Outbox(second).recover()
    drain(courier(second, fhir))
    assert states(second) == {"delivered": 1}
    second.close()


def test_one_that_could_not_be_put_back_is_found_again_and_one_in_hand_is_left(store: Store) -> None:
    put_in(store, delivery("candidate", lane="one"), delivery("candidate", lane="two"))
    rows = Outbox(store)
    first, second = rows.take(), rows.take()
    assert first is not None
    assert second is not None
    rows.release(first)
    rows.recover()
    assert [shown(store, each.id).state for each in (first, second)] == ["pending", "sending"]


def test_a_lane_keeps_its_order_and_does_not_hold_up_others(timed: Store, clock: Clock, fhir: FakeServer) -> None:
    def busy(method: str, *_: object) -> tuple[int, dict[str, str], Json] | None:
        return (503, {"Retry-After": "60"}, outcome("busy", code="transient")) if method == "POST" else None

    fhir.before = busy
    put_in(timed, delivery("candidate", 1), delivery("eligible", 2))
    one = courier(timed, fhir)
    drain(one)
    assert shown(timed).last_error == "http-503: transient"
    assert shown(timed).next_at >= clock.now + datetime.timedelta(seconds=60)
    fhir.before = lambda *_: None
    other = delivery("eligible", 3, lane="other")
    put_in(timed, type(other)("other", other.resources[1:], other.as_of, None))
    drain(one)
    assert states(timed) == {"pending": 2, "delivered": 1}
    clock.later()
    drain(one)
    assert fhir.held[NAME]["status"] == "eligible"
    assert fhir.versions[NAME] == 2


def test_a_poison_row_is_dead_after_one_try_and_its_lane_goes_on(store: Store, fhir: FakeServer) -> None:
    def refuse(method: str, _: str, body: Json | None, *__: object) -> tuple[int, dict[str, str], Json] | None:
        if method == "POST" and body is not None and guidance(1) in json.dumps(body, default=str):
            return 422, {}, outcome("secret value 7.2", code="value", expression="ResearchSubject.status")
        return None

    fhir.before = refuse
    put_in(store, delivery("candidate"), delivery("eligible", 2))
    drain(courier(store, fhir))
    assert states(store) == {"dead": 1, "delivered": 1}
    assert (shown(store).attempts, shown(store).last_error) == (1, "http-422: value at ResearchSubject.status")
    assert outcomes(store, "deliver") == ["dead", "written"]
    assert store.tally.counts()["dead"] == 1


def test_a_replayed_row_waits_for_what_is_being_sent_of_its_lane(store: Store, fhir: FakeServer) -> None:
    put_in(store, delivery("candidate"), delivery("eligible", 2), delivery("ineligible", 3))
    run_sql(store, "update outbox set state = 'dead' where id = 1")
    rows = Outbox(store)
    sending = rows.take()
    assert sending is not None
    assert sending.id == 2
    run_sql(store, "update outbox set state = 'pending' where id = 1")
    assert rows.take() is None
    run_sql(store, "update outbox set state = 'delivered' where id = 2")
    again = rows.take()
    assert again is not None
    assert again.id == 1
    assert fhir.requests == []


def test_the_courier_runs_and_stops(store: Store, fhir: FakeServer) -> None:
    stop = threading.Event()
    put_in(store, *[delivery("candidate", number, lane=f"lane {number}") for number in range(1, 9)])
    thread = threading.Thread(target=courier(store, fhir).run, args=(stop,))
    thread.start()
    for _ in range(200):
        if states(store) == {"delivered": 8}:
            break
        stop.wait(0.05)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert states(store) == {"delivered": 8}
