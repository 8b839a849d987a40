"""Snapshots: images of the state at some rows of the journal. All of them can be thrown away."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE snapshots (
            seq            BIGINT PRIMARY KEY CHECK (seq >= 1),
            journal_hash   BYTEA NOT NULL CHECK (octet_length(journal_hash) = 32),
            state_hash     BYTEA NOT NULL CHECK (octet_length(state_hash) = 32),
            rules_version  INTEGER NOT NULL CHECK (rules_version >= 1),
            image          BYTEA STORAGE EXTERNAL NOT NULL CHECK (octet_length(image) > 0),
            hash           BYTEA NOT NULL CHECK (octet_length(hash) = 32),
            created_at     TIMESTAMPTZ NOT NULL DEFAULT now()
        )
        """
    )


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
