"""Over HTTP: what an engine is told of what earlier messages said, and what stands on the disk."""

import datetime
import io
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import httpx
import pytest
from service.conftest import FHIR, NOW, Asked
from service.known_desk import C_PEPTIDE, bundle, condition, identified, patient, result
from sqlalchemy import Table, select

from adapter.catalog.catalog import Catalog
from adapter.service.app import create_app
from adapter.service.settings import read_settings
from adapter.store.ledger import Store
from adapter.store.tables import audit, known, known_name, metadata, outbox, receipt, receipt_lane

CANARIES = ("8.7719", "MRN-7719003311", "pat-zyx-771900", "1961-07-23", "Zyxqvarnhagen")


class Site(Asked):
    """A service with its database in a file, and a clock that goes on with every look at it."""

    def __init__(
        self, catalog: Catalog, portal: anyio.from_thread.BlockingPortal, folder: Path, **settings: object
    ) -> None:
        self.file = folder / "adapter.db"
        self.time = NOW
        self.real = Store.open(f"sqlite:///{self.file}", self.now)
        self.log = io.StringIO()
        self.app = create_app(read_settings(**settings), catalog, self.real, self.now, self.log)
        self._portal = portal

    def now(self) -> datetime.datetime:
        self.time += datetime.timedelta(milliseconds=1)
        return self.time

    def each_at_once(self, bodies: list[bytes]) -> list[httpx.Response]:
        async def ask() -> list[httpx.Response]:
            answers: list[httpx.Response] = []

            async def one(body: bytes) -> None:
                answers.append(await self._ask("POST", "/fhir", body, FHIR))

            async with anyio.create_task_group() as group:
                for body in bodies:
                    group.start_soon(one, body)
            return answers

        return self._portal.call(ask)

    def rows(self, table: Table) -> list[Any]:
        with self.real.engine.connect() as connection:
            return list(connection.execute(select(table)).mappings())

    def files(self) -> bytes:
        return b"".join(each.read_bytes() for each in sorted(self.file.parent.iterdir()) if "adapter.db" in each.name)


@pytest.fixture
def site(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Site]:
    made = Site(catalog, portal, tmp_path, **getattr(request, "param", {}))
    yield made
    made.real.close()


def canaries(value: float = 8.7719) -> dict[str, Any]:
    person = identified(CANARIES[1], CANARIES[2], birthDate=CANARIES[3], name=[{"family": CANARIES[4]}])
    return bundle(person, result("a-1", value, of=f"Patient/{CANARIES[2]}"))


def seen(data: bytes) -> list[str]:
    return [each for each in CANARIES if each.encode() in data]


def told(answer: Any) -> list[str]:  # noqa: ANN401 (a response of httpx)
    """Give the texts of all issues in an answer, wherever they stand."""
    found = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            if value.get("resourceType") == "OperationOutcome":
                found.extend(each["details"]["text"] for each in value["issue"])
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(answer.json())
    return found


@pytest.mark.parametrize("kind", ["collection", "transaction", "batch"])
def test_the_sender_is_told_what_the_message_changed(site: Site, kind: str) -> None:
    site("POST", "/fhir", bundle(patient(), condition("t2"), result("c-1", 0.1, C_PEPTIDE)))
    entry = [{"resource": result("a-1", 5.0), "request": {"method": "PUT", "url": "Observation/a-1"}}]
    answer = site("POST", "/fhir", bundle(entry=entry) | {"type": kind})
    assert answer.status_code == 200
    said = "NCT02302599: NCT02302599-I5a was unknown and is not-met, resting on Observation/a-1"
    assert said in told(answer)
    if kind != "collection":
        outcome = answer.json()["entry"][0]["response"]["outcome"]
        assert said in [each["details"]["text"] for each in outcome["issue"]], "with the entry that it rests on"
    detail = json.loads(site.rows(audit)[-1]["detail"])
    assert "NCT02302599-I5a unknown not-met" in detail["changed"]
    assert "a-1" not in site.rows(audit)[-1]["detail"]


