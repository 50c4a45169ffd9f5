"""What an export as a whole says of its lines: whose server it is, which sources it mixes, and what of it is lost."""

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from adapter.errors import Issue, Severity
from adapter.population.listing import TYPES, Export
from adapter.population.partition import Record, Sorted, records
from adapter.population.parts import buckets

_WORD = re.compile(r"[A-Za-z]+")
_MOST_FOR_ANYONE = 1000
"""So many lines of which nobody knows whose they are go to every patient; more of them count as lost."""
_SAID = {
    "no-subject": "name no subject and are used for nobody",
    "stranger": "are about someone who is not in this export and are used for nobody",
    "no-id": "are Patients without an id, which nothing can refer to; they are not screened",
    "bundle": "are Bundles among the single resources of an export and are not read; give them in a file of their own",
    "unreadable": "are no resources that can be read and are used for nobody",
}
FACING = "facing.json"
"""The file that says of an export what every bucket must know; it is there when all is sorted."""
_OF_A_WHOLE = frozenset(("incomplete", "empty", "file-missing", "owner-unreadable", "no-patient"))
"""Codes of what is lost not as a line that was counted."""
SET_ASIDE = frozenset(("no-id", "bundle"))
"""What of these costs somebody an answer, and is not only remarked on."""


class Lack(msgspec.Struct, frozen=True):
    """Data of an export that is lost: for whom it may have stood, and of which types it was."""

    source: str | None
    """Only patients of this source are concerned; all of them where it is None."""
    types: tuple[str, ...]
    file: str
    line: int | None


class Facing(msgspec.Struct, frozen=True):
    """Everything a process must know of an export to screen one of its buckets; written once, beside the buckets."""

    root: str
    files: tuple[str, ...]
    """By unit: its file."""
    first_lines: tuple[int, ...]
    """By unit: how many lines of its file stand before it."""
    sources: tuple[str, ...]
    """By unit: what its file belongs to, where patients of several sources may have one id."""
    with_patients: frozenset[str]
    """Sources that hold Patients."""
    is_one: bool
    """Whether all of it is one source's, so that an id names one patient."""
    base: str | None
    """Of the server that made it; absolute references to another one are somebody else's."""
    is_base_unclear: bool
    lacks: tuple[Lack, ...]
    anyones: tuple[tuple[int, int, bytes], ...]
    """Lines of which cannot be read whose they are: unit, line, text; they go to every patient."""

    def place(self, unit: int, line: int) -> tuple[str, int]:
        """Give the file and the number of a line."""
        return self.files[unit], self.first_lines[unit] + line


def survey(export: Export, found: list[Sorted], folder: str, base: str | None) -> tuple[Facing, list[Issue], int]:
    """Weigh what the pieces held; gives what was lost or belongs to nobody, and how much of it is set aside."""
    files = [each.file for each in sorted(found, key=lambda each: each.number)]
    by_file: dict[str, list[Sorted]] = {}
    for each in found:
        by_file.setdefault(each.file, []).append(each)
    first_lines = _first_lines(found)
    types = {file: _types(each) for file, each in by_file.items()}
    sources = {file: _source(file, types[file]) for file in by_file}
    with_patients = frozenset(sources[file] for file in by_file if "Patient" in types[file])
    bases = {each for one in found for each in one.bases}
    declared = base or (export.manifest.base if export.manifest is not None else None)
    is_one = export.manifest is not None or len(with_patients) <= 1
    lacks, issues = _lacks(export, by_file, types, sources if not is_one else {}, with_patients, first_lines)
    anyones = _anyones(folder, found, buckets(export))
    if len(anyones) > _MOST_FOR_ANYONE:
        first = anyones[0]
        place = files[first[0]]
        lacks.append(Lack(None, tuple(sorted(TYPES)), place, first_lines[first[0]] + first[1]))
        said = f"of {len(anyones)} or more lines cannot be read whose they are: nothing can be decided without them"
        issues.append(Issue(Severity.ERROR, "owner-unreadable", said, None, place, first_lines[first[0]] + first[1]))
        anyones = []
    issues.extend(_noticed(found, first_lines))
    if declared is None and len(bases) > 1:
        said = f"its references name {len(bases)} servers, and nothing says which one made it: give --export-base"
        issues.append(Issue(Severity.WARNING, "several-servers", said, file=Path(export.root).as_posix()))
    facing = Facing(
        export.root,
        tuple(files),
        tuple(first_lines[number] for number in range(len(files))),
        tuple(sources[file] for file in files),
        with_patients,
        is_one,
        declared or (next(iter(bases)) if len(bases) == 1 else None),
        declared is None and len(bases) > 1,
        tuple(lacks),
        tuple(anyones),
    )
    lost = sum(each.lost_count for each in found)
    left = sum(each.noticed[code].count for each in found for code in SET_ASIDE if code in each.noticed)
    whole = sum(each.code in _OF_A_WHOLE for each in issues)
    return facing, issues, lost + left + whole


