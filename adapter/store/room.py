"""How much waits: counted no further than it matters, so that a full store costs no more to ask than an empty one."""

import msgspec
from sqlalchemy import Engine, func, literal_column, select

from adapter.store.reading import reading
from adapter.store.tables import later, outbox

_TO_DELIVER = outbox.c.state.in_((literal_column("'pending'"), literal_column("'sending'")))
_TO_ANSWER = later.c.state.in_((literal_column("'waiting'"), literal_column("'working'")))
"""Written out: a partial index is used only where the question says the same as it."""


class Waiting(msgspec.Struct, frozen=True):
    """How many deliveries and how many messages wait; both at most one more than was asked for."""

    deliveries: int
    messages: int


def counted(engine: Engine, deliveries: int, messages: int) -> Waiting:
    """Count what waits, up to one more than each bound; raises AdapterError."""
    first = select(literal_column("1")).select_from(outbox).where(_TO_DELIVER).limit(deliveries + 1).subquery()
    second = select(literal_column("1")).select_from(later).where(_TO_ANSWER).limit(messages + 1).subquery()
    asked = select(
        select(func.count()).select_from(first).scalar_subquery(),
        select(func.count()).select_from(second).scalar_subquery(),
    )
    with reading(engine) as connection:
        found = connection.execute(asked).one()
    return Waiting(found[0], found[1])
