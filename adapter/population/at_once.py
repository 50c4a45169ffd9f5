"""A few patients, screened in this process: no start-up, no temporary results, every remark written out."""

import hashlib
import io
import itertools
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol, TextIO

import msgspec

from adapter.errors import AdapterError, Issue, Severity
from adapter.inputs import Named
from adapter.outputs import Folder, standard_output
from adapter.population.bucket import STAND_IN
from adapter.population.listing import Listing
from adapter.population.partition import Sorted, sort_unit
from adapter.population.parts import Unit, parts
from adapter.population.run import ASIDE, aside, part_name
from adapter.population.screened import Screener
from adapter.population.sinks import BundleSink, Sink, sinks_of
from adapter.population.sorting import sort_exports
from adapter.population.work import Exports, Kept, Reading, answered
from adapter.screen import PatientScreening

if TYPE_CHECKING:
    from adapter.eligibility.decide import Screening

_MOST_ISSUES = 100
"""How many remarks on one document are written to stderr."""
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,63}", re.ASCII)
FOR_PEOPLE = ("table", "bundle")
"""Formats for few patients: one table of all, and a file for each."""


class _Taker(Protocol):
    def take(self, document: Named | Kept, patient: PatientScreening) -> None: ...

    def end(self) -> None: ...


class AtOnce:
    """Screens document by document, so that one that cannot be read costs no other."""

    def __init__(self, found: Listing, screener: Screener, base: str | None) -> None:
        """``base``: the server that made the exports, where their references name several."""
        self._found = found
        self._screener = screener
        self._base = base
        self._listed: list[Issue] = []
        self.set_aside = 0

    def to_stdout(self) -> None:
        """Write the one format there is to standard output, a table where none is named."""
        with standard_output() as stream:
            sinks = self._sinks()
            takers: list[_Taker] = [_InStream(sink, stream.buffer) for sink in sinks] if sinks else [_Table(stream)]
            self._screen(takers)

    def to_folder(self, path: Path, formats: tuple[str, ...]) -> None:
        """Write every format into a folder, all in one pass."""
        out = Folder.open(path, remembers=False)
        table = io.StringIO()
        with ExitStack() as stack:
            names = [
                (sink, f"{sink.file}/{part_name(1, sink)}" if sink.is_folder else sink.file) for sink in self._sinks()
            ]
            takers: list[_Taker] = [_InStream(sink, stack.enter_context(out.filling(name))) for sink, name in names]
            if "bundle" in formats:
                takers.append(_FileEach(BundleSink(self._screener), out))
            if "table" in formats:
                takers.append(_Table(table))
            self._screen(takers)
        if "table" in formats:
            out.write("table.txt", table.getvalue().encode())
        if self._listed:
            out.write(ASIDE, b"".join(map(aside, self._listed)))
        else:
            (path / ASIDE).unlink(missing_ok=True)  # of an earlier run

    def _sinks(self) -> list[Sink]:
        return sinks_of(self._screener.setup.formats, self._screener)

    def _screen(self, takers: list[_Taker]) -> None:
        for document, patient in self._patients():
            for taker in takers:
                taker.take(document, patient)
        for taker in takers:
            taker.end()

    def _patients(self) -> Iterator[tuple[Named | Kept, PatientScreening]]:
        """Give every patient; what was noticed while reading goes to stderr."""
        with ExitStack() as stack:
            folder = ""
            if self._found.exports:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="screening-"))
                for issues, count in sort_exports(self._found, Path(folder), self._base, _sort):
                    self.set_aside += count
                    self._listed.extend(each for each in issues if each.severity is Severity.ERROR)
                    _report(issues)
            exports = Exports(folder, self._screener)
            for part in parts(self._found):
                reading = Reading(part, exports)
                try:
                    for document in reading:
                        if isinstance(document, Named | Kept):
                            yield from ((document, patient) for patient in self._answered(document))
                        elif document.severity is Severity.ERROR:
                            self._put_aside([document])
                        else:
                            _report([document])
                except AdapterError as error:
                    self._put_aside(error.issues)

    def _answered(self, document: Named | Kept) -> tuple[PatientScreening, ...]:
        outcome = answered(document, self._screener)
        if outcome.set_aside:
            self._put_aside(outcome.set_aside)
        _report(each for each in outcome.issues if each.file != STAND_IN)
        return outcome.patients

    def _put_aside(self, issues: Iterable[Issue]) -> None:
        issues = list(issues)
        self.set_aside += 1
        self._listed.extend(issues)
        _report(issues)


def _sort(units: list[Unit], folder: str) -> Iterator[Sorted]:
    return (sort_unit(each, folder) for each in units)


class _InStream:
    """Lets a sink write."""

    def __init__(self, sink: Sink, stream: IO[bytes]) -> None:
        self._sink = sink
        self._stream = stream
        stream.write(sink.head)

    def take(self, _: Named | Kept, patient: PatientScreening) -> None:
        self._sink.write(patient, self._stream)

    def end(self) -> None:
        self._sink.end(self._stream)


class _FileEach:
    """Writes a file for each patient, indented."""

    def __init__(self, sink: BundleSink, out: Folder) -> None:
        self._sink = sink
        self._out = out
        self._taken: set[int] = set()
        """Hashes of the names given: of a million patients the names themselves would fill the memory."""

    def take(self, _: Named | Kept, patient: PatientScreening) -> None:
        pretty = msgspec.json.format(self._sink.bundle(patient), indent=2)
        self._out.write(f"{self._free_name(patient.patient)}.json", pretty + b"\n")

    def end(self) -> None:
        pass

    def _free_name(self, patient: str) -> str:
        """Give a file name of this run alone, also where case makes no difference."""
        stem = patient if _FILE_NAME.fullmatch(patient) else hashlib.sha256(patient.encode()).hexdigest()[:32]
        names = (stem if number == 1 else f"{stem}-{number}" for number in itertools.count(1))
        name = next(each for each in names if hash(each.casefold()) not in self._taken)
        self._taken.add(hash(name.casefold()))
        return name


class _Table:
    """Holds every patient until the widths of the columns are known."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows: list[tuple[str, str, Screening]] = []

    def take(self, document: Named | Kept, patient: PatientScreening) -> None:
        self._rows.extend((document.file, patient.patient, screening) for screening in patient.screenings)

    def end(self) -> None:
        from adapter.rendering.table import print_table  # noqa: PLC0415 (rich is needed for tables only)

        print_table(self._rows, self._stream)


def _report(issues: Iterable[Issue]) -> None:
    """Write one line each, so many of a document and no more."""
    left_out = 0
    for number, issue in enumerate(issues, 1):
        if number > _MOST_ISSUES:
            left_out += 1
        else:
            sys.stderr.write(f"{issue}\n")
    if left_out:
        sys.stderr.write(f"{left_out} more remarks on this document are not shown; trial-adapter validate counts all\n")
