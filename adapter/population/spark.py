"""A population beyond one machine: the same pieces, screened by the same functions, handed out by Spark.

The driver lists files, hands out pieces, and collects counts and places of what was noticed.  Patients stay where they
are read: results are written by those who made them (docs/spark.md).
"""

import functools
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adapter import __version__
from adapter.catalog.catalog import Catalog
from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.population.export import keep_shared, survey
from adapter.population.listing import UNPACKED, Export, Listing, listing
from adapter.population.parts import BUCKET_BYTES, buckets, parts, units
from adapter.population.progress import Remarks, Silent
from adapter.population.run import ASIDE, About, moved
from adapter.population.screened import Screener, Setup
from adapter.population.sinks import Sink, sinks_of
from adapter.population.spark_definitions import definitions, versions
from adapter.population.spark_exports import (
    FOUND,
    SORTED_COLUMNS,
    Gathered,
    found_of,
    screened_buckets,
    sorted_files,
    sorted_lines,
    sorted_units,
    write_share,
)
from adapter.population.spark_frames import Fetch, Frames, answers
from adapter.population.spark_job import Job
from adapter.population.spark_paths import spark_listing
from adapter.population.spark_results import Results, Shared, ThroughSpark, schema_of
from adapter.population.spark_session import jobs, session
from adapter.population.spark_work import Told, fetched_files, fetched_lines, listed

_BUCKETS_A_TASK = 16
"""So many buckets are shuffled to one task where there are many: a task must be worth its start."""
_MOST_BUCKETS = 1 << 20


class Spark(msgspec.Struct, frozen=True):
    """Which cluster, and what it is given."""

    master: str | None
    quiet: bool = False

    def screen(
        self,
        paths: Sequence[Path | str],
        out: Path | str,
        setup: Setup,
        catalog: Catalog,
        about: About,
        base: str | None = None,
    ) -> int:
        """Screen everything into ``out``; gives how much was set aside.

        A ``str`` is a place that Spark reaches, such as ``s3a://``; a Path is one that every machine sees by this name.
        ``base`` is the server that made the exports, where their references name several.
        """
        given = [each for each in paths if isinstance(each, Path)]
        here = listing([each.absolute() for each in given]) if given else Listing((), ())
        sinks = sinks_of(setup.formats, Screener(setup, catalog))
        with session(self.master, quiet=self.quiet) as spark:
            results: Results = ThroughSpark(spark, out, sinks) if isinstance(out, str) else Shared(out, sinks)
            try:
                results.begin()
                with jobs():
                    there, places = spark_listing(spark, [each for each in paths if isinstance(each, str)])
                found = Listing((*here.files, *there.files), (*here.exports, *there.exports))
                run = _Run(spark, Frames(spark, places), found, base)
                told = run.screened(setup, catalog, results, sinks)
                is_relative = not any(each.is_absolute() for each in given)
                issues = _Noticed(run.issues, told, f"{Path.cwd().as_posix()}/" if is_relative else "")
                patients = sum(each.patients for each in told)
                set_aside = run.set_aside + sum(each.set_aside for each in told)
                remarks = dict(sorted(issues.remarks.items()))
                counts = {"patients": patients, "set_aside": set_aside, "remarks": remarks}
                results.finish(about | counts, issues.listed)
            finally:
                results.close()
        said = Remarks(Silent())
        said.show(issues.shown)
        said.sum_up(remarks)
        if set_aside:
            where = f"{str(out).rstrip('/')}/{ASIDE} says which"
            sys.stderr.write(
                f"{patients} patients screened, {set_aside} documents, lines or files set aside; {where}\n"
            )
        elif not self.quiet:
            sys.stderr.write(f"{patients} patients screened\n")
        return set_aside


