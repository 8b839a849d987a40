"""The baseline: an exchange as it is usually written, on the same database server, with FastAPI in front.

Each order is a transaction of its own, committed as durably as ours before it is answered: the market's row
is locked, balances are changed where they are, makers are found by an index and locked, all that a statement
can do for many rows at once is one statement, prepared once. No ORM, no streams, no candles, no journal. What
an order costs here is what the SQL of one order costs. Words:

    start  with accounts and a full book; where it listens
    check  what does not agree with what clients were told

    python -m scripts.bench.load.baseline SETTINGS
"""

import asyncio
import random
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import asyncpg
import msgspec
import uvloop
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from scripts.bench.children import Told, obey
from scripts.bench.load import baseline_tables as sql
from scripts.bench.load.clients import Totals
from scripts.bench.load.traders import Loaded, Trader
from scripts.bench.orders import draw_resting

from exchange.core.units import div_ceil
from exchange.edge.server import Server, listen
from exchange.stores.postgres import open_connection, open_pool

BASE, QUOTE = "ETH", "USDC"
LOT_ATOMS = 10**14
UNIT_ATOMS = 1
"""Quote atoms of one lot at a price of one tick: 0.0001 ETH at 0.01 USDC."""
MAKER_FEE_BPS, TAKER_FEE_BPS = 10, 20
RICH_BASE_ATOMS, RICH_QUOTE_ATOMS = 10**6 * 10**18, 10**10 * 10**6
MAKERS_AT_ONCE = 50
POOL = 10
"""Connections; more did not make it faster."""


class Settings(msgspec.Struct):
    """Where it keeps its tables, and what is in them when it starts. `loaded`: where that is written down."""

    database_url: str
    loaded: str
    traders: int
    sub_accounts: int
    open_orders: int
    seed: int


class PlaceOrder(BaseModel):
    """A limit order, as the exchange takes it."""

    model_config = ConfigDict(extra="forbid")
    market: Literal["ETH-USDC"]
    side: Literal["buy", "sell"]
    time_in_force: Literal["gtc", "ioc"] = "gtc"
    price: str
    size: str
    sub_account: int = 0
    client_order_id: str | None = None


@dataclass(slots=True)
class Fill:
    """With one maker."""

    order_id: int
    price_ticks: int
    lots: int
    remaining_lots: int
    held_atoms: int
    maker_fee_atoms: int
    taker_fee_atoms: int


@dataclass(slots=True)
class Moves:
    """Changes of balances, added up: (available, held) by account and asset."""

    by_balance: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def add(self, account_id: int, asset: str, available_atoms: int, held_atoms: int) -> None:
        change = self.by_balance.setdefault((account_id, asset), [0, 0])
        change[0] += available_atoms
        change[1] += held_atoms

    async def write(self, connection: asyncpg.Connection, order_id: int) -> None:
        """All in one statement."""
        items = sorted(self.by_balance.items())
        await connection.execute(
            sql.MOVE,
            [account_id for (account_id, _), _ in items],
            [asset for (_, asset), _ in items],
            [change[0] for _, change in items],
            [change[1] for _, change in items],
            order_id,
        )


def notional_atoms(price_ticks: int, lots: int) -> int:
    """Exact: one lot at one tick is a whole atom."""
    return price_ticks * lots * UNIT_ATOMS


def fee_atoms(quote_atoms: int, bps: int) -> int:
    """Rounded up, for each fill by itself."""
    return div_ceil(quote_atoms * bps, 10_000)


def hold_atoms(price_ticks: int, lots: int, *, is_buy: bool) -> int:
    """What an order needs: a buy the quote with the higher fee, a sale the base."""
    if not is_buy:
        return lots * LOT_ATOMS
    quote_atoms = notional_atoms(price_ticks, lots)
    return quote_atoms + fee_atoms(quote_atoms, TAKER_FEE_BPS)


async def place(connection: asyncpg.Connection, account_id: int, order: PlaceOrder) -> dict[str, Any]:
    """One order in one transaction."""
    is_buy, price_ticks, lots = order.side == "buy", ticks_of(order.price), lots_of(order.size)
    held_asset = QUOTE if is_buy else BASE
    held = hold_atoms(price_ticks, lots, is_buy=is_buy)
    async with connection.transaction():
        await connection.fetchval(sql.LOCK_MARKET)
        order_id = await connection.fetchval(
            sql.INSERT_ORDER, account_id, is_buy, price_ticks, lots, held, order.client_order_id
        )
        moves = Moves()
        moves.add(account_id, held_asset, -held, held)
        fills, remaining = await match(
            connection, account_id, moves, price_ticks=price_ticks, lots=lots, is_buy=is_buy
        )
        if fills:
            await write_fills(connection, order_id, fills)
        ends = not remaining or order.time_in_force == "ioc"
        if fills or ends:
            still_held = 0 if ends else hold_atoms(price_ticks, remaining, is_buy=is_buy)
            spent = sum(
                notional_atoms(fill.price_ticks, fill.lots) + fill.taker_fee_atoms
                if is_buy
                else fill.lots * LOT_ATOMS
                for fill in fills
            )
            released = held - spent - still_held
            moves.add(account_id, held_asset, released, -released)
            status = "filled" if not remaining else ("cancelled" if ends else "open")
            await connection.execute(sql.UPDATE_ORDER, order_id, remaining, still_held, status)
        await moves.write(connection, order_id)
    return answer(order_id, lots, remaining)


