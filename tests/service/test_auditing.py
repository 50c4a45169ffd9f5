"""Every access leaves a row: what was done, what was refused, and a flood as a count."""

import datetime
from pathlib import Path

import pytest
from service.conftest import NOW, Asked, Make, sample
from service.issuer import client_row, tokens_file

from adapter.errors import AdapterError, Category
from adapter.service.auditing import SINGLY, WINDOW_S, Recorder
from adapter.service.outcomes import Refusal
from adapter.store.ledger import AuditRow

GOOD = sample("shape-transaction")
TOKEN = "engine-" + "0" * 40


@pytest.fixture
def guarded(make: Make, tmp_path: Path) -> Asked:
    return make(tokens_file=tokens_file(tmp_path, client_row("engine", TOKEN, '["ingest", "read"]')))


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "told"),
    [
        ("POST", "/fhir", GOOD, {}, 200, ("bundle", "done")),
        ("POST", "/fhir", b"{", {}, 400, ("bundle", "refused")),
        ("POST", "/fhir", b" ", {}, 400, ("bundle", "refused")),
        ("POST", "/fhir", GOOD, {"Content_Type": "text/plain"}, 415, ("bundle", "refused")),
        ("POST", "/fhir", GOOD, {"Content_Encoding": "br"}, 415, ("other", "refused")),
        ("POST", "/fhir", GOOD, {"Accept": "text/xml"}, 406, ("bundle", "refused")),
        ("POST", "/fhir", b"x" * 2000, {}, 413, ("other", "refused")),
        ("POST", "/fhir", b'{"resourceType": "Bundle", "type": "collection"}', {}, 422, ("bundle", "refused")),
        ("PATCH", "/fhir", GOOD, {}, 405, ("other", "refused")),
        ("GET", "/nothing/here/at/all", None, {}, 404, ("other", "refused")),
        ("GET", "/fhir/ResearchStudy/nobody", None, {}, 404, ("read", "refused")),
        ("GET", "/fhir/ResearchStudy/cfmsc", None, {}, 200, ("read", "done")),
        ("GET", "/fhir/ResearchStudy", None, {}, 200, ("search", "done")),
        ("GET", "/metrics", None, {}, 200, ("metrics", "done")),
        ("POST", "/fhir/ResearchStudy/$match", GOOD, {}, 200, ("match", "done")),
        ("POST", "/fhir/ResearchStudy/$evaluate-eligibility", GOOD, {}, 200, ("evaluate-eligibility", "done")),
        ("POST", "/fhir/Bundle/$validate", GOOD, {}, 200, ("validate", "done")),
    ],
)
def test_each_access_is_one_row(
    make: Make,
    tmp_path: Path,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    told: tuple[str, str],
) -> None:
    limits = {"max_decoded_bytes": 1000} if status == 413 else {}
    service = make(tokens_file=tokens_file(tmp_path, client_row("engine", TOKEN, '["ingest", "read"]')), **limits)
    answer = service(method, path, body, Authorization=f"Bearer {TOKEN}", X_Request_Id="r-1", **headers)
    assert answer.status_code == status
    (row,) = service.store.audit
    assert (row.client, row.action, row.outcome, row.request_id) == ("engine", *told, "r-1")
    assert row.detail["peer"] == "127.0.0.1"
    if told[1] == "refused":
        assert row.detail["status"] == status


def test_a_replay_is_an_access_too(guarded: Asked) -> None:
    for _ in range(2):
        guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {TOKEN}")
    reused = guarded("POST", "/fhir", GOOD.replace(b"1", b"2"), Authorization=f"Bearer {TOKEN}", Idempotency_Key="k")
    again = guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {TOKEN}", Idempotency_Key="k")
    assert (reused.status_code, again.status_code) == (200, 409)
    assert [each.outcome for each in guarded.store.audit] == ["done", "replayed", "done", "refused"]
    assert guarded.store.audit[-1].detail["status"] == 409


