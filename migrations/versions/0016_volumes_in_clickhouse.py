"""Volumes by day for the fee tiers come from ClickHouse, where a view keeps them: one write less per fill."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP TABLE daily_volumes")


def downgrade() -> None:
    raise NotImplementedError("restore a backup; migrations only go forward")
