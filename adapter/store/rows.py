"""What is still to be delivered, in which order, and what came of it: the rows of the outbox."""

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    delete,
    exists,
    func,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from adapter.errors import AdapterError, Category
from adapter.store.bodies import opened
from adapter.store.chain import AuditRow
from adapter.store.ledger import Store
from adapter.store.standing import Known
from adapter.store.tables import moment, outbox, stored, subject
from adapter.store.writer import Step

_LEASE = datetime.timedelta(minutes=10)
"""How long a row stays ours if our process dies unseen; longer than all requests of one delivery together."""
_OPEN: tuple[ColumnElement[str], ...] = (literal_column("'pending'"), literal_column("'sending'"))
"""Written out: a partial index is used only where the question says the same as it."""
_RESOURCES = msgspec.json.Decoder(list[tuple[str, str, msgspec.Raw]])
_NAMES = msgspec.json.Decoder(list[tuple[str, str]])
_other = outbox.alias()
_FIRST_OF_LANE = ~exists().where(
    _other.c.lane == outbox.c.lane,
    _other.c.state.in_(_OPEN),
    _other.c.id != outbox.c.id,
    # One that was dead and is replayed comes before what is being sent of its lane, and must wait for it all the same.
    (_other.c.id < outbox.c.id) | (_other.c.state == _OPEN[1]),
)
_CANDIDATES = 4
"""So many are looked for at once: another worker may have taken the first by the time we want it."""


class Due(msgspec.Struct, frozen=True):
    """A delivery that is ours to send now."""

    id: int
    attempts: int
    as_of: int
    source_time: int | None
    resources: tuple[tuple[str, str, bytes], ...]

    @property
    def order(self) -> tuple[int, int]:
        """When it stands among evaluations of the same subject: when the source spoke, then what it was asked for."""
        return (self.as_of if self.source_time is None else self.source_time, self.as_of)


class Shown(msgspec.Struct, frozen=True):
    """A row without what it says of the patient."""

    id: int
    state: str
    attempts: int
    created: datetime.datetime
    next_at: datetime.datetime
    names: tuple[tuple[str, str], ...]
    last_error: str | None
    note: str | None


class Counted(msgspec.Struct, frozen=True):
    """How many rows are in a state, and since when the oldest waits."""

    state: str
    count: int
    oldest: datetime.datetime