def test_what_comes_before_its_patient_is_taken_with_a_warning(site: Site) -> None:
    answer = site("POST", "/fhir", bundle(result("a-1", 5.0)))
    assert answer.status_code == 200
    (said,) = told(answer)
    assert said.startswith("1 resource(s) are about a Patient that has not been sent yet")
    assert answer.json()["issue"][0]["severity"] == "warning"
    assert any(
        "Observation/a-1" in each.text
        for each in [site("POST", "/fhir", bundle(patient()), Prefer="return=representation")]
    )


def test_a_question_is_answered_by_what_it_brings(site: Site) -> None:
    site("POST", "/fhir", bundle(patient(), result("a-1", 5.0)))
    for path in ("/fhir/ResearchStudy/$evaluate-eligibility", "/fhir/ResearchStudy/$match"):
        assert "Observation/a-1" not in site("POST", path, bundle(patient())).text


def test_sixteen_at_once_of_one_patient_are_all_kept(site: Site) -> None:
    site("POST", "/fhir", bundle(patient()))
    bodies = [json.dumps(bundle(result(f"a-{number}", 5 + number / 10))).encode() for number in range(16)]
    answers = site.each_at_once(bodies)
    assert {each.status_code for each in answers} == {200}
    found = site("POST", "/fhir", bundle(patient()), Prefer="return=representation").text
    assert "Observation/a-15" in found or "Observation/a-0" in found
    (row,) = site.rows(known)
    assert row["version"] == 18, "each of them was put to what the one before left"


@pytest.mark.parametrize("site", [{"storage": "none"}], indirect=True)
def test_without_storage_nothing_of_a_patient_is_on_the_disk(site: Site) -> None:
    first = site("POST", "/fhir", canaries(), Idempotency_Key="k-1")
    assert first.status_code == 200
    again = site("POST", "/fhir", canaries(), Idempotency_Key="k-1")
    assert (again.status_code, "x-idempotent-replay" in again.headers) == (200, False), "it is evaluated again"
    assert site("POST", "/fhir", canaries(5.0), Idempotency_Key="k-1").status_code == 409
    assert site("POST", "/fhir", bundle(result("a-2", 5.0))).status_code == 422
    later = site("POST", "/fhir", canaries(6.0), Prefer="respond-async")
    assert later.status_code == 200, "an answer that is asked for later would have to be kept"
    assert [each["body"] for each in site.rows(receipt)] == [None, None]
    filled = {table.name for table in metadata.sorted_tables if site.rows(table)}
    assert filled <= {"receipt", "audit", "audit_head", "known_key"}
    assert seen(site.files()) == []


@pytest.mark.parametrize("site", [{"storage": "none", "target": "http://127.0.0.1:9/fhir"}], indirect=True)
def test_without_storage_results_wait_for_their_server_and_no_longer(site: Site) -> None:
    site("POST", "/fhir", canaries())
    assert len(site.rows(outbox)) == 1
    assert not site.rows(known) + site.rows(known_name) + site.rows(receipt_lane)


def test_with_a_key_all_that_is_kept_is_sealed(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    keys.write_bytes(b64encode(os.urandom(32)))
    site = Site(catalog, portal, tmp_path, storage_key_file=keys)
    first = site("POST", "/fhir", canaries(), Idempotency_Key="k-1")
    again = site("POST", "/fhir", canaries(), Idempotency_Key="k-1")
    assert (again.content, again.headers["x-idempotent-replay"]) == (first.content, "true")
    bodies = [each["body"] for each in site.rows(known)]
    bodies += [each["body"] for each in site.rows(receipt)] + [each["resources"] for each in site.rows(outbox)]
    assert len(bodies) == 3
    assert all(bytes(each).startswith(b"\x01") for each in bodies)
    assert seen(site.files()) == []
    site.real.close()
