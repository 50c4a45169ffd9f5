"""What a finished run is made into: a folder of facts, a report, a worklist."""

import heapq
import itertools
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec

from adapter import __version__
from adapter.outputs import Folder, unwritable
from adapter.population.decisions import Decided, between, write
from adapter.population.disclosure import Disclosure
from adapter.population.keeping import DECIDED, PATIENTS, TALLY, WORKLIST, before_of, decided_in, patients_in, tally_in
from adapter.population.kept_facts import (
    DECIDED_FILES,
    FACT_FILES,
    FORM,
    PATIENT_FILES,
    Manifest,
    rows,
    unpack,
    write_facts,
    write_patients,
)
from adapter.population.report import report, write_report
from adapter.population.screened import Screener
from adapter.population.worklist import Row, gone, ordered, rank
from adapter.population.worklist_files import write_worklist, writer_of

MANIFEST = "facts.json"
_IN_A_FILE = 5000
"""Patients: few enough to be one process's work, many enough for columns to be worth it."""
MOST_ROWS = 2000
"""Of one trial in a worklist: more than anyone works through in a day."""


class Products(msgspec.Struct, frozen=True):
    """What is asked for beside results."""

    facts: Path | None = None
    report: Path | None = None
    worklist: Path | None = None
    smallest_cell: int = 5

    def formats(self) -> tuple[str, ...]:
        """Give the sinks that the products are made from."""
        found = []
        if self.facts is not None:
            found.append("facts")
        if self.facts is not None or self.report is not None or self.worklist is not None:
            found.append("decisions")
        if self.report is not None:
            found.append("tally")
        if self.worklist is not None:
            found.append("worklist")
        return tuple(found)

    def check(self) -> None:
        """Refuse a worklist of no known form before anyone is screened; raises AdapterError."""
        if self.worklist is not None:
            writer_of(self.worklist)

    def make(self, work: Path, screener: Screener, set_aside: int) -> None:
        """Make them from a run's results in ``work``; doing it again gives the same.  Raises AdapterError."""
        if not self.formats():
            return
        with (work / DECIDED).open("rb") as frames:
            decided = decided_in(frames, screener)
        if self.report is not None:
            with (work / TALLY).open("rb") as lines:
                tally = tally_in(lines)
            said = report(
                decided,
                screener.trials,
                screener.catalog,
                screener.as_of,
                tally,
                Disclosure(self.smallest_cell),
                set_aside=set_aside,
            )
            write_report(said, screener.catalog, self.report)
        if self.worklist is not None:
            self._list(self.worklist, work, screener, decided)
        if self.facts is not None:
            self._keep(self.facts, work, screener, decided)

    def _list(self, path: Path, work: Path, screener: Screener, decided: Decided) -> None:
        with (work / WORKLIST).open("rb") as lines:
            found, left_out = _chosen(msgspec.json.decode(line, type=Row) for line in lines)
        before = before_of(screener)
        if before is not None:
            found.extend(gone(before, frozenset(decided.patients)))
        write_worklist(ordered(found), path, screener.as_of.text, left_out)
        # Last: the next list is compared with it, and must not be compared with a list that was never written.
        Folder.open(path.parent).fill(companion(path).name, lambda stream: write(decided, stream))

    def _keep(self, path: Path, work: Path, screener: Screener, decided: Decided) -> None:
        folder = Folder.open(path)
        (path / MANIFEST).unlink(missing_ok=True)  # until all is there it is no folder of facts
        try:
            for name in (PATIENT_FILES, FACT_FILES, DECIDED_FILES):
                shutil.rmtree(path / name, ignore_errors=True)
                (path / name).mkdir()
            with (work / PATIENTS).open("rb") as frames:
                patients = patients_in(frames)
                start = 0
                while some := list(itertools.islice(patients, _IN_A_FILE)):
                    name = f"part-{start // _IN_A_FILE + 1:06}.parquet"
                    write_patients(some, path / PATIENT_FILES / name)
                    write_facts(
                        (row for patient, facts in some for row in rows(patient, unpack(facts))),
                        path / FACT_FILES / name,
                    )
                    write(between(decided, start, start + len(some)), path / DECIDED_FILES / name)
                    start += len(some)
        except OSError as error:
            raise unwritable(error, path) from None
        versions = {trial.key: trial.version for trial in screener.trials}
        mappings = screener.versions()["mappings"]
        manifest = Manifest(FORM, __version__, mappings, screener.as_of.text, versions)
        folder.write(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")


def companion(path: Path) -> Path:
    """Name the file beside a worklist that the next one is compared with."""
    return path.with_name(f".{path.name}.decided.parquet")


def _chosen(rows: Iterable[Row]) -> tuple[list[Row], int]:
    """Give of each trial the rows that lack least, and how many others there are; memory holds no more."""
    kept: dict[str, list[tuple[_Last, Row]]] = {}
    left_out = 0
    for number, row in enumerate(rows):
        heap = kept.setdefault(row.trial, [])
        item = (_Last((*rank(row), number)), row)
        if len(heap) < MOST_ROWS:
            heapq.heappush(heap, item)
        else:
            heapq.heappushpop(heap, item)
            left_out += 1
    return [row for heap in kept.values() for _, row in heap], left_out


class _Last:
    """Turns an order around: the heap gives up first what stands last."""

    __slots__ = ("_rank",)

    def __init__(self, rank: tuple[object, ...]) -> None:
        self._rank = rank

    def __lt__(self, other: "_Last") -> bool:
        return self._rank > other._rank
