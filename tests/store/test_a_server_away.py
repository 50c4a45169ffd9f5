"""While the server is away nothing is lost and it is left in peace; once it is back all is delivered, in order."""

import datetime

from delivery.delivery_server import FakeServer
from store.couriers import BOTH, Clock, courier, drain, shown, states
from store.kept import SUBJECT, delivery, put_in

from adapter.store.ledger import Store
from adapter.store.rows import Outbox

DATABASES = BOTH
LANES = 12
EACH = 3


def fill(store: Store) -> None:
    for lane in range(LANES):
        for number in range(1, EACH + 1):
            made = delivery("candidate", number, lane=f"lane {lane}")
            resources = tuple(
                (type_, f"{lane:08}{id_[8:]}", body.replace(id_.encode(), f"{lane:08}{id_[8:]}".encode()))
                for type_, id_, body in made.resources
            )
            put_in(store, type(made)(f"lane {lane}", resources, made.as_of, None))


def test_an_hour_without_an_answer_and_then_all_of_it_in_order(timed: Store, clock: Clock, fhir: FakeServer) -> None:
    fill(timed)
    fhir.before = lambda *_: (0, {}, None)
    one = courier(timed, fhir)
    back = clock.now + datetime.timedelta(hours=1)
    waits: list[float] = []
    while clock.now < back:
        before = {each.id: each.attempts for each in Outbox(timed).listed("pending", 99)}
        drain(one)
        rows = Outbox(timed).listed("pending", 99)
        waits += [(each.next_at - clock.now).total_seconds() for each in rows if each.attempts > before[each.id]]
        first_of_lanes = [each for each in rows if each.id % EACH == 1]
        assert all(
            (each.next_at - clock.now).total_seconds() <= min(300, 2 ** (each.attempts - 1)) for each in first_of_lanes
        )
        clock.now = max(clock.now, min(each.next_at for each in first_of_lanes))
    assert states(timed) == {"pending": LANES * EACH}
    assert [each.attempts for each in Outbox(timed).listed("pending", 99) if each.id % EACH != 1] == [0] * LANES * 2
    assert max(waits) > 200
    assert len(waits) < LANES * 60
    # It is back: nobody waits for the rest of their back-off.
    fhir.before = lambda *_: None
    requests = len(fhir.requests)
    assert drain(one) == LANES * EACH
    assert states(timed) == {"delivered": LANES * EACH}
    assert set(fhir.versions.values()) == {1, EACH}
    written = [body["entry"][0]["resource"]["id"] for _, _, body, _ in fhir.requests[requests:] if body]
    for lane in range(LANES):
        assert written.count(f"{lane:08}{SUBJECT[8:]}") == EACH


def test_what_the_server_asks_for_is_waited_even_once_it_is_back(timed: Store, clock: Clock, fhir: FakeServer) -> None:
    fill(timed)
    fhir.before = lambda method, *_: (503, {"Retry-After": "900"}, None) if method == "POST" else None
    one = courier(timed, fhir)
    assert drain(one) == LANES
    fhir.before = lambda *_: None
    clock.later(899)
    assert drain(one) == 0
    clock.later(3)
    drain(one)
    assert states(timed) == {"delivered": LANES * EACH}


def test_one_delivery_that_gets_no_answer_does_not_hurry_itself(timed: Store, clock: Clock, fhir: FakeServer) -> None:
    def silent(method: str, _: str, body: object, *__: object) -> tuple[int, dict[str, str], None] | None:
        return (0, {}, None) if method == "POST" and f"{0:08}{SUBJECT[8:]}" in str(body) else None

    fhir.before = silent
    fill(timed)
    one = courier(timed, fhir)
    assert drain(one) == 1 + (LANES - 1) * EACH
    assert shown(timed).next_at >= clock.now
    assert states(timed) == {"pending": EACH, "delivered": (LANES - 1) * EACH}
