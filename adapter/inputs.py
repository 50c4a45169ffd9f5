"""Files and folders to documents: JSON, NDJSON, gzip, found in a stable order and never held whole when many."""

import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir.wire import MAX_BYTES

_CHUNK = 1 << 18
KINDS = (".json", ".ndjson", ".json.gz", ".ndjson.gz")
_GZIP = b"\x1f\x8b"
_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]\.resource\.?")
_BOM = b"\xef\xbb\xbf"
_WITH_GZIP_HEADER = 31
_MOST_MEMBERS = 10_000
"""Real files have a handful; each costs a copy of what follows it."""


class _Kind(msgspec.Struct, rename="camel"):
    resource_type: str | None = None


_kind = msgspec.json.Decoder(_Kind).decode


class Named(msgspec.Struct, frozen=True):
    """One document and where it came from."""

    file: str
    data: bytes
    line: int | None = None
    lines: tuple[int, ...] = ()
    """For a document made of single resources: the line of each."""
    issues: tuple[Issue, ...] = ()
    """What was noticed of the file itself."""
    files: tuple[str, ...] = ()
    """For a document made of lines of several files: the file of each."""

    def placed(self, issue: Issue) -> Issue:
        """Say where in the file an issue of this document stands."""
        entry = _ENTRY.match(issue.expression or "") if self.lines else None
        if entry is None or issue.expression is None:
            return issue.located(file=self.file, line=self.line)
        inside = issue.expression[entry.end() :]
        place = int(entry[1])
        file = self.files[place] if self.files else self.file
        return Issue(issue.severity, issue.code, issue.message, inside or None, file, self.lines[place])


def find(paths: list[Path]) -> list[Path]:
    """List the files to read, each once; raises AdapterError for a path that is not there or a folder without any."""
    found: dict[Path, Path] = {}
    issues = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and each.name.lower().endswith(KINDS))
            if not inside:
                said = f"no {', '.join(KINDS)} file in this folder"
                issues.append(Issue(Severity.ERROR, "empty-folder", said, file=path.as_posix()))
            for each in inside:
                found.setdefault(each.resolve(), each)
        elif path.is_file():
            found.setdefault(path.resolve(), path)
        else:
            issues.append(Issue(Severity.ERROR, "not-found", "there is no such file or folder", file=path.as_posix()))
    if issues:
        raise AdapterError(Category.NOT_FOUND, issues)
    return list(found.values())


def documents(path: Path) -> Iterator[Named]:
    """Give the documents of one file; raises AdapterError, located, when it cannot be read.

    Lines of an NDJSON file that are Bundles stand for themselves; lines that are single resources make one document.
    That document is not given when a line is no JSON: whose resource is missing from it cannot be known.
    The error comes last, after the Bundles that could be read.
    """
    name = path.as_posix()
    try:
        data = read_bytes(path)
    except OSError as error:
        said = f"the file cannot be read: {error.strerror}"
        raise AdapterError(Category.NOT_FOUND, [Issue(Severity.ERROR, "unreadable-file", said, file=name)]) from None
    if ".ndjson" not in path.name.lower():
        yield Named(name, data)
        return
    noticed: tuple[Issue, ...] = ()
    if data.startswith(_BOM):
        noticed = (Issue(Severity.WARNING, "byte-order-mark", "the file starts with a byte-order mark", file=name),)
    loose: list[bytes] = []
    lines: list[int] = []
    broken: list[int] = []
    for number, line in enumerate(data.removeprefix(_BOM).splitlines(), 1):
        if not line.strip():
            continue
        try:
            bundle = is_bundle(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            broken.append(number)
            continue
        if bundle:
            yield Named(name, line, number, issues=noticed)
            noticed = ()
        else:
            loose.append(line)
            lines.append(number)
    if broken:
        raise AdapterError(Category.MALFORMED, [_broken(name, broken, len(loose))])
    if loose:
        entries = b",".join(b'{"resource":%b}' % line for line in loose)
        document = b'{"resourceType":"Bundle","type":"collection","entry":[%b]}' % entries
        yield Named(name, document, None, tuple(lines), noticed)
    elif not data.strip():
        raise AdapterError.of(Category.MALFORMED, "empty", "there is nothing in this file")


def is_bundle(line: bytes) -> bool:
    """Whether a line is a Bundle; raises DecodeError for one that is no JSON."""
    try:
        return _kind(line).resource_type == "Bundle"
    except msgspec.ValidationError:
        return False  # JSON, but no resource: said when the document is read


def _broken(name: str, numbers: list[int], others: int) -> Issue:
    also = f", nor are {len(numbers) - 1} more" if len(numbers) > 1 else ""
    said = f"this line is not JSON{also}"
    if others:
        said += f"; the {others} lines of single resources are set aside with it, since one of them may be missing"
    return Issue(Severity.ERROR, "not-json", said, file=name, line=numbers[0])


def read_bytes(path: Path) -> bytes:
    """Read a file, unpacked if it is gzip; memory stays bounded whatever the file claims."""
    with path.open("rb") as stream:
        head = stream.read(2)
        stream.seek(0)
        if head == _GZIP:
            return _unpacked(stream)
        data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise _too_large()
    return data


def _unpacked(stream: IO[bytes]) -> bytes:
    """Unpack gzip of one or more members; what comes after the last must be one, too."""
    data = io.BytesIO()  # gives its bytes without a second copy
    members = 0
    unpack = zlib.decompressobj(_WITH_GZIP_HEADER)
    while chunk := stream.read(_CHUNK):
        while chunk:
            if unpack.eof:
                members += 1
                if members > _MOST_MEMBERS:
                    raise _damaged("the gzip data has too many members")
                unpack = zlib.decompressobj(_WITH_GZIP_HEADER)
            try:
                data.write(unpack.decompress(chunk, MAX_BYTES + 1 - data.tell()))
            except zlib.error:
                raise _damaged("the gzip data is damaged, or something else follows it") from None
            if data.tell() > MAX_BYTES:
                raise _too_large()
            chunk = unpack.unconsumed_tail or unpack.unused_data
    if not unpack.eof:
        raise AdapterError.of(Category.MALFORMED, "truncated", "the gzip data ends too early")
    return data.getvalue()


def _damaged(said: str) -> AdapterError:
    return AdapterError.of(Category.MALFORMED, "not-gzip", said)


def _too_large() -> AdapterError:
    return AdapterError.of(Category.MALFORMED, "too-large", f"the document is larger than {MAX_BYTES} bytes")
