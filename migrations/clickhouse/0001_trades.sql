-- Every trade once, in integers: ticks, lots and atoms. Rebuildable from the journal.
CREATE TABLE IF NOT EXISTS trades
(
    market_id    UInt32,
    trade_id     UInt64,
    seq          UInt64,
    time_ns      UInt64,
    price_ticks  UInt64,
    size_lots    UInt64,
    base_atoms   UInt128,
    quote_atoms  UInt128,
    taker_side   Enum8('buy' = 1, 'sell' = 2)
)
ENGINE = MergeTree
ORDER BY (market_id, trade_id)
SETTINGS non_replicated_deduplication_window = 1000;
