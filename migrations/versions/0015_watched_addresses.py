"""When a deposit address was last asked for, and until when an arrival that could not be swept is put off."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE deposit_addresses ADD COLUMN last_asked_ms BIGINT")
    op.execute("UPDATE deposit_addresses SET last_asked_ms = issued_ms")
    op.execute("ALTER TABLE deposit_addresses ALTER COLUMN last_asked_ms SET NOT NULL")
    op.execute(
        "CREATE INDEX deposit_addresses_asked ON deposit_addresses (chain_id, registry, last_asked_ms, owner)"
    )
    op.execute(
        "ALTER TABLE deposit_arrivals"
        " ADD COLUMN not_before_ms BIGINT NOT NULL DEFAULT 0 CHECK (not_before_ms >= 0),"
        " ADD COLUMN waited_ms BIGINT NOT NULL DEFAULT 0 CHECK (waited_ms >= 0)"
    )


def downgrade() -> None:
    raise NotImplementedError("restore a backup; migrations only go forward")
