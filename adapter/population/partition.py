"""An export's lines, sorted to buckets of patients on disk, in one pass and in no more memory than a piece takes.

Each piece of a file (a ``Unit``) becomes one folder of its own: what lies in it is there whole or not at all, so that
a pass that was killed goes on with the pieces that are missing.
"""

import array
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from adapter.errors import AdapterError, Category
from adapter.outputs import unwritable
from adapter.population.lines import lines_between, lines_of
from adapter.population.owner import SHARED, Owned, owned, type_of_broken
from adapter.population.parts import Unit

SORTED = "sorted.json"
"""The file that says what a piece held; it is there when all of it is sorted."""
UNREADABLE = "unreadable-file"
_RECORD = struct.Struct("<IHI")
"""Line number, length of the key, length of the line."""
_PLACES = struct.Struct("=QQ")
"""Where a bucket begins in a segment, and where it ends."""
_REFERRING = frozenset(
    ("MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense", "ResearchSubject")
)
_SEGMENT_BYTES = 64 << 20
"""How much of a packed file is held before it is written."""
_MOST_KEPT = 1000
"""How many places of one kind of trouble are kept; all are counted."""
_MOST_BASES = 100
_MOST_KEYS = 4096
"""How many patients' buckets are remembered: their lines often stand together."""


class Lost(msgspec.Struct, frozen=True):
    """A line that cannot be read, or the rest of a file, whose owner nobody can know."""

    type: str | None
    """As far as it shows."""
    line: int | None
    code: str


class Noticed(msgspec.Struct):
    """How often something was noticed, and where first."""

    count: int
    line: int | None


class Sorted(msgspec.Struct):
    """What a piece of an export's files held."""

    number: int
    file: str
    lines: int
    types: dict[str, int] = msgspec.field(default_factory=dict)
    """By type that is read: how many lines."""
    resources: int = 0
    """Lines that are JSON, of any type: what a manifest counts."""
    bases: list[str] = msgspec.field(default_factory=list)
    lost: list[Lost] = msgspec.field(default_factory=list)
    lost_count: int = 0
    noticed: dict[str, Noticed] = msgspec.field(default_factory=dict)
    segments: int = 0
    """How many files hold its lines; after the buckets of each comes what is shared."""


class Record(msgspec.Struct, frozen=True, gc=False):
    """One line of an export and where it stood."""

    unit: int
    line: int
    kind: str
    """``P`` a Patient, ``R`` what refers to something shared, ``O`` any other; in small letters one without an id."""
    base: str
    id: str
    """Of the patient; for a shared line ``Type/id``, for one that can be anyone's nothing."""
    text: bytes


def bucket_of(patient: str, buckets: int) -> int:
    """Give the bucket of a patient, the same on every machine."""
    return zlib.crc32(patient.encode()) % buckets


def sort_unit(unit: Unit, folder: str) -> Sorted:
    """Sort one piece into ``folder``, unless that was done before."""
    place = Path(folder) / f"unit-{unit.number:05}"
    said = place / SORTED
    if said.is_file():
        return msgspec.json.decode(said.read_bytes(), type=Sorted)
    making = Path(folder) / f".unit-{unit.number:05}-{os.getpid()}"
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        sorting = _Sorting(unit, making)
        sorting.run()
        (making / SORTED).write_bytes(msgspec.json.encode(sorting.found))
        try:
            making.rename(place)
        except OSError:  # a process of a run that was killed may have come to its end, too: both say the same
            if not said.is_file():
                raise
            shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise unwritable(error, Path(folder)) from None
    return sorting.found


def lost_unit(unit: Unit, folder: str) -> Sorted:
    """Give a piece up: it ended every process that it was given to."""
    found = Sorted(unit.number, unit.file.path, 0, lost=[Lost(None, None, "killed")], lost_count=1)
    place = Path(folder) / f"unit-{unit.number:05}"
    place.mkdir(parents=True)
    (place / SORTED).write_bytes(msgspec.json.encode(found))
    return found


