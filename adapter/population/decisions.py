"""What was decided of many patients, as columns: a byte for each patient and atom, and the numbers that were compared.

A byte holds the truth (two bits), the reason (five) and whether a reviewer's answer decided (one).  Evidence and
sentences are not here: they stand in the findings.  Columns are what the report counts (ADR 18).
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from adapter.eligibility.case import Case, Rules
from adapter.eligibility.decide import Screening
from adapter.eligibility.facts import Facts, Sex
from adapter.eligibility.finding import Judgement
from adapter.eligibility.kinds.human import SameAs
from adapter.eligibility.kinds.quantity import Quantity
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import Atom, Trial
from adapter.eligibility.truth import Truth
from adapter.eligibility.values import AsOf, Bounds

if TYPE_CHECKING:
    from collections.abc import Mapping

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.float64]

_REASONS = tuple(Reason)
_PLACE = {reason: place for place, reason in enumerate(_REASONS, 1)}
LOW_OPEN, HIGH_OPEN = 1, 2
"""Which ends of an interval are open."""
_TRUTH, _REASON, _ATTESTED = 0b11, 0b11111, 7
PERSON = ("deceased", "death_unclear", "male", "childbearing")
"""Columns of what is true of the person, whatever the trial."""


def packed(judgement: Judgement) -> int:
    """Give the byte of one judgement."""
    reason = 0 if judgement.reason is None else _PLACE[judgement.reason]
    return judgement.truth.value | reason << 2 | judgement.attested << _ATTESTED


def truth_in(byte: int) -> Truth:
    """Give the truth of one byte."""
    return Truth(byte & _TRUTH)


def truths_of(column: Bytes) -> Bytes:
    """Give the truths of a column, numbered as ``Truth`` is: then *and* is the least, *or* the greatest."""
    return np.bitwise_and(column, np.uint8(_TRUTH))


def reasons_of(column: Bytes) -> Bytes:
    """Give the reasons of a column; 0 is none, ``reason_at`` names the others."""
    return np.bitwise_and(np.right_shift(column, np.uint8(2)), np.uint8(_REASON))


def attested_of(column: Bytes) -> NDArray[np.bool_]:
    """Say where a reviewer's answer decided."""
    return np.right_shift(column, np.uint8(_ATTESTED)).astype(np.bool_)


def reason_at(place: int) -> Reason | None:
    """Name a reason by its number in ``reasons_of``."""
    return _REASONS[place - 1] if place else None


class Decided(msgspec.Struct, frozen=True):
    """The columns of some patients, in their order."""

    patients: tuple[str, ...]
    person: dict[str, Bytes]
    """By name of ``PERSON``: whether it is true, numbered as ``Truth`` is."""
    atoms: dict[str, Bytes]
    """By atom."""
    numbers: dict[str, tuple[Numbers, Numbers, Bytes]]
    """By atom that compares a number: lowest and highest value it can have had (NaN: no such end; both NaN: no single
    result decided), and which ends are open."""
    keys: dict[str, str]
    """By atom: what its column depends on beside the facts; a column under another key says something else."""

    def __len__(self) -> int:
        return len(self.patients)


def key_of(trial: Trial, atom: Atom, as_of: AsOf, mappings: str, software: str) -> str:
    """Name what the answer to an atom depends on beside a patient's facts.

    The question as the trial and mappings put it, the instant, and the versions of mappings and adapter.
    """
    asked: list[Any] = [as_of.text, mappings, software, atom.id, atom.kind]
    if isinstance(atom.kind, SameAs):
        asked.append([each for each in trial.criteria if each.id == atom.kind.criterion])
    return hashlib.sha256(msgspec.json.encode(asked, order="deterministic")).hexdigest()


def keys_of(trials: Iterable[Trial], as_of: AsOf, mappings: str, software: str) -> dict[str, str]:
    """Give the key of every atom of some trials."""
    return {
        atom.id: key_of(trial, atom, as_of, mappings, software)
        for trial in trials
        for criterion in trial.criteria
        for atom in criterion.atoms
    }