async def match(
    connection: asyncpg.Connection, taker_id: int, moves: Moves, *, price_ticks: int, lots: int, is_buy: bool
) -> tuple[list[Fill], int]:
    """Trades with the best makers; the fills and what remains of the order."""
    fills: list[Fill] = []
    makers = await connection.fetch(
        sql.BEST_ASKS if is_buy else sql.BEST_BIDS, price_ticks, min(lots, MAKERS_AT_ONCE)
    )
    for maker_order_id, maker_id, maker_ticks, maker_lots, maker_held in makers:
        if not lots:
            break
        traded = min(lots, maker_lots)
        quote_atoms, base_atoms = notional_atoms(maker_ticks, traded), traded * LOT_ATOMS
        maker_fee, taker_fee = fee_atoms(quote_atoms, MAKER_FEE_BPS), fee_atoms(quote_atoms, TAKER_FEE_BPS)
        remaining = maker_lots - traded
        still_held = hold_atoms(maker_ticks, remaining, is_buy=not is_buy) if remaining else 0
        if is_buy:
            moves.add(taker_id, QUOTE, 0, -(quote_atoms + taker_fee))
            moves.add(taker_id, BASE, base_atoms, 0)
            moves.add(maker_id, BASE, 0, -base_atoms)
            moves.add(maker_id, QUOTE, quote_atoms - maker_fee, 0)
        else:
            released = maker_held - still_held - quote_atoms - maker_fee
            moves.add(taker_id, BASE, 0, -base_atoms)
            moves.add(taker_id, QUOTE, quote_atoms - taker_fee, 0)
            moves.add(maker_id, QUOTE, released, still_held - maker_held)
            moves.add(maker_id, BASE, base_atoms, 0)
        fills.append(Fill(maker_order_id, maker_ticks, traded, remaining, still_held, maker_fee, taker_fee))
        lots -= traded
    return fills, lots


async def write_fills(connection: asyncpg.Connection, order_id: int, fills: list[Fill]) -> None:
    """Makers, trades and the last price."""
    ids = [fill.order_id for fill in fills]
    await connection.execute(
        sql.FILL_MAKERS, ids, [fill.remaining_lots for fill in fills], [fill.held_atoms for fill in fills]
    )
    await connection.execute(
        sql.INSERT_TRADES,
        order_id,
        ids,
        [fill.price_ticks for fill in fills],
        [fill.lots for fill in fills],
        [fill.maker_fee_atoms for fill in fills],
        [fill.taker_fee_atoms for fill in fills],
    )
    await connection.execute(sql.SET_LAST, fills[-1].price_ticks)


async def cancel(connection: asyncpg.Connection, trader_ids: frozenset[int], order_id: int) -> dict[str, Any]:
    """One cancel in one transaction. Raises HTTPException."""
    async with connection.transaction():
        await connection.fetchval(sql.LOCK_MARKET)
        record = await connection.fetchrow(sql.OPEN_ORDER, order_id)
        if record is None or record["account_id"] not in trader_ids:
            raise HTTPException(404, "unknown_order")
        moves = Moves()
        held = record["held_atoms"]
        moves.add(record["account_id"], QUOTE if record["is_buy"] else BASE, held, -held)
        await connection.execute(sql.UPDATE_ORDER, order_id, record["remaining_lots"], 0, "cancelled")
        await moves.write(connection, order_id)
    return answer(order_id, record["size_lots"], record["remaining_lots"])


def answer(order_id: int, lots: int, remaining: int) -> dict[str, Any]:
    """What a client wants to know, in the words of the exchange."""
    return {"order": {"order_id": str(order_id), "filled": f"{(lots - remaining) / 10_000:.4f}"}}


def ticks_of(price: str) -> int:
    """Of a price with at most two decimals."""
    whole, _, cents = price.partition(".")
    return int(whole) * 100 + int(cents.ljust(2, "0"))


def lots_of(size: str) -> int:
    """Of a size with at most four decimals."""
    whole, _, part = size.partition(".")
    return int(whole) * 10_000 + int(part.ljust(4, "0"))


def create_app(pool: asyncpg.Pool, accounts_of: dict[str, list[int]]) -> FastAPI:
    """The two routes that the load uses. A token names the trader; sessions are in memory, as ours are."""
    app = FastAPI(openapi_url=None)

    async def own_accounts(authorization: Annotated[str, Header()]) -> list[int]:
        accounts = accounts_of.get(authorization.removeprefix("Bearer "))
        if accounts is None:
            raise HTTPException(401, "session_invalid")
        return accounts

    own = Annotated[list[int], Depends(own_accounts)]

    @app.post("/v1/orders", status_code=201)
    async def post_order(order: PlaceOrder, accounts: own) -> dict[str, Any]:
        async with pool.acquire() as connection:
            return await place(connection, accounts[order.sub_account], order)

    @app.delete("/v1/orders/{order_id}")
    async def delete_order(order_id: int, accounts: own) -> dict[str, Any]:
        async with pool.acquire() as connection:
            return await cancel(connection, frozenset(accounts), order_id)

    @app.exception_handler(HTTPException)
    async def refused(_: Any, error: HTTPException) -> JSONResponse:
        return JSONResponse({"code": error.detail}, error.status_code)

    return app


