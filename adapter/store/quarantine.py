"""What was set aside instead of refused, for an engine that queues refusals for ever: kept sealed, and not long."""

import datetime
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, RowMapping, delete, func, select, text

from adapter.store.chain import AuditRow
from adapter.store.ledger import Store
from adapter.store.reading import reading
from adapter.store.sealing import Sealer
from adapter.store.tables import moment, quarantine, stored
from adapter.store.writer import Step

Place = tuple[str, str, int | None]
"""An issue without its words: code, FHIRPath, line."""
_PLACES = msgspec.json.Decoder(tuple[Place, ...])
_NEW = text(
    "INSERT INTO quarantine (client, digest, action, request_id, received, status, issues, size, body)"
    " VALUES (:client, :digest, :action, :request_id, :received, :status, :issues, :size, :body)"
    " ON CONFLICT DO NOTHING"
)


class Refused(msgspec.Struct, frozen=True):
    """A message that cannot be done, as it came."""

    client: str
    digest: str
    action: str
    request_id: str
    status: int
    issues: tuple[Place, ...]
    body: bytes


class Held(msgspec.Struct, frozen=True):
    """What was set aside, without its content."""

    id: int
    client: str
    action: str
    request_id: str
    received: datetime.datetime
    status: int
    issues: tuple[Place, ...]
    size: int


class Bounds(msgspec.Struct, frozen=True):
    """How much is kept, and how long."""

    days: int = 7
    count: int = 1000
    size: int = 256 * 1024 * 1024
    """Of all bodies together, as they are kept."""


class Quarantine:
    """What is set aside in one store."""

    def __init__(self, store: Store, sealer: Sealer, bounds: Bounds) -> None:
        self._store = store
        self._sealer = sealer
        self._bounds = bounds

    def add(self, refused: Refused, audit: AuditRow) -> int | None:
        """Keep a message and give its number, the same for the same message; None where there is no room left."""
        body = self._sealer.seal(_name(refused.client, refused.digest), zlib.compress(refused.body, 1))
        return self._store.writer.run(lambda step: self._added(step, refused, body, audit))

    def listed(self, most: int) -> list[Held]:
        """Give the oldest."""
        asked = select(*_SHOWN).order_by(quarantine.c.id).limit(most)
        with reading(self._store.engine) as connection:
            return [_held(each) for each in connection.execute(asked).mappings()]

    def count(self) -> int:
        """Give how many there are."""
        with reading(self._store.engine) as connection:
            return int(connection.execute(select(func.count()).select_from(quarantine)).scalar_one())

    def find(self, id_: int) -> Held | None:
        """Give one."""
        with reading(self._store.engine) as connection:
            found = connection.execute(select(*_SHOWN).where(quarantine.c.id == id_)).mappings().one_or_none()
        return None if found is None else _held(found)

    def content(self, id_: int) -> bytes | None:
        """Give the body of one as it came; raises AdapterError where the key is not there to open it."""
        asked = select(quarantine.c.client, quarantine.c.digest, quarantine.c.body).where(quarantine.c.id == id_)
        with reading(self._store.engine) as connection:
            found = connection.execute(asked).one_or_none()
        if found is None:
            return None
        return zlib.decompress(self._sealer.open(_name(found.client, found.digest), bytes(found.body)))

    def remove(self, id_: int, audit: AuditRow) -> bool:
        """Forget one; whether it was there."""

        def work(step: Step) -> bool:
            is_there = step.execute(delete(quarantine).where(quarantine.c.id == id_), {}) == 1
            if is_there:
                step.chain.add(audit)
            return is_there

        return self._store.writer.run(work)

    def sweep(self) -> int:
        """Forget what has been kept long enough; gives how many."""
        return self._store.writer.run(self._swept)

    def _added(self, step: Step, refused: Refused, body: bytes, audit: AuditRow) -> int | None:
        is_it = (quarantine.c.client == refused.client) & (quarantine.c.digest == refused.digest)
        known = select(quarantine.c.id).where(is_it)
        found = step.connection.execute(known).scalar_one_or_none()
        if found is not None:
            return int(found)  # the engine sends it again and again: nothing new is to be told
        self._swept(step)
        asked = select(func.count(), func.coalesce(func.sum(func.length(quarantine.c.body)), 0))
        count, size = step.connection.execute(asked.select_from(quarantine)).one()
        if count >= self._bounds.count or size + len(body) > self._bounds.size:
            return None
        values = {
            "client": refused.client,
            "digest": refused.digest,
            "action": refused.action,
            "request_id": refused.request_id,
            "received": stored(self._store.now()),
            "status": refused.status,
            "issues": msgspec.json.encode(refused.issues),
            "size": len(refused.body),
            "body": body,
        }
        step.execute(_NEW, values)
        id_ = int(step.connection.execute(known).scalar_one())
        step.chain.add(msgspec.structs.replace(audit, detail={**audit.detail, "quarantine": id_}))
        return id_

    def _swept(self, step: Step) -> int:
        before = stored(self._store.now() - datetime.timedelta(days=self._bounds.days))
        return step.execute(delete(quarantine).where(quarantine.c.received < before), {})


_SHOWN: Sequence[Column[Any]] = tuple(quarantine.c[name] for name in Held.__struct_fields__)


def _held(row: RowMapping) -> Held:
    return Held(
        id=row["id"],
        client=row["client"],
        action=row["action"],
        request_id=row["request_id"],
        received=moment(row["received"]),
        status=row["status"],
        issues=_PLACES.decode(row["issues"]),
        size=row["size"],
    )


def _name(client: str, digest: str) -> str:
    return f"quarantine|{client}|{digest}"
