"""The first tables: receipts, the audit chain, the outbox, and what we last wrote of each subject."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    rowid = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "receipt",
        sa.Column("client", sa.String(200), primary_key=True),
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(200)),
        sa.Column("lease_until", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("media_type", sa.String(200)),
        sa.Column("body", sa.LargeBinary),
        sa.Column("headers", sa.LargeBinary),
    )
    op.create_index("receipt_by_time", "receipt", ["received"])
    op.create_table(
        "audit",
        sa.Column("seq", rowid, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("outcome", sa.String(100), nullable=False),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    head = op.create_table(
        "audit_head",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"only": 1, "seq": 0, "digest": "0" * 64}])
    op.create_table(
        "outbox",
        sa.Column("id", rowid, primary_key=True, autoincrement=True),
        sa.Column("lane", sa.String(200), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(200)),
        sa.Column("as_of", sa.BigInteger, nullable=False),
        sa.Column("source_time", sa.BigInteger),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("names", sa.LargeBinary, nullable=False),
        sa.Column("resources", sa.LargeBinary),
        sa.Column("last_error", sa.String(300)),
        sa.Column("note", sa.String(100)),
    )
    still_open = sa.text("state in ('pending', 'sending')")
    op.create_index("outbox_open", "outbox", ["lane", "id"], sqlite_where=still_open, postgresql_where=still_open)
    op.create_index("outbox_by_state", "outbox", ["state", "next_at"])
    op.create_table(
        "subject",
        sa.Column("name", sa.String(200), primary_key=True),
        sa.Column("version", sa.String(200)),
        sa.Column("digest", sa.String(64)),
        sa.Column("sent_digest", sa.String(64)),
        sa.Column("told_at", sa.BigInteger),
        sa.Column("as_of", sa.BigInteger),
    )
