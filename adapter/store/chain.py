"""Was the record of what was done tampered with: each audit row holds the digest of the one before."""

import datetime
import hashlib
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, insert, select, update

from adapter.store.tables import audit, audit_head, stored

BEGINNING = "0" * 64
_encode = msgspec.json.Encoder(order="sorted").encode
_READ_AT_ONCE = 1000


class AuditRow(msgspec.Struct, frozen=True):
    """Who did what, when, and how it ended; no patient value."""

    at: datetime.datetime
    client: str
    action: str
    outcome: str
    request_id: str
    detail: dict[str, str | int]


class Chain:
    """The chain within one transaction: its end is read once and written once, whatever is added between."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._seq: int | None = None
        self._digest = BEGINNING
        self._rows: list[dict[str, Any]] = []

    def add(self, row: AuditRow) -> None:
        """Add a row at the end."""
        if self._seq is None:
            # FOR UPDATE: on PostgreSQL another replica waits here, so that the chain has one order.
            asked = select(audit_head.c.seq, audit_head.c.digest).with_for_update()
            head = self._connection.execute(asked).one()
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
        self._digest = values["digest"] = _digest(values)
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
            self._connection.execute(insert(audit), self._rows)
            self._connection.execute(update(audit_head).values(seq=self._seq, digest=self._digest))


def first_broken(connection: Connection) -> int | None:
    """Give the place of the first row that was changed, added or taken away; None where the chain holds."""
    expected, previous = 1, BEGINNING
    asked = select(audit).order_by(audit.c.seq).execution_options(yield_per=_READ_AT_ONCE)
    for row in connection.execute(asked).mappings():
        if row["seq"] != expected or row["previous"] != previous or row["digest"] != _digest(row):
            return expected
        expected, previous = expected + 1, row["digest"]
    head = connection.execute(select(audit_head.c.seq, audit_head.c.digest)).one_or_none()
    return None if head is not None and tuple(head) == (expected - 1, previous) else expected


def _digest(row: RowMapping | dict[str, Any]) -> str:
    told = [row[each] for each in ("seq", "at", "client", "action", "outcome", "request_id", "previous")]
    return hashlib.sha256(_encode([*told, str(row["detail"])])).hexdigest()
