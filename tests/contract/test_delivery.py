"""Results on a real FHIR server: each written once whatever gets lost, and a person's status survives.

The server is FHIR_BASE_URL, else Medplum's router; a proxy in front of it loses answers.
"""

import contextlib
import os
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from contract_server import RealServer
from fault_proxy import Fault, FaultProxy, Request
from store.couriers import CANDIDATE, INELIGIBLE, POTENTIAL, Clock, drain, result, states, subject_of
from store.kept import now, outcomes, put_in

from adapter.delivery.settings import Server
from adapter.store.ability import Manner
from adapter.store.ledger import Delivery, Store
from adapter.store.outbox import Courier
from adapter.store.transport import FhirTransport

IS_WHOLE = os.environ.get("CONTRACT") == "whole"
DELIVERIES = INTERLEAVINGS = 1000 if IS_WHOLE else 60
SAMPLES = (CANDIDATE, POTENTIAL, INELIGIBLE)
BY_PEOPLE = ("on-study", "withdrawn", "eligible", "ineligible", "screening", "candidate")
EITHER_WAY = pytest.mark.parametrize("conditional", [False, True], ids=["by our ids", "conditional"])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path / 'adapter.db'}", clock)
    yield opened
    opened.close()


@pytest.fixture
def run() -> str:
    """Give the patients of a run names of their own: a real server may hold those of another."""
    return uuid.uuid4().hex[:8]


@contextlib.contextmanager
def courier_of(store: Store, url: str, *, conditional: bool) -> Iterator[Courier]:
    transport = FhirTransport(Server(url))
    yield Courier(store, transport, manner=Manner(conditional=conditional))
    transport.close()


def held(real: RealServer, made: Delivery) -> list[dict[str, Any]]:
    """Give every copy of a delivery's subject that the server has, found by our identifier."""
    system = "https://trials.example.org/fhir/identifier/eligibility-subject"
    digits = subject_of(made).partition("/")[2][:18].replace("-", "")
    bundle = real.read(f"ResearchSubject?identifier={system}|CFMSC-{digits}")
    return [each["resource"] for each in bundle.get("entry", [])]


def versions(real: RealServer, name: str) -> int:
    return len(real.read(f"{name}/_history").get("entry", []))


@EITHER_WAY
def test_a_tenth_of_the_answers_is_lost_and_every_subject_is_there_once(
    real: RealServer, proxy: FaultProxy, store: Store, clock: Clock, run: str, *, conditional: bool
) -> None:
    count = DELIVERIES if not conditional else DELIVERIES // 5
    draw = random.Random(2)  # noqa: S311 (no secrecy)
    lost = Counter[str]()

    def lose(request: Request) -> Fault | None:
        if request.method == "GET" or draw.random() >= 0.1:
            return None
        lost[request.method] += 1
        return Fault(cut_after=True)

    proxy.decide = lose
    made = [result(patient=f"{run}-{number}") for number in range(count)]
    put_in(store, *made)
    with courier_of(store, proxy.url, conditional=conditional) as one:
        for _ in range(40):
            drain(one)
            if states(store) == {"delivered": count}:
                break
            clock.later()
    assert states(store) == {"delivered": count}
    assert lost.total() > count / 20
    for each in made:
        (subject,) = held(real, each)
        assert subject["status"] == "candidate"
        assert versions(real, f"ResearchSubject/{subject['id']}") <= 2


@EITHER_WAY
def test_a_persons_status_survives_every_order_of_our_writes_and_their_edits(
    real: RealServer, proxy: FaultProxy, store: Store, clock: Clock, run: str, *, conditional: bool
) -> None:
    count = INTERLEAVINGS if not conditional else INTERLEAVINGS // 5
    edits = 0
    with courier_of(store, proxy.url, conditional=conditional) as one:
        for example in range(count):
            edits += is_left_alone(real, proxy, store, clock, one, f"{run}-{example}", example)
    assert states(store) == {"delivered": 3 * count}
    assert edits > count / 5
    assert outcomes(store, "write-subject").count("kept-by-person") > edits / 4


def is_left_alone(
    real: RealServer, proxy: FaultProxy, store: Store, clock: Clock, one: Courier, patient: str, seed: int
) -> bool:
    """Deliver three evaluations while a person may edit; say whether they did, and hold that their edit stands."""
    draw = random.Random(seed)  # noqa: S311 (no secrecy)
    rounds = [result(draw.choice(SAMPLES), number, patient=patient) for number in range(1, 4)]
    person = Person(real, rounds[0], draw)
    proxy.decide = person.decide
    for each in rounds:
        put_in(store, each)
        drain(one)
        clock.later()
        drain(one)
    proxy.decide = lambda _: None
    clock.later()
    drain(one)
    if person.edited is None:
        return False
    (subject,) = held(real, rounds[0])
    assert (subject["status"], subject["assignedArm"]) == (person.edited, "by hand"), seed
    return True


class Person:
    """Edits a subject once, before or after any request of ours; some answers to us are lost meanwhile."""

    def __init__(self, real: RealServer, first: Delivery, draw: random.Random) -> None:
        self._real = real
        self._first = first
        self._draw = draw
        self.edited: str | None = None

    def decide(self, request: Request) -> Fault | None:
        if request.path.endswith("/metadata"):
            return None
        if self.edited is None and self._draw.random() < 0.12:
            self._edit()
        return Fault(cut_after=True) if request.method != "GET" and self._draw.random() < 0.15 else None

    def _edit(self) -> None:
        found = held(self._real, self._first)
        if found:
            state = self._draw.choice(BY_PEOPLE)
            self._real.put({**found[0], "status": state, "assignedArm": "by hand"})
            self.edited = state


def test_from_acknowledged_to_visible_takes_at_most_five_seconds(real: RealServer, tmp_path: Path, run: str) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'fresh.db'}", now)
    stop = threading.Event()
    with courier_of(store, real.base, conditional=False) as one:
        running = threading.Thread(target=one.run, args=(stop,))
        running.start()
        try:
            waits = sorted(visible_after(real, store, result(patient=f"{run}-{number}")) for number in range(200))
        finally:
            stop.set()
            running.join(30)
    store.close()
    p99 = waits[int(len(waits) * 0.99)]
    print(f"acknowledged to visible: median {waits[len(waits) // 2]:.2f} s, p99 {p99:.2f} s, of {len(waits)}")  # noqa: T201 (the figure)
    assert p99 <= 5


def visible_after(real: RealServer, store: Store, made: Delivery) -> float:
    """Say how many seconds a ResearchSubject takes from its message's acknowledgement to the server."""
    put_in(store, made)
    began = time.monotonic()
    while real.read(subject_of(made)) is None:
        if time.monotonic() - began > 60:
            raise AssertionError("it is not delivered")
        time.sleep(0.01)
    return time.monotonic() - began
