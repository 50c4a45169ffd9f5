"""What there is to read: files of bundles, and exports whose files hold single resources of many patients."""

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir import resources as fhir
from adapter.fhir.wire import type_name
from adapter.inputs import KINDS, is_bundle
from adapter.population.lines import is_packed, lines_of
from adapter.population.manifest import Manifest, read_manifest

Kind = Literal["document", "bundles", "resources", "facts"]
_SNIFFED = 20
"""How many lines are looked at to tell what a file holds, where the first ones are broken."""
_HEAD = re.compile(rb'\s*\{\s*"resourceType"\s*:\s*"([A-Za-z]+)"')
UNPACKED = 8
"""How many times larger packed JSON gets, at a guess: no answer rests on it."""
WORK = ".screening"
"""The folder of a run that is not finished; what lies there is never input."""
FACTS, KEPT_PATIENTS = "facts.json", "patients.parquet"
"""A folder of facts that were kept: what names them, and where the patients are."""
LONE_BYTES = 8 << 20
"""A file of single resources up to this size that stands alone is one document, as it is for any small run."""


class File(msgspec.Struct, frozen=True):
    """One file as it was when the run began."""

    path: str
    size: int
    modified: int
    """In nanoseconds: a file that is another now than when it was listed is not read half and half."""
    kind: Kind = "document"
    is_gzip: bool = False
    """Whether it is packed: of lines the content says so, of other files the name, and that only for their size."""


class Export(msgspec.Struct, frozen=True):
    """Files of single resources that belong together: one Bulk Data export."""

    root: str
    files: tuple[File, ...]
    manifest: Manifest | None = None

    @property
    def size(self) -> int:
        """Bytes of its files, as they lie there."""
        return sum(each.size for each in self.files)


