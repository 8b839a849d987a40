"""Halts of withdrawals, requests of operators, and which displaced deposits have been answered by a halt."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ADDRESS = "^0x[0-9a-f]{40}$"

STATEMENTS = (
    f"""
    CREATE TABLE halts (
        id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        kind       TEXT NOT NULL CHECK (kind ~ '^[a-z_]+$'),
        chain_id   BIGINT NOT NULL,
        vault      TEXT NOT NULL CHECK (vault ~ '{ADDRESS}'),
        detail     TEXT NOT NULL,
        raised_ms  BIGINT NOT NULL,
        lifted_ms  BIGINT,
        lifted_by  TEXT,
        note       TEXT,
        CONSTRAINT halts_lifted_check
            CHECK ((lifted_ms IS NULL) = (lifted_by IS NULL) AND (lifted_ms IS NULL) = (note IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX halts_open ON halts (kind, chain_id, vault) WHERE lifted_ms IS NULL",
    """
    CREATE TABLE operator_requests (
        id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        action        TEXT NOT NULL CHECK (action IN ('set_account_state')),
        account_id    BIGINT NOT NULL,
        state         TEXT NOT NULL CHECK (state IN ('active', 'cancel_only', 'frozen')),
        requested_by  TEXT NOT NULL CHECK (requested_by <> ''),
        note          TEXT NOT NULL CHECK (note <> ''),
        requested_ms  BIGINT NOT NULL,
        done_ms       BIGINT,
        seq           BIGINT CHECK (seq > 0),
        refusal       TEXT,
        CONSTRAINT operator_requests_done_check
            CHECK ((done_ms IS NULL) = (seq IS NULL) AND (refusal IS NULL OR done_ms IS NOT NULL))
    )
    """,
    "CREATE INDEX operator_requests_waiting ON operator_requests (id) WHERE done_ms IS NULL",
    "ALTER TABLE vault_deposits ADD COLUMN answered BOOLEAN NOT NULL DEFAULT FALSE",
    "CREATE INDEX vault_deposits_displaced ON vault_deposits (chain_id, vault, number) WHERE displaced",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
