"""What is not kept for ever: replies, and what became of deliveries; taken away little by little, beside the work."""

import datetime
import threading
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Table, bindparam, delete, select
from sqlalchemy.exc import SQLAlchemyError

from adapter.errors import AdapterError
from adapter.store.database import checkpoint, has_given_back
from adapter.store.ledger import Store
from adapter.store.tables import outbox, receipt, stored
from adapter.store.writer import Step

_AT_ONCE = 200
"""Rows a transaction: messages wait no longer for it than for one another."""
_PAGES = 500
_PAUSE_S = 0.05
_EVERY_S = 300
_ENDED = ("delivered", "dropped")


class Kept(msgspec.Struct, frozen=True):
    """How long what is kept."""

    receipts: datetime.timedelta = datetime.timedelta(days=14)
    """A message that comes again after this is evaluated anew; no engine keeps one in its queue for so long."""
    ended: datetime.timedelta = datetime.timedelta(days=30)
    """What was delivered or dropped; what is dead stays until somebody decides."""


class Sweeper:
    """Takes away what is old enough; several processes may do so at once."""

    def __init__(self, store: Store, kept: Kept | None = None, every_s: float = _EVERY_S) -> None:
        self._store = store
        self._kept = kept or Kept()
        self._every_s = every_s

    def run(self, stop: threading.Event) -> None:
        """Sweep from time to time until told to stop."""
        while not stop.is_set():
            try:
                self.sweep(stop)
            except (AdapterError, SQLAlchemyError):
                self._store.tally.add("sweep-failed")  # The database is away; readiness says so.
            stop.wait(self._every_s)

    def sweep(self, stop: threading.Event | None = None) -> int:
        """Take away all that is old enough now; gives how many rows it was."""
        stop = stop or threading.Event()
        now = self._store.now()
        received, ended = stored(now - self._kept.receipts), stored(now - self._kept.ended)
        # One that was never answered and whose claim ended long ago is of no use to anyone either.
        old = (receipt.c.received < received) & (receipt.c.lease_until < received)
        done = outbox.c.state.in_(_ENDED) & (outbox.c.next_at < ended)
        count = self._all(receipt, old, receipt.c.received, stop) + self._all(outbox, done, outbox.c.next_at, stop)
        self._store.tally.add("swept", count)
        if self._store.engine.dialect.name == "sqlite":
            while not stop.is_set() and has_given_back(self._store.engine, _PAGES):
                stop.wait(_PAUSE_S)
            checkpoint(self._store.engine)
        return count

    def _all(self, table: Table, which: ColumnElement[bool], order: ColumnElement[Any], stop: threading.Event) -> int:
        keys = list(table.primary_key.columns)
        asked = select(*keys).where(which).order_by(order).limit(_AT_ONCE)
        gone = delete(table).where(*[key == bindparam(f"of_{key.name}") for key in keys])

        def work(step: Step) -> int:
            found = [
                {f"of_{key.name}": value for key, value in zip(keys, row, strict=True)}
                for row in step.connection.execute(asked)
            ]
            if found:
                step.connection.execute(gone, found)
            return len(found)

        total = 0
        while not stop.is_set():
            count = self._store.writer.run(work)
            total += count
            if count < _AT_ONCE:
                break
            stop.wait(_PAUSE_S)
        return total
