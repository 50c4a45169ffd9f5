"""How deliveries stand, as figures for Prometheus: what waits, since when, what was given up; no patient value."""

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from adapter.store.ledger import Store
from adapter.store.tables import moment, outbox

_STATES = ("pending", "sending", "dead", "rehearsed")


def delivery_figures(store: Store) -> bytes:
    """Give the figures of all processes on this database, and how many deliveries of this one ended how.

    Nothing where the database does not answer: a figure that is not there is told from one that is 0.
    """
    registry = CollectorRegistry()
    asked = (
        select(outbox.c.state, func.count(), func.min(outbox.c.created))
        .where(outbox.c.state.in_(_STATES))
        .group_by(outbox.c.state)
    )
    try:
        with store.engine.connect().execution_options(reads=True) as connection:
            found = {state: (count, oldest) for state, count, oldest in connection.execute(asked)}
    except SQLAlchemyError:
        return b""
    standing = Gauge("trial_adapter_deliveries", "Deliveries that have not ended", ("state",), registry=registry)
    for state in _STATES:
        standing.labels(state).set(found.get(state, (0, 0))[0])
    dead = Gauge("trial_adapter_deliveries_dead", "Deliveries given up, for a person to decide on", registry=registry)
    dead.set(found.get("dead", (0, 0))[0])
    waits = Gauge("trial_adapter_delivery_oldest_seconds", "Age of the oldest that waits", registry=registry)
    oldest = [since for state, (_, since) in found.items() if state in {"pending", "sending"}]
    waits.set(max(0, (store.now() - moment(min(oldest))).total_seconds()) if oldest else 0)
    ended = Gauge("trial_adapter_delivery_events", "Since this process started", ("event",), registry=registry)
    for word, count in sorted(store.tally.counts().items()):
        ended.labels(word).set(count)
    return generate_latest(registry)
