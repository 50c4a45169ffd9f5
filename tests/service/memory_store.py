"""A Store that keeps everything in memory: what the service promises is tested apart from how it is kept."""

import datetime
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Engine, StaticPool, create_engine, insert

from adapter.errors import AdapterError, Category
from adapter.store.ledger import AuditRow, Beside, Delivery, KeyReused, Receipt, Replayed, Reply, Store
from adapter.store.room import Waiting
from adapter.store.tables import audit_head, metadata
from adapter.store.tally import Tally
from adapter.store.writer import Step


class DirectWriter:
    """Writes at once, in the caller's thread, to a database in memory: for tables that are no receipts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @functools.cached_property
    def engine(self) -> Engine:
        made = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
        metadata.create_all(made)
        with made.begin() as connection:
            connection.execute(insert(audit_head).values(only=1, seq=0, digest="0" * 64))
        return made

    def run(self, work: Callable[[Step], Any]) -> Any:  # noqa: ANN401 (whatever the work gives)
        with self._lock, self.engine.begin() as connection:
            step = Step(connection)
            result = work(step)
            step.write()
        return result


class MemoryStore(Store):
    def __init__(self) -> None:
        self.replies: dict[tuple[str, str], tuple[Receipt, Reply]] = {}
        self.audit: list[AuditRow] = []
        self.deliveries: list[Delivery] = []
        self.claims = 0
        self.fails = False
        self.is_away = False
        self._claimed: dict[tuple[str, str], Receipt] = {}
        self._changed = threading.Condition()
        writer = DirectWriter()
        self.writer = writer  # type: ignore[assignment]  # one thread is enough here
        self.engine = writer.engine
        self.tally = Tally()
        self.now = lambda: datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)

    def waiting(self, deliveries: int, messages: int) -> Waiting:
        return Waiting(min(len(self.deliveries), deliveries + 1), min(0, messages))

    def claim(self, receipt: Receipt, wait_s: float) -> Replayed | KeyReused | None:
        name = (receipt.client, receipt.key)
        with self._changed:
            self._changed.wait_for(lambda: name not in self._claimed, wait_s)
            if name in self.replies:
                kept, reply = self.replies[name]
                return Replayed(reply) if kept.digest == receipt.digest else KeyReused()
            self._claimed[name] = receipt
            self.claims += 1
            return None

    def commit(
        self,
        receipt: Receipt,
        reply: Reply,
        audit: AuditRow,
        deliveries: Sequence[Delivery],
        beside: Beside | None = None,
    ) -> bool:
        if self.fails:
            raise OSError("the disk is full of Ada Lovelace")
        if beside is not None and beside.change is not None and not self.writer.run(beside.change):
            return False
        with self._changed:
            self.replies[receipt.client, receipt.key] = (receipt, reply)
            self.audit.append(audit)
            self.deliveries.extend(deliveries)
        self.release(receipt)
        return True

    def release(self, receipt: Receipt) -> None:
        with self._changed:
            self._claimed.pop((receipt.client, receipt.key), None)
            self._changed.notify_all()

    def record(self, audit: AuditRow) -> None:
        if self.is_away:
            raise AdapterError.of(Category.UNAVAILABLE, "store-unavailable", "the database cannot be written")
        self.audit.append(audit)

    def healthy(self) -> bool:
        return not self.fails

    def close(self) -> None:
        pass
