"""Logins and sessions. Tokens, nonces and messages are kept as SHA-256 only."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE login_challenges (
            pre_login_hash BYTEA PRIMARY KEY CHECK (octet_length(pre_login_hash) = 32),
            message_hash BYTEA NOT NULL CHECK (octet_length(message_hash) = 32),
            nonce_hash BYTEA NOT NULL UNIQUE CHECK (octet_length(nonce_hash) = 32),
            address TEXT NOT NULL CHECK (address ~ '^0x[0-9a-f]{40}$'),
            issued_ns BIGINT NOT NULL,
            expires_ns BIGINT NOT NULL
                CHECK (expires_ns > issued_ns AND expires_ns <= issued_ns + 300000000000),
            consumed_ns BIGINT CHECK (consumed_ns < expires_ns)
        )
        """
    )
    op.execute("CREATE INDEX login_challenges_by_expiry ON login_challenges (expires_ns)")
    op.execute(
        """
        CREATE TABLE sessions (
            token_hash BYTEA PRIMARY KEY CHECK (octet_length(token_hash) = 32),
            owner TEXT NOT NULL CHECK (owner ~ '^0x[0-9a-f]{40}$'),
            account_id BIGINT NOT NULL CHECK (account_id > 0),
            created_ns BIGINT NOT NULL,
            expires_ns BIGINT NOT NULL CHECK (expires_ns > created_ns),
            revoked_ns BIGINT
        )
        """
    )
    op.execute("CREATE INDEX sessions_by_owner ON sessions (owner)")
    op.execute("CREATE INDEX sessions_by_expiry ON sessions (expires_ns)")


def downgrade() -> None:
    raise NotImplementedError("restore a backup; migrations only go forward")
