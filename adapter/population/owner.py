"""Whose data a line of an export is, told from as little of it as will do."""

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from adapter.fhir import resources as fhir
from adapter.fhir import wire
from adapter.fhir.record import reference_of
from adapter.fhir.versioning import current_url
from adapter.population.listing import TYPES

_OTHERS = frozenset(kind.__name__ for kind in fhir.SKIPPED)
SHARED = frozenset(("Medication", "ResearchStudy"))
"""Types that are about nobody and that a patient's resources refer to."""
_FIELDS = {
    "AllergyIntolerance": ("patient",),
    "ResearchSubject": ("individual", "subject"),
    "Consent": ("patient", "subject"),
}
"""Where a type says whom it is about, the first that is there counts; all others say it in ``subject``."""
_SUBJECTS = frozenset(("subject", "patient", "individual"))
_HEAD = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"')
_PATIENT = re.compile(r"(?:(https?://.+)/)?Patient/([A-Za-z0-9\-.]+)")


class _Reference(msgspec.Struct):
    reference: str | None = None


class _Line(msgspec.Struct, rename="camel"):
    resource_type: str | None = None
    id: str | None = None
    subject: _Reference | list[_Reference] | None = None
    patient: _Reference | None = None
    individual: _Reference | None = None


_decode = msgspec.json.Decoder(_Line).decode


class Owned(NamedTuple):
    """What a line says of itself."""

    type: str | None
    """None for what is not read, or cannot be told."""
    id: str | None = None
    base: str = ""
    """Of the server whose Patient it names; nothing for a relative reference."""
    patient: str | None = None
    trouble: str | None = None
    """``no-subject``, ``stranger``, ``no-id``, ``unreadable``, ``bundle``; ``anyone`` where no owner can be read."""


_NOTHING = Owned(None)


def owned(line: bytes) -> Owned:
    """Tell whose a line is.

    Raises DecodeError, UnicodeDecodeError, RecursionError or AdapterError for one that is no JSON.
    """
    try:
        read = _decode(line)
    except msgspec.ValidationError:
        return _owned_by_careless(line)
    kind = read.resource_type
    if kind not in TYPES:
        if kind in _OTHERS:
            return _NOTHING
        return _NOTHING._replace(trouble="bundle") if kind == "Bundle" else _owned_by_careless(line)
    if kind == "Patient":
        return _patient(read.id)
    if kind in SHARED:
        return Owned(kind, read.id)
    if isinstance(read.subject, list) and kind != "List":
        return _owned_by_careless(line)
    subject = _first(getattr(read, field) for field in _FIELDS.get(kind, ("subject",)))
    return _told(kind, read.id, subject.reference if subject is not None else None)


def _first(found: Iterable[_Reference | list[_Reference] | None]) -> _Reference | None:
    for each in found:
        if isinstance(each, list):
            return each[0] if len(each) == 1 else None
        if each is not None:
            return each
    return None


def _patient(id_: str | None) -> Owned:
    return Owned("Patient", id_, "", id_) if id_ else Owned("Patient", trouble="no-id")


def _told(kind: str, id_: str | None, reference: str | None) -> Owned:
    if reference is None:
        return Owned(kind, id_, trouble="no-subject")
    meant = _meant(reference)
    return Owned(kind, id_, *meant) if meant is not None else Owned(kind, id_, trouble="stranger")


@functools.lru_cache(4096)
def _meant(reference: str) -> tuple[str, str] | None:
    """Give the server and the id of the Patient that is referred to; one patient's lines often stand together."""
    found = _PATIENT.fullmatch(current_url(reference))
    return (found[1] or "", found[2]) if found is not None else None


def _owned_by_careless(line: bytes) -> Owned:
    """Read a line as the document it ends up in would be read."""
    document = wire.read(b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":%b}]}' % line)
    if not document.entries:
        return _NOTHING._replace(trouble="unreadable" if document.issues else None)
    (entered,) = document.entries
    resource = entered.resource
    kind = wire.type_name(resource)
    if not isinstance(resource, fhir.Resource) or kind not in TYPES:
        return _NOTHING
    if kind == "Patient":
        return _patient(resource.id)
    if kind in SHARED:
        return Owned(kind, resource.id)
    subject = reference_of(resource)
    said = _told(kind, resource.id, subject.reference if subject is not None else None)
    if said.trouble is not None and not _SUBJECTS.isdisjoint(entered.unreadable):
        return said._replace(trouble="anyone")
    return said


def type_of_broken(line: bytes) -> str | None:
    """Tell the type of a line that is no JSON by how it begins."""
    head = _HEAD.match(line)
    return head[1].decode() if head is not None else None
