"""The use cases: screen the patients of one document, from bytes to findings."""

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.eligibility.decide import Screening, screen
from adapter.eligibility.facts import Facts
from adapter.eligibility.trial import Trial
from adapter.eligibility.values import AsOf
from adapter.errors import AdapterError, Category, Issue
from adapter.fhir import wire
from adapter.fhir.record import PatientRecord, sort_by_patient


class PatientScreening(msgspec.Struct, frozen=True):
    """One patient's answers: a screening per trial, on the facts of that patient alone."""

    patient: str
    facts: Facts
    screenings: tuple[Screening, ...]


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
    return PatientScreening(record.id, facts, screenings)


def screen_bundle(
    data: bytes, catalog: Catalog, as_of: AsOf, trials: tuple[Trial, ...] | None = None
) -> DocumentScreening:
    """Screen every patient of a Bundle or resource given as bytes.

    Raises AdapterError when the bytes hold nothing that can be screened; a bad entry is an issue, and what depends
    on it is unknown.
    """
    records, issues = read_records(data)
    chosen = catalog.trials if trials is None else trials
    return DocumentScreening(tuple(screen_record(each, catalog, chosen, as_of) for each in records), tuple(issues))
