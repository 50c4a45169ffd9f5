"""Was the record of what was done tampered with: each audit row holds the digest of the one before.

Without a key whoever may write the database can make the whole chain anew; with one (``chain_key``) nobody can who has
not the key.  Rows cut off at the end together with the head are seen only by who kept an earlier head elsewhere.
"""

import datetime
import functools
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, MappingResult, RowMapping, bindparam, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from adapter.errors import AdapterError, Category
from adapter.store.chain_key import OPTION, ChainKeys
from adapter.store.prepared import Prepared
from adapter.store.tables import audit, audit_head, moment, stored

BEGINNING = "0" * 64
_encode = msgspec.json.Encoder(order="sorted").encode
_detail = msgspec.json.Decoder(dict[str, str | int]).decode
_READ_AT_ONCE = 1000
_LOCKED = Prepared(select(audit_head.c.seq, audit_head.c.digest, audit_head.c.key_print).with_for_update())
_ADD = Prepared(insert(audit))
_ENDED: dict[str, Any] = {"seq": bindparam("seq"), "digest": bindparam("digest")}
_END = Prepared(update(audit_head).values(_ENDED))
_END_KEYED = Prepared(update(audit_head).values({**_ENDED, "key_print": bindparam("key_print")}))
_Row = RowMapping | dict[str, Any]


class AuditRow(msgspec.Struct, frozen=True):
    """Who did what, when, and how it ended; no patient value."""

    at: datetime.datetime
    client: str
    action: str
    outcome: str
    request_id: str
    detail: dict[str, str | int]


class Head(msgspec.Struct, frozen=True):
    """The end of a chain: how many rows it has, and the digest of the last."""

    seq: int
    digest: str


class Verified(msgspec.Struct, frozen=True):
    """What a look at the whole chain gave."""

    head: Head
    broken: int | None = None
    """The place of the first row that does not hold; None where all do."""
    why: str = ""
    keyless: int = 0
    """How many rows were written before there was a key; the first with one stands for them too."""


