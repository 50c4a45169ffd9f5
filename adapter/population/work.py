"""One part of a run, by itself: from its bytes to results on disk; what any engine, here or elsewhere, hands out."""

import itertools
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import msgspec

from adapter import inputs
from adapter.eligibility.facts import Facts
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.inputs import Named, is_bundle
from adapter.outputs import unwritable
from adapter.population.bucket import STAND_IN, Buckets
from adapter.population.lines import Numbered, lines_between, lines_of
from adapter.population.parts import Part
from adapter.population.screened import Outcome, Screener
from adapter.population.sinks import Sink, sinks_of
from adapter.population.sorting import export_folder

_MOST_LISTED = 1000
"""How many of a part's documents that are set aside are listed one by one; all are counted."""
_MOST_SHOWN = 10
"""How many remarks of one code a part gives; all are counted."""
_BUFFER = 1 << 18
_AT = 8
"""Bytes of the number of the document at hand."""


class Kept(msgspec.Struct, frozen=True):
    """One patient of a file of kept facts."""

    file: str
    line: int
    """The row."""
    patient: tuple[str, Facts]


class Done(msgspec.Struct):
    """What became of a part; the results themselves lie in its files."""

    number: int
    lines: int = 0
    """Of a range: how many lines begin in it; the numbers of its issues count from its start."""
    patients: int = 0
    set_aside: int = 0
    listed: list[Issue] = msgspec.field(default_factory=list)
    """Why documents were set aside, and which."""
    remarks: dict[str, int] = msgspec.field(default_factory=dict)
    """By code: how often something was noticed of what was screened."""
    shown: list[Issue] = msgspec.field(default_factory=list)
    is_lost: bool = False
    """Whether it has no results, since every process that tried it was ended."""

    def take(self, outcome: Outcome) -> None:
        """Count what a document gave."""
        self.patients += len(outcome.patients)
        for issue in outcome.issues:
            if issue.file != STAND_IN:
                self.notice(issue)
        if outcome.set_aside:
            self.put_aside(*outcome.set_aside)

    def notice(self, issue: Issue) -> None:
        """Count a remark."""
        count = self.remarks[issue.code] = self.remarks.get(issue.code, 0) + 1
        if count <= _MOST_SHOWN:
            self.shown.append(issue)

    def put_aside(self, *issues: Issue) -> None:
        """Count a document that is not screened."""
        self.set_aside += 1
        if self.set_aside <= _MOST_LISTED:
            self.listed.extend(issues)


class Exports:
    """The sorted exports of a run, opened when first asked for."""

    def __init__(self, folder: str, screener: Screener) -> None:
        self._folder = folder
        self._screener = screener
        self._open: dict[int, Buckets] = {}

    def documents(self, part: Part) -> Iterator[Named | Issue]:
        """Give the documents of a bucket."""
        buckets = self._open.get(part.end)
        if buckets is None:
            folder = export_folder(Path(self._folder), part.end)
            buckets = self._open[part.end] = Buckets(folder, self._screener.catalog)
        yield from buckets.documents(part.start)


class Reading:
    """One part, document by document: an Issue stands for what cannot become one."""

    def __init__(self, part: Part, exports: Exports) -> None:
        self._part = part
        self._exports = exports
        self.lines = 0
        """How many lines were read so far, of a part that is lines."""

    def __iter__(self) -> Iterator[Named | Kept | Issue]:
        """Read the part; raises AdapterError, located, after what could be read."""
        part = self._part
        try:
            match part.kind:
                case "bucket":
                    yield from self._exports.documents(part)
                case "facts":
                    _check_unchanged(part.path, part.modified)
                    yield from kept_in(part.path)
                case "file":
                    for path, modified in ((part.path, part.modified), *part.more):
                        yield from _documents(path, modified)
                case "range":
                    _check_unchanged(part.path, part.modified)
                    yield from self._bundles(lines_between(part.path, part.start, part.end))
                case "stream":
                    _check_unchanged(part.path, part.modified)
                    yield from self._bundles(lines_of(part.path))
        except AdapterError as error:
            raise _placed(error, part.path) from None
        except OSError as error:
            raise _no_file(part.path, error) from None

    def _bundles(self, lines: Iterator[Numbered]) -> Iterator[Named | Issue]:
        name = Path(self._part.path).as_posix()
        for number, line in lines:
            self.lines = number
            if not line:
                continue
            try:
                if is_bundle(line):
                    yield Named(name, line, number)
                    continue
                code, said = "single-resource", "this is a single resource among Bundles, and used for nobody"
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                code, said = "not-json", "this line is not JSON"
            yield Issue(Severity.ERROR, code, said, None, name, number)


def _documents(path: str, modified: int) -> Iterator[Named | Issue]:
    """Give the documents of one file, and for what cannot be read of it an Issue: it costs no other file anything."""
    try:
        _check_unchanged(path, modified)
        yield from inputs.documents(Path(path))
    except AdapterError as error:
        yield from _placed(error, path).issues
    except OSError as error:
        yield from _no_file(path, error).issues


def _check_unchanged(path: str, modified: int) -> None:
    """Refuse a file that is another now: half of the old and half of the new would be nobody's record."""
    if modified and Path(path).stat().st_mtime_ns != modified:
        said = "the file was changed after the run had begun"
        raise AdapterError.of(Category.NOT_FOUND, "file-changed", said)


def _placed(error: AdapterError, path: str) -> AdapterError:
    name = Path(path).as_posix()
    return AdapterError(error.category, [issue.located(file=name) for issue in error.issues])


