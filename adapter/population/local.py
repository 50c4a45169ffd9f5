"""A population on one machine: parts to processes, results to a run's folder or to standard output, in one order."""

import contextlib
import functools
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.errors import Issue, Severity
from adapter.outputs import standard_output, unwritable
from adapter.population.lines import lines_between
from adapter.population.listing import Listing
from adapter.population.partition import Sorted, lost_unit, sort_unit
from adapter.population.parts import Part, Unit, buckets, parts
from adapter.population.pool import Died, Pool
from adapter.population.progress import Progress, Remarks, progress
from adapter.population.run import ASIDE, About, Maker, Run, append, moved
from adapter.population.screened import Screener, Setup
from adapter.population.sinks import sinks_of
from adapter.population.sorting import is_sorted, sort_exports
from adapter.population.work import Done, Worker, at_hand, at_name, spooled


class Machine(msgspec.Struct, frozen=True):
    """How a run uses the machine; the results are the same whatever stands here."""

    processes: int = 0
    """As many as there are cores where it is 0."""
    work: Path | None = None
    """Where temporary files lie; beside the results by default."""
    quiet: bool = False
    resume: bool = False


class Sorting(NamedTuple):
    """The task to sort a piece of an export into a folder."""

    unit: Unit
    folder: str


class Screening(NamedTuple):
    """The task to screen a part."""

    part: Part
    left_out: frozenset[int] = frozenset()


Task = Sorting | Screening
_Pool = Pool[Task, "Sorted | Done"]
_loaded: dict[Setup, Catalog] = {}
"""Catalogs that this process has, so that those it forks need not load them again."""


def _begin(setup: Setup, exports: str, spool: str) -> "functools.partial[Sorted | Done]":
    screener = Screener(setup, _loaded.get(setup))
    return functools.partial(_do, Worker(screener, exports, spool))


def _do(worker: Worker, task: Task) -> Sorted | Done:
    if isinstance(task, Sorting):
        return sort_unit(task.unit, task.folder)
    return worker.screen(task.part, task.left_out)


