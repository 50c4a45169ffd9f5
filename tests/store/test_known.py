"""What is kept of patients: sealed, one writer at a time, not for ever, and forgotten when asked."""

import argparse
import base64
import datetime
import io
import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from service.known_desk import BASE, C_PEPTIDE, MRN, Desk, bundle, evidence, identified, patient, result
from sqlalchemy import func, select
from store.couriers import BOTH
from store.kept import now

import adapter
from adapter.catalog.catalog import Catalog
from adapter.errors import AdapterError, Category
from adapter.fhir.versions import FhirVersion
from adapter.service.evaluation import Evaluator
from adapter.store.bodies import closed
from adapter.store.ledger import Receipt as Received
from adapter.store.ledger import Replayed, Store, verify_audit
from adapter.store.sealing import Sealer
from adapter.store.tables import audit, known, known_name, outbox, receipt
from adapter.verbs.forgetting import run as forget

DATABASES = BOTH
CANARIES = ("8.7719", "MRN-7719003311", "pat-zyx-771900", "1961-07-23", "Zyxqvarnhagen")
OF = f"Patient/{CANARIES[2]}"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return adapter.load_catalog()


@pytest.fixture(scope="module")
def evaluator(catalog: Catalog) -> Evaluator:
    return Evaluator(catalog, "test", BASE, "")


@pytest.fixture
def stores(url: str) -> Iterator["Stores"]:
    made = Stores(url)
    yield made
    made.close()


