"""The journal: genesis, the writer's epoch and head, and the batches.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE genesis (
            singleton   BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (singleton),
            genesis_id  BYTEA NOT NULL CHECK (octet_length(genesis_id) = 32),
            created_at  TIMESTAMPTZ NOT NULL DEFAULT now()
        )
        """
    )
    op.execute(
        """
        CREATE TABLE writer (
            singleton  BOOLEAN PRIMARY KEY DEFAULT TRUE CHECK (singleton),
            epoch      BIGINT NOT NULL CHECK (epoch >= 0),
            head_seq   BIGINT NOT NULL CHECK (head_seq >= 0),
            head_hash  BYTEA NOT NULL CHECK (octet_length(head_hash) = 32)
        ) WITH (fillfactor = 10)
        """
    )
    op.execute(
        """
        CREATE TABLE journal (
            seq_first      BIGINT PRIMARY KEY CHECK (seq_first >= 1),
            seq_last       BIGINT NOT NULL UNIQUE CHECK (seq_last >= seq_first),
            epoch          BIGINT NOT NULL,
            time_ns        BIGINT NOT NULL,
            rules_version  INTEGER NOT NULL,
            commands       BYTEA STORAGE EXTERNAL NOT NULL,
            events         BYTEA STORAGE EXTERNAL NOT NULL,
            hash_prev      BYTEA NOT NULL CHECK (octet_length(hash_prev) = 32),
            hash           BYTEA NOT NULL CHECK (octet_length(hash) = 32)
        )
        """
    )


def downgrade() -> None:
    raise NotImplementedError("the journal is append-only: restore a backup instead")
