"""One patient's record and the mappings give the facts that criteria are judged on."""

import msgspec

from adapter.eligibility.facts import Facts
from adapter.fhir import resources as fhir
from adapter.fhir.record import PatientRecord
from adapter.mapping import people
from adapter.mapping.clinical import ClinicalReader
from adapter.mapping.codes import CodeIndex
from adapter.mapping.medications import MedicationReader
from adapter.mapping.observations import ObservationReader, SiteLimit
from adapter.mapping.table import Input, Policy, ValueSet, Vocabulary


class Mappings(msgspec.Struct, frozen=True):
    """All mapping files together, with a site's additions."""

    inputs: dict[str, Input]
    value_sets: dict[str, ValueSet]
    policy: dict[str, Policy]
    vocabulary: Vocabulary
    version: str
    """Digest of what the files say; every finding names it."""
    named: dict[tuple[str | int, ...], str] = msgspec.field(default_factory=dict)
    """The policy behind a number of these files, by its place: ``("inputs", "hba1c", "freshness")``."""


class Extractor:
    """Reads facts from records; made once for a catalog, and then used for every patient."""

    def __init__(self, mappings: Mappings, index: CodeIndex, limits: tuple[SiteLimit, ...] = ()) -> None:
        self._vocabulary = mappings.vocabulary
        self._observations = ObservationReader(mappings.inputs, mappings.vocabulary, index, limits)
        self._clinical = ClinicalReader(mappings.vocabulary, index)
        self._medications = MedicationReader(mappings.vocabulary, index)
        self._yes_no = people.yes_no_codes(mappings.vocabulary)

    def facts(self, record: PatientRecord) -> Facts:
        """Give everything the mappings find in one patient's record."""
        about = record.resources
        observations = about.get(fhir.Observation, [])
        person = people.person(record, self._vocabulary)
        drugs = [entered for kind in _DRUG_RECORDS for entered in about.get(kind, ())]
        responses = about.get(fhir.QuestionnaireResponse, [])
        return Facts(
            person=person,
            results=self._observations.read(observations),
            conditions=self._clinical.conditions(about.get(fhir.Condition, []), person.birth),
            medications=self._medications.read(drugs, record.medications),
            procedures=self._clinical.procedures(about.get(fhir.Procedure, [])),
            encounters=self._clinical.encounters(about.get(fhir.Encounter, []), about.get(fhir.Condition, [])),
            allergies=self._clinical.allergies(about.get(fhir.AllergyIntolerance, [])),
            empty_lists=self._clinical.empty_lists(about.get(fhir.ListResource, [])),
            other_studies=people.other_studies(about.get(fhir.ResearchSubject, []), record.studies),
            consents=people.consents(about.get(fhir.Consent, [])),
            attestations=people.attestations(responses, observations, self._yes_no),
        )


_DRUG_RECORDS: tuple[type[fhir.MedicationRecord], ...] = (
    fhir.MedicationRequest,
    fhir.MedicationStatement,
    fhir.MedicationAdministration,
    fhir.MedicationDispense,
)
