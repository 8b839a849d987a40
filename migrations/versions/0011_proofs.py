"""Proofs of balances: what was committed to, the trees, and where in them an account is."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ADDRESS = "^0x[0-9a-f]{40}$"
HASH = "^0x[0-9a-f]{64}$"
MAX_ATOMS = 2**128 - 1


def upgrade() -> None:
    op.execute(
        f"""
        CREATE TABLE proofs (
            number BIGINT PRIMARY KEY CHECK (number > 0),
            genesis_id TEXT NOT NULL CHECK (genesis_id ~ '{HASH}'),
            chain_id BIGINT NOT NULL,
            vault TEXT NOT NULL CHECK (vault ~ '{ADDRESS}'),
            seq BIGINT NOT NULL UNIQUE CHECK (seq > 0),
            block_number BIGINT NOT NULL CHECK (block_number >= 0),
            block_hash TEXT NOT NULL CHECK (block_hash ~ '{HASH}'),
            block_time_s BIGINT NOT NULL,
            built_ms BIGINT NOT NULL,
            root BYTEA NOT NULL CHECK (octet_length(root) = 32),
            salt_key BYTEA NOT NULL CHECK (octet_length(salt_key) = 32),
            state TEXT NOT NULL CHECK (state IN ('built', 'sent', 'published', 'unpublishable')),
            sender TEXT CHECK (sender ~ '{ADDRESS}'),
            nonce BIGINT,
            contract TEXT CHECK (contract ~ '{ADDRESS}'),
            chain_index BIGINT CHECK (chain_index >= 0),
            tx_hash TEXT CHECK (tx_hash ~ '{HASH}'),
            CHECK (state <> 'sent' OR (sender IS NOT NULL AND nonce IS NOT NULL)),
            CHECK ((state = 'published') = (contract IS NOT NULL AND chain_index IS NOT NULL))
        )
        """
    )
    op.execute("CREATE INDEX proofs_by_time ON proofs (built_ms)")
    op.execute("CREATE INDEX proofs_waiting ON proofs (number) WHERE state IN ('built', 'sent')")
    op.execute(
        f"""
        CREATE TABLE proof_assets (
            number BIGINT NOT NULL,
            asset_id BIGINT NOT NULL,
            symbol TEXT NOT NULL,
            token TEXT NOT NULL CHECK (token ~ '{ADDRESS}'),
            decimals INTEGER NOT NULL,
            depth INTEGER NOT NULL CHECK (depth >= 0),
            tree_hash BYTEA NOT NULL CHECK (octet_length(tree_hash) = 32),
            total_atoms NUMERIC(39, 0) NOT NULL CHECK (total_atoms BETWEEN 0 AND {MAX_ATOMS}),
            accounted_atoms NUMERIC NOT NULL CHECK (accounted_atoms >= 0),
            uncredited_atoms NUMERIC NOT NULL,
            unsettled_atoms NUMERIC NOT NULL,
            PRIMARY KEY (number, asset_id),
            UNIQUE (number, token),
            CHECK (accounted_atoms = total_atoms + uncredited_atoms - unsettled_atoms)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE proof_levels (
            number BIGINT NOT NULL,
            asset_id BIGINT NOT NULL,
            height INTEGER NOT NULL CHECK (height >= 0),
            nodes BYTEA STORAGE EXTERNAL NOT NULL CHECK (octet_length(nodes) % 48 = 0),
            PRIMARY KEY (number, asset_id, height)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE proof_places (
            number BIGINT NOT NULL,
            asset_id BIGINT NOT NULL,
            first_account_id BIGINT NOT NULL,
            places BYTEA STORAGE EXTERNAL NOT NULL CHECK (octet_length(places) % 12 = 0),
            PRIMARY KEY (number, asset_id, first_account_id)
        )
        """
    )
    # What a proof asks of the read tables: withdrawals in flight, and those paid after a block.
    op.execute("CREATE INDEX withdrawals_in_flight ON withdrawals (asset_id) WHERE status = 'requested'")
    op.execute(
        "CREATE INDEX withdrawals_paid ON withdrawals (chain_id, vault, block_number)"
        " WHERE status IN ('paid', 'claimable')"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup; migrations only go forward")
