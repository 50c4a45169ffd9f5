"""What a Spark task screens, and where its results go: the same functions that screen a part on one machine.

A task's results are one file for each format.  They appear whole on a disk that all machines share, under a name that
says their place; or they are cut into rows that Spark itself writes.
"""

import itertools
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from adapter.errors import Issue
from adapter.outputs import unwritable
from adapter.population.journal import force
from adapter.population.parts import Part, PartKind
from adapter.population.sinks import sinks_of
from adapter.population.spark_job import Batches, Job, Sent, discreet, local_folder, scratch, screener_of
from adapter.population.spark_pieces import Fetched, Source, blocks, whole
from adapter.population.spark_rows import result_columns, text_rows, told_row
from adapter.population.work import Done, Exports, screen_part


class Piece(msgspec.Struct, frozen=True):
    """What the driver must know of one piece: where its lines stand in the whole file, and what was noticed."""

    place: int
    start: int
    lines: int = 0
    listed: list[Issue] = []
    shown: list[Issue] = []


class Told(msgspec.Struct):
    """What became of a task's pieces: counts, and places of what was noticed; never what a patient's data say."""

    name: str
    """Of the files that hold its results."""
    patients: int = 0
    set_aside: int = 0
    remarks: dict[str, int] = msgspec.field(default_factory=dict)
    pieces: list[Piece] = msgspec.field(default_factory=list)
    places: list[int] = msgspec.field(default_factory=list)
    """Of which files it had pieces."""

    def take(self, piece: "ToDo", done: Done) -> None:
        """Add what became of a piece."""
        if not self.places or self.places[-1] != piece.place:
            self.places.extend(range(piece.place, piece.place + 1 + len(piece.part.more)))
        self.patients += done.patients
        self.set_aside += done.set_aside
        for code, count in done.remarks.items():
            self.remarks[code] = self.remarks.get(code, 0) + count
        if done.listed or done.shown or piece.is_counted:
            listed, shown = ([piece.renamed(each) for each in issues] for issues in (done.listed, done.shown))
            lines = done.lines if piece.is_counted else 0
            self.pieces.append(Piece(piece.place, piece.start, lines, listed, shown))


class ToDo(NamedTuple):
    """A piece to be screened, and its place in the order of results."""

    place: int
    start: int
    part: Part
    fetched: Fetched | None = None

    @property
    def is_counted(self) -> bool:
        """Whether lines that come after it need its number of lines."""
        return self.part.kind == "range"

    def renamed(self, issue: Issue) -> Issue:
        """Give an issue with the name that the user knows."""
        return self.fetched.renamed(issue) if self.fetched is not None else issue


def result_name(place: int, start: int) -> str:
    """Name results so that the order of names is the order of pieces."""
    return f"part-{place:08}-{start:015}"


def listed(batches: Batches, job: Sent[Job]) -> Iterator[Any]:
    """Screen pieces that every machine can read by their names."""
    rows = (row for batch in batches for row in batch.column(0).to_pylist())
    pieces = itertools.chain.from_iterable(msgspec.json.decode(row, type=list[tuple[int, Part]]) for row in rows)
    yield from answered((ToDo(place, part.start, part) for place, part in pieces), job.value)


def fetched_files(batches: Batches, job: Sent[Job], sources: Sent[dict[str, Source]]) -> Iterator[Any]:
    """Screen files that come with their content."""
    pieces = (ToDo(each.source.place, 0, _part(each), each) for each in whole(batches, sources.value))
    yield from answered(pieces, job.value)


def fetched_lines(batches: Batches, job: Sent[Job], sources: Sent[dict[str, Source]]) -> Iterator[Any]:
    """Screen lines of Bundles that come as Spark reads them."""
    pieces = (ToDo(each.source.place, each.start, _part(each), each) for each in blocks(batches, sources.value))
    yield from answered(pieces, job.value)


def _part(piece: Fetched) -> Part:
    about = piece.path.stat()
    kind: PartKind = "range" if piece.is_block else "stream" if piece.source.is_stream else "file"
    modified = about.st_mtime_ns - 1 if piece.is_other else 0  # what is another now is refused by its time
    return Part(0, kind, str(piece.path), 0, about.st_size, modified)


def answered(pieces: Iterable[ToDo], job: Job, exports: Exports | None = None) -> Iterator[Any]:
    """Screen the pieces of a task; gives batches of rows, of which one row says what became of them."""
    with discreet():
        waiting = iter(pieces)
        first = next(waiting, None)
        if first is None:
            return
        screener = screener_of(job)
        told = Told(result_name(first.place, first.start))
        try:
            with scratch(job.out) as folder:
                sinks = sinks_of(screener.setup.formats, screener)
                paths = [(sink, folder / sink.file) for sink in sinks]
                with ExitStack() as stack:
                    streams = [(sink, stack.enter_context(path.open("wb", buffering=1 << 18))) for sink, path in paths]
                    for piece in itertools.chain((first,), waiting):
                        given = exports if exports is not None else Exports("", screener)
                        told.take(piece, screen_part(piece.part, given, screener, streams))
                    for sink, stream in streams:
                        sink.end(stream)
                for sink, path in paths:
                    if job.out is not None:
                        _let_appear(path, Path(job.out) / sink.file / f"{told.name}{path.suffix}")
                    elif sink.is_folder:
                        yield from result_columns(path, sink, sinks)
                    else:
                        yield from text_rows(path, sink, sinks)
        except OSError as error:
            raise unwritable(error, Path(job.out or local_folder() or tempfile.gettempdir())) from None
        yield told_row(msgspec.json.encode(told).decode(), sinks)


def _let_appear(made: Path, place: Path) -> None:
    """Give whole results their name; another attempt at the same task may have done so already, with the same bytes."""
    with made.open("rb") as stream:
        force(stream)
    made.replace(place)
