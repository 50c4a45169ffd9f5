"""The manifest of a Bulk Data export: which files it has, of which type, and on which server they were made.

http://hl7.org/fhir/uv/bulkdata/export.html#response---complete-status
"""

import urllib.parse
from pathlib import Path

import msgspec

_LARGEST = 64 << 20


class Output(msgspec.Struct, frozen=True):
    """One file that the server says it made."""

    type: str
    url: str
    count: int | None = None

    @property
    def name(self) -> str:
        """The name under which it was most likely kept."""
        return urllib.parse.unquote(urllib.parse.urlsplit(self.url).path).rsplit("/", 1)[-1]


class _Answer(msgspec.Struct, rename="camel"):
    transaction_time: str
    output: tuple[Output, ...]
    request: str = ""
    deleted: tuple[Output, ...] = ()
    error: tuple[Output, ...] = ()


class Manifest(msgspec.Struct, frozen=True):
    """What an export's server said of it."""

    path: str
    base: str | None
    """The server's base, which absolute references of the export begin with."""
    output: tuple[Output, ...]
    left_out: frozenset[str] = frozenset()
    """Names of files that hold no data: what went wrong, and what was deleted."""

    def of(self, path: str) -> Output | None:
        """Give what is said of a file, packed or not; None where nothing or more than one thing is."""
        name = _plain(Path(path).name)
        found = [each for each in self.output if _plain(each.name) == name]
        return found[0] if len(found) == 1 else None


def read_manifest(path: str, size: int) -> Manifest | None:
    """Read a manifest; None for any other file."""
    if size > _LARGEST:
        return None
    try:
        answer = msgspec.json.decode(Path(path).read_bytes(), type=_Answer)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    left_out = frozenset(each.name for each in (*answer.deleted, *answer.error))
    return Manifest(path, _base(answer.request), answer.output, left_out - {each.name for each in answer.output})


def _base(request: str) -> str | None:
    """Give the server's base of ``base/$export``, ``base/Patient/$export`` or ``base/Group/7/$export``."""
    before, is_export, _ = request.partition("/$export")
    if not is_export or not before.startswith("http"):
        return None
    parts = before.split("/")
    if parts[-1] == "Patient":
        return "/".join(parts[:-1])
    if len(parts) > 1 and parts[-2] == "Group":
        return "/".join(parts[:-2])
    return before


def _plain(name: str) -> str:
    return name.removesuffix(".gz")
