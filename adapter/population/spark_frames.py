"""How pieces of input come to Spark's tasks: as names where every machine reads them so, else with their content."""

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec

from adapter.population.listing import File
from adapter.population.parts import Part, Unit
from adapter.population.spark_paths import Place, escaped
from adapter.population.spark_pieces import Source

Piece = TypeVar("Piece", Part, Unit)
Numbered = tuple[int, Piece]
_LEAST, _MOST = 1 << 20, 256 << 20
"""How many bytes one task is given: fewer are not worth a task, more are too much to do again."""
_EACH = 1 << 16
"""What opening a file costs, in bytes that could be read instead."""


class Fetch(NamedTuple):
    """A file that Spark reads for tasks, and its number among the results or the files of its export."""

    number: int
    file: File
    is_stream: bool = False


class Read(NamedTuple):
    """Files that Spark reads for tasks, and what is known of each, by the name that rows give it."""

    frame: Any
    sources: Any
    """A broadcast variable."""


class Frames:
    """Makes data frames of what tasks are given."""

    def __init__(self, spark: Any, places: dict[str, Place]) -> None:  # noqa: ANN401 (pyspark has no types)
        """``places``: by path, the files that only Spark reads."""
        self._spark = spark
        self._places = places
        self.tasks = 4 * int(spark.sparkContext.defaultParallelism)
        """Into how many tasks work is cut at least, so that all cores end together."""

    def is_fetched(self, path: str) -> bool:
        """Whether only Spark reads a file."""
        return path in self._places

    def send(self, value: object) -> Any:  # noqa: ANN401 (the same)
        """Bring a value to every machine, once."""
        return self._spark.sparkContext.broadcast(value)

    def named(self, pieces: Iterable[Numbered[Piece]]) -> Any:  # noqa: ANN401 (the same)
        """Give a row for each task: which pieces it reads by their names."""
        groups = grouped(pieces, self.tasks)
        rows = [(msgspec.json.encode(each).decode(),) for each in groups]
        given = self._spark.sparkContext.parallelize(rows, max(len(rows), 1))
        return self._spark.createDataFrame(given, "pieces string")

    def whole(self, files: Sequence[Fetch]) -> Read:
        """Give a row for each file: its name, when it was changed, its content."""
        reader = self._spark.read.format("binaryFile").option("ignoreCorruptFiles", "false")
        columns = ("_metadata.file_path", "unix_micros(modificationTime) AS changed", "content")
        full = [escaped(each.file.path) for each in files if each.file.size]
        frames = [reader.load(full).selectExpr(*columns)] if full else []
        empty = [self._places[each.file.path] for each in files if not each.file.size]
        if empty:  # Spark passes over them
            rows = [(each.name, each.modified, b"") for each in empty]
            frames.append(self._spark.createDataFrame(rows, "file_path string, changed long, content binary"))
        return Read(functools.reduce(lambda one, other: one.union(other), frames), self._sources(files))

    def lines(self, files: Sequence[Fetch]) -> Read:
        """Give a row for each line: its file, when that was changed, where its block begins, the line."""
        reader = self._spark.read.option("ignoreCorruptFiles", "false").option("ignoreMissingFiles", "false")
        frame = reader.text([escaped(each.file.path) for each in files], lineSep="\n")
        changed = "unix_micros(_metadata.file_modification_time) AS changed"
        columns = ("_metadata.file_path", changed, "_metadata.file_block_start", "value")
        return Read(frame.selectExpr(*columns), self._sources(files))

    def _sources(self, files: Sequence[Fetch]) -> Any:  # noqa: ANN401 (the same)
        found = {}
        for each in files:
            place = self._places[each.file.path]
            source = Source(each.number, each.file.path, place.modified, each.is_stream, each.file.is_gzip)
            found[place.name] = source
        return self.send(found)


def grouped(pieces: Iterable[Numbered[Piece]], tasks: int) -> list[list[Numbered[Piece]]]:
    """Share pieces out to tasks, in their order; ranges side by side become one."""
    given = list(pieces)
    total = sum(_cost(each) for _, each in given)
    most = min(max(total // tasks, _LEAST), _MOST)
    groups: list[list[Numbered[Piece]]] = []
    size = most
    for number, each in given:
        if size >= most:
            groups.append([])
            size = 0
        size += _cost(each)
        last = groups[-1][-1] if groups[-1] else None
        if last is not None and (joined := _joined(last[1], each)) is not None:
            groups[-1][-1] = number, joined
        else:
            groups[-1].append((number, each))
    return groups


def _cost(piece: Part | Unit) -> int:
    files = 1 + len(piece.more) if isinstance(piece, Part) else 1
    return piece.end - piece.start + files * _EACH


def _joined(first: Piece, second: Piece) -> Piece | None:
    if not isinstance(first, Part) or not isinstance(second, Part) or second.kind != "range":
        return None
    if (first.kind, first.path, first.end) != (second.kind, second.path, second.start):
        return None
    return msgspec.structs.replace(first, end=second.end)


def answers(frame: Any, function: Callable[..., Any], schema: Any, **given: Any) -> Any:  # noqa: ANN401 (the same)
    """Let a function answer the rows of a frame; ``given`` are values that it has on every machine."""
    return frame.mapInArrow(functools.partial(function, **given), schema)
