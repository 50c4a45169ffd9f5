"""What a service leaves behind and tells others has nothing of the patients it saw, even as it fails (S8)."""

import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from security.addresses import Address, addresses
from service.conftest import FHIR
from service.served import Served, served
from service.test_no_patient_value_is_told import BODIES, CANARIES, seen

CRASH = """
import adapter.fhir.wire

_read = adapter.fhir.wire.read

def _crash(data):
    if b"zyxqCrash" in data:
        raise ValueError("cannot read " + bytes(data).decode("utf-8", "replace"))
    return _read(data)

adapter.fhir.wire.read = _crash
"""
"""A ``sitecustomize`` under which one kind of document is a bug of ours, whose exception quotes all of it."""
IN_HEADERS = {
    "X-Request-Id": f"{CANARIES['family']} {CANARIES['mrn']}",
    "Idempotency-Key": f"a b {CANARIES['mrn']}",
    "If-None-Exist": f"identifier=urn:mrn|{CANARIES['mrn']}",
    "Prefer": f"return={CANARIES['family']}",
    "traceparent": CANARIES["mrn"],
    "Authorization": f"Bearer {CANARIES['mrn']}",
    "User-Agent": CANARIES["family"],
    "Cookie": f"name={CANARIES['family']}",
    "Accept": f"application/{CANARIES['family']}",
    "Content-Type": f"text/{CANARIES['family']}",
    "Content-Encoding": CANARIES["family"],
}
PRIVATE = ("receipt", "outbox", "known", "later", "quarantine")
"""Tables that hold what was sent or is to be sent: all others may be shown to whoever operates the service."""


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Path]]:
    """Give a service that has seen the canaries in every way that the tests know."""
    folder = tmp_path_factory.mktemp("canaries")
    (folder / "sitecustomize.py").write_text(CRASH, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=":")
        with served(folder, client_rate="100000/second") as running:
            _use(running)
            yield running, folder


def _use(running: Served) -> None:
    with httpx.Client(base_url=running.url, timeout=20) as client:
        every = addresses(client.get("/openapi.json").json())
        for address in every:
            if address.media is not None:
                _bodies(client, address)
        for name, value in IN_HEADERS.items():
            client.post("/fhir", content=BODIES["whole"], headers=FHIR | {name: value})
        for value in CANARIES.values():
            for path in (
                f"/fhir/Patient/{value}",
                f"/fhir/Patient?name={value}",
                f"/{value}",
                f"/fhir/{value}/{value}",
            ):
                for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
                    client.request(method, path, headers={"Prefer": "handling=strict"})
        crash = BODIES["whole"].replace(b'"family"', b'"zyxqCrash": 1, "family"')
        for headers in ({}, {"Prefer": "respond-async"}, {"Idempotency-Key": "crash"}):
            answer = client.post("/fhir", content=crash, headers=FHIR | headers)
            assert answer.status_code in (202, 500)
            assert seen(answer.text) == []


def _bodies(client: httpx.Client, address: Address) -> None:
    for name, body in BODIES.items():
        for headers in ({}, {"Prefer": "respond-async"}, {"Prefer": "return=representation"}):
            answer = client.request(address.method, address.path, content=body, headers=FHIR | headers)
            assert answer.status_code < 500, (address, name, answer.text)


def test_the_log_has_nothing_of_a_patient(used: tuple[Served, Path]) -> None:
    log = used[0].log.read_text(encoding="utf-8", errors="replace")
    assert "defect" in log, "the bug is in it"
    assert "Traceback" not in log
    assert seen(log) == []


def test_what_others_are_told_has_nothing_of_a_patient(used: tuple[Served, Path]) -> None:
    running, _ = used
    told = []
    with httpx.Client(base_url=running.url) as client:
        for address in addresses(client.get("/openapi.json").json()):
            for body in (None, b"{", b"{}"):
                answer = client.request(address.method, address.path, content=body, headers=FHIR if body else {})
                told.append(answer.text + repr(answer.headers))
        told += [client.get(path).text for path in ("/openapi.json", "/metrics", "/status", "/healthz", "/readyz")]
    assert [each for each in told if seen(each)] == []


def test_the_audit_has_nothing_of_a_patient(used: tuple[Served, Path]) -> None:
    _, folder = used
    database = sqlite3.connect(f"file:{folder / 'store.db'}?mode=ro", uri=True)
    try:
        tables = [name for (name,) in database.execute("select name from sqlite_master where type = 'table'")]
        open_ = [name for name in tables if not name.startswith(PRIVATE)]
        assert "audit" in open_
        rows: list[tuple[Any, ...]] = [
            row
            for name in open_
            for row in database.execute(f'select * from "{name}"')  # noqa: S608 (its own names)
        ]
        # Of the private ones, what is not the content: keys, lanes, codes.
        for name in set(tables) - set(open_):
            columns = [
                column for _, column, kind, *_ in database.execute(f'pragma table_info("{name}")') if kind != "BLOB"
            ]
            chosen = ", ".join(f'"{column}"' for column in columns) or "1"
            rows += database.execute(f'select {chosen} from "{name}"')  # noqa: S608 (the same)
    finally:
        database.close()
    assert len(rows) > 50
    assert seen(json.dumps(rows, default=repr)) == []


def test_its_files_are_for_its_owner_alone(used: tuple[Served, Path]) -> None:
    _, folder = used
    found = [each for each in folder.iterdir() if re.match(r"store\.db", each.name)]
    assert found
    assert {oct(each.stat().st_mode & 0o777) for each in found} == {"0o600"}


def test_a_process_that_ends_says_nothing_of_a_patient(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text(CRASH, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with served(tmp_path) as running:
        for body in BODIES.values():
            httpx.post(f"{running.url}/fhir", content=body, headers=FHIR)
        (tmp_path / "store.db").write_bytes(b"not a database at all" * 1000)
        for body in BODIES.values():
            answer = httpx.post(
                f"{running.url}/fhir?again", content=body + b" ", headers=FHIR | {"Idempotency-Key": "x"}
            )
            if answer.status_code >= 500:
                assert seen(answer.text) == []
        running.stop()
        assert seen(running.log.read_text(encoding="utf-8", errors="replace")) == []
