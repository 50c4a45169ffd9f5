"""Whose data is whose: the resources of a document, sorted to the patients they are about."""

from collections import defaultdict

import msgspec

from adapter.errors import Issue, Severity
from adapter.fhir import resources as fhir
from adapter.fhir.wire import Document, Entered, type_name

OUR_TAG = "https://fhir-trial-adapter.org/fhir/CodeSystem/tags"
"""The system of the tag on everything we write; tagged resources are never read back as patient data."""

_HISTORY = "/_history/"


class PatientRecord(msgspec.Struct):
    """One patient's own resources, by type, each with where it stood."""

    id: str
    """Patient.id, or the last part of the fullUrl where it has none."""
    patient: Entered
    resources: dict[type[fhir.Tagged], list[Entered]]
    medications: "Lookup"
    """Medication resources of the document, to resolve references."""
    studies: "Lookup"


class Lookup:
    """Resources of one document by the references that can mean them."""

    __slots__ = ("_by_relative", "_by_url")

    def __init__(self) -> None:
        self._by_url: dict[str, Entered] = {}
        self._by_relative: dict[str, list[Entered]] = defaultdict(list)

    def add(self, entered: Entered) -> None:
        """Make a resource findable by its fullUrl and by ``Type/id``."""
        if entered.full_url is not None:
            self._by_url[_current(entered.full_url)] = entered
        resource = entered.resource
        if isinstance(resource, fhir.Resource) and resource.id is not None:
            self._by_relative[f"{type_name(resource)}/{resource.id}"].append(entered)

    def find(self, reference: str | None, base: str | None) -> Entered | None:
        """Resolve a reference as it stands in an entry whose fullUrl is ``base``.

        An absolute reference means exactly that fullUrl; a relative one is tried against the entry's own server
        first, then inside the document when only one resource can be meant
        (http://hl7.org/fhir/R4/bundle.html#references).
        """
        if not reference or reference.startswith("#"):
            return None
        reference = _current(reference)
        if ":" in reference:
            return self._by_url.get(reference)
        if base is not None and base.startswith("http"):
            root = base.rsplit("/", 2)[0]
            found = self._by_url.get(f"{root}/{reference}")
            if found is not None:
                return found
        meant = self._by_relative.get(reference, ())
        return meant[0] if len(meant) == 1 else None


def _current(reference: str) -> str:
    return reference.split(_HISTORY, 1)[0]


def sort_by_patient(document: Document) -> list[PatientRecord]:
    """Give each patient's record; what belongs to nobody here is reported on the document and used for none."""
    entries = _latest_versions(document)
    patients, medications, studies = Lookup(), Lookup(), Lookup()
    found: list[Entered] = []
    for entered in entries:
        resource = entered.resource
        if isinstance(resource, fhir.Patient):
            patients.add(entered)
            found.append(entered)
        elif isinstance(resource, fhir.Medication):
            medications.add(entered)
        elif isinstance(resource, fhir.ResearchStudy):
            studies.add(entered)
    records = {
        id(each): PatientRecord(_patient_id(each, index), each, defaultdict(list), medications, studies)
        for index, each in enumerate(found)
    }
    strays: dict[str, list[str]] = defaultdict(list)
    resolved: dict[tuple[str, str], Entered | None] = {}
    for entered in entries:
        resource = entered.resource
        if not isinstance(resource, _ABOUT_SOMEONE):
            continue
        reference = _subject(resource)
        if reference is None or reference.reference is None:
            strays["no-subject"].append(entered.expression)
            continue
        text = reference.reference
        base = entered.full_url or ""
        key = (text, "" if ":" in text else base.rsplit("/", 2)[0])
        if key not in resolved:
            resolved[key] = patients.find(text, entered.full_url)
        owner = resolved[key]
        if owner is None:
            strays["stranger"].append(entered.expression)
        else:
            records[id(owner)].resources[type(resource)].append(entered)
    document.issues.extend(_stray_issues(strays, has_patient=bool(found)))
    return list(records.values())


