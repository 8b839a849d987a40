import time

from tests.edge.harness import problem, read_tables_standing_still

from exchange.edge.rest.order_shapes import (
    CancelAllAnswer,
    FillItem,
    OrderAnswer,
    OrderItem,
    PlaceOrderAnswer,
)

ETH_ATOMS = 10**18
USDC_ATOMS = 10**6


async def test_an_order_rests_and_is_seen_at_once_with_its_hold(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    answer = await trader.order(client_order_id="mine-1")
    assert answer.status_code == 201, answer.text
    content = answer.json()
    order = content["order"]
    assert content["fills"] == []
    assert order == {
        "order_id": order["order_id"],
        "client_order_id": "mine-1",
        "sub_account": 0,
        "market": "ETH-USDC",
        "side": "buy",
        "type": "limit",
        "time_in_force": "gtc",
        "price": "3000",
        "size": "1",
        "amount": None,
        "filled": "0",
        "remaining": "1",
        "status": "open",
        "trigger": None,
        "good_till_ms": None,
        "self_trade_prevention": "cancel_newest",
        "created_ms": order["created_ms"],
        "ended_ms": None,
    }
    assert abs(order["created_ms"] - time.time() * 1000) < 60_000
    assert (await trader.balances())["USDC"] == ("6997", "3003")
    listed = (await trader.get("/v1/orders")).json()
    assert listed == {"seq": content["seq"], "items": [order], "next_cursor": None, "resume_cursor": None}
    one = (await trader.get(f"/v1/orders/{order['order_id']}")).json()
    assert one == {"seq": content["seq"], "order": order}
    book = (await exchange.client.get("/v1/markets/ETH-USDC/book")).json()
    assert (book["bids"], book["asks"], book["seq"]) == ([["3000", "1"]], [], content["seq"])


async def test_orders_cross_with_a_partial_fill_a_price_improvement_and_a_fee(exchange):
    seller = await exchange.trader(ETH=ETH_ATOMS)
    buyer = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    resting = (await seller.order(side="sell", price="2990", size="0.4")).json()["order"]
    answer = (await buyer.order(price="3000", size="1")).json()
    PlaceOrderAnswer.model_validate(answer)
    (fill,) = answer["fills"]
    assert fill == {
        "trade_id": fill["trade_id"],
        "order_id": answer["order"]["order_id"],
        "market": "ETH-USDC",
        "side": "buy",
        "role": "taker",
        "price": "2990",
        "size": "0.4",
        "amount": "1196",
        "fee": "1.196",
        "fee_asset": "USDC",
        "time_ms": fill["time_ms"],
    }
    assert (answer["order"]["filled"], answer["order"]["remaining"]) == ("0.4", "0.6")
    assert answer["order"]["status"] == "open"
    history = (await buyer.get("/v1/fills", min_seq=answer["seq"])).json()
    assert history["items"] == [fill]
    (made,) = (await seller.get("/v1/fills", min_seq=answer["seq"])).json()["items"]
    assert made == fill | {"order_id": resting["order_id"], "side": "sell", "role": "maker", "fee": "0"}
    ended = (await seller.get(f"/v1/orders/{resting['order_id']}", min_seq=answer["seq"])).json()["order"]
    assert (ended["status"], ended["remaining"], ended["ended_ms"]) == ("filled", "0", fill["time_ms"])
    assert (await seller.balances())["USDC"] == ("1196", "0")
    assert (await buyer.balances())["ETH"] == ("0.4", "0")


async def test_a_sent_again_order_is_answered_with_200_and_its_present_state(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    first = (await trader.order(client_order_id="once")).json()
    again = await trader.order(client_order_id="once")
    assert again.status_code == 200
    PlaceOrderAnswer.model_validate(again.json())
    assert again.json()["order"] == first["order"]
    assert (await trader.balances())["USDC"] == ("6997", "3003")
    problem(await trader.order(client_order_id="once", size="2"), 409, "client_order_id_reused")
    await trader.request("DELETE", f"/v1/orders/{first['order']['order_id']}")
    ended = await trader.order(client_order_id="once")
    PlaceOrderAnswer.model_validate(ended.json())
    assert (ended.status_code, ended.json()["order"]["status"]) == (200, "cancelled")


async def test_cancelling_releases_the_hold_and_shows_the_order_as_ended(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    order = (await trader.order()).json()["order"]
    response = await trader.request("DELETE", f"/v1/orders/{order['order_id']}")
    assert response.status_code == 200
    content = response.json()
    OrderAnswer.model_validate(content)
    assert content["order"] == order | {"status": "cancelled", "ended_ms": content["order"]["ended_ms"]}
    assert (await trader.balances())["USDC"] == ("10000", "0")
    stored = (await trader.get(f"/v1/orders/{order['order_id']}", min_seq=content["seq"])).json()["order"]
    assert stored == content["order"]
    again = await trader.request("DELETE", f"/v1/orders/{order['order_id']}")
    problem(again, 404, "unknown_order")


async def test_cancel_all_takes_one_market_or_all(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    first = (await trader.order(size="0.1")).json()["order"]["order_id"]
    second = (await trader.order(size="0.1")).json()["order"]["order_id"]
    other = (await trader.order(market="WBTC-USDC", size="0.01", price="50000")).json()["order"]["order_id"]
    by_market = await trader.request("DELETE", "/v1/orders", params={"market": "ETH-USDC"})
    CancelAllAnswer.model_validate(by_market.json())
    assert by_market.json()["order_ids"] == [first, second]
    everything = (await trader.request("DELETE", "/v1/orders")).json()
    assert (everything["count"], everything["order_ids"]) == (1, [other])
    assert (await trader.balances())["USDC"] == ("10000", "0")


async def test_cancel_all_takes_one_side(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS, ETH=ETH_ATOMS)
    await trader.order(size="0.1")
    sell = (await trader.order(side="sell", price="4000")).json()["order"]["order_id"]
    answer = await trader.request("DELETE", "/v1/orders", params={"side": "sell", "market": "ETH-USDC"})
    assert answer.json()["order_ids"] == [sell]
    assert (await trader.request("DELETE", "/v1/orders", params={"side": "sell"})).json()["count"] == 0
    assert (await trader.request("DELETE", "/v1/orders", params={"side": "buy"})).json()["count"] == 1


async def test_a_parameter_where_fields_belong_into_the_body_is_refused(exchange, subtests):
    """One who puts the sub-account into the query would otherwise act on the main account."""
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    order_id = (await trader.order()).json()["order"]["order_id"]
    seq = exchange.view.seq
    for method, path, body in [
        ("POST", "/v1/orders", {"market": "ETH-USDC", "side": "buy", "price": "3000", "size": "1"}),
        ("POST", "/v1/orders/batch", {"operations": [{"op": "cancel", "order_id": order_id}]}),
        ("POST", "/v1/cancel-all-after", {"seconds": 1}),
        ("POST", "/v1/withdrawals", trader.withdrawal()),
        ("PATCH", f"/v1/orders/{order_id}", {"size": "0.5"}),
        ("DELETE", f"/v1/orders/{order_id}", None),
    ]:
        with subtests.test(f"{method} {path}"):
            response = await trader.request(method, path, json=body, params={"sub_account": 1})
            assert problem(response, 422, "field_unknown")["field"] == "sub_account"
    assert exchange.view.seq == seq


async def test_a_mistyped_cancel_all_cancels_nothing(exchange, subtests):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await trader.order()
    for params, status, code in [
        ({"market": "DOGE-USDC"}, 404, "unknown_market"),
        ({"market": ""}, 404, "unknown_market"),
        ({"markt": "ETH-USDC"}, 422, "field_unknown"),
        ([("market", "ETH-USDC"), ("market", "WBTC-USDC")], 422, "field_unknown"),
        ({"side": "both"}, 422, "field_invalid"),
        ([("side", "buy"), ("side", "sell")], 422, "field_unknown"),
        ({"sub_account": "128"}, 422, "field_invalid"),
        ({"sub_account": "-1"}, 422, "field_invalid"),
        ({"sub_account": "0.0"}, 422, "field_invalid"),
        ({"sub_account": "1"}, 404, "unknown_account"),
    ]:
        with subtests.test(str(params)):
            problem(await trader.request("DELETE", "/v1/orders", params=params), status, code)
            assert len((await trader.get("/v1/orders")).json()["items"]) == 1


async def test_somebody_elses_order_does_not_exist(exchange):
    owner = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    stranger = await exchange.trader()
    order_id = (await owner.order()).json()["order"]["order_id"]
    problem(await stranger.get(f"/v1/orders/{order_id}"), 404, "unknown_order")
    problem(await stranger.request("DELETE", f"/v1/orders/{order_id}"), 404, "unknown_order")
    cancelled = await owner.request("DELETE", f"/v1/orders/{order_id}")
    assert cancelled.status_code == 200
    problem(await stranger.get(f"/v1/orders/{order_id}"), 404, "unknown_order")
    assert (await stranger.get("/v1/orders", status="all")).json()["items"] == []


async def test_an_ended_order_that_the_read_tables_do_not_have_yet_is_not_said_not_to_exist(exchange):
    trader = await exchange.trader(USDC=10**10)
    async with read_tables_standing_still(exchange):
        path = f"/v1/orders/{(await trader.order()).json()['order']['order_id']}"
        assert (await trader.get(path)).status_code == 200
        await trader.request("DELETE", path)
        response = await trader.get(path)
        problem(response, 503, "not_yet")
        assert response.headers["retry-after"] == "1"
    assert (await trader.get(path)).json()["order"]["status"] == "cancelled"


async def test_what_is_no_order_is_unknown_whatever_it_looks_like(exchange, subtests):
    trader = await exchange.trader()
    for order_id in ["0", "999999", "-1", "1.5", "x", "9" * 30, "%00", "%F0%9F%92%A9", "1e3"]:
        with subtests.test(order_id):
            problem(await trader.get(f"/v1/orders/{order_id}"), 404, "unknown_order")
            problem(await trader.request("DELETE", f"/v1/orders/{order_id}"), 404, "unknown_order")


REFUSED_ORDERS = [
    ({"price": 3000.5}, 422, "not_a_decimal", "price"),
    ({"price": 3000}, 422, "not_a_decimal", "price"),
    ({"price": "3e3"}, 422, "not_a_decimal", "price"),
    ({"price": "\uff13\uff10\uff10\uff10"}, 422, "not_a_decimal", "price"),
    ({"price": "-3000"}, 422, "not_a_decimal", "price"),
    ({"price": "0"}, 422, "must_be_positive", "price"),
    ({"price": "1" * 90}, 422, "too_many_digits", "price"),
    ({"price": "3000.001"}, 422, "price_off_tick", "price"),
    ({"price": str(2**128)}, 422, "price_out_of_range", "price"),
    ({"size": 0.5}, 422, "not_a_decimal", "size"),
    ({"size": "5E-1"}, 422, "not_a_decimal", "size"),
    ({"size": "-1"}, 422, "not_a_decimal", "size"),
    ({"size": "0.0"}, 422, "must_be_positive", "size"),
    ({"size": "0.00015"}, 422, "size_off_lot", "size"),
    ({"size": "9" * 60}, 422, "size_out_of_range", "size"),
    ({"size": str(2**128)}, 422, "size_out_of_range", "size"),
    ({"market": "DOGE-USDC"}, 404, "unknown_market", "market"),
    ({"market": None}, 422, "field_missing", "market"),
    ({"side": "BUY"}, 422, "field_invalid", "side"),
    ({"side": ...}, 422, "field_missing", "side"),
    ({"type": "stop"}, 422, "field_invalid", "type"),
    ({"time_in_force": "day"}, 422, "field_invalid", "time_in_force"),
    ({"type": "market", "time_in_force": "gtc"}, 422, "invalid_combination", "time_in_force"),
    ({"client_order_id": "a b"}, 422, "field_invalid", "client_order_id"),
    ({"expires_at_ms": 1}, 422, "request_expired", "expires_at_ms"),
    ({"expires_at_ms": 10**14}, 422, "expiry_too_far", "expires_at_ms"),
    ({"leverage": "5"}, 422, "field_unknown", "leverage"),
    ({"size": "4"}, 409, "insufficient_funds", None),
    ({"time_in_force": "fok"}, 409, "fill_or_kill_unfillable", None),
]


async def test_a_refused_order_changes_no_balance(exchange, subtests):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    before = await trader.balances()
    for changes, status, code, field in REFUSED_ORDERS:
        with subtests.test(f"{code} {changes}"):
            content = problem(await trader.order(**changes), status, code)
            assert content.get("field") == field
            assert await trader.balances() == before
            assert (await trader.get("/v1/orders")).json()["items"] == []


async def test_an_off_tick_price_and_an_off_lot_size_name_the_nearest_valid_values(exchange):
    trader = await exchange.trader()
    price = problem(await trader.order(price="3000.005"), 422, "price_off_tick")
    assert (price["field"], price["value"], price["nearest"]) == ("price", "3000.005", ["3000", "3000.01"])
    size = problem(await trader.order(size="1.00015"), 422, "size_off_lot")
    assert (size["field"], size["value"], size["nearest"]) == ("size", "1.00015", ["1.0001", "1.0002"])


async def test_a_float_is_shown_as_it_was_written(exchange):
    trader = await exchange.trader()
    response = await trader.request(
        "POST",
        "/v1/orders",
        content=b'{"market":"ETH-USDC","side":"buy","price":1e400,"size":"1"}',
        headers={"Content-Type": "application/json"},
    )
    assert problem(response, 422, "not_a_decimal")["value"] == "1e400"


async def test_a_post_only_order_that_would_cross_is_refused(exchange):
    seller = await exchange.trader(ETH=ETH_ATOMS)
    buyer = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await seller.order(side="sell")
    problem(await buyer.order(time_in_force="post_only"), 409, "post_only_would_cross")
    assert (await buyer.balances())["USDC"] == ("10000", "0")


async def test_open_orders_are_paged_newest_first_and_by_market(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    placed = [(await trader.order(size="0.01")).json()["order"]["order_id"] for _ in range(5)]
    other = (await trader.order(market="WBTC-USDC", size="0.01", price="100")).json()["order"]["order_id"]
    for status in ("open", "all"):
        seen, cursor = [], None
        while True:
            params = {"status": status, "market": "ETH-USDC", "limit": 2}
            page = (await trader.get("/v1/orders", **params, **({"cursor": cursor} if cursor else {}))).json()
            seen += [item["order_id"] for item in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert seen == placed[::-1]
    everything = (await trader.get("/v1/orders", status="all")).json()["items"]
    assert everything[0]["order_id"] == other
    for item in everything:
        OrderItem.model_validate(item)


async def test_the_plain_routes_send_what_the_document_says(exchange):
    seller = await exchange.trader(ETH=ETH_ATOMS)
    buyer = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await seller.order(side="sell")
    answer = (await buyer.order(type="market", time_in_force="ioc", size="2")).json()
    assert set(answer["order"]) == set(OrderItem.model_fields)
    assert set(answer["fills"][0]) == set(FillItem.model_fields)
    assert answer["order"]["status"] == "unfilled"


async def test_an_order_request_makes_no_sql(exchange, monkeypatch):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("SQL on the order path")

    for name in ("execute", "fetch", "fetchrow", "fetchval", "acquire"):
        monkeypatch.setattr(type(exchange.edge.sessions._pool), name, refuse)
    assert (await trader.order()).status_code == 201
    assert (await trader.request("DELETE", "/v1/orders")).status_code == 200
