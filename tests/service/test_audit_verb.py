"""The audit at the command: does it hold, and what it says as AuditEvents that IHE's profiles would take."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio.from_thread
import httpx
import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from service.conftest import NOW, sample
from service.issuer import client_row, tokens_file
from service.lasting import Lasting
from service.served import served
from sqlalchemy import create_engine, text

from adapter.catalog.catalog import Catalog
from adapter.cli import main
from adapter.fhir.versions import FhirVersion
from adapter.service.audit_events import Recording, audit_events
from adapter.service.auditing import SINGLY
from adapter.store.chain import AuditRow
from adapter.store.chain_key import read_chain_keys, use
from adapter.validate import validate
from adapter.verbs.opened import keyed

GOOD = sample("shape-transaction")
TOKEN = "engine-" + "0" * 40
VALUES = ("SYN-11190", "Übertragung", "1977-07-07")
KEY = base64.b64encode(b"k" * 32).decode()
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
REST = "http://hl7.org/fhir/restful-interaction"


@pytest.fixture
def used(catalog: Catalog, portal: anyio.from_thread.BlockingPortal, tmp_path: Path) -> Iterator[Lasting]:
    """Give a service that was asked for everything there is, well and badly."""
    path = tokens_file(tmp_path, client_row("engine", TOKEN, '["ingest", "read"]'))
    made = Lasting(catalog, portal, tmp_path, tokens_file=path)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    made("POST", "/fhir", GOOD, **headers)
    made("POST", "/fhir", GOOD, **headers)
    made("POST", "/fhir", b"{", **headers)
    made("POST", "/fhir", GOOD, Authorization="Bearer nobody-nobody")
    made("GET", "/fhir/ResearchStudy/cfmsc", **headers)
    made("GET", "/fhir/ResearchStudy", **headers)
    made("GET", "/fhir/nobody-is-here/x", **headers)
    made("POST", "/fhir/ResearchStudy/$match", GOOD, **headers)
    made("POST", "/cds-services/trial-eligibility", {}, **headers)
    for _ in range(30):
        made("GET", "/metrics")
    made.later(61)
    made("GET", "/metrics")
    yield made
    made.kept.close()


def address(used: Lasting) -> str:
    return str(used.kept.engine.url)


def exported(used: Lasting, capfdbinary: pytest.CaptureFixture[bytes], *more: str) -> list[dict[str, Any]]:
    assert main(["audit", "export", "--format", "fhir", "--database", address(used), *more]) == 0
    return [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]


def test_every_row_is_a_valid_audit_event(used: Lasting, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    events = exported(used, capfdbinary)
    assert len(events) >= 20
    for each in events:
        AuditEvent.model_validate(each)
        issues = validate(json.dumps(each).encode(), FhirVersion.R4).issues
        assert [str(issue) for issue in issues] == []
    assert len({each["id"] for each in events}) == len(events)
    said = json.dumps(events, ensure_ascii=False)
    assert [value for value in VALUES if value in said] == []
    assert TOKEN not in said


def test_an_event_has_what_its_profile_asks_for(used: Lasting, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    events = exported(used, capfdbinary)
    named = [(each, each["meta"]["profile"][0].removeprefix(BALP)) for each in events if "meta" in each]
    assert {name for _, name in named} == {"PatientCreate", "PatientQuery", "Read", "Query"}
    for each, name in named:
        _check_profile(each, name)
    refused = [each for each in events if each["outcome"] != "0"]
    assert refused
    assert not any("meta" in each for each in refused), "BALP's profiles are of what succeeded"


def _check_profile(event: dict[str, Any], name: str) -> None:
    client, server = event["agent"]
    assert (client["type"]["coding"][0]["code"], server["type"]["coding"][0]["code"]) == ("110153", "110152")
    assert all(agent["who"] and agent["network"]["address"] for agent in event["agent"])
    assert (event["type"]["code"], event["outcome"]) == ("rest", "0")
    assert any(each["system"] == REST for each in event["subtype"])
    by_type = {each["type"]["code"]: each for each in event["entity"]}
    assert by_type["XrequestId"]["what"]["identifier"]["value"]
    if name.endswith("Query"):
        assert event["action"] == "E"
        assert base64.b64decode(by_type["2"]["query"])
        assert by_type["2"]["role"]["code"] == "24"
        assert not {"what", "detail", "lifecycle"} & set(by_type["2"])
    else:
        assert event["action"] == {"PatientCreate": "C", "Read": "R"}[name]
        assert by_type["2"]["what"]
    if name.startswith("Patient"):
        assert by_type["1"]["role"]["code"] == "1"
        assert len(by_type["1"]["what"]["identifier"]["value"]) == 64


@pytest.mark.parametrize(
    ("client", "action", "outcome", "detail", "told"),
    [
        ("outbox", "deliver", "dead", {"row": 7, "code": "http-422"}, ("110100", "U", "4")),
        ("outbox", "write-subject", "kept-by-person", {"name": "x", "held": "on-study"}, ("110100", "E", "0")),
        ("operator", "outbox-replay", "done", {}, ("110100", "E", "0")),
        ("engine", "hook", "failed", {"status": 500, "refused": ""}, ("rest", "C", "8")),
        ("engine", "cancel", "cancelled", {}, ("rest", "E", "0")),
        ("engine", "bundle", "replayed", {"status": 200, "peer": "::1"}, ("rest", "R", "0")),
        ("engine", "bundle", "done", {"bundle": "message", "patient": "a b", "peer": "::1"}, ("rest", "C", "0")),
        ("others", "others", "refused", {"status": 429, "count": 5}, ("rest", "E", "4")),
    ],
)
@pytest.mark.parametrize("request_id", ["", "r-1"])
def test_whatever_is_recorded_can_be_told(
    client: str, action: str, outcome: str, detail: dict[str, str | int], told: tuple[str, str, str], request_id: str
) -> None:
    row = AuditRow(NOW, client, action, outcome, request_id, detail)
    events = list(audit_events(1, row, Recording("https://adapter.example.org/fhir", "s/1")))
    assert len(events) == max(1, len(str(detail.get("patient", "")).split()))
    for each in events:
        assert (each["type"]["code"], each["action"], each["outcome"]) == told
        AuditEvent.model_validate(each)
        assert [str(issue) for issue in validate(json.dumps(each).encode(), FhirVersion.R4).issues] == []
        entities = [dict(entity) for entity in each.get("entity", ())]
        said = {part["type"]: part["valueString"] for entity in entities for part in entity.get("detail", ())}
        assert said == {
            name: str(value) for name, value in detail.items() if name not in ("patient", "peer") and value != ""
        }


def test_a_flood_is_told_as_its_count(used: Lasting, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    details = [
        {each["type"]: each["valueString"] for entity in event["entity"] for each in entity.get("detail", ())}
        for event in exported(used, capfdbinary)
        if event["type"]["code"] == "110114"
    ]
    assert [each["count"] for each in details if "count" in each] == ["20"]


def test_only_later_rows_are_given_where_a_place_is_named(
    used: Lasting, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    whole = exported(used, capfdbinary)
    assert exported(used, capfdbinary, "--after", "5") == whole[5:]


def test_verify_says_whether_it_holds_and_where_not(used: Lasting, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["audit", "verify", "--database", address(used)]
    assert main(given) == 0
    first, last = capsys.readouterr().out.splitlines()
    head = last.removeprefix("head ")
    assert first == f"holds: {head.split(':')[0]} rows"
    assert main([*given, "--head", head]) == 0
    assert main([*given, "--head", f"1:{'0' * 64}"]) == 1
    assert main([*given, "--head", "nothing"]) == 2
    capsys.readouterr()
    engine = create_engine(address(used))
    with engine.begin() as connection:
        connection.execute(text("update audit set client = 'someone' where seq = 3"))
    engine.dispose()
    assert main(given) == 1
    assert capsys.readouterr().out == "broken at row 3: it was changed\n"


def test_a_database_that_is_not_there_is_not_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "lost.db"
    assert main(["audit", "verify", "--database", f"sqlite:///{path}"]) == 2
    assert "no database" in capsys.readouterr().err
    assert not path.exists()


def test_the_key_of_the_settings_is_used(
    used: Lasting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "audit.key"
    key.write_text(KEY)
    keyed(used.kept, key)
    use(used.kept.engine, read_chain_keys(key))
    given = ["audit", "verify", "--database", address(used)]
    assert main(given) == 1
    assert "audit_key_file" in capsys.readouterr().err
    monkeypatch.setenv("TRIAL_ADAPTER_SERVE_AUDIT_KEY_FILE", str(key))
    assert main(given) == 0
    assert "written before there was a key" in capsys.readouterr().out
    monkeypatch.delenv("TRIAL_ADAPTER_SERVE_AUDIT_KEY_FILE")
    settings = tmp_path / "serve.toml"
    settings.write_text(f'audit_key_file = "{key}"\ndatabase = "{address(used)}"\n')
    monkeypatch.setenv("TRIAL_ADAPTER_SERVE_FILE", str(settings))
    assert main(["audit", "verify"]) == 0
    key.write_text("no key")
    assert main(["audit", "verify"]) == 2


def test_serve_writes_with_the_key_and_does_not_start_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "audit.key"
    key.write_text(KEY)
    with served(tmp_path, audit_key_file=key) as real:
        for _ in range(2):
            sent = {"Content-Type": "application/fhir+json"}
            assert httpx.post(f"{real.url}/fhir", content=GOOD, headers=sent).status_code == 200
        for _ in range(15):
            assert httpx.get(f"{real.url}/fhir/ResearchStudy/cfmsc").status_code == 200
        assert real.stop() == 0
    monkeypatch.setenv("TRIAL_ADAPTER_SERVE_AUDIT_KEY_FILE", str(key))
    database = f"sqlite:///{tmp_path / 'store.db'}"
    assert main(["audit", "verify", "--database", database]) == 0
    assert capsys.readouterr().out.startswith("holds: ")
    store = create_engine(database)
    with store.connect() as connection:
        rows = [
            tuple(each) for each in connection.execute(text("select action, outcome, detail from audit order by seq"))
        ]
    store.dispose()
    assert [row[:2] for row in rows][:3] == [("audit-key", "done"), ("bundle", "done"), ("bundle", "replayed")]
    assert [row[0] for row in rows].count("read") == SINGLY + 1
    assert json.loads(rows[-1][2])["count"] == 5, "what is counted is written when it stops"
    with pytest.raises(AssertionError, match="audit_key_file"), served(tmp_path):
        pass
