"""Lines of files of any size, packed or not, with their numbers; none is held longer than it is looked at."""

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from adapter.errors import AdapterError, Category
from adapter.fhir.json_text import MAX_BYTES

_CHUNK = 1 << 20
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
_WITH_GZIP_HEADER = 31

Numbered = tuple[int, bytes]
"""A line's number, from 1 on, and its text without the blanks around it: nothing, for a blank line."""
TOO_LONG = b"\x00"
"""Is given for a line that is too long to be held; no JSON is this."""


def is_packed(path: str) -> bool:
    """Whether a file is gzip, whatever its name says."""
    try:
        with Path(path).open("rb") as stream:
            return stream.read(2) == _GZIP
    except OSError:
        return False


def lines_of(path: str) -> Iterator[Numbered]:
    """Give a file's lines; raises AdapterError where gzip breaks off, after what came before."""
    with Path(path).open("rb", buffering=_CHUNK) as stream:
        head = stream.read(2)
        stream.seek(0)
        yield from _split(_unpacked(stream) if head == _GZIP else _chunks(stream))


def lines_between(path: str, start: int, end: int) -> Iterator[Numbered]:
    """Give the lines that begin from ``start`` on and before ``end``, numbered within the range.

    Ranges side by side give every line exactly once, wherever they meet.
    """
    with Path(path).open("rb", buffering=_CHUNK) as stream:
        yield from _split(_between(stream, start, end), has_mark=start == 0)


def _between(stream: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    """Give the bytes of whole lines: from the first that begins in the range to the end of the last."""
    if start:
        stream.seek(start - 1)
        _to_next_line(stream)
    at = stream.tell()
    last = b"\n"
    while at < end:
        chunk = stream.read(min(_CHUNK, end - at))
        if not chunk:
            return
        at += len(chunk)
        last = chunk[-1:]
        yield chunk
    while last != b"\n":
        piece = stream.readline(_CHUNK)
        if not piece:
            return
        last = piece[-1:]
        yield piece


def _to_next_line(stream: IO[bytes]) -> None:
    while True:
        piece = stream.readline(_CHUNK)
        if not piece or piece.endswith(b"\n"):
            return


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk


def _unpacked(stream: IO[bytes]) -> Iterator[bytes]:
    unpack = zlib.decompressobj(_WITH_GZIP_HEADER)
    while chunk := stream.read(_CHUNK):
        while chunk:
            if unpack.eof:
                unpack = zlib.decompressobj(_WITH_GZIP_HEADER)
            try:
                yield unpack.decompress(chunk, _CHUNK)
            except zlib.error:
                said = "the gzip data is damaged, or something else follows it"
                raise AdapterError.of(Category.MALFORMED, "not-gzip", said) from None
            chunk = unpack.unconsumed_tail or unpack.unused_data
    if not unpack.eof:
        raise AdapterError.of(Category.MALFORMED, "truncated", "the gzip data ends too early")


def _split(chunks: Iterator[bytes], *, has_mark: bool = True) -> Iterator[Numbered]:
    """Cut chunks into lines; also the one that an error cuts off is given, so that it counts as broken."""
    number = 0
    kept = io.BytesIO()
    failed: AdapterError | None = None
    while True:
        try:
            chunk = next(chunks, None)
        except AdapterError as error:
            chunk, failed = None, error
        if chunk is None:
            break
        *whole, rest = chunk.split(b"\n")
        if whole:
            number += 1
            yield number, _taken(kept, whole[0], has_mark=has_mark and number == 1)
            for line in whole[1:]:
                number += 1
                yield number, line.strip()
        if kept.tell() <= MAX_BYTES:
            kept.write(rest)
    line = _taken(kept, b"", has_mark=has_mark and number == 0)
    if line:
        yield number + 1, line
    if failed is not None:
        raise failed


def _taken(kept: io.BytesIO, piece: bytes, *, has_mark: bool) -> bytes:
    """Give a whole line out of what was kept of it and its end."""
    held = kept.tell()
    if held + len(piece) > MAX_BYTES:
        line = TOO_LONG
    else:
        line = kept.getvalue() + piece if held else piece
        line = (line.removeprefix(_BOM) if has_mark else line).strip()
    if held:
        kept.seek(0)
        kept.truncate()
    return line
