"""Order types, amendments, triggers and market states through the public API."""

import time

from tests.edge.harness import Exchange, Trader, problem

from exchange.core.commands import (
    SetAccountLimits,
    SetAccountState,
    SetFees,
    SetMarketState,
    SetPriceBands,
)
from exchange.core.words import AccountState, MarketState
from exchange.edge.rest.order_shapes import OrderAnswer, OrderItem, PlaceOrderAnswer
from exchange.sequencer.sequencer import EngineStopped, Overloaded

ETH_ATOMS = 10**18
USDC_ATOMS = 10**6


async def two_traders(exchange: Exchange) -> tuple[Trader, Trader]:
    """A seller with ETH and a buyer with USDC."""
    seller = await exchange.trader(ETH=100 * ETH_ATOMS, USDC=100_000 * USDC_ATOMS)
    return seller, await exchange.trader(USDC=100_000 * USDC_ATOMS, ETH=100 * ETH_ATOMS)


async def amend(trader: Trader, order_id: str, **body):
    return await trader.request("PATCH", f"/v1/orders/{order_id}", json=body)


async def stored(trader: Trader, order_id: str, seq: int) -> dict:
    """The order from the history, when the read tables have it."""
    items = (await trader.get("/v1/orders", status="all", min_seq=seq)).json()["items"]
    return next(item for item in items if item["order_id"] == order_id)


async def test_a_market_order_without_a_price_trades_within_the_markets_band(exchange):
    seller, buyer = await two_traders(exchange)
    problem(await buyer.order(type="market", time_in_force=..., price=...), 409, "no_reference_price")
    await seller.order(side="sell", price="3000", size="1")
    await seller.order(side="sell", price="3151", size="1")
    answer = (await buyer.order(type="market", time_in_force=..., price=..., size="2")).json()
    PlaceOrderAnswer.model_validate(answer)
    assert (answer["order"]["price"], answer["order"]["status"]) == ("3150", "unfilled")
    assert (answer["order"]["filled"], answer["order"]["time_in_force"]) == ("1", "ioc")
    assert await stored(buyer, answer["order"]["order_id"], answer["seq"]) == answer["order"]


async def test_a_market_buy_by_amount_spends_at_most_the_amount_fee_included(exchange):
    seller, buyer = await two_traders(exchange)
    await seller.order(side="sell", price="3000", size="1")
    body = {"market": "ETH-USDC", "side": "buy", "type": "market", "amount": "301", "client_order_id": "a"}
    first = await buyer.request("POST", "/v1/orders", json=body)
    answer = first.json()
    order = answer["order"]
    assert (first.status_code, order["status"], order["amount"]) == (201, "filled", "301")
    assert (order["size"], order["filled"], answer["fills"][0]["fee"]) == ("0.1002", "0.1002", "0.3006")
    spent = 100_000 - float((await buyer.balances())["USDC"][0])
    assert abs(spent - 300.9006) < 1e-6
    assert (await buyer.balances())["USDC"][1] == "0"
    assert await stored(buyer, order["order_id"], answer["seq"]) == order
    again = await buyer.request("POST", "/v1/orders", json=body)
    PlaceOrderAnswer.model_validate(again.json())
    assert again.status_code == 200
    assert again.json()["order"] == order | {"price": None, "created_ms": None, "ended_ms": None}
    nothing = await buyer.request("POST", "/v1/orders", json=body | {"amount": "0.1", "client_order_id": "b"})
    assert problem(nothing, 409, "amount_buys_nothing")["field"] == "amount"


async def test_a_good_till_time_order_expires_by_itself(exchange):
    _, buyer = await two_traders(exchange)
    good_till_ms = time.time_ns() // 10**6 + 250
    answer = await buyer.order(time_in_force="gtt", good_till_ms=good_till_ms)
    order = answer.json()["order"]
    assert (order["time_in_force"], order["good_till_ms"], order["status"]) == ("gtt", good_till_ms, "open")
    await exchange.until(lambda: exchange.view.open_order(int(order["order_id"])) is None)
    ended = await stored(buyer, order["order_id"], exchange.view.seq)
    assert ended == order | {"status": "expired", "ended_ms": ended["ended_ms"]}
    assert ended["ended_ms"] >= good_till_ms
    assert (await buyer.balances())["USDC"] == ("100000", "0")


