"""Destinations that owners' withdrawals may go to, with all that were ever listed, and the digests used."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ADDRESS = "^0x[0-9a-f]{40}$"
HASH = "^0x[0-9a-f]{64}$"

STATEMENTS = (
    f"""
    CREATE TABLE withdrawal_addresses (
        entry_id    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        owner       TEXT NOT NULL CHECK (owner ~ '{ADDRESS}'),
        address     TEXT NOT NULL CHECK (address ~ '{ADDRESS}'),
        label       TEXT NOT NULL CHECK (char_length(label) <= 64),
        added_ms    BIGINT NOT NULL,
        active_ms   BIGINT NOT NULL CHECK (active_ms >= added_ms),
        removed_ms  BIGINT CHECK (removed_ms >= added_ms),
        nonce       BIGINT NOT NULL CHECK (nonce >= 0),
        deadline_s  BIGINT NOT NULL,
        digest      TEXT NOT NULL UNIQUE CHECK (digest ~ '{HASH}'),
        signature   TEXT NOT NULL CHECK (signature ~ '^0x[0-9a-f]{{130}}$')
    )
    """,
    """
    CREATE UNIQUE INDEX withdrawal_addresses_listed ON withdrawal_addresses (owner, address)
    WHERE removed_ms IS NULL
    """,
    "CREATE INDEX withdrawal_addresses_by_owner ON withdrawal_addresses (owner)",
    f"""
    CREATE TABLE withdrawal_address_digests (
        digest      TEXT PRIMARY KEY CHECK (digest ~ '{HASH}'),
        owner       TEXT NOT NULL CHECK (owner ~ '{ADDRESS}'),
        deadline_s  BIGINT NOT NULL
    )
    """,
    "CREATE INDEX withdrawal_address_digests_by_owner ON withdrawal_address_digests (owner, deadline_s)",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
