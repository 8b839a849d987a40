"""Orders by the id that their client gave them: cancelled, and looked up, over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import httpx
import pytest
from tests.edge.agents import approved
from tests.edge.harness import Exchange, Trader, problem, read_tables_standing_still, running_exchange

from exchange.core.commands import SetMarketState
from exchange.core.words import MarketState
from exchange.edge.rest.order_shapes import OrderAnswer
from exchange.projections import page

PLENTY = {"USDC": 100_000 * 10**6, "ETH": 10**20}
MINUTE_NS = 61 * 10**9


class Wall:
    """The time of the whole exchange, which goes on with every look at it."""

    def __init__(self) -> None:
        self.now_ns = time.time_ns()

    def __call__(self) -> int:
        self.now_ns += 1_000
        return self.now_ns


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
async def exchange(database_url: str, pool: asyncpg.Pool, wall: Wall) -> AsyncIterator[Exchange]:
    async with running_exchange(database_url, pool, wall_ns=wall) as running:
        yield running


@pytest.fixture
async def trader(exchange: Exchange) -> Trader:
    return await exchange.trader(**PLENTY)


async def placed(trader: Trader, name: str, **changes: Any) -> dict[str, Any]:
    answer = await trader.order(client_order_id=name, **changes)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()["order"]
    return order


async def cancelled(trader: Trader, name: str, **parameters: Any) -> httpx.Response:
    return await trader.request("DELETE", f"/v1/orders/client/{name}", params=parameters)


async def looked_up(trader: Trader, name: str, **parameters: Any) -> dict[str, Any]:
    answer = await trader.get(f"/v1/orders/client/{name}", **parameters)
    assert answer.status_code == 200, answer.text
    order: dict[str, Any] = answer.json()["order"]
    return order


async def forgotten(exchange: Exchange, wall: Wall) -> None:
    """Time passes until ids of orders that ended are free again."""
    wall.now_ns += MINUTE_NS
    await exchange.sequencer.submit(SetMarketState(1, MarketState.OPEN))


# ---- cancelling


async def test_an_order_is_cancelled_by_its_client_order_id_as_by_its_own(exchange, trader):
    order = await placed(trader, "mine")
    answer = await cancelled(trader, "mine")
    assert answer.status_code == 200, answer.text
    OrderAnswer.model_validate(answer.json())
    ended = answer.json()["order"]
    assert ended == order | {"status": "cancelled", "ended_ms": ended["ended_ms"]}
    assert answer.json()["seq"] == exchange.view.seq
    assert exchange.view.open_orders(trader.account_id) == []
    assert (await trader.balances())["USDC"] == ("100000", "0")


async def test_an_order_that_awaits_its_trigger_is_cancelled_as_it_is(trader):
    order = await placed(trader, "stop", side="sell", trigger={"type": "stop", "price": "2900"})
    ended = (await cancelled(trader, "stop")).json()["order"]
    assert (ended["order_id"], ended["trigger"]["met"]) == (order["order_id"], False)


async def test_what_was_filled_of_it_is_told(exchange, trader):
    await placed(trader, "mine")
    other = await exchange.trader(**PLENTY)
    await other.order(side="sell", size="0.4")
    ended = (await cancelled(trader, "mine")).json()["order"]
    assert (ended["filled"], ended["remaining"], ended["status"]) == ("0.4", "0.6", "cancelled")


async def test_a_second_time_and_for_what_was_filled_there_is_nothing_to_cancel(exchange, trader):
    await placed(trader, "mine")
    await cancelled(trader, "mine")
    problem(await cancelled(trader, "mine"), 404, "unknown_order")
    other = await exchange.trader(**PLENTY)
    await placed(other, "sold", side="sell")
    await placed(trader, "bought")
    for who, name in ((trader, "bought"), (other, "sold"), (trader, "never")):
        problem(await cancelled(who, name), 404, "unknown_order")


async def test_orders_of_others_and_of_other_accounts_are_unknown(exchange, trader):
    await placed(trader, "mine")
    other = await exchange.trader(**PLENTY)
    problem(await cancelled(other, "mine"), 404, "unknown_order")
    transfer = {"from_sub_account": 0, "to_sub_account": 1, "asset": "USDC", "amount": "5000"}
    response = await trader.request("POST", "/v1/transfers", json=transfer | {"client_transfer_id": "t"})
    assert response.status_code == 201
    problem(await cancelled(trader, "mine", sub_account=1), 404, "unknown_order")
    second = await placed(trader, "mine", sub_account=1)
    ended = (await cancelled(trader, "mine", sub_account=1)).json()["order"]
    assert (ended["order_id"], ended["sub_account"]) == (second["order_id"], 1)
    assert len(exchange.view.open_orders(trader.account_id)) == 1
    problem(await cancelled(trader, "mine", sub_account=2), 404, "unknown_account")


async def test_of_an_id_used_again_the_open_order_is_cancelled(exchange, trader, wall):
    first = await placed(trader, "mine")
    await cancelled(trader, "mine")
    await forgotten(exchange, wall)
    problem(await cancelled(trader, "mine"), 404, "unknown_order")
    second = await placed(trader, "mine", price="2999")
    assert second["order_id"] != first["order_id"]
    assert (await cancelled(trader, "mine")).json()["order"]["order_id"] == second["order_id"]


async def test_in_a_halted_market_it_stays(exchange, trader):
    await placed(trader, "mine")
    await exchange.sequencer.submit(SetMarketState(1, MarketState.HALTED))
    problem(await cancelled(trader, "mine"), 409, "market_halted")
    await exchange.sequencer.submit(SetMarketState(1, MarketState.OPEN))
    assert (await cancelled(trader, "mine")).status_code == 200


@pytest.mark.parametrize(
    ("target", "code", "field"),
    [
        ("a%20b", "field_invalid", "client_order_id"),
        ("x" * 37, "field_invalid", "client_order_id"),
        ("mine%0A", "field_invalid", "client_order_id"),
        ("m%C3%A4h", "field_invalid", "client_order_id"),
        ("mine?market=ETH-USDC", "field_unknown", "market"),
        ("mine?client_order_id=other", "field_unknown", "client_order_id"),
        ("mine?order_id=1", "field_unknown", "order_id"),
        ("mine?sub_account=0&sub_account=1", "field_unknown", "sub_account"),
        ("mine?sub_account=128", "field_invalid", "sub_account"),
        ("mine?sub_account=", "field_invalid", "sub_account"),
    ],
)
async def test_what_can_not_be_meant_is_refused_by_the_field_at_fault(exchange, trader, target, code, field):
    await placed(trader, "mine")
    response = await trader.request("DELETE", f"/v1/orders/client/{target}")
    assert problem(response, 422, code)["field"] == field
    assert len(exchange.view.open_orders(trader.account_id)) == 1


async def test_a_body_that_says_something_is_refused(exchange, trader):
    await placed(trader, "mine")
    response = await trader.request("DELETE", "/v1/orders/client/mine", json={"sub_account": 1})
    problem(response, 422, "field_unknown")
    assert len(exchange.view.open_orders(trader.account_id)) == 1


async def test_placed_and_cancelled_at_once_it_is_gone_whichever_is_answered_first(exchange, trader):
    """Two requests on their way together: the engine takes them in one row, or in two."""
    for number in range(10):
        name = f"n{number}"
        place = asyncio.create_task(trader.order(client_order_id=name))
        while True:
            answer = await cancelled(trader, name)
            if answer.status_code == 200:
                break
            problem(answer, 404, "unknown_order")
        assert answer.json()["order"]["order_id"] == (await place).json()["order"]["order_id"]
    assert exchange.view.open_orders(trader.account_id) == []


# ---- in batches


async def results(trader: Trader, *operations: Any) -> list[dict[str, Any]]:
    response = await trader.request("POST", "/v1/orders/batch", json={"operations": list(operations)})
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["results"]
    return found


async def test_a_batch_cancels_by_client_order_id_what_it_has_placed_before(exchange, trader):
    standing = await placed(trader, "standing")
    place = {"op": "place", "market": "ETH-USDC", "side": "buy", "price": "3000", "size": "1"}
    answered = await results(
        trader,
        {"op": "cancel", "client_order_id": "quick"},
        place | {"client_order_id": "quick"},
        {"op": "cancel", "client_order_id": "quick", "sub_account": 0},
        {"op": "cancel", "client_order_id": "quick"},
        {"op": "cancel", "client_order_id": "not a name"},
        {"op": "cancel", "client_order_id": "standing", "order_id": None},
    )
    assert [result["status"] for result in answered] == [404, 201, 200, 404, 422, 200]
    assert answered[0]["problem"]["code"] == answered[3]["problem"]["code"] == "unknown_order"
    ended = answered[2]["order"]
    assert ended == answered[1]["order"] | {"status": "cancelled", "ended_ms": ended["ended_ms"]}
    assert answered[4]["problem"]["field"] == "client_order_id"
    assert answered[5]["order"]["order_id"] == standing["order_id"]
    assert exchange.view.open_orders(trader.account_id) == []


# ---- agents


async def test_an_agent_of_one_market_cancels_by_client_order_id_there_only(exchange, trader):
    bot = await approved(trader, markets=["ETH-USDC"])
    await placed(trader, "theirs", market="WBTC-USDC", price="10", size="0.001")
    await placed(trader, "own", price="3")
    response = await bot.request("DELETE", "/v1/orders/client/theirs")
    assert problem(response, 403, "market_not_allowed")["field"] == "client_order_id"
    response = await bot.request(
        "POST",
        "/v1/orders/batch",
        {"operations": [{"op": "cancel", "client_order_id": name} for name in ("theirs", "never", "own")]},
    )
    answered = response.json()["results"]
    assert [result["status"] for result in answered] == [403, 404, 200]
    assert answered[0]["problem"]["code"] == "market_not_allowed"
    assert [order.client_order_id for order in exchange.view.open_orders(trader.account_id)] == ["theirs"]
    assert (
        await bot.get("/v1/orders/client/theirs")
    ).status_code == 200  # markets bound trading, not reading


async def test_an_agent_of_one_sub_account_cancels_and_reads_there_only(exchange, trader):
    bot = await approved(trader, sub_accounts=[1])
    transfer = {"from_sub_account": 0, "to_sub_account": 1, "asset": "USDC", "amount": "5000"}
    await trader.request("POST", "/v1/transfers", json=transfer | {"client_transfer_id": "t"})
    await placed(trader, "mine")
    second = await placed(trader, "mine", sub_account=1)
    for method in ("GET", "DELETE"):
        for query in ("", "?sub_account=0", "?sub_account=2"):
            response = await bot.request(method, f"/v1/orders/client/mine{query}")
            assert problem(response, 403, "sub_account_not_allowed")["field"] == "sub_account"
    assert (await bot.get("/v1/orders/client/mine?sub_account=1")).json()["order"] == second
    ended = await bot.request("DELETE", "/v1/orders/client/mine?sub_account=1")
    assert ended.json()["order"]["order_id"] == second["order_id"]
    assert len(exchange.view.open_orders(trader.account_id)) == 1


# ---- looking up


async def test_an_order_is_found_by_its_client_order_id_while_it_is_open_and_after(exchange, trader):
    order = await placed(trader, "mine")
    await placed(trader, "other", price="2999")
    assert await looked_up(trader, "mine") == order
    ended = (await cancelled(trader, "mine")).json()
    found = await looked_up(trader, "mine", min_seq=ended["seq"])
    assert found == ended["order"]
    assert found == (await trader.get(f"/v1/orders/{order['order_id']}")).json()["order"]
    problem(await trader.get("/v1/orders/client/never"), 404, "unknown_order")


async def test_an_order_that_never_stood_in_the_book_is_found(exchange, trader):
    order = await placed(trader, "brief", time_in_force="ioc")
    assert order["status"] == "unfilled"
    assert await looked_up(trader, "brief") == order


async def test_of_orders_of_one_id_the_newest_is_found(exchange, trader, wall):
    await placed(trader, "mine")
    await cancelled(trader, "mine")
    await forgotten(exchange, wall)
    second = await placed(trader, "mine", price="2999")
    assert await looked_up(trader, "mine") == second
    ended = (await cancelled(trader, "mine")).json()["order"]
    assert await looked_up(trader, "mine") == ended


async def test_an_older_order_is_never_shown_for_a_newer_one_that_the_tables_do_not_have_yet(
    exchange, trader, wall
):
    await placed(trader, "mine")
    await cancelled(trader, "mine")
    await forgotten(exchange, wall)
    assert (await looked_up(trader, "mine"))["status"] == "cancelled"
    async with read_tables_standing_still(exchange):
        second = await placed(trader, "mine", price="2999", time_in_force="ioc")
        problem(await trader.get("/v1/orders/client/mine"), 503, "not_yet")
    assert await looked_up(trader, "mine") == second


async def test_orders_of_others_are_not_found(exchange, trader):
    await placed(trader, "mine")
    other = await exchange.trader(**PLENTY)
    problem(await other.get("/v1/orders/client/mine"), 404, "unknown_order")
    problem(await trader.get("/v1/orders/client/mine", sub_account=7), 404, "unknown_order")


async def test_further_back_than_is_looked_the_answer_says_so(exchange, trader, monkeypatch):
    monkeypatch.setattr(page, "MAX_LOOKED_AT", 3)
    await placed(trader, "old", time_in_force="ioc")
    for number in range(2):
        await placed(trader, f"n{number}", time_in_force="ioc")
    assert (await looked_up(trader, "old"))["client_order_id"] == "old"
    await placed(trader, "n3", time_in_force="ioc")
    content = problem(await trader.get("/v1/orders/client/old"), 404, "unknown_order")
    assert "newest" in content["detail"]
    content = problem(await trader.get("/v1/orders/client/old", sub_account=1), 404, "unknown_order")
    assert "never" in content["detail"]


@pytest.mark.parametrize(
    ("target", "code", "field"),
    [
        ("a%20b", "field_invalid", "client_order_id"),
        ("x" * 37, "field_invalid", "client_order_id"),
        ("mine%0A", "field_invalid", "client_order_id"),
        ("mine?market=ETH-USDC", "field_unknown", "market"),
        ("mine?sub_account=0&sub_account=0", "field_invalid", "sub_account"),
        ("mine?sub_account=-1", "field_invalid", "sub_account"),
    ],
)
async def test_a_look_up_that_can_not_be_meant_is_refused(trader, target, code, field):
    response = await trader.request("GET", f"/v1/orders/client/{target}")
    assert problem(response, 422, code)["field"] == field