class Local:
    """Screens everything that was listed; tells what was set aside on stderr."""

    def __init__(self, found: Listing, setup: Setup, catalog: Catalog, machine: Machine, base: str | None) -> None:
        _loaded[setup] = catalog
        self._found = found
        self._setup = setup
        self._sinks = sinks_of(setup.formats, Screener(setup, catalog))
        self._machine = machine
        self._base = base
        self._set_aside = 0

    def to_folder(self, out: Path, about: About, products: Maker | None = None) -> int:
        """Write results into a folder, where they appear when all is done; gives how much was set aside.

        ``products`` are made of them before they appear.
        """
        with Run(out, self._sinks, about) as run:
            run.begin(self._found.every(), resume=self._machine.resume)
            try:
                if not run.state.is_done:
                    with _Folders(self._machine.work, run.work) as folders, self._told() as told:
                        self._to_run(run, folders, told)
                        run.complete()
                        folders.remove()
                run.make(products)
                run.finish()
            except BaseException:
                sys.stderr.write(f"{out}: not finished; the same command with --resume goes on with it\n")
                raise
            self._sum_up(run.state.patients, run.state.set_aside, f"; {out / ASIDE} says which")
            return run.state.set_aside

    def _to_run(self, run: Run, folders: "_Folders", told: "_Told") -> None:
        with self._pool(folders) as pool:
            if not run.state.is_surveyed or not is_sorted(self._found, folders.exports):
                issues, count = self._sort(pool, folders.exports, told.progress)
                if not run.state.is_surveyed:
                    told.remarks.show(issues)
                    run.survey([each for each in issues if each.severity is Severity.ERROR], count)
            given = _after(parts(self._found), run.state.part)
            for part, done in self._screened(pool, given, folders, told.progress):
                told.remarks.show(run.take(done, folders.spool, part.path, is_piece=part.kind == "range"))
        told.remarks.sum_up(run.state.remarks)

    def to_stdout(self) -> int:
        """Write results to standard output as they come; gives how much was set aside."""
        lines: dict[str, int] = {}
        remarks: Counter[str] = Counter()
        patients = 0
        with _Folders(self._machine.work, None) as folders, self._told() as told, self._pool(folders) as pool:
            issues, count = self._sort(pool, folders.exports, told.progress)
            told.remarks.show(issues)
            with standard_output() as stream:
                for sink in self._sinks:
                    stream.buffer.write(sink.head)
                for part, done in self._screened(pool, parts(self._found), folders, told.progress):
                    before = lines.get(part.path, 0) if part.kind == "range" else 0
                    lines = {part.path: before + done.lines}
                    told.remarks.show(moved(each, before) for each in (*done.listed, *done.shown))
                    for sink in self._sinks if not done.is_lost else ():
                        append(folders.spool / spooled(done.number, sink.file), stream.buffer)
                    count += done.set_aside
                    patients += done.patients
                    remarks.update(done.remarks)
            told.remarks.sum_up(remarks)
        self._sum_up(patients, count, "")
        return count

    def _sum_up(self, patients: int, set_aside: int, where: str) -> None:
        if set_aside:
            sys.stderr.write(f"{patients} patients screened, {set_aside} documents, lines or files set aside{where}\n")
        elif not self._machine.quiet:
            sys.stderr.write(f"{patients} patients screened\n")

    def _told(self) -> "_Told":
        total = self._found.size + sum(each.size for each in self._found.exports)
        return _Told(progress(total, quiet=self._machine.quiet))

    def _pool(self, folders: "_Folders") -> _Pool:
        count = self._machine.processes or _cores()
        begin = functools.partial(_begin, self._setup, str(folders.exports), str(folders.spool))
        return Pool(begin, count, functools.partial(_without_the_last, folders.spool))

    def _sort(self, pool: _Pool, folder: Path, told: Progress) -> tuple[list[Issue], int]:
        """Sort the lines of all exports to patients; gives what was lost, and how much of it."""

        def sort(pieces: list[Unit], where: str) -> Iterator[Sorted]:
            for unit, result in zip(pieces, pool.in_order(Sorting(each, where) for each in pieces), strict=True):
                yield result if isinstance(result, Sorted) else lost_unit(unit, where)
                told.step(unit.end - unit.start)

        said = list(sort_exports(self._found, folder, self._base, sort))
        return [issue for issues, _ in said for issue in issues], sum(count for _, count in said)

    def _screened(
        self, pool: _Pool, given: Iterator[Part], folders: "_Folders", told: Progress
    ) -> Iterator[tuple[Part, Done]]:
        shares = [each.size // buckets(each) for each in self._found.exports]
        tasks: dict[int, Part] = {}

        def noted() -> Iterator[Task]:
            for part in given:
                tasks[part.number] = part
                yield Screening(part)

        for result in pool.in_order(noted()):
            done = result if isinstance(result, Done) else _lost(result)
            part = tasks.pop(done.number)
            (folders.spool / at_name(part.number)).unlink(missing_ok=True)
            yield part, done
            told.step(shares[part.end] if part.kind == "bucket" else part.size, done.patients)


class _Told:
    """Progress and remarks of one run."""

    def __init__(self, told: Progress) -> None:
        self.progress = told
        self.remarks = Remarks(told)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.close()


class _Folders:
    """Where a run keeps what is only for its own time: sorted exports, and results on their way."""

    def __init__(self, work: Path | None, run: Path | None) -> None:
        self._work = work
        self._run = run
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            if self._work is not None:
                self._work.mkdir(parents=True, exist_ok=True)
            if self._run is None:
                made = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="screening-", dir=self._work))
                self.exports = self.spool = Path(made)
            else:
                self.exports = self._sorted(self._run)
                for old in self._run.glob("spool-*"):
                    shutil.rmtree(old, ignore_errors=True)
                self.spool = self._run / f"spool-{os.getpid()}-{secrets.token_hex(4)}"
                self.spool.mkdir()
        except OSError as error:
            raise unwritable(error, self._work or self._run) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _sorted(self, run: Path) -> Path:
        """Give the folder of the sorted exports: the same one when the run is resumed."""
        if self._work is None:
            return run
        name = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]
        folder = self._work / f"screening-{name}"
        folder.mkdir(exist_ok=True)
        return folder

    def remove(self) -> None:
        """Remove what lies outside the run's own folder."""
        if self._run is not None and self._work is not None:
            shutil.rmtree(self.exports, ignore_errors=True)


def _after(given: Iterator[Part], number: int) -> Iterator[Part]:
    return (each for each in given if each.number > number)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _without_the_last(spool: Path, task: Task) -> Task | None:
    """Leave out the document at which a process ended, twice; None where that is not known, or was left out already."""
    if not isinstance(task, Screening):
        return None
    last = at_hand(spool, task.part.number)
    if last is None or last in task.left_out:
        return None
    return Screening(task.part, task.left_out | {last})


def _lost(died: "Died | Sorted") -> Done:
    """Give what becomes of a part that ended every process that it was given to."""
    if isinstance(died, Sorted):
        raise TypeError("a part was asked for")
    part = died.task.part
    said = "the processes that screened this part were ended from outside each time; all of it is set aside"
    done = Done(part.number, is_lost=True)
    if part.kind == "range":  # the lines after it keep their numbers
        with contextlib.suppress(OSError):
            done.lines = max((number for number, _ in lines_between(part.path, part.start, part.end)), default=0)
    done.put_aside(Issue(Severity.ERROR, "killed", said, file=Path(part.path).as_posix()))
    return done
