"""Table `account_volumes_daily` in ClickHouse: what each account has traded by day, for the fee tiers."""

from collections.abc import Collection

from exchange.stores.clickhouse import ClickHouse

DAY_NS = 86_400 * 10**9
READ_TIMEOUT_S = 30.0


async def volumes_of_accounts(
    clickhouse: ClickHouse, market_ids: Collection[int], first_day: int
) -> dict[int, int]:
    """Quote atoms that each account has traded in the markets since the beginning of `first_day`.

    Days are UTC, counted from 1970; the markets should have one quote asset. What it has of a day grows while
    the projection follows, so its seq must be read before and be no less after. Raises ClickHouseError.
    """
    rows = await clickhouse.query(
        "SELECT account_id, sum(quote_atoms) FROM account_volumes_daily"
        " WHERE day >= {first:UInt32} AND market_id IN {markets:Array(UInt32)}"
        " GROUP BY account_id ORDER BY account_id",
        {"first": max(first_day, 0), "markets": sorted(market_ids)},
        timeout_s=READ_TIMEOUT_S,
    )
    return {row[0]: row[1] for row in rows}
