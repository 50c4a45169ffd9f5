"""Pieces of input as a Spark task gets them: named by a list, or with their content where only Spark can read it.

What Spark has read is written to a file of the task's machine first: from there on it is read by the very functions
that read it where there is no Spark.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from adapter.errors import Issue
from adapter.population.spark_job import Batches, scratch


class Source(msgspec.Struct, frozen=True):
    """A file that Spark reads, and how it was when it was listed."""

    place: int
    """In the order of the run's results; of an export's file among its files."""
    path: str
    modified: int
    """In microseconds, as Spark tells it."""
    is_stream: bool = False
    """Whether it is read line by line, and not at once."""
    is_gzip: bool = False


class Fetched(msgspec.Struct, frozen=True):
    """A piece of a file that lies on this machine for now."""

    source: Source
    start: int
    """Where in the file it begins."""
    path: Path
    is_other: bool
    """Whether the file is another now than when it was listed."""
    is_block: bool
    """Whether it is some lines of a file, and not all of it."""

    def renamed(self, issue: Issue) -> Issue:
        """Give an issue with the file's own name."""
        return issue.located(file=self.source.path) if issue.file == self.path.as_posix() else issue


def whole(batches: Batches, sources: dict[str, Source]) -> Iterator[Fetched]:
    """Give files out of rows of name, when it was changed and content."""
    for batch in batches:
        names, times, contents = (batch.column(place) for place in range(3))
        for number in range(batch.num_rows):
            source = sources[names[number].as_py()]
            with _file(source) as path:
                path.write_bytes(contents[number].as_buffer())
                yield Fetched(source, 0, path, times[number].as_py() != source.modified, is_block=False)


def blocks(batches: Batches, sources: dict[str, Source]) -> Iterator[Fetched]:
    """Give blocks of lines out of rows of name, when it was changed, start of the block, and line."""
    rows = (row for batch in batches for row in _rows(batch))
    for (name, time, start), lines in itertools.groupby(rows, key=lambda row: row[:3]):
        source = sources[name]
        with _file(source) as path:
            with path.open("wb", buffering=1 << 20) as stream:
                for *_, line in lines:
                    stream.write(line)
                    stream.write(b"\n")
            yield Fetched(source, start, path, time != source.modified, is_block=True)


def _rows(batch: Any) -> Iterator[tuple[str, int, int, bytes]]:  # noqa: ANN401 (pyarrow has no types)
    import pyarrow  # noqa: PLC0415 (an extra)

    names, times, starts, lines = (batch.column(place) for place in range(4))
    texts = lines.cast(pyarrow.binary())  # as they are, also where they are not UTF-8
    return zip(names.to_pylist(), times.to_pylist(), starts.to_pylist(), texts.to_pylist(), strict=True)


@contextmanager
def _file(source: Source) -> Iterator[Path]:
    """Give where a piece is written to; under its own name, which says how it is read and which results may quote."""
    with scratch() as folder:
        yield folder / source.path.rsplit("/", 1)[-1]
