"""Market data asked for wrongly, parameter by parameter: a coded 4xx, never a 500, and nothing breaks."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.edge.harness import problem
from tests.edge.market_history import MARKET, TradedMarket, traded_market

NAMES = [
    "ETH-USDC'; DROP TABLE trades --",
    "ETH-USDC' OR '1'='1",
    '"; SELECT * FROM system.tables; --',
    "1) OR (1=1",
    "{market:UInt32}",
    "%s",
    "ETH-USDC ",
    " ETH-USDC",
    "ETH-USDC\n",
    "ETH-USDC\0",
    "eth-usdc",
    "ETH_USDC",
    "ETH-USDC-USDC",
    "1",
    "-1",
    "*",
    "ETH%",
    "..",
    "\u0415TH-USDC",  # a Cyrillic E
    "\U0001f4a5",
    "x" * 2_000,
]
RAW_NAMES = [
    "ETH-USDC%27%3B%20DROP%20TABLE%20trades%20--",
    "%FF%FE",
    "%00",
    "%C0%AF",
    "%E2%82%AC",
    "ETH%252DUSDC",
]

NUMBERS = [
    "", " ", "0x10", "1e3", "1_0", "1.0", "1,0", "+1", "NaN", "Infinity", "-Infinity", "null", "true", "[]",
    "\uff11", "\u0661", "\u00b2", "\0", "1\0", "1 ", " 1", "9" * 20, "9" * 5_000, "1' OR '1'='1",
]  # fmt: skip
LIMITS = [*NUMBERS, "0", "-1", "501", "1000000000"]
TIMES = [*NUMBERS, "-1", "9" * 14, "2026-11-29", "2026-13-01T00:00:00Z", "now() - 1", "0; DROP TABLE trades"]
SEQS = [*NUMBERS, "-1", str(2**63)]
WORDS = ["", "x", "1M", "1m ", "2m", "1m'", "TRUE", "1; SELECT 1", "\0", "\u00e9", "x" * 3_000]

PARAMETERS: dict[str, dict[str, list[str]]] = {
    f"{MARKET}/book": {"depth": LIMITS, "min_seq": SEQS},
    f"{MARKET}/trades": {"limit": LIMITS, "from": TIMES, "to": TIMES, "min_seq": SEQS},
    f"{MARKET}/candles": {
        "limit": [*NUMBERS, "0", "-1", "1001", "1000000000"],
        "from": TIMES,
        "to": TIMES,
        "interval": WORDS,
        "fill": ["", "x", "1", "0", "yes", "True", "\0"],
        "min_seq": SEQS,
    },
    f"{MARKET}/ticker": {"min_seq": SEQS},
    "/v1/tickers": {"min_seq": SEQS},
    "/v1/markets": {"min_seq": SEQS},
    "/v1/assets": {"min_seq": SEQS},
}


@pytest.fixture
async def market(database_url, pool, clickhouse) -> AsyncIterator[TradedMarket]:
    async with traded_market(database_url, pool, clickhouse, seed=21, bursts=10) as traded:
        yield traded


async def test_every_bad_value_of_every_parameter_is_refused_by_its_name(market):
    for path, parameters in PARAMETERS.items():
        for name, values in parameters.items():
            for value in values:
                response = await market.client.get(path, params={name: value})
                told = problem(response, 422, "field_invalid")
                assert told["field"] == name, (path, name, value)
                assert response.headers["access-control-allow-origin"] == "*"


async def test_a_bad_cursor_is_refused_whatever_it_is(market):
    for cursor in ("x", "W10", "bnVsbA", "'; DROP TABLE trades --", "\0", "W10=", "A" * 400):
        response = await market.client.get(f"{MARKET}/trades", params={"cursor": cursor})
        assert problem(response, 422, "cursor_invalid")["field"] == "cursor"
    problem(await market.client.get(f"{MARKET}/trades", params={"cursor": "A" * 401}), 422, "field_invalid")


async def test_an_unknown_parameter_is_refused_by_its_name(market):
    for path in PARAMETERS:
        response = await market.client.get(path, params={"no_such": "1"})
        assert problem(response, 422, "field_unknown")["field"] == "no_such"


async def test_a_range_that_ends_before_it_begins_is_refused_everywhere(market):
    for path in (f"{MARKET}/trades", f"{MARKET}/candles"):
        response = await market.client.get(path, params={"from": "2000-01-01T00:00:00Z", "to": "5"})
        assert problem(response, 422, "range_invalid")["field"] == "to"
        assert (await market.client.get(path, params={"from": "5", "to": "5"})).json()["items"] == []


async def test_names_that_look_like_sql_are_unknown_markets_and_do_nothing(market):
    before: dict[str, Any] = await market.get(f"{MARKET}/trades", limit=500)
    assert before["items"]
    for noun in ("book", "trades", "candles", "ticker"):
        for name in NAMES:
            response = await market.client.get(f"/v1/markets/{quoted(name)}/{noun}")
            told = problem(response, 404, "unknown_market")
            assert len(told.get("value") or "") <= 100
        for name in RAW_NAMES:
            response = await market.client.get(f"/v1/markets/{name}/{noun}")
            assert response.status_code in {400, 404}, response.text
            assert response.json()["code"] in {"unknown_market", "bad_request"}
    for name in NAMES:
        response = await market.client.get("/v1/udf/symbols", params={"symbol": name})
        assert response.status_code in {404, 422}
        assert response.json()["s"] == "error"
    assert await market.get(f"{MARKET}/trades", limit=500) == before


def quoted(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())
