"""What the server does not take is said in another way, or given up and told: nothing of an evaluation is lost."""

import json
from pathlib import Path

import pytest
from delivery.delivery_server import Json
from store.couriers import (
    BASE,
    CANDIDATE,
    INELIGIBLE,
    POTENTIAL,
    Clock,
    courier,
    drain,
    result,
    shown,
    states,
    subject_of,
)
from store.kept import outcomes, put_in
from store.picky_server import PickyServer

from adapter.store.ability import Fallback, Manner
from adapter.store.chain import AuditRow
from adapter.store.ledger import Store
from adapter.store.rows import Outbox

ALL = ("ResearchSubject", "GuidanceResponse", "Provenance", "Observation", "Task")


def without(server: PickyServer, *types: str) -> PickyServer:
    server.lists(*[each for each in ALL if each not in types])
    return server


def kinds(server: PickyServer) -> list[str]:
    return sorted(name.partition("/")[0] for name in server.held)


def held(server: PickyServer, kind: str) -> Json:
    (found,) = server.by_identifier(kind)
    return found


@pytest.mark.parametrize(
    ("missing", "fallback", "on_server", "in_file"),
    [
        (("ResearchSubject",), "observation", ["GuidanceResponse", "Observation", "Provenance"], []),
        (("ResearchSubject", "GuidanceResponse"), "observation", ["Observation", "Provenance"], []),
        (("ResearchSubject", "GuidanceResponse", "Provenance"), "observation", ["Observation"], []),
        (("GuidanceResponse",), "observation", ["Observation", "Provenance", "ResearchSubject"], []),
        (("Provenance",), "observation", ["GuidanceResponse", "Observation", "ResearchSubject"], []),
        (("ResearchSubject",), "task", ["GuidanceResponse", "Provenance", "Task"], []),
        (("ResearchSubject", "GuidanceResponse"), "task", ["Task"], []),
        (("GuidanceResponse",), "task", ["Provenance", "ResearchSubject", "Task"], []),
        (("ResearchSubject",), "file", ["GuidanceResponse", "Provenance"], ["ResearchSubject"]),
        (("GuidanceResponse",), "file", ["Provenance", "ResearchSubject"], ["GuidanceResponse"]),
        (("Provenance",), "file", ["GuidanceResponse", "ResearchSubject"], ["Provenance"]),
        (ALL[:3], "file", [], ["ResearchSubject", "GuidanceResponse", "Provenance"]),
    ],
)
@pytest.mark.parametrize("says_so", [True, False], ids=["it says so", "it refuses"])
@pytest.mark.parametrize("conditional", [True, False], ids=["its ids", "our ids"])
def test_what_is_not_taken_is_said_in_another_way(
    store: Store,
    picky: PickyServer,
    tmp_path: Path,
    missing: tuple[str, ...],
    fallback: Fallback,
    on_server: list[str],
    in_file: list[str],
    *,
    says_so: bool,
    conditional: bool,
) -> None:
    picky.wants_targets = True
    picky.gives_ids = conditional
    if says_so:
        without(picky, *missing)
    picky.refused = set(missing)
    manner = Manner(conditional=conditional, fallback=fallback, folder=tmp_path / "aside")
    put_in(store, result())
    drain(courier(store, picky, manner))
    assert states(store) == {"delivered": 1}, shown(store)
    assert kinds(picky) == on_server
    files = list((tmp_path / "aside").glob("*")) if in_file else []
    written = [each["resource"]["resourceType"] for file in files for each in json.loads(file.read_text())["entry"]]
    assert written == in_file


def test_by_default_it_is_given_up_at_once_and_told(store: Store, picky: PickyServer) -> None:
    without(picky, "GuidanceResponse")
    put_in(store, result())
    drain(courier(store, picky))
    assert shown(store).last_error == "not-taken: type-not-supported: GuidanceResponse"
    assert states(store) == {"dead": 1}
    assert picky.held == {}


def test_ids_that_the_server_says_it_gives_itself_are_told(store: Store, picky: PickyServer) -> None:
    without(picky)
    picky.types[0]["updateCreate"] = False
    put_in(store, result())
    drain(courier(store, picky))
    assert shown(store).last_error == "not-taken: client-ids-refused: ResearchSubject"
    put_in(store, result(INELIGIBLE, 2))
    drain(courier(store, picky, Manner(conditional=True)))
    assert shown(store, 2).state == "delivered"


@pytest.mark.parametrize(("r5", "spoken"), [(True, "4.0.1"), (False, "5.0.0"), (False, "6.0.0")])
def test_another_version_of_fhir_is_not_sent(store: Store, picky: PickyServer, spoken: str, *, r5: bool) -> None:
    picky.fhir_version = spoken
    put_in(store, result(r5=r5))
    drain(courier(store, picky))
    assert (shown(store).last_error or "").startswith(f"not-taken: fhir-{spoken}-is-not-{'R5' if r5 else 'R4'}")
    put_in(store, result(INELIGIBLE, 2, r5=r5))
    drain(courier(store, picky, Manner(fallback="observation")))
    assert kinds(picky) == ["Observation"]


