"""The verb ``outbox`` shows what waits and what failed without a patient's value, and acts on it."""

import argparse
import json
from pathlib import Path

import pytest
from delivery.delivery_server import FakeServer
from store.couriers import courier, drain, result, run_sql
from store.kept import SUBJECT, delivery, outcomes, put_in
from store.picky_server import PickyServer

from adapter.errors import AdapterError, Category
from adapter.store.ledger import Store
from adapter.store.outbox import Courier
from adapter.verbs.outbox import run


@pytest.fixture
def dead(store: Store, fhir: FakeServer) -> Store:
    fhir.before = lambda method, *_: (422, {}, None) if method == "POST" else None
    put_in(store, delivery("candidate"), delivery("eligible", 2))
    one = Courier(store, fhir.url)
    one.deliver_one()
    fhir.before = lambda *_: None
    return store


def asked(tmp_path: Path, action: str, **more: object) -> int:
    return run(argparse.Namespace(database=f"sqlite:///{tmp_path / 'adapter.db'}", action=action, **more))


def test_list_counts_and_names_the_dead(dead: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dead.healthy()
    assert asked(tmp_path, "list") == 0
    said = capsys.readouterr().out
    assert "pending: 1, oldest 20" in said
    assert "dead: 1, oldest 20" in said
    assert "dead 1: 1 attempt, http-422\n" in said


def test_show_names_types_and_ids_and_nothing_of_the_patient(
    dead: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert dead.healthy()
    assert asked(tmp_path, "show", id=1) == 0
    said = capsys.readouterr().out
    assert f"ResearchSubject/{SUBJECT}" in said
    assert "Patient" not in said
    assert "candidate" not in said


def test_replay_delivers_again(dead: Store, tmp_path: Path, fhir: FakeServer) -> None:
    assert asked(tmp_path, "replay", id=1, all_dead=False) == 0
    one = Courier(dead, fhir.url)
    while one.deliver_one():
        pass
    assert fhir.held[f"ResearchSubject/{SUBJECT}"]["status"] == "eligible"
    assert outcomes(dead, "outbox-replay") == ["done"]


def test_replay_all_dead(dead: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dead.healthy()
    assert asked(tmp_path, "replay", id=None, all_dead=True) == 0
    assert asked(tmp_path, "replay", id=None, all_dead=True) == 0
    assert capsys.readouterr().out == "1 to be delivered again\n0 to be delivered again\n"


def test_drop_forgets_what_it_holds(dead: Store, tmp_path: Path) -> None:
    assert asked(tmp_path, "drop", id=1) == 0
    with dead.engine.connect() as connection:
        assert connection.exec_driver_sql("select state, resources from outbox where id = 1").one() == ("dropped", None)
    with pytest.raises(AdapterError) as told:
        asked(tmp_path, "drop", id=1)
    assert told.value.category is Category.CONFLICT


@pytest.mark.parametrize(("action", "more"), [("show", {}), ("drop", {}), ("replay", {"all_dead": False})])
def test_an_unknown_delivery_is_told(tmp_path: Path, action: str, more: dict[str, object]) -> None:
    with pytest.raises(AdapterError) as told:
        asked(tmp_path, action, id=7, **more)
    assert told.value.category is Category.NOT_FOUND


def test_without_a_database_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIAL_ADAPTER_SERVE_DATABASE", raising=False)
    with pytest.raises(AdapterError, match="--database"):
        run(argparse.Namespace(database=None, action="list"))


def test_list_dead_for_programs(dead: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert dead.healthy()
    assert asked(tmp_path, "list", json=True, dead=True) == 0
    counted, row = map(json.loads, capsys.readouterr().out.splitlines())
    assert (counted["state"], counted["count"]) == ("dead", 1)
    assert (row["id"], row["error"], row["next"]) == (1, "http-422", None)
    assert row["resources"][0] == f"ResearchSubject/{SUBJECT}"
    assert asked(tmp_path, "list", dead=True) == 0
    said = capsys.readouterr().out
    assert said.startswith("dead: 1")
    assert "pending" not in said
    assert asked(tmp_path, "show", id=2, json=True) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "pending"


def test_adopt_says_what_is_ours(
    store: Store, tmp_path: Path, picky: PickyServer, capsys: pytest.CaptureFixture[str]
) -> None:
    put_in(store, result(), result(patient="p2"))
    drain(courier(store, picky))
    run_sql(store, "delete from subject")
    assert asked(tmp_path, "adopt", target=picky.url, missing=False) == 0
    said = capsys.readouterr().out
    assert said.startswith("0 known as ours, 2 adopted, 0 left to people\n")
    picky.before = lambda *_: (503, {}, None)
    with pytest.raises(AdapterError, match="http-503"):
        asked(tmp_path, "adopt", target=picky.url, missing=False)


@pytest.mark.usefixtures("store")
def test_adopt_asks_for_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TRIAL_ADAPTER_SERVE_TARGET", raising=False)
    with pytest.raises(AdapterError, match="--target"):
        asked(tmp_path, "adopt", target=None, missing=False)
