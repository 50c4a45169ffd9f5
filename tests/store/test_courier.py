"""What is delivered is written once, in order, and never over a person's decision."""

import datetime
import json
import random
import threading

import pytest
from delivery.delivery_server import FakeServer, Json, outcome
from store.kept import SUBJECT, delivery, guidance, outcomes, put_in, subject

from adapter.store.ledger import Store, verify_audit
from adapter.store.outbox import Courier
from adapter.store.rows import Outbox

NAME = f"ResearchSubject/{SUBJECT}"


class Clock:
    """The store's clock, moved by the test."""

    def __init__(self) -> None:
        self.now = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)

    def __call__(self) -> datetime.datetime:
        return self.now

    def later(self, seconds: float = 3600) -> None:
        self.now += datetime.timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(url: str, clock: Clock) -> Store:
    return Store.open(url, clock)


def courier(store: Store, fhir: FakeServer) -> Courier:
    return Courier(store, fhir.url)


def drain(one: Courier) -> None:
    while one.deliver_one():
        pass


def states(store: Store) -> dict[str, int]:
    return {each.state: each.count for each in Outbox(store).counts()}


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


def test_without_transactions_it_is_written_one_by_one(store: Store, fhir: FakeServer) -> None:
    fhir.transactions = False
    put_in(store, delivery("candidate"), delivery("eligible", 2))
    drain(courier(store, fhir))
    assert fhir.held[NAME]["status"] == "eligible"
    assert fhir.versions[NAME] == 2
    assert states(store) == {"delivered": 2}


def test_a_server_that_says_transaction_and_refuses_it_gets_single_writes(store: Store, fhir: FakeServer) -> None:
    def refuse(method: str, path: str, *_: object) -> tuple[int, dict[str, str], Json] | None:
        return (405, {}, outcome("no", code="not-supported")) if (method, path) == ("POST", "") else None

    fhir.before = refuse
    put_in(store, delivery("candidate"))
    drain(courier(store, fhir))
    assert states(store) == {"delivered": 1}


@pytest.mark.parametrize("state", ["on-study", "withdrawn", "pending-on-study", "candidate", "ineligible"])
def test_what_a_person_changed_is_left_alone_and_told(store: Store, fhir: FakeServer, state: str) -> None:
    put_in(store, delivery("candidate"))
    drain(courier(store, fhir))
    held = {**fhir.held[NAME], "status": state, "assignedArm": "A"}
    fhir.answer("PUT", NAME, held, {})
    put_in(store, delivery("ineligible", 2))
    drain(courier(store, fhir))
    assert fhir.held[NAME]["status"] == state
    assert fhir.versions[NAME] == 2
    assert outcomes(store, "write-subject") == ["kept-by-person"]
    shown = Outbox(store).show(2)
    assert shown is not None
    assert (shown.state, shown.note) == ("delivered", "kept-by-person")
    # The evaluation itself is there to be read, and claims nothing of the subject.
    assert f"GuidanceResponse/{guidance(2)}" in fhir.held
    made = [each for name, each in fhir.held.items() if name.startswith("Provenance/")][-1]
    assert made["target"] == [{"reference": f"GuidanceResponse/{guidance(2)}"}]
    assert verify_audit(store) is None


def test_a_subject_that_is_not_ours_is_left_alone(store: Store, fhir: FakeServer) -> None:
    fhir.answer("PUT", NAME, {**subject("candidate"), "assignedArm": "A"}, {})
    put_in(store, delivery("ineligible"))
    drain(courier(store, fhir))
    assert fhir.held[NAME]["status"] == "candidate"


def test_what_a_person_deleted_stays_deleted(store: Store, fhir: FakeServer) -> None:
    put_in(store, delivery("candidate"))
    drain(courier(store, fhir))
    del fhir.held[NAME]
    put_in(store, delivery("eligible", 2))
    drain(courier(store, fhir))
    assert NAME not in fhir.held
    assert outcomes(store, "write-subject") == ["kept-by-person"]


