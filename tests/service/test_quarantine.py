"""What an engine would queue for ever is set aside, sealed and told; nothing is set aside that was not asked to be."""

import argparse
import base64
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import pytest
from service.conftest import sample
from service.lasting import OTHER, SECRET, Lasting

from adapter.catalog.catalog import Catalog
from adapter.cli import main
from adapter.store.ledger import verify_audit
from adapter.verbs.quarantine import run

QUEUES = {"Authorization": f"Bearer {SECRET}"}
HONEST = {"Authorization": f"Bearer {OTHER}"}
CANARY = "Quintessa-Canarybird"
NOBODY = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"resource": {"resourceType": "Basic", "id": CANARY}}],
}
Build = Callable[..., Lasting]


@pytest.fixture
def build(
    catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Build]:
    tokens, key = tmp_path / "tokens.toml", tmp_path / "keys"
    rows = [("mirth", SECRET, "true"), ("honest", OTHER, "false")]
    tokens.write_text(
        "\n".join(
            f'[[client]]\nname = "{name}"\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
            f'scopes = ["ingest", "read"]\nquarantine = {is_on}'
            for name, token, is_on in rows
        )
    )
    key.write_text(base64.b64encode(os.urandom(32)).decode())
    monkeypatch.setenv("TRIAL_ADAPTER_SERVE_STORAGE_KEY_FILE", str(key))
    monkeypatch.setenv("TRIAL_ADAPTER_SERVE_DATABASE", f"sqlite:///{tmp_path / 'store.db'}")
    made: list[Lasting] = []

    def build(**settings: object) -> Lasting:
        made.append(Lasting(catalog, portal, tmp_path, tokens_file=tokens, **settings))
        return made[-1]

    yield build
    for each in made:
        each.kept.close()


def options(action: str, id_: int | None = None, content: Path | None = None) -> argparse.Namespace:
    return argparse.Namespace(action=action, id=id_, content=content, database=None)


PERMANENT: list[tuple[str, object, dict[str, str], int]] = [
    ("not JSON", b'{"name": "Quintessa-Canarybird"', {}, 400),
    ("no media type", NOBODY, {"Content-Type": "text/plain"}, 415),
    ("nobody in it", NOBODY, {}, 422),
    ("nothing at all", b"", {}, 400),
]


@pytest.mark.parametrize(
    ("body", "headers", "status"), [row[1:] for row in PERMANENT], ids=[row[0] for row in PERMANENT]
)
def test_a_permanent_refusal_is_set_aside_for_who_asked_for_it(
    build: Build, body: object, headers: dict[str, str], status: int
) -> None:
    service = build()
    honest = service("POST", "/fhir", body, **headers, **HONEST)
    assert honest.status_code == status
    assert "x-quarantined" not in honest.headers
    answer = service("POST", "/fhir", body, **headers, **QUEUES)
    assert (answer.status_code, answer.headers["x-quarantined"]) == (200, "1")
    assert [each["severity"] for each in answer.json()["issue"]] == ["error"] * len(honest.json()["issue"])
    assert answer.json() == honest.json()
    assert service.audited("quarantined") == ["bundle"]
    assert "trial_adapter_quarantined_total" in service("GET", "/metrics", **QUEUES).text
    assert CANARY not in service.log.getvalue()


def test_a_key_of_another_message_is_set_aside_too(build: Build) -> None:
    service = build()
    service("POST", "/fhir", sample("shape-transaction"), Idempotency_Key="k1", **QUEUES)
    answer = service("POST", "/fhir", sample("CFMSC-candidate"), Idempotency_Key="k1", **QUEUES)
    assert (answer.status_code, answer.headers["x-quarantined"]) == (200, "1")


def test_what_comes_again_and_again_is_kept_once(build: Build) -> None:
    service = build()
    ids = {service("POST", "/fhir", NOBODY, **QUEUES).headers["x-quarantined"] for _ in range(5)}
    assert ids == {"1"}
    assert service.audited("quarantined") == ["bundle"]
    assert service("POST", "/fhir/hook/x", NOBODY, **QUEUES).headers["x-quarantined"] == "2"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/fhir/ResearchStudy/$match", NOBODY, 422),
        ("GET", "/fhir/ResearchStudy/none", None, 404),
        ("PUT", "/fhir/patient/1", NOBODY, 404),
    ],
)
def test_what_is_no_message_is_refused_as_ever(build: Build, method: str, path: str, body: object, status: int) -> None:
    answer = build()(method, path, body, **QUEUES)
    assert (answer.status_code, "x-quarantined" in answer.headers) == (status, False)


