-- Candles of one second, over [open_s, open_s + 1). `open` and `close` are the prices of the first and the last
-- trade by id. Every view's target has a deduplication window of its own: without it a repeated block, though
-- kept out of trades, would be added here again.
-- They are as many as all others together and of use for a short time only: a week's partition is dropped as a
-- whole when its last candle is 31 days old. Readers are shown 30 days.
CREATE TABLE IF NOT EXISTS candles_1s{local}{on_cluster}
(
    market_id       UInt32,
    open_s          Int64 CODEC(Delta, ZSTD),
    open            AggregateFunction(argMin, UInt64, UInt64),
    high            SimpleAggregateFunction(max, UInt64),
    low             SimpleAggregateFunction(min, UInt64),
    close           AggregateFunction(argMax, UInt64, UInt64),
    volume_lots     SimpleAggregateFunction(sum, UInt256),
    base_atoms      SimpleAggregateFunction(sum, UInt256),
    quote_atoms     SimpleAggregateFunction(sum, UInt256),
    trades          SimpleAggregateFunction(sum, UInt64),
    first_trade_id  SimpleAggregateFunction(min, UInt64),
    last_trade_id   SimpleAggregateFunction(max, UInt64)
)
ENGINE = {Replicated}AggregatingMergeTree
PARTITION BY toMonday(toDateTime(open_s, 'UTC'))
ORDER BY (market_id, open_s)
TTL toDateTime(open_s, 'UTC') + INTERVAL 31 DAY
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000,
    replicated_deduplication_window_seconds = 2592000, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS candles_1s_of_trades{on_cluster} TO candles_1s{local} AS
SELECT
    market_id,
    toInt64(intDiv(time_ns, 1000000000)) AS open_s,
    argMinState(price_ticks, trade_id) AS open,
    max(price_ticks) AS high,
    min(price_ticks) AS low,
    argMaxState(price_ticks, trade_id) AS close,
    sum(toUInt256(size_lots)) AS volume_lots,
    sum(toUInt256(t.base_atoms)) AS base_atoms,
    sum(toUInt256(t.quote_atoms)) AS quote_atoms,
    count() AS trades,
    min(trade_id) AS first_trade_id,
    max(trade_id) AS last_trade_id
FROM trades{local} AS t
GROUP BY market_id, open_s;
