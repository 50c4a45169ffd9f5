"""Was a token that holds for one call used before: remembered for all replicas, until it would have expired."""

import datetime
import hashlib
import threading
from typing import Protocol

from sqlalchemy import delete, text

from adapter.store.ledger import Store
from adapter.store.tables import seen_token, stored
from adapter.store.writer import Step

_NEW = text("INSERT INTO seen_token (name, until) VALUES (:name, :until) ON CONFLICT DO NOTHING")
_SWEPT_EVERY = 500


class Seen(Protocol):
    """Where used tokens are remembered."""

    def is_new(self, issuer: str, token_id: str, until: datetime.datetime) -> bool:
        """Whether it comes for the first time; from now on it does not."""


class SeenTokens:
    """Used tokens in the store; their ids as digests, which bound their length."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._count = 0

    def is_new(self, issuer: str, token_id: str, until: datetime.datetime) -> bool:
        """Whether it comes for the first time; raises AdapterError where that cannot be written down."""
        with self._lock:
            self._count += 1
            sweeps = self._count % _SWEPT_EVERY == 1
        name = hashlib.sha256(f"{len(issuer)}|{issuer}|{token_id}".encode()).hexdigest()
        values = {"name": name, "until": stored(until)}

        def work(step: Step) -> bool:
            if sweeps:
                step.execute(delete(seen_token).where(seen_token.c.until < stored(self._store.now())), {})
            return step.execute(_NEW, values) == 1

        return self._store.writer.run(work)
