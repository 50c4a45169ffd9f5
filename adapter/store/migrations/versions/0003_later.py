"""Answers given later, how far each subscription has come, and what was set aside instead of refused."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    rowid = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "later",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("key", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("asked", sa.LargeBinary, nullable=False),
        sa.Column("body", sa.LargeBinary),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.String(200)),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
        sa.Column("status", sa.Integer),
        sa.Column("reply", sa.LargeBinary),
    )
    op.create_index("later_by_key", "later", ["client", "key"], unique=True)
    still_open = sa.text("state in ('waiting', 'working')")
    op.create_index("later_open", "later", ["next_at"], sqlite_where=still_open, postgresql_where=still_open)
    op.create_table(
        "subscription",
        sa.Column("client", sa.String(200), primary_key=True),
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", rowid, primary_key=True, autoincrement=True),
        sa.Column("client", sa.String(200), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("request_id", sa.String(200), nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("issues", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("quarantine_by_digest", "quarantine", ["client", "digest"], unique=True)
    op.create_index("quarantine_by_time", "quarantine", ["received"])
