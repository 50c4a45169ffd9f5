"""What a run writes down of itself, so that it can be gone on with: how far it is, what it reads, that it runs."""

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.population.listing import File

_encode = msgspec.json.encode


class State(msgspec.Struct):
    """How far a run is."""

    part: int = 0
    """The last part whose results are there."""
    sizes: dict[str, int] = msgspec.field(default_factory=dict)
    """By result: how many bytes of it count."""
    patients: int = 0
    set_aside: int = 0
    remarks: dict[str, int] = msgspec.field(default_factory=dict)
    file: str = ""
    """The file of the last part, where that is one of many."""
    lines: int = 0
    """How many of its lines stand before the next part."""
    is_surveyed: bool = False
    """Whether what was noticed of the exports as a whole is written down."""
    is_done: bool = False


def last_state(journal: Path) -> State:
    """Give the state of the last whole line; a line that was cut off as it was written does not count."""
    state = State()
    if journal.is_file():
        for line in journal.read_bytes().splitlines():
            with contextlib.suppress(msgspec.MsgspecError):
                state = msgspec.json.decode(line, type=State) if line else state
    return state


def add_state(journal: Path, state: State) -> None:
    """Write a state behind those of before; on a line of its own, whatever an end in the middle of one left there."""
    with journal.open("ab") as stream:
        stream.write(b"\n" + _encode(state) + b"\n")
        force(stream)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is there whole or not at all, whatever happens."""
    making = path.with_name(f".{path.name}.part")
    with making.open("wb") as stream:
        stream.write(data)
        force(stream)
    making.replace(path)


def force(stream: IO[bytes]) -> None:
    """See that what was written is on the disk."""
    stream.flush()
    os.fsync(stream.fileno())


def write_list(path: Path, files: Iterable[File]) -> None:
    """Write down which files a run reads, and how large and old they are."""
    making = path.with_name(f".{path.name}.part")
    with making.open("wb") as stream:
        stream.writelines(line + b"\n" for line in _listed(files))
        force(stream)
    making.replace(path)


def first_changed(path: Path, files: Iterable[File]) -> str | None:
    """Give the first file that is not as it is written down; None where all are."""
    with path.open("rb") as stream:
        for now, before in itertools.zip_longest(_listed(files), stream):
            if now is None or before is None or now != before.rstrip(b"\n"):
                said = now if now is not None else before
                return str(msgspec.json.decode(said or b'["","","",""]')[-1])
    return None


def _listed(files: Iterable[File]) -> Iterator[bytes]:
    return (_encode((each.size, each.modified, each.kind, each.path)) for each in files)


def locked(path: Path, out: Path) -> IO[bytes]:
    """Keep a second run out of the folder; processes that work for this one do not hold the lock."""
    stream = path.open("ab")
    try:
        import fcntl  # noqa: PLC0415 (not on every system)

        fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        pass
    except OSError:
        stream.close()
        raise refused(out, "run-in-progress", "another run writes into this folder") from None
    return stream


def refused(out: Path, code: str, said: str) -> AdapterError:
    """Make the error of a folder that is not this run's."""
    return AdapterError(Category.CONFLICT, [Issue(Severity.ERROR, code, said, file=out.as_posix())])
