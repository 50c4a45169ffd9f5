"""What goes wrong with a message that is to be answered later costs neither it nor any other."""

import base64
import datetime
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import anyio.from_thread
import pytest
from service.conftest import sample
from service.lasting import Lasting
from service.queued import GOOD, LATER, given, place

from adapter.catalog.catalog import Catalog
from adapter.service.outcomes import Refusal
from adapter.service.serving import Service
from adapter.store.chain import AuditRow
from adapter.store.later import Job, Jobs
from adapter.store.ledger import Store, verify_audit
from adapter.store.sealing import Sealer


@pytest.fixture
def lasting(catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> Iterator[Lasting]:
    made = Lasting(catalog, portal, tmp_path)
    yield made
    made.kept.close()


def test_what_a_dead_process_left_is_done_by_the_next(lasting: Lasting, tmp_path: Path) -> None:
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    dead = Store.open(f"sqlite:///{tmp_path / 'store.db'}", lambda: lasting.at)
    dead.owner = f"{dead.owner.partition(':')[0]}:{_pid_of_nobody()}:0"
    job = Jobs(dead, Sealer()).take()
    assert job is not None
    assert lasting("GET", where).headers["x-progress"] == "is being evaluated"
    dead.close()
    assert lasting.work() == 0, "it may still live"
    lasting.worker._care(float("-inf"))
    assert lasting.work() == 1
    assert given(lasting("GET", where))["response"]["status"] == "200 OK"
    assert lasting.count("outbox") == 1


def _pid_of_nobody() -> int:
    pid = os.fork()
    if pid == 0:  # pragma: no cover (another process)
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def test_a_message_that_breaks_us_ends_and_stops_no_other(lasting: Lasting) -> None:
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))

    async def broken(*_arguments: object) -> object:
        raise ZeroDivisionError("Ada Lovelace")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Service, "screened", broken)
        for number in range(3):
            assert lasting("GET", where).status_code == 202, number
            lasting.work()
            lasting.later(400)
    assert given(lasting("GET", where))["response"]["status"].startswith("500 ")
    assert "Lovelace" not in lasting("GET", where).text + lasting.log.getvalue()
    assert lasting("POST", "/fhir", GOOD, Idempotency_Key="k1").status_code == 200


def test_what_may_pass_is_tried_again_with_the_key_held(lasting: Lasting) -> None:
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))

    async def busy(*_arguments: object) -> object:
        raise Refusal.of(503, "busy", "later")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Service, "screened", busy)
        assert lasting.work() == 1
    assert lasting("GET", where).status_code == 202
    assert lasting("POST", "/fhir", sample("CFMSC-candidate"), Idempotency_Key="k1").status_code == 409
    lasting.later(400)
    assert lasting.work() == 1
    assert given(lasting("GET", where))["response"]["status"] == "200 OK"


def test_what_waits_is_sealed_where_there_is_a_key(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    key = tmp_path / "keys"
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    lasting = Lasting(catalog, portal, tmp_path, storage_key_file=key)
    where = place(lasting("POST", "/fhir", GOOD, **LATER))
    lasting.kept.close()
    key.write_text(f"{base64.b64encode(os.urandom(32)).decode()}\n{key.read_text()}")
    rotated = Lasting(catalog, portal, tmp_path, storage_key_file=key)
    assert rotated.work() == 1
    assert given(rotated("GET", where))["response"]["status"] == "200 OK"
    rotated.kept.close()


def test_without_its_key_a_message_waits_and_is_not_lost(tmp_path: Path) -> None:
    moment = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    canary = b"Quintessa Canarybird"
    key = os.urandom(32)
    with_key = Store.open(url, lambda: moment)
    row = AuditRow(moment, "c", "bundle", "queued", "r", {})
    Jobs(with_key, Sealer((key,))).add(Job("c", "k", "d", b"{}", canary * 3), row)
    assert verify_audit(with_key) is None
    with_key.close()
    assert canary not in (tmp_path / "store.db").read_bytes()
    store = Store.open(url, lambda: moment)
    with pytest.raises(Exception, match="storage_key_file"):
        Jobs(store, Sealer((os.urandom(32),))).take()
    moment += datetime.timedelta(minutes=5)
    job = Jobs(store, Sealer((os.urandom(32), key))).take()
    assert job is not None
    assert job.body == canary * 3
    store.close()


def test_what_another_version_wrote_ends_and_is_told(lasting: Lasting) -> None:
    where = place(lasting("POST", "/fhir", GOOD, **LATER))
    with lasting.kept.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE later SET asked = x'5b5d'")
    assert lasting.work() == 1
    assert lasting("GET", where).status_code == 404, "whose it was is not known any more"
    assert 'trial_adapter_later_total{status="500"} 1.0' in lasting("GET", "/metrics").text


def test_a_row_that_cannot_be_read_does_not_end_the_thread(lasting: Lasting) -> None:
    place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k1", **LATER))
    with lasting.kept.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE later SET body = x'0000'")
    stop = threading.Event()
    thread = threading.Thread(target=lasting.worker.run, args=(stop,))
    thread.start()
    where = place(lasting("POST", "/fhir", GOOD, Idempotency_Key="k2", **LATER))
    for _ in range(200):
        if lasting("GET", where).status_code == 200:
            break
        stop.wait(0.05)
    assert given(lasting("GET", where))["response"]["status"] == "200 OK"
    stop.set()
    lasting.service.later.due.set()
    thread.join(10)
    assert not thread.is_alive()
