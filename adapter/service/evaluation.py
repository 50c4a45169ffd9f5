"""A document to what was found in it: each patient's results as resources, ready to be answered and delivered."""

import datetime
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator

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

_LAST_UPDATED = re.compile(rb'"lastUpdated"\s*:\s*"([^"]{10,40})"')
_OWN = re.compile(rb'"urn:uuid:([0-9a-f-]{36})"')


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


class Evaluation(msgspec.Struct, frozen=True):
    """What a document gave."""

    patients: tuple[Patient, ...]
    issues: tuple[Issue, ...]
    as_of: datetime.datetime
    source_time: datetime.datetime | None
    """When the sender says this was so: an older document never overwrites what a newer one gave."""

    def verdicts(self) -> Iterator[Issue]:
        """Give each verdict as a remark that names no patient: their ResearchSubject does."""
        for number, patient in enumerate(self.patients, 1):
            of = f"patient {number}: " if len(self.patients) > 1 else ""
            for told in patient.told:
                kept = f" (ResearchSubject/{told.subject})" if told.subject else ""
                said = f"{of}{told.trial}: {told.verdict.value}{kept}"
                yield Issue(Severity.INFORMATION, "verdict", said)


class _Request(msgspec.Struct):
    url: str


class _Entry(msgspec.Struct):
    resource: msgspec.Raw
    request: _Request


class _Transaction(msgspec.Struct):
    entry: tuple[_Entry, ...] = ()


_transaction = msgspec.json.Decoder(_Transaction).decode


class Evaluator:
    """Screens documents and writes results, in either version of FHIR."""

    def __init__(self, catalog: Catalog, software: str, base: str, secret: str) -> None:
        self.catalog = catalog
        publisher = Publisher(software, base, secret)
        requirements = catalog.requirements()
        self._writers = {version: ResultWriter(version, publisher, requirements) for version in FhirVersion}
        self._secret = f"lane|{secret}".encode()

    def evaluate(
        self, data: bytes, version: FhirVersion, moment: datetime.datetime, trials: tuple[Trial, ...] | None = None
    ) -> Evaluation:
        """Screen every patient of a document; raises Refusal when there is nothing to screen."""
        as_of = AsOf.at(moment)
        try:
            answered = screen_bundle(data, self.catalog, as_of, trials)
        except AdapterError as error:
            raise Refusal.because(error) from None
        writer = self._writers[version]
        patients = tuple(self._patient(each, writer, as_of) for each in answered.patients)
        return Evaluation(patients, answered.issues, moment, source_time(data))

    def _patient(self, screened: PatientScreening, writer: ResultWriter, as_of: AsOf) -> Patient:
        source = screened.facts.person.source
        bundle = _transaction(writer.bundle(screened.patient, source, screened.screenings, as_of))
        targets = {each.request.url.rpartition("/")[2].encode(): each.request.url.encode() for each in bundle.entry}

        def placed(found: re.Match[bytes]) -> bytes:
            # Inside a transaction results know each other by urn:uuid; one by one they need their places.
            url = targets.get(found[1])
            return found[0] if url is None else b'"%b"' % url

        written = []
        for each in bundle.entry:
            kind, _, id_ = each.request.url.partition("/")
            written.append(Written(kind, id_, _OWN.sub(placed, bytes(each.resource))))
        lane = hmac.new(self._secret, screened.patient.encode(), hashlib.sha256).hexdigest()
        return Patient(
            lane, source.reference, tuple(_told(screened.screenings, written)), tuple(written), screened.screenings
        )


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
