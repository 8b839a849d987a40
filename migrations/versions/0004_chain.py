"""Block hashes, the vault's deposits, and the payments with their transactions."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

ADDRESS = "^0x[0-9a-f]{40}$"
HASH = "^0x[0-9a-f]{64}$"
MAX_ATOMS = 2**128 - 1


def upgrade() -> None:
    op.execute(
        f"""
        CREATE TABLE chain_blocks (
            chain_id BIGINT NOT NULL,
            vault TEXT NOT NULL CHECK (vault ~ '{ADDRESS}'),
            number BIGINT NOT NULL CHECK (number >= 0),
            hash TEXT NOT NULL CHECK (hash ~ '{HASH}'),
            parent_hash TEXT NOT NULL CHECK (parent_hash ~ '{HASH}'),
            PRIMARY KEY (chain_id, vault, number)
        )
        """
    )
    op.execute(
        f"""
        CREATE TABLE vault_deposits (
            chain_id BIGINT NOT NULL,
            vault TEXT NOT NULL CHECK (vault ~ '{ADDRESS}'),
            number BIGINT NOT NULL CHECK (number > 0),
            owner TEXT NOT NULL CHECK (owner ~ '{ADDRESS}'),
            token TEXT NOT NULL CHECK (token ~ '{ADDRESS}'),
            amount_atoms NUMERIC(39, 0) NOT NULL CHECK (amount_atoms BETWEEN 0 AND {MAX_ATOMS}),
            sender TEXT NOT NULL CHECK (sender ~ '{ADDRESS}'),
            deposit_hash BYTEA NOT NULL CHECK (octet_length(deposit_hash) = 32),
            tx_hash TEXT NOT NULL CHECK (tx_hash ~ '{HASH}'),
            log_index INTEGER NOT NULL CHECK (log_index >= 0),
            block_number BIGINT NOT NULL CHECK (block_number >= 0),
            block_hash TEXT NOT NULL CHECK (block_hash ~ '{HASH}'),
            first_seen_ms BIGINT NOT NULL,
            credited BOOLEAN NOT NULL DEFAULT FALSE,
            displaced BOOLEAN NOT NULL DEFAULT FALSE,
            PRIMARY KEY (chain_id, vault, number)
        )
        """
    )
    op.execute("CREATE INDEX vault_deposits_pending ON vault_deposits (owner, number) WHERE NOT credited")
    op.execute("CREATE INDEX vault_deposits_by_block ON vault_deposits (chain_id, vault, block_number)")
    op.execute(
        f"""
        CREATE TABLE payment_cursors (
            chain_id BIGINT NOT NULL,
            vault TEXT NOT NULL CHECK (vault ~ '{ADDRESS}'),
            seq BIGINT NOT NULL CHECK (seq >= 0),
            PRIMARY KEY (chain_id, vault)
        )
        """
    )
    op.execute(
        f"""
        CREATE TABLE payments (
            withdrawal_id TEXT PRIMARY KEY CHECK (withdrawal_id ~ '{HASH}'),
            chain_id BIGINT NOT NULL,
            vault TEXT NOT NULL CHECK (vault ~ '{ADDRESS}'),
            requested_seq BIGINT NOT NULL,
            account_id BIGINT NOT NULL,
            asset_id BIGINT NOT NULL,
            owner TEXT NOT NULL CHECK (owner ~ '{ADDRESS}'),
            token TEXT NOT NULL CHECK (token ~ '{ADDRESS}'),
            amount_atoms NUMERIC(39, 0) NOT NULL CHECK (amount_atoms BETWEEN 1 AND {MAX_ATOMS}),
            fee_atoms NUMERIC(39, 0) NOT NULL CHECK (fee_atoms >= 0 AND fee_atoms < amount_atoms),
            destination TEXT NOT NULL CHECK (destination ~ '{ADDRESS}'),
            deadline_s BIGINT NOT NULL,
            state TEXT NOT NULL CHECK (state IN
                ('requested', 'approved', 'signed', 'broadcast', 'mined', 'settled', 'refunded')),
            updated_ms BIGINT NOT NULL,
            not_before_ms BIGINT NOT NULL DEFAULT 0,
            tx_hash TEXT CHECK (tx_hash ~ '{HASH}'),
            block_number BIGINT,
            block_hash TEXT CHECK (block_hash ~ '{HASH}'),
            outcome TEXT CHECK (outcome IN ('paid', 'claimable', 'skipped', 'reverted')),
            note TEXT NOT NULL DEFAULT '',
            CHECK (state <> 'mined' OR (tx_hash IS NOT NULL AND block_number IS NOT NULL
                AND block_hash IS NOT NULL AND outcome IS NOT NULL))
        )
        """
    )
    op.execute(
        "CREATE INDEX payments_open ON payments (chain_id, vault, requested_seq)"
        " WHERE state NOT IN ('settled', 'refunded')"
    )
    op.execute(
        "CREATE INDEX payments_settled ON payments (chain_id, vault, block_number) WHERE state = 'settled'"
    )
    op.execute(
        f"""
        CREATE TABLE payment_transactions (
            chain_id BIGINT NOT NULL,
            sender TEXT NOT NULL CHECK (sender ~ '{ADDRESS}'),
            nonce BIGINT NOT NULL CHECK (nonce >= 0),
            withdrawal_id TEXT NOT NULL REFERENCES payments,
            try INTEGER NOT NULL CHECK (try > 0),
            data BYTEA NOT NULL,
            gas BIGINT NOT NULL CHECK (gas > 0),
            done BOOLEAN NOT NULL DEFAULT FALSE,
            broadcast_ms BIGINT,
            PRIMARY KEY (chain_id, sender, nonce),
            UNIQUE (withdrawal_id, try)
        )
        """
    )
    op.execute(
        "CREATE INDEX payment_transactions_open ON payment_transactions (chain_id, sender, nonce)"
        " WHERE NOT done"
    )
    op.execute(
        f"""
        CREATE TABLE payment_attempts (
            tx_hash TEXT PRIMARY KEY CHECK (tx_hash ~ '{HASH}'),
            chain_id BIGINT NOT NULL,
            sender TEXT NOT NULL,
            nonce BIGINT NOT NULL,
            raw BYTEA NOT NULL,
            max_fee_wei NUMERIC(39, 0) NOT NULL CHECK (max_fee_wei >= priority_fee_wei),
            priority_fee_wei NUMERIC(39, 0) NOT NULL CHECK (priority_fee_wei >= 0),
            signed_ms BIGINT NOT NULL,
            FOREIGN KEY (chain_id, sender, nonce) REFERENCES payment_transactions
        )
        """
    )
    op.execute("CREATE INDEX payment_attempts_by_nonce ON payment_attempts (chain_id, sender, nonce)")


def downgrade() -> None:
    raise NotImplementedError("restore a backup; migrations only go forward")