async def test_a_good_till_time_order_sent_again_after_its_time_is_known_and_a_new_one_refused(exchange):
    buyer = await exchange.trader(USDC=10**10)
    good_till_ms = time.time_ns() // 10**6 + 250
    body = {"time_in_force": "gtt", "good_till_ms": good_till_ms}
    order = (await buyer.order(**body, client_order_id="a")).json()["order"]
    await exchange.until(lambda: exchange.view.open_order(int(order["order_id"])) is None)
    again = await buyer.order(**body, client_order_id="a")
    assert again.status_code == 200
    assert (again.json()["order"]["order_id"], again.json()["order"]["status"]) == (
        order["order_id"],
        "expired",
    )
    problem(await buyer.order(**body, client_order_id="b"), 422, "good_till_invalid")


async def test_a_stop_waits_unseen_in_the_book_and_trades_when_the_price_gets_there(exchange):
    seller, buyer = await two_traders(exchange)
    await seller.order(side="sell", price="3000", size="1")
    await buyer.order(price="3000", size="1")
    answer = await buyer.order(
        side="sell", price="2800", size="2", trigger={"type": "stop", "price": "2900"}, client_order_id="s"
    )
    order = answer.json()["order"]
    assert (answer.status_code, order["status"]) == (201, "open")
    assert order["trigger"] == {"type": "stop", "price": "2900", "met": False}
    assert (await buyer.balances())["ETH"][1] == "2"
    assert (await exchange.client.get("/v1/markets/ETH-USDC/book")).json()["asks"] == []
    assert (await buyer.get("/v1/orders")).json()["items"] == [order]
    again = await buyer.order(
        side="sell", price="2800", size="2", trigger={"type": "stop", "price": "2900"}, client_order_id="s"
    )
    assert (again.status_code, again.json()["order"]) == (200, order)
    met = await buyer.order(side="sell", price="2800", trigger={"type": "stop", "price": "3000"})
    assert problem(met, 409, "trigger_already_met")["field"] == "trigger.price"
    await seller.order(price="2850", size="1")
    await seller.order(price="2900", size="1")
    taken = await buyer.order(side="sell", price="2900", size="1")
    assert (await seller.order(price="2850", size="0.0001")).status_code == 201  # after the Tick
    ended = await stored(buyer, order["order_id"], exchange.view.seq)
    assert ended["trigger"]["met"] is True
    assert (ended["filled"], ended["remaining"], ended["status"]) == ("1.0001", "0.9999", "open")
    assert taken.json()["order"]["status"] == "filled"


async def test_an_order_that_ends_before_its_trigger_is_met_says_so(exchange):
    _, buyer = await two_traders(exchange)
    placed = await buyer.order(side="sell", trigger={"type": "take_profit", "price": "4000"})
    order = placed.json()["order"]
    answer = (await buyer.request("DELETE", f"/v1/orders/{order['order_id']}")).json()
    assert answer["order"]["trigger"] == {"type": "take_profit", "price": "4000", "met": False}
    assert await stored(buyer, order["order_id"], answer["seq"]) == answer["order"]
    assert (await buyer.balances())["ETH"] == ("100", "0")


async def test_a_smaller_size_is_amended_in_place_and_a_new_price_may_trade(exchange):
    seller, buyer = await two_traders(exchange)
    order = (await buyer.order(price="2900", size="2", client_order_id="x")).json()["order"]
    smaller = await amend(buyer, order["order_id"], size="1")
    assert smaller.status_code == 200
    PlaceOrderAnswer.model_validate(smaller.json())
    expected = order | {"size": "1", "remaining": "1"}
    assert (smaller.json()["order"], smaller.json()["fills"]) == (expected, [])
    assert (await buyer.balances())["USDC"][1] == "2902.9"
    await seller.order(side="sell", price="3000", size="0.4")
    dearer = (await amend(buyer, order["order_id"], price="3000.01")).json()
    assert (dearer["order"]["price"], dearer["order"]["filled"]) == ("3000.01", "0.4")
    assert (dearer["order"]["remaining"], dearer["order"]["status"]) == ("0.6", "open")
    assert [(fill["price"], fill["role"]) for fill in dearer["fills"]] == [("3000", "taker")]
    one = (await buyer.get(f"/v1/orders/{order['order_id']}")).json()
    OrderAnswer.model_validate(one)
    assert one["order"] == dearer["order"]
    assert await stored(buyer, order["order_id"], dearer["seq"]) == dearer["order"]
    book = (await exchange.client.get("/v1/markets/ETH-USDC/book")).json()
    assert book["bids"] == [["3000.01", "0.6"]]
    again = (await buyer.order(price="2900", size="2", client_order_id="x")).json()["order"]
    assert again == dearer["order"]
    both = (await amend(buyer, order["order_id"], price="2950", size="3")).json()["order"]
    assert (both["price"], both["size"], both["filled"], both["remaining"]) == ("2950", "3", "0.4", "2.6")