class Outbox:
    """The deliveries of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def take(self) -> Due | None:
        """Give a delivery that is due and make it ours; the first of its lane, and one of a lane at a time.

        Raises AdapterError where the database is away.
        """
        is_due = (outbox.c.state == "pending") & (outbox.c.next_at <= stored(self._store.now()))
        first = select(outbox.c.id).where(is_due, _FIRST_OF_LANE).order_by(outbox.c.next_at, outbox.c.id)
        with self._reading() as connection:
            # Looked for beside the one thread that writes, which has messages to acknowledge.
            candidates = connection.execute(first.limit(_CANDIDATES)).scalars().all()
        for id_ in candidates:
            due = self._store.writer.run(lambda step, id_=id_: self._taken(step, id_))  # type: ignore[misc]  # bound now
            if due is not None:
                return due
        return None

    def release(self, due: Due) -> None:
        """Say that we have done with a delivery; one that could not be put back is found again by ``recover``."""
        self._store.in_hand.discard(due.id)

    def recover(self) -> None:
        """Make due again what nobody sends any more: its process died, its lease ended, or it could not be put back."""
        self._store.writer.run(self._recovered)

    def known(self, names: Sequence[str]) -> dict[str, Known]:
        """Give what we last wrote of subjects; raises AdapterError where the database is away."""
        with self._reading() as connection:
            found = connection.execute(select(subject).where(subject.c.name.in_(names))).mappings().all()
        return {each["name"]: _known(each) for each in found}

    def every_known(self) -> dict[str, Known]:
        """Give what we last wrote of every subject; raises AdapterError."""
        with self._reading() as connection:
            return {each["name"]: _known(each) for each in connection.execute(select(subject)).mappings()}

    def forget(self, name: str) -> None:
        """Know nothing of a subject any more; its next evaluation is the first."""
        self._store.writer.run(lambda step: step.execute(delete(subject).where(subject.c.name == name), {}))

    def remember(self, changes: dict[str, Known]) -> None:
        """Keep what is about to be sent, or what was written."""
        self._store.writer.run(lambda step: _remembered(step, changes))

    def finish(self, id_: int, state: str, note: str, learnt: dict[str, Known], audit: Sequence[AuditRow]) -> None:
        """End a delivery: delivered, dead, or only rehearsed; with what was learnt and what is to be told."""
        ended = stored(self._store.now())
        values: dict[str, Any] = {"state": state, "owner": None, "attempts": outbox.c.attempts + 1, "next_at": ended}
        values |= {"last_error": note} if state == "dead" else {"note": note, "last_error": None}
        if state == "delivered":
            values["resources"] = None

        def work(step: Step) -> None:
            for each in audit:
                step.chain.add(each)
            step.execute(update(outbox).where(outbox.c.id == id_).values(**values), {})
            _remembered(step, learnt)

        self._store.writer.run(work)

    def postpone(self, id_: int, error: str, at: datetime.datetime, learnt: dict[str, Known]) -> None:
        """Put a delivery back, to be tried again at ``at``."""
        values = {"state": "pending", "owner": None, "attempts": outbox.c.attempts + 1, "last_error": error}

        def work(step: Step) -> None:
            # One that was dropped meanwhile, since its patient is to be forgotten, stays so.
            ours = (outbox.c.id == id_) & (outbox.c.state == "sending")
            step.execute(update(outbox).where(ours).values(**values, next_at=stored(at)), {})
            _remembered(step, learnt)

        self._store.writer.run(work)

    def hasten(self, errors: Sequence[str]) -> int:
        """Make due at once what waits because there was no answer, now that there is one; gives how many."""
        now = stored(self._store.now())
        waits = (outbox.c.state == "pending") & (outbox.c.next_at > now) & outbox.c.last_error.in_(errors)
        return self._store.writer.run(lambda step: step.execute(update(outbox).where(waits).values(next_at=now), {}))

    def perform(self) -> int:
        """Make due what was only rehearsed, now that it is meant; gives how many."""
        values = {"state": "pending", "note": None, "attempts": 0, "next_at": stored(self._store.now())}
        asked = update(outbox).where(outbox.c.state == "rehearsed").values(**values)
        return self._store.writer.run(lambda step: step.execute(asked, {}))

    def counts(self) -> list[Counted]:
        """Give how many rows are in each state."""
        asked = select(outbox.c.state, func.count(), func.min(outbox.c.created)).group_by(outbox.c.state)
        with self._reading() as connection:
            return [Counted(state, count, moment(oldest)) for state, count, oldest in connection.execute(asked)]

    def listed(self, state: str, most: int) -> list[Shown]:
        """Give the oldest rows of a state."""
        asked = select(outbox).where(outbox.c.state == state).order_by(outbox.c.id).limit(most)
        with self._reading() as connection:
            return [_shown(each) for each in connection.execute(asked).mappings()]

    def show(self, id_: int) -> Shown | None:
        """Give one row."""
        with self._reading() as connection:
            found = connection.execute(select(outbox).where(outbox.c.id == id_)).mappings().one_or_none()
        return None if found is None else _shown(found)

    def replay(self, id_: int | None, audit: AuditRow) -> int:
        """Make a dead row, or all where ``id_`` is None, due again; gives how many."""
        values = {"state": "pending", "attempts": 0, "next_at": stored(self._store.now())}
        return self._change(id_, ("dead",), values, audit)

    def drop(self, id_: int, audit: AuditRow) -> int:
        """Give up a dead, waiting or rehearsed row, and forget what it holds of the patient; gives how many."""
        values = {"state": "dropped", "resources": None, "next_at": stored(self._store.now())}
        return self._change(id_, ("dead", "pending", "rehearsed"), values, audit)

    def _change(self, id_: int | None, states: Sequence[str], values: dict[str, Any], audit: AuditRow) -> int:
        asked = update(outbox).where(outbox.c.state.in_(states)).values(**values)
        if id_ is not None:
            asked = asked.where(outbox.c.id == id_)

        def work(step: Step) -> int:
            count = step.execute(asked, {})
            if count:
                step.chain.add(msgspec.structs.replace(audit, detail={**audit.detail, "rows": count}))
            return count

        return self._store.writer.run(work)

    def _taken(self, step: Step, id_: int) -> Due | None:
        now = self._store.now()
        is_due = (outbox.c.id == id_) & (outbox.c.state == "pending") & (outbox.c.next_at <= stored(now))
        ours = {"state": "sending", "owner": self._store.owner, "next_at": stored(now + _LEASE)}
        if step.execute(update(outbox).where(is_due, _FIRST_OF_LANE).values(**ours), {}) == 0:
            return None
        found = step.connection.execute(select(outbox).where(outbox.c.id == id_)).mappings().one()
        # In this thread, where ``recover`` runs too: one that is just taken is never held for one that was left.
        self._store.in_hand.add(id_)
        kept = opened(self._store.sealer, f"outbox|{found['lane']}", bytes(found["resources"]))
        bodies = _RESOURCES.decode(kept)
        resources = tuple((type_, each, bytes(body)) for type_, each, body in bodies)
        return Due(id_, found["attempts"], found["as_of"], found["source_time"], resources)

    def _recovered(self, step: Step) -> None:
        now = stored(self._store.now())
        asked = select(outbox.c.owner).where(outbox.c.state == "sending").distinct()
        dead = [each for (each,) in step.connection.execute(asked) if each is not None and self._store.is_dead(each)]
        left = (outbox.c.owner == self._store.owner) & outbox.c.id.not_in(self._store.in_hand.copy())
        lost = (outbox.c.state == "sending") & (outbox.c.owner.in_(dead) | (outbox.c.next_at <= now) | left)
        step.execute(update(outbox).where(lost).values(state="pending", owner=None, next_at=now), {})

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._store.engine.connect().execution_options(reads=True) as connection:
                yield connection
        except SQLAlchemyError as error:
            said = f"the database does not answer ({type(error).__name__})"
            raise AdapterError.of(Category.UNAVAILABLE, "store-unavailable", said) from None


def _remembered(step: Step, changes: dict[str, Known]) -> None:
    for name, known in changes.items():
        values = msgspec.structs.asdict(known)
        if step.execute(update(subject).where(subject.c.name == name).values(**values), {}) == 0:
            step.execute(insert(subject).values(name=name, **values), {})


def _known(row: RowMapping) -> Known:
    return Known(**{each: row[each] for each in Known.__struct_fields__})


def _shown(row: RowMapping) -> Shown:
    return Shown(
        id=row["id"],
        state=row["state"],
        attempts=row["attempts"],
        created=moment(row["created"]),
        next_at=moment(row["next_at"]),
        names=tuple(_NAMES.decode(row["names"])),
        last_error=row["last_error"],
        note=row["note"],
    )
