"""A statement prepared once for each kind of database: to prepare it anew takes longer than to run it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, CursorResult
from sqlalchemy.sql.elements import ClauseElement

_Values = Mapping[str, Any]


class _Made(msgspec.Struct, frozen=True):
    text: str
    names: tuple[str, ...] | None
    """The order of the values; None where the driver takes them by name."""

    def of(self, values: _Values) -> Any:  # noqa: ANN401 (a tuple or a dict, as the driver takes it)
        return values if self.names is None else tuple([values[each] for each in self.names])


class Prepared:
    """A statement run as it stands; its values are what the driver takes: text, bytes, whole numbers, nothing."""

    def __init__(self, statement: ClauseElement, columns: Sequence[str] = ()) -> None:
        """``columns``: those that an insert gives, where they are not all of the table."""
        self._statement = statement
        self._columns = list(columns) or None
        self._made: dict[str, _Made] = {}

    def run(self, connection: Connection, values: _Values) -> CursorResult[Any]:
        """Run it once."""
        made = self._of(connection)
        return connection.exec_driver_sql(made.text, made.of(values))

    def run_each(self, connection: Connection, rows: Sequence[_Values]) -> None:
        """Run it for each row."""
        made = self._of(connection)
        connection.exec_driver_sql(made.text, [made.of(each) for each in rows])

    def _of(self, connection: Connection) -> _Made:
        dialect = connection.dialect
        made = self._made.get(dialect.name)
        if made is None:
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
            names = tuple(compiled.positiontup) if compiled.positional else None
            made = self._made[dialect.name] = _Made(str(compiled), names)
        return made


class Listed:
    """A question for the rows that have one of many values, asked as it stands: ``name IN (:asked)``."""

    def __init__(self, text: str) -> None:
        self._text = text

    def run(self, connection: Connection, asked: Sequence[str | bytes]) -> CursorResult[Any]:
        """Ask for at least one value."""
        mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
        marks = ",".join([mark] * len(asked))
        return connection.exec_driver_sql(self._text.replace(":asked", marks), tuple(asked))
