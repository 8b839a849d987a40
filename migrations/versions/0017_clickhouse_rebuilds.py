"""Rebuilds of ClickHouse that an operator asks for: one at a time, and one that was interrupted goes on."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    CREATE TABLE clickhouse_rebuilds (
        id           BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        begun_ms     BIGINT NOT NULL,
        target_seq   BIGINT NOT NULL CHECK (target_seq >= 0),
        finished_ms  BIGINT CHECK (finished_ms >= begun_ms),
        seq          BIGINT CHECK (seq >= target_seq),
        trades       BIGINT CHECK (trades >= 0),
        candles      BIGINT CHECK (candles >= 0),
        CHECK ((finished_ms IS NULL) = (seq IS NULL)
            AND (seq IS NULL) = (trades IS NULL)
            AND (seq IS NULL) = (candles IS NULL))
    )
    """,
    "CREATE UNIQUE INDEX clickhouse_rebuilds_open ON clickhouse_rebuilds ((TRUE)) WHERE finished_ms IS NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
