"""Whose data is whose: the resources of a document, sorted to the patients they are about."""

from collections import Counter, defaultdict
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import msgspec

from adapter.errors import Issue, Severity
from adapter.fhir import resources as fhir
from adapter.fhir.versioning import OUR_TAG, current_url, latest_versions
from adapter.fhir.wire import Document, Entered, type_name

__all__ = ["OUR_TAG", "Lookup", "PatientRecord", "reference_of", "server_of", "sort_by_patient"]

_TYPE_NAMES = frozenset(type_name(kind()) for kind in fhir.READ)


class PatientRecord(msgspec.Struct):
    """One patient's own resources, by type, each with where it stood."""

    id: str
    """Patient.id, or the last part of the fullUrl where it has none; where two here have one id, the whole fullUrl."""
    patient: Entered
    resources: dict[type[fhir.Tagged], list[Entered]]
    medications: "Lookup"
    """Medication resources of the document, to resolve references."""
    studies: "Lookup"


class Lookup:
    """Resources of one document by the references that can mean them."""

    __slots__ = ("_by_relative", "_by_url")

    def __init__(self) -> None:
        self._by_url: dict[str, list[Entered]] = defaultdict(list)
        self._by_relative: dict[str, list[Entered]] = defaultdict(list)

    def add(self, entered: Entered) -> None:
        """Make a resource findable by its fullUrl and by ``Type/id``."""
        if entered.full_url is not None:
            self._by_url[current_url(entered.full_url)].append(entered)
        resource = entered.resource
        if isinstance(resource, fhir.Resource) and resource.id is not None:
            self._by_relative[f"{type_name(resource)}/{resource.id}"].append(entered)

    def find(self, reference: str | None, base: str | None) -> Entered | None:
        """Resolve a reference as it stands in an entry whose fullUrl is ``base``.

        An absolute reference means exactly that fullUrl.  A relative one means that resource of the entry's own
        server; one of another server has the same id by chance.  Only where a server is not told does the id alone
        do, and only when one resource can be meant (http://hl7.org/fhir/R4/bundle.html#references).
        """
        if not reference or reference.startswith("#"):
            return None
        reference = current_url(reference)
        if ":" in reference:
            return _only(self._by_url.get(reference, ()))
        server = server_of(base)
        if server is not None:
            found = _only(self._by_url.get(f"{server}/{reference}", ()))
            if found is not None:
                return found
        meant = self._by_relative.get(reference, ())
        if server is not None:
            meant = [each for each in meant if server_of(each.full_url) is None]
        return _only(meant)


def _only(found: "list[Entered] | tuple[()]") -> Entered | None:
    return found[0] if len(found) == 1 else None


def server_of(full_url: str | None) -> str | None:
    """Give the base of a RESTful fullUrl, ``http://server/fhir`` of ``http://server/fhir/Patient/1``."""
    if full_url is None or not full_url.startswith("http"):
        return None
    parts = current_url(full_url).rsplit("/", 2)
    return parts[0] if len(parts) == 3 and parts[1] in _TYPE_NAMES else None  # noqa: PLR2004 (base, type and id)


def reference_of(resource: fhir.Tagged) -> fhir.Reference | None:
    """Give whom a resource is about, as it says it; None where it says nothing, or is not about anyone."""
    subject_of = _SUBJECT_OF.get(type(resource))
    return subject_of(resource) if subject_of is not None else None


def sort_by_patient(document: Document, strangers: list[Entered] | None = None) -> list[PatientRecord]:
    """Give each patient's record; what belongs to nobody here is reported on the document and used for none.

    What is about someone who is not here is put into ``strangers`` instead, where there is such a list.
    """
    entries = latest_versions(document.entries, document.issues)
    patients, medications, studies = Lookup(), Lookup(), Lookup()
    found: list[Entered] = []
    for entered in entries:
        kind = type(entered.resource)
        if kind is fhir.Patient:
            patients.add(entered)
            found.append(entered)
        elif kind is fhir.Medication:
            medications.add(entered)
        elif kind is fhir.ResearchStudy:
            studies.add(entered)
    records = {
        id(each): PatientRecord(_patient_id(each, index), each, defaultdict(list), medications, studies)
        for index, each in enumerate(found)
    }
    strays: dict[str, list[str]] = defaultdict(list)
    resolved: dict[str | tuple[str, str | None], Entered | None] = {}
    # By what is referred to, with the server it is on where the reference leaves that out.
    for entered in entries:
        resource = entered.resource
        subject_of = _SUBJECT_OF.get(type(resource))
        if subject_of is None:
            continue
        reference = subject_of(resource)
        text = reference.reference if reference is not None else None
        owner = None
        if text is not None:
            key = text if ":" in text else (text, server_of(entered.full_url))
            if key not in resolved:
                resolved[key] = patients.find(text, entered.full_url)
            owner = resolved[key]
        if owner is None and len(found) == 1 and not _SUBJECTS.isdisjoint(entered.unreadable):
            owner = found[0]  # whose it is cannot be read: it decides nothing, and must not be passed over
        if owner is None and text is not None and strangers is not None:
            strangers.append(entered)
            continue
        if owner is None:
            strays["stranger" if text is not None else "no-subject"].append(entered.expression)
            continue
        records[id(owner)].resources[type(resource)].append(entered)
        if isinstance(resource, fhir.MedicationRecord) and _is_dangling(resource, entered, medications):
            strays["unknown-drug"].append(entered.expression)
    document.issues.extend(_stray_issues(strays, has_patient=bool(found)))
    document.issues.extend(_patient_issues(found, list(records.values())))
    return list(records.values())


