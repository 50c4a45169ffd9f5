"""What is kept of patients across messages, in the database: one row a patient, and the names that lead to it.

Names are digests with a key of their own, so that neither an identifier nor a reference stands in the database.  A row
is changed only if it is as it was read: whoever comes second is told so, and evaluates again.
"""

import datetime
import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Sequence

import msgspec
from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from adapter.store.known_held import Held
from adapter.store.known_patient import Kept, decoded, encoded
from adapter.store.ledger import Store
from adapter.store.prepared import Listed, Prepared
from adapter.store.reading import reading
from adapter.store.sealing import Sealer
from adapter.store.tables import audit_head, known, known_key, known_name, stored
from adapter.store.writer import Step

_NAME_BYTES = 16
_AT_ONCE = 500
"""So many names are looked up with one question."""
_SWEPT = 100
_ROWS = Listed(
    "SELECT id, version, body FROM known WHERE id IN (SELECT patient FROM known_name WHERE name IN (:asked))"
)
_VERSIONS = Listed(
    "SELECT DISTINCT known.id, known.version FROM known JOIN known_name ON known_name.patient = known.id"
    " WHERE known_name.name IN (:asked)"
)
_LOCK = Prepared(select(audit_head.c.seq).with_for_update())
_ADD = Prepared(insert(known))
_CHANGE = Prepared(
    update(known)
    .where(known.c.id == bindparam("at"))
    .values(version=bindparam("version"), touched=bindparam("touched"), body=bindparam("body"))
)
_REMOVE = delete(known).where(known.c.id == bindparam("at"))
_KEY = text('INSERT INTO known_key ("only", sealed) VALUES (:only, :sealed) ON CONFLICT DO NOTHING')
_NAME = Prepared(text("INSERT INTO known_name (name, patient) VALUES (:name, :patient) ON CONFLICT DO NOTHING"))
_UNNAME = Prepared(
    delete(known_name).where(known_name.c.name == bindparam("at_name"), known_name.c.patient == bindparam("at_patient"))
)
_OLD = select(known.c.id).where(known.c.touched < bindparam("before")).limit(_SWEPT)


class Found(msgspec.Struct, frozen=True):
    """What was known when a message came."""

    held: tuple[Held, ...]
    named: dict[str, list[bytes]]
    """By name, the rows that it leads to."""
    digests: tuple[bytes, ...]
    """Everything that was looked up."""


