"""After a database was restored, what we wrote since is ours again, and what a person changed is not."""

from typing import Any

import pytest
from sqlalchemy import select
from store.couriers import CANDIDATE, INELIGIBLE, POTENTIAL, courier, drain, result, run_sql, states, subject_of
from store.kept import outcomes, put_in
from store.picky_server import PickyServer

from adapter.delivery.settings import Server
from adapter.store.ability import Manner
from adapter.store.adopting import Adopted, adopt
from adapter.store.ledger import Store
from adapter.store.tables import subject
from adapter.store.transport import FhirTransport, NoAnswer

FORGET = "delete from subject"


@pytest.fixture(params=["R4", "R5"])
def r5(request: pytest.FixtureRequest, picky: PickyServer) -> bool:
    picky.fhir_version = {"R4": "4.0.1", "R5": "5.0.0"}[request.param]
    return bool(request.param == "R5")


def adopted(store: Store, server: PickyServer, **more: bool) -> Adopted:
    return adopt(store, FhirTransport(Server(server.url)), **more)


@pytest.mark.parametrize("conditional", [True, False])
@pytest.mark.parametrize("sample", [CANDIDATE, INELIGIBLE, POTENTIAL])
def test_what_we_wrote_is_ours_again(
    store: Store, picky: PickyServer, sample: str, *, r5: bool, conditional: bool
) -> None:
    picky.gives_ids = conditional
    one = courier(store, picky, Manner(conditional=conditional))
    put_in(store, *[result(sample, patient=f"p{number}", r5=r5) for number in range(5)])
    put_in(store, result(POTENTIAL, 2, patient="p0", r5=r5))
    drain(one)
    run_sql(store, FORGET)
    assert adopted(store, picky) == Adopted(adopted=5)
    assert outcomes(store, "outbox-adopt") == ["done"]
    put_in(store, *[result(CANDIDATE, 3, patient=f"p{number}", r5=r5) for number in range(5)])
    drain(one)
    assert states(store) == {"delivered": 11}
    assert outcomes(store, "write-subject") == []


@pytest.mark.parametrize(
    "changed",
    [
        {"status": "eligible"},
        {"status": "on-study"},
        {"assignedArm": "A"},
        {"consent": {"reference": "Consent/1"}},
        {"individual": {"reference": "Patient/another"}},
        {"study": {"reference": "ResearchStudy/bmmsc"}},
        {"extension": []},
        {"identifier": [{"system": "https://x", "value": "1"}]},
    ],
)
def test_what_a_person_changed_stays_theirs(store: Store, picky: PickyServer, changed: dict[str, Any]) -> None:
    put_in(store, result())
    drain(courier(store, picky))
    name = subject_of(result())
    run_sql(store, FORGET)
    picky.answer("PUT", name, {**picky.held[name], **changed}, {})
    assert adopted(store, picky).adopted == 0
    before = picky.held[name]
    put_in(store, result(INELIGIBLE, 2))
    drain(courier(store, picky))
    assert picky.held[name] == before


def test_a_reason_in_a_persons_words_is_theirs(store: Store, picky: PickyServer) -> None:
    put_in(store, result(INELIGIBLE))
    drain(courier(store, picky))
    run_sql(store, FORGET)
    held = picky.held[subject_of(result())]
    held["extension"][1]["valueCodeableConcept"]["text"] = "I spoke to the family"
    assert adopted(store, picky) == Adopted(of_people=1)


def test_what_is_known_already_stays_as_it_is(store: Store, picky: PickyServer) -> None:
    put_in(store, result(source_s=-60))
    drain(courier(store, picky))
    with store.engine.connect() as connection:
        before = connection.execute(select(subject)).all()
    assert adopted(store, picky) == Adopted(known=1)
    with store.engine.connect() as connection:
        assert connection.execute(select(subject)).all() == before


def test_an_older_delivery_that_the_backup_still_had_does_not_go_over_a_newer_one(
    store: Store, picky: PickyServer
) -> None:
    put_in(store, result(CANDIDATE, 1), result(INELIGIBLE, 5))
    drain(courier(store, picky))
    run_sql(store, FORGET)
    adopted(store, picky)
    put_in(store, result(CANDIDATE, 1))
    drain(courier(store, picky))
    assert picky.held[subject_of(result())]["status"] == "ineligible"


def test_what_is_gone_is_a_persons_doing_unless_it_is_another_server(store: Store, picky: PickyServer) -> None:
    put_in(store, result())
    drain(courier(store, picky))
    picky.held.clear()
    assert adopted(store, picky) == Adopted(gone=1)
    put_in(store, result(CANDIDATE, 2))
    drain(courier(store, picky))
    assert picky.by_identifier("ResearchSubject") == []
    assert adopted(store, picky, missing=True) == Adopted(gone=1, forgotten=1)
    put_in(store, result(CANDIDATE, 3))
    drain(courier(store, picky))
    assert len(picky.by_identifier("ResearchSubject")) == 1


def test_a_next_page_elsewhere_is_not_asked_for(store: Store, picky: PickyServer) -> None:
    put_in(store, *[result(patient=f"p{number}") for number in range(5)])
    drain(courier(store, picky))
    picky.next_link = "http://169.254.169.254/fhir?page=2"
    with pytest.raises(NoAnswer, match="next-page-is-elsewhere"):
        adopted(store, picky)