def test_after_the_fallback_is_set_a_dead_one_is_replayed(store: Store, picky: PickyServer) -> None:
    without(picky, "ResearchSubject")
    put_in(store, result())
    drain(courier(store, picky))
    Outbox(store).replay(None, AuditRow(store.now(), "operator", "outbox-replay", "done", "", {}))
    drain(courier(store, picky, Manner(fallback="task")))
    assert states(store) == {"delivered": 1}
    assert "Task" in kinds(picky)


def test_what_the_server_takes_is_asked_again_after_a_failure(timed: Store, clock: Clock, picky: PickyServer) -> None:
    without(picky, "ResearchSubject")
    one = courier(timed, picky, Manner(fallback="observation"))
    put_in(timed, result())
    drain(one)
    without(picky)
    picky.before = lambda method, *_: (503, {}, None) if method == "POST" else None
    put_in(timed, result(INELIGIBLE, 2))
    drain(one)
    picky.before = lambda *_: None
    clock.later()
    drain(one)
    assert picky.held[subject_of(result())]["status"] == "ineligible"


def test_an_observation_says_verdict_and_criteria_in_three_values(store: Store, picky: PickyServer) -> None:
    without(picky, "ResearchSubject", "GuidanceResponse")
    put_in(store, result(POTENTIAL))
    drain(courier(store, picky, Manner(fallback="observation")))
    panel = held(picky, "Observation")
    assert panel["valueCodeableConcept"]["coding"] == [
        {"system": "http://hl7.org/fhir/research-subject-status", "code": "potential-candidate"}
    ]
    values = [each.get("valueBoolean", "unknown") for each in panel["component"]]
    assert {True, "unknown"} <= set(values)
    assert all(("valueBoolean" in each) != ("dataAbsentReason" in each) for each in panel["component"])
    assert panel["component"][0]["code"]["coding"][0]["system"] == f"{BASE}/CodeSystem/criterion"
    assert len(panel["note"]) == len(panel["component"])


@pytest.mark.parametrize("kind", ["observation", "task"])
def test_it_is_replaced_by_the_next_evaluation_and_left_alone_after_a_person(
    store: Store, picky: PickyServer, kind: Fallback
) -> None:
    without(picky, "ResearchSubject", "GuidanceResponse", "Provenance")
    one = courier(store, picky, Manner(fallback=kind))
    put_in(store, result(CANDIDATE), result(POTENTIAL, 2))
    drain(one)
    made = held(picky, kind.capitalize())
    assert made["meta"]["versionId"] == "2"
    assert "potential-candidate" in json.dumps(made)
    taken = {**made, "status": {"task": "accepted", "observation": "amended"}[kind]}
    picky.answer("PUT", f"{made['resourceType']}/{made['id']}", taken, {})
    put_in(store, result(INELIGIBLE, 3))
    drain(one)
    assert "potential-candidate" in json.dumps(held(picky, kind.capitalize()))
    assert outcomes(store, "write-subject") == ["kept-by-person"]


def test_no_task_is_made_of_someone_who_is_ineligible_but_one_that_was_made_is_told(
    store: Store, picky: PickyServer
) -> None:
    without(picky, "ResearchSubject", "GuidanceResponse", "Provenance")
    one = courier(store, picky, Manner(fallback="task"))
    put_in(store, result(INELIGIBLE, 1, patient="p2"))
    drain(one)
    assert picky.held == {}
    put_in(store, result(CANDIDATE), result(INELIGIBLE, 2))
    drain(one)
    assert held(picky, "Task")["businessStatus"]["text"] == "ineligible"
    assert states(store) == {"delivered": 3}


def test_a_file_is_whole_private_and_written_once(store: Store, picky: PickyServer, tmp_path: Path) -> None:
    without(picky, *ALL[:3])
    folder = tmp_path / "aside"
    manner = Manner(fallback="file", folder=folder)
    put_in(store, result())
    drain(courier(store, picky, manner))
    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    sent = [f"{type_}/{id_}" for type_, id_, _ in result().resources]
    assert [each["request"] for each in json.loads(file.read_bytes())["entry"]] == [
        {"method": "PUT", "url": each} for each in sent
    ]
    assert b"urn:uuid" not in file.read_bytes().replace(b'"fullUrl":"urn:uuid', b"")
    assert shown(store).note == "in-file"


def test_a_folder_that_cannot_be_written_keeps_the_delivery(timed: Store, picky: PickyServer, tmp_path: Path) -> None:
    without(picky, *ALL[:3])
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    put_in(timed, result())
    drain(courier(timed, picky, Manner(fallback="file", folder=blocked)))
    assert (shown(timed).state, shown(timed).last_error) == ("pending", "unwritable")
    put_in(timed, result(patient="p2"))
    drain(courier(timed, picky, Manner(fallback="file")))
    assert shown(timed, 2).last_error == "no-folder-is-set"