class Patients:
    """What is kept of the patients of one store."""

    def __init__(self, store: Store, sealer: Sealer, retention_days: int) -> None:
        """Raises AdapterError where what is kept was sealed with a key that is not given."""
        self._store = store
        self._sealer = sealer
        self._retention = datetime.timedelta(days=retention_days)
        self._key = store.writer.run(lambda step: self._opened(step.connection))

    def _opened(self, connection: Connection) -> bytes:
        """Give the key of names, made by whoever comes first; it shows whether the keys are the right ones."""
        made = {"only": 1, "sealed": self._sealer.seal("names", os.urandom(32))}
        connection.execute(_KEY, made)  # two replicas may begin at once: the key of the first is the key of both
        kept = connection.execute(select(known_key.c.sealed).with_for_update()).scalar_one()
        key = self._sealer.open("names", bytes(kept))
        oldest = connection.execute(select(known.c.id, known.c.body).order_by(known.c.touched).limit(1)).one_or_none()
        if oldest is not None:
            self._sealer.open(_of(oldest.id), bytes(oldest.body))
        connection.execute(update(known_key).values(sealed=self._sealer.seal("names", key)))
        return key

    def find(self, tenant: str, names: Sequence[str]) -> Found:
        """Give what is kept under any of these names; raises AdapterError."""
        digests = {self._digest(tenant, each): each for each in names}
        with reading(self._store.engine) as connection:
            return self._found(connection, digests)

    def _found(self, connection: Connection, digests: dict[bytes, str]) -> Found:
        asked = frozenset(digests.values())
        held: dict[bytes, Held] = {}
        named: dict[str, list[bytes]] = {}
        for some in _parts(list(digests)):
            for row in _ROWS.run(connection, some):
                id_ = bytes(row.id)
                if id_ not in held:
                    kept = decoded(self._sealer.open(_of(id_), bytes(row.body)))
                    one = held[id_] = Held(id_, row.version, kept, frozenset())
                    one.names_before = frozenset(one.names())
        for id_, one in held.items():
            for name in one.names_before & asked:
                named.setdefault(name, []).append(id_)
        return Found(tuple(held.values()), named, tuple(digests))

    def change(self, tenant: str, found: Found, held: Iterable[Held]) -> Callable[[Step], bool]:
        """Give what writes the rows within a commit; it gives False where they are not as they were read."""
        changed = [self._prepared(tenant, each) for each in held]
        seen = {each.id: each.version for each in found.held}
        touched = stored(self._store.now())

        def write(step: Step) -> bool:
            connection = step.connection
            if connection.dialect.name == "postgresql":
                _LOCK.run(connection, {})  # what another replica commits is seen, or waits
            stands: dict[bytes, int] = {}
            for some in _parts(found.digests):
                stands |= {bytes(row.id): row.version for row in _VERSIONS.run(connection, some)}
            if stands != seen:
                return False
            for each in changed:
                each.write(connection, touched)
            return True

        return write

    def _prepared(self, tenant: str, held: Held) -> "_Change":
        if held.is_folded:
            return _Change(held.id, held.version, None, [], [])
        body = self._sealer.seal(_of(held.id), encoded(held.kept))
        after = frozenset(held.names())
        added = [self._digest(tenant, each) for each in sorted(after - held.names_before)]
        removed = [self._digest(tenant, each) for each in sorted(held.names_before - after)]
        return _Change(held.id, held.version, body, added, removed)

    def sweep(self) -> int:
        """Forget the patients of whom nothing has come for too long; gives how many.  Raises AdapterError."""
        before = stored(self._store.now() - self._retention)

        def work(step: Step) -> int:
            ids = [bytes(each) for each in step.connection.execute(_OLD, {"before": before}).scalars()]
            if ids:
                step.connection.execute(_REMOVE, [{"at": each} for each in ids])
            return len(ids)

        total = count = self._store.writer.run(work)
        while count == _SWEPT:  # little by little: messages wait no longer for it than for one another
            count = self._store.writer.run(work)
            total += count
        return total

    def forget(self, connection: Connection, tenant: str, names: Sequence[str]) -> list[Kept]:
        """Remove the patients that a name means; gives what was kept of them."""
        found = self._found(connection, {self._digest(tenant, each): each for each in names})
        meant = [each for each in found.held if not each.names_before.isdisjoint(names)]
        for each in meant:
            connection.execute(_REMOVE, {"at": each.id})
        return [each.kept for each in meant]

    def _digest(self, tenant: str, name: str) -> bytes:
        said = f"{len(tenant)}|{tenant}|{name}".encode()
        return hmac.digest(self._key, said, hashlib.sha256)[:_NAME_BYTES]


class _Change(msgspec.Struct, frozen=True):
    id: bytes
    version: int
    body: bytes | None
    added: list[bytes]
    removed: list[bytes]

    def write(self, connection: Connection, touched: int) -> None:
        if self.body is None:
            if self.version:
                connection.execute(_REMOVE, {"at": self.id})
            return
        values = {"version": self.version + 1, "touched": touched, "body": self.body}
        if self.version:
            _CHANGE.run(connection, {"at": self.id, **values})
        else:
            _ADD.run(connection, {"id": self.id, **values})
        if self.added:
            _NAME.run_each(connection, [{"name": each, "patient": self.id} for each in self.added])
        if self.removed:
            _UNNAME.run_each(connection, [{"at_name": each, "at_patient": self.id} for each in self.removed])


def new_id() -> bytes:
    """Give the id of a row to be made."""
    return os.urandom(_NAME_BYTES)


def _of(id_: bytes) -> str:
    return f"known|{bytes(id_).hex()}"


def _parts(listed: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (listed[start : start + _AT_ONCE] for start in range(0, len(listed), _AT_ONCE))
