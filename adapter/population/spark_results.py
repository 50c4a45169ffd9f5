"""Where the results of a Spark run appear: a folder that all machines share, or a place that Spark writes to."""

import shutil
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec

from adapter.errors import Issue
from adapter.outputs import unwritable
from adapter.population.journal import locked, refused, write_whole
from adapter.population.listing import WORK
from adapter.population.run import ABOUT, ASIDE, LOCK, About, aside
from adapter.population.sinks import Sink
from adapter.population.spark_rows import TOLD, column_of, row_schema
from adapter.population.spark_session import jobs
from adapter.population.spark_work import Told, result_name

_HEAD = (0, 0)
"""The place of what stands before all results."""


class Results(Protocol):
    """Takes the results of a run."""

    @property
    def folder(self) -> str | None:
        """Give the folder that tasks write into; None where their results are rows."""

    def begin(self) -> None:
        """Make sure that results can be taken; raises AdapterError."""

    def screen(self, frame: Any) -> list[Told]:  # noqa: ANN401 (pyspark has no types)
        """Let everything be screened; gives what became of it."""

    def finish(self, about: About, listed: Sequence[Issue]) -> None:
        """Let the results appear."""

    def close(self) -> None:
        """Let go of the place."""


def _told(frame: Any) -> list[Told]:  # noqa: ANN401 (the same)
    rows = frame.where(frame.kind == TOLD).select("text").collect()
    return [msgspec.json.decode(row[0], type=Told) for row in rows]


class Shared:
    """Results in a folder that every machine sees; they lie in ``.screening`` until all of them are there."""

    def __init__(self, out: Path, sinks: Iterable[Sink]) -> None:
        self._out = out
        self._work = out.absolute() / WORK
        self._sinks = list(sinks)
        self._lock: IO[bytes] | None = None

    @property
    def folder(self) -> str | None:
        """Give the folder that tasks write into."""
        return str(self._work)

    def begin(self) -> None:
        """Make the folders, and remove what a run that was ended left."""
        try:
            self._work.mkdir(parents=True, exist_ok=True)
            self._lock = locked(self._work / LOCK, self._out)
            if (self._work / ABOUT).is_file():
                said = "a run on one machine is not finished here: go on with it, or remove .screening in it"
                raise refused(self._out, "unfinished-run", said)
            for each in self._work.iterdir():
                if each.is_dir():
                    shutil.rmtree(each)
            for sink in self._sinks:
                (self._work / sink.file).mkdir()
                if sink.head:
                    self._part(sink, result_name(*_HEAD)).write_bytes(sink.head)
        except OSError as error:
            raise unwritable(error, self._out) from None

    def _part(self, sink: Sink, name: str) -> Path:
        return self._work / sink.file / f"{name}{Path(sink.file).suffix}"

    def screen(self, frame: Any) -> list[Told]:  # noqa: ANN401 (the same)
        """Let everything be screened; raises AdapterError where results are not in the folder afterwards."""
        with jobs():
            found = _told(frame)
        if any(not self._part(sink, each.name).is_file() for each in found for sink in self._sinks):
            said = "results were written on other machines and are not here: --out must be on a disk that all share"
            raise refused(self._out, "not-shared", said)
        return found

    def finish(self, about: About, listed: Sequence[Issue]) -> None:
        """Let the results appear, and remove everything else."""
        try:
            for sink in self._sinks:
                place = self._out / sink.file
                if place.exists():
                    place.rename(self._work / f"before-{sink.file}-{time.time_ns()}")
                (self._work / sink.file).rename(place)
            (self._out / ASIDE).unlink(missing_ok=True)  # of an earlier run
            if listed:
                write_whole(self._out / ASIDE, b"".join(map(aside, listed)))
            write_whole(self._out / ABOUT, _written(about))
            shutil.rmtree(self._work)
        except OSError as error:
            raise unwritable(error, self._out) from None

    def close(self) -> None:
        """Let another run use the folder; what a run left that failed is removed, since none goes on with it."""
        if self._lock is not None:
            if not (self._work / ABOUT).is_file():
                shutil.rmtree(self._work, ignore_errors=True)
            self._lock.close()


class ThroughSpark:
    """Results in any place that Spark writes to."""

    def __init__(self, spark: Any, out: str, sinks: Iterable[Sink]) -> None:  # noqa: ANN401 (the same)
        self._spark = spark
        self._out = out.rstrip("/")
        self._sinks = list(sinks)

    @property
    def folder(self) -> str | None:
        """Give None: results are rows."""
        return None

    def begin(self) -> None:
        """Remove what says that earlier results are whole."""
        self._remove(ABOUT)
        self._remove(ASIDE)

    def screen(self, frame: Any) -> list[Told]:  # noqa: ANN401 (the same)
        """Screen everything once, onto the disks of the executors, and write each result from there."""
        from pyspark import StorageLevel  # noqa: PLC0415 (an extra)

        with jobs():
            kept = frame.persist(StorageLevel.DISK_ONLY)
            try:
                found = _told(kept)
                for sink in self._sinks:
                    self._write(kept, sink)
            finally:
                with suppress(Exception):  # the disks are freed when the session ends, too
                    kept.unpersist()
        return found

    def _write(self, kept: Any, sink: Sink) -> None:  # noqa: ANN401 (the same)
        place = f"{self._out}/{sink.file}"
        mine = kept.where(kept.kind == sink.file)
        if sink.is_folder:
            mine.select(f"{column_of(sink)}.*").write.mode("overwrite").parquet(place, compression="zstd")
            return
        texts = mine.select("text")
        if sink.head:
            head = self._spark.createDataFrame([(sink.head.decode().removesuffix("\n"),)], "text string").coalesce(1)
            texts = head.union(texts)
        texts.write.mode("overwrite").text(place, lineSep="\n")

    def finish(self, about: About, listed: Sequence[Issue]) -> None:
        """Write what became of the run; ``run.json`` comes last and says that all of it is there."""
        with jobs():
            if listed:
                self._put(ASIDE, b"".join(map(aside, listed)))
            self._put(ABOUT, _written(about))

    def close(self) -> None:
        """Nothing is held."""

    def _place(self, name: str) -> tuple[Any, Any]:
        place = self._spark._jvm.org.apache.hadoop.fs.Path(f"{self._out}/{name}")  # noqa: SLF001 (the way to Hadoop)
        return place, place.getFileSystem(self._spark._jsc.hadoopConfiguration())  # noqa: SLF001 (the same)

    def _put(self, name: str, data: bytes) -> None:
        place, system = self._place(name)
        stream = system.create(place, True)
        stream.write(bytearray(data))
        stream.close()

    def _remove(self, name: str) -> None:
        with jobs():
            place, system = self._place(name)
            system.delete(place, False)


def _written(about: About) -> bytes:
    return msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n"


def schema_of(spark: Any, sinks: Sequence[Sink]) -> Any:  # noqa: ANN401 (the same)
    """Give the columns of result rows in Spark's words."""
    return spark.createDataFrame(row_schema(sinks).empty_table()).schema