def _no_file(path: str, error: OSError) -> AdapterError:
    said = AdapterError.of(Category.NOT_FOUND, "unreadable-file", f"the file cannot be read: {error.strerror}")
    return _placed(said, path)


class Worker:
    """Screens parts into files, in one process."""

    def __init__(self, screener: Screener, exports: str, spool: str) -> None:
        """``exports`` holds the sorted exports, ``spool`` takes the results of each part."""
        self._asks_for_verdicts_alone = screener.setup.formats == ("verdicts",)
        self._sinks = sinks_of(screener.setup.formats, screener)
        if self._asks_for_verdicts_alone:
            screener, self._sinks = _folding(screener, self._sinks)
        self._screener = screener
        self._exports = Exports(exports, screener)
        self._folder = Path(spool)

    def screen(self, part: Part, left_out: frozenset[int] = frozenset()) -> Done:
        """Screen a part; the documents of ``left_out`` ended a process before and are set aside.

        Raises AdapterError where the results cannot be written.
        """
        try:
            with ExitStack() as stack:
                at = os.open(self._folder / at_name(part.number), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
                stack.callback(os.close, at)
                paths = [(sink, self._folder / spooled(part.number, sink.file)) for sink in self._sinks]
                streams = [(sink, stack.enter_context(path.open("wb", buffering=_BUFFER))) for sink, path in paths]
                done = self._from_decisions(part, streams) if not left_out else None
                if done is None:
                    done = screen_part(part, self._exports, self._screener, streams, left_out, at)
                for sink, stream in streams:
                    sink.end(stream)
        except OSError as error:
            raise unwritable(error, self._folder) from None
        return done

    def _from_decisions(self, part: Part, streams: Sequence[tuple[Sink, IO[bytes]]]) -> Done | None:
        """Take verdicts over where facts were kept and nothing but verdicts is asked for; None where that cannot be."""
        if part.kind != "facts" or not self._asks_for_verdicts_alone:
            return None
        from adapter.population.kept_verdicts import verdict_rows  # noqa: PLC0415 (numpy, an extra)

        try:
            _check_unchanged(part.path, part.modified)
            found = verdict_rows(Path(part.path), self._screener)
        except (AdapterError, OSError, ValueError):
            return None  # patient by patient it shows which cannot be read
        if found is None:
            return None
        rows, count = found
        for _, stream in streams:
            stream.write(rows)
        return Done(part.number, patients=count)


def _folding(screener: Screener, sinks: list[Sink]) -> tuple[Screener, list[Sink]]:
    """Give what folds the verdicts of many patients at once, where numpy is installed and the trials allow it."""
    try:
        from adapter.population.weighing import WeighedVerdicts, Weigher, can_weigh  # noqa: PLC0415 (numpy, an extra)
    except ImportError:
        return screener, sinks
    if not can_weigh(screener.trials):
        return screener, sinks
    weigher = Weigher(screener)
    return weigher, [WeighedVerdicts(weigher)]


def screen_part(
    part: Part,
    exports: Exports,
    screener: Screener,
    streams: Sequence[tuple[Sink, IO[bytes]]],
    left_out: frozenset[int] = frozenset(),
    at: int | None = None,
) -> Done:
    """Screen a part into open streams; ``at`` is a file that is told which document is at hand."""
    done = Done(part.number)
    reading = Reading(part, exports)
    given = iter(reading)
    for index in itertools.count():
        _tell(at, -1)
        try:
            document = next(given, None)
        except AdapterError as error:
            done.put_aside(*error.issues)
            break
        if document is None:
            break
        _tell(at, index)
        if isinstance(document, Issue):
            done.put_aside(document) if document.severity is Severity.ERROR else done.notice(document)
        elif index in left_out:
            done.put_aside(killed(document.file, document.line))
        else:
            outcome = answered(document, screener)
            for patient in outcome.patients:
                for sink, stream in streams:
                    sink.write(patient, stream)
            done.take(outcome)
    done.lines = reading.lines
    return done


def answered(document: Named | Kept, screener: Screener) -> Outcome:
    """Screen a document, or judge the facts of a patient."""
    return screener.judge(*document.patient) if isinstance(document, Kept) else screener.screen(document)


def kept_in(path: str) -> Iterator[Kept]:
    """Give the patients of a file of kept facts."""
    from adapter.population.kept_facts import read_patients  # noqa: PLC0415 (an extra of the installation)

    for number, patient in enumerate(read_patients(Path(path)), 1):
        yield Kept(Path(path).as_posix(), number, patient)


def killed(file: str, line: int | None) -> Issue:
    """Say of what a process ended at, twice, that it is not screened."""
    said = "the process that screened this was ended from outside, and again when nothing else ran; it is set aside"
    return Issue(Severity.ERROR, "killed", said, None, file, line)


def _tell(at: int | None, document: int) -> None:
    if at is not None:
        os.pwrite(at, document.to_bytes(_AT, "little", signed=True), 0)


def at_hand(folder: Path, part: int) -> int | None:
    """Give the document that a process was at when it ended; None where it was at none."""
    try:
        said = (folder / at_name(part)).read_bytes()
    except OSError:
        return None
    number = int.from_bytes(said, "little", signed=True)
    return number if said and number >= 0 else None


def spooled(part: int, file: str) -> str:
    """Name the file of a part's results."""
    return f"part-{part:06}.{file}"


def at_name(part: int) -> str:
    """Name the file that says which document of a part is at hand."""
    return f"part-{part:06}.at"
