"""Any key's transactions, several payments in one, cancelled nonces, and the risk step of withdrawals."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ADDRESS = "^0x[0-9a-f]{40}$"
HASH = "^0x[0-9a-f]{64}$"


def upgrade() -> None:
    op.execute("ALTER TABLE payments ADD COLUMN approved_ms BIGINT, ADD COLUMN reviewed_by TEXT")
    op.execute("ALTER TABLE payments DROP CONSTRAINT payments_state_check")
    op.execute(
        """
        ALTER TABLE payments ADD CONSTRAINT payments_state_check CHECK (state IN ('requested', 'review',
            'rejected', 'approved', 'signed', 'broadcast', 'mined', 'settled', 'refunded'))
        """
    )
    op.execute("CREATE INDEX payments_approved ON payments (chain_id, vault, approved_ms)")
    op.execute(
        f"""
        CREATE TABLE sender_epochs (
            chain_id BIGINT NOT NULL,
            sender TEXT NOT NULL CHECK (sender ~ '{ADDRESS}'),
            epoch BIGINT NOT NULL CHECK (epoch > 0),
            PRIMARY KEY (chain_id, sender)
        )
        """
    )
    op.execute(
        f"""
        CREATE TABLE sent_transactions (
            chain_id BIGINT NOT NULL,
            sender TEXT NOT NULL CHECK (sender ~ '{ADDRESS}'),
            nonce BIGINT NOT NULL CHECK (nonce >= 0),
            purpose TEXT NOT NULL CHECK (purpose IN ('payments', 'sweep', 'balance_root', 'dead_nonce')),
            target TEXT NOT NULL CHECK (target ~ '{ADDRESS}'),
            data BYTEA NOT NULL,
            gas BIGINT NOT NULL CHECK (gas > 0),
            done BOOLEAN NOT NULL DEFAULT FALSE,
            broadcast_ms BIGINT,
            PRIMARY KEY (chain_id, sender, nonce)
        )
        """
    )
    op.execute(
        "CREATE INDEX sent_transactions_open ON sent_transactions (chain_id, sender, nonce) WHERE NOT done"
    )
    op.execute(
        f"""
        CREATE TABLE sent_attempts (
            tx_hash TEXT PRIMARY KEY CHECK (tx_hash ~ '{HASH}'),
            chain_id BIGINT NOT NULL,
            sender TEXT NOT NULL,
            nonce BIGINT NOT NULL,
            raw BYTEA NOT NULL,
            max_fee_wei NUMERIC(39, 0) NOT NULL CHECK (max_fee_wei >= priority_fee_wei),
            priority_fee_wei NUMERIC(39, 0) NOT NULL CHECK (priority_fee_wei >= 0),
            signed_ms BIGINT NOT NULL,
            cancels BOOLEAN NOT NULL DEFAULT FALSE,
            FOREIGN KEY (chain_id, sender, nonce) REFERENCES sent_transactions
        )
        """
    )
    op.execute("CREATE INDEX sent_attempts_by_nonce ON sent_attempts (chain_id, sender, nonce)")
    op.execute(
        """
        CREATE TABLE payment_tries (
            withdrawal_id TEXT NOT NULL REFERENCES payments,
            try INTEGER NOT NULL CHECK (try > 0),
            chain_id BIGINT NOT NULL,
            sender TEXT NOT NULL,
            nonce BIGINT NOT NULL,
            PRIMARY KEY (withdrawal_id, try),
            FOREIGN KEY (chain_id, sender, nonce) REFERENCES sent_transactions
        )
        """
    )
    op.execute("CREATE INDEX payment_tries_by_nonce ON payment_tries (chain_id, sender, nonce)")
    op.execute(
        """
        INSERT INTO sent_transactions
            (chain_id, sender, nonce, purpose, target, data, gas, done, broadcast_ms)
        SELECT t.chain_id, t.sender, t.nonce, 'payments', p.vault, t.data, t.gas, t.done, t.broadcast_ms
        FROM payment_transactions t JOIN payments p USING (withdrawal_id)
        """
    )
    op.execute(
        """
        INSERT INTO sent_attempts
            (tx_hash, chain_id, sender, nonce, raw, max_fee_wei, priority_fee_wei, signed_ms, cancels)
        SELECT tx_hash, chain_id, sender, nonce, raw, max_fee_wei, priority_fee_wei, signed_ms, FALSE
        FROM payment_attempts
        """
    )
    op.execute(
        """
        INSERT INTO payment_tries (withdrawal_id, try, chain_id, sender, nonce)
        SELECT withdrawal_id, try, chain_id, sender, nonce FROM payment_transactions
        """
    )
    op.execute("DROP TABLE payment_attempts")
    op.execute("DROP TABLE payment_transactions")


def downgrade() -> None:
    raise NotImplementedError("restore a backup; migrations only go forward")
