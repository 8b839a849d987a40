"""Charts: a small client of the UDF protocol, written from its documentation, sees the candles there are."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import httpx
import pytest
from tests.edge.market_history import (
    INTERVAL_MS,
    MARKET,
    TradedMarket,
    candles_of,
    count_reads,
    in_decimals,
    traded_market,
)

from exchange.edge.caching import FINAL, REVALIDATE
from exchange.edge.rest import udf
from exchange.edge.rest.udf import MAX_BARS
from exchange.edge.rest.udf_shapes import INTERVAL_OF, UdfBars, UdfNoData

MARKETS = ["ETH-USDC", "WBTC-USDC"]


class ChartError(Exception):
    """The feed answered with an error."""


class ChartClient:
    """What a charting front end does: learn the feed, find a symbol, load bars from the right to the left."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self.config: dict[str, Any] = {}

    async def get(self, path: str, **params: Any) -> Any:
        named = {name.rstrip("_"): value for name, value in params.items()}
        response = await self._client.get(f"/v1/udf/{path}", params=named)
        answer = json.loads(response.text, parse_float=Decimal)
        if isinstance(answer, dict) and answer.get("s") == "error":
            raise ChartError(answer["errmsg"])
        assert response.status_code == 200
        return answer

    async def start(self) -> None:
        self.config = await self.get("config")
        assert self.config["supports_search"] is not self.config["supports_group_request"]

    async def resolve(self, symbol: str) -> dict[str, Any]:
        info: dict[str, Any] = await self.get("symbols", symbol=symbol)
        assert set(info["supported_resolutions"]) <= set(self.config["supported_resolutions"])
        return info

    async def bars(self, info: dict[str, Any], resolution: str, **params: Any) -> list[dict[str, Any]] | None:
        """Bars, oldest first, each with its time in milliseconds; None for no data."""
        answer = await self.get("history", symbol=info["ticker"], resolution=resolution, **params)
        if answer["s"] == "no_data":
            return None
        assert answer["s"] == "ok"
        columns = [answer[name] for name in "tohlcv"]
        assert len({len(column) for column in columns}) == 1
        return [
            dict(zip(("time", "open", "high", "low", "close", "volume"), row, strict=True))
            for row in zip([second * 1_000 for second in answer["t"]], *columns[1:], strict=True)
        ]


@pytest.fixture
async def market(request, database_url, pool, clickhouse) -> AsyncIterator[TradedMarket]:
    async with traded_market(database_url, pool, clickhouse, getattr(request, "param", 11)) as traded:
        yield traded


@pytest.fixture
async def charts(market) -> ChartClient:
    client = ChartClient(market.client)
    await client.start()
    return client