def test_an_edit_between_reading_and_writing_is_seen(store: Store, fhir: FakeServer) -> None:
    put_in(store, delivery("candidate"))
    drain(courier(store, fhir))

    def edit(method: str, *_: object) -> None:
        if method == "POST":
            fhir.before = lambda *_: None
            fhir.answer("PUT", NAME, {**fhir.held[NAME], "status": "on-study"}, {})

    fhir.before = edit
    put_in(store, delivery("ineligible", 2))
    drain(courier(store, fhir))
    assert fhir.held[NAME]["status"] == "on-study"
    assert outcomes(store, "write-subject") == ["kept-by-person"]


@pytest.mark.parametrize(
    ("first", "second", "stays"),
    [
        (delivery("candidate", 2), delivery("eligible", 1), "candidate"),
        (delivery("candidate", 1, source_s=20), delivery("eligible", 2, source_s=10), "candidate"),
        (delivery("candidate", 2, source_s=10), delivery("eligible", 1, source_s=20), "eligible"),
        (delivery("candidate", 1), delivery("eligible", 1), "eligible"),
    ],
)
def test_an_older_evaluation_never_overwrites_a_newer(
    store: Store, fhir: FakeServer, first: object, second: object, stays: str
) -> None:
    put_in(store, first, second)  # type: ignore[arg-type]
    drain(courier(store, fhir))
    assert fhir.held[NAME]["status"] == stays


def test_r5_progress_goes_on(store: Store, fhir: FakeServer) -> None:
    states_in_order = ["candidate", "candidate", "ineligible", "candidate"]
    put_in(store, *[delivery(state, number, r5=True) for number, state in enumerate(states_in_order, 1)])
    drain(courier(store, fhir))
    steps = fhir.held[NAME]["progress"]
    assert [each["subjectState"]["coding"][0]["code"] for each in steps] == ["candidate", "ineligible", "candidate"]
    assert [each.get("endDate", "")[-8:-6] for each in steps] == ["03", "04", ""]
    assert steps[0]["startDate"].endswith(":01+00:00")


def test_r5_a_persons_step_is_left_alone(store: Store, fhir: FakeServer) -> None:
    put_in(store, delivery("candidate", r5=True))
    drain(courier(store, fhir))
    step = {"subjectState": {"coding": [{"code": "on-study"}]}}
    held = {**fhir.held[NAME], "progress": [*fhir.held[NAME]["progress"], step]}
    fhir.answer("PUT", NAME, held, {})
    put_in(store, delivery("ineligible", 2, r5=True))
    drain(courier(store, fhir))
    assert fhir.held[NAME]["progress"][-1] == step


def test_a_lost_answer_is_found_by_reading_and_not_written_again(timed: Store, clock: Clock, fhir: FakeServer) -> None:
    fhir.lose_answers = 1
    put_in(timed, delivery("candidate"))
    one = courier(timed, fhir)
    drain(one)
    assert states(timed) == {"pending": 1}
    clock.later()
    drain(one)
    assert fhir.versions[NAME] == 1
    assert states(timed) == {"delivered": 1}
    # The next evaluation knows that this version is ours.
    put_in(timed, delivery("eligible", 2))
    drain(one)
    assert fhir.held[NAME]["status"] == "eligible"
    timed.close()


def test_a_person_who_edits_after_a_lost_answer_is_not_overruled(timed: Store, clock: Clock, fhir: FakeServer) -> None:
    fhir.lose_answers = 1
    put_in(timed, delivery("candidate"))
    one = courier(timed, fhir)
    drain(one)
    fhir.answer("PUT", NAME, {**fhir.held[NAME], "status": "ineligible"}, {})
    clock.later()
    drain(one)
    assert fhir.held[NAME]["status"] == "ineligible"
    assert fhir.versions[NAME] == 2
    timed.close()


def test_a_crash_while_sending_is_made_good_by_the_next_start(url: str, fhir: FakeServer) -> None:
    clock = Clock()
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


