"""Messages that are answered later: on disk before they are accepted, done once, taken up again when a process dies."""

import datetime
import secrets
import zlib
from typing import Any

import msgspec
from sqlalchemy import Row, Update, bindparam, delete, literal_column, select, text, update

from adapter.errors import AdapterError
from adapter.store.chain import AuditRow
from adapter.store.ledger import KeyReused, Store, held_for
from adapter.store.reading import reading
from adapter.store.sealing import Sealer
from adapter.store.tables import later, receipt, stored, subscription
from adapter.store.writer import Step

_LEASE = datetime.timedelta(seconds=90)
"""How long a job stays ours if our process dies unseen; longer than reading what it needs and evaluating it."""
_HELD = datetime.timedelta(days=36500)
"""A key is held for its job however long that waits."""
_NEW = text(
    "INSERT INTO later (id, client, key, digest, asked, body, state, attempts, next_at, received)"
    " VALUES (:id, :client, :key, :digest, :asked, :body, 'waiting', 0, :now, :now) ON CONFLICT DO NOTHING"
)
_HOLD = text(
    "INSERT INTO receipt (client, key, digest, received, owner, lease_until)"
    " VALUES (:client, :key, :digest, :now, :owner, :until) ON CONFLICT DO NOTHING"
)
_LET_GO = delete(receipt).where(receipt.c.owner == bindparam("held"), receipt.c.status.is_(None))
_AT = later.c.id == bindparam("at")


class Job(msgspec.Struct, frozen=True):
    """One message that is to be answered later."""

    client: str
    key: str
    digest: str
    asked: bytes
    """How it was asked, as who queued it will read it again; nothing of a patient."""
    body: bytes
    id: str = ""
    attempts: int = 0
    received: int = 0


class Standing(msgspec.Struct, frozen=True):
    """How far a job is; its status and reply where it was refused."""

    state: str
    client: str
    key: str
    asked: bytes
    status: int | None
    reply: bytes | None


