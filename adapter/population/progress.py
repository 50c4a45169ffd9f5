"""How far a run is, for whoever waits: a bar on a terminal, a line every ten seconds elsewhere, or nothing."""

import sys
import time
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from adapter.errors import Issue

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

_LINE_S = 10.0
_BAR_S = 0.2
_MOST_SHOWN = 20
"""How many remarks of one kind are written; the others are counted."""


class Progress(Protocol):
    """Is told how much is done."""

    def step(self, size: int, patients: int = 0) -> None:
        """Some input more was dealt with, and so many patients with it."""

    def write(self, line: str) -> None:
        """Let a line stand on stderr."""

    def close(self) -> None:
        """There is nothing more to come."""


class Silent:
    """Tells nothing."""

    def step(self, size: int, patients: int = 0) -> None:
        """Nothing is told."""

    def write(self, line: str) -> None:
        """Let a line stand on stderr."""
        sys.stderr.write(f"{line}\n")

    def close(self) -> None:
        """Nothing was told."""


class Lines(Silent):
    """Tells in plain lines."""

    def __init__(self, total: int) -> None:
        self._total = max(total, 1)
        self._size = self._patients = 0
        self._began = self._told = time.monotonic()

    def step(self, size: int, patients: int = 0) -> None:
        """Count, and tell now and then."""
        self._size += size
        self._patients += patients
        now = time.monotonic()
        if now - self._told >= _LINE_S:
            self._told = now
            self.write(self._said(now - self._began))

    def _said(self, passed: float) -> str:
        share = min(self._size / self._total, 1)
        left = f", about {_clock(passed / share - passed)} left" if share else ""
        rate = self._patients / passed if passed else 0
        return f"{share:.0%}, {self._patients} patients, {rate:.0f} a second, {_clock(passed)} passed{left}"


class OnTerminal:
    """Tells in a bar, drawn by whoever steps: a thread of its own would be copied into every process half alive."""

    def __init__(self, total: int) -> None:
        from rich.console import Console  # noqa: PLC0415 (rich is needed on terminals only)
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415
        from rich.progress import Progress as Drawn  # noqa: PLC0415

        columns = (BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[said]}"), TimeRemainingColumn())
        self._bar: Bar = Drawn(*columns, console=Console(stderr=True), auto_refresh=False, transient=True)
        self._task = self._bar.add_task("", total=max(total, 1), said="")
        self._patients = 0
        self._began = self._drawn = time.monotonic()
        self._bar.start()

    def step(self, size: int, patients: int = 0) -> None:
        """Count, and draw now and then."""
        self._patients += patients
        now = time.monotonic()
        rate = self._patients / (now - self._began) if now > self._began else 0
        self._bar.update(self._task, advance=size, said=f"{self._patients} patients, {rate:.0f}/s")
        if now - self._drawn >= _BAR_S:
            self._drawn = now
            self._bar.refresh()

    def write(self, line: str) -> None:
        """Let a line stand above the bar."""
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        self._bar.stop()


def progress(total: int, *, quiet: bool) -> Progress:
    """Give what tells of a run over so many bytes."""
    if quiet:
        return Silent()
    return OnTerminal(total) if sys.stderr.isatty() else Lines(total)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"


class Remarks:
    """Writes what was noticed, so many of a kind and no more, and in the end how many there were."""

    def __init__(self, told: Progress) -> None:
        self._told = told
        self._shown: Counter[str] = Counter()

    def show(self, issues: Iterable[Issue]) -> None:
        """Write issues, a line each."""
        for issue in issues:
            self._shown[issue.code] += 1
            if self._shown[issue.code] <= _MOST_SHOWN:
                self._told.write(str(issue))

    def sum_up(self, counts: dict[str, int]) -> None:
        """Say how many there were of what was not written out."""
        for code, count in sorted(counts.items()):
            if count > _MOST_SHOWN:
                self._told.write(f"{count} remarks [{code}] in all; {_MOST_SHOWN} at most are written out")
