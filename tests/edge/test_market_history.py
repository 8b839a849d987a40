"""Candles, tickers and trades over REST equal what the trades themselves make, page by page."""

import asyncio
import random
from collections.abc import AsyncIterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, get_args

import pytest
from tests.edge.market_history import (
    DAY_MS,
    INTERVAL_MS,
    MARKET,
    TradedMarket,
    candles_of,
    count_reads,
    filled,
    in_decimals,
    open_of,
    traded_market,
)

from exchange.edge.caching import FINAL, REVALIDATE
from exchange.edge.rest.market_data import CandlesAnswer, Interval, TradesAnswer
from exchange.edge.rest.tickers import change_bps
from exchange.projections.candles import INTERVALS_S

CANDLES = f"{MARKET}/candles"


@pytest.fixture
async def market(request, database_url, pool, clickhouse) -> AsyncIterator[TradedMarket]:
    async with traded_market(database_url, pool, clickhouse, getattr(request, "param", 1)) as traded:
        yield traded


def test_the_intervals_of_the_api_are_those_of_the_tables():
    assert get_args(Interval) == tuple(INTERVALS_S)
    assert {name: seconds * 1_000 for name, seconds in INTERVALS_S.items()} == INTERVAL_MS


@pytest.mark.parametrize("market", [1, 2], indirect=True)
async def test_candles_of_every_interval_equal_a_recomputation_from_the_trades(market, subtests):
    rng = random.Random(3)
    trades = await market.all_trades(rng)
    assert len(trades) > 100
    end = market.wall.now_ms + 1
    for interval, length in INTERVAL_MS.items():
        expected = candles_of(trades, interval)
        everything = filled(expected, interval, open_of(interval, end) + length)
        with subtests.test(f"{interval}, the newest and back"):
            assert await backwards(market, rng, interval) == expected
        with subtests.test(f"{interval}, from the first on"):
            assert await forwards(market, rng, interval, expected[0]["open_ms"] - 5 * length) == expected
        with subtests.test(f"{interval}, the newest, filled"):
            page = await market.get(CANDLES, interval=interval, fill="true", limit=500)
            assert in_decimals(page["items"]) == everything[-500:]
        with subtests.test(f"{interval}, from within, filled"):
            first = rng.choice(expected)["open_ms"] + rng.randrange(5) * length
            page = await market.get(CANDLES, interval=interval, fill="true", limit=500, from_=first)
            assert in_decimals(page["items"]) == [c for c in everything if c["open_ms"] >= first][:500]
        with subtests.test(f"{interval}, from before the first, filled"):
            page = await market.get(CANDLES, interval=interval, fill="true", limit=7, from_=0)
            assert in_decimals(page["items"]) == everything[:7]


async def backwards(market: TradedMarket, rng: random.Random, interval: str) -> list[dict[str, Any]]:
    """All candles, by asking for those before the first of the page before."""
    found: list[dict[str, Any]] = []
    before: dict[str, int] = {}
    while True:
        page = await market.get(CANDLES, interval=interval, limit=rng.randint(5, 100), **before)
        if not page["items"]:
            return in_decimals(found)
        found = page["items"] + found
        before = {"to": page["items"][0]["open_ms"]}


async def forwards(
    market: TradedMarket, rng: random.Random, interval: str, from_ms: int
) -> list[dict[str, Any]]:
    """All candles, by asking for those from the end of the last of the page before."""
    found: list[dict[str, Any]] = []
    while True:
        page = await market.get(CANDLES, interval=interval, limit=rng.randint(5, 100), from_=max(from_ms, 0))
        if not page["items"]:
            return in_decimals(found)
        found += page["items"]
        from_ms = found[-1]["open_ms"] + INTERVAL_MS[interval]


async def test_ranges_of_trades_and_candles_are_half_open(market):
    rng = random.Random(4)
    trades = await market.all_trades(rng)
    for _ in range(30):
        first, last = sorted(rng.choice(trades)["time_ms"] + rng.choice([0, 0, 1]) for _ in range(2))
        within = [trade for trade in trades if first <= trade["time_ms"] < last]
        assert await market.all_trades(rng, from_=first, to=last) == within
        interval = rng.choice(list(INTERVAL_MS))
        page = await market.get(CANDLES, interval=interval, from_=first, to=last, limit=1_000)
        assert in_decimals(page["items"]) == [
            candle for candle in candles_of(trades, interval) if first <= candle["open_ms"] < last
        ]


