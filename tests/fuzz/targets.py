"""The entry points that take what others sent, each as a function of bytes that raises only where we are wrong.

What is refused as it should be (AdapterError, Refusal) is no fault.  ``test_fuzz.py`` asks them for a moment;
``run.py`` has atheris, which sees what code a document reaches, ask them for minutes.
"""

import contextlib
import functools
import zlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

import adapter
from adapter.catalog.catalog import Catalog
from adapter.eligibility.truth import Truth
from adapter.errors import AdapterError
from adapter.fhir import resources as fhir
from adapter.fhir import wire
from adapter.fhir.record import Lookup
from adapter.fhir.wire import Entered
from adapter.mapping.units import UnitReader
from adapter.screen import read_records, screen_bundle
from adapter.service.limits import Bounds, _Inflated
from adapter.service.outcomes import Refusal
from adapter.service.reading import Shape, entries_of, read_object
from adapter.validate import validate

AS_OF = "2026-11-01T00:00:00Z"
_SHAPE = Shape(64, 20_000, 500)


@functools.cache
def catalog() -> Catalog:
    return adapter.load_catalog()


def reading_typed(data: bytes) -> None:
    """Bytes to typed resources, and to patients."""
    try:
        document = wire.read(data)
    except AdapterError:
        return
    for entered in document.entries:
        assert entered.expression
    with contextlib.suppress(AdapterError):
        read_records(data)


def reading_strictly(data: bytes) -> None:
    """Bytes to JSON as the service reads it: what is taken is read alike by another reader, and by the core."""
    try:
        tree = read_object(data, _SHAPE)
    except Refusal as refusal:
        _is_sound(refusal)
        return
    other = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    assert other == tree, "two readers differ"
    try:
        entries_of(tree, _SHAPE)
    except Refusal:
        return
    reading_typed(data)


def resolving(data: bytes) -> None:
    """References to resources: two that differ are never both what one reference means."""
    texts = [each.decode("utf-8", "replace") for each in data.split(b"\n")][:24]
    lookup = Lookup()
    added = []
    for full_url, id_ in zip(texts[::2], texts[1::2], strict=False):
        entered = Entered(fhir.Patient(id=id_ or None), full_url or None, "Bundle.entry[0].resource")
        lookup.add(entered)
        added.append(entered)
    for reference in (*texts, *(f"Patient/{each}" for each in texts)):
        for base in (None, *texts[:4]):
            found = lookup.find(reference, base)
            assert found is None or any(found is each for each in added)
            if found is not None and ":" not in reference:
                assert reference.endswith(str(found.resource.id)) or found.full_url is not None  # type: ignore[attr-defined]  # a Patient


def screening(data: bytes) -> None:
    """A whole document to findings: never an exception, never a decision without evidence for it."""
    moment = adapter.parse_as_of(AS_OF)
    try:
        answered = screen_bundle(data, catalog(), moment)
    except AdapterError:
        return
    for patient in answered.patients:
        for each in patient.screenings:
            for finding in each.findings:
                assert finding.judgement.truth is not Truth.UNKNOWN or finding.judgement.reason is not None


@functools.cache
def _readers() -> tuple[UnitReader, ...]:
    mappings = catalog().mappings
    measures = [measure for each in mappings.inputs.values() for measure in each.measures]
    return tuple(UnitReader(each, mappings.vocabulary) for each in measures)


def converting(data: bytes) -> None:
    """Numbers with units, in every measure there is."""
    texts: list[str | None] = [each.decode("utf-8", "replace") or None for each in data.split(b"\n")][:5]
    number, unit, code, system, comparator = (*texts, *[None] * 5)[:5]
    try:
        value = Decimal(number) if number else None
    except InvalidOperation:
        value = None
    quantity = fhir.Quantity(value=value, unit=unit, code=code, system=system, comparator=comparator)
    for reader in _readers():
        reading = reader.read(quantity)
        assert (reading.bounds is None) != (reading.problem is None)
        if value is not None and not value.is_finite():
            assert reading.bounds is None


def validating(data: bytes) -> None:
    """What ``validate`` says of anything at all."""
    validate(data)


def unpacking(data: bytes) -> None:
    """Gzip in pieces: never more than allowed, and what is taken is what another reader unpacks."""
    bounds = Bounds(decoded=65_536, encoded=65_536, ratio=200, header=1, concurrent=1, body_s=1)
    step = 1 + (data[0] if data else 0)
    packed = data[1:]
    stream, made = _Inflated(bounds), b""
    try:
        for start in range(0, len(packed), step):
            for piece in stream.feed(packed[start : start + step]):
                made += piece
                assert len(made) <= bounds.decoded
        stream.end()
    except Refusal as refusal:
        _is_sound(refusal)
        return
    assert made == zlib.decompress(packed, 31)


def _is_sound(refusal: Refusal) -> None:
    assert refusal.status in (400, 413)
    assert refusal.issues


TARGETS: dict[str, Callable[[bytes], None]] = {
    "reading_typed": reading_typed,
    "reading_strictly": reading_strictly,
    "resolving": resolving,
    "screening": screening,
    "converting": converting,
    "validating": validating,
    "unpacking": unpacking,
}


def seeds(name: str, documents: list[bytes]) -> list[bytes]:
    """Give what a target begins with."""
    match name:
        case "resolving":
            texts: tuple[str, ...] = ("http://a/fhir/Patient/1", "1", "urn:uuid:0", "2", "", "1", "Patient/1", "")
            return ["\n".join(texts).encode(), "\n".join(reversed(texts)).encode()]
        case "converting":
            rows: list[tuple[str, ...]] = [
                ("7.2", "%", "%", "http://unitsofmeasure.org", ""),
                ("55", "mmol/mol", "mmol/mol", "http://unitsofmeasure.org", "<"),
                ("1e-9", "µg/l", "", "", ">="),
                ("NaN", "", "", "", ""),
                ("1E+999999", "mg/dL", "", "", ""),
            ]
            return ["\n".join(each).encode() for each in rows]
        case "unpacking":
            packed = [zlib.compress(each, wbits=31) for each in documents[:20]]
            return [b"\x10" + each for each in packed]
        case _:
            return documents


def is_json(name: str) -> bool:
    """Whether a target reads JSON, so that its documents may be broken as JSON."""
    return name not in ("resolving", "converting", "unpacking")


def parsed(data: bytes) -> Any:  # noqa: ANN401 (any JSON)
    """Give the JSON of a document; None where it is none."""
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