class Stores:
    """Stores on one database, each as a process of its own would have it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: list[Store] = []

    def __call__(self, *keys: bytes) -> Store:
        store = Store.open(self._url, now)
        store.sealer = Sealer(keys)
        self._opened.append(store)
        return store

    def close(self) -> None:
        for each in self._opened:
            each.close()


def canaries() -> dict[str, object]:
    person = identified(CANARIES[1], CANARIES[2], birthDate=CANARIES[3], name=[{"family": CANARIES[4]}])
    return bundle(person, result("a-1", float(CANARIES[0]), of=OF))


def written(folder: Path) -> bytes:
    return b"".join(each.read_bytes() for each in sorted(folder.iterdir()))


def seen(data: bytes) -> list[str]:
    return [each for each in CANARIES if each.encode() in data]


def count(store: Store, table: object) -> int:
    with store.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]  # a table


def test_another_process_knows_what_was_kept(catalog: Catalog, evaluator: Evaluator, stores: Stores) -> None:
    Desk(catalog, evaluator=evaluator, store=stores()).send(bundle(patient(), result("a-1", 8.1)))
    found = Desk(catalog, evaluator=evaluator, store=stores()).send(bundle(result("c-1", 0.1, C_PEPTIDE)))
    assert "Observation/a-1" in evidence(found.patients[0])


def test_numbers_come_back_digit_by_digit(catalog: Catalog, evaluator: Evaluator, stores: Stores) -> None:
    desk = Desk(catalog, evaluator=evaluator, store=stores())
    sent = result("a-1", 0)
    text = "8.10000000000000000001"
    sent["valueQuantity"]["value"] = "@"
    data = json.dumps(bundle(patient(), sent)).replace('"@"', text).encode()
    message = desk.across.read(data, "", "lab", desk.clock)
    change = desk.across.judge(message, desk.across.find(message), FhirVersion.R4, desk.clock).change
    assert change is not None
    assert desk.store.writer.run(change)
    (version,) = [each for each in desk.held().versions if each.id == "a-1"]
    assert str(version.resource.value_quantity.value) == text  # type: ignore[attr-defined]  # an Observation


@pytest.mark.parametrize("sealed", [True, False])
def test_with_a_key_nothing_of_a_patient_can_be_read_in_the_files(
    catalog: Catalog, evaluator: Evaluator, stores: Stores, tmp_path: Path, *, sealed: bool
) -> None:
    store = stores(os.urandom(32)) if sealed else stores()
    desk = Desk(catalog, evaluator=evaluator, store=store)
    for _ in range(3):
        desk.send(canaries())
    with store.engine.connect() as connection:
        bodies = [bytes(each) for each in connection.execute(select(known.c.body)).scalars()]
        bodies += [bytes(each) for each in connection.execute(select(outbox.c.resources)).scalars()]
    store.close()
    assert seen(written(tmp_path)) == []
    assert all(each.startswith(b"\x01") is sealed for each in bodies), "packed is not sealed"
    assert closed(Sealer(), "n", b"x") == b"x"


def test_a_wrong_key_stops_the_start_and_says_what_to_do(
    catalog: Catalog, evaluator: Evaluator, stores: Stores
) -> None:
    first, second = os.urandom(32), os.urandom(32)
    Desk(catalog, evaluator=evaluator, store=stores(first)).send(canaries())
    for keys in ((), (second,)):
        with pytest.raises(AdapterError) as wrong:
            Desk(catalog, evaluator=evaluator, store=stores(*keys))
        assert (wrong.value.category, wrong.value.issues[0].code) == (Category.UNAVAILABLE, "storage-key")
        assert "storage_key_file" in wrong.value.issues[0].message


def test_keys_are_changed_one_after_the_other(catalog: Catalog, evaluator: Evaluator, stores: Stores) -> None:
    first, second = os.urandom(32), os.urandom(32)
    Desk(catalog, evaluator=evaluator, store=stores()).send(canaries())
    Desk(catalog, evaluator=evaluator, store=stores(first)).send(canaries())
    Desk(catalog, evaluator=evaluator, store=stores(second, first)).send(canaries())
    found = Desk(catalog, evaluator=evaluator, store=stores(second)).send(bundle(result("x", 1, "11111-1", of=OF)))
    assert "Observation/a-1" in evidence(found.patients[0])


def test_many_at_once_of_one_patient_lose_nothing(catalog: Catalog, evaluator: Evaluator, stores: Stores) -> None:
    desks = [Desk(catalog, evaluator=evaluator, store=stores()) for _ in range(2)]
    desks[0].send(bundle(patient()))
    threads = [
        threading.Thread(target=lambda n=n: desks[n % 2].send(bundle(result(f"a-{n}", 5 + n / 10))))  # type: ignore[misc]  # bound now
        for n in range(16)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    names = {each.name for each in desks[1].held().versions}
    assert names == {"Patient/1", *(f"Observation/a-{n}" for n in range(16))}
    assert verify_audit(desks[0].store) is None
    assert count(desks[0].store, receipt) == count(desks[0].store, outbox) == 17


def test_two_who_begin_with_the_same_patient_at_once_make_one(
    catalog: Catalog, evaluator: Evaluator, stores: Stores
) -> None:
    desks = [Desk(catalog, evaluator=evaluator, store=stores()) for _ in range(2)]
    sent = [bundle(identified("7", "1"), result("a-1", 8.1)), bundle(identified("7", "1"), result("a-2", 8.2))]
    judged = [desk.judge(each) for desk, each in zip(desks, sent, strict=True)]
    told = [desk.store.writer.run(each.change) for desk, each in zip(desks, judged, strict=True)]  # type: ignore[arg-type]  # there is one
    assert told == [True, False], "who comes second is told that it is not so any more"
    desks[1].send(sent[1])
    assert {each.name for each in desks[0].held().versions} == {"Patient/1", "Observation/a-1", "Observation/a-2"}
    assert count(desks[0].store, known) == 1


def test_who_has_not_been_heard_of_for_long_is_forgotten(
    catalog: Catalog, evaluator: Evaluator, stores: Stores
) -> None:
    desk = Desk(catalog, evaluator=evaluator, store=stores(), days=30)
    for number in range(250):
        desk.send(bundle(patient(f"p{number}"), result(f"a-{number}", 8.1, of=f"Patient/p{number}")))
    desk.clock += datetime.timedelta(days=29)
    desk.send(bundle(patient("p7")))
    desk.clock += datetime.timedelta(days=2)
    assert desk.patients.sweep() == 249
    assert (count(desk.store, known), desk.patients.sweep()) == (1, 0)
    assert desk.held("of|lab|Patient/p7").name == "p7"
    assert count(desk.store, known_name) == len(desk.patients.find("", ["of|lab|Patient/p7"]).held[0].names_before)


def asked(url: str, patient: str, sender: str | None = None, tenant: str = "") -> argparse.Namespace:
    return argparse.Namespace(patient=patient, sender=sender, tenant=tenant, database=url)


@pytest.mark.parametrize("by", [(f"{MRN}|{CANARIES[1]}", None), (CANARIES[2], "lab"), (OF, "lab")])
def test_a_patient_is_forgotten_with_all_that_was_answered_and_is_to_be_delivered(
    catalog: Catalog, evaluator: Evaluator, stores: Stores, url: str, by: tuple[str, str | None],
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    store = stores()
    desk = Desk(catalog, evaluator=evaluator, store=store)
    desk.send(canaries())
    desk.send(bundle(patient("other", birthDate="1950-01-01")))
    said = io.StringIO()
    monkeypatch.setattr(sys, "stdout", said)
    assert forget(asked(url, *by)) == 0
    assert said.getvalue() == "forgotten: 1 patient(s), 1 deliveries and 1 replies emptied\n"
    assert count(store, known) == 1
    with store.engine.connect() as connection:
        states = connection.execute(select(outbox.c.state, outbox.c.resources.is_(None)).order_by(outbox.c.id)).all()
        (place,) = connection.execute(select(receipt.c.client, receipt.c.key).where(receipt.c.status == 410)).all()
        rows = connection.execute(select(audit.c.detail).where(audit.c.action == "forget")).scalars().all()
    assert [tuple(each) for each in states] == [("dropped", True), ("pending", False)]
    assert rows == ['{"deliveries":1,"patients":1,"replies":1}']
    again = store.claim(Received(place.client, place.key, "", now()), 1)
    assert isinstance(again, Replayed)
    assert (again.reply.status, b"forgotten" in again.reply.body) == (410, True)
    assert verify_audit(store) is None
    assert "Observation/a-1" not in evidence(desk.send(bundle(patient(CANARIES[2]))).patients[0])
    with pytest.raises(AdapterError) as unknown:
        forget(asked(url, "urn:x|nobody"))
    assert unknown.value.issues[0].code == "patient-unknown"
    assert seen(written(tmp_path)) == []


@pytest.mark.parametrize("name", ["7", "|7", "urn:x|", "Observation/7"])
def test_what_is_no_name_of_a_patient_is_said_so(url: str, name: str) -> None:
    with pytest.raises(AdapterError) as wrong:
        forget(asked(url, name))
    assert wrong.value.issues[0].code == "patient-name"


def test_a_key_file_is_made_as_the_docs_say(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_bytes(base64.b64encode(os.urandom(32)) + b"\n" + base64.b64encode(os.urandom(32)) + b"\n")
    assert Sealer.of(path).seals
