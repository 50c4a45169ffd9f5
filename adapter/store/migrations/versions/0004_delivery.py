"""Under which name a server holds a subject that it gave an id itself."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the column."""
    op.add_column("subject", sa.Column("place", sa.String(200)))
