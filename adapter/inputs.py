"""Files and folders to documents: JSON, NDJSON, gzip, found in a stable order and never held whole when many."""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir.wire import MAX_BYTES

_CHUNK = 1 << 20
_KINDS = (".json", ".ndjson", ".json.gz", ".ndjson.gz")
_GZIP = b"\x1f\x8b"
_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]\.resource\.?")
_is_json = msgspec.json.Decoder(msgspec.Raw).decode


class Named(msgspec.Struct, frozen=True):
    """One document and where it came from."""

    file: str
    data: bytes
    line: int | None = None
    lines: tuple[int, ...] = ()
    """For a document made of single resources: the line of each."""
    issues: tuple[Issue, ...] = ()
    """Lines that are no JSON."""

    def placed(self, issue: Issue) -> Issue:
        """Say where in the file an issue of this document stands."""
        entry = _ENTRY.match(issue.expression or "") if self.lines else None
        if entry is None or issue.expression is None:
            return issue.located(file=self.file, line=self.line)
        inside = issue.expression[entry.end() :]
        line = self.lines[int(entry[1])]
        return Issue(issue.severity, issue.code, issue.message, inside or None, self.file, line)


def find(paths: list[Path]) -> list[Path]:
    """List the files to read; raises AdapterError for a path that is not there or a folder without any."""
    found: list[Path] = []
    issues = []
    for path in paths:
        if path.is_dir():
            inside = sorted(each for each in path.rglob("*") if each.is_file() and each.name.lower().endswith(_KINDS))
            if not inside:
                said = f"no {', '.join(_KINDS)} file in this folder"
                issues.append(Issue(Severity.ERROR, "empty-folder", said, file=path.as_posix()))
            found.extend(inside)
        elif path.is_file():
            found.append(path)
        else:
            issues.append(Issue(Severity.ERROR, "not-found", "there is no such file or folder", file=path.as_posix()))
    if issues:
        raise AdapterError(Category.NOT_FOUND, issues)
    return found


def documents(path: Path) -> Iterator[Named]:
    """Give the documents of one file; raises AdapterError, located, when it cannot be read.

    Lines of an NDJSON file that are Bundles stand for themselves; lines that are single resources make one document.
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
    loose: list[bytes] = []
    lines: list[int] = []
    issues: list[Issue] = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        if b'"Bundle"' in line:
            yield Named(name, line, number)
            continue
        try:
            _is_json(line)
        except (msgspec.DecodeError, RecursionError):
            issues.append(Issue(Severity.ERROR, "not-json", "this line is not JSON", file=name, line=number))
            continue
        loose.append(b'{"resource":%b}' % line)
        lines.append(number)
    if loose or issues:
        document = b'{"resourceType":"Bundle","type":"collection","entry":[%b]}' % b",".join(loose)
        yield Named(name, document, None, tuple(lines), tuple(issues))


def read_bytes(path: Path) -> bytes:
    """Read a file, unpacked if it is gzip; memory stays bounded whatever the file claims."""
    with path.open("rb") as stream:
        head = stream.read(2)
        stream.seek(0)
        if head != _GZIP:
            data = stream.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise _too_large()
            return data
        unpack = zlib.decompressobj(31)
        parts: list[bytes] = []
        size = 0
        while True:
            chunk = stream.read(_CHUNK)
            if not chunk:
                break
            while chunk:
                try:
                    part = unpack.decompress(chunk, MAX_BYTES + 1 - size)
                except zlib.error:
                    raise AdapterError.of(Category.MALFORMED, "not-gzip", "the gzip data is damaged") from None
                size += len(part)
                parts.append(part)
                if size > MAX_BYTES:
                    raise _too_large()
                chunk = unpack.unconsumed_tail or (unpack.unused_data if unpack.eof else b"")
                if unpack.eof and chunk:
                    unpack = zlib.decompressobj(31)
        if not unpack.eof:
            raise AdapterError.of(Category.MALFORMED, "truncated", "the gzip data ends too early")
        return b"".join(parts)


def _too_large() -> AdapterError:
    return AdapterError.of(Category.MALFORMED, "too-large", f"the document is larger than {MAX_BYTES} bytes")
