"""Sub-accounts, transfers between them, and the dead man's switch of each."""

import time

from tests.edge.harness import USDC, Trader, problem

from exchange.gateway.typed_data import WithdrawalMessage

USDC_ATOMS = 10**6


async def transfer(trader: Trader, **changes):
    body = {
        "from_sub_account": 0,
        "to_sub_account": 3,
        "asset": "USDC",
        "amount": "4000",
        "client_transfer_id": "first",
    }
    return await trader.request("POST", "/v1/transfers", json=body | changes)


async def available(trader: Trader, sub_account: int) -> str:
    items = (await trader.get("/v1/balances", sub_account=sub_account)).json()["items"]
    return next(item["available"] for item in items if item["asset"] == "USDC")


async def test_a_transfer_opens_the_sub_account_and_both_list_it(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    response = await transfer(trader)
    assert response.status_code == 201
    made = response.json()["transfer"]
    assert made == {
        "client_transfer_id": "first",
        "from_sub_account": 0,
        "to_sub_account": 3,
        "asset": "USDC",
        "amount": "4000",
        "time_ms": made["time_ms"],
    }
    assert (await available(trader, 0), await available(trader, 3)) == ("6000", "4000")
    seq = response.json()["seq"]
    for sub_account in (0, 3):
        page = (await trader.get("/v1/transfers", sub_account=sub_account, min_seq=seq)).json()
        assert page["items"] == [made]
    listed = (await trader.get("/v1/me")).json()["sub_accounts"]
    assert [item["sub_account"] for item in listed] == [0, 3]
    entry = (await trader.get("/v1/ledger", sub_account=3)).json()["items"][0]
    assert (entry["kind"], entry["reference"], entry["available_change"]) == ("transfer", "first", "4000")


async def test_a_transfer_sent_again_is_made_once(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    first = (await transfer(trader)).json()["transfer"]
    again = await transfer(trader)
    assert (again.status_code, again.json()["transfer"]) == (200, first | {"time_ms": None})
    problem(await transfer(trader, amount="1"), 409, "client_transfer_id_reused")
    assert (await available(trader, 0), await available(trader, 3)) == ("6000", "4000")
    assert (await transfer(trader, from_sub_account=3, to_sub_account=0)).status_code == 201
    assert (await available(trader, 0), await available(trader, 3)) == ("10000", "0")


async def test_a_refused_transfer_moves_nothing(exchange, subtests):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    for changes, status, code, field in [
        ({"amount": "10000.000001"}, 409, "insufficient_funds", None),
        ({"amount": "0"}, 422, "must_be_positive", "amount"),
        ({"amount": "1e3"}, 422, "not_a_decimal", "amount"),
        ({"amount": 4000}, 422, "field_invalid", "amount"),
        ({"amount": "0.0000001"}, 422, "too_many_decimals", "amount"),
        ({"asset": "DOGE"}, 404, "unknown_asset", "asset"),
        ({"to_sub_account": 0}, 422, "transfer_invalid", "to_sub_account"),
        ({"to_sub_account": 128}, 422, "field_invalid", "to_sub_account"),
        ({"to_sub_account": "3"}, 422, "field_invalid", "to_sub_account"),
        ({"to_sub_account": True}, 422, "field_invalid", "to_sub_account"),
        ({"from_sub_account": 7}, 404, "unknown_account", "from_sub_account"),
        ({"client_transfer_id": ""}, 422, "field_invalid", "client_transfer_id"),
        ({"client_transfer_id": "a b"}, 422, "field_invalid", "client_transfer_id"),
        ({"client_transfer_id": "a\n"}, 422, "field_invalid", "client_transfer_id"),
        ({"client_transfer_id": None}, 422, "field_invalid", "client_transfer_id"),
        ({"expires_at_ms": 1}, 422, "request_expired", "expires_at_ms"),
        ({"memo": "x"}, 422, "field_unknown", "memo"),
    ]:
        with subtests.test(f"{code} {changes}"):
            content = problem(await transfer(trader, **changes), status, code)
            assert content.get("field") == field
            assert await available(trader, 0) == "10000"
    assert (await trader.get("/v1/transfers")).json()["items"] == []


async def test_each_account_trades_with_its_own_funds_and_lists_its_own(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await transfer(trader)
    own = (await trader.order(size="1.5")).json()["order"]
    order = (await trader.order(sub_account=3)).json()["order"]
    assert (own["sub_account"], order["sub_account"]) == (0, 3)
    problem(await trader.order(sub_account=3, size="1"), 409, "insufficient_funds")
    for status in ("open", "all"):
        seq = exchange.view.seq
        main = (await trader.get("/v1/orders", status=status, min_seq=seq)).json()["items"]
        third = (await trader.get("/v1/orders", status=status, sub_account=3)).json()["items"]
        assert (main, third) == ([own], [order])
    assert (await trader.get(f"/v1/orders/{order['order_id']}")).json()["order"] == order
    seller = await exchange.trader(ETH=10**18)
    answer = await seller.order(side="sell", size="0.1")
    assert (await trader.get("/v1/fills", min_seq=answer.json()["seq"])).json()["items"] != []
    assert (await trader.get("/v1/fills", sub_account=3)).json()["items"] == []
    cancelled = await trader.request("DELETE", "/v1/orders", params={"sub_account": 3})
    assert cancelled.json()["order_ids"] == [order["order_id"]]
    ended = await trader.get(f"/v1/orders/{order['order_id']}", min_seq=cancelled.json()["seq"])
    assert (ended.json()["order"]["status"], ended.json()["order"]["sub_account"]) == ("cancelled", 3)
    assert len((await trader.get("/v1/orders")).json()["items"]) == 1


async def test_orders_of_a_sub_account_are_amended_and_cancelled_by_their_id_alone(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await transfer(trader)
    order_id = (await trader.order(sub_account=3)).json()["order"]["order_id"]
    amended = await trader.request("PATCH", f"/v1/orders/{order_id}", json={"size": "0.5"})
    assert (amended.status_code, amended.json()["order"]["sub_account"]) == (200, 3)
    cancelled = await trader.request("DELETE", f"/v1/orders/{order_id}")
    assert (cancelled.status_code, cancelled.json()["order"]["sub_account"]) == (200, 3)
    assert await available(trader, 3) == "4000"


async def test_a_sub_account_that_does_not_exist_has_nothing_and_can_do_nothing(exchange, subtests):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await trader.order()
    assert await available(trader, 9) == "0"
    for path in ("/v1/orders", "/v1/fills", "/v1/ledger", "/v1/transfers", "/v1/withdrawals"):
        with subtests.test(path):
            assert (await trader.get(path, sub_account=9)).json()["items"] == []
            for wrong in ("128", "-1", "x", "1.0", "٣", ""):
                content = problem(await trader.get(path, sub_account=wrong), 422, "field_invalid")
                assert content["field"] == "sub_account"
    assert (await trader.get("/v1/orders", status="all", sub_account=9)).json()["items"] == []
    content = problem(await trader.order(sub_account=9), 404, "unknown_account")
    assert content["field"] == "sub_account"
    response = await trader.request("POST", "/v1/cancel-all-after", json={"seconds": 1, "sub_account": 9})
    problem(response, 404, "unknown_account")


async def test_nobody_sees_or_moves_anybody_elses_sub_account(exchange):
    owner = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await transfer(owner)
    order_id = (await owner.order(sub_account=3)).json()["order"]["order_id"]
    stranger = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    assert (await stranger.get("/v1/orders", sub_account=3)).json()["items"] == []
    problem(await stranger.get(f"/v1/orders/{order_id}"), 404, "unknown_order")
    problem(
        await stranger.request("PATCH", f"/v1/orders/{order_id}", json={"size": "2"}), 404, "unknown_order"
    )
    problem(await transfer(stranger, from_sub_account=3, to_sub_account=0), 404, "unknown_account")
    ended = await owner.request("DELETE", f"/v1/orders/{order_id}")
    problem(await stranger.get(f"/v1/orders/{order_id}", min_seq=ended.json()["seq"]), 404, "unknown_order")


async def test_a_withdrawal_from_a_sub_account_is_signed_for_it(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await transfer(trader)
    problem(
        await trader.request("POST", "/v1/withdrawals", json=trader.withdrawal(sub_account=3)),
        403,
        "signature_wrong_signer",
    )
    body = trader.withdrawal(sub_account=3)
    message = WithdrawalMessage(trader.owner, 3, USDC, 2_500_000, 0, trader.owner, 1, body["deadline_s"])
    signature = trader.key.unsafe_sign_hash(exchange.domain.digest(message)).signature
    answer = await trader.request(
        "POST", "/v1/withdrawals", json=body | {"signature": "0x" + signature.hex()}
    )
    assert answer.status_code == 201
    item = answer.json()["withdrawal"]
    assert (await available(trader, 0), await available(trader, 3)) == ("6000", "3997.5")
    seq = answer.json()["seq"]
    assert (await trader.get("/v1/withdrawals", min_seq=seq)).json()["items"] == []
    assert (await trader.get("/v1/withdrawals", sub_account=3)).json()["items"] == [item]
    assert (await trader.get(f"/v1/withdrawals/{item['withdrawal_id']}")).json()["withdrawal"] == item


async def switch(trader: Trader, **body):
    return await trader.request("POST", "/v1/cancel-all-after", json=body)


async def test_the_dead_mans_switch_is_set_renewed_and_switched_off(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await transfer(trader)
    before_ms = time.time_ns() // 10**6
    answer = await switch(trader, seconds=60, sub_account=3)
    fires_ms = answer.json()["cancel_all_at_ms"]
    assert (answer.status_code, answer.json()["sub_account"]) == (200, 3)
    assert before_ms + 60_000 <= fires_ms <= time.time_ns() // 10**6 + 60_000
    me = (await trader.get("/v1/me")).json()
    assert [item["cancel_all_at_ms"] for item in me["sub_accounts"]] == [None, fires_ms]
    renewed = (await switch(trader, seconds=86_400, sub_account=3)).json()
    assert renewed["cancel_all_at_ms"] > fires_ms
    assert (await switch(trader, seconds=0, sub_account=3)).json()["cancel_all_at_ms"] is None
    me = (await trader.get("/v1/me")).json()
    assert [item["cancel_all_at_ms"] for item in me["sub_accounts"]] == [None, None]


async def test_a_switch_that_is_not_renewed_cancels_the_orders_of_its_account_alone(exchange):
    trader = await exchange.trader(USDC=10_000 * USDC_ATOMS)
    await transfer(trader)
    left = (await trader.order()).json()["order"]["order_id"]
    order = (await trader.order(sub_account=3)).json()["order"]
    answer = await switch(trader, seconds=1, sub_account=3)
    assert answer.status_code == 200
    await exchange.until(lambda: exchange.view.open_order(int(order["order_id"])) is None)
    ended = await trader.get(f"/v1/orders/{order['order_id']}", min_seq=exchange.view.seq)
    assert ended.json()["order"]["status"] == "cancel_all_after"
    assert [item["order_id"] for item in (await trader.get("/v1/orders")).json()["items"]] == [left]
    assert (await trader.get("/v1/me")).json()["sub_accounts"][1]["cancel_all_at_ms"] is None


async def test_a_switch_takes_whole_seconds_up_to_a_day(exchange, subtests):
    trader = await exchange.trader()
    for seconds in (-1, 86_401, 1.5, "60", None, True, 10**19):
        with subtests.test(str(seconds)):
            content = problem(await switch(trader, seconds=seconds), 422, "field_invalid")
            assert content["field"] == "seconds"
    problem(await switch(trader), 422, "field_missing")
    problem(await switch(trader, seconds=1, market="ETH-USDC"), 422, "field_unknown")
