"""One message as far as it changes what is kept: who is in it, what of each, and by which names it may be known."""

import re

import msgspec

from adapter.errors import Issue, Severity
from adapter.fhir import resources as fhir
from adapter.fhir.record import PatientRecord, reference_of, server_of, sort_by_patient
from adapter.fhir.versioning import current_url
from adapter.fhir.wire import WHOLE, Document, Entered
from adapter.store.known_making import Maker, Sent
from adapter.store.known_patient import names_of_person
from adapter.store.known_versions import Version, gone, names_of

_PATIENT = re.compile(r"(?:(.+)/)?Patient/([A-Za-z0-9\-.]{1,64})")


class Brought(msgspec.Struct):
    """What a message brings of one patient."""

    patient: Version | None
    """The Patient; None where the message is about one that it does not bring."""
    id: str
    """What the Patient is called in the message."""
    versions: list[Version]
    names: list[str]
    """By what the patient may be known: where the Patient stands, and its identifiers."""


class Message(msgspec.Struct):
    """What a message brings."""

    sent: Sent
    people: list[Brought]
    strangers: list[Brought]
    """What is about Patients that are not in it."""
    changes: list[Version]
    """Deletions, and patches, which are not carried out."""
    patched: set[int]
    """By ``id()``, those of ``changes`` that are patches."""
    beside: list[Version]
    """Medications and studies, which are about nobody."""
    issues: list[Issue]

    def names(self) -> list[str]:
        """Give every name under which something of it may be known here already."""
        found: list[str] = []
        for each in (*self.people, *self.strangers):
            found += each.names
            if each.patient is not None:
                found.append(f"as|{each.id}")
            for version in each.versions:
                found += names_of(version)
        for version in self.changes:
            found += names_of(version)
        return list(dict.fromkeys(found))


def message_of(document: Document, sent: Sent) -> Message:
    """Sort a document to its patients, with every reference told apart from those of other messages."""
    strangers: list[Entered] = []
    records = sort_by_patient(document, strangers)
    issues = document.issues
    make = Maker(sent, document, records)
    people = []
    for record in records:
        patient = make.version(record.patient)
        versions = make.versions(each for some in record.resources.values() for each in some)
        people.append(Brought(patient, record.id, versions, names_of_person(patient)))
    absent = _by_person(strangers, sent.sender, issues)
    changes, patched = _changes(document, records, make)
    return Message(
        sent,
        people,
        [Brought(None, "", make.versions(some), list(names)) for names, some in absent.items()],
        changes,
        patched,
        make.beside(),
        issues,
    )


def _by_person(strangers: list[Entered], sender: str, issues: list[Issue]) -> dict[tuple[str, ...], list[Entered]]:
    """Sort what is about Patients who are not here by the names they would be known by."""
    found: dict[tuple[str, ...], list[Entered]] = {}
    nobody: list[str] = []
    for each in strangers:
        reference = reference_of(each.resource)
        names = person_names(reference.reference if reference is not None else None, each.full_url, sender)
        if names:
            found.setdefault(names, []).append(each)
        else:
            nobody.append(each.expression)
    if nobody:
        said = f"{len(nobody)} resource(s) are about someone who is not in this document and are used for nobody"
        issues.append(Issue(Severity.WARNING, "stranger", f"{said}; the first stands here", nobody[0]))
    return found


def person_names(reference: str | None, base: str | None, sender: str) -> tuple[str, ...]:
    """Give the names under which a reference can mean a Patient of another message, the surest first."""
    meant = _PATIENT.fullmatch(current_url(reference or ""))
    if meant is None or (meant[1] is not None and not meant[1].startswith("http")):
        return ()
    if meant[1] is not None:
        return (f"url|{meant[0]}",)
    server = server_of(base)
    own = f"of|{sender}|{meant[0]}"
    return (f"url|{server}/{meant[0]}", own) if server is not None else (own,)


def _changes(document: Document, records: list[PatientRecord], make: Maker) -> tuple[list[Version], set[int]]:
    """Give the deletions and patches of what does not stand in the message itself, where they were weighed already."""
    if all(each.method not in ("DELETE", "PATCH") for each in document.entries):
        return [], set()
    here = {
        (type(each.resource), _own_id(each))
        for record in records
        for each in (record.patient, *(one for some in record.resources.values() for one in some))
    }
    made, patched = [], set()
    for each in document.entries:
        if each.method in ("DELETE", "PATCH") and (type(each.resource), _own_id(each)) not in here:
            target = current_url(each.target or "")
            at = each.full_url or (target if target.startswith("http") else None)
            version = make.version(Entered(each.resource, at, each.expression, (WHOLE,)))
            made.append(version if each.method == "PATCH" else gone(version, version.stamp))
            if each.method == "PATCH":
                patched.add(id(made[-1]))
    return made, patched


def _own_id(entered: Entered) -> str | None:
    return entered.resource.id if isinstance(entered.resource, fhir.Resource) else None
