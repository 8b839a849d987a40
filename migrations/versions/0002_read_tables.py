"""The read tables: what the events of the journal amount to, and how far each follower has come.

All of them can be rebuilt from the journal. A page of any listing is one range of one index. Amounts of
users are checked as the core checks them; accounts below 1000 are the system's and are signed.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE projection_cursors (
        name  TEXT PRIMARY KEY,
        seq   BIGINT NOT NULL CHECK (seq >= 0)
    ) WITH (fillfactor = 10)
    """,
    "INSERT INTO projection_cursors (name, seq) VALUES ('postgres', 0), ('clickhouse', 0)",
    """
    CREATE TABLE assets (
        asset_id              BIGINT PRIMARY KEY,
        symbol                TEXT NOT NULL,
        decimals              INTEGER NOT NULL CHECK (decimals >= 0),
        chain_id              BIGINT NOT NULL,
        vault                 TEXT NOT NULL,
        token                 TEXT NOT NULL,
        withdrawal_fee_atoms  NUMERIC(39, 0) NOT NULL CHECK (withdrawal_fee_atoms >= 0),
        min_withdrawal_atoms  NUMERIC(39, 0) NOT NULL CHECK (min_withdrawal_atoms >= 0),
        listed                BOOLEAN NOT NULL
    )
    """,
    """
    CREATE TABLE markets (
        market_id       BIGINT PRIMARY KEY,
        symbol          TEXT NOT NULL UNIQUE,
        base_asset_id   BIGINT NOT NULL,
        quote_asset_id  BIGINT NOT NULL CHECK (quote_asset_id <> base_asset_id),
        tick_mantissa   NUMERIC NOT NULL CHECK (tick_mantissa > 0),
        tick_decimals   INTEGER NOT NULL CHECK (tick_decimals >= 0),
        lot_atoms       NUMERIC NOT NULL CHECK (lot_atoms > 0),
        unit_atoms      NUMERIC NOT NULL CHECK (unit_atoms > 0),
        base_decimals   INTEGER NOT NULL,
        quote_decimals  INTEGER NOT NULL,
        maker_fee_bps   INTEGER NOT NULL,
        taker_fee_bps   INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE accounts (
        account_id   BIGINT PRIMARY KEY CHECK (account_id >= 1000),
        owner        TEXT NOT NULL,
        sub_account  INTEGER NOT NULL CHECK (sub_account >= 0),
        opened_seq   BIGINT NOT NULL,
        opened_ns    BIGINT NOT NULL,
        UNIQUE (owner, sub_account)
    )
    """,
    """
    CREATE TABLE orders (
        order_id               BIGINT PRIMARY KEY,
        account_id             BIGINT NOT NULL,
        market_id              BIGINT NOT NULL,
        side                   TEXT NOT NULL CHECK (side IN ('buy', 'sell')),
        order_type             TEXT NOT NULL,
        time_in_force          TEXT NOT NULL,
        self_trade_prevention  TEXT NOT NULL,
        price_ticks            BIGINT NOT NULL CHECK (price_ticks > 0),
        size_lots              BIGINT NOT NULL CHECK (size_lots > 0),
        remaining_lots         BIGINT NOT NULL CHECK (remaining_lots BETWEEN 0 AND size_lots),
        filled_quote_atoms     NUMERIC(39, 0) NOT NULL CHECK (filled_quote_atoms >= 0),
        fee_atoms              NUMERIC(39, 0) NOT NULL,
        status                 TEXT NOT NULL,
        client_order_id        TEXT,
        created_ns             BIGINT NOT NULL,
        updated_seq            BIGINT NOT NULL CHECK (updated_seq >= order_id),
        updated_ns             BIGINT NOT NULL CHECK (updated_ns >= created_ns),
        CHECK (status <> 'filled' OR remaining_lots = 0),
        CHECK (status <> 'open' OR remaining_lots > 0)
    ) WITH (fillfactor = 85)
    """,
    "CREATE INDEX orders_of_account ON orders (account_id, order_id)",
    "CREATE INDEX orders_open ON orders (account_id, order_id) WHERE status = 'open'",
    """
    CREATE TABLE fills (
        account_id    BIGINT NOT NULL,
        trade_id      BIGINT NOT NULL,
        seq           BIGINT NOT NULL,
        event_index   INTEGER NOT NULL,
        time_ns       BIGINT NOT NULL,
        order_id      BIGINT NOT NULL,
        market_id     BIGINT NOT NULL,
        role          TEXT NOT NULL CHECK (role IN ('maker', 'taker')),
        side          TEXT NOT NULL CHECK (side IN ('buy', 'sell')),
        price_ticks   BIGINT NOT NULL CHECK (price_ticks > 0),
        size_lots     BIGINT NOT NULL CHECK (size_lots > 0),
        base_atoms    NUMERIC(39, 0) NOT NULL CHECK (base_atoms > 0),
        quote_atoms   NUMERIC(39, 0) NOT NULL CHECK (quote_atoms > 0),
        fee_atoms     NUMERIC(39, 0) NOT NULL,
        PRIMARY KEY (account_id, trade_id)
    )
    """,
    """
    CREATE TABLE balances (
        account_id       BIGINT NOT NULL,
        asset_id         BIGINT NOT NULL,
        available_atoms  NUMERIC NOT NULL,
        held_atoms       NUMERIC(39, 0) NOT NULL,
        updated_seq      BIGINT NOT NULL,
        PRIMARY KEY (account_id, asset_id),
        CHECK (held_atoms >= 0),
        CHECK (
            account_id < 1000
            OR (
                available_atoms >= 0
                AND available_atoms + held_atoms < 340282366920938463463374607431768211456 -- 2^128
            )
        )
    ) WITH (fillfactor = 50)
    """,
    """
    CREATE TABLE ledger_entries (
        account_id             BIGINT NOT NULL,
        seq                    BIGINT NOT NULL,
        event_index            INTEGER NOT NULL,
        entry_index            INTEGER NOT NULL,
        time_ns                BIGINT NOT NULL,
        asset_id               BIGINT NOT NULL,
        available_delta_atoms  NUMERIC(39, 0) NOT NULL,
        held_delta_atoms       NUMERIC(39, 0) NOT NULL,
        available_atoms        NUMERIC NOT NULL,
        held_atoms             NUMERIC(39, 0) NOT NULL,
        kind                   TEXT NOT NULL,
        reference              TEXT NOT NULL,
        PRIMARY KEY (account_id, seq, event_index, entry_index)
    )
    """,
    """
    CREATE TABLE deposits (
        chain_id      BIGINT NOT NULL,
        vault         TEXT NOT NULL,
        number        BIGINT NOT NULL CHECK (number >= 1),
        account_id    BIGINT NOT NULL,
        owner         TEXT NOT NULL,
        asset_id      BIGINT NOT NULL,
        token         TEXT NOT NULL,
        amount_atoms  NUMERIC(39, 0) NOT NULL CHECK (amount_atoms > 0),
        tx_hash       TEXT NOT NULL,
        log_index     BIGINT NOT NULL,
        block_number  BIGINT NOT NULL,
        seq           BIGINT NOT NULL,
        event_index   INTEGER NOT NULL,
        time_ns       BIGINT NOT NULL,
        PRIMARY KEY (chain_id, vault, number)
    )
    """,
    "CREATE INDEX deposits_of_account ON deposits (account_id, seq, event_index)",
    """
    CREATE TABLE withdrawals (
        withdrawal_id  TEXT PRIMARY KEY,
        account_id     BIGINT NOT NULL,
        asset_id       BIGINT NOT NULL,
        amount_atoms   NUMERIC(39, 0) NOT NULL CHECK (amount_atoms > 0),
        fee_atoms      NUMERIC(39, 0) NOT NULL CHECK (fee_atoms BETWEEN 0 AND amount_atoms),
        destination    TEXT NOT NULL,
        nonce          NUMERIC(78, 0) NOT NULL,
        deadline_s     BIGINT NOT NULL,
        owner          TEXT NOT NULL,
        chain_id       BIGINT NOT NULL,
        vault          TEXT NOT NULL,
        token          TEXT NOT NULL,
        status         TEXT NOT NULL CHECK (status IN ('requested', 'paid', 'claimable', 'refunded')),
        tx_hash        TEXT,
        block_number   BIGINT,
        seq            BIGINT NOT NULL,
        event_index    INTEGER NOT NULL,
        time_ns        BIGINT NOT NULL,
        updated_seq    BIGINT NOT NULL CHECK (updated_seq >= seq),
        updated_ns     BIGINT NOT NULL,
        CHECK ((status IN ('paid', 'claimable')) = (tx_hash IS NOT NULL)),
        CHECK ((status = 'requested') = (block_number IS NULL))
    )
    """,
    "CREATE INDEX withdrawals_of_account ON withdrawals (account_id, seq, event_index)",
    # Which trades were, or are just being, inserted into ClickHouse: a block is written here first
    # and repeated unchanged until it is marked. The totals are those after the block.
    """
    CREATE TABLE clickhouse_blocks (
        generation    BIGINT NOT NULL,
        number        BIGINT NOT NULL,
        seq_after     BIGINT NOT NULL,
        seq_last      BIGINT NOT NULL CHECK (seq_last > seq_after),
        trades        BIGINT NOT NULL CHECK (trades > 0),
        trades_total  BIGINT NOT NULL CHECK (trades_total >= trades),
        ids_total     NUMERIC NOT NULL,
        inserted      BOOLEAN NOT NULL DEFAULT FALSE,
        PRIMARY KEY (generation, number)
    )
    """,
)


def upgrade() -> None:
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    raise NotImplementedError("migrations only go forward: restore a backup")
