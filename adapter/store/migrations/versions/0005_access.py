"""Tokens that hold for one call, and which key the audit chain is written with."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table and the column."""
    op.create_table(
        "seen_token",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("until", sa.BigInteger, nullable=False),
    )
    op.create_index("seen_token_by_time", "seen_token", ["until"])
    op.add_column("audit_head", sa.Column("key_print", sa.String(64)))
