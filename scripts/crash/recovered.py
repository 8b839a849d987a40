"""The recovered state: what the exchange tells its clients and keeps in its read tables, by the journal."""

import asyncio
import time
from decimal import Decimal
from typing import Any

import aiohttp
import asyncpg
from scripts.crash.compare import Finding, lost, wrong
from scripts.crash.history import History, OrderHistory
from scripts.crash.public_api import ApiFailed, Trader, listing, request

from exchange.core.markets import Market
from exchange.core.units import format_atoms
from exchange.core.words import Side

MARKET_DATA_TIMEOUT_S = 60.0
SERVICE_UNAVAILABLE = 503


async def compare_account(
    http: aiohttp.ClientSession, trader: Trader, history: History, market: Market, since_seq: int
) -> list[Finding]:
    """Balances, open orders, and the orders and fills since `since_seq`, as the API gives them."""
    findings = await _balances(http, trader, history)
    expected = history.open_orders(trader.account_id)
    items = await listing(http, "/v1/orders", trader, history.seq, status="open")
    findings += _orders("an open order", trader, items, expected, market)
    expected = {
        order_id: order
        for order_id, order in history.orders.items()
        if order_id > since_seq and order.accepted.account_id == trader.account_id
    }
    items = await listing(
        http,
        "/v1/orders",
        trader,
        history.seq,
        until=lambda item: int(item["order_id"]) <= since_seq,
        status="all",
    )
    findings += _orders("an order", trader, items, expected, market)
    return findings + await _fills(http, trader, history, market, since_seq)


async def compare_tables(connection: asyncpg.Connection, history: History) -> list[Finding]:
    """The read tables' balances: those of the journal, the sum of their entries, and zero per asset."""
    findings: list[Finding] = []
    stored = {
        (account_id, asset_id): [available_atoms, held_atoms]
        for account_id, asset_id, available_atoms, held_atoms in await connection.fetch(
            "SELECT account_id, asset_id, available_atoms, held_atoms FROM balances"
        )
    }
    for account_id, asset_id in stored.keys() | history.balances.keys():
        found = stored.get((account_id, asset_id), [0, 0])
        expected = history.balances.get((account_id, asset_id), [0, 0])
        if found != expected:
            findings.append(
                wrong(f"table balances: account {account_id}, asset {asset_id} has {found}, not {expected}")
            )
    for asset_id, sum_atoms in await connection.fetch(
        "SELECT asset_id, sum(available_atoms + held_atoms) FROM balances GROUP BY asset_id"
    ):
        if sum_atoms != 0:
            findings.append(wrong(f"table balances: asset {asset_id} sums to {sum_atoms} atoms, not to zero"))
    for account_id, asset_id in await connection.fetch(
        """
        SELECT b.account_id, b.asset_id FROM balances AS b
        JOIN (
            SELECT account_id, asset_id,
                sum(available_delta_atoms) AS available, sum(held_delta_atoms) AS held
            FROM ledger_entries GROUP BY account_id, asset_id
        ) AS e ON e.account_id = b.account_id AND e.asset_id = b.asset_id
        WHERE e.available <> b.available_atoms OR e.held <> b.held_atoms
        """
    ):
        findings.append(
            wrong(f"table ledger_entries: account {account_id}, asset {asset_id} adds up to another balance")
        )
    return findings


async def compare_market_data(http: aiohttp.ClientSession, history: History, market: Market) -> list[Finding]:
    """The candles, which ClickHouse has from its own copy of the trades, when they have caught up."""
    deadline = time.monotonic() + MARKET_DATA_TIMEOUT_S
    path = f"/v1/markets/{market.symbol}/candles"
    while True:
        try:
            answer = await request(http, "GET", path, params={"limit": "1000", "min_seq": str(history.seq)})
            break
        except ApiFailed as error:
            if error.status != SERVICE_UNAVAILABLE or time.monotonic() > deadline:
                return [wrong(f"the candles never caught up: {error}")]
            await asyncio.sleep(0.1)
    trades = sum(candle["trades"] for candle in answer["items"])
    volume = sum(Decimal(candle["volume"]) for candle in answer["items"])
    made = [entry.trade for entry in history.trades.values() if entry.trade.market_id == market.market_id]
    expected = Decimal(market.format_size(sum(trade.size_lots for trade in made)))
    if trades == len(made) and volume == expected:
        return []
    return [wrong(f"the candles show {trades} trades of {volume}, the journal {len(made)} of {expected}")]


