"""``trial-adapter doctor``: all well, then one thing broken at a time; it says which, what to do, and no value."""

import base64
import datetime
import functools
import hashlib
import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from desk.target import Target, capability, private
from store.postgres import postgres_running

from adapter.catalog.load import read_catalog
from adapter.cli import main
from adapter.service.doctor import Checked, Level, guarded, worst
from adapter.store.chain import AuditRow
from adapter.store.chain_key import read_chain_keys, use
from adapter.store.ledger import Delivery, Receipt, Reply, Store

SECRET = "c0ffee-secret-of-the-site-c0ffee"  # noqa: S105 (of this test alone)
ROOT = os.geteuid() == 0 if hasattr(os, "geteuid") else False
NOW = datetime.datetime.now(datetime.UTC)


class Place:
    """A machine on which all is well, until a test breaks something."""

    def __init__(self, folder: Path, target: Target, authority: trustme.CA, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.target, self.authority = folder, target, authority
        self._patch = patch
        for name in list(os.environ):
            if name.startswith("TRIAL_ADAPTER_"):
                patch.delenv(name)
        token = hashlib.sha256(b"engine").hexdigest()
        reader = hashlib.sha256(b"reader").hexdigest()
        rows = f'[[client]]\nname = "engine"\nsha256 = "{token}"\nscopes = ["ingest"]\n'
        rows += f'[[client]]\nname = "watch"\nsha256 = "{reader}"\nscopes = ["read"]\n'
        self.tokens = private(folder / "tokens.toml", rows)
        self.secret = private(folder / "site.txt", SECRET)
        self.audit_key = private(folder / "audit.key", base64.b64encode(bytes(range(32))))
        self.storage_key = private(folder / "storage.key", base64.b64encode(bytes(range(32))))
        self.database = folder / "kept.db"
        shown = authority.issue_cert("localhost")
        self.certificate = private(folder / "tls.pem", shown.cert_chain_pems[0].bytes())
        self.key = private(folder / "tls.key", shown.private_key_pem.bytes())
        authority.cert_pem.write_to_path(folder / "ca.pem")
        self.set(target=target.url, tokens_file=self.tokens, site_secret_file=self.secret, port=_free_port())
        self.set(database=f"sqlite:///{self.database}", audit_key_file=self.audit_key)
        self.set(storage_key_file=self.storage_key)
        self.set(tls_certificate=self.certificate, tls_key=self.key)
        patch.setenv("TRIAL_ADAPTER_CA_BUNDLE", str(folder / "ca.pem"))
        token_file = private(folder / "target-token", target.token)
        patch.setenv("TRIAL_ADAPTER_TOKEN_FILE", str(token_file))

    def set(self, **settings: object) -> None:
        for name, value in settings.items():
            self._patch.setenv(f"TRIAL_ADAPTER_SERVE_{name.upper()}", str(value))

    def unset(self, *names: str) -> None:
        for name in names:
            self._patch.delenv(f"TRIAL_ADAPTER_SERVE_{name.upper()}")

    def environment(self, name: str, value: str) -> None:
        self._patch.setenv(name, value)

    def keep(self, *, dead: int = 0, waiting_since: datetime.timedelta | None = None) -> None:
        """Fill the database."""
        store = Store.open(f"sqlite:///{self.database}", lambda: NOW - (waiting_since or datetime.timedelta()))
        use(store.engine, read_chain_keys(self.audit_key))
        receipt = Receipt("engine", "k", "0" * 64, NOW)
        store.claim(receipt, 1)
        delivery = Delivery("lane", (("ResearchSubject", "x", b"{}"),), NOW, None)
        audit = AuditRow(NOW, "engine", "bundle", "done", "r", {})
        kept = [delivery] * max(dead, 1 if waiting_since else 0)
        store.commit(receipt, Reply(200, "x", b""), audit, kept)
        store.close()
        if dead:
            self.change("UPDATE outbox SET state = 'dead', last_error = 'http-422 business-rule'")

    def change(self, statement: str) -> None:
        with sqlite3.connect(self.database) as connection:
            connection.execute(statement)
        connection.close()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def place(tmp_path: Path, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    with Target.standing(authority) as target:
        yield Place(tmp_path, target, authority, monkeypatch)


Run = Callable[..., tuple[int, list[dict[str, str]]]]


@functools.cache
def shipped() -> object:
    """Load the shipped definitions once: loading them is tried by the test of broken ones, and by the catalog's own."""
    return read_catalog()


@pytest.fixture
def examined(capsys: pytest.CaptureFixture[str], place: Place, monkeypatch: pytest.MonkeyPatch) -> Run:
    def read(trials: list[Path], mappings: list[Path], site: Path | None) -> object:
        return read_catalog(trials, mappings, site) if trials else shipped()

    monkeypatch.setattr("adapter.service.doctor_definitions.read_catalog", read)

    def run(*arguments: str) -> tuple[int, list[dict[str, str]]]:
        code = main(["doctor", "--json", *arguments])
        said = capsys.readouterr()
        hidden = (SECRET, str(place.folder), place.target.token, "localhost", str(place.target.server_address[1]))
        assert [each for each in hidden if each in said.out + said.err] == []
        return code, json.loads(said.out)["checks"]

    return run


def bad(checks: list[dict[str, str]]) -> list[tuple[str, str]]:
    return [(each["check"], each["level"]) for each in checks if each["level"] != "ok"]


def test_where_all_is_well_nothing_is_said_against_it(place: Place, examined: Run) -> None:
    place.keep()
    code, checks = examined()
    assert bad(checks) == []
    assert code == 0
    seen = {each["check"] for each in checks}
    assert seen >= {"settings", "tokens", "tls", "disk", "database", "outbox", "audit", "port", "dns", "clock"}
    assert seen >= {"token", "target", "rights", "definitions", "site-secret"}


def test_nothing_is_made_and_nothing_is_written(place: Place, examined: Run) -> None:
    assert examined()[0] == 0
    assert not place.database.exists()
    (written,) = place.target.written
    path, version, body = written
    assert version == 'W/"0"'
    assert path.split("/")[2] == "ResearchSubject"
    assert body["resourceType"] != "ResearchSubject"
    assert body["id"] != path.split("/")[3]


Break = Callable[[Place], Any]


def _with(**changes: object) -> Break:
    def change(place: Place) -> None:
        for name, value in changes.items():
            setattr(place.target, name, value)

    return change


def _capability(change: Callable[[dict[str, Any]], Any]) -> Break:
    def made(place: Place) -> None:
        told = capability()
        change(told)
        place.target.capability = told

    return made


def _resources(told: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told["rest"][0]["resource"]
    return found


def _audited(statement: str) -> Break:
    return lambda place: (place.keep(), place.change(statement))


TABLE: dict[str, tuple[Break, str, str, str]] = {
    "a port that is a word": (lambda p: p.set(port="eighty"), "settings", "fault", "port"),
    "two wrong settings, first": (lambda p: p.set(max_depth=99, host="127.0.0.1"), "settings", "fault", "max_depth"),
    "a file of settings that is not there": (lambda p: p.set(file=p.folder / "no"), "settings", "fault", "not there"),
    "a file of settings that is no TOML": (
        lambda p: p.set(file=private(p.folder / "s.toml", "a = = 1")),
        "settings",
        "fault",
        "TOML",
    ),
    "a name in the file that is no setting": (
        lambda p: p.set(file=private(p.folder / "s.toml", "prot = 1")),
        "settings",
        "fault",
        "prot",
    ),
    "a variable that is no setting": (
        lambda p: p.environment("TRIAL_ADAPTER_SERVE_TARGT", "x"),
        "settings",
        "warning",
        "TARGT",
    ),
    "a certificate without its key": (lambda p: p.unset("tls_key"), "settings", "fault", "tls_key"),
    "no target": (lambda p: p.unset("target"), "settings", "warning", "no target"),
    "no secret": (lambda p: p.unset("site_secret_file"), "site-secret", "warning", "guessed"),
    "a short secret": (lambda p: private(p.secret, "abc"), "site-secret", "warning", "3 characters"),
    "an empty secret": (lambda p: private(p.secret, ""), "site-secret", "fault", "0 characters"),
    "a secret that is gone": (lambda p: p.secret.unlink(), "file site_secret_file", "fault", "not there"),
    "a secret that all may read": (lambda p: p.secret.chmod(0o644), "file site_secret_file", "fault", "everyone"),
    "a key that the group may read": (lambda p: p.key.chmod(0o640), "file tls_key", "warning", "group"),
    "a certificate that all may write": (
        lambda p: p.certificate.chmod(0o666),
        "file tls_certificate",
        "fault",
        "written by everyone",
    ),
    "no storage key": (lambda p: p.unset("storage_key_file"), "storage", "warning", "not encrypted"),
    "a storage key that is none": (lambda p: private(p.storage_key, "x"), "storage", "fault", "storage_key_file"),
    "no tokens": (lambda p: p.unset("tokens_file"), "tokens", "warning", "everything"),
    "a tokens file that is none": (lambda p: private(p.tokens, "[[client]]\nname=1"), "tokens", "fault", "tokens file"),
    "nobody who may send": (
        lambda p: private(p.tokens, p.tokens.read_text().replace('"ingest"', '"read"')),
        "tokens",
        "fault",
        "ingest",
    ),
    "nobody who may watch": (
        lambda p: private(p.tokens, p.tokens.read_text().replace('"read"', '"ingest"')),
        "tokens",
        "warning",
        "read",
    ),
    "a key of another certificate": (
        lambda p: private(p.key, p.authority.issue_cert("x.test").private_key_pem.bytes()),
        "tls",
        "fault",
        "belong together",
    ),
    "a certificate that ended": (
        lambda p: _shown(p, datetime.timedelta(days=-1)),
        "tls",
        "fault",
        "tls_certificate ended",
    ),
    "a certificate that ends soon": (
        lambda p: _shown(p, datetime.timedelta(days=9)),
        "tls",
        "warning",
        "tls_certificate ends",
    ),
    "a database of another kind": (lambda p: p.set(database="mysql://x"), "database", "fault", "neither"),
    "a database address that is none": (lambda p: p.set(database="x"), "database", "fault", "no address"),
    "a folder that is not there": (
        lambda p: p.set(database=f"sqlite:///{p.folder}/no/x.db"),
        "database",
        "fault",
        "folder",
    ),
    "a file that is no database": (
        lambda p: private(p.database, b"x" * 4096),
        "database",
        "fault",
        "cannot be opened",
    ),
    "an empty database": (lambda p: private(p.database, b""), "database", "warning", "first start"),
    "tables of a later version": (
        _audited("UPDATE alembic_version SET version_num = '9999'"),
        "database",
        "fault",
        "another version",
    ),
    "tables of an earlier version": (
        _audited("UPDATE alembic_version SET version_num = '0001'"),
        "database",
        "warning",
        "another version",
    ),
    "a database that others may read": (
        lambda p: (p.keep(), p.database.chmod(0o644)),
        "database",
        "warning",
        "0644",
    ),
    "a rollback journal": (_audited("PRAGMA journal_mode=DELETE"), "database", "warning", "journal mode delete"),
    "an audit row that was changed": (_audited("UPDATE audit SET outcome = 'x'"), "audit", "fault", "row 1"),
    "an audit row that is gone": (_audited("DELETE FROM audit"), "audit", "fault", "does not hold"),
    "another audit key": (
        lambda p: (p.keep(), private(p.audit_key, base64.b64encode(bytes(32)))),
        "audit",
        "fault",
        "key",
    ),
    "deliveries given up": (lambda p: p.keep(dead=3), "outbox", "warning", "3 http-422 business-rule"),
    "deliveries that wait long": (
        lambda p: p.keep(waiting_since=datetime.timedelta(hours=2)),
        "outbox",
        "warning",
        "1 deliveries wait, the oldest",
    ),
    "an address of another machine": (
        lambda p: p.set(host="192.0.2.1", allow_unprotected="serve patient data unprotected"),
        "port",
        "fault",
        "cannot be listened on",
    ),
    "a target by a name nobody has": (
        lambda p: p.set(target="https://nobody.invalid/r4"),
        "dns",
        "fault",
        "not known",
    ),
    "a target that does not run": (
        lambda p: p.set(target=f"https://localhost:{_free_port()}/r4"),
        "tls",
        "fault",
        "no TLS connection",
    ),
    "a target that nobody vouches for": (
        lambda p: p.environment("TRIAL_ADAPTER_CA_BUNDLE", str(_stranger(p))),
        "tls",
        "fault",
        "not trusted",
    ),
    "a clock ten minutes wrong": (_with(drift_s=600), "clock", "fault", "apart"),
    "a token that is not taken": (_with(token="another-token"), "rights", "fault", "HTTP 401"),  # noqa: S106
    "no right to read": (_with(read_status=403), "rights", "fault", "may not read"),
    "no right to write": (_with(write_status=403), "rights", "fault", "may not write"),
    "a server that updates nothing": (_with(write_status=405), "rights", "fault", "does not update"),
    "a server that takes anything": (_with(write_status=201), "rights", "warning", "had to refuse"),
    "a server that fails": (_with(write_status=500), "rights", "warning", "HTTP 500"),
    "an address that is no FHIR base": (_with(capability=b"<html>"), "target", "fault", "no CapabilityStatement"),
    "a target that is shut": (_with(metadata_status=403), "target", "fault", "HTTP 403"),
    "a target of R5": (_capability(lambda t: t.update(fhirVersion="5.0.0")), "target", "fault", "R5"),
    "a target of STU3": (_capability(lambda t: t.update(fhirVersion="3.0.2")), "target", "fault", "not written"),
    "no transactions": (
        _capability(lambda t: t["rest"][0].pop("interaction")),
        "target",
        "warning",
        "no transactions",
    ),
    "a server that lists no types": (
        _capability(lambda t: t["rest"][0].pop("resource")),
        "target",
        "warning",
        "which types",
    ),
    "no ResearchSubject": (_capability(lambda t: _resources(t).pop(0)), "target", "fault", "ResearchSubject"),
    "a GuidanceResponse that cannot be updated": (
        _capability(lambda t: _resources(t)[1].update(interaction=[{"code": "read"}])),
        "target",
        "fault",
        "no update of GuidanceResponse",
    ),
    "ids of the server": (
        _capability(lambda t: _resources(t)[0].update(updateCreate=False)),
        "target",
        "warning",
        "ids of its own",
    ),
    "a statement full of nonsense": (
        _capability(lambda t: t.update(rest=[1, {"resource": "x", "interaction": {"code": 1}}], fhirVersion=4)),
        "target",
        "fault",
        "version",
    ),
}


def _shown(place: Place, ends: datetime.timedelta) -> None:
    begun = NOW - datetime.timedelta(days=400)
    made = place.authority.issue_cert("localhost", not_before=begun, not_after=NOW + ends)
    private(place.certificate, made.cert_chain_pems[0].bytes())
    private(place.key, made.private_key_pem.bytes())


def _stranger(place: Place) -> Path:
    trustme.CA().cert_pem.write_to_path(place.folder / "stranger.pem")
    return place.folder / "stranger.pem"


@pytest.mark.parametrize("case", TABLE)
def test_one_broken_thing_is_named_with_what_to_do(case: str, place: Place, examined: Run) -> None:
    breaks, check, level, word = TABLE[case]
    breaks(place)
    code, checks = examined()
    found = [each for each in checks if (each["check"], each["level"]) == (check, level) and word in each["said"]]
    assert found, checks
    assert all(each["todo"] for each in checks if each["level"] != "ok")
    levels = {each["level"] for each in checks}
    assert code == (1 if "fault" in levels else 3)
    assert "definitions" in {each["check"] for each in checks}
    assert not [each for each in checks if "could not be checked" in each["said"]]


def test_every_wrong_setting_is_named_at_once_and_the_rest_is_checked_all_the_same(place: Place, examined: Run) -> None:
    place.set(port="x", max_depth=0, fhir_version="DSTU2", file=private(place.folder / "s.toml", "prot = 1"))
    _, checks = examined()
    said = " ".join(each["said"] for each in checks if each["check"] == "settings")
    assert [name for name in ("port", "max_depth", "fhir_version", "prot") if name not in said] == []
    assert {"check": "rights", "level": "ok", "said": "we may read ResearchSubject there", "todo": ""} in checks


def test_a_database_that_another_program_holds_takes_no_write(
    place: Place, examined: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.service.doctor_store._BUSY_S", 0.1)
    place.keep()
    with sqlite3.connect(place.database) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        _, checks = examined()
        holder.rollback()
    holder.close()
    assert any("takes no write" in each["said"] for each in checks)


@pytest.mark.skipif(ROOT, reason="root may write everything")
def test_a_database_that_cannot_be_written_takes_no_write(place: Place, examined: Run) -> None:
    place.keep()
    place.database.chmod(0o400)
    _, checks = examined()
    assert any(each["check"] == "database" and each["level"] == "fault" for each in checks)


def test_a_port_that_somebody_else_holds_is_a_fault(place: Place, examined: Run) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        place.set(port=holder.getsockname()[1])
        place.unset("tls_certificate", "tls_key")
        _, checks = examined()
    assert ("port", "fault") in bad(checks)


def test_offline_nothing_is_asked(place: Place, examined: Run) -> None:
    _, checks = examined("--offline")
    assert ("target", "warning") in bad(checks)
    assert place.target.written == []


def test_it_can_be_read_by_people(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    place.unset("target")
    assert main(["doctor"]) == 3
    lines = capsys.readouterr().out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("warning"))
    assert lines[at].startswith("warning  settings: no target is set")
    assert lines[at + 1].startswith("         -> set target")
    assert lines[-1].endswith("0 faults, 1 warnings")


def test_broken_trials_are_a_fault(place: Place, examined: Run) -> None:
    private(place.folder / "broken.yaml", "trial: [")
    _, checks = examined("--trials", str(place.folder))
    assert ("definitions", "fault") in bad(checks)


def test_a_check_that_breaks_is_told_and_stops_no_other() -> None:
    def breaks() -> list[Checked]:
        raise RuntimeError("a value that nobody may see")

    (found,) = guarded("x", breaks)
    assert found.level is Level.FAULT
    assert "RuntimeError" in found.said
    assert "nobody may see" not in found.said
    assert worst([]) is Level.OK


def test_postgresql_is_examined_as_well(place: Place, examined: Run) -> None:
    with postgres_running() as running, running.database() as url:
        place.set(database=url)
        _, checks = examined("--offline")
        assert ("database", "warning") in bad(checks)
        store = Store.open(url, lambda: NOW)
        use(store.engine, read_chain_keys(place.audit_key))
        store.record(AuditRow(NOW, "engine", "bundle", "done", "r", {}))
        _, checks = examined("--offline")
        told = {each["said"]: each["level"] for each in checks if each["check"] in ("database", "outbox", "audit")}
        assert set(told.values()) == {"ok"}
        assert "the database takes writes" in told
        with store.engine.begin() as connection:
            connection.exec_driver_sql("CREATE USER looker")
            connection.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
        place.set(database=url.replace("adapter@", "looker@"))
        _, checks = examined("--offline")
        assert ("database", "fault") in bad(checks)
        place.set(database=url.replace("127.0.0.1:", "127.0.0.1:1"))
        _, checks = examined("--offline")
        assert ("database", "fault") in bad(checks)
        store.close()