def test_a_lane_keeps_its_order_and_does_not_hold_up_others(timed: Store, clock: Clock, fhir: FakeServer) -> None:
    def busy(method: str, *_: object) -> tuple[int, dict[str, str], Json] | None:
        return (503, {"Retry-After": "60"}, outcome("busy", code="transient")) if method == "POST" else None

    fhir.before = busy
    put_in(timed, delivery("candidate", 1), delivery("eligible", 2))
    one = courier(timed, fhir)
    drain(one)
    shown = Outbox(timed).show(1)
    assert shown is not None
    assert shown.last_error == "http-503: transient"
    assert shown.next_at >= clock.now + datetime.timedelta(seconds=60)
    fhir.before = lambda *_: None
    other = delivery("eligible", 3, lane="other")
    put_in(timed, type(other)("other", other.resources[1:], other.as_of, None))
    drain(one)
    assert states(timed) == {"pending": 2, "delivered": 1}
    clock.later()
    drain(one)
    assert fhir.held[NAME]["status"] == "eligible"
    assert fhir.versions[NAME] == 2
    timed.close()


def test_a_poison_row_is_dead_after_one_try_and_its_lane_goes_on(store: Store, fhir: FakeServer) -> None:
    def refuse(method: str, _: str, body: Json | None, *__: object) -> tuple[int, dict[str, str], Json] | None:
        if method == "POST" and body is not None and guidance(1) in json.dumps(body, default=str):
            return 422, {}, outcome("secret value 7.2", code="value", expression="ResearchSubject.status")
        return None

    fhir.before = refuse
    put_in(store, delivery("candidate"), delivery("eligible", 2))
    drain(courier(store, fhir))
    assert states(store) == {"dead": 1, "delivered": 1}
    shown = Outbox(store).show(1)
    assert shown is not None
    assert (shown.attempts, shown.last_error) == (1, "http-422: value at ResearchSubject.status")
    assert outcomes(store, "deliver") == ["dead", "written"]


def test_the_courier_runs_and_stops(store: Store, fhir: FakeServer) -> None:
    stop = threading.Event()
    put_in(store, delivery("candidate"))
    thread = threading.Thread(target=courier(store, fhir).run, args=(stop,))
    thread.start()
    for _ in range(100):
        if NAME in fhir.held:
            break
        stop.wait(0.05)
    stop.set()
    thread.join(5)
    assert not thread.is_alive()
    assert states(store) == {"delivered": 1}


def test_no_interleaving_of_our_writes_and_a_persons_edits_overrules_the_person(url: str, fhir: FakeServer) -> None:
    """Three hundred random orders; a person may edit before any request of ours, and answers may be lost."""
    clock = Clock()
    store = Store.open(url, clock)
    one = courier(store, fhir)
    for example in range(300):
        draw = random.Random(example)  # noqa: S311 (no secrecy)
        theirs = f"ResearchSubject/{example}"
        edited: list[Json] = []

        def edit(*_: object, draw: random.Random = draw, name: str = theirs, edited: list[Json] = edited) -> None:
            if name in fhir.held and not edited and draw.random() < 0.15:
                state = draw.choice(["on-study", "withdrawn", "eligible", "ineligible", "screening"])
                fhir.before = lambda *_: None
                fhir.answer("PUT", name, {**fhir.held[name], "status": state, "assignedArm": "A"}, {})
                edited.append(fhir.held[name])
                fhir.before = edit

        fhir.before = edit
        for number in range(1, 4):
            made = delivery(draw.choice(["candidate", "eligible", "ineligible"]), number, lane=theirs)
            mine = json.dumps({**subject("candidate", number), **json.loads(made.resources[0][2]), "id": str(example)})
            resources = (("ResearchSubject", str(example), mine.encode()), *made.resources[1:])
            put_in(store, type(made)(theirs, resources, made.as_of, None))
            fhir.lose_answers = int(draw.random() < 0.2)
            drain(one)
            clock.later()
            drain(one)
        fhir.before = lambda *_: None
        if edited:
            assert fhir.held[theirs] == edited[0]
    assert states(store) == {"delivered": 900}
    assert outcomes(store, "write-subject").count("kept-by-person") > 50
    store.close()
