"""Where results go: a folder whose files appear whole or not at all, and standard output."""

import filecmp
import os
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Self, TextIO

from adapter.errors import AdapterError, Category, Issue, Severity

_TERMINATED = 128


class Folder:
    """A folder, and what this run has written into it."""

    def __init__(self, path: Path, *, remembers: bool = True) -> None:
        """``remembers``: whether to keep the names of what is written; of a file for each patient they are too many."""
        self.path = path
        self._remembers = remembers
        self.names: set[str] = set()
        """Every file of this run, by its path inside the folder."""
        self.changed = 0
        """How many of them were not there before, or were other."""

    @classmethod
    def open(cls, path: Path, *, remembers: bool = True) -> Self:
        """Make a folder where there is none; raises AdapterError where nothing can be written."""
        try:
            path.mkdir(parents=True, exist_ok=True)
            probe = _part(path / "probe")
            probe.touch(exist_ok=False)
            probe.unlink()
        except OSError as error:
            raise unwritable(error, path) from None
        return cls(path, remembers=remembers)

    def write(self, name: str, data: bytes) -> None:
        """Write a file, unless it holds these bytes already: version control and make go by its time."""
        path = self.path / name
        self._remember(name)
        try:
            if path.stat().st_size == len(data) and path.read_bytes() == data:
                return
        except OSError:
            pass  # what is not there, or cannot be read, is written
        self.fill(name, lambda stream: _whole(stream, data))

    def _remember(self, name: str) -> None:
        if self._remembers:
            self.names.add(name)

    def fill(self, name: str, fill: Callable[[IO[bytes]], None]) -> None:
        """Write a file that is made as it is written: under another name first, renamed when it is complete."""
        with self.filling(name) as stream:
            fill(stream)

    @contextmanager
    def filling(self, name: str) -> Iterator[IO[bytes]]:
        """Give a file to write into: under another name first, renamed when the block ends without an error."""
        path = self.path / name
        self._remember(name)
        part = _part(path)
        try:
            path.parent.mkdir(exist_ok=True)
            with part.open("xb") as stream:
                yield stream
            if path.is_file() and filecmp.cmp(part, path, shallow=False):
                return
            part.replace(path)
            self.changed += 1
        except OSError as error:
            raise unwritable(error, self.path) from None
        finally:
            with suppress(OSError):
                part.unlink()


def _whole(stream: IO[bytes], data: bytes) -> None:
    stream.write(data)


def _part(path: Path) -> Path:
    """Name the file in the making: hidden, and of this run alone, so that two runs never write into one."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def unwritable(error: OSError, folder: Path | None = None) -> AdapterError:
    """Make the error of output that takes nothing more; it names the folder only: files are named by their patient."""
    said = f"{'cannot be written' if folder else 'standard output cannot be written'}: {error.strerror}"
    issue = Issue(Severity.ERROR, "unwritable", said, file=folder.as_posix() if folder else None)
    return AdapterError(Category.UNAVAILABLE, [issue])


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Give stdout; raises AdapterError when it takes nothing more, other than a reader that has seen enough."""
    stream: TextIO | None = sys.stdout
    if stream is None:
        raise AdapterError.of(Category.UNAVAILABLE, "unwritable", "standard output is closed; give --out")
    try:
        yield stream
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        with suppress(OSError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())  # what is still buffered must not fail again at the end
        raise unwritable(error) from None


@contextmanager
def tidy_when_terminated() -> Iterator[None]:
    """Let SIGTERM end the run as an exception does, so that no file in the making stays behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _: object) -> None:
        raise SystemExit(_TERMINATED + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
