"""What was found, as the Bundle or OperationOutcome that each kind of request is answered with."""

import datetime
import re
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from adapter.errors import Issue
from adapter.fhir.versions import FhirVersion
from adapter.service.evaluation import Evaluation, Written
from adapter.service.negotiation import Return
from adapter.service.outcomes import encode, outcome
from adapter.service.reading import part_of

_NAMESPACE = uuid.UUID("0d2a6c1e-6f5b-5d0e-9a1f-3c1f0a8f4b52")
_PLACE = re.compile(r"Bundle\.entry\[(\d+)\]")
_WHOLE = re.compile(r"Bundle\.entry\[\d+\](\.resource)?")
_MADE = {"status": "202 Accepted"}
"""Of a result: it is kept here for good, and on its way to the site's FHIR server."""


class Maker(msgspec.Struct, frozen=True):
    """Writes answers under one canonical base."""

    base: str

    def responses(self, kind: str, entries: list[dict[str, Any]], found: Evaluation, amount: Return | None) -> bytes:
        """Answer a transaction or batch: an entry for each of the request, in its order, then the results."""
        issues = _by_entry(found.issues)
        made: list[dict[str, Any]] = []
        for number, entry in enumerate(entries):
            response = _response(entry, issues.pop(number, []), is_batch=kind == "batch-response")
            made.append({"response": response})
        if amount is Return.OUTCOME:
            remarks = [*_rest(issues), *found.verdicts()]
            made.append({"response": {"status": "200 OK", "outcome": outcome(remarks)}})
        elif rest := _rest(issues):
            made.append({"response": {"status": "200 OK", "outcome": outcome(rest)}})
        made += [
            {"fullUrl": self._url(each), "resource": msgspec.Raw(each.body), "response": _MADE | _location(each)}
            for each in _results(found, amount)
        ]
        return encode({"resourceType": "Bundle", "type": kind, "entry": made})

    def collection(self, found: Evaluation) -> bytes:
        """Give all that was found as a plain Bundle."""
        made = [
            {"fullUrl": self._url(each), "resource": msgspec.Raw(each.body)}
            for patient in found.patients
            for each in patient.written
        ]
        if found.issues:
            remarks = outcome(found.issues)
            made.append({"fullUrl": _urn(encode(remarks)), "resource": msgspec.Raw(encode(remarks))})
        return encode({"resourceType": "Bundle", "type": "collection", "entry": made})

    def outcome(self, found: Evaluation) -> bytes:
        """Say what was found, and nothing else."""
        return encode(outcome((*found.issues, *found.verdicts())))

    def message(self, header: dict[str, Any], found: Evaluation, version: FhirVersion, amount: Return | None) -> bytes:
        """Answer a message: the header that says which one it answers, what there is to say of it, the results."""
        remarks = encode(outcome((*found.issues, *found.verdicts())))
        said = _urn(remarks)
        asked = part_of(header, "id") or ""
        id_ = str(uuid.uuid5(_NAMESPACE, f"{self.base}|{asked}|{said}"))
        written = _results(found, amount)
        answer: dict[str, Any] = {"resourceType": "MessageHeader", "id": id_}
        endpoint = f"{self.base}/$process-message"
        is_r4 = version is FhirVersion.R4
        named = "eventUri" if is_r4 else "eventCanonical"
        event = {name: header[name] for name in ("eventCoding", named) if name in header}
        answer |= event or {named: f"{self.base}/message/eligibility"}
        answer["source"] = {"name": "trial-adapter", "endpoint" if is_r4 else "endpointUrl": endpoint}
        identifier: Any = asked if is_r4 else {"value": asked}
        answer["response"] = {"identifier": identifier, "code": "ok", "details": {"reference": said}}
        if written:
            answer["focus"] = [{"reference": each.reference} for each in written]
        entries: list[dict[str, Any]] = [
            {"fullUrl": f"{self.base}/MessageHeader/{id_}", "resource": answer},
            {"fullUrl": said, "resource": msgspec.Raw(remarks)},
        ]
        entries += [{"fullUrl": self._url(each), "resource": msgspec.Raw(each.body)} for each in written]
        made = {"resourceType": "Bundle", "id": id_, "type": "message", "timestamp": _text(found.as_of)}
        return encode({**made, "entry": entries})

    def _url(self, written: Written) -> str:
        return f"{self.base}/{written.reference}"


def _results(found: Evaluation, amount: Return | None) -> list[Written]:
    """Give the resources to answer with: subjects where nothing is asked for, all of them where all are."""
    every = (each for patient in found.patients for each in patient.written)
    match amount:
        case None:
            return [each for each in every if each.type == "ResearchSubject"]
        case Return.REPRESENTATION:
            return list(every)
        case _:
            return []


def _response(entry: dict[str, Any], issues: list[Issue], *, is_batch: bool) -> dict[str, Any]:
    """Say what became of one entry: used, or set aside and why."""
    made: dict[str, Any] = {"status": "200 OK"}
    if is_batch and any(is_lost(each) for each in issues):
        made["status"] = "422 Unprocessable Entity"
    elif is_query(entry):
        made["status"] = "405 Method Not Allowed"
    if issues:
        made["outcome"] = outcome(issues)
    return made


def is_lost(issue: Issue) -> bool:
    """Whether a whole entry could not be read, not only an element of it."""
    return issue.code == "unreadable" and _WHOLE.fullmatch(issue.expression or "") is not None


def is_query(entry: dict[str, Any]) -> bool:
    """Whether an entry asks for something, and brings nothing."""
    return part_of(entry, "request", "method") in ("GET", "HEAD")


def _by_entry(issues: Iterable[Issue]) -> dict[int | None, list[Issue]]:
    sorted_: dict[int | None, list[Issue]] = defaultdict(list)
    for each in issues:
        place = _PLACE.match(each.expression or "")
        sorted_[int(place[1]) if place else None].append(each)
    return sorted_


def _rest(issues: dict[int | None, list[Issue]]) -> list[Issue]:
    return [each for some in issues.values() for each in some]


def _location(written: Written) -> dict[str, str]:
    return {"location": written.reference}


def _urn(data: bytes) -> str:
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, data.decode())}"


def _text(moment: datetime.datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def dangling(data: bytes, entries: list[dict[str, Any]]) -> Iterator[str]:
    """Give the places of references to a ``urn:uuid`` that no fullUrl is: a transaction with one cannot be done."""
    named = {each.decode("utf-8", "replace") for each in _URN.findall(data)}
    missing = named - {part_of(each, "fullUrl") or "" for each in entries}
    for number, entry in enumerate(entries if missing else ()):
        if not missing.isdisjoint(_references(entry.get("resource"))):
            yield f"Bundle.entry[{number}].resource"


_URN = re.compile(rb'"reference"\s*:\s*"(urn:[^"#\\]+)"')


def _references(value: Any) -> Iterator[str]:  # noqa: ANN401 (any part of a resource)
    if isinstance(value, dict):
        for name, inside in value.items():
            if name == "reference" and isinstance(inside, str):
                yield inside
            else:
                yield from _references(inside)
    elif isinstance(value, list):
        for inside in value:
            yield from _references(inside)
