"""A rehearsal reads and plans as always, writes nothing, says what it would write, and loses nothing."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from store.couriers import BOTH, CANDIDATE, INELIGIBLE, courier, drain, result, shown, states, subject_of
from store.kept import outcomes, put_in
from store.picky_server import PickyServer

from adapter.store.ability import Manner
from adapter.store.ledger import Store
from adapter.store.rows import Outbox
from adapter.store.tables import audit, subject

DATABASES = BOTH


@pytest.mark.parametrize("conditional", [True, False])
def test_nothing_is_written_and_what_would_be_is_told(store: Store, picky: PickyServer, *, conditional: bool) -> None:
    put_in(store, result(trials=("BMMSC", "CFMSC")), result(INELIGIBLE, 2))
    drain(courier(store, picky, Manner(conditional=conditional, rehearses=True)))
    assert [method for method, *_ in picky.requests if method != "GET"] == []
    assert states(store) == {"rehearsed": 2}
    assert shown(store).note == "would write 6; written"
    with store.engine.connect() as connection:
        details = [msgspec.json.decode(each) for (each,) in connection.execute(select(audit.c.detail))]
        assert connection.execute(select(subject)).all() == []
    assert details[-2] == {
        "row": 1,
        "write-ResearchSubject": 2,
        "write-GuidanceResponse": 2,
        "write-Provenance": 2,
    }
    assert store.tally.counts()["rehearsed"] == 2


def test_when_it_is_meant_all_is_delivered_in_order(store: Store, picky: PickyServer) -> None:
    put_in(store, result(CANDIDATE), result(INELIGIBLE, 2))
    drain(courier(store, picky, Manner(rehearses=True)))
    assert Outbox(store).perform() == 2
    drain(courier(store, picky))
    assert states(store) == {"delivered": 2}
    assert picky.held[subject_of(result())]["status"] == "ineligible"


def test_what_it_would_replace_and_what_is_a_persons_is_told(store: Store, picky: PickyServer) -> None:
    put_in(store, result(CANDIDATE))
    drain(courier(store, picky))
    put_in(store, result(INELIGIBLE, 2))
    drain(courier(store, picky, Manner(rehearses=True)))
    name = subject_of(result())
    picky.answer("PUT", name, {**picky.held[name], "status": "on-study"}, {})
    put_in(store, result(INELIGIBLE, 3))
    drain(courier(store, picky, Manner(rehearses=True)))
    assert [shown(store, each).note for each in (2, 3)] == ["would write 3; written", "would write 2; kept-by-person"]
    assert outcomes(store, "write-subject") == []


def test_no_file_is_written(store: Store, picky: PickyServer, tmp_path: Path) -> None:
    picky.lists("Patient")
    put_in(store, result())
    drain(courier(store, picky, Manner(fallback="file", folder=tmp_path / "aside", rehearses=True)))
    assert not (tmp_path / "aside").exists()
    assert shown(store).note == "would write 1; in-file"
