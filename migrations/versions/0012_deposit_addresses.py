"""Personal deposit addresses, and what lies at them before it is swept into the vault."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

ADDRESS = "^0x[0-9a-f]{40}$"


def upgrade() -> None:
    op.execute(
        f"""
        CREATE TABLE deposit_addresses (
            chain_id BIGINT NOT NULL,
            registry TEXT NOT NULL CHECK (registry ~ '{ADDRESS}'),
            owner TEXT NOT NULL CHECK (owner ~ '{ADDRESS}'),
            address TEXT NOT NULL CHECK (address ~ '{ADDRESS}'),
            issued_ms BIGINT NOT NULL,
            PRIMARY KEY (chain_id, registry, owner)
        )
        """
    )
    op.execute(
        f"""
        CREATE TABLE deposit_arrivals (
            chain_id BIGINT NOT NULL,
            registry TEXT NOT NULL CHECK (registry ~ '{ADDRESS}'),
            owner TEXT NOT NULL CHECK (owner ~ '{ADDRESS}'),
            token TEXT NOT NULL CHECK (token ~ '{ADDRESS}'),
            amount_atoms NUMERIC(39, 0) NOT NULL CHECK (amount_atoms > 0),
            block_number BIGINT NOT NULL,
            first_seen_ms BIGINT NOT NULL,
            PRIMARY KEY (chain_id, registry, owner, token)
        )
        """
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup; migrations only go forward")