async def prepare(settings: Settings) -> dict[str, list[int]]:
    """Accounts, balances and a full book; each trader's accounts by token."""
    draw = random.Random(settings.seed)
    traders, subs = settings.traders, settings.sub_accounts
    loaded = Loaded(
        [Trader(f"trader-{n}", "", "", [[] for _ in range(subs)]) for n in range(traders)], [0, 0]
    )
    held = {(account, asset): 0 for account in range(traders * subs) for asset in (BASE, QUOTE)}
    orders: list[tuple[Any, ...]] = []
    for index in range(settings.open_orders):
        account = index % (traders * subs)
        resting = draw_resting(draw, account // subs, evenly=True)
        holds = hold_atoms(resting.price_ticks, resting.lots, is_buy=resting.is_buy)
        held[account, QUOTE if resting.is_buy else BASE] += holds
        order_id = index + 1
        orders.append(
            (
                order_id,
                account,
                resting.is_buy,
                resting.price_ticks,
                resting.lots,
                resting.lots,
                holds,
                "open",
            )
        )
        if resting.is_far:
            loaded.traders[account // subs].far[account % subs].append(order_id)
        else:
            loaded.near_lots[not resting.is_buy] += resting.lots
    connection = await open_connection(settings.database_url)
    try:
        await fill_tables(connection, settings, held, orders)
    finally:
        await connection.close()
    await asyncio.to_thread(Path(settings.loaded).write_bytes, msgspec.json.encode(loaded))
    return {f"trader-{n}": list(range(n * subs, (n + 1) * subs)) for n in range(traders)}


async def fill_tables(
    connection: asyncpg.Connection,
    settings: Settings,
    held: dict[tuple[int, str], int],
    orders: list[tuple[Any, ...]],
) -> None:
    """Everything at once, and the planner told of it."""
    await connection.execute(sql.SCHEMA)
    subs = settings.sub_accounts
    accounts = [(n, f"owner-{n // subs}", n % subs) for n in range(settings.traders * subs)]
    await connection.copy_records_to_table("accounts", records=accounts)
    rich = {BASE: RICH_BASE_ATOMS, QUOTE: RICH_QUOTE_ATOMS}
    balances = [(*key, rich[key[1]] - atoms, atoms) for key, atoms in held.items()]
    await connection.copy_records_to_table("balances", records=balances)
    columns = [
        "order_id",
        "account_id",
        "is_buy",
        "price_ticks",
        "size_lots",
        "remaining_lots",
        "held_atoms",
        "status",
    ]
    await connection.copy_records_to_table("orders", columns=columns, records=orders)
    await connection.execute("ALTER TABLE orders ALTER COLUMN order_id RESTART WITH 1000000")
    await connection.execute("VACUUM ANALYZE")


async def faults_of(settings: Settings, totals: Totals) -> list[str]:
    """What does not agree: orders that were acknowledged, and all the money there is."""
    connection = await open_connection(settings.database_url)
    try:
        orders = await connection.fetchval("SELECT count(DISTINCT client_order_id) FROM orders")
        sums = dict(
            await connection.fetch("SELECT asset, sum(available) + sum(held) FROM balances GROUP BY asset")
        )
        fees = await connection.fetchval(
            "SELECT coalesce(sum(maker_fee_atoms + taker_fee_atoms), 0) FROM trades"
        )
    finally:
        await connection.close()
    faults: list[str] = []
    if orders != totals.placed:
        faults.append(f"baseline: {orders:,} orders are there, {totals.placed:,} were acknowledged")
    accounts = settings.traders * settings.sub_accounts
    if sums != {BASE: RICH_BASE_ATOMS * accounts, QUOTE: RICH_QUOTE_ATOMS * accounts - fees}:
        faults.append(
            f"baseline: there should be as much as in the beginning, less the fees; there is {sums}"
        )
    return faults


async def live(settings: Settings) -> None:
    """Serves until its input ends."""
    sockets = listen("127.0.0.1", 0)
    tasks: list[asyncio.Task[None]] = []

    async def start() -> int:
        accounts_of = await prepare(settings)
        pool = await open_pool(settings.database_url, POOL, POOL)
        server = Server(create_app(pool, accounts_of))
        tasks.append(asyncio.create_task(server.run_until_cancelled(sockets)))
        port: int = sockets[0].getsockname()[1]
        return port

    async def check(totals: Totals) -> list[str]:
        return await faults_of(settings, totals)

    await obey({"start": start, "check": Told(Totals, check)})
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def main() -> None:
    """In the loop and on the server that ours runs on."""
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(live(settings))


if __name__ == "__main__":
    main()