class Listing(msgspec.Struct, frozen=True):
    """Everything a run reads, in a stable order."""

    files: tuple[File, ...]
    exports: tuple[Export, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(each.size for each in self.files) + sum(each.size for each in self.exports)

    @property
    def unpacked(self) -> int:
        """Bytes of all files when they are unpacked, at a guess."""
        return sum(each.size * (UNPACKED if each.is_gzip else 1) for each in self.every())

    def every(self) -> Iterator[File]:
        """Give every file that is read."""
        yield from self.files
        for export in self.exports:
            yield from export.files


def listing(paths: list[Path]) -> Listing:
    """List what is to be read, each file once; raises AdapterError for a path that is not there or holds nothing."""
    every = list(_expanded(paths))
    seen = _Seen(every)
    files: list[File] = []
    exports: list[Export] = []
    single: dict[str, list[File]] = {}
    issues = []
    for path in every:
        if path.is_dir() and (path / FACTS).is_file():
            kept = sorted(path.glob(f"{KEPT_PATIENTS}/*.parquet"))
            files.extend(_kept(each) for each in kept)
        elif path.is_dir():
            inside = list(_inside(str(path), seen))
            if not inside and not seen.found:
                said = f"no {', '.join(KINDS)} file in this folder"
                issues.append(Issue(Severity.ERROR, "empty-folder", said, file=path.as_posix()))
            _sort_out(str(path), inside, files, exports)
        elif path.is_file():
            if seen.is_new(str(path), os.path.realpath(path.parent), link=path.is_symlink()):
                single.setdefault(str(path.parent), []).append(_file(str(path)))
        else:
            issues.append(Issue(Severity.ERROR, "not-found", "there is no such file or folder", file=path.as_posix()))
    for root, given in single.items():
        _sort_out(root, given, files, exports)
    if issues:
        raise AdapterError(Category.NOT_FOUND, issues)
    return Listing(tuple(files), tuple(exports))


def _kept(path: Path) -> File:
    about = path.stat()
    return File(str(path), about.st_size, about.st_mtime_ns, "facts")


def _expanded(paths: list[Path]) -> Iterator[Path]:
    """Give each path, and for one with ``*`` that the shell left alone what it stands for."""
    for path in paths:
        if glob.has_magic(str(path)) and not path.exists():
            found = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 (a pattern from anywhere on)
            yield from map(Path, found) if found else (path,)
        else:
            yield path


class _Seen:
    """Which files were listed already, whatever way leads to them.

    With a single path only links can lead to a file twice: the names of a million others need not be kept.
    """

    def __init__(self, roots: list[Path]) -> None:
        self._only = os.path.realpath(roots[0]) + os.sep if len(roots) == 1 else None
        self._real: set[str] = set()
        self.found = False

    def is_new(self, path: str, folder: str, *, link: bool) -> bool:
        """Whether this is the first way to a file, ``folder`` being the real path of its folder."""
        self.found = True
        if self._only is not None and not link:
            return True
        real = os.path.realpath(path) if link else f"{folder}{os.sep}{Path(path).name}"
        stands_here = self._only is not None and real.startswith(self._only) and real.lower().endswith(KINDS)
        if stands_here or real in self._real:
            return False
        self._real.add(real)
        return True


def _inside(folder: str, seen: _Seen) -> Iterator[File]:
    """Walk a folder in the order of names; links to folders are not followed, so that no loop is walked."""
    real = os.path.realpath(folder)
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError as error:
        said = f"the folder cannot be read: {error.strerror}"
        issue = Issue(Severity.ERROR, "unreadable-file", said, file=Path(folder).as_posix())
        raise AdapterError(Category.NOT_FOUND, [issue]) from None
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if entry.name != WORK:
                yield from _inside(entry.path, seen)
        elif (
            entry.name.lower().endswith(KINDS)
            and entry.is_file()
            and seen.is_new(entry.path, real, link=entry.is_symlink())
        ):
            yield _file(entry.path)


def _file(path: str) -> File:
    try:
        about = Path(path).stat()
    except OSError:
        return File(path, 0, 0)  # said when it is read
    return File(path, about.st_size, about.st_mtime_ns, is_gzip=path.lower().endswith(".gz"))


def _sort_out(root: str, found: list[File], files: list[File], exports: list[Export]) -> None:
    """Tell bundles from exports among the files of one path.

    Lines whose kind cannot be told belong to the export beside them: if they were passed over, what is missing would
    look like what is not there.
    """
    kinds = {each.path: _kind(each) for each in found if ".ndjson" in each.path.lower()}
    loose = [each for each in found if kinds.get(each.path) == "resources"]
    if not loose or (len(loose) == 1 and loose[0].size <= LONE_BYTES and "unclear" not in kinds.values()):
        files.extend(_told(each, "bundles" if each.path in kinds else "document") for each in found)
        return
    manifest = _manifest(found, {str(Path(each.path).parent) for each in loose})
    left_out = manifest[1].left_out if manifest is not None else frozenset[str]()
    members = []
    for each in found:
        kind = kinds.get(each.path)
        if manifest is not None and each.path == manifest[0]:
            continue
        if kind is not None and Path(each.path).name in left_out:
            continue
        if kind in ("resources", "unclear"):
            members.append(_told(each, "resources"))
        else:
            files.append(_told(each, "bundles" if kind is not None else "document"))
    exports.append(Export(root, tuple(members), manifest[1] if manifest is not None else None))


def _told(file: File, kind: Kind) -> File:
    if kind == "document":
        return file
    return msgspec.structs.replace(file, kind=kind, is_gzip=is_packed(file.path))


def _kind(file: File) -> str:
    """Tell what the lines of a file are by the first that can be read."""
    try:
        for number, line in lines_of(file.path):
            if number > _SNIFFED:
                break
            if not line:
                continue
            head = _HEAD.match(line)
            if head is not None:
                return "bundles" if head[1] == b"Bundle" else "resources"
            try:
                return "bundles" if is_bundle(line) else "resources"
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
    except (AdapterError, OSError):
        pass
    return "unclear"


def _manifest(found: list[File], folders: set[str]) -> tuple[str, Manifest] | None:
    """Find the manifest of an export among the JSON files beside its files; more than one says nothing."""
    read = []
    for each in found:
        if each.path.lower().endswith(".json") and str(Path(each.path).parent) in folders:
            manifest = read_manifest(each.path, each.size)
            if manifest is not None:
                read.append((each.path, manifest))
    return read[0] if len(read) == 1 else None


TYPES = frozenset(type_name(kind()) for kind in fhir.READ) - {"Bundle"}
"""The resource types whose content is read."""