@pytest.mark.parametrize("market", [1, 2], indirect=True)
async def test_a_ticker_equals_a_recomputation_from_the_trades(market):
    rng = random.Random(5)
    trades = await market.all_trades(rng)
    times = [
        market.wall.now_ns,
        market.wall.now_ns + DAY_MS * 10**6 // 2,
        market.wall.now_ns + DAY_MS * 10**7,
    ]
    for market.wall.now_ns in times:
        ticker = await market.get(f"{MARKET}/ticker")
        close = market.wall.now_ms // 60_000 * 60_000 + 60_000
        within = [trade for trade in trades if close - DAY_MS <= trade["time_ms"] < close]
        before = [trade for trade in trades if trade["time_ms"] < close - DAY_MS]
        opening = Decimal((before[-1:] or within)[0]["price"])
        prices = [Decimal(trade["price"]) for trade in within or before[-1:]]
        change = prices[-1] - opening
        assert ticker["market"] == "ETH-USDC"
        [found] = in_decimals([{name: ticker[name] for name in ticker if name not in {"market", "seq"}}])
        assert found == {
            "last": prices[-1],
            "open": opening if within else prices[-1],
            "high": max(prices),
            "low": min(prices),
            "change": change,
            "change_bps": int((change * 10_000 / opening).quantize(Decimal(1), ROUND_HALF_UP)),
            "volume": sum(Decimal(trade["size"]) for trade in within),
            "quote_volume": sum(Decimal(trade["price"]) * Decimal(trade["size"]) for trade in within),
            "trades": len(within),
            "bid": ticker["bid"],
            "ask": ticker["ask"],
            "open_ms": close - DAY_MS,
            "close_ms": close,
        }
        book = await market.get(f"{MARKET}/book", depth=1)
        assert [ticker["bid"]] == (book["bids"] or [None])
        assert [ticker["ask"]] == (book["asks"] or [None])
        both = (await market.get("/v1/tickers"))["items"]
        assert both[0] == {name: value for name, value in ticker.items() if name != "seq"}
        assert both[1]["market"] == "WBTC-USDC"
        assert {both[1][name] for name in ("last", "open", "high", "low", "change", "bid", "ask")} == {None}
        assert (both[1]["volume"], both[1]["trades"], both[1]["close_ms"]) == ("0", 0, close)


@pytest.mark.parametrize(
    ("opening", "last", "bps"),
    [
        (100, 100, 0),
        (100, 101, 100),
        (100, 99, -100),
        (20_000, 20_001, 1),
        (20_000, 19_999, -1),
        (3, 4, 3333),
    ],
)
def test_a_change_in_basis_points_is_rounded_to_the_nearest(opening, last, bps):
    assert change_bps(opening, last) == bps


async def test_candles_may_be_kept_once_nothing_can_change_them_any_more(market):
    interval, length = "1m", INTERVAL_MS["1m"]
    now = market.exchange.view.time_ns // 10**6
    closed, present = open_of(interval, now), open_of(interval, now) + length
    for to, cache_control in [(closed, FINAL), (present, REVALIDATE), (closed + 1, REVALIDATE)]:
        response = await market.client.get(CANDLES, params={"interval": interval, "to": to})
        assert response.headers["cache-control"] == cache_control, to
    assert (await market.client.get(CANDLES)).headers["cache-control"] == REVALIDATE
    market.wall.now_ns = max(market.wall.now_ns, present * 10**6)
    still = await market.client.get(CANDLES, params={"interval": interval, "to": present})
    assert still.headers["cache-control"] == REVALIDATE, "the next batch may be of any time from the last on"
    await market.burst(random.Random(6))
    await market.caught_up()
    over = await market.client.get(CANDLES, params={"interval": interval, "to": present})
    assert over.headers["cache-control"] == FINAL


async def test_market_data_is_not_sent_again_while_it_is_the_same(market):
    for path in ("candles", "trades", "ticker"):
        first = await market.client.get(f"{MARKET}/{path}")
        tag = {"If-None-Match": first.headers["etag"]}
        assert (await market.client.get(f"{MARKET}/{path}", headers=tag)).status_code == 304
        await market.burst(random.Random(7))
        await market.caught_up()
        changed = await market.client.get(f"{MARKET}/{path}", headers=tag)
        assert changed.status_code == 200


async def test_the_bytes_of_trades_and_candles_are_those_of_their_models(market):
    await market.caught_up()
    for model, path, params in [
        (CandlesAnswer, CANDLES, {"limit": "1000"}),
        (CandlesAnswer, CANDLES, {"interval": "1h", "fill": "true", "limit": "333"}),
        (CandlesAnswer, CANDLES, {"to": "0"}),
        (TradesAnswer, f"{MARKET}/trades", {"limit": "500"}),
        (TradesAnswer, f"{MARKET}/trades", {"limit": "1"}),
        (TradesAnswer, "/v1/markets/WBTC-USDC/trades", {}),
    ]:
        response = await market.client.get(path, params=params)
        answer = model.model_validate_json(response.content, strict=True)
        assert answer.model_dump_json(by_alias=True).encode() == response.content


async def test_trades_and_candles_are_made_once_for_all_who_ask_the_same(market, monkeypatch):
    await market.caught_up()
    read = count_reads(market, monkeypatch)
    for path, params in [(CANDLES, {"limit": "50"}), (f"{MARKET}/trades", {"limit": "50"})]:
        read.clear()
        answers = await asyncio.gather(*(market.client.get(path, params=params) for _ in range(20)))
        assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
        assert len({answer.headers["etag"] for answer in answers}) == 1
        once = len(read)
        tag = {"If-None-Match": answers[0].headers["etag"]}
        assert (await market.client.get(path, params=params, headers=tag)).status_code == 304
        assert len(read) == once
        assert (await market.client.get(path, params={"limit": "20"})).content != answers[0].content
        assert len(read) == 2 * once


async def test_a_new_trade_is_in_the_next_answer(market):
    rng = random.Random(8)
    for _ in range(3):
        before = [await market.get(path, limit=500) for path in (CANDLES, f"{MARKET}/trades")]
        market.wall.now_ns += 60 * 10**9
        while (await market.get(f"{MARKET}/trades", limit=1))["items"][0] == before[1]["items"][0]:
            await market.burst(rng)
        after = [await market.get(path, limit=500) for path in (CANDLES, f"{MARKET}/trades")]
        assert after[1]["items"] == (await market.all_trades(rng))[::-1][:500]
        assert after[0]["items"] != before[0]["items"]