def _first_lines(found: list[Sorted]) -> dict[int, int]:
    counts: dict[str, int] = {}
    first = {}
    for each in found:
        first[each.number] = counts.get(each.file, 0)
        counts[each.file] = first[each.number] + each.lines
    return first


def _types(found: Iterable[Sorted]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for each in found:
        for kind, count in each.types.items():
            counts[kind] = counts.get(kind, 0) + count
    return counts


def _source(file: str, types: dict[str, int]) -> str:
    """A file with Patients and their data stands for itself; files of one type belong to their folder."""
    return file if "Patient" in types and len(types) > 1 else str(Path(file).parent)


def _lacks(
    export: Export,
    by_file: dict[str, list[Sorted]],
    types: dict[str, dict[str, int]],
    sources: dict[str, str],
    with_patients: frozenset[str],
    first_lines: dict[int, int],
) -> tuple[list[Lack], list[Issue]]:
    """Tell what is lost: broken lines, files that break off or are empty, files and lines that a manifest counts."""
    lacks: dict[tuple[str | None, tuple[str, ...]], Lack] = {}
    issues: list[Issue] = []

    def lose(file: str, line: int | None, code: str, said: str, kinds: tuple[str, ...]) -> None:
        source = sources.get(file)
        concerned = source if source in with_patients else None
        lacks.setdefault((concerned, kinds), Lack(concerned, kinds, file, line))
        name = ", ".join(kinds) if len(kinds) < len(TYPES) else "all data"
        consequence = f"what rests on {name} is unknown for every patient it may have been of; fetch it again"
        issues.append(Issue(Severity.ERROR, code, f"{said}: {consequence}", file=file, line=line))

    for file, found in by_file.items():
        resources = sum(each.resources for each in found)
        for each in found:
            for lost in each.lost:
                kinds = _possible(export, file, types[file], resources, lost.type)
                number = first_lines[each.number] + lost.line if lost.line is not None else None
                if kinds:
                    lose(file, number, lost.code, _WHAT.get(lost.code, "this cannot be read"), kinds)
            beyond = each.lost_count - len(each.lost)
            if beyond > 0:
                said = f"{beyond} more lines of this file are not JSON"
                issues.append(Issue(Severity.ERROR, "not-json", said, file=file))
        said_of = export.manifest.of(file) if export.manifest is not None else None
        is_empty = not resources and not any(each.lost for each in found)
        unseen = _possible(export, file, types[file], resources, None)
        if said_of is not None and said_of.count is not None and resources < said_of.count:
            said = f"the manifest counts {said_of.count} resources, and {resources} are here"
            lose(file, None, "incomplete", said, unseen)
        elif is_empty and (said_of is None or said_of.count != 0):
            lose(file, None, "empty", "there is nothing in this file", unseen)
    if export.manifest is not None:
        for output in export.manifest.output:
            if output.type in TYPES and not any(export.manifest.of(file) == output for file in by_file):
                said = f"a file of {output.type} that the manifest names is not here"
                lose(export.manifest.path, None, "file-missing", said, (output.type,))
    if not with_patients and not issues:
        said = "no Patient is among these files: send the Patients with the data about them"
        issues.append(Issue(Severity.ERROR, "no-patient", said, file=Path(export.root).as_posix()))
    return list(lacks.values()), issues


_WHAT = {
    "not-json": "this line is not JSON",
    "truncated": "the packed file ends too early",
    "not-gzip": "the packed file is damaged",
    "unreadable-file": "the file cannot be read, or is another than when the run began",
    "killed": "the process that sorted this was ended from outside, and again when nothing else ran",
}


def _possible(export: Export, file: str, types: dict[str, int], resources: int, shown: str | None) -> tuple[str, ...]:
    """Give the types that something lost from a file can have been: those of the file, and the one that shows.

    A file holds one type where a manifest says so, and else what its readable lines hold; a file without any is
    believed by its name.
    """
    said_of = export.manifest.of(file) if export.manifest is not None else None
    if said_of is not None:
        kinds = {said_of.type, *types}
    elif resources:
        kinds = set(types)
    else:
        kinds = {word for word in _WORD.findall(Path(file).name) if word in TYPES}
        if not kinds and shown is None:
            kinds = set(TYPES)
    if shown is not None:
        kinds.add(shown)
    return tuple(sorted(kinds & TYPES))


def _noticed(found: list[Sorted], first_lines: dict[int, int]) -> Iterator[Issue]:
    """Say what belongs to nobody: how often, and where first."""
    first: dict[str, tuple[str, int | None]] = {}
    counts: dict[str, int] = {}
    for each in found:
        for code, noticed in each.noticed.items():
            line = first_lines[each.number] + noticed.line if noticed.line is not None else None
            first.setdefault(code, (each.file, line))
            counts[code] = counts.get(code, 0) + noticed.count
    for code, count in counts.items():
        yield stray_issue(code, count, *first[code])


def stray_issue(code: str, count: int, file: str, line: int | None) -> Issue:
    """Say of lines that belong to nobody what becomes of them."""
    severity = Severity.ERROR if code in SET_ASIDE else Severity.WARNING
    return Issue(severity, code, f"{count} line(s) {_SAID[code]}; the first stands here", None, file, line)


def _anyones(folder: str, found: list[Sorted], shared: int) -> list[tuple[int, int, bytes]]:
    lines = ((each.unit, each.line, each.text) for each in records(folder, found, shared) if not each.id)
    return [each for each, _ in zip(lines, range(_MOST_FOR_ANYONE + 1), strict=False)]


class Shared:
    """Medications and studies of an export, found by ``Type/id``; they lie on disk, however many there are."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)

    def find(self, names: Iterable[str]) -> list[Record]:
        """Give every line of these names, and those that a line given refers to."""
        found: dict[tuple[int, int], Record] = {}
        asked: set[str] = set()
        waiting = list(dict.fromkeys(names))
        while waiting:
            name = waiting.pop()
            if name in asked:
                continue
            asked.add(name)
            rows = self._database.execute("SELECT unit, line, text FROM shared WHERE name = ?", (name,))
            for unit, line, text in rows:
                found[unit, line] = Record(unit, line, "O", "", name, text)
                waiting.extend(named_in(text))
        return [found[place] for place in sorted(found)]


_NAMED = re.compile(rb'"(?:[^"]*\\?/)?(Medication|ResearchStudy)\\?/([A-Za-z0-9\-.]+)')


def named_in(line: bytes) -> list[str]:
    """Give the Medications and studies that a line may refer to."""
    return [f"{kind.decode()}/{id_.decode()}" for kind, id_ in _NAMED.findall(line)]


def keep_shared(folder: str, found: list[Sorted], shared: int) -> Path:
    """Write what is shared into a file that every process can look into."""
    path = Path(folder) / "shared.sqlite"
    making = Path(folder) / f".shared-{os.getpid()}.sqlite"
    making.unlink(missing_ok=True)
    database = sqlite3.connect(making)
    with database:
        database.execute("PRAGMA journal_mode=OFF")
        database.execute("PRAGMA synchronous=OFF")
        database.execute("CREATE TABLE shared (name TEXT, unit INTEGER, line INTEGER, text BLOB)")
        rows = ((each.id, each.unit, each.line, each.text) for each in records(folder, found, shared) if each.id)
        database.executemany("INSERT INTO shared VALUES (?, ?, ?, ?)", rows)
        database.execute("CREATE INDEX by_name ON shared (name)")
    database.close()
    making.replace(path)
    return path
