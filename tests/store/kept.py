"""What the tests of the store share: moments, messages and resources of one invented patient."""

import datetime
import hashlib
import json
import uuid
from typing import Any

from sqlalchemy import select

from adapter.store.ledger import AuditRow, Delivery, Receipt, Reply, Store
from adapter.store.tables import audit

START = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
SUBJECT = "6b0a1f0e-0000-5000-8000-000000000001"
GUIDANCE = "6b0a1f0e-0000-5000-8800-000000000002"
PROVENANCE = "6b0a1f0e-0000-5000-9000-000000000003"


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def received(key: str, content: str = "") -> Receipt:
    return Receipt("engine", key, hashlib.sha256((content or key).encode()).hexdigest(), now())


def reply(key: str) -> Reply:
    return Reply(200, "application/fhir+json", f"answer to {key}".encode(), (("X-Request-Id", key),))


def row(key: str) -> AuditRow:
    return AuditRow(now(), "engine", "ingest", "accepted", key, {"entries": 1})


def guidance(number: int) -> str:
    return f"{GUIDANCE[:-2]}{number:02}"


def subject(state: str, number: int = 1, *, r5: bool = False, as_of: str = "2026-11-01T00:00:00Z") -> dict[str, Any]:
    assessment = {"url": "https://x/assessment", "valueReference": {"reference": f"urn:uuid:{guidance(number)}"}}
    made: dict[str, Any] = {
        "resourceType": "ResearchSubject",
        "id": SUBJECT,
        "extension": [assessment],
        "study": {"reference": "ResearchStudy/x"},
    }
    if not r5:
        return {**made, "status": state, "individual": {"reference": "Patient/1"}}
    step = {
        "type": {"coding": [{"code": "Enrollment"}]},
        "subjectState": {"coding": [{"code": state}]},
        "startDate": as_of,
    }
    return {**made, "status": "active", "progress": [step], "subject": {"reference": "Patient/1"}}


def delivery(
    state: str, number: int = 1, *, lane: str = "lane", source_s: int | None = None, r5: bool = False
) -> Delivery:
    as_of = START + datetime.timedelta(seconds=number)
    targets = [{"reference": f"urn:uuid:{each}"} for each in (SUBJECT, guidance(number))]
    made = (
        subject(state, number, r5=r5, as_of=as_of.isoformat()),
        {"resourceType": "GuidanceResponse", "id": guidance(number), "status": "success"},
        {"resourceType": "Provenance", "id": f"{PROVENANCE[:-2]}{number:02}", "target": targets},
    )
    resources = tuple((str(each["resourceType"]), str(each["id"]), json.dumps(each).encode()) for each in made)
    source = None if source_s is None else START + datetime.timedelta(seconds=source_s)
    return Delivery(lane, resources, as_of, source)


def put_in(store: Store, *deliveries: Delivery) -> None:
    """Commit deliveries, each with a message of its own."""
    for each in deliveries:
        mine = received(uuid.uuid4().hex)
        assert store.claim(mine, 5) is None
        store.commit(mine, reply("k"), row("k"), [each])


def outcomes(store: Store, action: str) -> list[str]:
    with store.engine.connect() as connection:
        found = connection.execute(select(audit.c.outcome).where(audit.c.action == action).order_by(audit.c.seq))
        return [each for (each,) in found]