def test_what_may_pass_is_not_set_aside(build: Build) -> None:
    service = build(max_outbox=1)
    service.service.room.took(deliveries=2)
    service.service.room._counted_at = float("inf")
    answer = service("POST", "/fhir", NOBODY, **QUEUES)
    assert (answer.status_code, "x-quarantined" in answer.headers) == (503, False)


def test_it_is_bounded_and_then_honest(build: Build) -> None:
    service = build(quarantine_count=2, quarantine_days=7)

    def statuses(*names: str) -> list[int]:
        sent = [NOBODY | {"id": name} for name in names]
        return [service("POST", "/fhir", each, **QUEUES).status_code for each in sent]

    assert statuses("a", "b", "c", "a") == [200, 200, 422, 200]
    service.later(8 * 86400)
    assert statuses("c", "d", "e") == [200, 200, 422], "after its days a message is forgotten"
    large = build(quarantine_bytes=10)
    assert large("POST", "/fhir", NOBODY | {"id": "f"}, **QUEUES).status_code == 422


def test_nothing_is_set_aside_where_nothing_may_be_kept(build: Build) -> None:
    assert build(storage="none")("POST", "/fhir", NOBODY, **QUEUES).status_code == 422


def test_it_is_sealed(build: Build, tmp_path: Path) -> None:
    service = build()
    service("POST", "/fhir", NOBODY, **QUEUES)
    service("PUT", f"/fhir/Patient/{CANARY}", {"resourceType": "Patient", "id": "x"}, **QUEUES)
    service.kept.close()
    written = b"".join(each.read_bytes() for each in tmp_path.glob("store.db*"))
    assert b"quarantine" in written
    assert CANARY.encode() not in written


def test_the_operator_sees_codes_and_places_and_content_only_on_demand(
    build: Build, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = build()
    service("POST", "/fhir", NOBODY, **QUEUES)
    assert run(options("list"), None) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0] == "1 set aside"
    assert "mirth, bundle, 422 no-patient" in told
    target = tmp_path / "content.json"
    assert run(options("show", 1, target), None) == 0
    told += capsys.readouterr().out
    assert CANARY not in told
    assert json.loads(target.read_bytes()) == NOBODY
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert service.audited("done").count("quarantine-content") == 1
    assert main(["quarantine", "show", "1", "--content", str(target)]) == 2, "no file is written over"
    assert main(["quarantine", "show", "9"]) == 2


def test_a_dropped_message_is_gone(build: Build) -> None:
    service = build()
    service("POST", "/fhir", NOBODY, **QUEUES)
    assert main(["quarantine", "drop", "1"]) == 0
    assert main(["quarantine", "drop", "1"]) == 2
    assert main(["quarantine", "list", "1"]) == 2
    assert main(["quarantine", "show"]) == 2
    assert service.audited("done")[-1] == "quarantine-drop"
    assert verify_audit(service.kept) is None


def test_a_released_message_is_done_as_if_it_had_come_now(
    build: Build, catalog: Catalog, capsys: pytest.CaptureFixture[str]
) -> None:
    service = build()
    service("POST", "/fhir", sample("shape-transaction"), Content_Type="text/plain", **QUEUES)
    assert run(options("release", 1), catalog) == 1, "its media type is as wrong as before"
    assert "media-type" in capsys.readouterr().out
    service("POST", "/fhir", sample("CFMSC-candidate"), Idempotency_Key="k1", **QUEUES)
    assert service("POST", "/fhir", sample("shape-transaction"), Idempotency_Key="k1", **QUEUES).status_code == 200
    assert (service.count("receipt"), service.count("outbox")) == (1, 1)
    service.later(15 * 86400)
    with service.kept.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM receipt")  # what the sweeper does with old ones
    assert run(options("release", 2), catalog) == 0
    assert (service.count("receipt"), service.count("outbox")) == (1, 2)
    assert main(["quarantine", "show", "2"]) == 2


def test_a_released_hook_is_done_at_its_place(build: Build, catalog: Catalog) -> None:
    service = build()
    patient: dict[str, Any] = {"resourceType": "Patient", "id": "p1", "birthDate": "1970-01-01"}
    assert service("PUT", "/fhir/hook/ehr/Patient/p2", patient, **QUEUES).headers["x-quarantined"] == "1"
    assert run(options("release", 1), catalog) == 1
