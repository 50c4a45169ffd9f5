"""The work of a run, cut into parts: always the same ones, however many processes share them."""

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from adapter.population.listing import UNPACKED, Export, File, Listing

PartKind = Literal["file", "range", "stream", "bucket", "facts"]
RANGE_BYTES = 4 << 20
"""How much of a large NDJSON file is one part: a fraction of a second's work, so that all processes end together."""
WHOLE_BYTES = 4 << 20
"""An NDJSON file of bundles up to this size is read at once."""
MOST_FILES = 64
"""How many small files are one part at most."""
BUCKET_BYTES = 8 << 20
"""How much of an export is one part, unless the buckets would be too many."""
_MOST_BUCKETS = 4096
_UNIT_BYTES = 64 << 20
"""How much of an export's file is sorted at a time."""


class Part(msgspec.Struct, frozen=True):
    """A piece of work that one process does alone."""

    number: int
    kind: PartKind
    path: str
    """The file, or the first of them; of a bucket the root of its export."""
    start: int
    end: int
    """Bytes from ``start`` on and before ``end``; of a bucket its number and that of the export."""
    modified: int = 0
    """When the file was changed last, in nanoseconds, as it was listed."""
    more: tuple[tuple[str, int], ...] = ()
    """Other small files that are read after it, and when each was changed last."""

    @property
    def size(self) -> int:
        """Bytes of the input that this part answers for, to tell how far a run is."""
        return self.end - self.start if self.kind != "bucket" else 0


class Unit(msgspec.Struct, frozen=True):
    """A piece of an export's files, to be sorted to patients."""

    number: int
    file: File
    start: int
    end: int
    buckets: int


def parts(found: Listing) -> Iterator[Part]:
    """Give every part in the order of its results."""
    number = 0
    for kind, files, start, end in _pieces(found.files):
        number += 1
        more = tuple((each.path, each.modified) for each in files[1:])
        yield Part(number, kind, files[0].path, start, end, files[0].modified, more)
    for place, export in enumerate(found.exports):
        for bucket in range(buckets(export)):
            number += 1
            yield Part(number, "bucket", export.root, bucket, place)


def _pieces(files: Iterable[File]) -> Iterator[tuple[PartKind, list[File], int, int]]:
    """Cut what is large, and put what is small together."""
    held: list[File] = []
    size = 0
    for file in files:
        kind = _kind(file)
        if held and (kind != "file" or size + file.size > RANGE_BYTES or len(held) == MOST_FILES):
            yield "file", held, 0, size
            held, size = [], 0
        if kind == "range":
            yield from (("range", [file], start, end) for start, end in _ranges(file.size, RANGE_BYTES))
        elif kind == "file":
            held.append(file)
            size += file.size
        else:
            yield kind, [file], 0, file.size
    if held:
        yield "file", held, 0, size


def _kind(file: File) -> PartKind:
    if file.kind == "facts":
        return "facts"
    if file.kind != "bundles" or file.size <= WHOLE_BYTES // (UNPACKED if file.is_gzip else 1):
        return "file"
    return "stream" if file.is_gzip else "range"


def _ranges(size: int, step: int) -> Iterator[tuple[int, int]]:
    yield from ((start, min(start + step, size)) for start in range(0, size, step))


def buckets(export: Export) -> int:
    """Give into how many buckets an export's patients are sorted, so that each fits into memory with ease."""
    size = sum(each.size * (UNPACKED if each.is_gzip else 1) for each in export.files)
    return max(1, min(_MOST_BUCKETS, -(-size // BUCKET_BYTES)))


def units(export: Export, step: int = _UNIT_BYTES) -> Iterator[Unit]:
    """Give the pieces of an export's files; a packed file is one piece."""
    number, count = 0, buckets(export)
    for file in export.files:
        pieces = [(0, file.size)] if file.is_gzip or not file.size else list(_ranges(file.size, step))
        for start, end in pieces:
            yield Unit(number, file, start, end, count)
            number += 1