def _is_dangling(resource: fhir.MedicationRecord, entered: Entered, medications: Lookup) -> bool:
    reference = resource.medication_reference or (resource.medication.reference if resource.medication else None)
    if reference is None or reference.reference is None or reference.reference.startswith("#"):
        return False
    return medications.find(reference.reference, entered.full_url) is None


def _one_subject(resource: fhir.ListResource) -> fhir.Reference | None:
    subject = resource.subject
    if isinstance(subject, list):
        return subject[0] if len(subject) == 1 else None
    return subject


_SUBJECT_OF: dict[type[fhir.Tagged], Callable[[Any], fhir.Reference | None]] = {
    fhir.Observation: attrgetter("subject"),
    fhir.Condition: attrgetter("subject"),
    fhir.MedicationRequest: attrgetter("subject"),
    fhir.MedicationStatement: attrgetter("subject"),
    fhir.MedicationAdministration: attrgetter("subject"),
    fhir.MedicationDispense: attrgetter("subject"),
    fhir.Procedure: attrgetter("subject"),
    fhir.AllergyIntolerance: attrgetter("patient"),
    fhir.ListResource: _one_subject,
    fhir.Encounter: attrgetter("subject"),
    fhir.ResearchSubject: lambda resource: resource.individual or resource.subject,
    fhir.Consent: lambda resource: resource.patient or resource.subject,
    fhir.QuestionnaireResponse: attrgetter("subject"),
}
"""How each type that is about someone says about whom: a table, since it is asked of every resource."""
_SUBJECTS = frozenset(("subject", "patient", "individual"))


def _patient_id(entered: Entered, index: int) -> str:
    resource = entered.resource
    if isinstance(resource, fhir.Patient) and resource.id:
        return resource.id
    if entered.full_url:
        return entered.full_url.rstrip("/").replace(":", "/").rsplit("/", 1)[-1]
    return f"patient-{index + 1}"


def _stray_issues(strays: dict[str, list[str]], *, has_patient: bool) -> list[Issue]:
    issues = []
    said = {
        "no-subject": "name no subject and are used for nobody",
        "stranger": "are about someone who is not in this document and are used for nobody",
        "unknown-drug": "name a Medication that is not in this document: which drug it is stays unknown",
    }
    for code, places in strays.items():
        if has_patient or code == "no-subject":
            message = f"{len(places)} resource(s) {said[code]}; the first stands here"
            issues.append(Issue(Severity.WARNING, code, message, places[0]))
    return issues


def _patient_issues(found: list[Entered], records: list[PatientRecord]) -> list[Issue]:
    """Warn where a Patient says that it is not the record to use; name those who share an id so that they differ."""
    issues = []
    names = Counter(record.id for record in records)
    for entered, record in zip(found, records, strict=True):
        resource = entered.resource
        if not isinstance(resource, fhir.Patient):
            continue
        if resource.active is False:
            said = "this Patient is marked as not active: data may stand under another record"
            issues.append(Issue(Severity.WARNING, "patient-inactive", said, f"{entered.expression}.active"))
        if any(link.type == "replaced-by" for link in resource.link):
            said = "this Patient is replaced by another: data may stand under that record"
            issues.append(Issue(Severity.WARNING, "patient-replaced", said, f"{entered.expression}.link"))
        if names[record.id] > 1:
            entered.has_namesake = True
            record.id = entered.full_url or entered.expression
            said = "another Patient of this document has the same id: both are named by their fullUrl"
            issues.append(Issue(Severity.WARNING, "same-id", said, f"{entered.expression}.id"))
    return issues