class _Run:
    """One run, as the driver sees it."""

    def __init__(self, spark: Any, frames: Frames, found: Listing, base: str | None) -> None:  # noqa: ANN401 (no types)
        self._spark = spark
        self._frames = frames
        self._found = found
        self._base = base
        self._kept: list[Any] = []
        self.issues: list[Issue] = []
        """What was noticed of exports as a whole."""
        self.set_aside = 0

    def screened(self, setup: Setup, catalog: Catalog, results: Results, sinks: Sequence[Sink]) -> list[Told]:
        """Let the cluster screen everything."""
        same = versions(catalog, setup.keys, __version__)
        job = Job(secrets.token_hex(8), setup, definitions(setup), same, results.folder)
        sent = self._frames.send(job)
        with jobs():
            schema = schema_of(self._spark, sinks)
            try:
                frames = [*self._of_files(sent, schema), *self._of_exports(sent, schema)]
                told = results.screen(functools.reduce(lambda one, other: one.union(other), frames))
            finally:
                for each in self._kept:
                    each.unpersist()
        _check_read([each.path for each in self._found.files], {place - 1 for one in told for place in one.places})
        return told

    def _of_files(self, job: Any, schema: Any) -> Iterator[Any]:  # noqa: ANN401 (the same)
        numbers = {file.path: number for number, file in enumerate(self._found.files, 1)}
        fetched = [each for each in self._found.files if self._frames.is_fetched(each.path)]
        here = tuple(each for each in self._found.files if not self._frames.is_fetched(each.path))
        if here:
            named = ((numbers[each.path], each) for each in parts(Listing(here, ())))
            yield answers(self._frames.named(named), listed, schema, job=job)
        asked = [(each, next(parts(Listing((each,), ()))).kind) for each in fetched]
        read_by_lines = [Fetch(numbers[each.path], each) for each, kind in asked if kind == "range"]
        whole = [Fetch(numbers[each.path], each, kind == "stream") for each, kind in asked if kind != "range"]
        for files, read_by, function in (
            (whole, self._frames.whole, fetched_files),
            (read_by_lines, self._frames.lines, fetched_lines),
        ):
            if files:
                read = read_by(files)
                yield answers(read.frame, function, schema, job=job, sources=read.sources)

    def _of_exports(self, job: Any, schema: Any) -> Iterator[Any]:  # noqa: ANN401 (the same)
        for place, export in enumerate(self._found.exports, len(self._found.files) + 1):
            unpacked = sum(each.size * (UNPACKED if each.is_gzip else 1) for each in export.files)
            count = max(min(-(-unpacked // BUCKET_BYTES), _MOST_BUCKETS), self._frames.tasks)
            kept = self._sorted(export, count)
            gathered = self._gathered(place, export, kept)
            tasks = max(self._frames.tasks, count // _BUCKETS_A_TASK)
            shuffled = kept.where("bucket >= 0").repartition(tasks, "bucket")
            ordered = shuffled.sortWithinPartitions("bucket", "file", "start", "segment")
            rows = ordered.select("bucket", "file", "start", "data")
            yield answers(rows, screened_buckets, schema, job=job, gathered=self._frames.send(gathered))

    def _sorted(self, export: Export, count: int) -> Any:  # noqa: ANN401 (the same)
        """Give the lines of an export by bucket; they are kept, since they are needed twice."""
        from pyspark import StorageLevel  # noqa: PLC0415 (an extra)

        numbers = {file.path: number for number, file in enumerate(export.files)}
        frames = []
        named = [
            (numbers[each.file.path], msgspec.structs.replace(each, buckets=count))
            for each in units(export)
            if not self._frames.is_fetched(each.file.path)
        ]
        if named:
            frames.append(answers(self._frames.named(named), sorted_units, SORTED_COLUMNS))
        fetched = [Fetch(numbers[each.path], each) for each in export.files if self._frames.is_fetched(each.path)]
        for files, read_by, function in (
            ([each for each in fetched if each.file.is_gzip or not each.file.size], self._frames.whole, sorted_files),
            ([each for each in fetched if not each.file.is_gzip and each.file.size], self._frames.lines, sorted_lines),
        ):
            if files:
                read = read_by(files)
                frames.append(answers(read.frame, function, SORTED_COLUMNS, sources=read.sources, buckets=count))
        kept = functools.reduce(lambda one, other: one.union(other), frames).persist(StorageLevel.DISK_ONLY)
        self._kept.append(kept)
        return kept

    def _gathered(self, place: int, export: Export, kept: Any) -> Gathered:  # noqa: ANN401 (the same)
        """Weigh what the pieces held; what is shared by all patients passes through the driver, and no more."""
        rows = sorted(tuple(each) for each in kept.where("bucket < 0").orderBy("file", "start").collect())
        held = {(file, start): data for file, start, bucket, _, data in rows if bucket == FOUND}
        _check_read([file.path for file in export.files], {file for file, _ in held})
        numbers = {key: number for number, key in enumerate(sorted(held))}
        found = [found_of(held[key], number) for key, number in numbers.items()]
        shares: Counter[tuple[int, int]] = Counter()
        with tempfile.TemporaryDirectory(prefix="screening-") as name:
            folder = Path(name)
            for file, start, bucket, _, data in rows:
                if bucket != FOUND:
                    write_share(folder, numbers[file, start], shares[file, start], buckets(export), data)
                    shares[file, start] += 1
            for key, number in numbers.items():
                found[number].segments = shares[key]
            facing, issues, count = survey(export, found, name, self._base)
            database = keep_shared(name, found, buckets(export)).read_bytes()
        self.issues.extend(issues)
        self.set_aside += count
        return Gathered(place, export.root, facing, database, numbers)


def _check_read(files: Sequence[str], seen: set[int]) -> None:
    """See that every file came to a task; raises AdapterError: what is passed over looks like what is not there."""
    for number, file in enumerate(files):
        if number not in seen:
            said = "Spark read nothing of this file, and did not say why: no results were made"
            raise AdapterError(Category.UNAVAILABLE, [Issue(Severity.ERROR, "not-read", said, file=file)])


class _Noticed:
    """What was noticed, with its places in whole files, in the order of pieces."""

    def __init__(self, issues: Sequence[Issue], told: Sequence[Told], folder: str) -> None:
        """``folder`` is left out of names: other machines need them whole, people gave them without."""
        self._folder = folder
        self.listed = [self._named(each) for each in issues if each.severity is Severity.ERROR]
        self.shown = [self._named(each) for each in issues]
        self.remarks: Counter[str] = Counter()
        for each in told:
            self.remarks.update(each.remarks)
        lines: Counter[int] = Counter()
        for piece in sorted((each for one in told for each in one.pieces), key=lambda each: (each.place, each.start)):
            before = lines[piece.place] if piece.lines else 0
            lines[piece.place] += piece.lines
            self.listed.extend(self._named(moved(each, before)) for each in piece.listed)
            self.shown.extend(self._named(moved(each, before)) for each in (*piece.listed, *piece.shown))

    def _named(self, issue: Issue) -> Issue:
        return issue.located(file=issue.file.removeprefix(self._folder)) if issue.file is not None else issue