_ABOUT_SOMEONE = (
    fhir.Observation,
    fhir.Condition,
    fhir.MedicationRecord,
    fhir.Procedure,
    fhir.AllergyIntolerance,
    fhir.ListResource,
    fhir.Encounter,
    fhir.ResearchSubject,
    fhir.Consent,
    fhir.QuestionnaireResponse,
)


def _subject(resource: fhir.Tagged) -> fhir.Reference | None:
    if isinstance(resource, fhir.AllergyIntolerance):
        return resource.patient
    if isinstance(resource, fhir.ResearchSubject):
        return resource.individual or resource.subject
    if isinstance(resource, fhir.Consent):
        return resource.patient or resource.subject
    if isinstance(resource, fhir.ListResource):
        subject = resource.subject
        if isinstance(subject, list):
            return subject[0] if len(subject) == 1 else None
        return subject
    if isinstance(
        resource,
        fhir.Observation
        | fhir.Condition
        | fhir.MedicationRecord
        | fhir.Procedure
        | fhir.Encounter
        | fhir.QuestionnaireResponse,
    ):
        return resource.subject
    return None


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
    }
    for code, places in strays.items():
        if has_patient or code == "no-subject":
            message = f"{len(places)} resource(s) {said[code]}; the first stands here"
            issues.append(Issue(Severity.WARNING, code, message, places[0]))
    return issues


def _latest_versions(document: Document) -> list[Entered]:
    """Keep the newest version of each resource, drop what was deleted and what we wrote ourselves."""
    newest: dict[str, Entered] = {}
    kept: list[Entered] = []
    deleted: set[str] = set()
    for entered in document.entries:
        resource = entered.resource
        if not isinstance(resource, fhir.READ):
            continue
        if isinstance(resource, fhir.Bundle):
            issue = Issue(Severity.WARNING, "nested-bundle", "a Bundle inside a Bundle is not read", entered.expression)
            document.issues.append(issue)
            continue
        if resource.meta is not None and any(tag.system == OUR_TAG for tag in resource.meta.tag):
            continue
        relative = f"{type_name(resource)}/{resource.id}"
        if entered.method == "DELETE":
            deleted.add(relative)
            continue
        if relative in deleted:  # a history stands newest first, so this is older than its deletion
            continue
        key = _identity(entered, resource)
        if key is None:
            kept.append(entered)
            continue
        other = newest.get(key)
        if other is None:
            newest[key] = entered
            kept.append(entered)
            continue
        if other.resource == resource and other.unreadable == entered.unreadable:
            continue
        order = _is_newer(entered, other)
        if order is None:
            issue = Issue(
                Severity.WARNING, "two-versions", "the same resource stands here twice, differently", entered.expression
            )
            document.issues.append(issue)
            kept.append(entered)
        elif order:
            newest[key] = entered
            kept[next(i for i, each in enumerate(kept) if each is other)] = entered
    return kept


def _identity(entered: Entered, resource: fhir.Resource) -> str | None:
    if entered.full_url is not None:
        return _current(entered.full_url)
    return f"{type_name(resource)}/{resource.id}" if resource.id is not None else None


def _is_newer(one: Entered, other: Entered) -> bool | None:
    """Whether ``one`` is the later version; None where nothing says which."""
    first, second = one.resource, other.resource
    if not isinstance(first, fhir.Resource) or not isinstance(second, fhir.Resource):
        return None
    mine, theirs = first.meta, second.meta
    if mine is None or theirs is None:
        return None
    one_id, other_id = mine.version_id or "", theirs.version_id or ""
    if one_id.isdigit() and other_id.isdigit() and int(one_id) != int(other_id):
        return int(one_id) > int(other_id)
    if mine.last_updated and theirs.last_updated and mine.last_updated != theirs.last_updated:
        return mine.last_updated > theirs.last_updated
    return None
