"""The tables of the store, and how a moment stands in them."""

import datetime

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text, text

metadata = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite gives row ids only to a column of the type INTEGER."""

receipt = Table(
    "receipt",
    metadata,
    Column("client", String(200), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("owner", String(200)),
    Column("lease_until", BigInteger, nullable=False),
    Column("status", Integer),
    Column("media_type", String(200)),
    Column("body", LargeBinary),
    Column("headers", LargeBinary),
    Index("receipt_by_time", "received"),
)
"""``status`` is empty while the receipt is only claimed."""

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("client", String(200), nullable=False),
    Column("action", String(100), nullable=False),
    Column("outcome", String(100), nullable=False),
    Column("request_id", String(200), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)
"""The end of the chain: without it, a row cut off at the end would leave no gap.  Its row also serialises replicas."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("lane", String(200), nullable=False),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("owner", String(200)),
    Column("as_of", BigInteger, nullable=False),
    Column("source_time", BigInteger),
    Column("created", BigInteger, nullable=False),
    Column("names", LargeBinary, nullable=False),
    Column("resources", LargeBinary),
    Column("last_error", String(300)),
    Column("note", String(100)),
    # Only what is still to be done is asked for; what is delivered stays behind by the million.
    Index(
        "outbox_open",
        "lane",
        "id",
        sqlite_where=text("state in ('pending', 'sending')"),
        postgresql_where=text("state in ('pending', 'sending')"),
    ),
    Index("outbox_by_state", "state", "next_at"),
)
"""``resources`` is emptied when they are delivered: a patient's data is not kept longer than it is needed."""

subject = Table(
    "subject",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("version", String(200)),
    Column("digest", String(64)),
    Column("sent_digest", String(64)),
    Column("told_at", BigInteger),
    Column("as_of", BigInteger),
)
"""What we last wrote of each ResearchSubject, so that a person's change is known as one.

``told_at`` and ``as_of`` order evaluations: when the source spoke (else the instant of the question), then the latter.
"""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def stored(moment: datetime.datetime) -> int:
    """Give a moment as whole microseconds since 1970, which every database compares alike."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime.datetime:
    """Give the moment that ``stored`` made a number of."""
    return _EPOCH + value * _MICROSECOND