class Chain:
    """The chain within one transaction: its end is read once and written once, whatever is added between."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._keys: ChainKeys | None = connection.get_execution_options().get(OPTION)
        self._seq: int | None = None
        self._digest = BEGINNING
        self._rows: list[dict[str, Any]] = []

    def add(self, row: AuditRow) -> None:
        """Add a row at the end; raises AdapterError where the chain has a key that is not at hand."""
        if self._seq is None:
            # FOR UPDATE: on PostgreSQL another replica waits here, so that the chain has one order.
            head = _LOCKED.run(self._connection, {}).one()
            _check_key(head.key_print, self._keys)
            self._seq, self._digest = head.seq, head.digest
        self._seq += 1
        values = {
            "seq": self._seq,
            "at": stored(row.at),
            "client": row.client,
            "action": row.action,
            "outcome": row.outcome,
            "request_id": row.request_id,
            "detail": _encode(row.detail).decode(),
            "previous": self._digest,
        }
        self._digest = values["digest"] = _digest(values, self._keys.first if self._keys else None)
        self._rows.append(values)

    def mark(self) -> tuple[int | None, str, int]:
        """Give the place to come back to if what follows fails."""
        return self._seq, self._digest, len(self._rows)

    def back_to(self, place: tuple[int | None, str, int]) -> None:
        """Forget what was added since ``place``."""
        self._seq, self._digest, count = place
        del self._rows[count:]

    def write(self) -> None:
        """Write what was added."""
        if self._rows:
            _ADD.run_each(self._connection, self._rows)
            ended = {"seq": self._seq, "digest": self._digest}
            if self._keys is None:
                _END.run(self._connection, ended)
            else:
                _END_KEYED.run(self._connection, {**ended, "key_print": self._keys.prints[0]})


def head_of(engine: Engine) -> Head:
    """Give the end of the chain, to be kept where whoever writes the database cannot."""
    with _reading(engine) as connection:
        return _head(connection)[0]


def is_keyed(engine: Engine) -> bool:
    """Whether rows are written with a key; raises AdapterError where it is not the one at hand."""
    with _reading(engine) as connection:
        print_ = _head(connection)[1]
        _check_key(print_, connection.get_execution_options().get(OPTION))
    return print_ is not None


def verified(engine: Engine, kept: Head | None = None) -> Verified:
    """Look at every row; ``kept`` is an earlier end that must still be in the chain."""
    with _reading(engine) as connection:
        return _verified(connection, kept)


def first_broken(connection: Connection) -> int | None:
    """Give the place of the first row that was changed, added or taken away; None where the chain holds."""
    return _verified(connection, None).broken


def recorded(engine: Engine, after: int = 0) -> Iterator[tuple[int, AuditRow]]:
    """Give the rows after a place, in order, few at a time."""
    with _reading(engine) as connection, _streamed(connection, after) as rows:
        for row in rows:
            told = (row["client"], row["action"], row["outcome"], row["request_id"])
            yield row["seq"], AuditRow(moment(row["at"]), *told, _detail(row["detail"]))


def _verified(connection: Connection, kept: Head | None) -> Verified:
    head, print_ = _head(connection)
    keys: ChainKeys | None = connection.get_execution_options().get(OPTION)
    _check_key(print_, keys)
    keyless: int | None = None
    count, previous = 0, BEGINNING
    with _streamed(connection, 0) as rows:
        for row in rows:
            count += 1
            if row["seq"] != count:
                return Verified(head, count, "a row is missing here" if row["seq"] > count else "a row is added here")
            if row["previous"] != previous:
                return Verified(head, count, "it does not follow on the row before")
            if keys is not None and keys.signs(row["digest"], functools.partial(_digest, row)):
                keyless = count - 1 if keyless is None else keyless
            elif keyless is not None or row["digest"] != _digest(row, None):
                return Verified(head, count, "it was changed")
            if kept is not None and kept.seq == count and kept.digest != row["digest"]:
                return Verified(head, count, "it is not the row that was kept elsewhere")
            previous = row["digest"]
    if head != Head(count, previous):
        place = count if head.seq < 0 else min(count, head.seq)
        return Verified(head, place + 1, "the chain does not end where it says")
    if kept is not None and kept.seq > count:
        return Verified(head, count + 1, "the chain is shorter than the end that was kept elsewhere")
    if keys is not None and keyless is None and count:
        return Verified(head, 1, "no row has the key")
    return Verified(head, keyless=count if keyless is None else keyless)


@contextmanager
def _streamed(connection: Connection, after: int) -> Iterator[MappingResult]:
    """Give rows in order, few at a time; whoever stops early leaves no cursor open."""
    asked = select(audit).where(audit.c.seq > after).order_by(audit.c.seq) if after else _EVERY
    found = connection.execute(asked.execution_options(yield_per=_READ_AT_ONCE)).mappings()
    try:
        yield found
    finally:
        found.close()


_EVERY = select(audit).order_by(audit.c.seq)
"""Also those before the first, which there cannot be."""


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    """Read one state of the database, however long it takes."""
    options: dict[str, Any] = {"reads": True}
    if engine.dialect.name == "postgresql":
        options["isolation_level"] = "REPEATABLE READ"
    try:
        with engine.connect().execution_options(**options) as connection:
            yield connection
    except SQLAlchemyError as error:
        said = f"the database does not answer ({type(error).__name__})"
        raise AdapterError.of(Category.UNAVAILABLE, "store-unavailable", said) from None


def _head(connection: Connection) -> tuple[Head, str | None]:
    found = connection.execute(select(audit_head.c.seq, audit_head.c.digest, audit_head.c.key_print)).one_or_none()
    return (Head(-1, ""), None) if found is None else (Head(found.seq, found.digest), found.key_print)


def _check_key(print_: str | None, keys: ChainKeys | None) -> None:
    if print_ is not None and (keys is None or print_ not in keys.prints):
        said = "the audit chain is written with a key; name its file by the setting audit_key_file"
        raise AdapterError.of(Category.FORBIDDEN, "audit-key", said)


def _digest(row: _Row, key: bytes | None) -> str:
    told = [row[each] for each in ("seq", "at", "client", "action", "outcome", "request_id", "previous")]
    data = _encode([*told, str(row["detail"])])
    return hashlib.sha256(data).hexdigest() if key is None else hmac.new(key, data, hashlib.sha256).hexdigest()