class Gathering:
    """Collects the columns of patients, one by one."""

    def __init__(self, trials: Sequence[Trial], as_of: AsOf, rules: Rules, mappings: str, software: str) -> None:
        self._trials = trials
        self._as_of = as_of
        self._rules = rules
        self._keys = keys_of(trials, as_of, mappings, software)
        kinds = [atom for trial in trials for each in trial.criteria for atom in each.atoms]
        self._atoms = [atom.id for atom in kinds]
        self._numeric = {atom.id: atom.kind for atom in kinds if isinstance(atom.kind, Quantity)}
        self._patients: list[str] = []
        self._rows = bytearray()
        self._person = bytearray()
        self._numbers: dict[str, list[tuple[float, float, int]]] = {name: [] for name in self._numeric}

    def add(self, patient: str, facts: Facts, screenings: Iterable[Screening]) -> None:
        """Add one patient's answers, a screening for each trial in the trials' order."""
        self._patients.append(patient)
        found = {}
        for screening in screenings:
            found.update(screening.by_atom)
        self._rows.extend([packed(found[name].judgement) for name in self._atoms])
        for name, kind in self._numeric.items():
            self._numbers[name].append(_compared(kind, found[name].judgement))
        self._person.extend(person_row(Case(facts, self._as_of, self._rules)))

    def columns(self) -> Decided:
        """Give what was collected, and begin anew."""
        count = len(self._patients)
        rows = np.frombuffer(bytes(self._rows), np.uint8).reshape(count, len(self._atoms))
        person = np.frombuffer(bytes(self._person), np.uint8).reshape(count, len(PERSON))
        decided = Decided(
            tuple(self._patients),
            {name: np.ascontiguousarray(person[:, place]) for place, name in enumerate(PERSON)},
            {name: np.ascontiguousarray(rows[:, place]) for place, name in enumerate(self._atoms)},
            {name: _columns(found) for name, found in self._numbers.items()},
            dict(self._keys),
        )
        self._patients, self._rows, self._person = [], bytearray(), bytearray()
        self._numbers = {name: [] for name in self._numeric}
        return decided


def person_row(case: Case) -> bytes:
    """Give what is true of the person: a byte for each of ``PERSON``, numbered as ``Truth`` is."""
    sex = case.sex
    male = Truth.UNKNOWN if sex is Sex.UNKNOWN else Truth.MET if sex is Sex.MALE else Truth.NOT_MET
    unclear = _as_truth(case.facts.person.death_unclear)
    return bytes((_as_truth(case.deceased), unclear, male.value, case.childbearing().value))


def _as_truth(said: bool) -> int:  # noqa: FBT001 (it is what is said)
    return Truth.MET.value if said else Truth.NOT_MET.value


def _compared(kind: Quantity, judgement: Judgement) -> tuple[float, float, int]:
    """Give the interval in which the compared value lies.

    Nothing where more than one record was looked at, since they agree about these limits and may not about others; or
    where the value was held against other limits: an equivalent in its own unit, a multiple of its laboratory's limit.
    """
    result = judgement.observed
    is_alone = len(judgement.evidence) == 1 and result is not None and not kind.times_uln
    if not is_alone or result is None or result.bounds is None or result.unit != kind.unit:
        return np.nan, np.nan, 0
    bounds: Bounds = result.bounds
    low = float(bounds.low) if bounds.low is not None else np.nan
    high = float(bounds.high) if bounds.high is not None else np.nan
    return low, high, bounds.low_open * LOW_OPEN | bounds.high_open * HIGH_OPEN


def _columns(found: list[tuple[float, float, int]]) -> tuple[Numbers, Numbers, Bytes]:
    lows, highs, opens = zip(*found, strict=True) if found else ((), (), ())
    return np.array(lows, np.float64), np.array(highs, np.float64), np.array(opens, np.uint8)


_Frame = tuple[list[str], list[bytes], list[bytes], list[tuple[bytes, bytes, bytes]]]


def framed(decided: Decided) -> bytes:
    """Write columns compactly, for ``unframed`` of the same run to read: few patients take few bytes."""
    frame: _Frame = (
        list(decided.patients),
        [column.tobytes() for column in decided.person.values()],
        [column.tobytes() for column in decided.atoms.values()],
        [(low.tobytes(), high.tobytes(), opens.tobytes()) for low, high, opens in decided.numbers.values()],
    )
    return msgspec.msgpack.encode(frame)


