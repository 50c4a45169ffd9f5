"""A Spark session for a run, and what becomes of its errors."""

import importlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adapter.errors import AdapterError, Category, one_line

_SETTINGS = {
    # Patients' documents are large: so many rows, and never more bytes, cross to Python at a time.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "2000",
    "spark.sql.execution.arrow.maxBytesPerBatch": "67108864",
    # A cluster may be set up to pass over what it cannot read; what is missing would look like what is not there.
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.files.ignoreMissingFiles": "false",
}
_OURS = re.compile(r"adapter\.errors\.AdapterError: ([^\r\n]+)")
_CLASS = re.compile(r"^\[?([A-Z][A-Z_.]+)\]?", re.MULTILINE)


@contextmanager
def session(master: str | None, *, quiet: bool) -> Iterator[Any]:
    """Give a session: the one that is there, or one that ends with the block.  Raises AdapterError without Spark."""
    try:
        from pyspark.errors import PySparkException  # noqa: PLC0415 (an extra, and a second)
        from pyspark.sql import SparkSession  # noqa: PLC0415 (the same)
    except ImportError:
        said = '--engine spark needs PySpark: pip install "fhir-trial-adapter[spark]", and Java 17 or 21'
        raise AdapterError.of(Category.NOT_FOUND, "spark-missing", said) from None
    if master is not None and master.startswith("sc://"):
        said = "--master: a Spark Connect server is not supported; give local[N], spark://, yarn or k8s://"
        raise AdapterError.of(Category.NOT_FOUND, "usage", said)
    there = SparkSession.getActiveSession()
    try:
        spark = there if there is not None else _begun(SparkSession.builder, master, quiet=quiet)
        for name, value in _SETTINGS.items():
            spark.conf.set(name, value)
    except (PySparkException, OSError) as error:
        said = f"Spark cannot be started ({type(error).__name__}): is Java 17 or 21 here, and does --master answer?"
        raise AdapterError.of(Category.UNAVAILABLE, "spark-unavailable", said) from None
    try:
        yield spark
    finally:
        if there is None:
            spark.stop()


def _begun(builder: Any, master: str | None, *, quiet: bool) -> Any:  # noqa: ANN401 (pyspark is imported late)
    # Spark would take whatever is called python3 there; a packed environment names its own (docs/spark.md).
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = builder.appName("trial-adapter screen")
    builder = builder.config("spark.ui.showConsoleProgress", str(not quiet and sys.stderr.isatty()).lower())
    if master is not None:
        builder = builder.master(master)
        if master.startswith("local"):
            builder = builder.config("spark.ui.enabled", "false").config("spark.driver.bindAddress", "127.0.0.1")
            builder = builder.config("spark.driver.host", "127.0.0.1")
    return builder.getOrCreate()


def _name(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return str(java.getClass().getName()) if java is not None else type(error).__name__


@contextmanager
def jobs() -> Iterator[None]:
    """Run Spark's jobs; raises AdapterError where one fails, in our own words: Spark's may hold what a line held."""
    from pyspark.errors import PySparkException  # noqa: PLC0415 (an extra)

    from_java = importlib.import_module("py4j.protocol").Py4JError  # has no types
    try:
        yield
    except (PySparkException, from_java) as error:
        text = str(error)
        ours = _OURS.search(text)
        kind = _CLASS.search(text)
        named = ours[1] if ours is not None else kind[1] if kind is not None else _name(error)
        said = f"a Spark job failed, and no results were made; Spark's own log says where: {one_line(named)}"
        raise AdapterError.of(Category.UNAVAILABLE, "spark-failed", said) from None
