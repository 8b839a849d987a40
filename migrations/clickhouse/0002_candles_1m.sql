-- One-minute candles over [60 minute, 60 minute + 60) seconds. `open` and `close` are the prices of the first
-- and last trade by id. The target has a deduplication window of its own: without it a repeated block, though
-- kept out of trades, would be added here again.
CREATE TABLE IF NOT EXISTS candles_1m
(
    market_id    UInt32,
    minute       UInt32,
    open         AggregateFunction(argMin, UInt64, UInt64),
    high         SimpleAggregateFunction(max, UInt64),
    low          SimpleAggregateFunction(min, UInt64),
    close        AggregateFunction(argMax, UInt64, UInt64),
    volume_lots  SimpleAggregateFunction(sum, UInt256),
    base_atoms   SimpleAggregateFunction(sum, UInt256),
    quote_atoms  SimpleAggregateFunction(sum, UInt256),
    trades       SimpleAggregateFunction(sum, UInt64)
)
ENGINE = AggregatingMergeTree
ORDER BY (market_id, minute)
SETTINGS non_replicated_deduplication_window = 1000;

CREATE MATERIALIZED VIEW IF NOT EXISTS candles_1m_of_trades TO candles_1m AS
SELECT
    market_id,
    toUInt32(intDiv(time_ns, 60000000000)) AS minute,
    argMinState(price_ticks, trade_id) AS open,
    max(price_ticks) AS high,
    min(price_ticks) AS low,
    argMaxState(price_ticks, trade_id) AS close,
    sum(toUInt256(size_lots)) AS volume_lots,
    sum(toUInt256(trades.base_atoms)) AS base_atoms,
    sum(toUInt256(trades.quote_atoms)) AS quote_atoms,
    count() AS trades
FROM trades
GROUP BY market_id, minute;