def test_a_row_names_a_patient_by_an_opaque_name_alone(guarded: Asked) -> None:
    guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {TOKEN}")
    (row,) = guarded.store.audit
    assert row.detail["patient"] == guarded.store.deliveries[0].lane
    assert len(str(row.detail["patient"])) == 64


def test_what_is_open_to_all_is_no_access(guarded: Asked) -> None:
    for path in ("/healthz", "/readyz", "/fhir/metadata", "/cds-services"):
        assert guarded("GET", path).status_code == 200
    assert not guarded.store.audit


def test_a_refusal_that_cannot_be_written_down_is_not_given(guarded: Asked) -> None:
    guarded.store.is_away = True
    answer = guarded("POST", "/fhir", b"{", Authorization=f"Bearer {TOKEN}")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (503, "transient")


def test_a_bug_is_one_row_and_told_even_without_a_database(guarded: Asked) -> None:
    guarded.store.fails = True
    answer = guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {TOKEN}")
    assert answer.status_code == 500
    (row,) = guarded.store.audit
    assert (row.action, row.outcome, row.detail["status"]) == ("bundle", "failed", 500)
    assert "Lovelace" not in str(row)
    guarded.store.is_away = True
    assert guarded("POST", "/fhir", GOOD, Authorization=f"Bearer {TOKEN}").status_code == 500


def test_a_flood_of_guesses_is_a_few_rows(make: Make, tmp_path: Path) -> None:
    service = make(tokens_file=tokens_file(tmp_path, client_row("engine", TOKEN)), client_rate="50/hour")
    statuses = [service("POST", "/fhir", GOOD, Authorization="Bearer guess-guess").status_code for _ in range(200)]
    assert (statuses.count(401), statuses.count(429)) == (50, 150)
    assert len(service.store.audit) == 2 * SINGLY


class Kept:
    """A recorder on a clock that is set."""

    def __init__(self) -> None:
        self.at = NOW
        self.rows: list[AuditRow] = []
        self.is_away = False
        self.recorder = Recorder(self.write, lambda: self.at)

    def write(self, row: AuditRow) -> None:
        if self.is_away:
            raise AdapterError.of(Category.UNAVAILABLE, "store-unavailable", "away")
        self.rows.append(row)

    async def many(self, count: int, client: str = "unknown") -> None:
        for _ in range(count):
            row = AuditRow(self.at, client, "authenticate", "refused", "r", {"status": 401})
            await self.recorder.count(row, 401, "token-unknown")

    def later(self) -> None:
        self.at += datetime.timedelta(seconds=WINDOW_S)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_the_rest_of_a_flood_is_one_row_with_its_count() -> None:
    kept = Kept()
    await kept.many(500)
    await kept.many(3, "engine")
    assert len(kept.rows) == SINGLY + 3
    kept.later()
    await kept.many(1)
    counted = kept.rows[SINGLY + 3]
    assert counted.detail == {"status": 401, "reason": "token-unknown", "count": 500 - SINGLY, "seconds": WINDOW_S}
    assert len(kept.rows) == SINGLY + 3 + 2, "and the next one stands for itself again"


@pytest.mark.anyio
async def test_counts_outlast_a_database_that_is_away() -> None:
    kept = Kept()
    await kept.many(SINGLY + 5)
    kept.later()
    kept.is_away = True
    await kept.many(1)
    kept.later()
    kept.is_away = False
    await kept.many(1)
    counts = [each.detail["count"] for each in kept.rows if "count" in each.detail]
    assert counts == [6]


@pytest.mark.anyio
async def test_made_up_names_do_not_fill_the_memory() -> None:
    kept = Kept()
    for number in range(1100):
        await kept.many(1, f"c-{number}")
    assert len(kept.recorder._counts) <= 1001


@pytest.mark.anyio
async def test_what_was_counted_is_written_at_the_end() -> None:
    kept = Kept()
    await kept.many(SINGLY + 7)
    kept.recorder.close()
    assert kept.rows[-1].detail["count"] == 7
    kept.recorder.close()
    assert len(kept.rows) == SINGLY + 1
    kept.is_away = True
    with pytest.raises(Refusal):
        await kept.many(1)
