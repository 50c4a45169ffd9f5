"""An entry of a message as a version of a resource, with every reference meaning outside what it means inside."""

import datetime
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import msgspec

from adapter.fhir import resources as fhir
from adapter.fhir.dates import parse_moment
from adapter.fhir.record import Lookup, PatientRecord, server_of
from adapter.fhir.versioning import current_url
from adapter.fhir.wire import Document, Entered, type_name
from adapter.store.known_versions import UUID, Stamp, Version, home_of
from adapter.store.tables import stored

_DIGITS = 18
_PUT = re.compile(r"(?:.*/)?([A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")
_BESIDE = (fhir.Medication, fhir.ResearchStudy)
_SUBJECTS = ("subject", "patient", "individual")
_encode = msgspec.json.Encoder(decimal_format="number").encode


class Sent(msgspec.Struct, frozen=True):
    """How a message came."""

    tenant: str
    sender: str
    arrived: datetime.datetime
    made: datetime.datetime | None
    """When it says that it was made."""

    @property
    def source(self) -> int:
        """When it was made, for all that is known; never later than it came."""
        arrived = stored(self.arrived)
        return arrived if self.made is None else min(stored(self.made), arrived)


def _lookup(entries: Iterable[Entered], kind: type[fhir.Resource]) -> Lookup:
    found = Lookup()
    for each in entries:
        if isinstance(each.resource, kind):
            found.add(each)
    return found


