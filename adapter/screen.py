"""The use cases: screen the patients of one document, from bytes to findings."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.eligibility.decide import Screening, screen
from adapter.eligibility.facts import Facts, Source
from adapter.eligibility.finding import Judgement
from adapter.eligibility.trial import Trial
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import AsOf
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir import wire
from adapter.fhir.duplicates import Original
from adapter.fhir.record import PatientRecord, sort_by_patient
from adapter.fhir.resources import Resource
from adapter.fhir.wire import WHOLE, Entered
from adapter.mapping.observations import source_of


class _Sourced(Protocol):
    @property
    def source(self) -> Source: ...


class PatientScreening(msgspec.Struct, frozen=True):
    """One patient's answers: a screening per trial, on the facts of that patient alone."""

    patient: str
    facts: Facts
    screenings: tuple[Screening, ...]
    record: PatientRecord | None = None
    """The resources that the facts were found in; None where they come from elsewhere."""

    def judgements(self) -> Iterable[Judgement]:
        """Give every judgement that the answers are made of."""
        return (finding.judgement for screening in self.screenings for finding in screening.findings)


class DocumentScreening(msgspec.Struct, frozen=True):
    """What a document gave: its patients' answers, and what was noticed while reading it."""

    patients: tuple[PatientScreening, ...]
    issues: tuple[Issue, ...]


def read_records(data: bytes) -> tuple[list[PatientRecord], list[Issue]]:
    """Sort a document's resources to its patients; raises AdapterError when nothing can be screened."""
    document = wire.read(data)
    records = sort_by_patient(document)
    if not records:
        said = "no Patient is in the document: send the Patient with the data about it"
        raise AdapterError.of(Category.UNSUPPORTED, "no-patient", said, expression="Bundle")
    return records, document.issues


def screen_record(record: PatientRecord, catalog: Catalog, trials: tuple[Trial, ...], as_of: AsOf) -> PatientScreening:
    """Screen one patient against the trials at one instant."""
    facts = catalog.extractor.facts(record)
    screenings = screen(trials, facts, as_of, catalog.rules, attestation_lasts=catalog.attestation_lasts)
    return PatientScreening(record.id, facts, screenings, record)


def screen_bundle(
    data: bytes, catalog: Catalog, as_of: AsOf, trials: tuple[Trial, ...] | None = None, *, thorough: bool = False
) -> DocumentScreening:
    """Screen every patient of a Bundle or resource given as bytes.

    Raises AdapterError when the bytes hold nothing that can be screened; a bad entry is an issue, and what depends
    on it is unknown.
    """
    chosen = catalog.trials if trials is None else trials
    return answer_bundle(data, lambda record: screen_record(record, catalog, chosen, as_of), thorough=thorough)


def answer_bundle(
    data: bytes, answer: Callable[[PatientRecord], PatientScreening], *, thorough: bool = False
) -> DocumentScreening:
    """Answer for every patient of a document, and again without what can be read in two ways; raises AdapterError."""
    records, issues = read_records(data)
    original = Original(data)
    patients = []
    for record in records:
        patient = answer(record)
        while ambiguous := _ambiguous(record, patient, original, thorough=thorough):
            for entered in ambiguous:
                said = "a key stands twice in this resource: nothing rests on it, since either can be meant"
                issues.append(Issue(Severity.WARNING, "repeated-key", said, entered.expression))
                entered.unreadable += (WHOLE,)
            patient = answer(record)
        patients.append(patient)
    return DocumentScreening(tuple(patients), tuple(issues))


def _few(facts: Facts) -> Iterator[_Sourced]:
    """Give the facts that can decide without being shown; results, the most numerous, are always shown."""
    groups: tuple[Iterable[Iterable[_Sourced]], ...] = (
        facts.conditions.values(),
        facts.procedures.values(),
        facts.medications.values(),
        facts.attestations.values(),
        (facts.allergies, facts.empty_lists),
    )
    return (fact for group in groups for found in group for fact in found)


def _ambiguous(
    record: PatientRecord, patient: PatientScreening, original: Original, *, thorough: bool
) -> list[Entered]:
    """Give the resources that an answer rests on and whose text can be read in two ways."""
    facts = patient.facts
    used = {
        evidence.source
        for judgement in patient.judgements()
        if judgement.truth is not Truth.UNKNOWN
        for evidence in judgement.evidence
    }
    used.update(fact.source for fact in _few(facts))
    if thorough:
        used.update(fact.source for results in facts.results.values() for fact in results)
    unread = [record.patient]
    ids = {source.reference.partition("/")[2] for source in used}
    for entries in record.resources.values():
        for each in entries:
            id_ = each.resource.id if isinstance(each.resource, Resource) else None
            if (not id_ or id_ in ids) and source_of(each) in used:  # an id is looked up faster than its source is made
                unread.append(each)
    return [each for each in unread if WHOLE not in each.unreadable and original.is_ambiguous(each.expression)]