class Jobs:
    """The jobs of one store."""

    def __init__(self, store: Store, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    def add(self, job: Job, audit: AuditRow) -> str | KeyReused:
        """Queue a message, and give its job's id: a new one, or that which it was queued under before."""
        id_ = secrets.token_hex(16)
        body = self._sealer.seal(_name(id_), zlib.compress(job.body, 1))
        return self._store.writer.run(lambda step: self._added(step, job, id_, body, audit))

    def take(self) -> Job | None:
        """Give the job that is due first, and make it ours."""
        found = self._store.writer.run(self._taken) if self._is_any_due() else None
        if found is None:
            return None
        try:
            body = zlib.decompress(self._sealer.open(_name(found.id), bytes(found.body)))
        except (AdapterError, zlib.error):
            back = self._ours().values(state="waiting", owner=None, next_at=stored(self._store.now() + _LEASE))
            self._store.writer.run(lambda step: step.execute(back, {"at": found.id}))
            raise
        return Job(
            found.client, found.key, found.digest, bytes(found.asked), body, found.id, found.attempts, found.received
        )

    def finish(self, id_: str, status: int, reply: bytes | None, audit: AuditRow | None = None) -> None:
        """End a job; ``reply`` is a refusal's, and None where the answer stands with the receipt."""
        values = {"state": "done", "owner": None, "body": None, "status": status, "reply": reply}
        values["ended"] = stored(self._store.now())

        def work(step: Step) -> None:
            if step.execute(self._ours().values(**values), {"at": id_}) and audit is not None:
                step.chain.add(audit)
            step.execute(_LET_GO, {"held": held_for(id_)})

        self._store.writer.run(work)

    def postpone(self, job: Job, at: datetime.datetime) -> None:
        """Put a job back, to be tried again at ``at``; its key stays held."""

        def work(step: Step) -> None:
            if step.execute(self._ours().values(state="waiting", owner=None, next_at=stored(at)), {"at": job.id}):
                self._hold(step, job, job.id)

        self._store.writer.run(work)

    def find(self, id_: str) -> Standing | None:
        """Give how far a job is."""
        with reading(self._store.engine) as connection:
            found = connection.execute(select(later).where(_AT), {"at": id_}).one_or_none()
        if found is None:
            return None
        reply = None if found.reply is None else bytes(found.reply)
        return Standing(found.state, found.client, found.key, bytes(found.asked), found.status, reply)

    def cancel(self, id_: str, audit: AuditRow) -> None:
        """Forget a job; one that is being worked on is not stopped, but nobody is told its answer."""

        def work(step: Step) -> None:
            if step.execute(delete(later).where(_AT), {"at": id_}):
                step.chain.add(audit)
            step.execute(_LET_GO, {"held": held_for(id_)})

        self._store.writer.run(work)

    def recover(self) -> None:
        """Make due again what was worked on by a process that died: one of this machine, or one whose lease ended."""
        self._store.writer.run(self._recovered)

    def sweep(self, before: datetime.datetime, most: int = 500) -> int:
        """Forget jobs that were done before a moment, a few at a time; gives how many."""
        old = select(later.c.id).where(later.c.state == "done", later.c.ended < stored(before)).limit(most)
        return self._store.writer.run(lambda step: step.execute(delete(later).where(later.c.id.in_(old)), {}))

    def _ours(self) -> Update:
        return update(later).where(_AT, later.c.owner == self._store.owner, later.c.state == "working")

    def _is_any_due(self) -> bool:
        # A reader takes no lock: to look must not stand in the way of those who write.
        now = stored(self._store.now())
        asked = select(later.c.id).where(later.c.state == literal_column("'waiting'"), later.c.next_at <= now).limit(1)
        with reading(self._store.engine) as connection:
            return connection.execute(asked).one_or_none() is not None

    def _added(self, step: Step, job: Job, id_: str, body: bytes, audit: AuditRow) -> str | KeyReused:
        values = {"client": job.client, "key": job.key, "digest": job.digest, "now": stored(self._store.now())}
        is_there = (receipt.c.client == job.client) & (receipt.c.key == job.key)
        answered = step.connection.execute(select(receipt.c.digest).where(is_there)).scalar_one_or_none()
        if answered is not None and answered != job.digest:
            return KeyReused()
        if step.execute(_NEW, {**values, "id": id_, "asked": job.asked, "body": body}) == 0:
            is_same = (later.c.client == job.client) & (later.c.key == job.key)
            found = step.connection.execute(select(later.c.id, later.c.digest).where(is_same)).one()
            return str(found.id) if found.digest == job.digest else KeyReused()
        if answered is None:
            self._hold(step, job, id_)
        step.chain.add(audit)
        return id_

    def _hold(self, step: Step, job: Job, id_: str) -> None:
        """Keep the key for the job, so that a twin waits for it and another message is refused."""
        now = self._store.now()
        values = {"client": job.client, "key": job.key, "digest": job.digest, "now": stored(now)}
        step.execute(_HOLD, {**values, "owner": held_for(id_), "until": stored(now + _HELD)})

    def _taken(self, step: Step) -> Row[Any] | None:
        now = self._store.now()
        is_due = (later.c.state == literal_column("'waiting'")) & (later.c.next_at <= stored(now))
        asked = select(later).where(is_due).order_by(later.c.next_at, later.c.received).limit(1)
        found = step.connection.execute(asked.with_for_update(skip_locked=True)).one_or_none()
        if found is not None:
            ours = {"state": "working", "owner": self._store.owner, "next_at": stored(now + _LEASE)}
            changed = update(later).where(_AT).values(**ours, attempts=found.attempts + 1)
            step.execute(changed, {"at": found.id})
        return found

    def _recovered(self, step: Step) -> None:
        now = stored(self._store.now())
        asked = select(later.c.owner).where(later.c.state == literal_column("'working'")).distinct()
        dead = [each for (each,) in step.connection.execute(asked) if each is not None and self._store.is_dead(each)]
        lost = (later.c.state == literal_column("'working'")) & (later.c.owner.in_(dead) | (later.c.next_at <= now))
        step.execute(update(later).where(lost).values(state="waiting", owner=None, next_at=now), {})


class Subscriptions:
    """How far each subscription's events have come."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def told(self, client: str, name: str, first: int, last: int, audit: AuditRow) -> int:
        """Take note that the events from ``first`` to ``last`` came; gives how many before them never did."""

        def work(step: Step) -> int:
            known = _number(step, client, name)
            missing = 0 if known is None else max(0, first - known - 1)
            if known is None or last > known:
                self._put(step, client, name, last)
            if missing:
                step.chain.add(msgspec.structs.replace(audit, detail={**audit.detail, "missing": missing}))
            return missing

        return self._store.writer.run(work)

    def begun(self, client: str, name: str, number: int) -> None:
        """Take note that a subscription begins (again) at a number."""
        self._store.writer.run(lambda step: self._put(step, client, name, number))

    def _put(self, step: Step, client: str, name: str, number: int) -> None:
        values = {"number": number, "seen": stored(self._store.now())}
        is_it = (subscription.c.client == client) & (subscription.c.name == name)
        if step.execute(update(subscription).where(is_it).values(**values), {}) == 0:
            step.execute(subscription.insert().values(client=client, name=name, **values), {})


def _number(step: Step, client: str, name: str) -> int | None:
    is_it = (subscription.c.client == client) & (subscription.c.name == name)
    asked = select(subscription.c.number).where(is_it).with_for_update()
    found: int | None = step.connection.execute(asked).scalar_one_or_none()
    return found


def _name(id_: str) -> str:
    return f"later|{id_}"
