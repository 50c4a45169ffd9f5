"""On a server that gives ids itself each subject is made once, found by our identifier; a person's is left alone."""

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from delivery.delivery_server import Json, Reply, outcome
from store.couriers import BOTH, CANDIDATE, INELIGIBLE, POTENTIAL, Clock, courier, drain, result, run_sql, shown, states
from store.kept import outcomes, put_in
from store.picky_server import PickyServer

from adapter.delivery.client import Answer
from adapter.delivery.settings import Server
from adapter.store.ledger import Store
from adapter.store.outbox import Courier, Manner
from adapter.store.transport import FhirTransport

DATABASES = BOTH
THEIRS = Manner(conditional=True)


@pytest.fixture
def theirs(picky: PickyServer) -> PickyServer:
    picky.gives_ids = True
    picky.wants_targets = True
    return picky


def only(server: PickyServer, kind: str) -> Json:
    (found,) = server.by_identifier(kind)
    return found


def sources(server: PickyServer) -> list[list[str]]:
    return sorted([aim["reference"] for aim in each["target"]] for each in server.by_identifier("Provenance"))


@pytest.mark.parametrize("transactions", [True, False])
def test_a_subject_is_made_once_and_then_replaced(store: Store, theirs: PickyServer, *, transactions: bool) -> None:
    theirs.transactions = transactions
    put_in(store, result(CANDIDATE), result(INELIGIBLE, 2), result(POTENTIAL, 3))
    drain(courier(store, theirs, THEIRS))
    assert states(store) == {"delivered": 3}
    held = only(theirs, "ResearchSubject")
    assert (held["status"], held["meta"]["versionId"]) == ("potential-candidate", "3")
    evaluations = [each["id"] for each in theirs.by_identifier("GuidanceResponse")]
    assert len(evaluations) == 3
    assert held["extension"][0]["valueReference"]["reference"] == f"GuidanceResponse/{evaluations[-1]}"
    name = f"ResearchSubject/{held['id']}"
    assert sources(theirs) == sorted([name, f"GuidanceResponse/{each}"] for each in evaluations)


def test_several_trials_go_together_wave_by_wave(store: Store, theirs: PickyServer) -> None:
    both = ("BMMSC", "CFMSC")
    put_in(store, result(trials=both), result(INELIGIBLE, 2, trials=both))
    drain(courier(store, theirs, THEIRS))
    assert states(store) == {"delivered": 2}
    assert [each["meta"]["versionId"] for each in theirs.by_identifier("ResearchSubject")] == ["2", "2"]
    assert len(theirs.by_identifier("Provenance")) == len(theirs.by_identifier("GuidanceResponse")) == 4
    assert [len(body["entry"]) for method, _, body, _ in theirs.requests if method == "POST" and body] == [2] * 6


@pytest.mark.parametrize("transactions", [True, False])
@pytest.mark.parametrize("lost", range(4))
def test_a_lost_answer_makes_no_second_of_anything(
    timed: Store, clock: Clock, theirs: PickyServer, lost: int, *, transactions: bool
) -> None:
    theirs.transactions = transactions
    writes = itertools.count()

    def lose(method: str, *_: object) -> None:
        if method != "GET" and next(writes) == lost:
            theirs.lose_answers = 1

    theirs.before = lose
    put_in(timed, result())
    one = courier(timed, theirs, THEIRS)
    drain(one)
    clock.later()
    drain(one)
    assert states(timed) == {"delivered": 1}
    assert only(theirs, "ResearchSubject")["meta"]["versionId"] == "1"
    assert len(theirs.by_identifier("GuidanceResponse")) == len(theirs.by_identifier("Provenance")) == 1
    assert len(sources(theirs)[0]) == 2


def test_a_persons_edit_is_left_alone_and_nothing_claims_it(store: Store, theirs: PickyServer) -> None:
    put_in(store, result(CANDIDATE))
    drain(courier(store, theirs, THEIRS))
    held = only(theirs, "ResearchSubject")
    theirs.answer("PUT", f"ResearchSubject/{held['id']}", {**held, "status": "on-study"}, {})
    put_in(store, result(INELIGIBLE, 2))
    drain(courier(store, theirs, THEIRS))
    assert only(theirs, "ResearchSubject")["status"] == "on-study"
    assert outcomes(store, "write-subject") == ["kept-by-person"]
    assert [len(each) for each in sources(theirs)] == [1, 2]


def test_a_persons_own_subject_with_our_identifier_is_left_alone(store: Store, theirs: PickyServer) -> None:
    put_in(store, result(CANDIDATE))
    drain(courier(store, theirs, THEIRS))
    held = only(theirs, "ResearchSubject")
    del theirs.held[f"ResearchSubject/{held['id']}"]
    made = {**held, "id": "by-hand", "status": "eligible", "assignedArm": "A", "extension": []}
    theirs.held["ResearchSubject/by-hand"] = made
    put_in(store, result(INELIGIBLE, 2))
    drain(courier(store, theirs, THEIRS))
    assert theirs.held["ResearchSubject/by-hand"] == made
    assert len(theirs.by_identifier("ResearchSubject")) == 1


