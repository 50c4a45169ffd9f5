"""Messages judged by all that is kept, without HTTP: what the tests of kept facts share."""

import datetime
import json
import uuid
from typing import Any

from service.memory_store import MemoryStore

from adapter.catalog.catalog import Catalog
from adapter.fhir.versions import FhirVersion
from adapter.service.across import Across
from adapter.service.evaluation import Evaluation, Evaluator, Patient
from adapter.service.exchange import deliveries_of
from adapter.store.known import Patients
from adapter.store.known_patient import Kept
from adapter.store.ledger import AuditRow, Beside, Receipt, Reply, Store

BASE = "https://trials.example.org/fhir"
START = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
SECOND = datetime.timedelta(seconds=1)
MRN = "urn:mrn"
HBA1C, C_PEPTIDE = "4548-4", "1986-9"


class Desk:
    """Takes messages one after the other; each arrives a second after the one before."""

    def __init__(
        self,
        catalog: Catalog,
        start: datetime.datetime = START,
        evaluator: Evaluator | None = None,
        store: Store | None = None,
        days: int = 400,
    ) -> None:
        self.store = store or MemoryStore()
        self.clock = start
        self.store.now = lambda: self.clock
        self.evaluator = evaluator or Evaluator(catalog, "test", BASE, "")
        self.patients = Patients(self.store, self.store.sealer, days)
        self.across = Across(self.evaluator, self.patients)
        self.written: dict[str, tuple[Any, bytes]] = {}
        """By ResearchSubject: the newest that was delivered, and when it stands."""
        self.conflicts = 0

    def send(self, bundle: dict[str, Any], sender: str = "lab", tenant: str = "") -> Evaluation:
        self.clock += SECOND
        key = Receipt(sender, uuid.uuid4().hex, "", self.clock)
        assert self.store.claim(key, 1) is None
        while True:
            answer = self.judge(bundle, sender, tenant)
            deliveries = deliveries_of(answer)
            beside = Beside(tuple(each.lane for each in (*answer.patients, *answer.others)), answer.change)
            row = AuditRow(self.clock, sender, "bundle", "done", "r", {})
            if self.store.commit(key, Reply(200, "application/fhir+json", b"{}"), row, deliveries, beside):
                break
            self.conflicts += 1
        for each in deliveries:
            order = (each.as_of if each.source_time is None else each.source_time, each.as_of)
            for kind, id_, body in each.resources:
                held = self.written.get(id_)
                if kind == "ResearchSubject" and (held is None or held[0] <= order):
                    self.written[id_] = (order, body)
        return answer

    def judge(self, bundle: dict[str, Any], sender: str = "lab", tenant: str = "") -> Evaluation:
        message = self.across.read(json.dumps(bundle).encode(), tenant, sender, self.clock)
        found = self.across.find(message)
        return self.across.judge(message, found, FhirVersion.R4, self.clock.replace(microsecond=0))

    def held(self, name: str = "of|lab|Patient/1", tenant: str = "") -> Kept:
        (found,) = self.patients.find(tenant, [name]).held
        return found.kept


def bundle(*resources: dict[str, Any], at: datetime.datetime | str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    made: dict[str, Any] = {"resourceType": "Bundle", "type": "collection"}
    if at is not None:
        made["timestamp"] = at if isinstance(at, str) else at.isoformat()
    return made | {"entry": [{"resource": each} for each in resources]} | more


def patient(id_: str | None = "1", **more: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    made = {"resourceType": "Patient", "gender": "female", "birthDate": "1970-05-01"} | more
    return made | ({"id": id_} if id_ else {})


def identified(value: str, id_: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 (JSON)
    return patient(id_, identifier=[{"system": MRN, "value": value}], **more)


def result(
    id_: str | None,
    value: float,
    code: str = HBA1C,
    of: str = "Patient/1",
    on: str = "2026-10-20",
    **more: Any,  # noqa: ANN401 (JSON)
) -> dict[str, Any]:
    unit = "%" if code == HBA1C else "ng/mL"
    made: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "subject": {"reference": of},
        "effectiveDateTime": on,
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
    }
    return made | ({"id": id_} if id_ else {}) | more


def condition(id_: str | None, code: str = "44054006", of: str = "Patient/1", status: str = "active") -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"code": status}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": code}]},
        "subject": {"reference": of},
    }
    return made | ({"id": id_} if id_ else {})


def truths(found: Patient) -> dict[str, tuple[str, str | None, tuple[str, ...]]]:
    """Give every atom's truth, reason and evidence."""
    return {
        each.atom: (
            each.truth.word,
            each.judgement.reason.value if each.judgement.reason else None,
            tuple(sorted(one.source.reference for one in each.judgement.evidence)),
        )
        for screening in found.screenings
        for each in screening.findings
    }


def evidence(found: Patient) -> set[str]:
    return {reference for _, _, references in truths(found).values() for reference in references}


def codes(found: Evaluation) -> set[str]:
    return {each.code for each in found.issues}
