"""The tables of the store, and how a moment stands in them."""

import datetime

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

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
    Column("key_print", String(64)),
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
    Column("place", String(200)),
)
"""What we last wrote of each ResearchSubject, so that a person's change is known as one.

``told_at`` and ``as_of`` order evaluations: when the source spoke (else the instant of the question), then the latter.
``place`` is what the server calls it, where it gives ids itself; ``name`` is ours.
"""

later = Table(
    "later",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("client", String(200), nullable=False),
    Column("key", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("asked", LargeBinary, nullable=False),
    Column("body", LargeBinary),
    Column("state", String(20), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", BigInteger, nullable=False),
    Column("owner", String(200)),
    Column("received", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Column("status", Integer),
    Column("reply", LargeBinary),
    Index("later_by_key", "client", "key", unique=True),
    Index(
        "later_open",
        "next_at",
        sqlite_where=text("state in ('waiting', 'working')"),
        postgresql_where=text("state in ('waiting', 'working')"),
    ),
)
"""``body`` is emptied when it is done; ``reply`` has refusals only, a result stands with its receipt."""

subscription = Table(
    "subscription",
    metadata,
    Column("client", String(200), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
)
"""The highest event number that each subscription has told, so that a gap is known as one."""

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("client", String(200), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("action", String(100), nullable=False),
    Column("request_id", String(200), nullable=False),
    Column("received", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("issues", LargeBinary, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("quarantine_by_digest", "client", "digest", unique=True),
    Index("quarantine_by_time", "received"),
)

seen_token = Table(
    "seen_token",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("until", BigInteger, nullable=False),
    Index("seen_token_by_time", "until"),
)
"""Tokens that hold for one call and were used, until they would have expired."""

known = Table(
    "known",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("touched", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("known_by_time", "touched"),
)
"""One row a patient: what its messages said, packed, and sealed where there is a key; ``adapter.store.known``."""

known_name = Table(
    "known_name",
    metadata,
    Column("name", LargeBinary(16), primary_key=True),
    Column("patient", LargeBinary(16), ForeignKey("known.id", ondelete="CASCADE"), primary_key=True),
    Index("known_name_by_patient", "patient"),
)
"""Digests of identifiers and references, and the row that each leads to."""

known_key = Table(
    "known_key",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
)
"""The key of those digests."""

receipt_lane = Table(
    "receipt_lane",
    metadata,
    Column("client", String(200), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("lane", String(200), primary_key=True),
    ForeignKeyConstraint(["client", "key"], ["receipt.client", "receipt.key"], ondelete="CASCADE"),
    Index("receipt_lane_by_lane", "lane"),
)
"""Which patients a reply is about, so that it can be emptied when one is forgotten."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


def stored(moment: datetime.datetime) -> int:
    """Give a moment as whole microseconds since 1970, which every database compares alike."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime.datetime:
    """Give the moment that ``stored`` made a number of."""
    return _EPOCH + value * _MICROSECOND
