"""One patient is forgotten: the row, what was to be delivered, and what was answered about it."""

from collections.abc import Callable

import msgspec
from sqlalchemy import Connection, select, update

from adapter.store.bodies import closed
from adapter.store.chain import AuditRow
from adapter.store.database import checkpoint
from adapter.store.known import Patients
from adapter.store.ledger import Store, reply_name
from adapter.store.tables import outbox, receipt, receipt_lane, stored
from adapter.store.writer import Step

_GONE = 410


class Whom(msgspec.Struct, frozen=True):
    """The patient to be forgotten."""

    tenant: str
    names: tuple[str, ...]
    """Under which the patient may be kept."""
    called: tuple[str, ...] = ()
    """What results were made under, where nothing may be kept any more."""


class Forgotten(msgspec.Struct, frozen=True):
    """How much was removed."""

    patients: int
    deliveries: int
    replies: int


def forget(store: Store, patients: Patients, whom: Whom, lane: Callable[[str], str], answer: bytes) -> Forgotten:
    """Remove what is kept of a patient; a message about it that comes again gets ``answer``, and is not evaluated.

    Raises AdapterError.
    """

    def work(step: Step) -> Forgotten:
        if step.connection.dialect.name == "sqlite":
            step.connection.exec_driver_sql("PRAGMA secure_delete=ON")  # what is removed is overwritten
        kept = patients.forget(step.connection, whom.tenant, whom.names)
        lanes = [lane(each) for each in dict.fromkeys((*(each.name for each in kept), *whom.called))]
        emptied = update(outbox).where(outbox.c.lane.in_(lanes), outbox.c.resources.is_not(None))
        ended = {"state": "dropped", "resources": None, "next_at": stored(store.now())}
        deliveries = step.execute(emptied.where(outbox.c.state != "delivered").values(**ended), {})
        deliveries += step.execute(emptied.values(resources=None), {})
        found = Forgotten(len(kept), deliveries, _emptied(step.connection, store, lanes, answer))
        detail: dict[str, str | int] = dict(msgspec.structs.asdict(found))
        step.chain.add(AuditRow(store.now(), "operator", "forget", "done", "", detail))
        return found

    found = store.writer.run(work)
    checkpoint(store.engine)
    return found


def _emptied(connection: Connection, store: Store, lanes: list[str], answer: bytes) -> int:
    where = receipt_lane.c.lane.in_(lanes)
    asked = select(receipt_lane.c.client, receipt_lane.c.key).where(where).distinct()
    places = connection.execute(asked).all()
    for client, key in places:
        body = closed(store.sealer, reply_name(client, key), answer)
        at = (receipt.c.client == client) & (receipt.c.key == key) & receipt.c.status.is_not(None)
        connection.execute(update(receipt).where(at).values(status=_GONE, body=body))
    return len(places)
