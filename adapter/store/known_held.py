"""One patient at work: what was kept, what has come, and the record that both make."""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from adapter.fhir import resources as fhir
from adapter.fhir.record import Lookup, PatientRecord
from adapter.fhir.wire import Entered, type_name
from adapter.store.known_patient import Kept, names_of_person, patients_of
from adapter.store.known_versions import DOUBTED, Settled, Version, names_of, settled

BESIDE = (fhir.Medication, fhir.ResearchStudy)
"""What is about nobody, and kept with whoever refers to it."""


class Held(msgspec.Struct):
    """One patient at work: what was kept and what has come."""

    id: bytes
    version: int
    """Of the row; 0 where there is none yet."""
    kept: Kept
    names_before: frozenset[str]
    met: set[str] = set()
    """The names of all that is kept, to know at once what has not been met before."""
    arrived: list[Version] = []
    is_changed: bool = False
    is_folded: bool = False
    """Whether it went into another row: its Patient had not been sent."""

    @property
    def patients(self) -> list[Version]:
        """The Patients that count."""
        return patients_of(settled(each for each in self.kept.versions if isinstance(each.resource, fhir.Patient)))

    def names(self) -> list[str]:
        """Give every name under which a message may mean this patient, or something of it."""
        found = [f"as|{self.kept.name}"] if self.kept.name else list(self.kept.awaits)
        for each in self.kept.versions:
            if isinstance(each.resource, fhir.Patient):
                found += names_of_person(each)
            elif not isinstance(each.resource, BESIDE):
                found += names_of(each)
        return list(dict.fromkeys(found))


def references(versions: Iterable[Version]) -> Iterable[str]:
    """Give the Medications and studies that resources refer to."""
    for each in versions:
        resource = each.resource
        reference = None
        if isinstance(resource, fhir.MedicationRecord):
            stated = resource.medication
            reference = resource.medication_reference or (stated.reference if stated is not None else None)
        elif isinstance(resource, fhir.Medication):
            for one in resource.ingredient:
                inner = one.item_reference or (one.item.reference if one.item else None)
                if inner is not None and inner.reference:
                    yield inner.reference
        elif isinstance(resource, fhir.ResearchSubject):
            reference = resource.study
        if reference is not None and reference.reference:
            yield reference.reference


def record_of(name: str, patient: Entered, found: Iterable[Settled], arrived: Iterable[Version]) -> PatientRecord:
    """Give the record of what counts."""
    record = PatientRecord(name, patient, defaultdict(list), Lookup(), Lookup())
    new = {id(each) for each in arrived}
    for one in found:
        for each in one.current:
            entered = Entered(each.resource, each.url, each.place, each.unreadable)
            if one.is_contradicted:
                entered.unreadable += DOUBTED
            elif id(each) not in new:
                entered.expression = f"earlier: {type_name(each.resource)}"
                if each.is_frail:
                    entered.unreadable += DOUBTED
            match each.resource:
                case fhir.Patient():
                    pass
                case fhir.Medication():
                    record.medications.add(entered)
                case fhir.ResearchStudy():
                    record.studies.add(entered)
                case _:
                    record.resources[type(each.resource)].append(entered)
    return record
