"""A subject that a person changed is never overwritten, and an older evaluation never takes a newer one's place."""

import json
import random

import pytest
from delivery.delivery_server import FakeServer, Json
from store.couriers import BOTH, NAME, Clock, courier, drain, shown, states
from store.kept import delivery, guidance, outcomes, put_in, subject

from adapter.store.ledger import Store, verify_audit

DATABASES = BOTH


@pytest.fixture
def r5(fhir: FakeServer) -> FakeServer:
    fhir.fhir_version = "5.0.0"
    return fhir


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
    assert (shown(store, 2).state, shown(store, 2).note) == ("delivered", "kept-by-person")
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


def test_r5_progress_goes_on(store: Store, r5: FakeServer) -> None:
    states_in_order = ["candidate", "candidate", "ineligible", "candidate"]
    put_in(store, *[delivery(state, number, r5=True) for number, state in enumerate(states_in_order, 1)])
    drain(courier(store, r5))
    steps = r5.held[NAME]["progress"]
    assert [each["subjectState"]["coding"][0]["code"] for each in steps] == ["candidate", "ineligible", "candidate"]
    assert [each.get("endDate", "")[-8:-6] for each in steps] == ["03", "04", ""]
    assert steps[0]["startDate"].endswith(":01+00:00")


def test_r5_a_persons_step_is_left_alone(store: Store, r5: FakeServer) -> None:
    put_in(store, delivery("candidate", r5=True))
    drain(courier(store, r5))
    step = {"subjectState": {"coding": [{"code": "on-study"}]}}
    held = {**r5.held[NAME], "progress": [*r5.held[NAME]["progress"], step]}
    r5.answer("PUT", NAME, held, {})
    put_in(store, delivery("ineligible", 2, r5=True))
    drain(courier(store, r5))
    assert r5.held[NAME]["progress"][-1] == step


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


def test_no_interleaving_of_our_writes_and_a_persons_edits_overrules_the_person(
    timed: Store, clock: Clock, fhir: FakeServer
) -> None:
    """A hundred random orders; a person may edit before any request of ours, and answers may be lost."""
    one = courier(timed, fhir)
    for example in range(100):
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
            put_in(timed, type(made)(theirs, resources, made.as_of, None))
            fhir.lose_answers = int(draw.random() < 0.2)
            drain(one)
            clock.later()
            drain(one)
        fhir.before = lambda *_: None
        if edited:
            assert fhir.held[theirs] == edited[0]
    assert states(timed) == {"delivered": 300}
    assert outcomes(timed, "write-subject").count("kept-by-person") > 15
