"""How the store stands, for a page that people look at: counts and moments, of all processes that share it."""

import datetime
import re

import msgspec
from sqlalchemy import Connection, Engine, func, select

from adapter.store.tables import later, moment, outbox, quarantine, receipt, stored

_OPEN = ("pending", "sending")
_CODE = re.compile(r"[A-Za-z0-9 :,._\[\]-]{1,300}")
_HOUR = datetime.timedelta(hours=1)
_DAY = datetime.timedelta(days=1)


class Group(msgspec.Struct, frozen=True):
    """Rows of one code: how many, the oldest of them, and one to look at."""

    code: str
    count: int
    oldest: datetime.datetime
    first: int


class StoreFigures(msgspec.Struct, frozen=True):
    """What is in the store."""

    dialect: str
    messages_hour: int
    messages_day: int
    lanes: int
    """How many patients have something waiting."""
    waiting: int
    oldest: datetime.datetime | None
    retried: tuple[Group, ...]
    """Of what waits, why it was put off."""
    dead: tuple[Group, ...]
    later: int
    """Messages that are still to be answered."""
    set_aside: tuple[Group, ...]
    """Messages in quarantine, by status."""
    megabytes: int


def store_figures(engine: Engine, now: datetime.datetime) -> StoreFigures:
    """Read them; only indexes are gone through, never all that was ever received or delivered."""
    with engine.connect().execution_options(reads=True) as connection:
        is_open = outbox.c.state.in_(_OPEN)
        asked = select(func.count(outbox.c.lane.distinct()), func.count(), func.min(outbox.c.created)).where(is_open)
        lanes, waiting, oldest = connection.execute(asked).one()
        aside = select(quarantine.c.status, func.count(), func.min(quarantine.c.received), func.min(quarantine.c.id))
        unanswered = select(func.count()).select_from(later).where(later.c.state.in_(("waiting", "working")))
        return StoreFigures(
            dialect=engine.dialect.name,
            messages_hour=_received(connection, now - _HOUR),
            messages_day=_received(connection, now - _DAY),
            lanes=lanes,
            waiting=waiting,
            oldest=None if oldest is None else moment(oldest),
            retried=_groups(connection, "pending"),
            dead=_groups(connection, "dead"),
            later=connection.execute(unanswered).scalar_one(),
            set_aside=tuple(
                Group(f"http-{status}", count, moment(first), id_)
                for status, count, first, id_ in connection.execute(aside.group_by(quarantine.c.status))
            ),
            megabytes=_size(connection) // (1024 * 1024),
        )


def _received(connection: Connection, since: datetime.datetime) -> int:
    asked = select(func.count()).select_from(receipt).where(receipt.c.received >= stored(since))
    return int(connection.execute(asked).scalar_one())


def _groups(connection: Connection, state: str) -> tuple[Group, ...]:
    """Give the rows of a state by their last error, the most frequent first."""
    asked = (
        select(outbox.c.last_error, func.count(), func.min(outbox.c.created), func.min(outbox.c.id))
        .where(outbox.c.state == state, outbox.c.last_error.is_not(None))
        .group_by(outbox.c.last_error)
    )
    found = [
        Group(code if _CODE.fullmatch(code) else "an unknown cause", count, moment(oldest), first)
        for code, count, oldest, first in connection.execute(asked)
    ]
    return tuple(sorted(found, key=lambda each: (-each.count, each.code)))


def _size(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
