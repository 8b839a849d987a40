"""The read tables take in amendments, triggers, decrements, transfers, market states, limits and fee tiers.

Sizes may shrink to nothing by self-trade prevention, maker fees may be negative. What one order has filled
is a sum over its whole life without a bound of its own: the same atoms can pay a resting order twice.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = (
    """
    ALTER TABLE orders
        ADD COLUMN good_till_ns      BIGINT NOT NULL DEFAULT 0,
        ADD COLUMN trigger           TEXT CHECK (trigger IN ('stop', 'take_profit')),
        ADD COLUMN trigger_ticks     BIGINT NOT NULL DEFAULT 0,
        ADD COLUMN quote_atoms       NUMERIC(39, 0) NOT NULL DEFAULT 0 CHECK (quote_atoms >= 0),
        ADD COLUMN awaiting_trigger  BOOLEAN NOT NULL DEFAULT FALSE,
        ALTER COLUMN filled_quote_atoms TYPE NUMERIC,
        ALTER COLUMN fee_atoms TYPE NUMERIC,
        DROP CONSTRAINT orders_size_lots_check,
        ADD CONSTRAINT orders_size_lots_check
            CHECK (size_lots > 0 OR (size_lots = 0 AND status = 'self_trade')),
        ADD CONSTRAINT orders_good_till_check CHECK ((time_in_force = 'gtt') = (good_till_ns > 0)),
        ADD CONSTRAINT orders_trigger_ticks_check CHECK ((trigger IS NULL) = (trigger_ticks = 0)),
        ADD CONSTRAINT orders_awaiting_trigger_check CHECK (NOT awaiting_trigger OR trigger IS NOT NULL)
    """,
    """
    ALTER TABLE markets
        ADD COLUMN state            TEXT NOT NULL DEFAULT 'open',
        ADD COLUMN price_band_bps   INTEGER NOT NULL DEFAULT 0 CHECK (price_band_bps BETWEEN 0 AND 10000),
        ADD COLUMN market_band_bps  INTEGER NOT NULL DEFAULT 500 CHECK (market_band_bps BETWEEN 1 AND 10000),
        ADD COLUMN fee_tiers        INTEGER[] NOT NULL DEFAULT '{}'
    """,
    """
    ALTER TABLE accounts
        ADD COLUMN max_open_orders        INTEGER NOT NULL DEFAULT 1000 CHECK (max_open_orders <= 1000),
        ADD COLUMN max_orders_per_market  INTEGER NOT NULL DEFAULT 1000,
        ADD COLUMN cancel_all_ns          BIGINT NOT NULL DEFAULT 0 CHECK (cancel_all_ns >= 0),
        ADD CONSTRAINT accounts_limits_check CHECK (max_orders_per_market BETWEEN 0 AND max_open_orders)
    """,
    """
    CREATE TABLE fee_tiers (
        owner    TEXT PRIMARY KEY,
        tier     INTEGER NOT NULL CHECK (tier BETWEEN 0 AND 15),
        set_seq  BIGINT NOT NULL,
        set_ns   BIGINT NOT NULL
    )
    """,
    # Both sides of every transfer between two accounts of an owner, so that each has it in its own listing.
    """
    CREATE TABLE transfers (
        account_id          BIGINT NOT NULL,
        seq                 BIGINT NOT NULL,
        event_index         INTEGER NOT NULL,
        time_ns             BIGINT NOT NULL,
        direction           TEXT NOT NULL CHECK (direction IN ('in', 'out')),
        other_account_id    BIGINT NOT NULL CHECK (other_account_id <> account_id),
        asset_id            BIGINT NOT NULL,
        amount_atoms        NUMERIC(39, 0) NOT NULL CHECK (amount_atoms > 0),
        client_transfer_id  TEXT NOT NULL,
        PRIMARY KEY (account_id, seq, event_index)
    )
    """,
    # What each account has traded in each market on each day (UTC, counted from 1970), as maker or taker.
    """
    CREATE TABLE daily_volumes (
        account_id   BIGINT NOT NULL,
        market_id    BIGINT NOT NULL,
        day          INTEGER NOT NULL,
        quote_atoms  NUMERIC NOT NULL CHECK (quote_atoms > 0),
        PRIMARY KEY (account_id, market_id, day)
    ) WITH (fillfactor = 50)
    """,
    "CREATE INDEX daily_volumes_by_day ON daily_volumes (day)",
    """
    INSERT INTO daily_volumes (account_id, market_id, day, quote_atoms)
    SELECT account_id, market_id, time_ns / 86400000000000, sum(quote_atoms) FROM fills GROUP BY 1, 2, 3
    """,
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
