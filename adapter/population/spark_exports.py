"""A Bulk Data export on Spark: lines to their patients through a shuffle, then a document for each patient.

Each piece of a file is sorted as it is on one machine (``partition.sort_unit``), on the task's own disk; what goes
through the shuffle is a bucket's share of a piece, in one row, not each line.
"""

import array
import itertools
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from adapter.errors import Issue
from adapter.inputs import Named
from adapter.population.bucket import Buckets
from adapter.population.export import FACING, Facing
from adapter.population.listing import File
from adapter.population.partition import Record, Sorted, sort_unit, split
from adapter.population.parts import Part, Unit
from adapter.population.screened import Screener
from adapter.population.spark_job import Batches, Job, Row, Sent, batched, discreet, local_folder, scratch, screener_of
from adapter.population.spark_pieces import Fetched, Source, blocks, whole
from adapter.population.spark_work import ToDo, answered
from adapter.population.work import Exports

FOUND, SHARED = -1, -2
"""In the place of a bucket: what a piece held, and its lines that are about nobody or can be about anyone."""
SORTED_COLUMNS = "file int, start long, bucket int, segment int, data binary"
_INDEX_ITEM = 8


class Gathered(msgspec.Struct, frozen=True):
    """All that every machine must know of an export to screen some of its patients."""

    place: int
    """Of its results."""
    root: str
    facing: Facing
    shared: bytes
    """The database of Medications and studies."""
    numbers: dict[tuple[int, int], int]
    """By file and start: the number of a piece."""
    name: str = msgspec.field(default_factory=lambda: secrets.token_hex(8))


def sorted_units(batches: Batches) -> Iterator[Any]:
    """Sort pieces that every machine can read by their names."""
    rows = (row for batch in batches for row in batch.column(0).to_pylist())
    pieces = itertools.chain.from_iterable(msgspec.json.decode(row, type=list[tuple[int, Unit]]) for row in rows)
    yield from _sorted((_Piece(place, unit.start, unit) for place, unit in pieces))


def sorted_files(batches: Batches, sources: Sent[dict[str, Source]], buckets: int) -> Iterator[Any]:
    """Sort files that come with their content."""
    yield from _sorted(_pieces(whole(batches, sources.value), buckets))


def sorted_lines(batches: Batches, sources: Sent[dict[str, Source]], buckets: int) -> Iterator[Any]:
    """Sort lines that come as Spark reads them."""
    yield from _sorted(_pieces(blocks(batches, sources.value), buckets))


class _Piece(NamedTuple):
    """A piece to be sorted, and the name of its file."""

    file: int
    start: int
    unit: Unit
    name: str | None = None


def _pieces(fetched: Iterable[Fetched], buckets: int) -> Iterator[_Piece]:
    for each in fetched:
        about = each.path.stat()
        modified = about.st_mtime_ns - 1 if each.is_other else 0
        file = File(str(each.path), about.st_size, modified, "resources", each.source.is_gzip)
        yield _Piece(each.source.place, each.start, Unit(0, file, 0, about.st_size, buckets), each.source.path)


def _sorted(pieces: Iterable[_Piece]) -> Iterator[Any]:
    import pyarrow  # noqa: PLC0415 (an extra)

    integer = pyarrow.int32()
    schema = pyarrow.schema(
        [
            ("file", integer),
            ("start", pyarrow.int64()),
            ("bucket", integer),
            ("segment", integer),
            ("data", pyarrow.binary()),
        ]
    )
    with discreet():
        rows = (row for piece in pieces for row in _shares(piece))
        yield from batched(rows, schema, size_of=4)


def _shares(piece: _Piece) -> Iterator[Row]:
    with scratch() as folder:
        unit = msgspec.structs.replace(piece.unit, number=0)
        found = sort_unit(unit, str(folder))
        if piece.name is not None:
            found.file = piece.name
        yield piece.file, piece.start, FOUND, 0, msgspec.json.encode(found)
        for segment in range(found.segments):
            path = folder / "unit-00000" / f"segment-{segment}"
            starts = array.array("Q", path.with_suffix(".index").read_bytes())
            with path.open("rb") as stream:
                for bucket, (start, end) in enumerate(itertools.pairwise(starts)):
                    if start < end:
                        named = bucket if bucket < unit.buckets else SHARED
                        yield piece.file, piece.start, named, segment, stream.read(end - start)


def write_share(folder: Path, number: int, segment: int, bucket: int, data: bytes) -> None:
    """Write one bucket's share of a piece where it would lie after sorting."""
    place = folder / f"unit-{number:05}"
    place.mkdir(exist_ok=True)
    path = place / f"segment-{segment}"
    path.write_bytes(data)
    index = array.array("Q", [0] * (bucket + 1))
    index.append(len(data))
    path.with_suffix(".index").write_bytes(index.tobytes())


def screened_buckets(batches: Batches, job: Sent[Job], gathered: Sent[Gathered]) -> Iterator[Any]:
    """Screen buckets out of rows of bucket, file, start and data, in this order."""
    rows = (row for batch in batches for row in _rows(batch))
    first = next(rows, None)
    if first is None:
        return
    given, export = job.value, gathered.value
    with discreet():
        shuffled = Shuffled(export, screener_of(given), itertools.chain((first,), rows))
    yield from answered(shuffled.pieces(), given, shuffled)


def _rows(batch: Any) -> Iterator[tuple[int, int, int, bytes]]:  # noqa: ANN401 (pyarrow has no types)
    return zip(*(batch.column(place).to_pylist() for place in range(4)), strict=True)


_opened: dict[str, Buckets] = {}


class Shuffled(Exports):
    """The buckets that one task was given, one after the other."""

    def __init__(self, export: Gathered, screener: Screener, rows: Iterator[tuple[int, int, int, bytes]]) -> None:
        super().__init__("", screener)
        self._export = export
        self._buckets = _buckets(export, screener)
        self._rows = rows
        self._records: Iterator[Record] = iter(())

    def pieces(self) -> Iterator[ToDo]:
        """Give each bucket; it must be screened before the next one is asked for."""
        for bucket, rows in itertools.groupby(self._rows, key=lambda row: row[0]):
            numbers = self._export.numbers
            self._records = (each for _, file, start, data in rows for each in split(numbers[file, start], data))
            yield ToDo(self._export.place, bucket, Part(0, "bucket", self._export.root, bucket, 0))

    def documents(self, part: Part) -> Iterator[Named | Issue]:  # noqa: ARG002 (the bucket at hand)
        """Give the documents of the bucket at hand."""
        yield from self._buckets.documents_of(self._records)


def _buckets(export: Gathered, screener: Screener) -> Buckets:
    """Open what all buckets of an export share; once in each process, in a folder that Spark removes."""
    buckets = _opened.get(export.name)
    if buckets is None:
        _opened.clear()
        folder = Path(local_folder() or tempfile.gettempdir()) / f"export-{export.name}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        (folder / FACING).write_bytes(msgspec.json.encode(export.facing))
        (folder / "shared.sqlite").write_bytes(export.shared)
        buckets = _opened[export.name] = Buckets(folder, screener.catalog)
    return buckets


def found_of(data: bytes, number: int) -> Sorted:
    """Read what a piece held, under its number among all pieces."""
    found = msgspec.json.decode(data, type=Sorted)
    found.number = number
    return found