def test_several_with_our_identifier_are_left_for_a_person(store: Store, theirs: PickyServer) -> None:
    put_in(store, result(CANDIDATE))
    drain(courier(store, theirs, THEIRS))
    held = only(theirs, "ResearchSubject")
    theirs.held["ResearchSubject/double"] = {**held, "id": "double"}
    run_sql(store, "update subject set place = null")
    put_in(store, result(INELIGIBLE, 2))
    drain(courier(store, theirs, THEIRS))
    assert (shown(store, 2).state, shown(store, 2).last_error) == ("dead", "multiple-matches: ResearchSubject")
    assert {each["status"] for each in theirs.by_identifier("ResearchSubject")} == {"candidate"}


def race(server: PickyServer, kind: str, reply: Reply | None, *, made_by_another: bool = False) -> None:
    """Let the first write of ``kind`` meet ``reply``, after somebody else made the same."""

    def decide(method: str, _: str, body: Json | None, *__: object) -> Reply | None:
        sent = [each["resource"] for each in (body or {}).get("entry", [])] or [body or {}]
        if method == "GET" or sent[0].get("resourceType") != kind:
            return None
        server.before = lambda *_: None
        if made_by_another:
            server.held[f"{kind}/another"] = {**sent[0], "id": "another", "status": "on-study"}
        return reply

    server.before = decide


@pytest.mark.parametrize("transactions", [True, False])
@pytest.mark.parametrize("kind", ["GuidanceResponse", "ResearchSubject", "Provenance"])
@pytest.mark.parametrize(
    ("status", "code", "later"),
    [(409, "conflict", True), (412, "multiple-matches", False), (412, "conflict", False), (503, "transient", True)],
)
def test_a_race_that_the_server_tells_of_is_made_good(
    timed: Store,
    clock: Clock,
    theirs: PickyServer,
    kind: str,
    status: int,
    code: str,
    *,
    later: bool,
    transactions: bool,
) -> None:
    theirs.transactions = transactions
    race(theirs, kind, (status, {}, outcome("race", code=code)))
    put_in(timed, result())
    one = courier(timed, theirs, THEIRS)
    drain(one)
    assert states(timed) == ({"pending": 1} if later else {"delivered": 1})
    clock.later()
    drain(one)
    assert states(timed) == {"delivered": 1}
    for each in ("ResearchSubject", "GuidanceResponse", "Provenance"):
        assert len(theirs.by_identifier(each)) == 1


@pytest.mark.parametrize("transactions", [True, False])
def test_one_made_by_a_person_between_looking_and_making_is_left_alone(
    store: Store, theirs: PickyServer, *, transactions: bool
) -> None:
    theirs.transactions = transactions
    race(theirs, "ResearchSubject", None, made_by_another=True)
    put_in(store, result())
    drain(courier(store, theirs, THEIRS))
    assert only(theirs, "ResearchSubject")["status"] == "on-study"
    assert outcomes(store, "write-subject") == ["kept-by-person"]
    assert states(store) == {"delivered": 1}


def test_the_id_is_remembered_so_that_a_search_that_lags_behind_makes_no_second(
    store: Store, theirs: PickyServer
) -> None:
    put_in(store, result())
    drain(courier(store, theirs, THEIRS))

    def lag(method: str, path: str, *_: object) -> Reply | None:
        is_search = method == "GET" and path.startswith("ResearchSubject?")
        return (200, {}, {"resourceType": "Bundle", "entry": []}) if is_search else None

    theirs.before = lag
    put_in(store, result(INELIGIBLE, 2))
    drain(courier(store, theirs, THEIRS))
    assert only(theirs, "ResearchSubject")["status"] == "ineligible"


class Counting(FhirTransport):
    """Counts how many writes of one subject are under way at once."""

    under_way = 0
    most = 0

    def post(self, path: str, body: Mapping[str, Any], none_exist: str | None) -> Answer:
        with self._counted():
            return super().post(path, body, none_exist)

    def put(self, path: str, body: Mapping[str, Any], version: str | None) -> Answer:
        with self._counted():
            return super().put(path, body, version)

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        cls = type(self)
        cls.under_way += 1
        cls.most = max(cls.most, cls.under_way)
        time.sleep(0.005)
        yield
        cls.under_way -= 1


def test_one_write_of_a_key_is_in_flight_at_a_time(store: Store, theirs: PickyServer) -> None:
    put_in(store, *[result(sample, number) for number, sample in enumerate([CANDIDATE, INELIGIBLE] * 5, 1)])
    couriers = [Courier(store, Counting(Server(theirs.url)), manner=THEIRS) for _ in range(4)]

    def work(one: Courier) -> None:
        until = time.monotonic() + 30
        while states(store) != {"delivered": 10} and time.monotonic() < until:
            one.deliver_one()

    threads = [threading.Thread(target=work, args=(each,)) for each in couriers]
    for each in threads:
        each.start()
    for each in threads:
        each.join(60)
    assert Counting.most == 1
    assert states(store) == {"delivered": 10}
    assert only(theirs, "ResearchSubject")["meta"]["versionId"] == "10"