async def _balances(http: aiohttp.ClientSession, trader: Trader, history: History) -> list[Finding]:
    answer = await request(http, "GET", "/v1/balances", trader, params={"min_seq": str(history.seq)})
    shown = {item["asset"]: (item["available"], item["held"]) for item in answer["items"]}
    findings: list[Finding] = []
    for asset_id, asset in history.assets.items():
        atoms = history.balances.get((trader.account_id, asset_id), [0, 0])
        expected = tuple(format_atoms(amount, asset.decimals) for amount in atoms)
        if shown.get(asset.symbol) != expected:
            found = shown.get(asset.symbol)
            findings.append(
                wrong(
                    f"account {trader.account_id} is shown {found} {asset.symbol}, the journal has {expected}"
                )
            )
    return findings


def _orders(
    what: str, trader: Trader, items: list[dict[str, Any]], expected: dict[int, OrderHistory], market: Market
) -> list[Finding]:
    findings: list[Finding] = []
    shown = {int(item["order_id"]): item for item in items}
    if len(shown) != len(items):
        findings.append(wrong(f"account {trader.account_id} is shown {what} twice"))
    findings += [
        lost(f"{what} of account {trader.account_id}, {order_id}, is not shown")
        for order_id in sorted(expected.keys() - shown.keys())
    ]
    findings += [
        wrong(f"account {trader.account_id} is shown {order_id} as {what}, which it is not")
        for order_id in sorted(shown.keys() - expected.keys())
    ]
    for order_id in shown.keys() & expected.keys():
        item, order = shown[order_id], expected[order_id]
        accepted = order.accepted
        journaled = {
            "client_order_id": accepted.client_order_id,
            "market": market.symbol,
            "side": accepted.side,
            "type": accepted.order_type,
            "time_in_force": accepted.time_in_force,
            "price": market.format_price(accepted.price_ticks),
            "size": market.format_size(accepted.size_lots),
            "remaining": market.format_size(order.remaining_lots),
            "status": order.status,
        }
        differing = {name: item[name] for name, value in journaled.items() if item[name] != value}
        if differing:
            findings.append(lost(f"order {order_id} is shown with {differing}, the journal has {journaled}"))
    return findings


async def _fills(
    http: aiohttp.ClientSession, trader: Trader, history: History, market: Market, since_seq: int
) -> list[Finding]:
    expected: dict[int, tuple[str, ...]] = {}
    older = 0
    for trade_id, made in history.trades.items():
        trade = made.trade
        if made.seq <= since_seq:
            older = max(older, trade_id)
            continue
        taker_is_buy = trade.taker_side is Side.BUY
        for account_id, order_id, role, side, fee_atoms in (
            (trade.maker_account_id, trade.maker_order_id, "maker", not taker_is_buy, trade.maker_fee_atoms),
            (trade.taker_account_id, trade.taker_order_id, "taker", taker_is_buy, trade.taker_fee_atoms),
        ):
            if account_id == trader.account_id:
                expected[trade_id] = (
                    str(order_id),
                    role,
                    "buy" if side else "sell",
                    market.format_price(trade.price_ticks),
                    market.format_size(trade.size_lots),
                    format_atoms(trade.quote_atoms, market.quote_decimals),
                    format_atoms(fee_atoms, market.quote_decimals),
                )
    items = await listing(
        http, "/v1/fills", trader, history.seq, until=lambda item: int(item["trade_id"]) <= older
    )
    names = ("order_id", "role", "side", "price", "size", "amount", "fee")
    shown = {int(item["trade_id"]): tuple(item[name] for name in names) for item in items}
    findings = [
        lost(f"fill {trade_id} of account {trader.account_id} is shown as {shown.get(trade_id)}, not {fill}")
        for trade_id, fill in expected.items()
        if shown.get(trade_id) != fill
    ]
    if len(items) != len(expected):
        findings.append(
            wrong(f"account {trader.account_id} is shown {len(items)} fills, the journal has {len(expected)}")
        )
    return findings
