"""One bucket of an export to documents: a patient's lines together, as if a Bundle of them had been sent."""

import functools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.errors import Issue, Severity
from adapter.inputs import Named
from adapter.population.export import FACING, Facing, Lack, Shared, named_in, stray_issue
from adapter.population.owner import owned
from adapter.population.partition import SORTED, Record, Sorted, records
from adapter.population.stand_ins import StandIns, outdated, undecided

STAND_IN = ""
"""The file that stand-ins are said to come from: what they lead to is said once, of the export."""


class Buckets:
    """The buckets of one export, as a process sees them."""

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        self._folder = folder
        self._facing = msgspec.json.decode((folder / FACING).read_bytes(), type=Facing)
        self._shared = Shared(folder / "shared.sqlite")
        self._stand_ins = StandIns(catalog) if self._facing.lacks else None

    @functools.cached_property
    def _found(self) -> list[Sorted]:
        return [
            msgspec.json.decode((self._folder / f"unit-{number:05}" / SORTED).read_bytes(), type=Sorted)
            for number in range(len(self._facing.files))
        ]

    def documents(self, bucket: int) -> Iterator[Named | Issue]:
        """Give the documents of one bucket."""
        return self.documents_of(records(str(self._folder), self._found, bucket))

    def documents_of(self, found: Iterable[Record]) -> Iterator[Named | Issue]:
        """Give each patient's document, in the order in which patients first appear; an Issue for one set aside.

        ``found`` are all lines of some patients, in the order of files and lines, wherever they were brought together.
        What is about nobody here is given last, as one remark.
        """
        groups: dict[str, list[Record]] = {}
        for record in found:
            groups.setdefault(record.id, []).append(record)
        strangers: list[Record] = []
        for patient, lines in groups.items():
            given = self._document(patient, lines, strangers)
            if given is not None:
                yield given
        if strangers:
            first = min(strangers, key=lambda each: (each.unit, each.line))
            yield stray_issue("stranger", len(strangers), *self._facing.place(first.unit, first.line))

    def _document(self, patient: str, lines: list[Record], strangers: list[Record]) -> Named | Issue | None:
        facing = self._facing
        if facing.is_base_unclear and any(each.base for each in lines):
            return self._set_aside(
                lines, "it is referred to on one of several servers, and nothing says which is meant"
            )
        own = [each for each in lines if not each.base or each.base == facing.base]
        strangers.extend(each for each in lines if each.base and each.base != facing.base)
        if not any(each.kind == "P" for each in own):
            strangers.extend(own)
            return None
        sources = {facing.sources[each.unit] for each in own}
        if not facing.is_one and len(sources) > 1:
            return self._set_aside(own, f"its data stands in {len(sources)} sources: give each as a path of its own")
        lacks = [each for each in facing.lacks if each.source is None or each.source in sources]
        return self._joined(patient, own, lacks)

    def _joined(self, patient: str, own: list[Record], lacks: list[Lack]) -> Named:
        facing = self._facing
        names = [name for each in own if each.kind in "Rr" for name in named_in(each.text)]
        shared = self._shared.find(names) if names else []
        entries = [self._entry(each) for each in own]
        entries.extend(self._entry(each, each.id) for each in shared)
        entries.extend(_Entry(text, *facing.place(unit, line)) for unit, line, text in facing.anyones)
        if self._stand_ins is not None and lacks:
            entries = _undecided(entries, outdated(lacks))
            for made, lack in self._stand_ins.of(lacks, patient):
                place = Path(lack.file).name
                entries.append(_Entry(made, STAND_IN, 0, f"{place}:{lack.line}" if lack.line else place))
        data = b'{"resourceType":"Bundle","type":"collection","entry":[%b]}' % b",".join(map(_written, entries))
        first = next(each for each in own if each.kind == "P")
        file, line = facing.place(first.unit, first.line)
        return Named(file, data, line, tuple(each.line for each in entries), (), tuple(each.file for each in entries))

    def _entry(self, record: Record, name: str | None = None) -> "_Entry":
        """Give a line its place, and the address that absolute references use where there is one to be told."""
        base = self._facing.base
        file, line = self._facing.place(record.unit, record.line)
        if base is not None and (record.kind == "P" or name is not None):
            return _Entry(record.text, file, line, f"{base}/{name or 'Patient/' + record.id}")
        return _Entry(record.text, file, line, f"{Path(file).name}:{line}" if record.kind.islower() else None)

    def _set_aside(self, lines: list[Record], said: str) -> Issue:
        first = next((each for each in lines if each.kind == "P"), lines[0])
        file, line = self._facing.place(first.unit, first.line)
        return Issue(Severity.ERROR, "two-sources", f"this patient is not screened: {said}", None, file, line)


class _Entry(NamedTuple):
    """One entry of a document, as it is put together."""

    text: bytes
    file: str
    line: int
    url: str | None = None


def _written(entry: _Entry) -> bytes:
    if entry.url is None:
        return b'{"resource":%b}' % entry.text
    return b'{"fullUrl":%b,"resource":%b}' % (msgspec.json.encode(entry.url), entry.text)


def _undecided(entries: list[_Entry], types: frozenset[str]) -> list[_Entry]:
    """Let no line of these types decide anything: what may be lost may be a newer version of it."""
    return [
        _Entry(undecided(each.text), STAND_IN, 0, each.url) if owned(each.text).type in types else each
        for each in entries
    ]