async def test_an_amendment_may_fill_the_order_whole(exchange):
    seller, buyer = await two_traders(exchange)
    order_id = (await buyer.order(price="2900")).json()["order"]["order_id"]
    await seller.order(side="sell", price="3000", size="5")
    answer = (await amend(buyer, order_id, price="3000", size="2")).json()
    assert (answer["order"]["status"], answer["order"]["filled"]) == ("filled", "2")
    assert answer["order"]["ended_ms"] == answer["fills"][0]["time_ms"]
    assert await stored(buyer, order_id, answer["seq"]) == answer["order"]


async def test_a_refused_amendment_changes_nothing(exchange, subtests):
    seller, buyer = await two_traders(exchange)
    order = (await buyer.order(price="2900", size="2", time_in_force="post_only")).json()["order"]
    order_id = order["order_id"]
    await seller.order(side="sell", price="3000", size="1")
    await seller.order(side="sell", price="2900", size="0.5")
    order = (await buyer.get(f"/v1/orders/{order_id}")).json()["order"]
    for body, status, code, field in [
        ({}, 422, "field_missing", "price"),
        ({"market": "ETH-USDC", "price": "1"}, 422, "field_unknown", "market"),
        ({"price": 2900}, 422, "not_a_decimal", "price"),
        ({"price": "2900.001"}, 422, "price_off_tick", "price"),
        ({"size": "0"}, 422, "must_be_positive", "size"),
        ({"size": "0.5"}, 409, "amend_below_filled", "size"),
        ({"size": "1000"}, 409, "insufficient_funds", None),
        ({"price": "3000"}, 409, "post_only_would_cross", None),
        ({"price": "2901", "expires_at_ms": 1}, 422, "request_expired", "expires_at_ms"),
    ]:
        with subtests.test(f"{code} {body}"):
            content = problem(await amend(buyer, order_id, **body), status, code)
            assert content.get("field") == field
            assert (await buyer.get(f"/v1/orders/{order_id}")).json()["order"] == order
    for nothing in ("0", "999999", "x", "%00", "9" * 30):
        problem(await amend(buyer, nothing, price="1"), 404, "unknown_order")
    problem(await amend(seller, order_id, price="1"), 404, "unknown_order")


async def test_self_trade_prevention_is_chosen_per_order(exchange):
    _, trader = await two_traders(exchange)
    resting = (await trader.order(side="sell", size="1")).json()["order"]
    newest = (await trader.order(size="0.4")).json()["order"]
    assert (newest["status"], newest["self_trade_prevention"]) == ("self_trade", "cancel_newest")
    answer = (await trader.order(size="0.4", self_trade_prevention="decrement")).json()
    taker = answer["order"]
    assert (taker["size"], taker["filled"], taker["status"]) == ("0", "0", "self_trade")
    assert await stored(trader, taker["order_id"], answer["seq"]) == taker
    maker = (await trader.get(f"/v1/orders/{resting['order_id']}")).json()["order"]
    assert (maker["size"], maker["remaining"], maker["status"]) == ("0.6", "0.6", "open")
    answer = (await trader.order(size="0.4", self_trade_prevention="cancel_oldest")).json()
    assert answer["order"]["status"] == "open"
    maker = await stored(trader, resting["order_id"], answer["seq"])
    assert (maker["size"], maker["status"]) == ("0.6", "self_trade")
    reasons = {item["kind"] for item in (await trader.get("/v1/ledger")).json()["items"]}
    assert "self_trade_prevented" in reasons


async def test_every_state_of_a_market_refuses_with_its_own_code(exchange, subtests):
    _, trader = await two_traders(exchange)
    order_id = (await trader.order()).json()["order"]["order_id"]
    for state in (
        MarketState.PRE_OPEN,
        MarketState.POST_ONLY,
        MarketState.CANCEL_ONLY,
        MarketState.HALTED,
    ):
        with subtests.test(state.value):
            await exchange.sequencer.submit(SetMarketState(1, state))
            problem(await trader.order(time_in_force="ioc"), 409, f"market_{state}")
    problem(await trader.request("DELETE", f"/v1/orders/{order_id}"), 409, "market_halted")
    halted = await trader.request("DELETE", "/v1/orders", params={"market": "ETH-USDC"})
    problem(halted, 409, "market_halted")
    assert (await trader.request("DELETE", "/v1/orders")).json()["count"] == 0
    await exchange.sequencer.submit(SetMarketState(1, MarketState.PRE_OPEN))
    assert (await trader.order(side="sell", price="3500")).status_code == 201


