"""What every Python process of a Spark run has: the same trials, a place for its own files, and rows to answer in."""

import gc
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from adapter import __version__
from adapter.errors import AdapterError, Category
from adapter.population.screened import Screener, Setup
from adapter.population.spark_definitions import Definitions, versions

_Value_co = TypeVar("_Value_co", covariant=True)
_ROWS_BYTES = 4 << 20
"""About so many bytes of rows are one batch."""
Batches = Iterable[Any]
"""Record batches of Arrow, which has no types."""


class Sent(Protocol[_Value_co]):
    """What Spark brings to every process: a broadcast variable."""

    @property
    def value(self) -> _Value_co:
        """Give the value, as this process has it."""


class Job(msgspec.Struct, frozen=True):
    """Everything a process must know to screen as all others do, folders excepted."""

    name: str
    """Of this run alone."""
    setup: Setup
    definitions: Definitions
    versions: dict[str, str]
    out: str | None
    """The folder that takes results, on a disk that all machines share; None where they go through Spark."""


_ready: dict[str, Screener] = {}
"""By run: loading the trials takes longer than most tasks."""


def screener_of(job: Job) -> Screener:
    """Give the screener of a run; raises AdapterError where this process would answer otherwise than the others."""
    screener = _ready.get(job.name)
    if screener is None:
        _ready.clear()
        with scratch() as folder:
            setup = job.definitions.unpacked(job.setup, folder)
            screener = Screener(job.setup, setup.catalog())
        here = versions(screener.catalog, job.setup.keys, __version__)
        if here != job.versions:
            other = ", ".join(
                sorted(name for name in {*here, *job.versions} if here.get(name) != job.versions.get(name))
            )
            said = f"another version of {other} is installed on a machine of the cluster: ship one to all of them"
            raise AdapterError.of(Category.CONFLICT, "other-version", said)
        gc.freeze()
        _ready[job.name] = screener
    return screener


def local_folder() -> str | None:
    """Give a folder of this machine that Spark removes when the executor ends; None outside of one."""
    return os.environ.get("SPARK_LOCAL_DIRS", "").partition(",")[0] or None


@contextmanager
def scratch(beside: str | None = None) -> Iterator[Path]:
    """Give a folder for the length of a block: on this machine, or where all of them look."""
    folder = Path(beside or local_folder() or tempfile.gettempdir()) / f"attempt-{os.getpid()}-{secrets.token_hex(6)}"
    folder.mkdir(parents=beside is None)  # where the folder of results is not, they must not be written
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def discreet() -> Iterator[None]:
    """Let no error leave this process with what a line held: Spark writes errors into logs."""
    try:
        yield
    except (AdapterError, GeneratorExit):
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is)
        said = f"this could not be done, through a defect of the adapter or its surroundings ({type(error).__name__})"
        raise AdapterError.of(Category.DEFECT, "defect", said) from None


Row = tuple[Any, ...]


def batched(rows: Iterable[Row], schema: Any, size_of: int) -> Iterator[Any]:  # noqa: ANN401 (pyarrow has no types)
    """Put rows into batches; ``size_of`` is the column whose values are large."""
    held: list[Row] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row[size_of])
        if size > _ROWS_BYTES:
            yield _batch(held, schema)
            held, size = [], 0
    if held:
        yield _batch(held, schema)


def _batch(rows: list[Row], schema: Any) -> Any:  # noqa: ANN401 (the same)
    import pyarrow  # noqa: PLC0415 (an extra)

    columns = zip(*rows, strict=True)
    arrays = [pyarrow.array(column, type=field.type) for column, field in zip(columns, schema, strict=True)]
    return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)
