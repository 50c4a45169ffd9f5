"""Whether bytes are JSON in UTF-8 of a size that can be held, and where they are not; the text is never quoted."""

import codecs
import re

from adapter.errors import AdapterError, Category, Issue, Severity

MAX_BYTES = 256 * 1024 * 1024
"""The largest document that is read, after decompression."""
EXPECTED = "expected a Bundle, or a resource about a patient"
_MAX_OBJECTS = 5_000_000
"""The most JSON objects of one document: 256 MB of ``{}`` would become many times that in memory."""
_LARGE = 16 * 1024 * 1024
"""From here on the objects are counted before they are made."""
_UTF8_CHUNK = 1 << 20


def check_size(data: bytes) -> None:
    """Refuse what would fill the memory; raises AdapterError."""
    if len(data) > MAX_BYTES:
        raise AdapterError.of(Category.MALFORMED, "too-large", f"the document is larger than {MAX_BYTES} bytes")
    if len(data) > _LARGE and data.count(b"{") > _MAX_OBJECTS:
        said = f"the document has more than {_MAX_OBJECTS} objects; send it in parts"
        raise AdapterError.of(Category.MALFORMED, "too-large", said)


def check_utf8(data: bytes) -> None:
    """Refuse what is not UTF-8, also where the text is skipped, without holding it twice; raises AdapterError."""
    if data.isascii():
        return
    decoder = codecs.getincrementaldecoder("utf-8")()
    line = 1
    try:
        for start in range(0, len(data), _UTF8_CHUNK):
            chunk = data[start : start + _UTF8_CHUNK]
            decoder.decode(chunk, final=start + _UTF8_CHUNK >= len(data))
            line += chunk.count(b"\n")
    except UnicodeDecodeError as bad:
        line += chunk.count(b"\n", 0, bad.start)
        issue = Issue(Severity.ERROR, "not-utf-8", "the text is not UTF-8; send it as UTF-8", line=line)
        raise AdapterError(Category.MALFORMED, [issue]) from None


def too_deep() -> AdapterError:
    """Make the error of JSON that is nested beyond the limit."""
    return AdapterError.of(Category.MALFORMED, "too-deep", "the JSON is nested too deeply")


def not_json(data: bytes, error: Exception) -> AdapterError:
    """Say where the text stops being JSON, without quoting it."""
    found = re.search(r"byte (\d+)", str(error))
    offset = min(int(found[1]), len(data)) if found else len(data)
    code, said = "not-json", "this is not JSON"
    if not data.strip():
        code, said = "empty", f"there is nothing in it; {EXPECTED}"
    elif "truncated" in str(error):
        code, said = "truncated", "the JSON ends too early; send the whole document"
    line = data.count(b"\n", 0, offset) + 1
    return AdapterError(Category.MALFORMED, [Issue(Severity.ERROR, code, said, line=line)])
