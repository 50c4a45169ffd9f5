"""A document to what was found in it: each patient's results as resources, ready to be answered and delivered."""

import datetime
import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Iterable, Iterator

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.eligibility.decide import Screening, Verdict, favour
from adapter.eligibility.trial import Trial
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import AsOf
from adapter.errors import AdapterError, Issue, Severity
from adapter.fhir.subject import Publisher, ResultWriter
from adapter.fhir.versions import FhirVersion
from adapter.screen import PatientScreening, screen_bundle
from adapter.service.outcomes import Refusal
from adapter.service.tenants import secret_of
from adapter.store.writer import Step

_LAST_UPDATED = re.compile(rb'"lastUpdated"\s*:\s*"([^"]{10,40})"')
_OWN = re.compile(rb'"urn:uuid:([0-9a-f-]{36})"')


Change = Callable[[Step], bool]
_TENANTS = 256
"""So many are held ready."""
_SHOWN = 60
"""How many changes one audit row lists."""


class Written(msgspec.Struct, frozen=True):
    """One resource of a result."""

    type: str
    id: str
    body: bytes

    @property
    def reference(self) -> str:
        """The relative reference to it."""
        return f"{self.type}/{self.id}"


class Told(msgspec.Struct, frozen=True):
    """What one trial says of one patient."""

    trial: str
    verdict: Verdict
    subject: str | None
    """The id of the ResearchSubject; None where nothing could be evaluated, and none is written."""
    passed: float
    """The share of criteria that speak for the patient."""


class Patient(msgspec.Struct, frozen=True):
    """One patient's results."""

    lane: str
    """An opaque name of the patient: what is written about one patient is written in order."""
    reference: str
    """How the document names the patient; never said in an answer of ours."""
    told: tuple[Told, ...]
    written: tuple[Written, ...]
    screenings: tuple[Screening, ...]
    """What the results were made of, in the order of ``told``."""
    order: tuple[datetime.datetime, datetime.datetime] | None = None
    """When all that was judged by was said, and judged; None: when the document was."""


class Evaluation(msgspec.Struct, frozen=True):
    """What a document gave."""

    patients: tuple[Patient, ...]
    issues: tuple[Issue, ...]
    as_of: datetime.datetime
    source_time: datetime.datetime | None
    """When the sender says this was so: an older document never overwrites what a newer one gave."""
    others: tuple[Patient, ...] = ()
    """Patients who are not in the document, from whom it took something: delivered, and not told to its sender."""
    change: Change | None = None
    """What writes down what is kept of the patients, within the commit; None where nothing is kept."""
    flips: tuple[str, ...] = ()
    """Which atoms and verdicts changed since the last evaluation, and how: ``CFMSC-I1 unknown met``."""

    def remarks(self) -> dict[str, str | int]:
        """Give what the audit keeps of what changed: how much, and of which atoms; nothing of the patient."""
        if not self.flips:
            return {}
        said: dict[str, str | int] = {"changes": len(self.flips), "changed": ", ".join(self.flips[:_SHOWN])}
        if len(self.flips) > _SHOWN:
            said["unshown"] = len(self.flips) - _SHOWN
        return said

    def verdicts(self) -> Iterator[Issue]:
        """Give each verdict as a remark that names no patient: their ResearchSubject does."""
        for number, patient in enumerate(self.patients, 1):
            of = f"patient {number}: " if len(self.patients) > 1 else ""
            for told in patient.told:
                kept = f" (ResearchSubject/{told.subject})" if told.subject else ""
                said = f"{of}{told.trial}: {told.verdict.value}{kept}"
                yield Issue(Severity.INFORMATION, "verdict", said)


