"""What both sides are asked about: one Bundle per patient, as a server gives it to CQL in the patient's context."""

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
from oracle.engine import Question

from adapter import inputs
from adapter.errors import AdapterError
from adapter.fhir import resources as fhir
from adapter.fhir import wire
from adapter.fhir.record import sort_by_patient
from adapter.fhir.versioning import latest_versions
from adapter.fhir.wire import Entered

_PLACE = re.compile(r"Bundle\.entry\[(\d+)\]\.resource")
_SHARED = (fhir.Medication, fhir.ResearchStudy)

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


def of_files(paths: list[Path], kind: str) -> Iterator[Question]:
    """Give the patients of files and folders, named ``kind/file#patient``; what is no document is passed over."""
    for path in inputs.find(paths):
        try:
            for document in inputs.documents(path):
                yield from of_document(document.data, f"{kind}/{path.name}")
        except AdapterError:  # a file that screening refuses has no answer to compare
            continue


def of_document(data: bytes, name: str) -> Iterator[Question]:
    """Give the patients of one document, each with what is the patient's own and what all may refer to."""
    document = wire.read(data)
    records = sort_by_patient(document)
    shared = [each for each in latest_versions(document.entries, []) if isinstance(each.resource, _SHARED)]
    sent = _decode(data.removeprefix(b"\xef\xbb\xbf"))
    for record in records:
        own = [each for found in record.resources.values() for each in found]
        yield Question(f"{name}#{record.id}", _bundle_of([record.patient, *own, *shared], sent))


def _bundle_of(entered: list[Entered], document: dict[str, Any]) -> dict[str, Any]:
    """Put together what is the patient's own and what all may refer to, as sent and in the order sent."""
    places = {int(found[1]) for each in entered if (found := _PLACE.fullmatch(each.expression))}
    entries = [document["entry"][place] for place in sorted(places)] if places else [{"resource": document}]
    sent = [
        {name: entry[name] for name in ("fullUrl", "resource") if name in entry}
        for entry in entries
        if isinstance(entry.get("resource"), dict)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": sent}
