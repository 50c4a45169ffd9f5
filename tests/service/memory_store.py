"""A Store that keeps everything in memory: what the service promises is tested apart from how it is kept."""

import threading
from collections.abc import Sequence

from adapter.errors import AdapterError, Category
from adapter.store.ledger import AuditRow, Delivery, KeyReused, Receipt, Replayed, Reply, Store


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

    def commit(self, receipt: Receipt, reply: Reply, audit: AuditRow, deliveries: Sequence[Delivery]) -> None:
        if self.fails:
            raise OSError("the disk is full of Ada Lovelace")
        with self._changed:
            self.replies[receipt.client, receipt.key] = (receipt, reply)
            self.audit.append(audit)
            self.deliveries.extend(deliveries)
        self.release(receipt)

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
