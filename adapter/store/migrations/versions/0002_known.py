"""What is kept of patients across messages."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "known",
        sa.Column("id", sa.LargeBinary(16), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("touched", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("known_by_time", "known", ["touched"])
    op.create_table(
        "known_name",
        sa.Column("name", sa.LargeBinary(16), primary_key=True),
        sa.Column("patient", sa.LargeBinary(16), sa.ForeignKey("known.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("known_name_by_patient", "known_name", ["patient"])
    op.create_table(
        "known_key",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "receipt_lane",
        sa.Column("client", sa.String(200), primary_key=True),
        sa.Column("key", sa.String(200), primary_key=True),
        sa.Column("lane", sa.String(200), primary_key=True),
        sa.ForeignKeyConstraint(["client", "key"], ["receipt.client", "receipt.key"], ondelete="CASCADE"),
    )
    op.create_index("receipt_lane_by_lane", "receipt_lane", ["lane"])
