"""The examples of the pages of docs/api, run in their order, and those of the OpenAPI document."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.edge.harness import Exchange, Trader, running_exchange
from tests.edge.market_history import Wall

from exchange.edge.openapi_file import document_text
from exchange.stores.clickhouse import ClickHouse

DOCS_API = Path(__file__).parents[2] / "docs" / "api"
_BLOCK = re.compile(r"((?:^    .+\n)+)", re.MULTILINE)


def examples(page: str) -> list[tuple[str, str, Any, int, Any]]:
    """(method, path, body, status, part of the answer) of every example of the page."""
    found = []
    for block in _BLOCK.findall((DOCS_API / page).read_text()):
        request, arrow, answer = block.partition("\n    -> ")
        if not arrow:
            continue  # no request of ours
        line, _, body = request.strip().partition("\n")
        method, path = line.split()
        status, _, expected = answer.partition(" ")
        found.append((method, path, json.loads(body) if body else None, int(status), json.loads(expected)))
    return found


def assert_contains(answer: Any, expected: Any) -> None:
    """Objects may have more members than expected, and lists of objects more items behind."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            assert_contains(answer[name], value)
    elif isinstance(expected, list) and expected:
        assert len(answer) >= len(expected)
        for one, other in zip(answer, expected, strict=False):
            assert_contains(one, other)
    else:
        assert answer == expected


async def make_the_market(exchange: Exchange) -> Trader:
    maker = await exchange.trader(ETH=20 * 10**18, USDC=50_000 * 10**6)
    trader = await exchange.trader(ETH=10 * 10**18, USDC=100_000 * 10**6)
    other = await exchange.trader(ETH=10**18)
    await other.order(side="sell", price="2995", size="0.1")
    await maker.order(price="2995", size="0.1")
    for changes in (
        {"side": "sell", "price": "3000", "size": "5"},
        {"side": "sell", "price": "3010", "size": "5"},
        {"price": "2990", "size": "5"},
    ):
        assert (await maker.order(**changes)).status_code == 201
    return trader


async def test_the_examples_of_the_page_are_answered_as_it_says(exchange: Exchange) -> None:
    trader = await make_the_market(exchange)
    order_id = ""
    played = examples("trading.md")
    assert len(played) > 15
    for method, path, body, status, expected in played:
        response = await trader.request(method, path.replace("{order_id}", order_id), json=body)
        assert response.status_code == status, f"{method} {path} {body}: {response.text}"
        answer = response.json()
        assert_contains(answer, expected)
        if (method, path) == ("POST", "/v1/orders"):
            order_id = answer["order"]["order_id"]


async def test_the_examples_of_the_document_can_be_sent_as_they_are(exchange: Exchange) -> None:
    trader = await make_the_market(exchange)
    paths = json.loads(document_text())["paths"]
    content = paths["/v1/orders"]["post"]["requestBody"]["content"]["application/json"]
    for name, example in content["examples"].items():
        response = await trader.request("POST", "/v1/orders", json=example["value"])
        assert response.status_code == 201, f"{name}: {response.text}"
    order_id = (await trader.order(price="2900")).json()["order"]["order_id"]
    content = paths["/v1/orders/{order_id}"]["patch"]["requestBody"]["content"]["application/json"]
    for name, example in content["examples"].items():
        response = await trader.request("PATCH", f"/v1/orders/{order_id}", json=example["value"])
        assert response.status_code == 200, f"{name}: {response.text}"
    content = paths["/v1/orders/batch"]["post"]["requestBody"]["content"]["application/json"]
    for example in content["examples"].values():
        response = await trader.request("POST", "/v1/orders/batch", json=example["value"])
        statuses = [result["status"] for result in response.json()["results"]]
        assert statuses == [201, 404, 404], "the ids are nobody's"


@pytest.fixture
async def told_market(
    database_url: str, pool: asyncpg.Pool, clickhouse: ClickHouse
) -> AsyncIterator[Exchange]:
    """What docs/api/market-data.md tells of."""

    def at(hour: int, minute: int, second: int) -> int:
        return int(datetime(2026, 11, 29, hour, minute, second, tzinfo=UTC).timestamp()) * 10**9

    wall = Wall(at(9, 58, 0))
    async with running_exchange(database_url, pool, clickhouse, wall_ns=wall) as exchange:
        maker = await exchange.trader(ETH=20 * 10**18, USDC=50_000 * 10**6)
        taker = await exchange.trader(ETH=10**18, USDC=50_000 * 10**6)
        for side, price, size in (
            ("buy", "2990", "5"),
            ("buy", "2985.5", "1"),
            ("sell", "2995", "0.1"),
            ("sell", "3000", "5"),
            ("sell", "3010", "5"),
        ):
            assert (await maker.order(side=side, price=price, size=size)).status_code == 201
        for time_ns, side, price, size in (
            (at(9, 58, 10), "sell", "2990", "0.5"),
            (at(10, 0, 5), "buy", "2995", "0.1"),
            (at(10, 0, 30), "buy", "3000", "0.2"),
        ):
            wall.now_ns = time_ns
            assert (await taker.order(side=side, price=price, size=size)).json()["fills"]
        wall.now_ns = at(10, 1, 0)
        market_data = exchange.edge.market_data
        assert market_data is not None
        assert await market_data.projection.reached(exchange.view.seq, 20)
        yield exchange


async def test_the_examples_of_market_data_are_answered_as_the_page_says(told_market: Exchange) -> None:
    played = examples("market-data.md")
    assert len(played) > 12
    for method, path, body, status, expected in played:
        response = await told_market.client.request(method, path, json=body)
        assert response.status_code == status, f"{method} {path}: {response.text}"
        assert_contains(response.json(), expected)
