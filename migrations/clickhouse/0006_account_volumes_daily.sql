-- What each account has traded in each market on each day (UTC, counted from 1970), as maker or taker: fee tiers
-- read it, and no route shows it.
CREATE TABLE IF NOT EXISTS account_volumes_daily{local}{on_cluster}
(
    day          UInt32,
    market_id    UInt32,
    account_id   UInt64,
    quote_atoms  SimpleAggregateFunction(sum, UInt256),
    trades       SimpleAggregateFunction(sum, UInt64)
)
ENGINE = {Replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(toDate(day))
ORDER BY (day, market_id, account_id)
SETTINGS non_replicated_deduplication_window = 1000, replicated_deduplication_window = 1000,
    replicated_deduplication_window_seconds = 2592000;

CREATE MATERIALIZED VIEW IF NOT EXISTS account_volumes_of_trades{on_cluster} TO account_volumes_daily{local} AS
SELECT
    toUInt32(intDiv(time_ns, 86400000000000)) AS day,
    market_id,
    account_id,
    sum(toUInt256(t.quote_atoms)) AS quote_atoms,
    count() AS trades
FROM trades{local} AS t
ARRAY JOIN [maker_account_id, taker_account_id] AS account_id
GROUP BY day, market_id, account_id;
