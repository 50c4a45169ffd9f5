"""Facts kept as Parquet, so that a patient's JSON is read once and screened as often as one likes.

A folder has ``facts.json`` (what made it), ``patients/`` (one row a patient: all facts, to be judged again exactly),
``facts/`` (one row a fact, for people and for DuckDB) and ``decisions/`` (what was decided when they were kept).
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec

from adapter.eligibility.facts import (
    Allergy,
    Attestation,
    Condition,
    ConsentRecord,
    EmptyList,
    Encounter,
    Facts,
    Medication,
    OtherStudy,
    Person,
    Procedure,
    Result,
)
from adapter.eligibility.values import Moment
from adapter.errors import AdapterError, Category

FORM = 1
"""Of the files' layout; another one is refused."""
PATIENT_FILES, FACT_FILES, DECIDED_FILES = "patients.parquet", "facts.parquet", "decided.parquet"
"""The folders of kept facts."""
_T = TypeVar("_T")
_Coded = TypeVar("_Coded", Condition, Medication, Procedure, Encounter)
_Places = dict[str, tuple[int, ...]]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What made a folder of facts."""

    form: int
    adapter: str
    mappings: str
    """Digest of the mappings that found them: facts of other mappings answer other questions."""
    as_of: str
    """The instant of the decisions kept beside them; the facts hold for any."""
    trials: dict[str, str]
    """By key: version of the trials that were decided."""


class Sets(msgspec.Struct, frozen=True, array_like=True):
    """Facts that stand in several value sets: each once, and where it stands."""

    conditions: tuple[Condition, ...]
    condition_places: _Places
    medications: tuple[Medication, ...]
    medication_places: _Places
    procedures: tuple[Procedure, ...]
    procedure_places: _Places
    encounters: tuple[Encounter, ...]
    encounter_places: _Places


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """All facts of one patient."""

    person: Person
    results: dict[str, list[Result]]
    sets: Sets
    allergies: list[Allergy]
    empty_lists: list[EmptyList]
    other_studies: list[OtherStudy]
    consents: list[ConsentRecord]
    attestations: dict[str, list[Attestation]]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Packed).decode


def pack(facts: Facts) -> bytes:
    """Write all facts of one patient so that ``unpack`` gives them back exactly."""
    sets = Sets(*_once(facts.conditions), *_once(facts.medications), *_once(facts.procedures), *_once(facts.encounters))
    return _encode(
        Packed(
            facts.person,
            facts.results,
            sets,
            facts.allergies,
            facts.empty_lists,
            facts.other_studies,
            facts.consents,
            facts.attestations,
        )
    )


def unpack(data: bytes) -> Facts:
    """Give the facts that were packed."""
    kept = _decode(data)
    sets = kept.sets
    return Facts(
        person=kept.person,
        results=kept.results,
        conditions=_placed(sets.conditions, sets.condition_places),
        medications=_placed(sets.medications, sets.medication_places),
        procedures=_placed(sets.procedures, sets.procedure_places),
        encounters=_placed(sets.encounters, sets.encounter_places),
        allergies=kept.allergies,
        empty_lists=kept.empty_lists,
        other_studies=kept.other_studies,
        consents=kept.consents,
        attestations=kept.attestations,
    )


def _once(by_name: dict[str, list[_T]]) -> tuple[tuple[_T, ...], _Places]:
    """Give each fact once, and by name the places of its facts: one fact in two sets stays one fact."""
    places: dict[int, int] = {}
    found: list[_T] = []
    for facts in by_name.values():
        for each in facts:
            if id(each) not in places:
                places[id(each)] = len(found)
                found.append(each)
    return tuple(found), {name: tuple(places[id(each)] for each in facts) for name, facts in by_name.items()}


def _placed(facts: Sequence[_T], places: _Places) -> dict[str, list[_T]]:
    return {name: [facts[place] for place in found] for name, found in places.items()}


class Row(msgspec.Struct, frozen=True):
    """One fact as people and databases read it."""

    patient: str
    kind: str
    names: tuple[str, ...]
    """Inputs or value sets it stands for."""
    role: str | None = None
    coded: str | None = None
    """Its first code as sent, ``system|code``."""
    said: str | None = None
    """What was sent, in words."""
    on: str | None = None
    first_day: int | None = None
    last_day: int | None = None
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    answer: str | None = None
    status: str | None = None
    problem: str | None = None
    source: str | None = None


def rows(patient: str, facts: Facts) -> Iterator[Row]:
    """Give a row for each fact, in the order in which they were found."""
    for name, results in facts.results.items():
        for each in results:
            yield _result(patient, name, each)
    yield from _coded(patient, "condition", facts.conditions)
    yield from _coded(patient, "medication", facts.medications)
    yield from _coded(patient, "procedure", facts.procedures)
    yield from _coded(patient, "encounter", facts.encounters)
    for allergy in facts.allergies:
        names = tuple(each.value_set for each in (*allergy.memberships, *allergy.manifestations))
        yield _row(patient, "allergy", names, allergy, allergy.recorded, allergy.label, allergy.verification.value)
    for empty in facts.empty_lists:
        yield _row(patient, "empty-list", (empty.kind,), empty, empty.when, None, None)
    for study in facts.other_studies:
        yield _row(patient, "other-study", (), study, study.start, study.study, study.state)
    for consent in facts.consents:
        yield _row(patient, "consent", (), consent, consent.when, consent.study, consent.status)
    for name, answers in facts.attestations.items():
        for answer in answers:
            said = "yes" if answer.answer else "no"
            yield _row(patient, "reviewers-answer", (name,), answer, answer.when, said, None)


def _result(patient: str, name: str, each: Result) -> Row:
    bounds = each.bounds
    return Row(
        patient,
        "result",
        (name,),
        role=each.role,
        said=each.sent,
        on=each.when.text if each.when else None,
        first_day=each.when.first if each.when else None,
        last_day=each.when.last if each.when else None,
        low=float(bounds.low) if bounds is not None and bounds.low is not None else None,
        high=float(bounds.high) if bounds is not None and bounds.high is not None else None,
        unit=each.unit,
        answer=each.answer.value if each.answer else None,
        status=each.status,
        problem=each.problem.value if each.problem else None,
        source=each.source.versioned,
    )


def _coded(
    patient: str,
    kind: str,
    by_name: dict[str, list[_Coded]],
) -> Iterator[Row]:
    facts, places = _once(by_name)
    names: list[list[str]] = [[] for _ in facts]
    for name, found in places.items():
        for place in found:
            names[place].append(name)
    for fact, stands_for in zip(facts, names, strict=True):
        yield _row(patient, kind, tuple(stands_for), fact, _begun(fact), fact.label, _state(fact))


def _begun(fact: Condition | Medication | Procedure | Encounter) -> Moment | None:
    match fact:
        case Condition():
            return fact.onset or fact.asserted or fact.recorded
        case Medication():
            return fact.start
        case _:
            return fact.when


def _state(fact: Condition | Medication | Procedure | Encounter) -> str | None:
    match fact:
        case Condition():
            return f"{fact.clinical.value}, {fact.verification.value}"
        case Medication():
            return fact.exposure.value
        case Procedure():
            return fact.done.word
        case _:
            return None


def _row(
    patient: str,
    kind: str,
    names: tuple[str, ...],
    fact: Any,  # noqa: ANN401 (any of the facts: only its source and code are read)
    when: Moment | None,
    said: str | None,
    status: str | None,
) -> Row:
    return Row(
        patient,
        kind,
        names,
        coded=getattr(fact, "coded", None) or None,
        said=said,
        on=when.text if when else None,
        first_day=when.first if when else None,
        last_day=when.last if when else None,
        status=status,
        source=fact.source.versioned,
    )


def write_patients(patients: Iterable[tuple[str, bytes]], path: Path | IO[bytes]) -> None:
    """Write the packed facts of some patients, to be judged again; the caller makes the file appear whole."""
    import pyarrow as pa  # noqa: PLC0415 (an extra of the installation)
    import pyarrow.parquet as pq  # noqa: PLC0415 (the same)

    names, packed = [], []
    for patient, facts in patients:
        names.append(patient)
        packed.append(facts)
    table = pa.table({"patient": pa.array(names, pa.string()), "facts": pa.array(packed, pa.binary())})
    pq.write_table(table, path, compression="zstd", row_group_size=1000)


def write_facts(found: Iterable[Row], path: Path | IO[bytes]) -> None:
    """Write one row a fact; the caller makes the file appear whole."""
    import pyarrow as pa  # noqa: PLC0415 (an extra of the installation)
    import pyarrow.parquet as pq  # noqa: PLC0415 (the same)

    schema = pa.schema(
        [
            ("patient", pa.string()),
            ("kind", pa.string()),
            ("names", pa.list_(pa.string())),
            *((name, pa.string()) for name in ("role", "coded", "said", "on")),
            *((name, pa.int32()) for name in ("first_day", "last_day")),
            *((name, pa.float64()) for name in ("low", "high")),
            *((name, pa.string()) for name in ("unit", "answer", "status", "problem", "source")),
        ]
    )
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    for row in found:
        for name, column in columns.items():
            column.append(getattr(row, name))
    pq.write_table(pa.table(columns, schema=schema), path, compression="zstd")


def read_patients(path: Path) -> Iterator[tuple[str, Facts]]:
    """Give the patients of one file with their facts; raises AdapterError where it cannot be read."""
    import pyarrow as pa  # noqa: PLC0415 (an extra of the installation)
    import pyarrow.parquet as pq  # noqa: PLC0415 (the same)

    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=1000):
            for patient, facts in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
                yield patient, unpack(facts)
    except (OSError, pa.ArrowException, msgspec.DecodeError):
        raise _unreadable(path) from None


def _unreadable(path: Path) -> AdapterError:
    said = f"the kept facts of {path.name} cannot be read; keep them again"
    return AdapterError.of(Category.MALFORMED, "kept-facts", said)


def names_of(path: Path) -> tuple[str, ...]:
    """Name the patients of one file in its order, without their facts; raises AdapterError where it cannot be read."""
    import pyarrow as pa  # noqa: PLC0415 (an extra of the installation)
    import pyarrow.parquet as pq  # noqa: PLC0415 (the same)

    try:
        return tuple(pq.ParquetFile(path).read(columns=["patient"]).column(0).to_pylist())
    except (OSError, pa.ArrowException):
        raise _unreadable(path) from None


def read_manifest(folder: Path, mappings: str) -> Manifest:
    """Say what made a folder of facts; raises AdapterError where they cannot answer for these mappings."""
    try:
        manifest = msgspec.json.decode((folder / "facts.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError):
        said = "facts.json of this folder cannot be read; keep the facts again with --keep-facts"
        raise AdapterError.of(Category.MALFORMED, "kept-facts", said) from None
    if manifest.form != FORM or manifest.mappings != mappings:
        said = (
            "these facts were kept by another version of the mappings or the adapter: what a new mapping reads may not "
            "be among them; screen the resources again with --keep-facts"
        )
        raise AdapterError.of(Category.UNSUPPORTED, "kept-facts", said)
    return manifest
