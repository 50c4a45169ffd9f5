"""Rows in which a Spark task gives its results: text by kind, Parquet's columns, and what became of it all."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adapter.population.sinks import Sink

TOLD = "told"
"""The kind of row that says what became of a task's pieces."""
_TEXT_BYTES = 4 << 20
_ROWS = 2000


def row_schema(sinks: Sequence[Sink]) -> Any:  # noqa: ANN401 (pyarrow has no types)
    """Give the columns of result rows: where, of which kind, text; and a struct for each result that is Parquet."""
    import pyarrow  # noqa: PLC0415 (an extra)

    structs = [(column_of(sink), pyarrow.struct(list(_plain(sink)))) for sink in sinks if sink.is_folder]
    texts = [("kind", pyarrow.string()), ("text", pyarrow.string())]
    return pyarrow.schema([*texts, *structs])


def column_of(sink: Sink) -> str:
    """Name the column of a result that is Parquet."""
    return Path(sink.file).stem


def _plain(sink: Sink) -> Any:  # noqa: ANN401 (the same)
    """Give the columns of a sink, as Spark knows them: without dictionaries."""
    import pyarrow  # noqa: PLC0415 (an extra)
    import pyarrow.parquet  # noqa: PLC0415 (the same)

    stream = io.BytesIO()
    sink.end(stream)
    fields = pyarrow.parquet.read_schema(pyarrow.BufferReader(stream.getvalue()))
    return pyarrow.schema(
        [
            (field.name, field.type.value_type if pyarrow.types.is_dictionary(field.type) else field.type)
            for field in fields
        ]
    )


def text_rows(path: Path, sink: Sink, sinks: Sequence[Sink]) -> Iterator[Any]:
    """Give what a sink wrote, so many whole lines a row; the writer ends each row as a line."""
    with path.open("rb") as stream:
        while lines := stream.readlines(_TEXT_BYTES):
            yield _row(sink.file, b"".join(lines).removesuffix(b"\n").decode(), sinks)


def told_row(text: str, sinks: Sequence[Sink]) -> Any:  # noqa: ANN401 (the same)
    """Give the row that says what became of a task's pieces."""
    return _row(TOLD, text, sinks)


def _row(kind: str, text: str, sinks: Sequence[Sink]) -> Any:  # noqa: ANN401 (the same)
    import pyarrow  # noqa: PLC0415 (an extra)

    schema = row_schema(sinks)
    values = [[kind], [text], *([None] for _ in schema.names[2:])]
    arrays = [pyarrow.array(value, type=field.type) for value, field in zip(values, schema, strict=True)]
    return pyarrow.RecordBatch.from_arrays(arrays, schema=schema)


def result_columns(path: Path, sink: Sink, sinks: Sequence[Sink]) -> Iterator[Any]:
    """Give the columns that a sink wrote."""
    import pyarrow  # noqa: PLC0415 (an extra)
    import pyarrow.parquet  # noqa: PLC0415 (the same)

    schema = row_schema(sinks)
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=_ROWS):
        whole = [each.dictionary_decode() if hasattr(each, "dictionary_decode") else each for each in batch.columns]
        fields = list(schema.field(column_of(sink)).type)
        structs = pyarrow.StructArray.from_arrays(whole, fields=fields)
        given = {
            "kind": pyarrow.array([sink.file] * batch.num_rows, type=pyarrow.string()),
            column_of(sink): structs,
        }
        arrays = [given.get(field.name, pyarrow.nulls(batch.num_rows, field.type)) for field in schema]
        yield pyarrow.RecordBatch.from_arrays(arrays, schema=schema)
