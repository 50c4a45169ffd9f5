"""How far an export is: a bar on a terminal, plain lines elsewhere, and never anything on stdout."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from adapter.errors import one_line


class Progress(Protocol):
    """Hears how far an export is, and what a person should know meanwhile."""

    def at(self, key: str, done: int, total: int) -> None:
        """Say that the trial ``key`` is being written, after ``done`` of ``total``."""

    def say(self, line: str) -> None:
        """Say one line."""

    def close(self) -> None:
        """Leave the terminal as it was; nothing more comes."""


class Lines:
    """A line for each remark, and no bar: for a file or a pipe."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def at(self, key: str, done: int, total: int) -> None:
        """Say which trial is being written."""
        if key:
            self._stream.write(f"{key} ({done + 1} of {total})\n")

    def say(self, line: str) -> None:
        """Write the line."""
        self._stream.write(f"{one_line(line)}\n")

    def close(self) -> None:
        """Nothing to leave behind."""


class Bar:
    """A bar on a terminal."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console  # noqa: PLC0415 (a terminal only)
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn  # noqa: PLC0415 (the same)
        from rich.progress import Progress as RichProgress  # noqa: PLC0415 (the same)

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self._bar = RichProgress(*columns, console=Console(file=stream, highlight=False), transient=True)
        self._task = self._bar.add_task("reading what the server can do", total=None)
        self._bar.start()

    def at(self, key: str, done: int, total: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, description=one_line(key), completed=done, total=total)

    def say(self, line: str) -> None:
        """Write the line above the bar."""
        self._bar.console.print(one_line(line), markup=False)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


@contextmanager
def progress_on(stream: TextIO) -> Iterator[Progress]:
    """Give a bar where a person watches, else lines."""
    progress: Progress = Bar(stream) if stream.isatty() else Lines(stream)
    try:
        yield progress
    finally:
        progress.close()