class _Sorting:
    """One piece on its way to the buckets."""

    def __init__(self, unit: Unit, folder: Path) -> None:
        self._unit = unit
        self._folder = folder
        self._held: list[list[bytes]] = [[] for _ in range(unit.buckets + 1)]
        self._size = 0
        self._bases: set[str] = set()
        self._keys: dict[tuple[str, str, str], tuple[int, bytes]] = {}
        self.found = Sorted(unit.number, unit.file.path, 0)

    def run(self) -> None:
        """Read, sort and write the piece."""
        try:
            for number, line in self._lines():
                self.found.lines = number
                if line:
                    self._take(number, line)
        except AdapterError as error:
            self._lose(None, None, error.issues[0].code)
        self._write()
        self.found.bases = sorted(self._bases)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Give the lines; raises AdapterError where reading ends before the file does."""
        file = self._unit.file
        is_other = False
        try:
            is_other = file.modified != 0 and Path(file.path).stat().st_mtime_ns != file.modified
            if not is_other and (file.is_gzip or not file.size):
                yield from lines_of(file.path)
            elif not is_other:
                yield from lines_between(file.path, self._unit.start, self._unit.end)
        except OSError as error:
            raise AdapterError.of(Category.NOT_FOUND, UNREADABLE, str(error.strerror)) from None
        if is_other:
            raise AdapterError.of(Category.NOT_FOUND, UNREADABLE, "the file is another now")

    def _take(self, number: int, line: bytes) -> None:
        found = self.found
        try:
            said = owned(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, AdapterError):
            self._lose(type_of_broken(line), number, "not-json")
            return
        found.resources += 1
        if said.type is not None:
            found.types[said.type] = found.types.get(said.type, 0) + 1
        if said.trouble is not None and said.trouble != "anyone":
            self._notice(said.trouble, number)
        elif said.type in SHARED:
            self._hold(self._unit.buckets, number, f"O\n{said.type}/{said.id or ''}".encode(), line)
        elif said.trouble == "anyone":
            self._hold(self._unit.buckets, number, b"O\n", line)
        elif said.patient is not None:
            self._hold_own(number, said, said.patient, line)

    def _hold_own(self, number: int, said: Owned, patient: str, line: bytes) -> None:
        if said.base and len(self._bases) < _MOST_BASES:
            self._bases.add(said.base)
        kind = "P" if said.type == "Patient" else "R" if said.type in _REFERRING else "O"
        place = kind if said.id else kind.lower(), said.base, patient
        known = self._keys.get(place)
        if known is None:
            if len(self._keys) > _MOST_KEYS:
                self._keys.clear()
            known = self._keys[place] = bucket_of(patient, self._unit.buckets), "{}{}\n{}".format(*place).encode()
        self._hold(known[0], number, known[1], line)

    def _hold(self, bucket: int, number: int, key: bytes, line: bytes) -> None:
        self._held[bucket].append(b"%b%b%b" % (_RECORD.pack(number, len(key), len(line)), key, line))
        self._size += len(line)
        if self._size > _SEGMENT_BYTES:
            self._write()

    def _lose(self, kind: str | None, number: int | None, code: str) -> None:
        self.found.lost_count += 1
        if len(self.found.lost) < _MOST_KEPT or all(each.type != kind for each in self.found.lost):
            self.found.lost.append(Lost(kind, number, code))

    def _notice(self, code: str, number: int) -> None:
        noticed = self.found.noticed.setdefault(code, Noticed(0, number))
        noticed.count += 1

    def _write(self) -> None:
        if not self._size:
            return
        starts = array.array("Q", [0])
        path = self._folder / f"segment-{self.found.segments}"
        with path.open("xb") as stream:
            for held in self._held:
                stream.writelines(held)
                starts.append(stream.tell())
                held.clear()
        path.with_suffix(".index").write_bytes(starts.tobytes())
        self.found.segments += 1
        self._size = 0


def records(folder: str, found: list[Sorted], bucket: int) -> Iterator[Record]:
    """Give the records of one bucket, in the order of files and lines; of the last what is shared by all."""
    for each in found:
        for number in range(each.segments):
            path = Path(folder) / f"unit-{each.number:05}" / f"segment-{number}"
            with path.with_suffix(".index").open("rb") as index:
                index.seek(bucket * _PLACES.size // 2)
                start, end = _PLACES.unpack(index.read(_PLACES.size))
            if start < end:
                with path.open("rb") as stream:
                    stream.seek(start)
                    yield from split(each.number, stream.read(end - start))


def split(unit: int, data: bytes) -> Iterator[Record]:
    """Give the records of a piece of a segment."""
    at = 0
    while at < len(data):
        number, key_length, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        base, _, name = data[at + 1 : at + key_length].decode().partition("\n")
        kind = chr(data[at])
        at += key_length
        yield Record(unit, number, kind, base, name, data[at : at + length])
        at += length
