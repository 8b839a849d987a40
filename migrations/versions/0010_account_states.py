"""What an account may do, as the operator has set it."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        ALTER TABLE accounts
            ADD COLUMN state TEXT NOT NULL DEFAULT 'active'
                CHECK (state IN ('active', 'cancel_only', 'frozen'))
        """
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