def as_bars(candles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("open", "high", "low", "close", "volume")
    return [{"time": c["open_ms"], **{name: c[name] for name in names}} for c in candles]


@pytest.mark.parametrize("market", [11, 12], indirect=True)
async def test_a_chart_that_scrolls_to_the_left_shows_every_candle_once(market, charts, subtests):
    rng = random.Random(1)
    info = await charts.resolve("ETH-USDC")
    trades = await market.all_trades(rng)
    for resolution in info["supported_resolutions"]:
        interval = INTERVAL_OF[resolution]
        expected = as_bars(candles_of(trades, interval))
        with subtests.test(f"{resolution}, by number"):
            loaded: list[dict[str, Any]] = []
            to = market.wall.now_ms // 1_000 + INTERVAL_MS[interval] // 1_000
            while True:
                page = await charts.bars(info, resolution, to=to, countback=rng.randint(10, 60), from_=to - 1)
                if page is None:
                    break
                loaded = page + loaded
                to = page[0]["time"] // 1_000
            assert loaded == expected
        with subtests.test(f"{resolution}, by time, over gaps"):
            loaded = []
            to = market.wall.now_ms // 1_000 + INTERVAL_MS[interval] // 1_000
            width = 30 * INTERVAL_MS[interval] // 1_000
            while True:
                answer = await charts.get(
                    "history", symbol="ETH-USDC", resolution=resolution, from_=to - width, to=to
                )
                if answer["s"] == "no_data" and "nextTime" not in answer:
                    break
                if answer["s"] == "no_data":
                    assert answer["nextTime"] < to - width
                    to = answer["nextTime"] + 1
                    continue
                page = await charts.bars(info, resolution, from_=to - width, to=to)
                assert page is not None
                loaded = page + loaded
                to -= width
            assert loaded == expected


async def test_bars_are_the_candles_of_the_api(market, charts):
    info = await charts.resolve("ETH-USDC")
    rng = random.Random(2)
    for resolution in info["supported_resolutions"]:
        to = market.wall.now_ms // 1_000 - rng.randrange(10**6)
        count = rng.randint(1, 50)
        page = await market.get(
            f"{MARKET}/candles", interval=INTERVAL_OF[resolution], to=to * 1_000, limit=count
        )
        bars = await charts.bars(info, resolution, to=to, countback=count)
        assert (bars or []) == as_bars(in_decimals(page["items"]))


async def test_the_letters_of_a_resolution_need_no_number(market, charts):
    info = await charts.resolve("ETH-USDC")
    to = market.wall.now_ms // 1_000 + 10**6
    for short, full in (("S", "1S"), ("D", "1D"), ("W", "1W")):
        bars = await charts.bars(info, short, to=to, countback=9)
        assert bars
        assert bars == await charts.bars(info, full, to=to, countback=9)


async def test_symbols_are_described_exactly(market, charts):
    info = await charts.resolve("ETH-USDC")
    tick = (await market.client.get("/v1/markets")).json()["items"][0]["tick"]
    assert Decimal(info["minmov"]) / info["pricescale"] == Decimal(tick)
    assert (info["session"], info["timezone"], info["volume_precision"]) == ("24x7", "Etc/UTC", 4)
    assert (info["has_seconds"], info["has_intraday"], info["has_daily"]) == (True, True, True)
    named = {resolution for resolution in info["supported_resolutions"] if not resolution[-1].isalpha()}
    assert named == set(info["intraday_multipliers"])
    assert info == await charts.resolve("Exchange:ETH-USDC")
    assert (await charts.resolve("WBTC-USDC"))["pricescale"] == 1


async def test_markets_are_found_by_a_part_of_their_name(charts):
    async def found(**params: Any) -> list[str]:
        return [item["symbol"] for item in await charts.get("search", **params)]

    assert await found(query="", type="", exchange="", limit=30) == MARKETS
    assert await found(query="eth") == ["ETH-USDC"]
    assert await found(query="usdc", limit=1) == ["ETH-USDC"]
    assert await found(query="exchange:wbtc") == ["WBTC-USDC"]
    assert await found(query="BTC / U", type="crypto", exchange="Exchange") == ["WBTC-USDC"]
    assert await found(query="", type="stock") == []
    assert await found(query="", exchange="NYSE") == []
    assert await found(query="%' OR 1=1 --") == []


async def test_the_time_is_a_bare_number_of_seconds(market):
    response = await market.client.get("/v1/udf/time")
    assert response.headers["content-type"].startswith("text/plain")
    assert response.text == str(market.wall.now_ms // 1_000)


async def test_a_market_without_trades_has_no_data(charts):
    info = await charts.resolve("WBTC-USDC")
    assert await charts.get("history", symbol=info["ticker"], resolution="60", from_=0, to=2 * 10**9) == {
        "s": "no_data"
    }
    assert await charts.bars(info, "60", to=2 * 10**9, countback=300) is None


async def test_times_before_1970_and_far_ahead_are_as_good_as_any(market, charts):
    info = await charts.resolve("ETH-USDC")
    everything = await charts.bars(info, "1D", from_=-2_208_988_800, to=99_999_999_999)
    assert everything == as_bars(candles_of(await market.all_trades(random.Random(3)), "1d"))
    assert await charts.bars(info, "1D", from_=-9_999_999_999, to=-1_000) is None


async def test_parameters_that_the_protocol_does_not_have_are_ignored(charts, market):
    info = await charts.resolve("ETH-USDC")
    to = market.wall.now_ms // 1_000
    assert await charts.bars(
        info, "60", to=to, countback=5, firstDataRequest="true", currencyCode="USD", unitId=""
    ) == await charts.bars(info, "60", to=to, countback=5)


async def test_wrong_questions_are_answered_in_the_protocols_form(market, subtests):
    good = {"symbol": "ETH-USDC", "resolution": "60", "from": "0", "to": "100", "countback": "10"}
    for changes, status, code in [
        ({"symbol": "DOGE-USDC"}, 404, "unknown_market"),
        ({"symbol": "ETH-USDC'; DROP TABLE trades --"}, 404, "unknown_market"),
        ({"symbol": "NYSE:ETH-USDC"}, 404, "unknown_market"),
        ({"symbol": "\0"}, 404, "unknown_market"),
        ({"symbol": ""}, 404, "unknown_market"),
        ({"symbol": "x" * 101}, 422, "field_invalid"),
        ({"symbol": None}, 422, "field_missing"),
        ({"resolution": "2"}, 422, "field_invalid"),
        ({"resolution": "1M"}, 422, "field_invalid"),
        ({"resolution": "1h"}, 422, "field_invalid"),
        ({"resolution": None}, 422, "field_missing"),
        ({"to": None}, 422, "field_missing"),
        ({"to": "1e3"}, 422, "field_invalid"),
        ({"to": "NaN"}, 422, "field_invalid"),
        ({"to": "1.5"}, 422, "field_invalid"),
        ({"to": "\uff11"}, 422, "field_invalid"),
        ({"to": "--1"}, 422, "field_invalid"),
        ({"to": "9" * 12}, 422, "field_invalid"),
        ({"to": "2026-11-29T10:00:00Z"}, 422, "field_invalid"),
        ({"from": "x"}, 422, "field_invalid"),
        ({"from": None, "countback": None}, 422, "field_missing"),
        ({"from": "101", "countback": None}, 422, "range_invalid"),
        ({"countback": "0"}, 422, "field_invalid"),
        ({"countback": "-5"}, 422, "field_invalid"),
        ({"countback": "1" * 20}, 422, "field_invalid"),
        ({"countback": "1_0"}, 422, "field_invalid"),
    ]:
        with subtests.test(str(changes)):
            params = {name: value for name, value in (good | changes).items() if value is not None}
            response = await market.client.get("/v1/udf/history", params=params)
            assert response.status_code == status, response.text
            answer = response.json()
            assert answer == {"s": "error", "errmsg": answer["errmsg"], "code": code}
            assert answer["errmsg"]
            assert response.headers["content-type"] == "application/json"
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["access-control-allow-origin"] == "*"
    for path, params in [("symbols", {}), ("search", {"limit": "0"}), ("search", {"query": "x" * 101})]:
        response = await market.client.get(f"/v1/udf/{path}", params=params)
        assert (response.status_code, response.json()["s"]) == (422, "error")


async def test_without_clickhouse_there_is_an_error_and_symbols_go_on(exchange):
    params = {"symbol": "ETH-USDC", "resolution": "60", "to": "1", "countback": "1"}
    response = await exchange.client.get("/v1/udf/history", params=params)
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")
    assert response.headers["retry-after"] == "1"
    assert (await exchange.client.get("/v1/udf/symbols", params=params)).status_code == 200


async def test_closed_bars_may_be_kept_and_others_are_asked_for_again(market):
    last_s = market.exchange.view.time_ns // 10**9
    params = {"symbol": "ETH-USDC", "resolution": "60", "countback": 50, "to": last_s // 3600 * 3600}
    closed = await market.client.get("/v1/udf/history", params=params)
    assert closed.headers["cache-control"] == FINAL
    live = await market.client.get("/v1/udf/history", params=params | {"to": last_s + 3600})
    assert live.headers["cache-control"] == REVALIDATE
    assert live.headers["access-control-allow-origin"] == "*"
    again = await market.client.get(
        "/v1/udf/history",
        params=params | {"to": last_s + 3600},
        headers={"If-None-Match": live.headers["etag"]},
    )
    assert (again.status_code, again.content) == (304, b"")


async def test_prices_are_numbers_with_all_their_digits(market):
    response = await market.client.get(
        "/v1/udf/history",
        params={"symbol": "ETH-USDC", "resolution": "1", "to": 99_999_999_999, "countback": MAX_BARS},
    )
    answer = json.loads(response.text, parse_float=str, parse_int=str)
    candles = (await market.get(f"{MARKET}/candles", limit=1_000))["items"]
    assert answer["c"] == [candle["close"] for candle in candles]
    assert answer["v"] == [candle["volume"] for candle in candles]


async def test_an_answer_has_the_newest_bars_when_there_are_more_than_it_may_have(
    market, charts, monkeypatch
):
    info = await charts.resolve("ETH-USDC")
    to = market.wall.now_ms // 1_000 + 60
    some = await charts.bars(info, "1", to=to, countback=20)
    assert some is not None
    assert len(some) == 20
    monkeypatch.setattr(udf, "MAX_BARS", 7)
    assert await charts.bars(info, "1", to=to, countback=8) == some[-7:]
    assert await charts.bars(info, "1", to=to, countback=10**18) == some[-7:]
    assert await charts.bars(info, "1", from_=0, to=to) == some[-7:]


async def test_bars_are_made_once_for_all_who_look_at_the_same_interval(market, monkeypatch):
    read = count_reads(market, monkeypatch)
    minute = market.wall.now_ms // 60_000 * 60
    params = {"symbol": "ETH-USDC", "resolution": "1", "countback": "50"}
    asked = [params | {"from": str(at), "to": str(minute + at)} for at in range(1, 30)]
    answers = await asyncio.gather(*(market.client.get("/v1/udf/history", params=each) for each in asked))
    assert {(answer.status_code, answer.content) for answer in answers} == {(200, answers[0].content)}
    once = len(read)
    await market.client.get("/v1/udf/history", params=params | {"countback": "51", "to": str(minute + 1)})
    assert len(read) == 2 * once


async def test_bars_have_the_form_of_the_model(market):
    params = {"symbol": "ETH-USDC", "resolution": "1", "to": "99999999999", "countback": "500"}
    response = await market.client.get("/v1/udf/history", params=params)
    assert UdfBars.model_validate_json(response.content, strict=True).model_dump() == response.json()
    assert len(response.json()["t"]) > 20
    nothing = await market.client.get("/v1/udf/history", params=params | {"symbol": "WBTC-USDC"})
    assert UdfNoData.model_validate_json(nothing.content, strict=True) == UdfNoData(s="no_data")


async def test_the_next_time_of_a_gap_is_of_a_bar_that_is_shown(market, charts):
    market.wall.now_ns += 40 * 86_400 * 10**9  # seconds are shown for 30 days, and are kept somewhat longer
    to = market.wall.now_ms // 1_000
    for resolution, is_shown in (("1S", False), ("1", True)):
        answer = await charts.get("history", symbol="ETH-USDC", resolution=resolution, from_=to - 60, to=to)
        assert answer["s"] == "no_data"
        assert ("nextTime" in answer) == is_shown


async def test_every_answer_says_its_seq_in_a_header_that_other_sites_may_read(market):
    await market.caught_up()
    seq = str(market.exchange.view.seq)
    history = "history?symbol=ETH-USDC&resolution=1&countback=3&to=99999999999"
    for path in ("config", "time", "symbols?symbol=ETH-USDC", "search?query=ETH", history):
        response = await market.client.get(f"/v1/udf/{path}")
        assert response.status_code == 200
        assert response.headers["x-seq"] == seq
        assert "X-Seq" in response.headers["access-control-expose-headers"]
        if "etag" in response.headers:
            again = await market.client.get(
                f"/v1/udf/{path}", headers={"If-None-Match": response.headers["etag"]}
            )
            assert (again.status_code, again.headers["x-seq"]) == (304, seq)