async def test_bands_and_limits_refuse_with_their_field(exchange):
    seller, buyer = await two_traders(exchange)
    await seller.order(side="sell", price="3000")
    await exchange.sequencer.submit(SetPriceBands(1, 100, 100))
    assert problem(await buyer.order(price="3030.01"), 409, "price_outside_band")["field"] == "price"
    assert (await buyer.order(price="3030")).status_code == 201
    await exchange.sequencer.submit(SetAccountLimits(buyer.account_id, 2, 1))
    assert (await buyer.order(price="3000")).status_code == 201
    problem(await buyer.order(price="3000"), 409, "too_many_orders_in_market")
    await buyer.order(market="WBTC-USDC", price="100", size="0.01")
    problem(await buyer.order(market="WBTC-USDC", price="100", size="0.01"), 409, "too_many_open_orders")
    (main,) = (await buyer.get("/v1/me")).json()["sub_accounts"]
    assert (main["max_open_orders"], main["max_orders_per_market"]) == (2, 1)


async def test_a_frozen_account_is_told_so_and_its_orders_have_ended_for_that(exchange):
    seller, _ = await two_traders(exchange)
    placed = (await seller.order(side="sell", price="3000", client_order_id="mine")).json()["order"]
    outcome = await exchange.sequencer.submit(SetAccountState(seller.account_id, AccountState.FROZEN))
    (main,) = (await seller.get("/v1/me")).json()["sub_accounts"]
    assert main["state"] == "frozen"
    assert (await stored(seller, placed["order_id"], outcome.seq))["status"] == "account_frozen"
    problem(await seller.order(side="sell", price="3000"), 409, "account_frozen")
    again = await seller.order(side="sell", price="3000", client_order_id="mine")
    assert (again.status_code, again.json()["order"]["status"]) == (200, "account_frozen")


async def test_a_cancel_only_account_amends_downwards_and_cancels(exchange):
    seller, _ = await two_traders(exchange)
    order_id = (await seller.order(side="sell", price="3000", size="1")).json()["order"]["order_id"]
    await exchange.sequencer.submit(SetAccountState(seller.account_id, AccountState.CANCEL_ONLY))
    (main,) = (await seller.get("/v1/me")).json()["sub_accounts"]
    assert main["state"] == "cancel_only"
    problem(await seller.order(side="sell", price="3000"), 409, "account_cancel_only")
    problem(await amend(seller, order_id, size="1.5"), 409, "account_cancel_only")
    assert (await amend(seller, order_id, size="0.5")).status_code == 200
    assert (await seller.request("DELETE", f"/v1/orders/{order_id}")).status_code == 200


async def test_a_makers_rebate_is_shown_as_a_negative_fee(exchange):
    seller, buyer = await two_traders(exchange)
    await exchange.sequencer.submit(SetFees(1, ((-5, 10),)))
    await seller.order(side="sell", price="3000", size="1")
    answer = (await buyer.order(price="3000", size="1")).json()
    (made,) = (await seller.get("/v1/fills", min_seq=answer["seq"])).json()["items"]
    assert (made["fee"], answer["fills"][0]["fee"]) == ("-1.5", "3")
    assert (await seller.balances())["USDC"] == ("103001.5", "0")


async def test_every_order_shown_has_the_members_of_the_document(exchange):
    _, trader = await two_traders(exchange)
    placed = (await trader.order(trigger={"type": "stop", "price": "3100"})).json()["order"]
    shown = (await trader.get(f"/v1/orders/{placed['order_id']}")).json()["order"]
    assert set(placed) == set(shown) == set(OrderItem.model_fields)


async def test_an_overloaded_engine_says_when_to_try_again_and_a_stopped_one_that_it_does_not_know(
    exchange, subtests
):
    _, trader = await two_traders(exchange)
    order_id = (await trader.order()).json()["order"]["order_id"]
    requests = [
        ("PATCH", f"/v1/orders/{order_id}", {"size": "0.5"}),
        ("POST", "/v1/orders/batch", {"operations": [{"op": "cancel", "order_id": order_id}]}),
        ("POST", "/v1/cancel-all-after", {"seconds": 60}),
        (
            "POST",
            "/v1/transfers",
            {
                "from_sub_account": 0,
                "to_sub_account": 1,
                "asset": "USDC",
                "amount": "1",
                "client_transfer_id": "t",
            },
        ),
    ]
    for method, path, body in requests:
        with subtests.test(path):
            exchange.faults.refuse = Overloaded(7)
            response = await trader.request(method, path, json=body)
            problem(response, 503, "overloaded")
            assert response.headers["retry-after"] == "7"
            exchange.faults.refuse = EngineStopped()
            problem(await trader.request(method, path, json=body), 503, "outcome_unknown")
    exchange.faults.refuse = None
    assert (await trader.get("/v1/orders")).json()["items"][0]["size"] == "1"
