"""Sinks for what is kept or counted of a population: facts, decisions, what could not be used, rows of the worklist."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, ClassVar

import msgspec

from adapter.population.decisions import Decided, Gathering, framed, read, unframed
from adapter.population.kept_facts import pack
from adapter.population.quality import Tally, unread
from adapter.population.screened import Screener
from adapter.population.sinks import Sink
from adapter.population.worklist import Before, Lister
from adapter.screen import PatientScreening

PATIENTS, DECIDED = "patients.frames", "decided.frames"
TALLY, WORKLIST = "tally.ndjson", "worklist.ndjson"
_LENGTH = 8
_encode = msgspec.json.encode


class PatientFrames:
    """A frame for each patient with all facts, to be judged again."""

    file: ClassVar[str] = PATIENTS
    is_folder: ClassVar[bool] = False
    appears: ClassVar[bool] = False
    head: ClassVar[bytes] = b""

    def __init__(self, _: Screener) -> None:
        """Nothing is needed."""

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:
        """Write one patient."""
        stream.write(_frame(msgspec.msgpack.encode((patient.patient, pack(patient.facts)))))

    def end(self, stream: IO[bytes]) -> None:
        """Nothing was held back."""


class DecisionFrames:
    """A frame for each part: a row for each patient, a column for each atom."""

    file: ClassVar[str] = DECIDED
    is_folder: ClassVar[bool] = False
    appears: ClassVar[bool] = False
    head: ClassVar[bytes] = b""

    def __init__(self, screener: Screener) -> None:
        self._gathering = gathering(screener)

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:  # noqa: ARG002 (written at the end)
        """Hold one patient's answers."""
        self._gathering.add(patient.patient, patient.facts, patient.screenings)

    def end(self, stream: IO[bytes]) -> None:
        """Write what was held."""
        stream.write(_frame(framed(self._gathering.columns())))


class TallySink:
    """NDJSON: for each part, the codes and units that could not be used, counted."""

    file: ClassVar[str] = TALLY
    is_folder: ClassVar[bool] = False
    appears: ClassVar[bool] = False
    head: ClassVar[bytes] = b""

    def __init__(self, screener: Screener) -> None:
        self._index = screener.catalog.index
        self._tally = Tally()

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:  # noqa: ARG002 (written at the end)
        """Count one patient."""
        unmapped = unread(patient.record, self._index) if patient.record is not None else ()
        self._tally.add(patient.facts, patient.screenings, unmapped)

    def end(self, stream: IO[bytes]) -> None:
        """Write the counts."""
        stream.write(_encode([(key, *self._tally.of(key)) for key in self._tally.patients]) + b"\n")
        self._tally = Tally()


class WorklistSink:
    """NDJSON: a row for each patient and trial that coordinators look at."""

    file: ClassVar[str] = WORKLIST
    is_folder: ClassVar[bool] = False
    appears: ClassVar[bool] = False
    head: ClassVar[bytes] = b""

    def __init__(self, screener: Screener) -> None:
        self._lister = Lister(screener.catalog, screener.trials, screener.as_of, before_of(screener))

    def write(self, patient: PatientScreening, stream: IO[bytes]) -> None:
        """Write the rows of one patient."""
        stream.writelines(_encode(row) + b"\n" for row in self._lister.rows(patient))

    def end(self, stream: IO[bytes]) -> None:
        """Nothing was held back."""


KEPT: dict[str, tuple[type[Sink], ...]] = {
    "facts": (PatientFrames,),
    "decisions": (DecisionFrames,),
    "tally": (TallySink,),
    "worklist": (WorklistSink,),
}
"""By what is asked for: what it is made from."""


def before_of(screener: Screener) -> Before | None:
    """Give the worklist of last time; None where there was none."""
    if screener.setup.before is None:
        return None
    return Before(read(Path(screener.setup.before)), screener.trials)


def gathering(screener: Screener) -> Gathering:
    """Give what collects the columns of a run."""
    catalog, versions = screener.catalog, screener.versions()
    return Gathering(screener.trials, screener.as_of, catalog.rules, versions["mappings"], versions["adapter"])


def decided_in(stream: IO[bytes], screener: Screener) -> Decided:
    """Give the decisions of all parts of a run, in their order."""
    return unframed(_frames(stream), gathering(screener).columns())


def patients_in(stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Give the patients of a run, with their facts as ``pack`` wrote them."""
    for frame in _frames(stream):
        yield msgspec.msgpack.decode(frame, type=tuple[str, bytes])


def _frame(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH, "little") + data


def _frames(stream: IO[bytes]) -> Iterator[bytes]:
    while length := stream.read(_LENGTH):
        yield stream.read(int.from_bytes(length, "little"))


def tally_in(lines: Iterable[bytes]) -> Tally:
    """Add up the counts of all parts."""
    total = Tally()
    for line in lines:
        for key, patients, verdicts in msgspec.json.decode(line, type=list[tuple[tuple[str, str, str], int, int]]):
            total.patients[key] += patients
            total.verdicts[key] += verdicts
    return total