def unframed(frames: Iterable[bytes], like: Decided) -> Decided:
    """Join what was framed, in its order; ``like`` names the columns."""
    patients: list[str] = []
    person: list[list[bytes]] = [[] for _ in like.person]
    atoms: list[list[bytes]] = [[] for _ in like.atoms]
    numbers: list[list[tuple[bytes, bytes, bytes]]] = [[] for _ in like.numbers]
    for frame in frames:
        names, persons, answers, compared = msgspec.msgpack.decode(frame, type=_Frame)
        patients.extend(names)
        for column, each in zip((*person, *atoms), (*persons, *answers), strict=True):
            column.append(each)
        for found, ends in zip(numbers, compared, strict=True):
            found.append(ends)
    return Decided(
        tuple(patients),
        {name: _bytes(column) for name, column in zip(like.person, person, strict=True)},
        {name: _bytes(column) for name, column in zip(like.atoms, atoms, strict=True)},
        {
            name: (
                np.frombuffer(b"".join(low for low, _, _ in column), np.float64),
                np.frombuffer(b"".join(high for _, high, _ in column), np.float64),
                _bytes([opens for _, _, opens in column]),
            )
            for name, column in zip(like.numbers, numbers, strict=True)
        },
        like.keys,
    )


def _bytes(parts: list[bytes]) -> Bytes:
    return np.frombuffer(b"".join(parts), np.uint8)


def between(decided: Decided, start: int, end: int) -> Decided:
    """Give the columns of some patients, by their places."""
    return Decided(
        decided.patients[start:end],
        {name: column[start:end] for name, column in decided.person.items()},
        {name: column[start:end] for name, column in decided.atoms.items()},
        {
            name: (low[start:end], high[start:end], opens[start:end])
            for name, (low, high, opens) in decided.numbers.items()
        },
        decided.keys,
    )


def joined(parts: Sequence[Decided]) -> Decided:
    """Join the columns of several parts of one run, in their order; raises ValueError where they are not of one run."""
    first = parts[0]
    if any(each.keys != first.keys for each in parts):
        raise ValueError("these parts were not decided by the same questions")
    return Decided(
        tuple(patient for each in parts for patient in each.patients),
        {name: np.concatenate([each.person[name] for each in parts]) for name in PERSON},
        {name: np.concatenate([each.atoms[name] for each in parts]) for name in first.atoms},
        {
            name: (
                np.concatenate([each.numbers[name][0] for each in parts]),
                np.concatenate([each.numbers[name][1] for each in parts]),
                np.concatenate([each.numbers[name][2] for each in parts]),
            )
            for name in first.numbers
        },
        first.keys,
    )


_KEYS = b"trial-adapter.keys"


def write(decided: Decided, path: Path | IO[bytes]) -> None:
    """Write columns as Parquet; the caller makes the file appear whole."""
    import pyarrow as pa  # noqa: PLC0415 (an extra of the installation)
    import pyarrow.parquet as pq  # noqa: PLC0415 (the same)

    columns: dict[str, Any] = {"patient": pa.array(decided.patients, pa.string())}
    columns |= {f"person.{name}": pa.array(column) for name, column in decided.person.items()}
    columns |= {name: pa.array(column) for name, column in decided.atoms.items()}
    for name, (low, high, opens) in decided.numbers.items():
        columns |= {f"{name}.low": pa.array(low), f"{name}.high": pa.array(high), f"{name}.open": pa.array(opens)}
    keys = {_KEYS: msgspec.json.encode(decided.keys)}
    table = pa.table(columns).replace_schema_metadata(keys)
    pq.write_table(table, path, compression="zstd")


def read(path: Path, atoms: "Mapping[str, str] | None" = None) -> Decided:
    """Read columns; with ``atoms`` only those whose key is the one given there."""
    import pyarrow.parquet as pq  # noqa: PLC0415 (an extra of the installation)

    file = pq.ParquetFile(path)
    kept: dict[str, str] = msgspec.json.decode(file.schema_arrow.metadata[_KEYS])
    keys = kept if atoms is None else {name: key for name, key in kept.items() if atoms.get(name) == key}
    names = set(file.schema_arrow.names)
    numeric = [name for name in keys if f"{name}.low" in names]
    wanted = ["patient", *(f"person.{name}" for name in PERSON), *keys]
    wanted += [f"{name}.{end}" for name in numeric for end in ("low", "high", "open")]
    table = file.read(columns=wanted)
    column = {name: table.column(name) for name in wanted}
    return Decided(
        tuple(column["patient"].to_pylist()),
        {name: column[f"person.{name}"].to_numpy() for name in PERSON},
        {name: column[name].to_numpy() for name in keys},
        {
            name: (
                column[f"{name}.low"].to_numpy(),
                column[f"{name}.high"].to_numpy(),
                column[f"{name}.open"].to_numpy(),
            )
            for name in numeric
        },
        keys,
    )