class Maker:
    """Makes versions of the entries of one message."""

    def __init__(self, sent: Sent, document: Document, records: list[PatientRecord]) -> None:
        self._sent = sent
        self._source = sent.source
        self._arrived = stored(sent.arrived)
        entries = [each for each in document.entries if each.method not in ("DELETE", "PATCH")]
        self._entries = [each for each in entries if isinstance(each.resource, _BESIDE)]
        self._medications = records[0].medications if records else _lookup(self._entries, fhir.Medication)
        self._studies = records[0].studies if records else _lookup(self._entries, fhir.ResearchStudy)
        is_visited = any(isinstance(each.resource, fhir.Encounter) for each in entries)
        self._conditions = _lookup(entries if is_visited else (), fhir.Condition)

    def beside(self) -> list[Version]:
        """Give the Medications and studies that can be referred to from another message."""
        made = (self.version(each) for each in self._entries)
        return [each for each in made if each.url is not None and not each.weak]

    def versions(self, entries: Iterable[Entered]) -> list[Version]:
        """Make versions of what is about one patient; two that only look like one resource stay two."""
        made = [self.version(each) for each in entries]
        counts = Counter(each.weak for each in made if each.weak)
        for each in made:
            if counts[each.weak] > 1 and not each.is_frail:
                each.weak = _frail(each.resource)
        return made

    def version(self, entered: Entered) -> Version:
        """Make the version that an entry is."""
        resource = self._canonical(entered)
        weak = ""
        put = _PUT.fullmatch(entered.target or "") if entered.method == "PUT" else None
        if isinstance(resource, fhir.Resource) and server_of(entered.full_url) is None:
            if put is not None and resource.id is None and put[1] == type_name(resource):
                resource = msgspec.structs.replace(resource, id=put[2])
            elif entered.method == "PUT" and "?" in (entered.target or ""):
                weak = f"?{_digest(entered.target)}"
            elif resource.id is None or (entered.method == "POST" and not UUID.fullmatch(resource.id)):
                # A server gives what is POSTed an id of its own: the one that it brings is no name.
                weak = _weak(resource)
        stamp, place = self._stamp(resource), entered.expression
        return Version(
            resource, entered.full_url, self._sent.sender, stamp, place, entered.unreadable, is_gone=False, weak=weak
        )

    def _stamp(self, resource: fhir.Tagged) -> Stamp:
        meta = resource.meta if isinstance(resource, fhir.Resource) else None
        if meta is None:
            return Stamp(None, self._source, self._source, self._sent.made is not None)
        number = meta.version_id or ""
        version = int(number) if number.isdecimal() and number.isascii() and len(number) <= _DIGITS else None
        updated = parse_moment(meta.last_updated) if meta.last_updated else None
        if updated is None or updated.instant is None:
            return Stamp(version, self._source, self._source, self._sent.made is not None or version is not None)
        time = min(int(updated.instant * 1_000_000), self._arrived)
        return Stamp(version, time, self._source, is_told=True)

    def _canonical(self, entered: Entered) -> fhir.Tagged:
        """Give a resource without its subject, which is known, and with references that mean the same everywhere."""
        resource: Any = entered.resource
        names = [name for name in _SUBJECTS if getattr(resource, name, None) is not None]
        changed: dict[str, Any] = dict.fromkeys(names)
        match resource:
            case fhir.MedicationRecord():
                changed |= self._drug(resource, entered)
            case fhir.ResearchSubject() if resource.study is not None:
                changed["study"] = self._study(resource.study, entered)
            case fhir.Encounter():
                changed |= self._reasons(resource, entered)
            case _:
                pass
        made: fhir.Tagged = msgspec.structs.replace(resource, **changed) if changed else resource
        return made

    def _drug(self, resource: fhir.MedicationRecord, entered: Entered) -> dict[str, Any]:
        stated = resource.medication
        reference = resource.medication_reference or (stated.reference if stated is not None else None)
        if reference is None or not reference.reference or reference.reference.startswith("#"):
            return {}
        found = self._medications.find(reference.reference, entered.full_url)
        url = self._url(found, reference.reference, entered)
        changed: dict[str, Any] = {}
        if url is None and found is not None and isinstance(found.resource, fhir.Medication):
            # It has no name outside its message: it goes inside.
            inner = msgspec.structs.replace(found.resource, id="in-its-message")
            changed["contained"] = (*resource.contained, inner)
            url = "#in-its-message"
        meant = msgspec.structs.replace(reference, reference=url)
        if resource.medication_reference is not None:
            return changed | {"medication_reference": meant}
        return changed | {"medication": msgspec.structs.replace(stated, reference=meant)}  # type: ignore[type-var]  # not None here

    def _study(self, reference: fhir.Reference, entered: Entered) -> fhir.Reference:
        found = self._studies.find(reference.reference, entered.full_url)
        if found is None or not isinstance(found.resource, fhir.ResearchStudy):
            return reference
        url = self._url(found, reference.reference or "", entered)
        if url is not None:
            return msgspec.structs.replace(reference, reference=url)
        names = [reference.display, *(each.value for each in found.resource.identifier)]
        return msgspec.structs.replace(reference, display=" ".join(each for each in names if each))

    def _reasons(self, resource: fhir.Encounter, entered: Entered) -> dict[str, Any]:
        def meant(reference: fhir.Reference | None) -> fhir.Reference | None:
            text = reference.reference if reference is not None else None
            if reference is None or not text or text.startswith("#"):
                return reference
            url = self._url(self._conditions.find(text, entered.full_url), text, entered)
            return reference if url is None else msgspec.structs.replace(reference, reference=url)

        changed: dict[str, Any] = {}
        if resource.reason_reference:
            changed["reason_reference"] = tuple(map(meant, resource.reason_reference))
        if resource.reason:
            replace = msgspec.structs.replace
            changed["reason"] = tuple(
                replace(each, value=tuple(replace(one, reference=meant(one.reference)) for one in each.value))
                for each in resource.reason
            )
        return changed

    def _home(self, entered: Entered) -> str:
        return server_of(entered.full_url) or home_of(self._sent.sender)

    def _url(self, found: Entered | None, reference: str, entered: Entered) -> str | None:
        """Give the address of what a reference means, also where that has not been sent; None where it has none."""
        if found is not None:
            version = self.version(found)
            return version.url if not version.weak or isinstance(found.resource, fhir.Condition) else None
        return reference if ":" in reference else f"{self._home(entered)}/{current_url(reference)}"


def _weak(resource: fhir.Resource) -> str:
    """Give what tells a resource without an id in the next message: of a result, what it measured and when."""
    if isinstance(resource, fhir.Patient):
        return "nameless"
    if isinstance(resource, fhir.Observation) and resource.code is not None:
        period = resource.effective_period
        when = (
            resource.effective_date_time,
            resource.effective_instant,
            period,
            resource.issued if not period else None,
        )
        if any(when[:3]) or resource.issued:
            codes = sorted((each.system or "", each.code or "") for each in resource.code.coding)
            names = sorted((each.system or "", each.value or "") for each in resource.identifier)
            return _digest((codes or resource.code.text, names, when[:3] if any(when[:3]) else resource.issued))
    return _frail(resource)


def _frail(resource: fhir.Tagged) -> str:
    bare = msgspec.structs.replace(resource, meta=None, id=None) if isinstance(resource, fhir.Resource) else resource
    return f"~{_digest(bare)}"


def _digest(value: object) -> str:
    return hashlib.sha256(_encode(value)).hexdigest()[:24]
