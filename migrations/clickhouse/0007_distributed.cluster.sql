-- In a cluster only: what is inserted into and read from, over the tables of each server. All trades of a market
-- are on one shard, so its candles are made there, whole; an account's volumes are added up when they are read.
CREATE TABLE IF NOT EXISTS trades{on_cluster} AS trades{local}
ENGINE = Distributed({cluster}, {database}, trades{local}, market_id);

CREATE TABLE IF NOT EXISTS candles_1s{on_cluster} AS candles_1s{local}
ENGINE = Distributed({cluster}, {database}, candles_1s{local}, market_id);

CREATE TABLE IF NOT EXISTS candles{on_cluster} AS candles{local}
ENGINE = Distributed({cluster}, {database}, candles{local}, market_id);

CREATE TABLE IF NOT EXISTS account_volumes_daily{on_cluster} AS account_volumes_daily{local}
ENGINE = Distributed({cluster}, {database}, account_volumes_daily{local}, market_id);