class Evaluator:
    """Screens documents and writes results, in either version of FHIR."""

    def __init__(self, catalog: Catalog, software: str, base: str, secret: str) -> None:
        self.catalog = catalog
        self._requirements = catalog.requirements()
        self._publisher = Publisher(software, base, secret)
        self._tenants: dict[str, _Tenant] = {"": self._made("")}

    def evaluate(
        self,
        data: bytes,
        version: FhirVersion,
        moment: datetime.datetime,
        trials: tuple[Trial, ...] | None = None,
        tenant: str = "",
    ) -> Evaluation:
        """Screen every patient of a document by the document alone; raises Refusal when there is nothing to screen."""
        as_of = AsOf.at(moment)
        try:
            answered = screen_bundle(data, self.catalog, as_of, trials)
        except AdapterError as error:
            raise Refusal.because(error) from None
        patients = tuple(self.results(each, version, as_of, tenant) for each in answered.patients)
        return Evaluation(patients, answered.issues, moment, source_time(data))

    def results(
        self,
        screened: PatientScreening,
        version: FhirVersion,
        as_of: AsOf,
        tenant: str,
        again: Collection[str] = (),
    ) -> Patient:
        """Write what was found of one patient; two tenants' patients of one name have results of their own.

        ``again`` names the trials of which something was said before.
        """
        source = screened.facts.person.source
        name = screened.patient
        writer = self._of(tenant).writers[version]
        made = writer.resources(name, source, screened.screenings, as_of, again)
        targets = {url.rpartition("/")[2].encode(): url.encode() for url, _ in made}

        def placed(found: re.Match[bytes]) -> bytes:
            # Inside a transaction results know each other by urn:uuid; one by one they need their places.
            url = targets.get(found[1])
            return found[0] if url is None else b'"%b"' % url

        written = []
        for place, body in made:
            kind, _, id_ = place.partition("/")
            written.append(Written(kind, id_, _OWN.sub(placed, body)))
        told = tuple(_told(screened.screenings, written))
        return Patient(self.lane(name, tenant), source.reference, told, tuple(written), screened.screenings)

    def lane(self, name: str, tenant: str) -> str:
        """Give the opaque name under which what is written about a patient stays in order."""
        return lane_of(self._of(tenant).secret, name)

    def _of(self, tenant: str) -> "_Tenant":
        found = self._tenants.get(tenant)
        if found is None:
            if len(self._tenants) >= _TENANTS:  # a token may name any
                self._tenants = {"": self._tenants[""]}
            found = self._tenants[tenant] = self._made(tenant)
        return found

    def _made(self, tenant: str) -> "_Tenant":
        secret = secret_of(self._publisher.secret, tenant)
        publisher = msgspec.structs.replace(self._publisher, secret=secret)
        writers = {version: ResultWriter(version, publisher, self._requirements) for version in FhirVersion}
        return _Tenant(secret, writers)


class _Tenant(msgspec.Struct, frozen=True):
    """What is apart for one tenant: the secret of its ids, and what writes them."""

    secret: str
    writers: dict[FhirVersion, ResultWriter]


def lane_of(secret: str, name: str) -> str:
    """Give the opaque name of a patient's lane, by the secret of its tenant."""
    return hmac.new(f"lane|{secret}".encode(), name.encode(), hashlib.sha256).hexdigest()


def _told(screenings: Iterable[Screening], written: list[Written]) -> Iterator[Told]:
    """Join screenings with the subjects written for them: each trial gives subject, guidance and provenance."""
    subjects = iter(written)
    for screening in screenings:
        subject = None
        for each in subjects:
            if each.type == "ResearchSubject":
                subject = each.id
            elif each.type == "Provenance":
                break
        judged = zip(screening.trial.criteria, screening.criteria, strict=True)
        passed = sum(favour(criterion, truth) is Truth.MET for criterion, truth in judged)
        yield Told(screening.trial.key, screening.verdict, subject, passed / max(1, len(screening.criteria)))


class _Stamped(msgspec.Struct):
    timestamp: msgspec.Raw = msgspec.Raw(b"null")


_stamped = msgspec.json.Decoder(_Stamped).decode
_word = msgspec.json.Decoder(str).decode


def source_time(data: bytes) -> datetime.datetime | None:
    """Give when a document says it was made, else the latest version in it; None where neither is told."""
    stamped = _stamped(data.removeprefix(b"\xef\xbb\xbf")).timestamp
    try:
        own = _instant(_word(stamped))
    except msgspec.ValidationError:
        own = None
    if own is not None:
        return own
    told = (_instant(each.decode("ascii", "replace")) for each in _LAST_UPDATED.findall(data))
    return max((each for each in told if each is not None), default=None)


def _instant(text: str) -> datetime.datetime | None:
    try:
        moment = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
