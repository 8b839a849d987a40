"""Table `daily_volumes`: what each account has traded by day, for the fee tiers."""

from collections.abc import Collection

import asyncpg

from exchange.core.events import Event, Trade
from exchange.projections.place import Place
from exchange.stores.postgres import Connection

DAY_NS = 86_400 * 10**9


async def volumes_of_owners(
    connection: Connection | asyncpg.Pool, market_ids: Collection[int], first_day: int
) -> dict[str, int]:
    """Quote atoms that each owner's accounts have traded in the markets since the beginning of `first_day`.

    Days are UTC, counted from 1970. The markets should have one quote asset.
    """
    records = await connection.fetch(
        """
        SELECT a.owner, sum(v.quote_atoms) AS quote_atoms
        FROM daily_volumes AS v JOIN accounts AS a ON a.account_id = v.account_id
        WHERE v.day >= $1 AND v.market_id = ANY($2::BIGINT[])
        GROUP BY a.owner ORDER BY a.owner
        """,
        first_day,
        list(market_ids),
    )
    return {record["owner"]: record["quote_atoms"] for record in records}


class NewVolumes:
    """The volumes of some batches of the journal."""

    def __init__(self) -> None:
        self._atoms: dict[tuple[int, int, int], int] = {}

    def take(self, event: Event, place: Place) -> None:
        if not isinstance(event, Trade):
            return
        day = place.time_ns // DAY_NS
        for account_id in (event.maker_account_id, event.taker_account_id):
            key = (account_id, event.market_id, day)
            self._atoms[key] = self._atoms.get(key, 0) + event.quote_atoms

    async def write(self, connection: Connection) -> None:
        if not self._atoms:
            return
        await connection.execute(
            """
            INSERT INTO daily_volumes AS v (account_id, market_id, day, quote_atoms)
            SELECT n.account_id, n.market_id, n.day, n.quote_atoms
            FROM unnest($1::BIGINT[], $2::BIGINT[], $3::INTEGER[], $4::NUMERIC[])
                AS n (account_id, market_id, day, quote_atoms)
            ON CONFLICT (account_id, market_id, day)
                DO UPDATE SET quote_atoms = v.quote_atoms + EXCLUDED.quote_atoms
            """,
            *(list(column) for column in zip(*self._atoms, strict=True)),
            list(self._atoms.values()),
        )
